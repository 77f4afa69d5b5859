//! One item of a collection: a part of the record, or a value made from it.

use std::borrow::Cow;

use super::decimal::Decimal;
use super::expr::Literal;
use super::temporal::Temporal;
use crate::fhir::json::{Kind, Value};

/// An item. Parts of a record are not copied. Not to be shown: it is a part of a record.
#[derive(Clone)]
pub(crate) enum Item<'a> {
    /// A part of the record, and its type where its name says it.
    Node(Value<'a>, Option<&'a str>),
    Text(Cow<'a, str>),
    Truth(bool),
    Integer(i64),
    Decimal(Decimal),
    Temporal(Temporal),
}

/// What an item is worth in comparisons.
pub(super) enum Scalar<'a> {
    /// A text, and whether its type says that it is a date or time.
    Text(Cow<'a, str>, bool),
    Truth(bool),
    Number(Decimal),
    Temporal(Temporal),
    /// An object, or a number beyond 38 digits.
    Other(Value<'a>),
}

impl<'a> Item<'a> {
    /// Its text: a part of the record or one made from it.
    pub(crate) fn text(&self) -> Option<Cow<'a, str>> {
        match self {
            Self::Node(value, _) => value.text(),
            Self::Text(text) => Some(text.clone()),
            Self::Truth(_) | Self::Integer(_) | Self::Decimal(_) | Self::Temporal(_) => None,
        }
    }

    /// Its truth.
    pub(crate) fn truth(&self) -> Option<bool> {
        match self {
            Self::Node(value, _) => value.truth(),
            Self::Truth(truth) => Some(*truth),
            Self::Text(_) | Self::Integer(_) | Self::Decimal(_) | Self::Temporal(_) => None,
        }
    }

    /// Its number.
    pub(crate) fn number(&self) -> Option<Decimal> {
        match self {
            Self::Node(value, _) => value.number().and_then(Decimal::parse),
            Self::Integer(number) => Some((*number).into()),
            Self::Decimal(number) => Some(*number),
            Self::Text(_) | Self::Truth(_) | Self::Temporal(_) => None,
        }
    }

    /// The point in time that it is or that its text says.
    pub(crate) fn temporal(&self) -> Option<Temporal> {
        match self {
            Self::Temporal(point) => Some(*point),
            Self::Node(..) | Self::Text(_) => Temporal::parse(&self.text()?),
            Self::Truth(_) | Self::Integer(_) | Self::Decimal(_) => None,
        }
    }

    pub(super) fn scalar(&self) -> Scalar<'a> {
        match self {
            Self::Node(value, ty) => match value.kind() {
                Kind::Text | Kind::Escaped => {
                    Scalar::Text(value.text().unwrap_or_default(), ty.is_some_and(is_temporal))
                }
                Kind::True => Scalar::Truth(true),
                Kind::False => Scalar::Truth(false),
                Kind::Number => self.number().map_or(Scalar::Other(*value), Scalar::Number),
                Kind::Object | Kind::Array | Kind::Null => Scalar::Other(*value),
            },
            Self::Text(text) => Scalar::Text(text.clone(), false),
            Self::Truth(truth) => Scalar::Truth(*truth),
            Self::Integer(number) => Scalar::Number((*number).into()),
            Self::Decimal(number) => Scalar::Number(*number),
            Self::Temporal(point) => Scalar::Temporal(*point),
        }
    }
}

impl<'a> From<&'a Literal> for Item<'a> {
    fn from(literal: &'a Literal) -> Self {
        match literal {
            Literal::Text(text) => Self::Text(Cow::Borrowed(text)),
            Literal::Truth(truth) => Self::Truth(*truth),
            Literal::Integer(number) => Self::Integer(*number),
            Literal::Decimal(number) => Self::Decimal(*number),
            Literal::Temporal(point) => Self::Temporal(*point),
        }
    }
}

fn is_temporal(ty: &str) -> bool {
    ["Date", "DateTime", "Instant", "Time"].contains(&ty)
}
