//! Expressions without columns, computed while lowering: casts of date strings, `1 = 1`, date arithmetic.
//!
//! Only cheap, deterministic expressions are computed; a function that could make a value of 2 GiB is not.

use datafusion_common::ScalarValue;
use datafusion_common::arrow::datatypes::DataType;
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_expr::simplify::SimplifyContext;
use datafusion_expr::{Expr, Operator};
use datafusion_optimizer::simplify_expressions::ExprSimplifier;

use crate::catalogue::foldable;
use crate::private_query::{Real, Value};

/// The value of an expression without columns, if it has one.
pub(super) fn constant(expr: &Expr) -> Option<ScalarValue> {
    if let Expr::Literal(value, _) = expr {
        return Some(value.clone());
    }
    if !is_computable(expr) {
        return None;
    }
    match ExprSimplifier::new(SimplifyContext::default()).simplify(expr.clone()) {
        Ok(Expr::Literal(value, _)) => Some(value),
        Ok(_) | Err(_) => None,
    }
}

/// A value as questions carry it, `Some(None)` for NULL; `None` for types that they do not.
pub(super) fn value_of(value: &ScalarValue) -> Option<Option<Value>> {
    if value.is_null() {
        return Some(None);
    }
    let found = match value {
        ScalarValue::Boolean(Some(b)) => Value::Boolean(*b),
        whole if whole.data_type().is_integer() => match whole.cast_to(&DataType::Int64) {
            Ok(ScalarValue::Int64(Some(n))) => Value::Integer(n),
            Ok(_) | Err(_) => return None,
        },
        number if number.data_type().is_floating() => match number.cast_to(&DataType::Float64) {
            Ok(ScalarValue::Float64(Some(x))) => Value::Float(Real::new(x)?),
            Ok(_) | Err(_) => return None,
        },
        text => Value::Text(text.try_as_str()??.to_owned()),
    };
    Some(Some(found))
}

/// Whether an expression consists of values and harmless operations alone.
pub(super) fn is_computable(expr: &Expr) -> bool {
    let mut computable = true;
    let walk = expr.apply(|node| {
        computable = computable && is_harmless(node);
        Ok(if computable { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    walk.is_ok() && computable
}

/// Whether a node is a value or a cheap, deterministic operation.
pub(super) fn is_harmless(node: &Expr) -> bool {
    match node {
        Expr::Alias(_)
        | Expr::Literal(..)
        | Expr::Not(_)
        | Expr::IsNotNull(_)
        | Expr::IsNull(_)
        | Expr::IsTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNotFalse(_)
        | Expr::IsNotUnknown(_)
        | Expr::Negative(_)
        | Expr::Between(_)
        | Expr::Case(_)
        | Expr::Cast(_)
        | Expr::TryCast(_)
        | Expr::InList(_) => true,
        Expr::BinaryExpr(binary) => is_cheap(binary.op),
        Expr::ScalarFunction(call) => foldable(&call.func),
        Expr::Column(_)
        | Expr::ScalarVariable(..)
        | Expr::Like(_)
        | Expr::SimilarTo(_)
        | Expr::AggregateFunction(_)
        | Expr::WindowFunction(_)
        | Expr::Exists(_)
        | Expr::InSubquery(_)
        | Expr::SetComparison(_)
        | Expr::ScalarSubquery(_)
        | Expr::GroupingSet(_)
        | Expr::Placeholder(_)
        | Expr::OuterReferenceColumn(..)
        | Expr::Unnest(_)
        | Expr::HigherOrderFunction(_)
        | Expr::Lambda(_)
        | Expr::LambdaVariable(_) => false,
        #[expect(deprecated, reason = "the variant still exists and is refused")]
        Expr::Wildcard { .. } => false,
    }
}

/// Arithmetic, comparison and logic; no regular expressions.
fn is_cheap(op: Operator) -> bool {
    matches!(
        op,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::Plus
            | Operator::Minus
            | Operator::Multiply
            | Operator::Divide
            | Operator::Modulo
            | Operator::And
            | Operator::Or
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
            | Operator::StringConcat
    )
}
