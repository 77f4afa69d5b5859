//! Dates and times of day: ISO 8601, DICOM DA (PS3.5 section 6.2, with the dots of ACR-NEMA), and what databases
//! export. An impossible date is unreadable, never another date.

use std::ops::RangeInclusive;

use chrono::{Datelike, NaiveDate};

use super::Reading;

const SECOND_US: i64 = 1_000_000;
const DAY_US: i64 = 86_400 * SECOND_US;
/// Day number (from the common era) of 1970-01-01.
const EPOCH_DAY: i32 = 719_163;

/// Days since 1970; a time of day behind the date is cut off.
pub(crate) fn date(bytes: &[u8], years: &RangeInclusive<i32>) -> Reading<i32> {
    let bytes = trim(bytes);
    if bytes.is_empty() {
        return Reading::Missing;
    }
    Reading::from_option(split_date(bytes, years).and_then(|(days, rest)| time_us(rest).map(|_| days)))
}

/// Microseconds since 1970, without a zone: a time with an offset is brought to UTC.
pub(crate) fn timestamp(bytes: &[u8], years: &RangeInclusive<i32>) -> Reading<i64> {
    let bytes = trim(bytes);
    if bytes.is_empty() {
        return Reading::Missing;
    }
    Reading::from_option(
        split_date(bytes, years).and_then(|(days, rest)| Some(i64::from(days) * DAY_US + time_us(rest)?)),
    )
}

/// The days since 1970 on which the first and the last of these years begins and ends.
pub(super) fn bounds(years: &RangeInclusive<i32>) -> (i32, i32) {
    let first = NaiveDate::from_ymd_opt(*years.start(), 1, 1).map_or(i32::MIN, days);
    let last = NaiveDate::from_ymd_opt(*years.end(), 12, 31).map_or(i32::MAX, days);
    (first, last)
}

/// The first and last microsecond since 1970 of these years.
pub(super) fn bounds_us(years: &RangeInclusive<i32>) -> (i64, i64) {
    let (first, last) = bounds(years);
    (i64::from(first) * DAY_US, i64::from(last) * DAY_US + (DAY_US - 1))
}

fn days(date: NaiveDate) -> i32 {
    date.num_days_from_ce() - EPOCH_DAY
}

fn trim(bytes: &[u8]) -> &[u8] {
    bytes.trim_ascii().trim_suffix_nul()
}

trait TrimNul {
    fn trim_suffix_nul(&self) -> &Self;
}

impl TrimNul for [u8] {
    /// DICOM pads to even length, some writers with NUL.
    fn trim_suffix_nul(&self) -> &Self {
        self.strip_suffix(b"\0").unwrap_or(self).trim_ascii()
    }
}

/// The date at the front, as days since 1970, and what follows it.
fn split_date<'a>(bytes: &'a [u8], years: &RangeInclusive<i32>) -> Option<(i32, &'a [u8])> {
    let (year, rest) = digits(bytes, 4, 4)?;
    let (month, day, rest) = match rest.first()? {
        separator @ (b'-' | b'.' | b'/') => {
            let (month, rest) = digits(rest.get(1..)?, 1, 2)?;
            let (day, rest) = digits(rest.strip_prefix(&[*separator])?, 1, 2)?;
            (month, day, rest)
        }
        _ => {
            let (month, rest) = digits(rest, 2, 2)?;
            let (day, rest) = digits(rest, 2, 2)?;
            (month, day, rest)
        }
    };
    let year = i32::try_from(year).ok().filter(|year| years.contains(year))?;
    Some((days(NaiveDate::from_ymd_opt(year, month, day)?), rest))
}

/// Microseconds into the day, less the offset: nothing at all, or `T` or a space and `hh:mm[:ss[.f]][zone]`.
fn time_us(bytes: &[u8]) -> Option<i64> {
    let rest = match bytes.split_first() {
        None => return Some(0),
        Some((b'T' | b't' | b' ', rest)) => rest,
        Some(_) => return None,
    };
    let (hour, rest) = digits(rest, 1, 2).filter(|(hour, _)| *hour < 24)?;
    let (minute, mut rest) = digits(rest.strip_prefix(b":")?, 2, 2).filter(|(minute, _)| *minute < 60)?;
    let mut us = i64::from(hour * 3600 + minute * 60) * SECOND_US;
    if let Some(seconds) = rest.strip_prefix(b":") {
        let (second, after) = digits(seconds, 2, 2).filter(|(second, _)| *second < 60)?;
        us += i64::from(second) * SECOND_US;
        rest = after;
    }
    if let Some(fraction) = rest.strip_prefix(b".").or_else(|| rest.strip_prefix(b",")) {
        let (part, after) = fraction_us(fraction)?;
        us += part;
        rest = after;
    }
    Some(us - offset_us(rest.trim_ascii())?)
}

/// Digits behind the point; those beyond microseconds are cut off.
fn fraction_us(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let length = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (fraction, rest) = bytes.split_at_checked(length).filter(|_| length > 0)?;
    let padded = fraction.iter().copied().chain(std::iter::repeat(b'0')).take(6);
    Some((padded.fold(0, |value, byte| value * 10 + i64::from(byte - b'0')), rest))
}

/// Nothing, `Z`, `UTC`, `+hh`, `+hhmm` or `+hh:mm`.
fn offset_us(bytes: &[u8]) -> Option<i64> {
    let (sign, rest) = match bytes.split_first() {
        None => return Some(0),
        Some((b'+', rest)) => (1, rest),
        Some((b'-', rest)) => (-1, rest),
        Some(_) => return (bytes == b"Z" || bytes == b"z" || bytes == b"UTC").then_some(0),
    };
    let (hours, rest) = digits(rest, 2, 2).filter(|(hours, _)| *hours < 24)?;
    let rest = rest.strip_prefix(b":").unwrap_or(rest);
    let minutes = match rest {
        [] => 0,
        _ => digits(rest, 2, 2).filter(|(minutes, rest)| *minutes < 60 && rest.is_empty())?.0,
    };
    Some(sign * i64::from(hours * 3600 + minutes * 60) * SECOND_US)
}

/// Between `least` and `most` digits at the front, and what follows them.
fn digits(bytes: &[u8], least: usize, most: usize) -> Option<(u32, &[u8])> {
    let length = bytes.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = bytes.split_at_checked(length).filter(|_| length >= least)?;
    Some((digits.iter().fold(0, |value, byte| value * 10 + u32::from(byte - b'0')), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: RangeInclusive<i32> = 1..=9999;

    fn day(text: &str) -> Reading<i32> {
        date(text.as_bytes(), &(1800..=2199))
    }

    fn us(text: &str) -> Reading<i64> {
        timestamp(text.as_bytes(), &ALL)
    }

    proptest! {
        #[test]
        fn every_day_reads_back_in_every_form(number in -50_000_i32..50_000) {
            let date = NaiveDate::from_num_days_from_ce_opt(number + EPOCH_DAY).unwrap();
            for form in ["%Y-%m-%d", "%Y%m%d", "%Y.%m.%d", "%Y/%m/%d", "%Y-%-m-%-d", "%Y-%m-%d 00:00:00"] {
                prop_assert_eq!(day(&date.format(form).to_string()), Reading::Value(number));
            }
        }

        #[test]
        fn no_text_makes_a_date_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            date(&bytes, &ALL);
            timestamp(&bytes, &ALL);
        }
    }

    #[test]
    fn impossible_dates_are_unreadable_and_never_another_date() {
        for text in [
            "00010101",
            "99991231",
            "20230230",
            "UNKNOWN",
            "2023-13-01",
            "2023-1-0",
            "230105",
            "2023",
            "2023-01.05",
            "20230105x",
            "2023-01-05 25:00",
            "45000",
            "0000-00-00",
            "2023-01-05garbage",
        ] {
            assert_eq!(day(text), Reading::Unreadable, "{text}");
        }
    }

    #[test]
    fn dots_of_acr_nema_and_padding_are_read() {
        assert_eq!(day("2023.01.05"), day("20230105"));
        assert_eq!(day("20230105 "), day("20230105"));
        assert_eq!(day("20230105\0"), day("20230105"));
        assert_eq!(day("1970-01-02"), Reading::Value(1));
        assert_eq!(day(" "), Reading::Missing);
    }

    #[test]
    fn the_time_of_a_date_is_cut_off() {
        assert_eq!(day("2020-02-29T23:59:59.999Z"), day("2020-02-29"));
        assert_eq!(day("2020-02-29 00:00"), day("2020-02-29"));
    }

    #[test]
    fn times_of_day_are_read_to_the_microsecond() {
        assert_eq!(us("1970-01-01"), Reading::Value(0));
        assert_eq!(us("1970-01-01 00:00:01"), Reading::Value(1_000_000));
        assert_eq!(us("1970-01-01T01:02:03.25"), Reading::Value(3_723_250_000));
        assert_eq!(us("1970-01-02 00:00:00.0000019Z"), Reading::Value(DAY_US + 1));
        assert_eq!(us("1969-12-31 23:59:59"), Reading::Value(-1_000_000));
    }

    #[test]
    fn an_offset_brings_a_time_to_utc() {
        for text in ["1970-01-01T02:00:00+02:00", "1970-01-01 02:00+02", "1969-12-31T19:00:00-0500"] {
            assert_eq!(us(text), Reading::Value(0), "{text}");
        }
        for text in ["1970-01-01T02:00:00+2", "1970-01-01T24:00:00", "1970-01-01T", "1970-01-01 12:00 noon"] {
            assert_eq!(us(text), Reading::Unreadable, "{text}");
        }
    }
}
