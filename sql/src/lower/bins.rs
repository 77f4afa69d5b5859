//! Groups that are bins of a number: `floor(x / width) * width` and CASE over ranges of one number.

use std::collections::BTreeSet;

use caim_ontology::{Bounds, ColumnType};
use datafusion_common::ScalarValue;
use datafusion_common::arrow::datatypes::DataType;
use datafusion_expr::expr::{BinaryExpr, Case};
use datafusion_expr::{Expr, Operator};

use super::columns::{Target, keeps_values, target};
use super::condition::{Reader, Sense};
use super::constant::{constant, value_of};
use super::days;
use crate::bounds::{never_negative, real};
use crate::private_query::{Atom, Bins, BoolTree, DateOf, Days, Dim, Endpoint, Labels, Number, Real, Value};
use crate::refusal::{Code, Refusal};

/// A number as SQL computes with it.
struct Numeral {
    number: Number,
    /// Whether SQL divides it as a whole number.
    whole: bool,
}

/// The number of a bin: `x / width`, rounded.
struct Index {
    number: Number,
    width: f64,
    rounding: Rounding,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rounding {
    Down,
    /// As SQL divides whole numbers.
    TowardsZero,
    Not,
}

/// The number that an expression is, under casts that keep its values.
pub(super) fn number(reader: &Reader<'_>, expr: &Expr) -> Result<Option<Number>, Refusal> {
    Ok(numeral(reader, expr)?.map(|found| found.number))
}

/// The bins that a group is; `None` for any other expression.
pub(super) fn bins(reader: &Reader<'_>, expr: &Expr) -> Result<Option<Dim>, Refusal> {
    match expr {
        Expr::Alias(alias) => bins(reader, &alias.expr),
        Expr::Cast(cast) if cast.field.data_type().is_numeric() => bins(reader, &cast.expr),
        Expr::Case(case) => labelled(reader, case),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Multiply, right }) => {
            let (of, times) = match (constant(left), constant(right)) {
                (None, Some(times)) => (left, times),
                (Some(times), None) => (right, times),
                (None, None) | (Some(_), Some(_)) => return Ok(None),
            };
            let Some(index) = index(reader, of)? else { return Ok(None) };
            if float(&times) != Some(index.width) { Ok(None) } else { widths(reader, index) }
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Minus, right }) => {
            let Some(found) = number(reader, left)? else { return Ok(None) };
            match remainder(reader, right)? {
                Some(index) if index.number == found => widths(reader, index),
                Some(_) | None => Ok(None),
            }
        }
        other => match index(reader, other)? {
            Some(Index { width, rounding: Rounding::Down | Rounding::TowardsZero, .. }) => {
                Err(Refusal::new(Code::ExpressionNotAllowed, "a group is the number of a bin").with_rewrite(
                    format!("group by where the bin begins: floor(x / {width}) * {width}; divide above"),
                ))
            }
            Some(Index { rounding: Rounding::Not, .. }) | None => Ok(None),
        },
    }
}

fn widths(reader: &Reader<'_>, index: Index) -> Result<Option<Dim>, Refusal> {
    let Index { number, width, rounding } = index;
    match rounding {
        Rounding::Down => {}
        Rounding::TowardsZero if never_negative(&number, reader.cohort, bounds(reader, &number)?) => {}
        Rounding::TowardsZero => {
            let reason = "bins that round towards 0: the one at 0 would be twice as wide as the others";
            return Err(Refusal::new(Code::ExpressionNotAllowed, reason)
                .with_rewrite(format!("round down: floor(x / {width}) * {width}")));
        }
        Rounding::Not => return Ok(None),
    }
    let whole = ty(reader, &number)? == ColumnType::Integer;
    // Whole and far below 2^53, or refused.
    let value = match (whole, width.fract() == 0.0 && width.abs() < 9e15) {
        (true, true) => Some(Value::Integer(width as i64)),
        (true, false) => None,
        (false, _) => Real::new(width).map(Value::Float),
    };
    let value = value.ok_or_else(|| {
        Refusal::new(Code::Grid, format!("whole numbers are put into bins of width {width}"))
            .with_rewrite(format!("use a whole width: floor(x / {0}) * {0}", width.ceil()))
    })?;
    Ok(Some(Dim::Bin { of: number, by: Bins::Width(value) }))
}

fn ty(reader: &Reader<'_>, number: &Number) -> Result<ColumnType, Refusal> {
    match number {
        Number::Column(column) => Ok(reader.side(column)?.column.ty),
        Number::Days(_) => Ok(ColumnType::Integer),
    }
}

/// The public bounds of a column; days have none of their own.
fn bounds(reader: &Reader<'_>, number: &Number) -> Result<Option<Bounds>, Refusal> {
    match number {
        Number::Column(column) => Ok(reader.side(column)?.column.bounds()),
        Number::Days(_) => Ok(None),
    }
}

/// `floor(x / width)`, or `x / width`.
fn index(reader: &Reader<'_>, expr: &Expr) -> Result<Option<Index>, Refusal> {
    match expr {
        Expr::Alias(alias) => index(reader, &alias.expr),
        Expr::Cast(cast) if cast.field.data_type().is_numeric() => {
            let found = index(reader, &cast.expr)?;
            let kept = *cast.field.data_type() == DataType::Float64;
            Ok(found.filter(|index| kept || index.rounding != Rounding::Not))
        }
        Expr::ScalarFunction(call) if call.func.name() == "floor" => {
            let [of] = call.args.as_slice() else { return Ok(None) };
            Ok(index(reader, of)?.map(|index| Index { rounding: Rounding::Down, ..index }))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Divide, right }) => {
            divided(reader, left, right, Rounding::Not)
        }
        _ => Ok(None),
    }
}

/// `x % width`.
fn remainder(reader: &Reader<'_>, expr: &Expr) -> Result<Option<Index>, Refusal> {
    match expr {
        Expr::Alias(alias) => remainder(reader, &alias.expr),
        Expr::Cast(cast) if cast.field.data_type().is_numeric() => remainder(reader, &cast.expr),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Modulo, right }) => {
            divided(reader, left, right, Rounding::TowardsZero)
        }
        _ => Ok(None),
    }
}

fn divided(
    reader: &Reader<'_>,
    left: &Expr,
    right: &Expr,
    of_reals: Rounding,
) -> Result<Option<Index>, Refusal> {
    let Some(by) = constant(right) else { return Ok(None) };
    let (Some(Numeral { number, whole }), Some(width)) = (numeral(reader, left)?, float(&by)) else {
        return Ok(None);
    };
    let rounding = if whole && by.data_type().is_integer() { Rounding::TowardsZero } else { of_reals };
    Ok((width > 0.0).then_some(Index { number, width, rounding }))
}

fn numeral(reader: &Reader<'_>, expr: &Expr) -> Result<Option<Numeral>, Refusal> {
    if let Some(days) = days::between(reader, expr)? {
        let mut inner = expr;
        while let Expr::Alias(alias) = inner {
            inner = &alias.expr;
        }
        let whole = !matches!(inner, Expr::Cast(cast) if !cast.field.data_type().is_integer());
        return Ok(Some(Numeral { number: Number::Days(days), whole }));
    }
    let Some(Target::Column { column, cast }) = target(expr) else { return Ok(None) };
    let side = reader.side(&column)?;
    let integer = side.column.ty == ColumnType::Integer;
    let kept = cast.as_ref().is_none_or(|ty| keeps_values(side, ty) || (integer && ty.is_decimal()));
    let whole = integer && cast.is_none_or(|ty| ty.is_integer());
    Ok(kept.then_some(Numeral { number: Number::Column(column), whole }))
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

/// Where a bin begins: at the value, or (true) just after it.
type Edge = (Value, bool);

/// A place on the line of numbers: a bin by where it begins, or NULL.
#[derive(Clone, Copy)]
enum Place<'a> {
    From(Option<&'a Edge>),
    Null,
}

/// A CASE over ranges of one number.
fn labelled(reader: &Reader<'_>, case: &Case) -> Result<Option<Dim>, Refusal> {
    let Case { expr, when_then_expr, else_expr } = case;
    let mut arms = Vec::with_capacity(when_then_expr.len());
    for (when, then) in when_then_expr {
        let when = match expr {
            Some(of) => of.as_ref().clone().eq(when.as_ref().clone()),
            None => when.as_ref().clone(),
        };
        let when = match reader.condition(&when, Sense::Holds) {
            Ok(when) => when,
            Err(refusal) if refusal.code == Code::Grid => return Err(refusal),
            Err(_) => return Ok(None),
        };
        let Some(label) = label(then) else { return Ok(None) };
        arms.push((when, label));
    }
    let Some(otherwise) = else_expr.as_ref().map_or(Some(None), |e| label(e)) else { return Ok(None) };
    let mut cut = Cut::default();
    if !arms.iter().all(|(when, _)| cut.add(when)) {
        return Ok(None);
    }
    let Some(number) = cut.number else { return Ok(None) };
    let (start, edges) = inside(cut.edges, bounds(reader, &number)?);
    let at = |place: Place<'_>| {
        let arm = arms.iter().find(|(when, _)| holds(when, place, &number) == Some(true));
        arm.map_or_else(|| otherwise.clone(), |(_, label)| label.clone())
    };
    let mut labels = Labels { edges: Vec::new(), labels: Vec::new(), null: at(Place::Null) };
    labels.labels.push(at(Place::From(start.as_ref())));
    for edge in &edges {
        let label = at(Place::From(Some(edge)));
        if labels.labels.last() != Some(&label) {
            labels.edges.push(Endpoint { value: edge.0.clone(), inclusive: !edge.1 });
            labels.labels.push(label);
        }
    }
    if labels.edges.is_empty() {
        let reason = "a CASE gives one label to all values of a number";
        return Err(Refusal::new(Code::ExpressionNotAllowed, reason)
            .with_rewrite("leave the group out, or give labels to two ranges at least"));
    }
    Ok(Some(Dim::Bin { of: number, by: Bins::Labels(labels) }))
}

/// A public value as a label; `None` when it is none.
fn label(expr: &Expr) -> Option<Option<Value>> {
    value_of(&constant(expr)?)
}

/// The edges that parts the values of public bounds, and where the lowest bin begins.
fn inside(edges: BTreeSet<Edge>, bounds: Option<Bounds>) -> (Option<Edge>, Vec<Edge>) {
    let Some(bounds) = bounds else { return (None, edges.into_iter().collect()) };
    let below = |(value, after): &Edge| {
        real(value).is_none_or(|at| if *after { at < bounds.lo } else { at <= bounds.lo })
    };
    let above = |(value, after): &Edge| {
        real(value).is_none_or(|at| if *after { at >= bounds.hi } else { at > bounds.hi })
    };
    let (low, rest): (Vec<Edge>, Vec<Edge>) = edges.into_iter().partition(below);
    (low.last().cloned(), rest.into_iter().filter(|edge| !above(edge)).collect())
}

/// The one number that conditions speak of, and where they change.
#[derive(Default)]
struct Cut {
    number: Option<Number>,
    edges: BTreeSet<Edge>,
}

impl Cut {
    /// Takes in a condition; false when it speaks of anything else.
    fn add(&mut self, tree: &BoolTree) -> bool {
        if let Some(days) = unknown_days(tree) {
            return self.is(Number::Days(days));
        }
        match tree {
            BoolTree::And(parts) | BoolTree::Or(parts) => parts.iter().all(|part| self.add(part)),
            BoolTree::Not(part) => self.add(part),
            BoolTree::Is(atom) => self.atom(atom),
        }
    }

    fn atom(&mut self, atom: &Atom) -> bool {
        match atom {
            Atom::In { column, values } => {
                for value in values {
                    let Value::Integer(n) = value else { return false };
                    let next = n.checked_add(1).map(Value::Integer);
                    self.edges.extend([Some(value.clone()), next].into_iter().flatten().map(|v| (v, false)));
                }
                self.is(Number::Column(column.clone()))
            }
            Atom::IsNull { column } => self.is(Number::Column(column.clone())),
            Atom::Range { column, lo, hi } => {
                if lo.iter().chain(hi.iter()).any(|end| real(&end.value).is_none()) {
                    return false;
                }
                self.edges.extend(lo.iter().map(from).chain(hi.iter().map(up_to)));
                self.is(Number::Column(column.clone()))
            }
            Atom::DateDiff { from: DateOf::Own(from), to: DateOf::Own(to), lo, hi } => {
                let days = Days { from: from.clone(), to: to.clone() };
                let turned = Days { from: days.to.clone(), to: days.from.clone() };
                let known = self.number.get_or_insert(Number::Days(days.clone()));
                let ends = [lo, hi].into_iter().flatten();
                if *known == Number::Days(days) {
                    self.edges.extend(ends.map(|n| day(*n)));
                    true
                } else if *known == Number::Days(turned) {
                    self.edges.extend(ends.map(|n| day(1i64.saturating_sub(*n))));
                    true
                } else {
                    false
                }
            }
            Atom::DateDiff { .. } | Atom::IsA { .. } | Atom::Exists(_) => false,
        }
    }

    fn is(&mut self, number: Number) -> bool {
        *self.number.get_or_insert_with(|| number.clone()) == number
    }
}

/// The days that are unknown, where that is what a condition asks: one of their dates is NULL.
fn unknown_days(tree: &BoolTree) -> Option<Days> {
    let BoolTree::Or(parts) = tree else { return None };
    match parts.as_slice() {
        [BoolTree::Is(Atom::IsNull { column: from }), BoolTree::Is(Atom::IsNull { column: to })] => {
            Some(Days { from: from.clone(), to: to.clone() })
        }
        _ => None,
    }
}

fn from(end: &Endpoint) -> Edge {
    (end.value.clone(), !end.inclusive)
}

fn up_to(end: &Endpoint) -> Edge {
    (end.value.clone(), end.inclusive)
}

fn day(n: i64) -> Edge {
    (Value::Integer(n), false)
}

/// SQL's three-valued truth of a condition that a [`Cut`] took in, at a place between its edges.
fn holds(tree: &BoolTree, at: Place<'_>, of: &Number) -> Option<bool> {
    let start = match at {
        _ if unknown_days(tree).is_some() => return Some(matches!(at, Place::Null)),
        Place::From(start) => start,
        Place::Null => return null_holds(tree),
    };
    match tree {
        BoolTree::And(parts) => Some(parts.iter().all(|part| holds(part, at, of) == Some(true))),
        BoolTree::Or(parts) => Some(parts.iter().any(|part| holds(part, at, of) == Some(true))),
        BoolTree::Not(part) => holds(part, at, of).map(|truth| !truth),
        BoolTree::Is(Atom::In { values, .. }) => {
            Some(start.is_some_and(|(value, after)| !after && values.contains(value)))
        }
        BoolTree::Is(Atom::Range { lo, hi, .. }) => {
            Some(lies(start, lo.as_ref().map(from), hi.as_ref().map(up_to)))
        }
        BoolTree::Is(Atom::DateDiff { from, lo, hi, .. }) => {
            let turned = !matches!(of, Number::Days(days) if DateOf::Own(days.from.clone()) == *from);
            let turn = |n: i64| day(1i64.saturating_sub(n));
            Some(if turned {
                lies(start, hi.map(turn), lo.map(turn))
            } else {
                lies(start, lo.map(day), hi.map(day))
            })
        }
        BoolTree::Is(Atom::IsNull { .. } | Atom::IsA { .. } | Atom::Exists(_)) => Some(false),
    }
}

/// The truth where the number is NULL: comparisons are unknown.
fn null_holds(tree: &BoolTree) -> Option<bool> {
    if unknown_days(tree).is_some() {
        return Some(true);
    }
    let all = |parts: &[BoolTree]| parts.iter().map(null_holds).collect::<Vec<_>>();
    match tree {
        BoolTree::And(parts) => match all(parts) {
            found if found.contains(&Some(false)) => Some(false),
            found if found.contains(&None) => None,
            _ => Some(true),
        },
        BoolTree::Or(parts) => match all(parts) {
            found if found.contains(&Some(true)) => Some(true),
            found if found.contains(&None) => None,
            _ => Some(false),
        },
        BoolTree::Not(part) => null_holds(part).map(|truth| !truth),
        BoolTree::Is(Atom::IsNull { .. }) => Some(true),
        BoolTree::Is(
            Atom::In { .. } | Atom::Range { .. } | Atom::DateDiff { .. } | Atom::IsA { .. } | Atom::Exists(_),
        ) => None,
    }
}

/// Whether what begins at a place lies from one edge to another.
fn lies(start: Option<&Edge>, lo: Option<Edge>, hi: Option<Edge>) -> bool {
    let from = lo.is_none_or(|lo| start.is_some_and(|start| lo <= *start));
    from && hi.is_none_or(|hi| start.is_none_or(|start| *start < hi))
}
