//! Numbers and dates: the first of the values of an attribute, and whether others differ from it.

use super::{Form, Raw, Reading, Rules, trimmed, values};
use crate::dicom::cells::Number;

/// The first value of an attribute.
pub(super) struct Values<T> {
    pub(super) first: Reading<T>,
    /// Others follow that are not the same.
    pub(super) several: bool,
}

impl<T> Values<T> {
    fn none(first: Reading<T>) -> Self {
        Self { first, several: false }
    }
}

/// Whole numbers; `parse` reads one from text.
pub(super) fn integers(raw: Raw<'_>, parse: impl Fn(&[u8]) -> Reading<i64>) -> Values<i64> {
    read(raw, parse, whole)
}

/// Finite numbers.
pub(super) fn floats(raw: Raw<'_>) -> Values<f64> {
    read(raw, values::float, |bytes, number| scalar(bytes, number).filter(|value| value.is_finite()))
}

/// Days since 1970.
pub(super) fn dates(raw: Raw<'_>, rules: &Rules) -> Values<i32> {
    read(raw, |bytes| values::date(bytes, &rules.years), |_, _| None)
}

fn read<T>(
    raw: Raw<'_>,
    parse: impl Fn(&[u8]) -> Reading<T>,
    convert: impl Fn(&[u8], Number) -> Option<T>,
) -> Values<T> {
    match raw.form {
        Form::Absent | Form::Differing => Values::none(Reading::Missing),
        Form::Broken => Values::none(Reading::Unreadable),
        Form::Text | Form::Guessed => {
            let mut values = raw.bytes.split(|byte| *byte == b'\\').map(trimmed);
            let first = values.next().unwrap_or_default();
            Values { several: values.any(|value| value != first), first: parse(first) }
        }
        Form::Binary(_) if raw.bytes.is_empty() => Values::none(Reading::Missing),
        Form::Binary(number) => {
            let mut values = raw.bytes.chunks_exact(number.bytes());
            let Some(first) = values.next() else { return Values::none(Reading::Unreadable) };
            let converted = convert(first, number).map_or(Reading::Unreadable, Reading::Value);
            Values { several: values.any(|value| value != first), first: converted }
        }
    }
}

/// All numbers in decimal, joined by a backslash.
pub(super) fn joined(bytes: &[u8], number: Number) -> String {
    let texts = bytes.chunks_exact(number.bytes()).filter_map(|bytes| match whole(bytes, number) {
        Some(value) => Some(value.to_string()),
        None => scalar(bytes, number).map(|value| value.to_string()),
    });
    texts.collect::<Vec<_>>().join("\\")
}

fn whole(bytes: &[u8], number: Number) -> Option<i64> {
    match number {
        Number::U16 => bytes.try_into().ok().map(u16::from_le_bytes).map(i64::from),
        Number::I16 => bytes.try_into().ok().map(i16::from_le_bytes).map(i64::from),
        Number::U32 => bytes.try_into().ok().map(u32::from_le_bytes).map(i64::from),
        Number::I32 => bytes.try_into().ok().map(i32::from_le_bytes).map(i64::from),
        Number::I64 => bytes.try_into().ok().map(i64::from_le_bytes),
        Number::U64 => i64::try_from(bytes.try_into().ok().map(u64::from_le_bytes)?).ok(),
        Number::F32 | Number::F64 => {
            let value = scalar(bytes, number)?;
            match values::integer(value.to_string().as_bytes()) {
                Reading::Value(whole) => Some(whole),
                Reading::Missing | Reading::Unreadable => None,
            }
        }
    }
}

fn scalar(bytes: &[u8], number: Number) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "measures are floats; 53 bits are enough for them")]
    let widened = |whole: i64| whole as f64;
    match number {
        Number::F32 => bytes.try_into().ok().map(f32::from_le_bytes).map(f64::from),
        Number::F64 => bytes.try_into().ok().map(f64::from_le_bytes),
        Number::U16 | Number::I16 | Number::U32 | Number::I32 | Number::U64 | Number::I64 => {
            whole(bytes, number).map(widened)
        }
    }
}
