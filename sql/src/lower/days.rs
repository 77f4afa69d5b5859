//! Arithmetic of dates: comparisons of two dates of one row, days between them, intervals of days.
//!
//! An expression is read as dates added, dates taken away, and a number of days. Where one date remains on either side,
//! the comparison is a range of days; where one date remains at all, a range of dates.

use caim_ontology::Role;
use datafusion_common::ScalarValue;
use datafusion_common::arrow::array::types::IntervalMonthDayNano;
use datafusion_common::arrow::datatypes::DataType;
use datafusion_expr::expr::BinaryExpr;
use datafusion_expr::{Expr, Operator};

use super::compare::Sign;
use super::condition::{Reader, Sense};
use super::constant::constant;
use super::scope::{Operand, operand};
use crate::bounds::MAX_DAYS;
use crate::private_query::{Atom, BoolTree, ColumnRef, DateOf, Days};
use crate::refusal::{Code, Refusal};
use crate::validate::days_too_far;

/// Nanoseconds of a day.
const DAY: i64 = 86_400_000_000_000;

/// What an expression of dates stands for, in SQL's types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A date.
    Date,
    /// A date as a time: its first moment.
    Moment,
    /// A number of days.
    Days,
}

/// Dates added, dates taken away, and days.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sum {
    kind: Kind,
    plus: Vec<Operand>,
    minus: Vec<Operand>,
    days: i64,
}

/// What a comparison of dates comes to.
pub(super) enum Compared {
    /// It is lowered.
    Tree(BoolTree),
    /// One date of the row is compared with a value.
    With { column: ColumnRef, sign: Sign, value: ScalarValue },
}

/// `left sign right` where both are made of dates; `None` when they are not.
pub(super) fn compared(
    reader: &Reader<'_>,
    left: &Expr,
    sign: Sign,
    right: &Expr,
) -> Result<Option<Compared>, Refusal> {
    let (Some(left), Some(right)) = (sum(reader, left)?, sum(reader, right)?) else { return Ok(None) };
    let Some(Sum { plus, minus, days, .. }) = left.without(right) else { return Ok(None) };
    let Some(than) = days.checked_neg() else { return Ok(None) };
    let one = |column: &ColumnRef, sign, day: i64| {
        let value = ScalarValue::Date32(i32::try_from(day).ok());
        let with = Compared::With { column: column.clone(), sign, value: value.clone() };
        if value.is_null() { Err(days_too_far(day)) } else { Ok(Some(with)) }
    };
    match (plus.as_slice(), minus.as_slice()) {
        ([to], [from]) => Ok(Some(Compared::Tree(within(from, to, sign, than)?))),
        ([Operand::Own(column)], []) => one(column, sign, than),
        ([], [Operand::Own(column)]) => one(column, sign.mirrored(), days),
        _ => Ok(None),
    }
}

/// The dates that an expression counts the days between, as `to - from`; `None` for any other.
pub(super) fn between(reader: &Reader<'_>, expr: &Expr) -> Result<Option<Days>, Refusal> {
    let Some(found) = sum(reader, expr)? else { return Ok(None) };
    match (found.kind, found.plus.as_slice(), found.minus.as_slice(), found.days) {
        (Kind::Days, [Operand::Own(to)], [Operand::Own(from)], 0) => {
            Ok(Some(Days { from: from.clone(), to: to.clone() }))
        }
        _ => Ok(None),
    }
}

fn within(from: &Operand, to: &Operand, sign: Sign, than: i64) -> Result<BoolTree, Refusal> {
    if let (Operand::Outer(_), Operand::Outer(_)) = (from, to) {
        let reason = "two dates of the row outside are compared inside EXISTS";
        return Err(Refusal::new(Code::ExpressionNotAllowed, reason)
            .with_rewrite("write the comparison beside EXISTS, joined by AND"));
    }
    let next = than.saturating_add(1);
    let (lo, hi) = match sign {
        Sign::Eq | Sign::NotEq => (Some(than), Some(next)),
        Sign::Lt => (None, Some(than)),
        Sign::LtEq => (None, Some(next)),
        Sign::Gt => (Some(next), None),
        Sign::GtEq => (Some(than), None),
    };
    if lo.into_iter().chain(hi).any(|end| !(-MAX_DAYS..=MAX_DAYS + 1).contains(&end)) {
        return Err(days_too_far(than));
    }
    let date = |operand: &Operand| match operand {
        Operand::Own(column) => DateOf::Own(column.clone()),
        Operand::Outer(column) => DateOf::Outer(column.clone()),
    };
    let tree = BoolTree::Is(Atom::DateDiff { from: date(from), to: date(to), lo, hi });
    Ok(if sign == Sign::NotEq { Sense::Fails.of(tree) } else { tree })
}

/// Reads an expression; `None` when it is not made of dates of role date.
fn sum(reader: &Reader<'_>, expr: &Expr) -> Result<Option<Sum>, Refusal> {
    if let Some(value) = constant(expr) {
        return value_of(&value);
    }
    if let Some(date) = operand(expr) {
        let is_date = matches!(reader.side_of(&date)?.column.role, Role::Date { .. });
        let plus = vec![date];
        return Ok(is_date.then_some(Sum { kind: Kind::Date, plus, minus: Vec::new(), days: 0 }));
    }
    match expr {
        Expr::Alias(alias) => sum(reader, &alias.expr),
        Expr::Cast(cast) => {
            let inner = sum(reader, &cast.expr)?;
            Ok(inner.and_then(|inner| inner.cast_to(cast.field.data_type())))
        }
        Expr::Negative(inner) => Ok(sum(reader, inner)?.and_then(Sum::turned)),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Plus, right }) => {
            let (Some(left), Some(right)) = (sum(reader, left)?, sum(reader, right)?) else {
                return Ok(None);
            };
            Ok(left.with(right))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Minus, right }) => {
            let (Some(left), Some(right)) = (sum(reader, left)?, sum(reader, right)?) else {
                return Ok(None);
            };
            // Times differ by a duration, which is no number of days in SQL.
            let times = left.kind == Kind::Moment && right.kind != Kind::Days;
            Ok(if times { None } else { left.without(right) })
        }
        _ => Ok(None),
    }
}

/// A constant date, number of days or interval.
fn value_of(value: &ScalarValue) -> Result<Option<Sum>, Refusal> {
    let (kind, days) = match value {
        ScalarValue::Date32(Some(days)) => (Kind::Date, Some(i64::from(*days))),
        ScalarValue::IntervalMonthDayNano(Some(interval)) => (Kind::Days, whole_days(*interval)?),
        whole if whole.data_type().is_integer() || whole.data_type().is_floating() => {
            (Kind::Days, whole_number(whole))
        }
        time if matches!(time.data_type(), DataType::Timestamp(_, None) | DataType::Date64) => {
            (Kind::Moment, midnight(time))
        }
        _ => (Kind::Days, None),
    };
    Ok(days.map(|days| Sum { kind, plus: Vec::new(), minus: Vec::new(), days }))
}

fn whole_number(value: &ScalarValue) -> Option<i64> {
    let cast = |ty: &DataType| value.cast_to(ty).ok();
    let Some(ScalarValue::Int64(Some(whole))) = cast(&DataType::Int64) else { return None };
    (ScalarValue::Int64(Some(whole)).cast_to(&value.data_type()).ok()? == *value).then_some(whole)
}

fn midnight(value: &ScalarValue) -> Option<i64> {
    let Ok(ScalarValue::Date32(Some(days))) = value.cast_to(&DataType::Date32) else { return None };
    let back = ScalarValue::Date32(Some(days)).cast_to(&value.data_type()).ok()?;
    (back == *value).then_some(i64::from(days))
}

/// The days of an interval. One of months has no fixed number of them.
fn whole_days(interval: IntervalMonthDayNano) -> Result<Option<i64>, Refusal> {
    let IntervalMonthDayNano { months, days, nanoseconds } = interval;
    // A month of 30.436875 days is a twelfth of the Gregorian year's mean.
    let about = (f64::from(months) * 30.436_875).round() as i64 + i64::from(days) + nanoseconds / DAY;
    let instead = format!("write whole days, for example INTERVAL '{about}' DAY");
    if months != 0 {
        let reason = format!("an interval of {months} months has no fixed number of days");
        return Err(Refusal::new(Code::Grid, reason).with_rewrite(instead));
    }
    if nanoseconds % DAY != 0 {
        return Err(Refusal::new(Code::Grid, "dates are compared by whole days, not by parts of a day")
            .with_rewrite(instead));
    }
    Ok(Some(i64::from(days) + nanoseconds / DAY))
}

impl Sum {
    fn with(self, other: Self) -> Option<Self> {
        let kind = match (self.kind, other.kind) {
            (kind, Kind::Days) | (Kind::Days, kind) => kind,
            (Kind::Date | Kind::Moment, Kind::Date | Kind::Moment) => return None,
        };
        let join = |a: Vec<Operand>, b: Vec<Operand>| a.into_iter().chain(b).collect();
        Some(Self {
            kind,
            plus: join(self.plus, other.plus),
            minus: join(self.minus, other.minus),
            days: self.days.checked_add(other.days)?,
        })
    }

    /// What remains when another sum is taken away.
    fn without(self, other: Self) -> Option<Self> {
        let kind = match (self.kind, other.kind) {
            (kind, Kind::Days) => kind,
            (Kind::Days, Kind::Date | Kind::Moment) => return None,
            (Kind::Date | Kind::Moment, Kind::Date | Kind::Moment) => Kind::Days,
        };
        let (left, right) = (Self { kind: Kind::Days, ..self }, Self { kind: Kind::Days, ..other });
        Some(Self { kind, ..left.with(right.turned()?)? })
    }

    fn turned(self) -> Option<Self> {
        let Self { kind, plus, minus, days } = self;
        let days = days.checked_neg()?;
        (kind == Kind::Days).then_some(Self { kind, plus: minus, minus: plus, days })
    }

    /// The same under a cast that keeps it.
    fn cast_to(self, ty: &DataType) -> Option<Self> {
        let kind = match (self.kind, ty) {
            (Kind::Date | Kind::Moment, DataType::Date32) => Kind::Date,
            (Kind::Date | Kind::Moment, DataType::Date64 | DataType::Timestamp(_, None)) => Kind::Moment,
            (Kind::Days, DataType::Int64 | DataType::Float64) => Kind::Days,
            (Kind::Days, DataType::Decimal128(precision, scale))
                if i16::from(*precision) - i16::from(*scale) >= 10 =>
            {
                Kind::Days
            }
            _ => return None,
        };
        Some(Self { kind, ..self })
    }
}
