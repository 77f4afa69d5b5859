//! What stands beside a released measure: its bounds and whether it was released, for `lower(x)`, `upper(x)`, `error(x)`
//! and `status(x)`.
//!
//! The columns come with the aggregate, pass through the nodes above it, and end where the function stands. Their names
//! hold a character that no statement can write.

use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, DFSchema, DFSchemaRef, DataFusionError, ScalarValue};
use datafusion_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, cast, lit, when};
use datafusion_functions::core::expr_fn::greatest;

use crate::catalogue::Said;
use crate::plan::refused;
use crate::refusal::{Code, Refusal};
use datafusion_common::arrow::datatypes::DataType;

/// Parts the name of a measure from what stands beside it.
const MARK: char = '\u{1f}';

/// The column beside a measure's.
pub(super) fn name(measure: &str, said: Said) -> String {
    format!("{measure}{MARK}{}", said.name())
}

/// All that stands beside a measure, from its value and bounds.
pub(super) fn all(value: &Expr, lower: &Expr, upper: &Expr) -> [(Said, Expr); 4] {
    let real = |expr: &Expr| cast(expr.clone(), DataType::Float64);
    let error = greatest(vec![real(value) - real(lower), real(upper) - real(value)]);
    let exact = lower.clone().eq(upper.clone()).and(real(lower).eq(real(value)));
    let status = when(value.clone().is_null(), lit("not released"))
        .when(exact, lit("exact"))
        .otherwise(lit("released"))
        .unwrap_or_else(|_| lit(ScalarValue::Utf8(None)));
    [
        (Said::Lower, real(lower)),
        (Said::Upper, real(upper)),
        (Said::Error, when(value.clone().is_not_null(), error.clone()).end().unwrap_or(error)),
        (Said::Status, status),
    ]
}

/// Whether an expression may ask for what stands beside a measure.
pub(super) fn is_asked(expr: &Expr) -> bool {
    let mut asked = false;
    let walk = expr.apply(|node| {
        if let Expr::ScalarFunction(call) = node {
            asked |= Said::of(&call.func).is_some();
        }
        Ok(if asked { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    asked || walk.is_err()
}

/// The same expression with the columns beside measures in the place of the functions.
pub(super) fn resolved(expr: Expr, inputs: &[LogicalPlan]) -> Result<Expr, Refusal> {
    let resolve = |node: Expr| {
        let Expr::ScalarFunction(call) = &node else { return Ok(Transformed::no(node)) };
        let (Some(said), [of]) = (Said::of(&call.func), call.args.as_slice()) else {
            return Ok(Transformed::no(node));
        };
        let beside = column(of).and_then(|of| inputs.iter().find_map(|input| find(input.schema(), of, said)));
        if let Some(beside) = beside {
            return Ok(Transformed::yes(Expr::Column(beside)));
        }
        let number = inputs.iter().find_map(|i| of.get_type(i.schema()).ok()).is_some_and(|t| t.is_numeric());
        if number || said.only_of_measures() {
            return Err(DataFusionError::External(Box::new(no_measure(said))));
        }
        Ok(Transformed::no(node))
    };
    expr.transform_up(resolve).map(|t| t.data).map_err(|e| refused(&e))
}

fn no_measure(said: Said) -> Refusal {
    let name = said.name();
    Refusal::new(Code::Invalid, format!("{name}(x) is of a released measure by itself; this x is none"))
        .with_rewrite(format!("{name}(count(*)), or {name}(n) where n is the name of an aggregate"))
}

/// The column that an expression is, under its names.
fn column(expr: &Expr) -> Option<&Column> {
    match expr {
        Expr::Column(column) => Some(column),
        Expr::Alias(alias) => column(&alias.expr),
        _ => None,
    }
}

fn find(schema: &DFSchema, of: &Column, said: Said) -> Option<Column> {
    let beside = Column::new(of.relation.clone(), name(&of.name, said));
    schema.has_column(&beside).then_some(beside)
}

/// What a projection hands on: for each of its columns that is a measure, what stands beside it.
pub(super) fn passed_on(expressions: &[Expr], input: &LogicalPlan) -> Vec<Expr> {
    let mut passed = Vec::new();
    for expr in expressions {
        let Some(of) = column(expr) else { continue };
        let (relation, shown) = expr.qualified_name();
        for said in [Said::Lower, Said::Upper, Said::Error, Said::Status] {
            let beside = find(input.schema(), of, said);
            passed.extend(
                beside.map(|b| Expr::Column(b).alias_qualified(relation.clone(), name(&shown, said))),
            );
        }
    }
    passed
}

/// The plan without what stands beside measures: the columns of `schema` alone.
pub(super) fn stripped(plan: LogicalPlan, schema: &DFSchemaRef) -> Result<LogicalPlan, Refusal> {
    if plan.schema().fields().len() == schema.fields().len() {
        return Ok(plan);
    }
    let kept = plan.schema().iter().filter(|(_, field)| !field.name().contains(MARK));
    let kept: Vec<Expr> = kept.map(|found| Expr::Column(Column::from(found))).collect();
    LogicalPlanBuilder::from(plan).project(kept).and_then(LogicalPlanBuilder::build).map_err(|e| refused(&e))
}
