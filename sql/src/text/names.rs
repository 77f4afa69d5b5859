//! The names of the answer's columns, as the analyst wrote them. Planning folds names; answers do not.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion_sql::sqlparser::ast::{Expr, Ident, Query, Select, SelectItem, SetExpr, Visit, Visitor};

/// The outermost select list, and how aliases anywhere in the statement are spelled.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Names {
    items: Vec<Item>,
    /// Spelling by folded name; the first one wins.
    spelled: HashMap<String, String>,
}

#[derive(Debug, Clone, PartialEq)]
enum Item {
    Named(String),
    /// `*` or `t.*`: as many columns as the planner finds.
    Wildcard,
}

impl Names {
    /// Names of a query whose words are not yet folded.
    pub(super) fn of(query: &Query) -> Self {
        let mut aliases = Aliases(HashMap::new());
        let _ = query.visit(&mut aliases);
        Self { items: outermost(&query.body).iter().map(item).collect(), spelled: aliases.0 }
    }

    /// One name a column. `planned` are the planner's names; `standard` knows the models' spelling.
    pub(crate) fn resolve(
        &self,
        planned: &[String],
        standard: impl Fn(&str) -> Option<String>,
    ) -> Vec<String> {
        let spell = |name: &String| {
            self.spelled.get(name).cloned().or_else(|| standard(name)).unwrap_or_else(|| name.clone())
        };
        if self.items.is_empty() {
            return planned.iter().map(spell).collect();
        }
        let mut names = Vec::with_capacity(planned.len());
        for (i, item) in self.items.iter().enumerate() {
            match item {
                Item::Named(name) => names.push(name.clone()),
                Item::Wildcard => {
                    let until = self.end_of_wildcard(i, names.len(), planned);
                    names.extend(planned.get(names.len()..until).unwrap_or_default().iter().map(spell));
                }
            }
        }
        names.truncate(planned.len());
        names.extend(planned.get(names.len()..).unwrap_or_default().iter().map(spell));
        names
    }

    /// Where the columns of the wildcard at `item` end: before the next named column, or so that those after it fit.
    fn end_of_wildcard(&self, item: usize, from: usize, planned: &[String]) -> usize {
        let after = self.items.get(item + 1..).unwrap_or_default();
        let last = planned.len().saturating_sub(after.len());
        if !after.contains(&Item::Wildcard) {
            return last;
        }
        match after.first() {
            Some(Item::Named(next)) => {
                let next = next.to_lowercase();
                (from + 1..last).find(|i| planned.get(*i) == Some(&next)).unwrap_or(last)
            }
            Some(Item::Wildcard) | None => last,
        }
    }
}

/// The select list that names the columns: that of the first branch of set operations.
fn outermost(body: &SetExpr) -> &[SelectItem] {
    let mut body = body;
    loop {
        match body {
            SetExpr::Select(select) => return &select.projection,
            SetExpr::Query(query) => body = &query.body,
            SetExpr::SetOperation { left, .. } => body = left,
            SetExpr::Values(_)
            | SetExpr::Insert(_)
            | SetExpr::Update(_)
            | SetExpr::Delete(_)
            | SetExpr::Merge(_)
            | SetExpr::Table(_) => return &[],
        }
    }
}

fn item(item: &SelectItem) -> Item {
    match item {
        SelectItem::UnnamedExpr(expr) => Item::Named(match expr {
            Expr::Identifier(ident) => ident.value.clone(),
            Expr::CompoundIdentifier(parts) => parts.last().map(|p| p.value.clone()).unwrap_or_default(),
            other => other.to_string(),
        }),
        SelectItem::ExprWithAlias { alias, .. } => Item::Named(alias.value.clone()),
        SelectItem::ExprWithAliases { .. } | SelectItem::QualifiedWildcard(..) | SelectItem::Wildcard(_) => {
            Item::Wildcard
        }
    }
}

/// Collects aliases of columns.
struct Aliases(HashMap<String, String>);

impl Aliases {
    fn add(&mut self, alias: &Ident) {
        self.0.entry(alias.value.to_lowercase()).or_insert_with(|| alias.value.clone());
    }
}

impl Visitor for Aliases {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            cte.alias.columns.iter().for_each(|column| self.add(&column.name));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        for item in &select.projection {
            if let SelectItem::ExprWithAlias { alias, .. } = item {
                self.add(alias);
            }
        }
        ControlFlow::Continue(())
    }
}
