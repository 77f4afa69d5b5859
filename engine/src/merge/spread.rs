//! How far one node's answer may lie from its truth: from its public policy and the question alone.

use caim_ontology::{Bounds, Models};
use caim_sql::PrivateQuery;
use caim_sql::private_query::{Aggregate, Measure};

use super::{MergeError, bounds};
use crate::accounting::Accounting;
use crate::channel::Reply;

/// Standard deviations above the effective threshold that 95 % of the unreleased cells stay below.
const ONE_SIDED: f64 = 1.65;

/// How far one node's answer may lie from its truth, a measure at a time.
pub(super) struct Spread {
    measures: Vec<MeasureSpread>,
}

#[derive(Clone, Copy, Default)]
pub(super) struct MeasureSpread {
    /// Variance of the noise of the count or sum; of the count in one bin, for a percentile.
    pub(super) variance: f64,
    /// Variance of the noise of the row count of a mean or variance.
    pub(super) count_variance: f64,
    /// Variance of the noise of a variance's squares.
    pub(super) squares_variance: f64,
    /// Half a rounding step.
    pub(super) rounding: f64,
    /// What an unreleased cell may hold, in the measure's unit (rows, for means, variances and percentiles).
    pub(super) absent: f64,
}

impl Spread {
    pub(super) fn of_node(query: &PrivateQuery, models: &Models, reply: &Reply) -> Result<Self, MergeError> {
        let policy = &reply.facts().policy;
        if policy.public_data {
            return Ok(Self { measures: vec![MeasureSpread::default(); query.measures.len()] });
        }
        let accounting = Accounting::new(query, models, policy).map_err(MergeError)?;
        let measure = |i: usize, Measure { of, filter }: &Measure| -> Result<MeasureSpread, MergeError> {
            let noise = accounting.noise_of(i).ok_or_else(|| MergeError("no such measure".into()))?;
            let rows = f64::from(accounting.rows_per_patient);
            let (each, rounding) = match of {
                Aggregate::Patients => (1.0, f64::from(policy.rounding) / 2.0),
                Aggregate::Rows | Aggregate::Distinct(_) => (rows, f64::from(policy.rounding) / 2.0),
                Aggregate::Sum(number) => {
                    let Bounds { lo, hi, .. } = bounds(query, models, number, filter)?;
                    (rows * lo.abs().max(hi.abs()), 0.0)
                }
                Aggregate::Avg(_) | Aggregate::Variance { .. } | Aggregate::Quantile { .. } => (rows, 0.0),
            };
            let patients = noise.effective_threshold + ONE_SIDED * noise.patients_sd;
            Ok(MeasureSpread {
                variance: noise.sd * noise.sd,
                count_variance: noise.count_sd * noise.count_sd,
                squares_variance: noise.squares_sd * noise.squares_sd,
                rounding,
                absent: each * patients,
            })
        };
        let measures = query.measures.iter().enumerate().map(|(i, m)| measure(i, m));
        Ok(Self { measures: measures.collect::<Result<_, _>>()? })
    }

    pub(super) fn measure(&self, measure: usize) -> MeasureSpread {
        self.measures.get(measure).copied().unwrap_or_default()
    }

    pub(super) fn absent(&self, measure: usize) -> f64 {
        self.measure(measure).absent
    }
}
