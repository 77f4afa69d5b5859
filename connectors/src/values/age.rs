//! Ages: DICOM AS (PS3.5 section 6.2), `nnnD`, `nnnW`, `nnnM` or `nnnY`, in whole years.

use super::{Reading, number};

/// Nobody was older; a larger number is something else.
const OLDEST: i64 = 150;

/// Whole years, rounded down. A bare number is taken as years, because tables with a numeric age column mean that.
pub(crate) fn years(bytes: &[u8]) -> Reading<i64> {
    let bytes = bytes.trim_ascii();
    let Some((last, digits)) = bytes.split_last() else { return Reading::Missing };
    let per_year = match last {
        b'Y' | b'y' => return plausible(whole(digits)),
        b'M' | b'm' => 12.0,
        b'W' | b'w' => 365.25 / 7.0,
        b'D' | b'd' => 365.25,
        _ => return plausible(number::integer(bytes)),
    };
    match whole(digits) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "at most 999 units, rounded down on purpose"
        )]
        Reading::Value(units) => Reading::Value((units as f64 / per_year) as i64),
        Reading::Missing | Reading::Unreadable => Reading::Unreadable,
    }
}

/// One to three digits.
fn whole(digits: &[u8]) -> Reading<i64> {
    if (1..=3).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit) {
        number::integer(digits)
    } else {
        Reading::Unreadable
    }
}

fn plausible(years: Reading<i64>) -> Reading<i64> {
    match years {
        Reading::Value(years) if (0..=OLDEST).contains(&years) => Reading::Value(years),
        Reading::Missing => Reading::Missing,
        Reading::Value(_) | Reading::Unreadable => Reading::Unreadable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_become_whole_years() {
        for (text, age) in [
            ("056Y", 56),
            ("56Y", 56),
            ("095Y ", 95),
            ("018M", 1),
            ("011M", 0),
            ("024M", 2),
            ("104W", 1),
            ("105W", 2),
            ("365D", 0),
            ("366D", 1),
            ("000D", 0),
            ("56", 56),
            ("56.0", 56),
        ] {
            assert_eq!(years(text.as_bytes()), Reading::Value(age), "{text}");
        }
    }

    #[test]
    fn what_is_no_age_is_unreadable() {
        for text in ["6657", "999Y", "Y", "-1Y", "5 6Y", "56.5", "0560Y", "old", "-3"] {
            assert_eq!(years(text.as_bytes()), Reading::Unreadable, "{text}");
        }
        assert_eq!(years(b" "), Reading::Missing);
    }
}
