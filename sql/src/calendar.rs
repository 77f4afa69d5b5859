//! Days, months and years of the proleptic Gregorian calendar, as days since 1970-01-01, and the grids on them.

use caim_ontology::Grid;

/// A calendar day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Day {
    pub(crate) year: i32,
    pub(crate) month: u8,
    pub(crate) day: u8,
}

/// Years that dates of a question may have.
const YEARS: std::ops::RangeInclusive<i32> = 1..=9999;

impl Day {
    /// The first day of a year, if a question may name it.
    pub(crate) fn first_of_year(year: i64) -> Option<Self> {
        let year = i32::try_from(year).ok().filter(|y| YEARS.contains(y))?;
        Some(Self { year, month: 1, day: 1 })
    }

    /// The day that is `days` after 1970-01-01. Algorithm: Howard Hinnant, `civil_from_days`.
    pub(crate) fn from_days(days: i32) -> Self {
        let shifted = i64::from(days) + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let small = |n: i64| u8::try_from(n).unwrap_or(1);
        Self { year: i32::try_from(year).unwrap_or(i32::MAX), month: small(month), day: small(day) }
    }

    /// Days since 1970-01-01. Algorithm: Howard Hinnant, `days_from_civil`.
    pub(crate) fn days(self) -> i32 {
        let month = i64::from(self.month);
        let year = i64::from(self.year) - i64::from(month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let shifted_month = if month > 2 { month - 3 } else { month + 9 };
        let day_of_year = (153 * shifted_month + 2) / 5 + i64::from(self.day) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        i32::try_from(era * 146_097 + day_of_era - 719_468).unwrap_or(i32::MAX)
    }

    /// The point of a grid on this day or before it.
    pub(crate) fn floor(self, grid: Grid) -> Self {
        match grid {
            Grid::Day => self,
            Grid::Month => Self { day: 1, ..self },
            Grid::Year => Self { month: 1, day: 1, ..self },
        }
    }

    /// The point of a grid after this day.
    pub(crate) fn next(self, grid: Grid) -> Self {
        match grid {
            Grid::Day => Self::from_days(self.days().saturating_add(1)),
            Grid::Month if self.month == 12 => Self { year: self.year + 1, month: 1, day: 1 },
            Grid::Month => Self { month: self.month + 1, day: 1, ..self },
            Grid::Year => Self { year: self.year + 1, month: 1, day: 1 },
        }
    }

    /// Whether the day is a point of a grid.
    pub(crate) fn is_on(self, grid: Grid) -> bool {
        self.floor(grid) == self
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use caim_ontology::Grid;

    use super::Day;

    #[test]
    fn days_and_calendar_are_inverse_over_all_dates_of_questions() {
        let first = Day { year: 1, month: 1, day: 1 };
        let mut expected = first;
        let last = Day { year: 9999, month: 12, day: 31 };
        for days in first.days()..=last.days() {
            let day = Day::from_days(days);
            assert_eq!(day.days(), days);
            assert!(days == first.days() || day > expected, "{day} follows {expected}");
            expected = day;
        }
        assert_eq!(Day::from_days(0).to_string(), "1970-01-01");
        assert_eq!(Day::from_days(19_782).to_string(), "2024-02-29");
    }

    #[test]
    fn the_neighbours_on_a_grid_enclose_a_day() {
        let day = Day { year: 2020, month: 12, day: 31 };
        assert_eq!(
            (day.floor(Grid::Month).to_string(), day.next(Grid::Month).to_string()),
            ("2020-12-01".into(), "2021-01-01".into())
        );
        assert_eq!(day.next(Grid::Day).to_string(), "2021-01-01");
        assert_eq!(day.floor(Grid::Year).to_string(), "2020-01-01");
        assert!(!day.is_on(Grid::Month) && day.is_on(Grid::Day));
    }
}
