//! Days between dates: `date_diff('day', a, b)` and its other spellings become `b - a`, which the planner knows.

use std::ops::ControlFlow;

use datafusion_sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, Expr, Function, Query, Value, VisitMut, VisitorMut,
};

use super::calls::arguments;
use crate::refusal::{Code, Refusal};
use crate::text::shortened;

/// The functions by which other systems count the days between two dates.
const FUNCTIONS: [&str; 3] = ["date_diff", "datediff", "timestampdiff"];
/// What they call a day.
const DAY: [&str; 4] = ["day", "days", "dd", "d"];
/// What else they count.
const OTHER: [&str; 14] = [
    "week", "weeks", "month", "months", "quarter", "quarters", "year", "years", "hour", "hours", "minute",
    "minutes", "second", "seconds",
];

/// The query with its differences of dates written as subtraction.
pub(super) fn subtracted(mut query: Query) -> Result<Query, Refusal> {
    match query.visit(&mut Differences) {
        ControlFlow::Continue(()) => Ok(query),
        ControlFlow::Break(refusal) => Err(*refusal),
    }
}

struct Differences;

impl VisitorMut for Differences {
    type Break = Box<Refusal>;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Box<Refusal>> {
        let Expr::Function(call) = expr else { return ControlFlow::Continue(()) };
        let name = call.name.to_string().replace('"', "").to_lowercase();
        if !FUNCTIONS.contains(&name.as_str()) {
            return ControlFlow::Continue(());
        }
        match dates(&name, call) {
            Ok((from, to)) => {
                let (left, right) = (Box::new(as_date(to)), Box::new(as_date(from)));
                let days = Expr::BinaryOp { left, op: BinaryOperator::Minus, right };
                *expr = Expr::Nested(Box::new(days));
                ControlFlow::Continue(())
            }
            Err(refusal) => ControlFlow::Break(Box::new(refusal)),
        }
    }
}

/// The earlier and the later date of a call, each as its system orders them: `date_diff('day', from, to)`,
/// `date_diff(to, from, DAY)`, `datediff(to, from)`.
fn dates(name: &str, call: &Function) -> Result<(Expr, Expr), Refusal> {
    let other = || {
        Refusal::new(Code::Invalid, format!("{name}() is not called with a unit and two dates"))
            .with_rewrite("write date_diff('day', earlier, later), or later - earlier")
    };
    let args = arguments(call).ok_or_else(other)?;
    match args.as_slice() {
        [unit, from, to] if is_unit(unit)? => Ok(((*from).clone(), (*to).clone())),
        [to, from, unit] if is_unit(unit)? => Ok(((*from).clone(), (*to).clone())),
        [to, from] if name != "timestampdiff" && !is_unit(to)? && !is_unit(from)? => {
            Ok(((*from).clone(), (*to).clone()))
        }
        _ => Err(other()),
    }
}

/// Whether an argument is the unit of days. Another unit is refused.
fn is_unit(expr: &Expr) -> Result<bool, Refusal> {
    let unit = match expr {
        Expr::Identifier(name) => name.value.to_lowercase(),
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => text.trim().to_lowercase(),
            _ => return Ok(false),
        },
        _ => return Ok(false),
    };
    if OTHER.contains(&unit.as_str()) {
        let reason = format!("the difference of dates is counted in days, not in '{}'", shortened(&unit));
        return Err(Refusal::new(Code::Unsupported, reason).with_rewrite(
            "count days: date_diff('day', a, b), in ranges or as floor(date_diff('day', a, b) / 30) * 30",
        ));
    }
    Ok(DAY.contains(&unit.as_str()))
}

fn as_date(expr: Expr) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(expr),
        data_type: DataType::Date,
        array: false,
        format: None,
    }
}
