//! Comparisons of one column with values: equality becomes `In`, order becomes a range on the public grid.

use caim_ontology::{Bounds, ColumnType};
use datafusion_common::ScalarValue;
use datafusion_common::arrow::datatypes::DataType;
use datafusion_expr::{Expr, Operator};

use super::columns::{Target, keeps_values, target};
use super::concepts;
use super::condition::{Reader, Sense};
use super::days::{self, Compared};
use super::refuse::not_a_condition;
use super::scope::own_column;
use crate::calendar::Day;
use crate::concepts::Vocabulary;
use crate::private_query::{Atom, BoolTree, ColumnRef, DatePart, Endpoint, Real, Value};
use crate::refusal::{Code, Refusal};
use crate::validate::{Comparison, Side, comparison, full_name, off_grid_number};

/// A sign of comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    Eq,
    NotEq,
    Lt,
    LtEq,
    Gt,
    GtEq,
}

impl Sign {
    pub(super) fn of(op: Operator) -> Option<Self> {
        match op {
            Operator::Eq => Some(Sign::Eq),
            Operator::NotEq => Some(Sign::NotEq),
            Operator::Lt => Some(Sign::Lt),
            Operator::LtEq => Some(Sign::LtEq),
            Operator::Gt => Some(Sign::Gt),
            Operator::GtEq => Some(Sign::GtEq),
            _ => None,
        }
    }

    /// The sign that holds where this one fails.
    pub(super) fn negated(self) -> Self {
        match self {
            Sign::Eq => Sign::NotEq,
            Sign::NotEq => Sign::Eq,
            Sign::Lt => Sign::GtEq,
            Sign::LtEq => Sign::Gt,
            Sign::Gt => Sign::LtEq,
            Sign::GtEq => Sign::Lt,
        }
    }

    /// The sign with its sides exchanged.
    pub(super) fn mirrored(self) -> Self {
        match self {
            Sign::Eq | Sign::NotEq => self,
            Sign::Lt => Sign::Gt,
            Sign::LtEq => Sign::GtEq,
            Sign::Gt => Sign::Lt,
            Sign::GtEq => Sign::LtEq,
        }
    }
}

/// The column that an expression is, under casts that keep its values.
pub(super) fn column_of(reader: &Reader<'_>, expr: &Expr) -> Option<ColumnRef> {
    let Target::Column { column, cast } = target(expr)? else { return None };
    let side = reader.side(&column).ok()?;
    cast.is_none_or(|ty| keeps_values(side, &ty)).then_some(column)
}

/// `of sign value`; `whole` is what a refusal is about.
pub(super) fn compare(
    reader: &Reader<'_>,
    of: &Expr,
    sign: Sign,
    value: &ScalarValue,
    whole: &Expr,
) -> Result<BoolTree, Refusal> {
    match target(of) {
        Some(Target::Column { column, cast }) => {
            let side = reader.side(&column)?;
            let comparison = comparison(side)?;
            if value.is_null() {
                return Ok(BoolTree::Or(Vec::new()));
            }
            let vocabulary = concepts::terms(reader, side)?;
            let value = fitting(side, vocabulary.as_ref(), cast.as_ref(), sign, value)?;
            let value = value.ok_or_else(|| other_type(side))?;
            column_with(side, comparison, column, sign, value)
        }
        Some(Target::Part { part: DatePart::Year, column }) => year_with(reader, column, sign, value, whole),
        Some(Target::Part { .. } | Target::Truncated { .. }) => Err(not_a_condition(reader, whole)),
        None if value.is_null() && days::between(reader, of)?.is_some() => Ok(BoolTree::Or(Vec::new())),
        None => compare_dates(reader, of, sign, &Expr::Literal(value.clone(), None), whole),
    }
}

/// `left sign right` between dates of a row, or days between them.
pub(super) fn compare_dates(
    reader: &Reader<'_>,
    left: &Expr,
    sign: Sign,
    right: &Expr,
    whole: &Expr,
) -> Result<BoolTree, Refusal> {
    match days::compared(reader, left, sign, right)? {
        Some(Compared::Tree(tree)) => Ok(tree),
        Some(Compared::With { column, sign, value }) => {
            let own = own_column(column.table, &column.column);
            compare(reader, &own, sign, &value, whole)
        }
        None => Err(not_a_condition(reader, whole)),
    }
}

/// `of IN (values)`, or `of NOT IN (values)`; none of the values is NULL.
pub(super) fn compare_list(
    reader: &Reader<'_>,
    of: &Expr,
    values: &[ScalarValue],
    sense: Sense,
    whole: &Expr,
) -> Result<BoolTree, Refusal> {
    let sign = if sense == Sense::Holds { Sign::Eq } else { Sign::NotEq };
    if let Some(Target::Column { column, cast }) = target(of) {
        let side = reader.side(&column)?;
        if matches!(comparison(side)?, Comparison::Values | Comparison::Bounded(_)) {
            let vocabulary = concepts::terms(reader, side)?;
            let mut fits = Vec::with_capacity(values.len());
            for value in values {
                match fitting(side, vocabulary.as_ref(), cast.as_ref(), sign, value)? {
                    Some(Point::Value(value)) => fits.push(value),
                    Some(Point::None) => {}
                    Some(Point::Between(_)) | None => return Err(other_type(side)),
                }
            }
            return Ok(sense.of(one_of(column, fits)));
        }
    }
    let each =
        values.iter().map(|value| compare(reader, of, sign, value, whole)).collect::<Result<_, _>>()?;
    Ok(if sense == Sense::Holds { BoolTree::Or(each) } else { BoolTree::And(each) })
}

fn other_type(side: Side<'_>) -> Refusal {
    let ty = match side.column.ty {
        ColumnType::Text => "text",
        ColumnType::Integer => "a whole number",
        ColumnType::Float => "a number",
        ColumnType::Boolean => "TRUE or FALSE",
        ColumnType::Date => "a date",
        ColumnType::Timestamp => "a time",
    };
    let reason = format!("{} holds {ty}; it is compared with another type", full_name(side));
    Refusal::new(Code::ExpressionNotAllowed, reason).with_rewrite(format!(
        "compare {} itself with {ty}; text and dates stand in quotes",
        side.column.name
    ))
}

fn one_of(column: ColumnRef, values: Vec<Value>) -> BoolTree {
    if values.is_empty() {
        return BoolTree::Or(Vec::new());
    }
    BoolTree::Is(Atom::In { column, values })
}

/// A value as a point among the values of a column.
enum Point {
    /// A value of the column's type.
    Value(Value),
    /// A number between two integers.
    Between(f64),
    /// No value of the column can equal it.
    None,
}

/// The value in the column's type; in a column with a vocabulary a text is a term of it. `None` when a cast of the column does not keep its values, or the types do not fit.
fn fitting(
    side: Side<'_>,
    vocabulary: Option<&Vocabulary>,
    cast: Option<&DataType>,
    sign: Sign,
    value: &ScalarValue,
) -> Result<Option<Point>, Refusal> {
    if let (ColumnType::Integer, Some(DataType::Utf8), Some(Some(text))) =
        (side.column.ty, cast, value.try_as_str())
    {
        let equality = matches!(sign, Sign::Eq | Sign::NotEq);
        let number = text.parse::<i64>().ok().filter(|n| n.to_string() == text);
        let point = number.map_or(Point::None, |n| Point::Value(Value::Integer(n)));
        return Ok(equality.then_some(point));
    }
    if cast.is_some_and(|ty| !keeps_values(side, ty)) {
        return Ok(None);
    }
    Ok(match side.column.ty {
        ColumnType::Text => match (value.try_as_str().flatten(), vocabulary) {
            (Some(term), Some(vocabulary)) => Some(Point::Value(Value::Text(vocabulary.code(term)?))),
            (Some(text), None) => Some(Point::Value(Value::Text(text.to_owned()))),
            (None, _) => None,
        },
        ColumnType::Boolean => match value {
            ScalarValue::Boolean(Some(b)) => Some(Point::Value(Value::Boolean(*b))),
            _ => None,
        },
        ColumnType::Integer => integer(value),
        ColumnType::Float => match float(value) {
            Some(x) => {
                let real = Real::new(x).ok_or_else(|| {
                    Refusal::new(Code::Invalid, format!("{} is compared with {x}", full_name(side)))
                })?;
                Some(Point::Value(Value::Float(real)))
            }
            None => None,
        },
        ColumnType::Date => day(side, value)?.map(|days| Point::Value(Value::Date(days))),
        ColumnType::Timestamp => None,
    })
}

fn integer(value: &ScalarValue) -> Option<Point> {
    if let Ok(ScalarValue::Int64(Some(n))) = exact_integer(value) {
        return Some(Point::Value(Value::Integer(n)));
    }
    let x = float(value)?;
    // Checked to be a whole number below 2^53.
    let whole = (x.fract() == 0.0 && x.abs() < 9e15).then_some(x as i64);
    Some(whole.map_or(Point::Between(x), |n| Point::Value(Value::Integer(n))))
}

fn exact_integer(value: &ScalarValue) -> Result<ScalarValue, datafusion_common::DataFusionError> {
    if value.data_type().is_integer() { value.cast_to(&DataType::Int64) } else { Ok(ScalarValue::Null) }
}

fn float(value: &ScalarValue) -> Option<f64> {
    if !value.data_type().is_numeric() {
        return None;
    }
    match value.cast_to(&DataType::Float64) {
        Ok(ScalarValue::Float64(x)) => x,
        Ok(_) | Err(_) => None,
    }
}

/// A date, or a time that is the first moment of a day.
fn day(side: Side<'_>, value: &ScalarValue) -> Result<Option<i32>, Refusal> {
    let temporal =
        matches!(value.data_type(), DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, None));
    if !temporal {
        return Ok(None);
    }
    let Ok(ScalarValue::Date32(Some(days))) = value.cast_to(&DataType::Date32) else { return Ok(None) };
    let back = ScalarValue::Date32(Some(days)).cast_to(&value.data_type());
    if back.is_ok_and(|back| back == *value) {
        return Ok(Some(days));
    }
    let reason = format!("{} is a date; it is not compared with a time of day", full_name(side));
    let (day, next) = (Day::from_days(days), Day::from_days(days.saturating_add(1)));
    Err(Refusal::new(Code::Grid, reason)
        .with_rewrite(format!("compare it with DATE '{day}' or DATE '{next}'")))
}

fn column_with(
    side: Side<'_>,
    comparison: Comparison,
    column: ColumnRef,
    sign: Sign,
    point: Point,
) -> Result<BoolTree, Refusal> {
    let equality = matches!(sign, Sign::Eq | Sign::NotEq);
    let sense = if sign == Sign::NotEq { Sense::Fails } else { Sense::Holds };
    let known = |column| Sense::Fails.of(BoolTree::Is(Atom::IsNull { column }));
    match (comparison, point) {
        (_, Point::None) => Ok(if sense == Sense::Holds { BoolTree::Or(Vec::new()) } else { known(column) }),
        (Comparison::Bounded(bounds) | Comparison::Number(bounds), Point::Between(x)) => {
            // No integer lies there: the grid's neighbours are named.
            off_grid_number(side, x, bounds)?;
            Err(Refusal::new(Code::Grid, format!("{} holds whole numbers, {x} is none", full_name(side))))
        }
        (Comparison::Values | Comparison::Date(_), Point::Between(_)) => {
            Ok(if sense == Sense::Holds { BoolTree::Or(Vec::new()) } else { known(column) })
        }
        (Comparison::Values | Comparison::Bounded(_), Point::Value(value)) if equality => {
            Ok(sense.of(one_of(column, vec![value])))
        }
        (Comparison::Values, Point::Value(value)) => {
            // Validation refuses it: the column has no order.
            let end = Endpoint { value, inclusive: true };
            Ok(BoolTree::Is(Atom::Range { column, lo: Some(end), hi: None }))
        }
        (Comparison::Bounded(bounds) | Comparison::Number(bounds), Point::Value(value)) => {
            Ok(range(column, sign, value, Some(bounds)))
        }
        (Comparison::Date(_), Point::Value(value)) => Ok(range(column, sign, value, None)),
    }
}

/// A range with ends as the closed form wants them: half-open for dates and integers, none at or beyond public bounds.
fn range(column: ColumnRef, sign: Sign, value: Value, bounds: Option<Bounds>) -> BoolTree {
    // Nothing is greater than the greatest integer.
    if sign == Sign::Gt && step(&value) == Some(None) {
        return BoolTree::Or(Vec::new());
    }
    let (lo, hi) = match sign {
        Sign::Eq | Sign::NotEq => (from(value.clone()), up_to(value)),
        Sign::Lt => (None, Some(Endpoint { value, inclusive: false })),
        Sign::LtEq => (None, up_to(value)),
        Sign::Gt => (after(value), None),
        Sign::GtEq => (from(value), None),
    };
    let bounds = bounds.filter(|_| !matches!(sign, Sign::Eq | Sign::NotEq));
    let lo = lo.filter(|end| !bounds.is_some_and(|b| covers_below(end, b)));
    let hi = hi.filter(|end| !bounds.is_some_and(|b| covers_above(end, b)));
    if lo.is_none() && hi.is_none() {
        return Sense::Fails.of(BoolTree::Is(Atom::IsNull { column }));
    }
    let tree = BoolTree::Is(Atom::Range { column, lo, hi });
    if sign == Sign::NotEq { Sense::Fails.of(tree) } else { tree }
}

fn from(value: Value) -> Option<Endpoint> {
    Some(Endpoint { value, inclusive: true })
}

/// The end after which values are greater.
fn up_to(value: Value) -> Option<Endpoint> {
    match step(&value) {
        Some(next) => next.map(|value| Endpoint { value, inclusive: false }),
        None => Some(Endpoint { value, inclusive: true }),
    }
}

/// The end from which values are greater.
fn after(value: Value) -> Option<Endpoint> {
    match step(&value) {
        Some(next) => next.map(|value| Endpoint { value, inclusive: true }),
        None => Some(Endpoint { value, inclusive: false }),
    }
}

/// The next value of a type that has one; `Some(None)` at its end.
fn step(value: &Value) -> Option<Option<Value>> {
    match value {
        Value::Integer(n) => Some(n.checked_add(1).map(Value::Integer)),
        Value::Date(days) => Some(days.checked_add(1).map(Value::Date)),
        Value::Text(_) | Value::Float(_) | Value::Boolean(_) => None,
    }
}

fn covers_below(end: &Endpoint, bounds: Bounds) -> bool {
    match number(&end.value) {
        Some(lo) => lo < bounds.lo || (lo <= bounds.lo && end.inclusive),
        None => false,
    }
}

fn covers_above(end: &Endpoint, bounds: Bounds) -> bool {
    match number(&end.value) {
        Some(hi) => hi > bounds.hi || (hi >= bounds.hi && end.inclusive),
        None => false,
    }
}

// Compared with bounds far below 2^52.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(n) => Some(*n as f64),
        Value::Float(x) => Some(x.get()),
        Value::Text(_) | Value::Boolean(_) | Value::Date(_) => None,
    }
}

/// `EXTRACT(YEAR FROM date) sign value` is a range of dates.
fn year_with(
    reader: &Reader<'_>,
    column: ColumnRef,
    sign: Sign,
    value: &ScalarValue,
    whole: &Expr,
) -> Result<BoolTree, Refusal> {
    let side = reader.side(&column)?;
    if !matches!(comparison(side)?, Comparison::Date(_)) {
        return Err(not_a_condition(reader, whole));
    }
    if value.is_null() {
        return Ok(BoolTree::Or(Vec::new()));
    }
    let Some(Point::Value(Value::Integer(year))) = integer(value) else {
        return Err(not_a_condition(reader, whole));
    };
    let january = |year: i64| {
        let day = Day::first_of_year(year)
            .ok_or_else(|| Refusal::new(Code::Invalid, format!("{year} is no year from 1 to 9998")))?;
        Ok::<_, Refusal>(Value::Date(day.days()))
    };
    let (first, next) = (january(year)?, january(year.saturating_add(1))?);
    let at = |value| Some(Endpoint { value, inclusive: true });
    let before = |value| Some(Endpoint { value, inclusive: false });
    let (lo, hi) = match sign {
        Sign::Eq | Sign::NotEq => (at(first), before(next)),
        Sign::Lt => (None, before(first)),
        Sign::LtEq => (None, before(next)),
        Sign::Gt => (at(next), None),
        Sign::GtEq => (at(first), None),
    };
    let tree = BoolTree::Is(Atom::Range { column, lo, hi });
    Ok(if sign == Sign::NotEq { Sense::Fails.of(tree) } else { tree })
}
