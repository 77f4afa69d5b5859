//! Dates, dates with times, and times of day, each as exact as it was written (FHIR R4 section 2.24.0.1).

use std::cmp::Ordering;

use chrono::{Datelike, NaiveDate};

/// A point in time with its precision: fields behind the last known one are not known, not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Temporal {
    pub(super) kind: Kind,
    /// Year, month, day, hour, minute, second, microsecond.
    pub(super) fields: [u32; 7],
    /// How many fields are known, from the first that its kind has.
    pub(super) known: usize,
    /// Minutes east of UTC, if it is said.
    pub(super) zone: Option<i32>,
    /// Digits of the second behind the point.
    pub(super) fraction: usize,
}

/// What is known of a point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A day, month or year.
    Date,
    /// A day with a time.
    DateTime,
    /// A time of any day.
    Time,
}

const DAY: usize = 3;
const HOUR: usize = 3;
const SECOND: usize = 6;
const DAY_US: i64 = 86_400_000_000;
/// Day number (from the common era) of 1970-01-01.
const EPOCH_DAY: i32 = 719_163;

impl Temporal {
    /// Reads a FHIR date, dateTime, instant or time. `None` for everything else, and for days that no calendar has.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.get(2..3) == Some(":") {
            let mut time =
                Self { kind: Kind::Time, fields: [1, 1, 1, 0, 0, 0, 0], known: DAY, zone: None, fraction: 0 };
            let rest = time.read_time(text)?;
            return rest.is_empty().then_some(time);
        }
        let mut read =
            Self { kind: Kind::Date, fields: [0, 1, 1, 0, 0, 0, 0], known: 1, zone: None, fraction: 0 };
        let (year, mut rest) = number(text, 4)?;
        read.fields[0] = year;
        for field in 1..DAY {
            let Some(after) = rest.strip_prefix('-') else { break };
            let (value, after) = number(after, 2)?;
            *read.fields.get_mut(field)? = value;
            read.known = field + 1;
            rest = after;
        }
        read.day()?;
        if let Some(time) = rest.strip_prefix('T').filter(|_| read.known == DAY) {
            read.kind = Kind::DateTime;
            // FHIRPath writes a date that is a dateTime with a T and nothing behind it.
            rest = if time.is_empty() { time } else { read.read_time(time)? };
            rest = read.read_zone(rest)?;
        }
        (rest.is_empty() && year > 0).then_some(read)
    }

    /// The first day of it, as days since 1970.
    pub(crate) fn first_day(&self) -> Option<i32> {
        Some(self.day()?.num_days_from_ce() - EPOCH_DAY)
    }

    /// Whether the day itself is known.
    pub(crate) fn has_day(&self) -> bool {
        self.kind != Kind::Time && self.known >= DAY
    }

    /// The year, if it has one.
    pub(crate) fn year(&self) -> Option<u32> {
        (self.kind != Kind::Time).then_some(self.fields[0])
    }

    /// The first microsecond of it since 1970, in UTC if a zone is said, else as it is written.
    pub(crate) fn first_us(&self) -> Option<i64> {
        let [_, _, _, hour, minute, second, us] = self.fields.map(i64::from);
        let of_day = ((hour * 60 + minute) * 60 + second) * 1_000_000 + us;
        let zone = i64::from(self.zone.unwrap_or(0)) * 60_000_000;
        Some(i64::from(self.first_day()?) * DAY_US + of_day - zone)
    }

    /// Which is earlier. `None` where what is known of the two does not say.
    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        if (self.kind == Kind::Time) != (other.kind == Kind::Time) {
            return None;
        }
        if self.kind == Kind::DateTime
            && other.kind == Kind::DateTime
            && self.zone.is_some() != other.zone.is_some()
        {
            return None;
        }
        let (a, b) = if self.zone.is_some() && other.zone.is_some() && self.zone != other.zone {
            (self.in_utc()?, other.in_utc()?)
        } else {
            (*self, *other)
        };
        // Seconds and their fractions are one precision.
        let known = |t: &Self| if t.known == SECOND { SECOND + 1 } else { t.known };
        let both = known(&a).min(known(&b));
        match a.fields.iter().zip(&b.fields).take(both).map(|(a, b)| a.cmp(b)).find(|order| order.is_ne()) {
            Some(order) => Some(order),
            None => (known(&a) == known(&b)).then_some(Ordering::Equal),
        }
    }

    /// How many days its month has.
    pub(super) fn days_of_month(&self) -> u32 {
        (28..=31)
            .rev()
            .find(|day| NaiveDate::from_ymd_opt(self.year_number(), self.fields[1], *day).is_some())
            .unwrap_or(31)
    }

    fn in_utc(self) -> Option<Self> {
        let us = self.first_us()?;
        let day = i32::try_from(us.div_euclid(DAY_US)).ok()?;
        let date = NaiveDate::from_num_days_from_ce_opt(day + EPOCH_DAY)?;
        let of_day = u64::try_from(us.rem_euclid(DAY_US)).ok()?;
        let (seconds, us) = (of_day / 1_000_000, of_day % 1_000_000);
        let field = |number: u64| u32::try_from(number).ok();
        let time = [field(seconds / 3600)?, field(seconds / 60 % 60)?, field(seconds % 60)?, field(us)?];
        let [hour, minute, second, us] = time;
        let year = u32::try_from(date.year()).ok()?;
        Some(Self {
            fields: [year, date.month(), date.day(), hour, minute, second, us],
            zone: Some(0),
            ..self
        })
    }

    fn day(&self) -> Option<NaiveDate> {
        NaiveDate::from_ymd_opt(self.year_number(), self.fields[1], self.fields[2])
    }

    fn year_number(&self) -> i32 {
        i32::try_from(self.fields[0]).unwrap_or(0)
    }

    /// `hh[:mm[:ss[.f]]]`; what follows it.
    fn read_time<'t>(&mut self, text: &'t str) -> Option<&'t str> {
        let mut rest = text;
        for (field, limit) in (HOUR..SECOND).zip([24, 60, 60]) {
            let digits = if field == HOUR { Some(rest) } else { rest.strip_prefix(':') };
            let Some(digits) = digits else { break };
            let (value, after) = number(digits, 2).filter(|(value, _)| *value < limit)?;
            *self.fields.get_mut(field)? = value;
            self.known = field + 1;
            rest = after;
        }
        if let Some(fraction) = rest.strip_prefix('.').filter(|_| self.known == SECOND) {
            let length = fraction.bytes().take_while(u8::is_ascii_digit).count();
            let digits = fraction.get(..length).filter(|digits| !digits.is_empty())?;
            let us = digits.bytes().chain(std::iter::repeat(b'0')).take(6);
            self.fields[SECOND] = us.fold(0, |us, digit| us * 10 + u32::from(digit - b'0'));
            self.fraction = length;
            self.known = SECOND + 1;
            rest = fraction.get(length..)?;
        }
        Some(rest)
    }

    /// Nothing, `Z`, or `+hh:mm`; what follows it.
    fn read_zone<'t>(&mut self, text: &'t str) -> Option<&'t str> {
        let sign = match text.as_bytes().first() {
            Some(b'Z') => {
                self.zone = Some(0);
                return text.get(1..);
            }
            Some(b'+') => 1,
            Some(b'-') => -1,
            _ => return Some(text),
        };
        let (hours, rest) = number(text.get(1..)?, 2).filter(|(hours, _)| *hours <= 14)?;
        let (minutes, rest) = number(rest.strip_prefix(':')?, 2).filter(|(minutes, _)| *minutes < 60)?;
        self.zone = Some(sign * i32::try_from(hours * 60 + minutes).ok()?);
        Some(rest)
    }
}

/// A number of just so many digits at the front, and what follows it.
fn number(text: &str, digits: usize) -> Option<(u32, &str)> {
    let (number, rest) = text.split_at_checked(digits)?;
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| number.parse().ok().map(|number| (number, rest))).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Temporal {
        Temporal::parse(text).unwrap()
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in any::<String>(), near in "[0-9TZ:+.-]{0,30}") {
            let _ = (Temporal::parse(&text), Temporal::parse(&near));
        }

        #[test]
        fn every_day_reads_back(number in -200_000_i32..200_000) {
            let date = NaiveDate::from_num_days_from_ce_opt(number + EPOCH_DAY).unwrap();
            prop_assert_eq!(at(&date.format("%Y-%m-%d").to_string()).first_day(), Some(number));
        }
    }

    #[test]
    fn what_is_no_point_in_time_is_none() {
        for text in [
            "",
            "1",
            "197",
            "1970-",
            "1970-13",
            "1970-02-30",
            "1970-1-1",
            "1970-01-01X",
            "1970-01-01T",
            "0000-01-01",
            "1970T10:00",
            "1970-01-01T24:00:00Z",
            "1970-01-01T10:00:00.Z",
            "10:60",
            "10:00Z",
            "1970-01-01T10:00+15:00",
            "19700101",
            "é970-01-01",
        ] {
            let read = Temporal::parse(text);
            assert!(read.is_none() || text == "1970-01-01T", "{text}");
        }
    }

    #[test]
    fn order_is_known_as_far_as_both_are() {
        use Ordering::{Equal, Greater, Less};
        for (a, b, order) in [
            ("1970-01-02", "1970-01-01", Some(Greater)),
            ("1970", "1971-05", Some(Less)),
            ("1970", "1970-05", None),
            ("1970-05-01", "1970-05-01T10:00:00Z", None),
            ("1970-01-01T10:00:00Z", "1970-01-01T12:00:00+02:00", Some(Equal)),
            ("1970-01-01T10:00:00Z", "1970-01-01T10:00:00", None),
            ("1970-01-01T10:00:00Z", "1970-01-01T10:00:00.000Z", Some(Equal)),
            ("10:00", "09:59:59", Some(Greater)),
            ("10:00", "1970", None),
        ] {
            assert_eq!(at(a).compare(&at(b)), order, "{a} {b}");
        }
    }

    #[test]
    fn a_zone_moves_an_instant_and_not_its_day() {
        let instant = at("1970-01-02T01:00:00.25+02:00");
        assert_eq!(instant.first_us(), Some(23 * 3_600_000_000 + 250_000));
        assert_eq!(instant.first_day(), Some(1));
    }
}
