//! Percentiles from what nodes released: counts by public bins, or the numbers themselves where data is published.

use caim_sql::bounds::EvenBins;

use super::sum::{Bounded, TWO_SIDED};

/// The numbers of a cell over all nodes that released it.
#[derive(Clone)]
pub(super) struct Distribution {
    bins: EvenBins,
    /// Ascending, each with its count: exact.
    numbers: Vec<(f64, i64)>,
    /// Noised counts by bins.
    counts: Vec<i64>,
    /// Variance of the noise of one bin; 0 where all is exact.
    variance: f64,
}

impl Distribution {
    pub(super) fn new(bins: EvenBins) -> Self {
        Self { bins, numbers: Vec::new(), counts: vec![0; bins.count as usize], variance: 0.0 }
    }

    /// Adds one node's numbers, ascending, with their counts.
    pub(super) fn add_numbers(&mut self, numbers: impl Iterator<Item = (f64, i64)>) {
        self.numbers.extend(numbers);
        self.numbers.sort_by(|a, b| a.0.total_cmp(&b.0));
    }

    /// Adds one node's counts by bins.
    pub(super) fn add_bins(&mut self, counts: &[i64], variance: f64) {
        for (sum, count) in self.counts.iter_mut().zip(counts) {
            *sum = sum.saturating_add(*count);
        }
        self.variance += variance;
    }

    /// The value below which a share of the numbers lies, and its bounds; `hidden` more rows may lie anywhere.
    pub(super) fn percentile(&self, share: f64, hidden: f64) -> Bounded {
        if self.variance == 0.0 && hidden == 0.0 {
            let value = between_numbers(&self.numbers, share);
            let (lower, upper) = value.map_or((self.bins.edge(0), self.top()), |v| (v, v));
            return Bounded { value, whole: None, lower, upper };
        }
        let counts = self.all_counts();
        let (lower, upper) = self.bounds(&counts, share, hidden);
        let value = self.between_bins(&projected(&counts), share).map(|v| v.clamp(lower, upper));
        Bounded { value, whole: None, lower, upper }
    }

    fn top(&self) -> f64 {
        self.bins.edge(self.bins.count as usize)
    }

    /// Counts by bins with exact numbers among them.
    fn all_counts(&self) -> Vec<f64> {
        let mut counts: Vec<f64> = self.counts.iter().map(|n| *n as f64).collect();
        for (number, times) in &self.numbers {
            if let Some(count) = counts.get_mut(self.bins.bin(*number)) {
                *count += *times as f64;
            }
        }
        counts
    }

    /// Evenly within the bin that the share falls into.
    fn between_bins(&self, counts: &[f64], share: f64) -> Option<f64> {
        let wanted = share * counts.iter().sum::<f64>();
        let mut below = 0.0;
        for (bin, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0.0) {
            if below + count >= wanted {
                let part = ((wanted - below) / count).clamp(0.0, 1.0);
                return Some(self.bins.edge(bin) + self.bins.width * part);
            }
            below += count;
        }
        None
    }

    /// The edges at which the noise leaves no doubt: the rows below, less the share of all rows, are below 0 at the lower
    /// one and above 0 at the upper one.
    fn bounds(&self, counts: &[f64], share: f64, hidden: f64) -> (f64, f64) {
        let all: f64 = counts.iter().sum();
        let bins = counts.len() as f64;
        let (mut lower, mut upper) = (self.bins.edge(0), None);
        let mut below = 0.0;
        for (bin, count) in counts.iter().enumerate() {
            below += count;
            let passed = bin as f64 + 1.0;
            let spread = passed * (1.0 - share).powi(2) + (bins - passed) * share.powi(2);
            let doubt = TWO_SIDED * (self.variance * spread).sqrt();
            let excess = below - share * all;
            if excess + doubt + (1.0 - share) * hidden < 0.0 {
                lower = self.bins.edge(bin + 1);
            }
            if upper.is_none() && excess - doubt - share * hidden > 0.0 {
                upper = Some(self.bins.edge(bin + 1));
            }
        }
        (lower, upper.unwrap_or_else(|| self.top()).max(lower))
    }
}

/// Between the two numbers next to the share, as `percentile_cont` of SQL.
fn between_numbers(numbers: &[(f64, i64)], share: f64) -> Option<f64> {
    let all: i64 = numbers.iter().map(|(_, times)| times).sum();
    let rank = share * (all - 1).max(0) as f64;
    let at = |place: i64| {
        let mut passed = 0;
        let reached = |(_, times): &&(f64, i64)| {
            passed += times;
            passed > place
        };
        numbers.iter().find(reached).map(|(number, _)| *number)
    };
    let (low, high) = (at(rank.floor() as i64)?, at(rank.ceil() as i64)?);
    Some(low + (high - low) * rank.fract())
}

/// The nearest counts that are not negative and have the same sum (Euclidean projection onto the simplex): what noise
/// left in empty bins is taken back evenly.
fn projected(counts: &[f64]) -> Vec<f64> {
    let all: f64 = counts.iter().sum();
    if all <= 0.0 {
        return counts.iter().map(|count| count.max(0.0)).collect();
    }
    let mut descending = counts.to_vec();
    descending.sort_unstable_by(|a, b| b.total_cmp(a));
    let (mut sum, mut excess) = (0.0, 0.0);
    for (kept, count) in (1u32..).zip(&descending) {
        sum += count;
        let shared = (sum - all) / f64::from(kept);
        if *count <= shared {
            break;
        }
        excess = shared;
    }
    counts.iter().map(|count| (count - excess).max(0.0)).collect()
}

#[cfg(test)]
mod tests {
    use caim_sql::bounds::EvenBins;

    use super::{Distribution, projected};

    fn bins() -> EvenBins {
        EvenBins { lo: 0.0, width: 10.0, count: 10 }
    }

    #[test]
    fn exact_numbers_of_two_nodes_give_the_percentile_of_all() {
        let mut both = Distribution::new(bins());
        both.add_numbers([(10.0, 2), (40.0, 1)].into_iter());
        both.add_numbers([(20.0, 1)].into_iter());
        for (share, wanted) in [(0.0, 10.0), (0.5, 15.0), (1.0, 40.0), (0.9, 34.0)] {
            let found = both.percentile(share, 0.0);
            assert!((found.value.unwrap() - wanted).abs() < 1e-9, "{share}: {:?}", found.value);
            assert_eq!((Some(found.lower), Some(found.upper)), (found.value, found.value));
        }
        assert_eq!(Distribution::new(bins()).percentile(0.5, 0.0).value, None);
    }

    #[test]
    fn bins_give_a_value_between_bounds_that_hold_what_noise_and_nodes_may_hide() {
        let mut gated = Distribution::new(bins());
        gated.add_bins(&[0, 2, -3, 100, 100, 1, 0, -2, 0, 2], 16.0);
        let found = gated.percentile(0.5, 0.0);
        assert!((found.value.unwrap() - 40.0).abs() < 1.0, "{:?}", found.value);
        assert!(found.lower <= 30.0 && found.upper >= 50.0, "{} to {}", found.lower, found.upper);
        let wide = gated.percentile(0.5, 1_000.0);
        assert_eq!((wide.lower, wide.upper), (0.0, 100.0));
    }

    #[test]
    fn the_projection_keeps_the_sum_and_takes_noise_back() {
        assert_eq!(projected(&[50.0, -4.0, 3.0, 51.0, -2.0]), [48.0, 0.0, 1.0, 49.0, 0.0]);
        assert_eq!(projected(&[-4.0, 1.0]), [0.0, 1.0]);
    }
}
