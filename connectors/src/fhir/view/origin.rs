//! From which elements of a resource the values of a column come: found in the expressions, without a record.

use std::collections::BTreeSet;

use super::{Each, Select, View};
use crate::fhir::path::{Expr, Function, Operator};

/// A view that reads more places than these is refused: repeats inside repeats multiply them.
const MOST: usize = 10_000;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// The key of the resource.
    ResourceKey,
    /// The key of a resource that is referred to, with its type where the view says it.
    ReferenceKey(Option<String>),
    /// An element, by the names of JSON from the resource down.
    Element(Vec<String>),
}

type Origins = BTreeSet<Origin>;

impl View {
    /// The origins of every column's values; `None` where a view reads more places than anybody would.
    pub(crate) fn origins(&self) -> Option<Vec<Origins>> {
        let mut found = vec![Origins::new(); self.columns.len()];
        let root = Origins::from([Origin::Element(Vec::new())]);
        self.selects.iter().try_for_each(|select| add(select, &root, &mut found))?;
        Some(found)
    }
}

fn add(select: &Select, outer: &Origins, found: &mut [Origins]) -> Option<()> {
    let scope = scope(&select.each, outer);
    if scope.len() > MOST {
        return None;
    }
    for (position, expr) in &select.columns {
        if let Some(column) = found.get_mut(*position) {
            column.extend(of(expr, &scope));
        }
    }
    select.selects.iter().chain(&select.unions).try_for_each(|inner| add(inner, &scope, found))
}

fn scope(each: &Each, outer: &Origins) -> Origins {
    match each {
        Each::This => outer.clone(),
        Each::Item(_, expr) | Each::ItemOrNull(_, expr) => of(expr, outer),
        // What repeats has the same names at every depth: two levels show all of them.
        Each::Repeat(exprs) => {
            let level = |of_level: &Origins| exprs.iter().flat_map(|(_, expr)| of(expr, of_level)).collect();
            let first: Origins = level(outer);
            let second: Origins = if first.len() > MOST { Origins::new() } else { level(&first) };
            first.into_iter().chain(second).collect()
        }
    }
}

/// The origins of what an expression gives. Truth values, counts and literals come from nowhere.
fn of(expr: &Expr, scope: &Origins) -> Origins {
    match expr {
        Expr::Literal(_) | Expr::RowIndex | Expr::Is(..) => Origins::new(),
        Expr::This | Expr::Resource(_) => scope.clone(),
        Expr::Member(input, name) => below(of(input, scope), name),
        Expr::Choice(input, choice) => below(of(input, scope), choice.key()),
        Expr::Index(input, _) | Expr::Negative(input) => of(input, scope),
        Expr::Call(input, function) => of_call(input, function, scope),
        Expr::Binary(operator, a, b) => match operator {
            Operator::Union | Operator::Add | Operator::Subtract | Operator::Multiply | Operator::Divide => {
                of(a, scope).into_iter().chain(of(b, scope)).collect()
            }
            Operator::Or
            | Operator::Xor
            | Operator::And
            | Operator::Equal
            | Operator::NotEqual
            | Operator::Less
            | Operator::LessOrEqual
            | Operator::Greater
            | Operator::GreaterOrEqual => Origins::new(),
        },
    }
}

fn of_call(input: &Expr, function: &Function, scope: &Origins) -> Origins {
    match function {
        Function::Exists(_) | Function::Empty | Function::Not | Function::Count => Origins::new(),
        Function::Where(_)
        | Function::First
        | Function::Last
        | Function::OfType(_)
        | Function::Boundary(_)
        | Function::Join(None) => of(input, scope),
        Function::Join(Some(text)) => of(input, scope).into_iter().chain(of(text, scope)).collect(),
        Function::Replace(_, text) => of(input, scope).into_iter().chain(of(text, scope)).collect(),
        Function::Extension(_) => below(of(input, scope), "extension"),
        Function::ResourceKey => Origins::from([Origin::ResourceKey]),
        Function::ReferenceKey(ty) => {
            Origins::from([Origin::ReferenceKey(ty.as_ref().map(|ty| ty.capital()))])
        }
    }
}

/// The element of this name in each. Keys have none.
fn below(origins: Origins, name: &str) -> Origins {
    let inner = |origin| match origin {
        Origin::Element(mut names) => {
            names.push(name.to_owned());
            Some(Origin::Element(names))
        }
        Origin::ResourceKey | Origin::ReferenceKey(_) => None,
    };
    origins.into_iter().filter_map(inner).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(select: &str) -> Vec<Vec<String>> {
        let view = View::read(&format!(r#"{{"resource":"Patient","select":{select}}}"#)).unwrap();
        let text = |origin: &Origin| match origin {
            Origin::ResourceKey => "key".to_owned(),
            Origin::ReferenceKey(ty) => format!("key of {}", ty.as_deref().unwrap_or("any")),
            Origin::Element(names) => names.join("."),
        };
        view.origins().unwrap().iter().map(|column| column.iter().map(text).collect()).collect()
    }

    fn of_path(path: &str) -> Vec<String> {
        origins(&format!(r#"[{{"column":[{{"name":"a","path":"{path}"}}]}}]"#)).remove(0)
    }

    #[test]
    fn an_expression_shows_the_elements_that_its_values_come_from() {
        for (path, wanted) in [
            ("name.where(use = 'official').first().family", vec!["name.family"]),
            ("Patient.identifier[0].value", vec!["identifier.value"]),
            (
                "(value.ofType(Quantity).value | value.ofType(integer)).first()",
                vec!["valueInteger", "valueQuantity.value"],
            ),
            ("extension('http://x').value.ofType(string)", vec!["extension.valueString"]),
            ("name.exists()", vec![]),
            ("name.family = 'x'", vec![]),
            ("'a'.replace('a', name.text)", vec!["name.text"]),
            ("name.given.join(address.city)", vec!["address.city", "name.given"]),
            ("getResourceKey()", vec!["key"]),
            ("subject.getReferenceKey(Patient)", vec!["key of Patient"]),
        ] {
            assert_eq!(of_path(path), wanted, "{path}");
        }
    }

    #[test]
    fn columns_inside_iterations_and_unions_are_seen_from_the_resource() {
        let select = r#"[{"forEach":"contact","select":[{"forEachOrNull":"name","column":[{"name":"a","path":"$this.family"}]}]},
            {"unionAll":[{"column":[{"name":"b","path":"id"}]},{"forEach":"link","column":[{"name":"b","path":"type"}]}]},
            {"repeat":["item"],"column":[{"name":"c","path":"text"}]}]"#;
        assert_eq!(
            origins(select),
            [vec!["contact.name.family"], vec!["id", "link.type"], vec!["item.item.text", "item.text"]]
        );
    }
}
