//! One measure of one cell: summed over the nodes that released it, with its bounds.

use caim_ontology::Bounds;
use caim_sql::bounds::EvenBins;
use caim_sql::private_query::{Aggregate, Divisor};
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{Float64Type, Int64Type};

use super::percentile::Distribution;
use super::spread::MeasureSpread;

/// Standard deviations on either side that hold 95 % of a Gaussian.
pub(super) const TWO_SIDED: f64 = 1.96;

/// A measure of a cell, summed over the nodes that released it.
#[derive(Clone, Default)]
pub(super) struct Sum {
    nodes: u32,
    whole: i64,
    real: f64,
    squares: f64,
    count: i64,
    distribution: Option<Distribution>,
    variance: f64,
    count_variance: f64,
    squares_variance: f64,
    rounding: f64,
    /// What the nodes that did release would have been allowed to hide.
    released_absent: f64,
}

/// A merged value between its bounds.
#[derive(Clone, Copy)]
pub(super) struct Bounded {
    pub(super) value: Option<f64>,
    pub(super) whole: Option<i64>,
    pub(super) lower: f64,
    pub(super) upper: f64,
}

/// What a measure is, with its public bounds where it is of a number.
pub(super) struct Kind<'a> {
    pub(super) of: &'a Aggregate,
    pub(super) bounds: Option<Bounds>,
    /// The bins of a percentile.
    pub(super) bins: Option<EvenBins>,
}

impl Kind<'_> {
    /// Columns of the reply that make the measure.
    pub(super) fn columns(&self) -> usize {
        match self.of {
            Aggregate::Patients | Aggregate::Rows | Aggregate::Distinct(_) | Aggregate::Sum(_) => 1,
            Aggregate::Avg(_) | Aggregate::Quantile { .. } => 2,
            Aggregate::Variance { .. } => 3,
        }
    }

    /// Whether a cell is released: its last column has a value.
    pub(super) fn is_released(columns: &[ArrayRef], row: usize) -> bool {
        columns.last().is_some_and(|column| column.is_valid(row))
    }
}

impl Sum {
    /// Adds a cell that a node released.
    pub(super) fn add(&mut self, kind: &Kind<'_>, columns: &[ArrayRef], row: usize, spread: MeasureSpread) {
        self.nodes += 1;
        let real = |i: usize| real(columns, i, row).unwrap_or(0.0);
        let whole = |i: usize| whole(columns, i, row).unwrap_or(0);
        match kind.of {
            Aggregate::Patients | Aggregate::Rows | Aggregate::Distinct(_) | Aggregate::Sum(_) => {
                self.whole = self.whole.saturating_add(whole(0));
                self.real += real(0);
            }
            Aggregate::Avg(_) => {
                self.real += real(0);
                self.count = self.count.saturating_add(whole(1));
            }
            Aggregate::Variance { .. } => {
                self.real += real(0);
                self.squares += real(1);
                self.count = self.count.saturating_add(whole(2));
            }
            Aggregate::Quantile { .. } => self.add_distribution(kind, columns, row, spread),
        }
        self.variance += spread.variance;
        self.count_variance += spread.count_variance;
        self.squares_variance += spread.squares_variance;
        self.rounding += spread.rounding;
        self.released_absent += spread.absent;
    }

    fn add_distribution(&mut self, kind: &Kind<'_>, columns: &[ArrayRef], row: usize, spread: MeasureSpread) {
        let ([values, counts], Some(bins)) = (columns, kind.bins) else { return };
        let list = |column: &ArrayRef| {
            let lists = column.as_list_opt::<i32>().filter(|lists| lists.is_valid(row));
            lists.map(|lists| lists.value(row))
        };
        let Some(counts) = list(counts) else { return };
        let Some(counts) = counts.as_primitive_opt::<Int64Type>() else { return };
        let sums = self.distribution.get_or_insert_with(|| Distribution::new(bins));
        match list(values) {
            Some(values) => {
                let Some(values) = values.as_primitive_opt::<Float64Type>() else { return };
                let numbers = values.values().iter().copied();
                sums.add_numbers(numbers.zip(counts.values().iter().copied()));
            }
            None => sums.add_bins(counts.values(), spread.variance),
        }
    }

    /// The value over all nodes; `unreleased` is what all of them may hide where they release nothing.
    pub(super) fn value(&self, kind: &Kind<'_>, unreleased: f64) -> Bounded {
        let Kind { of, bounds, bins } = *kind;
        let hidden = (unreleased - self.released_absent).max(0.0);
        let error = TWO_SIDED * self.variance.sqrt() + self.rounding;
        match of {
            Aggregate::Patients | Aggregate::Rows | Aggregate::Distinct(_) => {
                let value = self.whole as f64;
                Bounded {
                    value: None,
                    whole: (self.nodes > 0).then_some(self.whole),
                    lower: (value - error).max(0.0),
                    upper: value + error + hidden,
                }
            }
            Aggregate::Sum(_) => {
                let value = self.whole as f64 + self.real;
                let may_fall = if bounds.is_some_and(|b| b.lo < 0.0) { hidden } else { 0.0 };
                let lower = value - error - may_fall;
                Bounded {
                    value: (self.nodes > 0).then_some(self.real),
                    whole: (self.nodes > 0).then_some(self.whole),
                    lower: if bounds.is_some_and(|b| b.lo >= 0.0) { lower.max(0.0) } else { lower },
                    upper: value + error + hidden,
                }
            }
            Aggregate::Avg(_) => self.mean(bounds, hidden, error),
            Aggregate::Variance { over, .. } => self.spread(*over, bounds, hidden, error),
            Aggregate::Quantile { share, .. } => match (&self.distribution, bins) {
                (Some(sums), _) => sums.percentile(share.get(), hidden),
                (None, Some(bins)) => Distribution::new(bins).percentile(share.get(), hidden),
                (None, None) => Bounded { value: None, whole: None, lower: f64::MIN, upper: f64::MAX },
            },
        }
    }

    /// A variance as squares / rows - (sum / rows)^2, all centred. No variance of numbers within bounds is larger than a
    /// quarter of their squared distance.
    fn spread(&self, over: Divisor, bounds: Option<Bounds>, hidden: f64, error: f64) -> Bounded {
        let reach = bounds.map_or(f64::MAX, |b| (b.hi - b.lo) / 2.0);
        let unknown = Bounded { value: None, whole: None, lower: 0.0, upper: reach * reach };
        let fewest_rows = match over {
            Divisor::Population => 1,
            Divisor::Sample => 2,
        };
        if self.nodes == 0 || self.count < fewest_rows {
            return unknown;
        }
        let rows = self.count as f64;
        let scale = match over {
            Divisor::Population => 1.0,
            Divisor::Sample => rows / (rows - 1.0),
        };
        let value = (self.squares / rows - (self.real / rows).powi(2)).max(0.0) * scale;
        if self.variance == 0.0 && hidden == 0.0 {
            return Bounded { value: Some(value), whole: None, lower: value, upper: value };
        }
        let rows_error = TWO_SIDED * self.count_variance.sqrt();
        let (fewest, most) = ((rows - rows_error).max(1.0), rows + rows_error + hidden);
        let squares_error = TWO_SIDED * self.squares_variance.sqrt();
        let mean_most = ((self.real.abs() + error + hidden * reach) / fewest).min(reach);
        let mean_least = ((self.real.abs() - error - hidden * reach) / most).max(0.0);
        let lower = (self.squares - squares_error) / most - mean_most.powi(2);
        let upper = (self.squares + squares_error + hidden * reach * reach) / fewest - mean_least.powi(2);
        let bounded = |x: f64| (x * scale).clamp(0.0, unknown.upper * scale);
        Bounded {
            value: Some(bounded(value / scale)),
            whole: None,
            lower: bounded(lower),
            upper: bounded(upper),
        }
    }

    /// A mean as centre + centred sum / rows; hidden rows may lie anywhere in the public bounds.
    fn mean(&self, bounds: Option<Bounds>, hidden: f64, error: f64) -> Bounded {
        let Bounds { lo, hi, .. } = bounds.unwrap_or(Bounds { lo: f64::MIN, hi: f64::MAX, grid: 1.0 });
        if self.nodes == 0 || self.count == 0 {
            return Bounded { value: None, whole: None, lower: lo, upper: hi };
        }
        let mean = self.real / self.count as f64;
        if self.variance == 0.0 && hidden == 0.0 {
            return Bounded { value: Some(mean), whole: None, lower: mean, upper: mean };
        }
        let centre = f64::midpoint(lo, hi);
        let rows = self.count as f64;
        let centred = self.real - centre * rows;
        let reach = error + hidden * (hi - lo) / 2.0;
        let rows_error = TWO_SIDED * self.count_variance.sqrt();
        let fewest = (rows - rows_error).max(1.0);
        let most = rows + rows_error + hidden;
        let corners = [
            (centred - reach) / fewest,
            (centred - reach) / most,
            (centred + reach) / fewest,
            (centred + reach) / most,
        ];
        let lower = centre + corners.iter().copied().fold(f64::INFINITY, f64::min);
        let upper = centre + corners.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Bounded {
            value: Some(mean.clamp(lo, hi)),
            whole: None,
            lower: lower.clamp(lo, hi),
            upper: upper.clamp(lo, hi),
        }
    }
}

fn real(columns: &[ArrayRef], column: usize, row: usize) -> Option<f64> {
    let column = columns.get(column)?.as_primitive_opt::<Float64Type>()?;
    column.is_valid(row).then(|| column.value(row))
}

fn whole(columns: &[ArrayRef], column: usize, row: usize) -> Option<i64> {
    let column = columns.get(column)?.as_primitive_opt::<Int64Type>()?;
    column.is_valid(row).then(|| column.value(row))
}
