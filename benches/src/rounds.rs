//! Two ways to do the same work, taken in turn, so that both meet the same load.

use std::time::Duration;

/// How long both ways took, round by round.
#[derive(Default)]
pub(crate) struct Rounds {
    ours: Vec<f64>,
    theirs: Vec<f64>,
}

impl Rounds {
    pub(crate) fn add(&mut self, ours: Duration, theirs: Duration) {
        self.ours.push(1e3 * ours.as_secs_f64());
        self.theirs.push(1e3 * theirs.as_secs_f64());
    }

    /// Median milliseconds of ours and of theirs.
    pub(crate) fn medians(&self) -> (f64, f64) {
        (median(self.ours.clone()), median(self.theirs.clone()))
    }

    /// The median of the ratios of each round, the least and the greatest.
    pub(crate) fn ratio(&self) -> [f64; 3] {
        let mut ratios: Vec<f64> = self.ours.iter().zip(&self.theirs).map(|(a, b)| a / b).collect();
        ratios.sort_by(f64::total_cmp);
        let (least, greatest) = (ratios.first().copied(), ratios.last().copied());
        [median(ratios), least.unwrap_or(f64::NAN), greatest.unwrap_or(f64::NAN)]
    }
}

/// The middle of some numbers; of two in the middle the mean; NaN of none.
pub(crate) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let at = |place: usize| numbers.get(place).copied().unwrap_or(f64::NAN);
    match numbers.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => at(odd / 2),
        even => f64::midpoint(at(even / 2 - 1), at(even / 2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_taken_within_its_round() {
        let mut rounds = Rounds::default();
        for (ours, theirs) in [(10, 5), (100, 100), (30, 10)] {
            rounds.add(Duration::from_millis(ours), Duration::from_millis(theirs));
        }
        assert_eq!(rounds.ratio(), [2.0, 1.0, 3.0]);
        assert_eq!(rounds.medians(), (30.0, 10.0));
        assert!((median(vec![4.0, 1.0]) - 2.5).abs() < 1e-12 && median(Vec::new()).is_nan());
    }
}
