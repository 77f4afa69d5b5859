//! What a value of a source means: numbers, dates, ages and text, in the forms that hospitals write them.
//!
//! A value that cannot be read becomes NULL and is counted; it never becomes another value.

mod age;
mod column;
mod number;
mod text;
mod time;

pub(crate) use age::years;
pub(crate) use column::{read, stored_type};
pub(crate) use number::{float, integer};
pub(crate) use text::attribute;
pub(crate) use time::{date, timestamp};

use std::ops::RangeInclusive;

/// One value of a source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Reading<T> {
    /// A value.
    Value(T),
    /// The source says that there is none.
    Missing,
    /// Something that the type cannot hold.
    Unreadable,
}

impl<T> Reading<T> {
    fn from_option(value: Option<T>) -> Self {
        value.map_or(Self::Unreadable, Self::Value)
    }
}

/// How the values of one world are read.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// Years that a date may have. Others are placeholders (00010101) or slips, not dates.
    pub(crate) years: RangeInclusive<i32>,
    /// What text is.
    pub(crate) text: TextRule,
}

/// What text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextRule {
    /// Kept as it is; only the empty text is no value.
    Verbatim,
    /// A DICOM attribute (PS3.5 section 6.2): padding removed, control characters refused, several values of
    /// one attribute joined by a comma.
    Attribute,
}

impl Rules {
    /// DICOM: radiography began in 1895, and dates of birth are a lifetime older.
    pub(crate) fn dicom() -> Self {
        Self { years: 1800..=2199, text: TextRule::Attribute }
    }

    /// OMOP: validity dates reach to 2099 and, in some sources, 9999.
    pub(crate) fn omop() -> Self {
        Self { years: 1..=9999, text: TextRule::Verbatim }
    }
}
