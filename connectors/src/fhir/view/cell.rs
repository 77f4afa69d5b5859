//! What stands in one column of one row, in the column's type.

use std::borrow::Cow;

use caim_ontology::ColumnType;

use crate::fhir::json::Kind;
use crate::fhir::path::{Fault, Item};

/// Years that a date may have. Others are placeholders (0001-01-01) or slips.
const YEARS: std::ops::RangeInclusive<u32> = 1800..=2199;

/// A cell. Not to be shown: it is a part of a record.
#[derive(Clone)]
pub(super) enum Cell<'a> {
    Null,
    Text(Cow<'a, str>),
    Integer(i64),
    Float(f64),
    Truth(bool),
    Date(i32),
    Timestamp(i64),
    List(Vec<Cell<'a>>),
}

/// What is doubtful about a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
    /// Nothing.
    None,
    /// It has a value that the column's type cannot hold: it is null.
    Unreadable,
    /// The day of a date is not known: it is the first.
    Partial,
}

impl<'a> Cell<'a> {
    /// An item as a value of a column.
    pub(super) fn of(item: &Item<'a>, ty: ColumnType) -> Result<(Self, Doubt), Fault> {
        if let Item::Node(value, _) = item
            && matches!(value.kind(), Kind::Object | Kind::Array)
        {
            return Err(Fault::NoValue);
        }
        let cell = match ty {
            ColumnType::Text => written(item).map(Self::Text),
            ColumnType::Integer => integer(item).map(Self::Integer),
            ColumnType::Float => float(item).map(Self::Float),
            ColumnType::Boolean => item.truth().map(Self::Truth),
            ColumnType::Date | ColumnType::Timestamp => return Ok(point(item, ty)),
        };
        Ok(cell.map_or((Self::Null, Doubt::Unreadable), |cell| (cell, Doubt::None)))
    }
}

/// An item as it is written.
fn written<'a>(item: &Item<'a>) -> Option<Cow<'a, str>> {
    match item {
        Item::Node(value, _) => value
            .text()
            .or_else(|| value.number().map(Cow::Borrowed))
            .or_else(|| value.truth().map(|truth| Cow::Borrowed(if truth { "true" } else { "false" }))),
        Item::Text(text) => Some(text.clone()),
        Item::Truth(truth) => Some(Cow::Borrowed(if *truth { "true" } else { "false" })),
        Item::Integer(number) => Some(number.to_string().into()),
        Item::Decimal(number) => Some(number.to_string().into()),
        Item::Temporal(_) => None,
    }
}

fn integer(item: &Item<'_>) -> Option<i64> {
    match item {
        Item::Integer(number) => Some(*number),
        Item::Node(value, _) => match value.number()?.parse() {
            Ok(number) => Some(number),
            Err(_) => item.number().and_then(|number| number.integer()),
        },
        Item::Decimal(number) => number.integer(),
        Item::Text(_) | Item::Truth(_) | Item::Temporal(_) => None,
    }
}

fn float(item: &Item<'_>) -> Option<f64> {
    let number: f64 = match item {
        Item::Node(value, _) => value.number()?.parse().ok()?,
        Item::Integer(number) => number.to_string().parse().ok()?,
        Item::Decimal(number) => number.to_string().parse().ok()?,
        Item::Text(_) | Item::Truth(_) | Item::Temporal(_) => return None,
    };
    number.is_finite().then_some(number)
}

/// A day, or an instant in UTC.
fn point<'a>(item: &Item<'_>, ty: ColumnType) -> (Cell<'a>, Doubt) {
    let Some(point) = item.temporal().filter(|point| point.year().is_some_and(|year| YEARS.contains(&year)))
    else {
        return (Cell::Null, Doubt::Unreadable);
    };
    let cell = match ty {
        ColumnType::Timestamp => point.first_us().map(Cell::Timestamp),
        ColumnType::Date
        | ColumnType::Text
        | ColumnType::Integer
        | ColumnType::Float
        | ColumnType::Boolean => point.first_day().map(Cell::Date),
    };
    let doubt = if point.has_day() { Doubt::None } else { Doubt::Partial };
    cell.map_or((Cell::Null, Doubt::Unreadable), |cell| (cell, doubt))
}
