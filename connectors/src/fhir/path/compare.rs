//! What is equal, what is less, and what cannot be said (`None`, FHIRPath's empty collection).

use std::cmp::Ordering;

use super::decimal::Decimal;
use super::expr::Operator;
use super::item::{Item, Scalar};
use super::temporal::Temporal;
use crate::fhir::json::{Kind, Value};

/// Whether two items are equal.
pub(super) fn equal(a: &Item<'_>, b: &Item<'_>) -> Option<bool> {
    match (a.scalar(), b.scalar()) {
        (Scalar::Text(a, a_is_time), Scalar::Text(b, b_is_time)) => {
            let points =
                (a_is_time || b_is_time).then(|| Temporal::parse(&a).zip(Temporal::parse(&b))).flatten();
            match points {
                Some((one, other)) if a != b => one.compare(&other).map(Ordering::is_eq),
                Some(_) | None => Some(a == b),
            }
        }
        (Scalar::Temporal(point), Scalar::Text(text, _))
        | (Scalar::Text(text, _), Scalar::Temporal(point)) => {
            Temporal::parse(&text).map_or(Some(false), |other| point.compare(&other).map(Ordering::is_eq))
        }
        (Scalar::Temporal(a), Scalar::Temporal(b)) => a.compare(&b).map(Ordering::is_eq),
        (Scalar::Number(a), Scalar::Number(b)) => a.compare(b).map(Ordering::is_eq),
        (Scalar::Truth(a), Scalar::Truth(b)) => Some(a == b),
        (Scalar::Other(a), Scalar::Other(b)) => Some(same(a, b)),
        _ => Some(false),
    }
}

/// Which of two items is less.
pub(super) fn order(a: &Item<'_>, b: &Item<'_>) -> Option<Ordering> {
    match (a.scalar(), b.scalar()) {
        (Scalar::Text(a, _), Scalar::Text(b, _)) => match Temporal::parse(&a).zip(Temporal::parse(&b)) {
            Some((a, b)) => a.compare(&b),
            None => Some(a.cmp(&b)),
        },
        (Scalar::Temporal(a), Scalar::Text(b, _)) => a.compare(&Temporal::parse(&b)?),
        (Scalar::Text(a, _), Scalar::Temporal(b)) => Temporal::parse(&a)?.compare(&b),
        (Scalar::Temporal(a), Scalar::Temporal(b)) => a.compare(&b),
        (Scalar::Number(a), Scalar::Number(b)) => a.compare(b),
        _ => None,
    }
}

/// What an operator between two single items gives.
pub(super) fn calculated<'a>(operator: Operator, a: &Item<'a>, b: &Item<'a>) -> Option<Item<'a>> {
    let ordered = |is: fn(Ordering) -> bool| order(a, b).map(|order| Item::Truth(is(order)));
    let numbers =
        |of: fn(Decimal, Decimal) -> Option<Decimal>| of(a.number()?, b.number()?).map(Item::Decimal);
    match operator {
        Operator::Less => ordered(Ordering::is_lt),
        Operator::LessOrEqual => ordered(Ordering::is_le),
        Operator::Greater => ordered(Ordering::is_gt),
        Operator::GreaterOrEqual => ordered(Ordering::is_ge),
        Operator::Add => match (a.text(), b.text()) {
            (Some(a), Some(b)) => Some(Item::Text((a + b).into_owned().into())),
            _ => numbers(Decimal::add),
        },
        Operator::Subtract => numbers(Decimal::subtract),
        Operator::Multiply => numbers(Decimal::multiply),
        Operator::Divide => numbers(Decimal::divide),
        // These work on whole collections or on truth, before it comes to single items.
        Operator::Or
        | Operator::Xor
        | Operator::And
        | Operator::Equal
        | Operator::NotEqual
        | Operator::Union => None,
    }
}

/// Three-valued logic: what is not known decides nothing by itself.
pub(super) fn combined(operator: Operator, a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (operator, a, b) {
        (Operator::And, Some(false), _) | (Operator::And, _, Some(false)) => Some(false),
        (Operator::And, Some(true), Some(true)) => Some(true),
        (Operator::Or, Some(true), _) | (Operator::Or, _, Some(true)) => Some(true),
        (Operator::Or, Some(false), Some(false)) => Some(false),
        (Operator::Xor, Some(a), Some(b)) => Some(a != b),
        _ => None,
    }
}

/// Whether two values say the same, members in any order.
fn same(a: Value<'_>, b: Value<'_>) -> bool {
    match (a.kind(), b.kind()) {
        (Kind::Object, Kind::Object) => {
            a.members().count() == b.members().count()
                && a.members().all(|(name, value)| b.get(&name).is_some_and(|other| same(value, other)))
        }
        (Kind::Array, Kind::Array) => {
            a.items().count() == b.items().count() && a.items().zip(b.items()).all(|(a, b)| same(a, b))
        }
        (Kind::Text | Kind::Escaped, Kind::Text | Kind::Escaped) => a.text() == b.text(),
        (Kind::Number, Kind::Number) => a.number() == b.number(),
        (a, b) => a == b,
    }
}
