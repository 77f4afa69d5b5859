//! Whole and decimal numbers and truth values.

use super::Reading;

/// Beyond it, not every whole number is a 64-bit float.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A whole number; `123.0` and `1.0E3` are whole as well, because tools that know no missing integers write them.
pub(crate) fn integer(bytes: &[u8]) -> Reading<i64> {
    let bytes = bytes.trim_ascii();
    if let Some(value) = digits(bytes) {
        return Reading::Value(value);
    }
    match float(bytes) {
        Reading::Value(value) if value.fract() == 0.0 && value.abs() <= EXACT =>
        {
            #[expect(clippy::cast_possible_truncation, reason = "whole and at most 2^53")]
            Reading::Value(value as i64)
        }
        Reading::Missing => Reading::Missing,
        Reading::Value(_) | Reading::Unreadable => Reading::Unreadable,
    }
}

/// A finite number. `nan` is how data frames write a missing one; infinities are not numbers.
pub(crate) fn float(bytes: &[u8]) -> Reading<f64> {
    let bytes = bytes.trim_ascii();
    if bytes.is_empty() {
        return Reading::Missing;
    }
    match std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<f64>().ok()) {
        Some(value) if value.is_nan() => Reading::Missing,
        Some(value) if value.is_finite() => Reading::Value(value),
        Some(_) | None => Reading::Unreadable,
    }
}

/// True or false in the spellings of databases and spreadsheets.
pub(super) fn boolean(bytes: &[u8]) -> Reading<bool> {
    match bytes.trim_ascii().to_ascii_lowercase().as_slice() {
        b"" => Reading::Missing,
        b"true" | b"t" | b"yes" | b"y" | b"1" => Reading::Value(true),
        b"false" | b"f" | b"no" | b"n" | b"0" => Reading::Value(false),
        _ => Reading::Unreadable,
    }
}

/// The common case, without a detour through text: an optional sign and digits.
fn digits(bytes: &[u8]) -> Option<i64> {
    let (negative, digits) = match bytes.split_first()? {
        (b'-', rest) => (true, rest),
        (b'+', rest) => (false, rest),
        _ => (false, bytes),
    };
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_i64, |value, byte| {
        let digit = i64::from(byte.checked_sub(b'0').filter(|digit| *digit < 10)?);
        let value = value.checked_mul(10)?;
        if negative { value.checked_sub(digit) } else { value.checked_add(digit) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_integer_and_every_finite_float_reads_back(i: i64, f in proptest::num::f64::NORMAL) {
            prop_assert_eq!(integer(i.to_string().as_bytes()), Reading::Value(i));
            prop_assert_eq!(float(f.to_string().as_bytes()), Reading::Value(f));
        }
    }

    #[test]
    fn whole_numbers_may_be_written_as_decimals_and_others_may_not() {
        for (text, value) in [("123.0", 123), (" 7 ", 7), ("-0.0", 0), ("1.0E3", 1000), ("+5", 5)] {
            assert_eq!(integer(text.as_bytes()), Reading::Value(value), "{text}");
        }
        for text in ["1.5", "9223372036854775808", "1e300", "x", "1 2", "-", "0x10", "inf", "1,5"] {
            assert_eq!(integer(text.as_bytes()), Reading::Unreadable, "{text}");
        }
    }

    #[test]
    fn not_a_number_is_missing_and_infinity_is_unreadable() {
        assert_eq!(float(b"NaN"), Reading::Missing);
        assert_eq!(integer(b"nan"), Reading::Missing);
        assert_eq!(float(b""), Reading::Missing);
        for text in ["inf", "-Infinity", "1e400", "1,5", "0.5mm"] {
            assert_eq!(float(text.as_bytes()), Reading::Unreadable, "{text}");
        }
    }

    #[test]
    fn truth_has_the_spellings_of_databases() {
        assert_eq!(boolean(b" TRUE "), Reading::Value(true));
        assert_eq!(boolean(b"0"), Reading::Value(false));
        assert_eq!(boolean(b""), Reading::Missing);
        assert_eq!(boolean(b"2"), Reading::Unreadable);
    }
}
