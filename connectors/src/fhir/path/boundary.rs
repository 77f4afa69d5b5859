//! `lowBoundary()` and `highBoundary()`: the least and the greatest value that a value of its precision may mean
//! (FHIRPath 2.0 section 5.6.2).

use std::fmt::Write;

use super::decimal::Decimal;
use super::temporal::{Kind, Temporal};

/// Which end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Low,
    High,
}

const MILLISECOND_DIGITS: usize = 3;

pub(super) fn of_decimal(number: Decimal, side: Side) -> Option<Decimal> {
    number.half_step(side == Side::High)
}

/// The boundary as text. Without a zone a dateTime may lie anywhere on earth: 14 hours east to 12 west.
pub(super) fn of_temporal(point: Temporal, side: Side, is_date_time: bool) -> Option<String> {
    let full = filled(point, side);
    let [year, month, day, hour, minute, second, _] = full.fields;
    let mut text = String::with_capacity(32);
    if point.kind != Kind::Time {
        write!(text, "{year:04}-{month:02}-{day:02}").ok()?;
    }
    if point.kind == Kind::Date && !is_date_time {
        return Some(text);
    }
    if point.kind != Kind::Time {
        text.push('T');
    }
    write!(text, "{hour:02}:{minute:02}:{second:02}.{}", fraction(point, side)).ok()?;
    match (point.kind, point.zone, side) {
        (Kind::Time, ..) => {}
        (_, None, Side::Low) => text.push_str("+14:00"),
        (_, None, Side::High) => text.push_str("-12:00"),
        (_, Some(0), _) => text.push('Z'),
        (_, Some(zone), _) => {
            let sign = if zone < 0 { '-' } else { '+' };
            write!(text, "{sign}{:02}:{:02}", zone.abs() / 60, zone.abs() % 60).ok()?;
        }
    }
    Some(text)
}

/// The point with its unknown fields at their least or greatest.
fn filled(point: Temporal, side: Side) -> Temporal {
    let mut full = point;
    for (field, (least, greatest)) in
        [(1, 9999), (1, 12), (1, 31), (0, 23), (0, 59), (0, 59)].into_iter().enumerate()
    {
        if field >= point.known {
            let greatest = if field == 2 { full.days_of_month() } else { greatest };
            if let Some(value) = full.fields.get_mut(field) {
                *value = if side == Side::Low { least } else { greatest };
            }
        }
    }
    full
}

/// Milliseconds, those that are not known at their least or greatest.
fn fraction(point: Temporal, side: Side) -> String {
    let known = format!("{:06}", point.fields.last().copied().unwrap_or_default());
    let known = known.get(..point.fraction.min(MILLISECOND_DIGITS)).unwrap_or_default();
    let fill = if side == Side::Low { '0' } else { '9' };
    format!("{known}{}", String::from(fill).repeat(MILLISECOND_DIGITS - known.len()))
}
