//! When a DICOM record was made, by the dates that its table stores: the first pair of a date and a time of day that it
//! has (PS3.3 sections C.12.1, C.7.6.1, C.7.3.1 and C.7.2.1).

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::Date32Type;

/// The most telling first: of the instance, its content, its acquisition, its series, its study.
const PAIRS: [(&str, &str); 5] = [
    ("instancecreationdate", "instancecreationtime"),
    ("contentdate", "contenttime"),
    ("acquisitiondate", "acquisitiontime"),
    ("seriesdate", "seriestime"),
    ("studydate", "studytime"),
];
const SECOND_US: i64 = 1_000_000;
const DAY_US: i64 = 86_400 * SECOND_US;

/// Where some columns have dates and times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Moments(Vec<(usize, Option<usize>)>);

impl Moments {
    /// Among columns of these names.
    pub(crate) fn among<'n>(names: impl Iterator<Item = &'n str>) -> Self {
        let names: Vec<&str> = names.collect();
        let position = |wanted: &str| names.iter().position(|name| *name == wanted);
        Self(PAIRS.iter().filter_map(|(date, time)| Some((position(date)?, position(time)))).collect())
    }

    /// Those of the names that say when a record was made.
    pub(crate) fn columns<'n>(names: impl Iterator<Item = &'n str>) -> Vec<&'n str> {
        names.filter(|name| PAIRS.iter().any(|(date, time)| [date, time].contains(&name))).collect()
    }

    /// When the record of a row was made, in microseconds since 1970.
    pub(crate) fn at(&self, columns: &[ArrayRef], row: usize) -> Option<i64> {
        self.0.iter().find_map(|(date, time)| {
            let dates = columns.get(*date)?.as_primitive_opt::<Date32Type>()?;
            let day = dates.is_valid(row).then(|| i64::from(dates.value(row)))?;
            let times = time.and_then(|time| columns.get(time)?.as_string_opt::<i32>());
            let time = times.filter(|times| times.is_valid(row)).map_or(0, |times| time_us(times.value(row)));
            Some(day * DAY_US + time)
        })
    }
}

/// Microseconds into the day of `HHMMSS.FFFFFF`, of which all behind the hour may be missing; 0 of anything else.
fn time_us(text: &str) -> i64 {
    let (clock, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let clock: String = clock.chars().filter(|c| *c != ':').collect();
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if clock.len() > 6 || !digits(&clock) || !digits(fraction) {
        return 0;
    }
    let parts =
        clock.as_bytes().chunks(2).filter_map(|part| std::str::from_utf8(part).ok()?.parse::<i64>().ok());
    let seconds: i64 = parts.zip([3600, 60, 1]).map(|(part, weight)| part * weight).sum();
    let padded = fraction.bytes().chain(std::iter::repeat(b'0')).take(6);
    seconds * SECOND_US + padded.fold(0, |value, byte| value * 10 + i64::from(byte - b'0'))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Date32Array, StringArray};

    use super::*;

    #[test]
    fn the_first_pair_with_a_date_counts() {
        let names = ["studydate", "contenttime", "contentdate"];
        let moments = Moments::among(names.into_iter());
        let columns: [ArrayRef; 3] = [
            Arc::new(Date32Array::from(vec![Some(1), Some(1), None])),
            Arc::new(StringArray::from(vec![Some("010203.5"), Some("01"), Some("02")])),
            Arc::new(Date32Array::from(vec![Some(2), None, None])),
        ];
        let at: Vec<Option<i64>> = (0..3).map(|row| moments.at(&columns, row)).collect();
        assert_eq!(at, [Some(2 * DAY_US + 3723 * SECOND_US + 500_000), Some(DAY_US), None]);
        assert_eq!(Moments::columns(["a", "studydate"].into_iter()), ["studydate"]);
    }

    #[test]
    fn times_of_day_are_read_as_far_as_they_go() {
        let seconds = |text| time_us(text) / SECOND_US;
        assert_eq!(
            ["07", "0730", "07:30:01", "x", "", "073001.12345678"].map(seconds),
            [25_200, 27_000, 27_001, 0, 0, 27_001]
        );
    }
}
