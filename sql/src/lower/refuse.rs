//! Which rule an expression breaks that does not fit the closed form: the most serious one is named first.

use caim_ontology::{ColumnType, Role};
use datafusion_common::JoinType;
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_expr::Expr;

use super::columns::key_operand;
use super::condition::Reader;
use super::scope::{Operand, operand};
use crate::catalogue::NODE;
use crate::private_query::ColumnRef;
use crate::refusal::{Code, Refusal};
use crate::validate::{Side, comparison, full_name};

/// Functions of dates: what they pick is better said by ranges and groups.
const DATE_FUNCTIONS: [&str; 3] = ["date_part", "date_trunc", "date_bin"];

/// What an expression is made of.
#[derive(Default)]
struct Findings {
    columns: Vec<ColumnRef>,
    functions: Vec<String>,
    subquery: bool,
}

impl Findings {
    fn of(expr: &Expr) -> Self {
        let mut found = Self::default();
        let walk = expr.apply(|node| {
            match node {
                Expr::Column(_) => found.columns.extend(own(node)),
                Expr::ScalarFunction(call) => found.functions.push(call.func.name().to_owned()),
                _ => found.subquery |= is_subquery(node),
            }
            Ok(TreeNodeRecursion::Continue)
        });
        debug_assert!(walk.is_ok(), "the walk itself cannot fail");
        found
    }
}

fn own(expr: &Expr) -> Option<ColumnRef> {
    match operand(expr)? {
        Operand::Own(column) => Some(column),
        Operand::Outer(_) => None,
    }
}

fn is_subquery(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_))
}

/// Whether a subquery stands anywhere in an expression.
pub(super) fn has_subquery(expr: &Expr) -> bool {
    expr.exists(|node| Ok(is_subquery(node))).unwrap_or(true)
}

/// The column of nodes where nodes are no group.
pub(super) fn only_grouped() -> Refusal {
    Refusal::new(Code::ExpressionNotAllowed, format!("{NODE} is a group and nothing else")).with_rewrite(
        format!(
            "GROUP BY {NODE}, and choose nodes from the result: ... GROUP BY {NODE} HAVING {NODE} = '...'"
        ),
    )
}

/// An outer join that keeps rows without a partner.
pub(super) fn outer_join(ty: JoinType) -> Refusal {
    Refusal::new(Code::JoinNotInGraph, format!("a {ty} join keeps rows without a partner")).with_rewrite(
        "use JOIN for rows with a partner, WHERE NOT EXISTS (...) for those without one, or aggregate first and join \
         the results",
    )
}

/// The refusal of a condition that is no comparison.
pub(super) fn not_a_condition(reader: &Reader<'_>, expr: &Expr) -> Refusal {
    let found = Findings::of(expr);
    if let Some(refusal) = forbidden_column(reader, expr, &found) {
        return refusal;
    }
    if found.subquery {
        return Refusal::new(Code::ScalarSubquery, "a condition contains a scalar subquery");
    }
    let on = columns(reader, &found);
    match found.functions.first() {
        Some(name) if DATE_FUNCTIONS.contains(&name.as_str()) => {
            Refusal::new(Code::ExpressionNotAllowed, format!("{name}() stands in a condition{on}")).with_rewrite(
                "compare the date itself: d >= DATE '2020-01-01' AND d < DATE '2021-01-01'; its year may be compared",
            )
        }
        Some(name) => {
            let reason = format!("{name}() stands in a condition{on}");
            unpublished(reader, &found, Refusal::new(Code::FunctionNotAllowed, reason))
        }
        None => {
            let reason = format!("a condition{on} is no comparison with values");
            unpublished(reader, &found, Refusal::new(Code::ExpressionNotAllowed, reason))
        }
    }
}

/// The refusal of a group that is no dimension.
pub(super) fn not_a_group(reader: &Reader<'_>, expr: &Expr) -> Refusal {
    let found = Findings::of(expr);
    if let Some(refusal) = forbidden_column(reader, expr, &found) {
        return refusal;
    }
    let sides: Vec<Side<'_>> = found.columns.iter().filter_map(|c| reader.side(c).ok()).collect();
    if let [first, ..] = sides.as_slice()
        && sides.iter().all(|side| matches!(side.column.role, Role::Date { .. }))
    {
        let reason = format!("{} is grouped by its year, quarter or month", full_name(*first));
        return Refusal::new(Code::Grid, reason)
            .with_rewrite(format!("GROUP BY EXTRACT(YEAR FROM {})", first.column.name));
    }
    let on = columns(reader, &found);
    let (code, reason) = match found.functions.first() {
        _ if found.subquery => (Code::ScalarSubquery, "a group contains a subquery".to_owned()),
        Some(name) => (Code::FunctionNotAllowed, format!("{name}() stands in a group{on}")),
        None => (Code::ExpressionNotAllowed, format!("a group{on} is no column")),
    };
    let refusal = Refusal::new(code, reason).with_rewrite(
        "GROUP BY the column itself, and compute on the result: SELECT f(g), sum(n) FROM (SELECT g, count(*) AS n ... \
         GROUP BY g) GROUP BY 1",
    );
    unpublished(reader, &found, refusal)
}

/// Says so where the expression is refused because no values of its one text are publicly known.
fn unpublished(reader: &Reader<'_>, found: &Findings, refusal: Refusal) -> Refusal {
    let [column] = found.columns.as_slice() else { return refusal };
    let Ok(side) = reader.side(column) else { return refusal };
    let text = side.column.ty == ColumnType::Text && matches!(side.column.role, Role::Dimension { .. });
    if !text || !side.column.roots.is_empty() || !side.column.values.is_empty() {
        return refusal;
    }
    let reason = format!("{}, of which no values are published", refusal.reason);
    let name = &side.column.name;
    Refusal::new(refusal.code, reason).with_rewrite(format!(
        "compare the column itself ({name} = '...', {name} IN (...)), group by it, or let operators publish a cube that is \
         grouped by it"
    ))
}

/// The refusal of an expression inside an aggregate.
pub(super) fn not_in_aggregate(reader: &Reader<'_>, expr: &Expr) -> Refusal {
    let found = Findings::of(expr);
    forbidden_column(reader, expr, &found).unwrap_or_else(|| {
        let on = columns(reader, &found);
        Refusal::new(
            Code::ExpressionInAggregate,
            format!("an aggregate computes with more than a column{on}"),
        )
    })
}

/// Identifiers and hidden columns are refused wherever they stand.
fn forbidden_column(reader: &Reader<'_>, expr: &Expr, found: &Findings) -> Option<Refusal> {
    let sides: Vec<Side<'_>> = found.columns.iter().filter_map(|c| reader.side(c).ok()).collect();
    let identifier = sides.iter().find(|s| matches!(s.column.role, Role::UnitId | Role::Identifier { .. }));
    if let Some(side) = identifier {
        let matched =
            matches!(expr, Expr::Like(like) | Expr::SimilarTo(like) if key_operand(&like.expr).is_some());
        let code = if matched { Code::IdentifierFilter } else { Code::IdentifierInExpression };
        let role = side.column.role.name();
        return Some(Refusal::new(code, format!("{} is a column of role {role}", full_name(*side))));
    }
    sides.iter().find(|s| s.column.role == Role::Hidden).and_then(|side| comparison(*side).err())
}

/// ` on dicom.series.Modality`, for the reason.
fn columns(reader: &Reader<'_>, found: &Findings) -> String {
    const MOST: usize = 3;
    let mut names: Vec<String> =
        found.columns.iter().filter_map(|c| reader.side(c).ok()).map(full_name).collect();
    names.sort();
    names.dedup();
    names.truncate(MOST);
    if names.is_empty() { String::new() } else { format!(" on {}", names.join(", ")) }
}
