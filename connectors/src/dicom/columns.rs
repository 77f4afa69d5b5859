//! From the bytes of attributes to columns as the warehouse stores them.
//!
//! A value outside the repertoire of its value representation (PS3.5 section 6.2) becomes NULL and is counted:
//! a name in a code string must not become one more code.

mod number;

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, PrimitiveBuilder, StringBuilder, new_null_array};
use arrow::datatypes::{ArrowPrimitiveType, Date32Type, Float64Type, Int64Type};
use caim_ontology::{Column, ColumnType};

use super::cells::{Cells, Form, Raw};
use super::element::Vr;
use super::prolog::trimmed;
use crate::values::{self, Reading, Rules, stored_type};
use number::Values;

/// Longest unique identifier (PS3.5 section 9.1).
const LONGEST_UID: usize = 64;

/// A column that an attribute fills.
pub(super) struct Filler {
    /// Of these places the first one counts at which an object says something.
    slots: Vec<usize>,
    kind: Kind,
}

/// What becomes of a value.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Integer,
    /// Years of an age string.
    Age,
    Float,
    Date,
    /// Whether there is a value at all.
    Presence,
    Text(Repertoire),
    /// Nothing in the model is of this type.
    Nothing(ColumnType),
}

/// Which characters a text may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repertoire {
    /// Unique identifiers.
    Uid,
    /// Code strings, with what writers use besides.
    Code,
    /// Decimal strings and times.
    Number,
    /// Anything but control characters.
    Any,
}

/// A column of some rows, and what is doubtful about it.
pub(super) struct Filled {
    pub(super) array: ArrayRef,
    pub(super) doubts: Doubts,
}

/// How many values were doubtful.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Doubts {
    /// Not read, and NULL.
    pub(super) unreadable: u64,
    /// The first of several different ones.
    pub(super) several: u64,
    /// Text in a guessed character set.
    pub(super) guessed: u64,
    /// NULL, since frames differ.
    pub(super) differing: u64,
}

impl Filler {
    /// Fills `column` from the attribute in these slots.
    pub(super) fn of(column: &Column, slots: Vec<usize>) -> Self {
        let vr = Vr::parse(column.vr.as_deref().unwrap_or_default());
        let kind = match column.ty {
            ColumnType::Integer if vr == Vr(*b"AS") => Kind::Age,
            ColumnType::Integer => Kind::Integer,
            ColumnType::Float => Kind::Float,
            ColumnType::Date => Kind::Date,
            ColumnType::Boolean => Kind::Presence,
            ColumnType::Text => Kind::Text(Repertoire::of(vr)),
            ColumnType::Timestamp => Kind::Nothing(column.ty),
        };
        Self { slots, kind }
    }

    /// The column of all rows.
    pub(super) fn fill(&self, cells: &Cells, rules: &Rules) -> Filled {
        let rows = (0..cells.rows()).map(|row| self.raw(cells, row));
        let differing = rows.clone().filter(|raw| raw.form == Form::Differing).count() as u64;
        let filled = match self.kind {
            Kind::Integer => numbers::<Int64Type>(rows, |raw| number::integers(raw, values::integer)),
            Kind::Age => numbers::<Int64Type>(rows, |raw| number::integers(raw, values::years)),
            Kind::Float => numbers::<Float64Type>(rows, number::floats),
            Kind::Date => numbers::<Date32Type>(rows, |raw| number::dates(raw, rules)),
            Kind::Presence => presences(rows),
            Kind::Text(repertoire) => texts(rows, repertoire),
            Kind::Nothing(ty) => {
                Filled { array: new_null_array(&stored_type(ty), cells.rows()), doubts: Doubts::default() }
            }
        };
        Filled { doubts: Doubts { differing, ..filled.doubts }, ..filled }
    }

    fn raw<'c>(&self, cells: &'c Cells, row: usize) -> Raw<'c> {
        let mut said = self.slots.iter().map(|slot| cells.get(row, *slot));
        let first = said.clone().find(|raw| raw.form != Form::Absent && !is_blank(*raw));
        first.or_else(|| said.next()).unwrap_or(Raw { form: Form::Absent, bytes: &[] })
    }
}

/// A value that is there and says nothing.
fn is_blank(raw: Raw<'_>) -> bool {
    match raw.form {
        Form::Text | Form::Guessed => trimmed(raw.bytes).is_empty(),
        Form::Binary(_) => raw.bytes.is_empty(),
        Form::Absent | Form::Broken | Form::Differing => false,
    }
}

fn numbers<'c, T: ArrowPrimitiveType>(
    rows: impl ExactSizeIterator<Item = Raw<'c>>,
    read: impl Fn(Raw<'c>) -> Values<T::Native>,
) -> Filled {
    let mut builder = PrimitiveBuilder::<T>::with_capacity(rows.len());
    let mut doubts = Doubts::default();
    for raw in rows {
        let values = read(raw);
        doubts.several += u64::from(values.several);
        doubts.unreadable += u64::from(matches!(values.first, Reading::Unreadable));
        builder.append_option(if let Reading::Value(value) = values.first { Some(value) } else { None });
    }
    Filled { array: Arc::new(builder.finish()), doubts }
}

fn presences<'c>(rows: impl Iterator<Item = Raw<'c>>) -> Filled {
    let is_there = |raw: Raw<'c>| match raw.form {
        Form::Absent => false,
        Form::Broken | Form::Differing => true,
        Form::Text | Form::Guessed | Form::Binary(_) => !trimmed(raw.bytes).is_empty(),
    };
    let array = BooleanArray::from(rows.map(is_there).collect::<Vec<bool>>());
    Filled { array: Arc::new(array), doubts: Doubts::default() }
}

fn texts<'c>(rows: impl ExactSizeIterator<Item = Raw<'c>>, repertoire: Repertoire) -> Filled {
    let mut builder = StringBuilder::with_capacity(rows.len(), rows.len() * 16);
    let mut doubts = Doubts::default();
    for raw in rows {
        match text(raw, repertoire) {
            Reading::Value(text) => {
                doubts.guessed += u64::from(raw.form == Form::Guessed);
                builder.append_value(text);
            }
            Reading::Missing => builder.append_null(),
            Reading::Unreadable => {
                doubts.unreadable += 1;
                builder.append_null();
            }
        }
    }
    Filled { array: Arc::new(builder.finish()), doubts }
}

/// A text of one value or several, if all its characters are in the repertoire.
pub(super) fn text(raw: Raw<'_>, repertoire: Repertoire) -> Reading<Cow<'_, str>> {
    match raw.form {
        Form::Absent | Form::Differing => Reading::Missing,
        Form::Broken => Reading::Unreadable,
        Form::Binary(number) => match number::joined(raw.bytes, number) {
            text if text.is_empty() => Reading::Missing,
            text => Reading::Value(Cow::Owned(text)),
        },
        Form::Text | Form::Guessed => {
            let Ok(text) = std::str::from_utf8(raw.bytes) else { return Reading::Unreadable };
            match values::attribute(Cow::Borrowed(text), "\\") {
                Reading::Value(text) if !repertoire.has(&text) => Reading::Unreadable,
                reading => reading,
            }
        }
    }
}

impl Repertoire {
    pub(super) fn of(vr: Vr) -> Self {
        match &vr.0 {
            b"UI" => Self::Uid,
            b"CS" | b"AS" => Self::Code,
            b"DS" | b"IS" | b"DA" | b"TM" | b"DT" => Self::Number,
            _ => Self::Any,
        }
    }

    fn has(self, text: &str) -> bool {
        let all = |also: &[u8]| {
            text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'\\' || also.contains(&byte))
        };
        match self {
            Self::Uid => {
                text.len() <= LONGEST_UID && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
            }
            // The standard allows capitals, digits, space and underscore; the rest is in real images.
            Self::Code => all(b" _-.+/:*()&#"),
            Self::Number => text.bytes().all(|byte| byte.is_ascii_digit() || b"\\+-.:eE ".contains(&byte)),
            Self::Any => true,
        }
    }
}

#[cfg(test)]
mod tests;
