//! Which column an operand is about: casts that keep every value are seen through, parts of dates are recognised.

use caim_ontology::ColumnType;
use datafusion_common::ScalarValue;
use datafusion_common::arrow::datatypes::DataType;
use datafusion_expr::Expr;

use super::scope::{Operand, operand};
use crate::private_query::{ColumnRef, DatePart};
use crate::validate::Side;

/// Something computed from one column that the closed form knows.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Target {
    /// The column, perhaps cast to another type.
    Column { column: ColumnRef, cast: Option<DataType> },
    /// `EXTRACT(part FROM column)`.
    Part { part: DatePart, column: ColumnRef },
    /// `date_trunc(part, column)`.
    Truncated { part: DatePart, column: ColumnRef },
}

/// What an expression is about.
pub(super) fn target(expr: &Expr) -> Option<Target> {
    if let Some(Operand::Own(column)) = operand(expr) {
        return Some(Target::Column { column, cast: None });
    }
    match expr {
        Expr::Alias(alias) => target(&alias.expr),
        Expr::Cast(cast) => match target(&cast.expr)? {
            Target::Column { column, cast: None } => {
                Some(Target::Column { column, cast: Some(cast.field.data_type().clone()) })
            }
            Target::Column { cast: Some(_), .. } => None,
            // Parts are small integers: a cast to another number keeps them.
            part @ Target::Part { .. } => cast.field.data_type().is_numeric().then_some(part),
            truncated @ Target::Truncated { .. } => is_day(cast.field.data_type()).then_some(truncated),
        },
        Expr::ScalarFunction(call) => {
            let [Expr::Literal(ScalarValue::Utf8(Some(part)), _), of] = call.args.as_slice() else {
                return None;
            };
            let part = date_part(part)?;
            let Target::Column { column, cast } = target(of)? else { return None };
            if cast.is_some_and(|ty| !is_day(&ty)) {
                return None;
            }
            match call.func.name() {
                "date_part" => Some(Target::Part { part, column }),
                "date_trunc" => Some(Target::Truncated { part, column }),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The column under casts of any kind: for keys, where only equality counts.
pub(super) fn key_operand(expr: &Expr) -> Option<Operand> {
    match expr {
        Expr::Alias(alias) => key_operand(&alias.expr),
        Expr::Cast(cast) => key_operand(&cast.expr),
        Expr::TryCast(cast) => key_operand(&cast.expr),
        other => operand(other),
    }
}

fn date_part(name: &str) -> Option<DatePart> {
    match name.to_lowercase().as_str() {
        "year" => Some(DatePart::Year),
        "quarter" => Some(DatePart::Quarter),
        "month" => Some(DatePart::Month),
        _ => None,
    }
}

/// Types that hold every date as it is.
fn is_day(ty: &DataType) -> bool {
    matches!(ty, DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, None))
}

/// Whether a cast keeps every value of a column, so that what is asked of the cast can be asked of the column.
pub(super) fn keeps_values(side: Side<'_>, ty: &DataType) -> bool {
    match side.column.ty {
        ColumnType::Text => matches!(ty, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View),
        ColumnType::Integer => match ty {
            DataType::Int64 | DataType::Float64 => true,
            DataType::Decimal128(precision, scale) => i16::from(*precision) - i16::from(*scale) >= 19,
            DataType::Int32 => side
                .column
                .bounds()
                .is_some_and(|b| b.lo >= f64::from(i32::MIN) && b.hi <= f64::from(i32::MAX)),
            _ => false,
        },
        ColumnType::Float => *ty == DataType::Float64,
        ColumnType::Boolean => *ty == DataType::Boolean,
        ColumnType::Date => is_day(ty),
        ColumnType::Timestamp => false,
    }
}
