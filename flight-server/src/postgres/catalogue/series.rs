//! Functions that give rows, `unnest` and its like, as SQLite's `json_each` over an array of what they give.
//!
//! `unnest(a) WITH ORDINALITY AS u (x, n)` becomes `json_each(pg_json_unnest(a)) AS u`, `u.x` becomes `u.value` and `u.n`
//! becomes `u.key + 1`. In a list of columns, the function moves into FROM first.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName,
    Select, SelectItem, Statement, TableAlias, TableFactor, TableFunctionArgs, TableWithJoins, VisitMut,
    VisitorMut,
};

use super::dialect::{call, lower, number};

/// Functions that give rows, with those that give the same as JSON.
const SERIES: [(&str, &str); 4] = [
    ("unnest", "pg_json_unnest"),
    ("generate_subscripts", "pg_json_subscripts"),
    ("generate_series", "pg_json_series"),
    ("pg_partition_ancestors", "pg_json_nothing"),
];

/// Puts the functions that give rows into SQLite's form.
pub(super) fn rewrite(statement: &mut Statement) -> ControlFlow<String> {
    let mut tables = Tables::default();
    VisitMut::visit(statement, &mut tables)?;
    VisitMut::visit(statement, &mut Columns(tables.columns))
}

fn json_of(name: &str) -> Option<&'static str> {
    SERIES.iter().find(|(known, _)| *known == name).map(|(_, json)| *json)
}

/// First pass: the tables. Notes what their columns are called.
#[derive(Default)]
struct Tables {
    moved: usize,
    columns: BTreeMap<(String, String), Expr>,
}

impl VisitorMut for Tables {
    type Break = String;

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<String> {
        let mut of: Option<(Expr, String)> = None;
        for item in &mut select.projection {
            let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else {
                continue;
            };
            let Some((name, array)) = series(expr) else { continue };
            let table = match &of {
                Some((known, table)) if *known == array => table.clone(),
                // Several at once go side by side.
                Some((_, table)) => {
                    *expr = if name == "unnest" { beside(array, table) } else { position(table) };
                    continue;
                }
                None => {
                    self.moved += 1;
                    let table = format!("moved_{}", self.moved);
                    select.from.push(each("pg_json_unnest", vec![array.clone()], &table));
                    of = Some((array, table.clone()));
                    table
                }
            };
            *expr = if name == "unnest" { value(&table) } else { position(&table) };
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<String> {
        let (json, arguments, alias) = match factor {
            TableFactor::UNNEST { array_exprs, alias, .. } => {
                ("pg_json_unnest", array_exprs.clone(), alias.clone())
            }
            TableFactor::Table { name, args: Some(TableFunctionArgs { args, .. }), alias, .. } => {
                let Some(json) = lower(name).last().and_then(|name| json_of(name)) else {
                    return ControlFlow::Continue(());
                };
                (json, plain(args), alias.clone())
            }
            TableFactor::Function { name, args, alias, .. } => {
                let Some(json) = lower(name).last().and_then(|name| json_of(name)) else {
                    return ControlFlow::Continue(());
                };
                (json, plain(args), alias.clone())
            }
            _ => return ControlFlow::Continue(()),
        };
        let table = alias.as_ref().map_or_else(|| "unnest".to_owned(), |alias| alias.name.value.clone());
        let columns = alias.map(|alias| alias.columns).unwrap_or_default();
        let key = |column: &str| (table.to_ascii_lowercase(), column.to_ascii_lowercase());
        for (i, column) in columns.iter().enumerate() {
            let expr = if i == 0 { value(&table) } else { position(&table) };
            self.columns.insert(key(&column.name.value), expr);
        }
        self.columns.insert(key("ordinality"), position(&table));
        *factor = each(json, arguments, &table).relation;
        ControlFlow::Continue(())
    }
}

/// Second pass: the columns.
struct Columns(BTreeMap<(String, String), Expr>);

impl VisitorMut for Columns {
    type Break = String;

    /// A column that is given on keeps its name.
    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<String> {
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) = item
                && let Some((renamed, name)) = self.renamed(expr)
            {
                *item = SelectItem::ExprWithAlias { expr: renamed, alias: name };
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<String> {
        if let Some((renamed, _)) = self.renamed(expr) {
            *expr = renamed;
        }
        ControlFlow::Continue(())
    }
}

impl Columns {
    /// What a column of a function is here, and what it was called.
    fn renamed(&self, expr: &Expr) -> Option<(Expr, Ident)> {
        let Expr::CompoundIdentifier(parts) = expr else { return None };
        let [table, column] = &parts[..] else { return None };
        let key = (table.value.to_ascii_lowercase(), column.value.to_ascii_lowercase());
        self.0.get(&key).map(|renamed| (renamed.clone(), column.clone()))
    }
}

/// A call that gives a row an element, with its array.
fn series(expr: &Expr) -> Option<(&'static str, Expr)> {
    let Expr::Function(Function { name, args: FunctionArguments::List(list), .. }) = expr else {
        return None;
    };
    let name = match lower(name).last()?.as_str() {
        "unnest" => "unnest",
        "generate_subscripts" => "generate_subscripts",
        _ => return None,
    };
    Some((name, plain(&list.args).into_iter().next()?))
}

fn plain(args: &[FunctionArg]) -> Vec<Expr> {
    let expr = |arg: &FunctionArg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    args.iter().filter_map(expr).collect()
}

/// `json_each(json(arguments)) AS table`.
fn each(json: &str, arguments: Vec<Expr>, table: &str) -> TableWithJoins {
    let array = FunctionArg::Unnamed(FunctionArgExpr::Expr(call(json, arguments)));
    let alias =
        TableAlias { explicit: true, name: Ident::with_quote('"', table), columns: Vec::new(), at: None };
    let relation = TableFactor::Table {
        name: ObjectName::from(vec![Ident::new("json_each")]),
        alias: Some(alias),
        args: Some(TableFunctionArgs { args: vec![array], settings: None }),
        with_hints: Vec::new(),
        version: None,
        with_ordinality: false,
        partitions: Vec::new(),
        json_path: None,
        sample: None,
        index_hints: Vec::new(),
    };
    TableWithJoins { relation, joins: Vec::new() }
}

/// The element of another array at the place of a table's row.
fn beside(array: Expr, table: &str) -> Expr {
    let key = Expr::CompoundIdentifier(vec![Ident::with_quote('"', table), Ident::new("key")]);
    call("pg_element_beside", vec![array, key])
}

fn value(table: &str) -> Expr {
    Expr::CompoundIdentifier(vec![Ident::with_quote('"', table), Ident::new("value")])
}

fn position(table: &str) -> Expr {
    let key = Expr::CompoundIdentifier(vec![Ident::with_quote('"', table), Ident::new("key")]);
    let sum = Expr::BinaryOp { left: Box::new(key), op: BinaryOperator::Plus, right: Box::new(number(1)) };
    Expr::Nested(Box::new(sum))
}
