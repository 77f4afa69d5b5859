//! Computes an expression for all codes of a vocabulary at once, with Arrow's kernels.

use std::sync::Arc;

use datafusion_common::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, new_null_array};
use datafusion_common::arrow::compute::kernels::{boolean, cmp, comparison, concat_elements, numeric, zip};
use datafusion_common::arrow::compute::{CastOptions, cast_with_options};
use datafusion_common::arrow::datatypes::{DataType, Field};
use datafusion_common::arrow::error::ArrowError;
use datafusion_common::config::ConfigOptions;
use datafusion_common::{DataFusionError, Result, ScalarValue, plan_err};
use datafusion_expr::expr::{BinaryExpr, Case, InList, Like, ScalarFunction};
use datafusion_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion_expr::{ColumnarValue, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs};

/// Bytes that the values of an expression, or of a part of it, may take for all codes.
const MAX_BYTES: usize = 64 << 20;

/// The values of an expression in which every column stands for `codes`, one a code. An expression that fails on one
/// code is NULL there.
///
/// # Errors
/// `ResourcesExhausted` for values that are too large.
pub(super) fn evaluate(expr: &Expr, codes: &ArrayRef) -> Result<ArrayRef> {
    match (Over { codes, bytes: MAX_BYTES }).array(expr) {
        Err(DataFusionError::ResourcesExhausted(reason)) => Err(DataFusionError::ResourcesExhausted(reason)),
        Err(_) => one_by_one(expr, codes),
        values => values,
    }
}

fn one_by_one(expr: &Expr, codes: &ArrayRef) -> Result<ArrayRef> {
    let bytes = MAX_BYTES / codes.len().max(1);
    let value = |row: usize| {
        let code = codes.slice(row, 1);
        let value =
            (Over { codes: &code, bytes }).array(expr).and_then(|v| ScalarValue::try_from_array(&v, 0));
        match value {
            Err(DataFusionError::ResourcesExhausted(reason)) => {
                Err(DataFusionError::ResourcesExhausted(reason))
            }
            Err(_) => Ok(ScalarValue::Null),
            value => value,
        }
    };
    let values = (0..codes.len()).map(value).collect::<Result<Vec<ScalarValue>>>()?;
    let ty = values.iter().find(|v| !v.is_null()).map_or(DataType::Null, ScalarValue::data_type);
    let typed = values.into_iter().map(|v| if v.is_null() { ScalarValue::try_from(&ty) } else { Ok(v) });
    ScalarValue::iter_to_array(typed.collect::<Result<Vec<_>>>()?)
}

struct Over<'a> {
    codes: &'a ArrayRef,
    /// What the values of any part of the expression may take.
    bytes: usize,
}

impl Over<'_> {
    fn array(&self, expr: &Expr) -> Result<ArrayRef> {
        let array = self.value(expr)?.into_array(self.codes.len())?;
        self.check(array.to_data().get_slice_memory_size()?)?;
        Ok(array)
    }

    fn check(&self, bytes: usize) -> Result<()> {
        if bytes > self.bytes {
            let reason = "an expression over a vocabulary makes values that are too large";
            return Err(DataFusionError::ResourcesExhausted(reason.to_owned()));
        }
        Ok(())
    }

    fn truth(&self, expr: &Expr) -> Result<BooleanArray> {
        let values = self.array(expr)?;
        match values.data_type() {
            DataType::Boolean => Ok(values.as_boolean().clone()),
            DataType::Null => Ok(BooleanArray::new_null(values.len())),
            other => plan_err!("a condition of type {other}"),
        }
    }

    fn value(&self, expr: &Expr) -> Result<ColumnarValue> {
        let array = match expr {
            Expr::Literal(value, _) => return Ok(ColumnarValue::Scalar(value.clone())),
            Expr::Column(_) => Arc::clone(self.codes),
            Expr::Alias(alias) => return self.value(&alias.expr),
            Expr::Cast(cast) => self.cast(&cast.expr, cast.field.data_type())?,
            Expr::TryCast(cast) => self.cast(&cast.expr, cast.field.data_type())?,
            Expr::Not(of) => Arc::new(boolean::not(&self.truth(of)?)?),
            Expr::IsNull(of) | Expr::IsUnknown(of) => Arc::new(boolean::is_null(&self.array(of)?)?),
            Expr::IsNotNull(of) | Expr::IsNotUnknown(of) => Arc::new(boolean::is_not_null(&self.array(of)?)?),
            Expr::IsTrue(of) => self.known(of, |truth| truth == Some(true))?,
            Expr::IsNotTrue(of) => self.known(of, |truth| truth != Some(true))?,
            Expr::IsFalse(of) => self.known(of, |truth| truth == Some(false))?,
            Expr::IsNotFalse(of) => self.known(of, |truth| truth != Some(false))?,
            Expr::Negative(of) => numeric::neg(&self.array(of)?)?,
            Expr::Between(between) => {
                let (of, low, high) = (&between.expr, &between.low, &between.high);
                let within = of.as_ref().clone().gt_eq(low.as_ref().clone());
                let within = within.and(of.as_ref().clone().lt_eq(high.as_ref().clone()));
                return self.value(&if between.negated { Expr::Not(Box::new(within)) } else { within });
            }
            Expr::InList(list) => Arc::new(self.in_list(list)?),
            Expr::Like(like) => Arc::new(self.like(like)?),
            Expr::Case(case) => self.case(case)?,
            Expr::BinaryExpr(binary) => self.binary(binary)?,
            Expr::ScalarFunction(call) => return self.call(call),
            other => return plan_err!("{} is not computed over a vocabulary", other.variant_name()),
        };
        Ok(ColumnarValue::Array(array))
    }

    /// Bytes that a value takes for all codes.
    fn size(&self, value: &ColumnarValue) -> Result<usize> {
        match value {
            ColumnarValue::Array(array) => Ok(array.to_data().get_slice_memory_size()?),
            ColumnarValue::Scalar(value) => Ok(value.size().saturating_mul(self.codes.len())),
        }
    }

    fn cast(&self, of: &Expr, to: &DataType) -> Result<ArrayRef> {
        let safe = CastOptions { safe: true, ..CastOptions::default() };
        Ok(cast_with_options(&self.array(of)?, to, &safe)?)
    }

    fn known(&self, of: &Expr, holds: impl Fn(Option<bool>) -> bool) -> Result<ArrayRef> {
        Ok(Arc::new(self.truth(of)?.iter().map(|truth| Some(holds(truth))).collect::<BooleanArray>()))
    }

    fn in_list(&self, InList { expr, list, negated }: &InList) -> Result<BooleanArray> {
        let mut found = BooleanArray::from(vec![false; self.codes.len()]);
        let of = self.array(expr)?;
        for item in list {
            found = boolean::or_kleene(&found, &cmp::eq(&of, &self.array(item)?)?)?;
        }
        Ok(if *negated { boolean::not(&found)? } else { found })
    }

    fn like(&self, like: &Like) -> Result<BooleanArray> {
        let Like { negated, expr, pattern, escape_char, case_insensitive } = like;
        if escape_char.is_some_and(|escape| escape != '\\') {
            return plan_err!("LIKE with an escape character of its own");
        }
        let (of, pattern) = (self.array(expr)?, self.array(pattern)?);
        Ok(match (case_insensitive, negated) {
            (false, false) => comparison::like(&of, &pattern)?,
            (false, true) => comparison::nlike(&of, &pattern)?,
            (true, false) => comparison::ilike(&of, &pattern)?,
            (true, true) => comparison::nilike(&of, &pattern)?,
        })
    }

    /// The last branch first, so that each branch goes over those below it.
    fn case(&self, Case { expr, when_then_expr, else_expr }: &Case) -> Result<ArrayRef> {
        let mut value = else_expr.as_ref().map(|otherwise| self.array(otherwise)).transpose()?;
        for (when, then) in when_then_expr.iter().rev() {
            let when = match expr {
                Some(of) => self.truth(&of.as_ref().clone().eq(when.as_ref().clone()))?,
                None => self.truth(when)?,
            };
            // NULL is not met.
            let met: BooleanArray = when.iter().map(|truth| Some(truth == Some(true))).collect();
            let then = self.array(then)?;
            let below = value.unwrap_or_else(|| new_null_array(then.data_type(), then.len()));
            value = Some(zip::zip(&met, &then, &below)?);
        }
        value.ok_or_else(|| DataFusionError::Plan("a CASE without branches".to_owned()))
    }

    fn binary(&self, BinaryExpr { left, op, right }: &BinaryExpr) -> Result<ArrayRef> {
        let logic = |of: fn(&BooleanArray, &BooleanArray) -> Result<BooleanArray, ArrowError>| {
            Ok::<ArrayRef, DataFusionError>(Arc::new(of(&self.truth(left)?, &self.truth(right)?)?))
        };
        match op {
            Operator::And => return logic(boolean::and_kleene),
            Operator::Or => return logic(boolean::or_kleene),
            _ => {}
        }
        let (a, b) = (self.array(left)?, self.array(right)?);
        let compared = |of: Result<BooleanArray, ArrowError>| Ok::<ArrayRef, DataFusionError>(Arc::new(of?));
        match op {
            Operator::Eq => compared(cmp::eq(&a, &b)),
            Operator::NotEq => compared(cmp::neq(&a, &b)),
            Operator::Lt => compared(cmp::lt(&a, &b)),
            Operator::LtEq => compared(cmp::lt_eq(&a, &b)),
            Operator::Gt => compared(cmp::gt(&a, &b)),
            Operator::GtEq => compared(cmp::gt_eq(&a, &b)),
            Operator::IsDistinctFrom => compared(cmp::distinct(&a, &b)),
            Operator::IsNotDistinctFrom => compared(cmp::not_distinct(&a, &b)),
            Operator::Plus => Ok(numeric::add(&a, &b)?),
            Operator::Minus => Ok(numeric::sub(&a, &b)?),
            Operator::Multiply => Ok(numeric::mul(&a, &b)?),
            Operator::Divide => Ok(numeric::div(&a, &b)?),
            Operator::Modulo => Ok(numeric::rem(&a, &b)?),
            Operator::StringConcat => Ok(Arc::new(concat_elements::concat_elements_utf8(
                a.as_string::<i32>(),
                b.as_string::<i32>(),
            )?)),
            other => plan_err!("{other} is not computed over a vocabulary"),
        }
    }

    /// Some functions are but another way to write a CASE, and run in no other way.
    fn call(&self, call: &ScalarFunction) -> Result<ColumnarValue> {
        match call.func.simplify(call.args.clone(), &SimplifyContext::default()) {
            Ok(ExprSimplifyResult::Simplified(simple)) => self.value(&simple),
            Ok(ExprSimplifyResult::Original(_)) | Err(_) => self.run(call),
        }
    }

    fn run(&self, ScalarFunction { func, args }: &ScalarFunction) -> Result<ColumnarValue> {
        let args = args.iter().map(|arg| self.value(arg)).collect::<Result<Vec<_>>>()?;
        // No function makes more than what it is given together.
        self.check(args.iter().map(|arg| self.size(arg)).sum::<Result<usize>>()?)?;
        let field = |arg: &ColumnarValue| Arc::new(Field::new("argument", arg.data_type(), true));
        let arg_fields: Vec<_> = args.iter().map(field).collect();
        let scalars: Vec<Option<&ScalarValue>> = args
            .iter()
            .map(|arg| match arg {
                ColumnarValue::Scalar(value) => Some(value),
                ColumnarValue::Array(_) => None,
            })
            .collect();
        let return_field = func.return_field_from_args(ReturnFieldArgs {
            arg_fields: &arg_fields,
            scalar_arguments: &scalars,
        })?;
        func.invoke_with_args(ScalarFunctionArgs {
            args,
            arg_fields,
            number_rows: self.codes.len(),
            return_field,
            config_options: Arc::new(ConfigOptions::default()),
        })
    }
}
