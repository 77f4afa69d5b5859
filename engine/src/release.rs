//! The gate: from sums of bounded contributions to what leaves the node. The order of its steps is the specification:
//! charge ([`ledger`](crate::ledger)), aggregate ([`execute`](crate::execute)), then here noise, threshold, rounding and
//! shape.
//!
//! Nothing else can make a [`Released`], and the node service can send nothing else.

use std::fmt;
use std::sync::Arc;

use caim_sql::PrivateQuery;
use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use prio::dp::Rational;
use prio::dp::distributions::DiscreteGaussian;
use rand::SeedableRng;
use rand::distr::Distribution;
use rand_chacha::ChaCha20Rng;
use sha2::{Digest, Sha256};

use crate::accounting::{
    Accounting, FixedPoint, NoisedVector, SD_DENOMINATOR, Source, THRESHOLD_SDS, Vector,
};
use crate::channel::Facts;
use crate::execute::walk::Sums;
use crate::policy::Policy;
use crate::reply;

/// What the gate let through: aggregates over enough patients, with noise; or, for published data, exact ones.
pub struct Released {
    batch: RecordBatch,
    facts: Facts,
}

impl Released {
    /// The cells, in the schema of [`reply::schema`](crate::reply::schema).
    #[must_use]
    pub fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// What is said beside the cells.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Published data: the exact answer is what anybody could compute.
    pub(crate) fn published(batch: RecordBatch, facts: Facts) -> Self {
        Self { batch, facts }
    }

    /// An answer that the gate gave before, from the answer store.
    pub(crate) fn again(batch: RecordBatch, facts: Facts) -> Self {
        Self { batch, facts }
    }
}

impl fmt::Debug for Released {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Released(<redacted>)")
    }
}

/// The secret randomness of one question, from the operating system, stored with its charge.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seed(pub(crate) [u8; 32]);

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(<redacted>)")
    }
}

/// The gate failed; the text holds no value.
#[derive(Debug, thiserror::Error)]
#[error("the gate failed: {0}")]
pub(crate) struct GateError(String);

/// Noise, threshold, rounding and shape.
pub(crate) fn release(
    query: &PrivateQuery,
    accounting: &Accounting,
    policy: &Policy,
    sums: &Sums,
    seed: Seed,
    schema: &SchemaRef,
    facts: Facts,
) -> Result<Released, GateError> {
    let gate = Gate { accounting, policy, sums, seed, samplers: samplers(accounting)? };
    let mut order: Vec<usize> = (0..sums.labels.len()).collect();
    order.sort_unstable_by(|a, b| sums.labels.get(*a).cmp(&sums.labels.get(*b)));
    let mut cells = Vec::new();
    let mut values = Vec::new();
    for cell in order {
        let open = gate.open_streams(cell);
        if open.contains(&true) || (query.dims.is_empty() && !query.measures.is_empty()) {
            values.push(gate.values(cell, &open));
            cells.push(cell);
        }
    }
    let mut columns = sums.dims(&cells).map_err(|e| GateError(e.to_string()))?;
    columns.extend(measure_columns(accounting, schema, columns.len(), &values));
    let options = RecordBatchOptions::new().with_row_count(Some(cells.len()));
    let batch = RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options);
    Ok(Released { batch: batch.map_err(|e| GateError(e.to_string()))?, facts })
}

/// The slots of all vectors: vector and slot.
pub(crate) fn slots(accounting: &Accounting) -> Vec<(usize, usize)> {
    let vectors = accounting.vectors.iter().enumerate();
    vectors.flat_map(|(vector, noised)| (0..noised.of.slots()).map(move |slot| (vector, slot))).collect()
}

/// Which streams of a cell open, and every slot with its noise.
pub(crate) type Drawn = (Vec<bool>, Vec<i64>);

/// What [`release`] draws for some cells. For rehearsals.
pub(crate) fn drawn(
    accounting: &Accounting,
    policy: &Policy,
    sums: &Sums,
    seed: Seed,
    cells: &[usize],
) -> Result<Vec<Drawn>, GateError> {
    let gate = Gate { accounting, policy, sums, seed, samplers: samplers(accounting)? };
    let slots = slots(accounting);
    let noised =
        |cell| slots.iter().map(|(vector, slot)| gate.noised(*vector, cell, *slot).unwrap_or(0)).collect();
    Ok(cells.iter().map(|cell| (gate.open_streams(*cell), noised(*cell))).collect())
}

struct Gate<'a> {
    accounting: &'a Accounting,
    policy: &'a Policy,
    sums: &'a Sums,
    seed: Seed,
    samplers: Vec<DiscreteGaussian>,
}

/// A measure's released numbers: a count or sum, what a mean or variance is made of, or counts by bins.
#[derive(Clone)]
enum Value {
    Absent,
    Count(i64),
    Sum(f64),
    Mean { sum: f64, count: i64 },
    Spread { sum: f64, squares: f64, count: i64 },
    Bins(Vec<i64>),
}

impl Gate<'_> {
    /// For each stream, whether the cell passes: at least k patients, and noised at least k + 5 sd.
    fn open_streams(&self, cell: usize) -> Vec<bool> {
        let passes = |vector: &usize| {
            let Some(noised) = self.accounting.vectors.get(*vector) else { return false };
            let k = i64::from(self.policy.threshold);
            if self.exact(*vector, cell, 0) < k {
                return false;
            }
            let threshold = k as f64 + THRESHOLD_SDS * noised.sd();
            self.noised(*vector, cell, 0).is_some_and(|n| n as f64 >= threshold)
        };
        self.accounting.patients.iter().map(passes).collect()
    }

    fn values(&self, cell: usize, open: &[bool]) -> Vec<Value> {
        let value = |(stream, source): &(usize, Source)| {
            if !open.get(*stream).copied().unwrap_or(false) {
                return Value::Absent;
            }
            self.value(*source, cell).unwrap_or(Value::Absent)
        };
        self.accounting.measures.iter().map(value).collect()
    }

    fn value(&self, source: Source, cell: usize) -> Option<Value> {
        let noised = |vector| self.noised(vector, cell, 0);
        // At least k patients are there, or the cell were not released.
        let count = |rows| Some(noised(rows)?.max(i64::from(self.policy.threshold)));
        Some(match source {
            Source::Count(vector) => Value::Count(self.rounded(noised(vector)?)),
            Source::Sum(vector) => Value::Sum(self.fixed(vector)?.unit * noised(vector)? as f64),
            Source::Mean { sum, rows } => {
                let (fixed, count) = (self.fixed(sum)?, count(rows)?);
                let centred = fixed.unit * noised(sum)? as f64;
                Value::Mean { sum: centred + fixed.origin * count as f64, count }
            }
            Source::Spread { sum, squares, rows } => {
                let Vector::Squares(of) = self.accounting.vectors.get(squares)?.of else { return None };
                let sum = self.fixed(sum)?.unit * noised(sum)? as f64;
                Value::Spread { sum, squares: of.unit * noised(squares)? as f64, count: count(rows)? }
            }
            Source::Bins(vector) => {
                let slots = self.accounting.vectors.get(vector)?.of.slots();
                Value::Bins((0..slots).map(|slot| self.noised(vector, cell, slot)).collect::<Option<_>>()?)
            }
        })
    }

    fn fixed(&self, vector: usize) -> Option<FixedPoint> {
        match self.accounting.vectors.get(vector)?.of {
            Vector::Sum(fixed) => Some(fixed),
            Vector::Patients | Vector::Rows | Vector::Distinct | Vector::Squares(_) | Vector::Bins(_) => None,
        }
    }

    /// To the policy's base, never below k.
    fn rounded(&self, count: i64) -> i64 {
        let base = i64::from(self.policy.rounding);
        let nearest = (count + base / 2).div_euclid(base) * base;
        let k = i64::from(self.policy.threshold);
        nearest.max((k + base - 1) / base * base)
    }

    fn exact(&self, vector: usize, cell: usize, slot: usize) -> i64 {
        let slots = self.accounting.vectors.get(vector).map_or(1, |v| v.of.slots());
        self.sums.vectors.get(vector).and_then(|v| v.get(cell * slots + slot)).copied().unwrap_or(0)
    }

    /// The sum with its noise: the same draw whenever this slot of this cell of this vector is looked at.
    fn noised(&self, vector: usize, cell: usize, slot: usize) -> Option<i64> {
        let label = self.sums.labels.get(cell)?;
        let draw = Sha256::new()
            .chain_update(self.seed.0)
            .chain_update((vector as u64).to_le_bytes())
            .chain_update((slot as u64).to_le_bytes())
            .chain_update(label)
            .finalize();
        let mut random = ChaCha20Rng::from_seed(draw.into());
        let noise = self.samplers.get(vector)?.sample(&mut random);
        let noise = i64::try_from(&noise).ok()?;
        Some(self.exact(vector, cell, slot).saturating_add(noise))
    }
}

fn samplers(accounting: &Accounting) -> Result<Vec<DiscreteGaussian>, GateError> {
    let sampler = |vector: &NoisedVector| {
        let sd =
            Rational::from_unsigned(vector.sd_1024, SD_DENOMINATOR).map_err(|e| GateError(e.to_string()))?;
        DiscreteGaussian::new(sd).map_err(|e| GateError(e.to_string()))
    };
    accounting.vectors.iter().map(sampler).collect()
}

fn measure_columns(
    accounting: &Accounting,
    schema: &SchemaRef,
    dims: usize,
    values: &[Vec<Value>],
) -> Vec<ArrayRef> {
    let mut columns: Vec<ArrayRef> = Vec::new();
    let absent = Value::Absent;
    for (measure, (_, source)) in accounting.measures.iter().enumerate() {
        let of_measure = || values.iter().map(|row| row.get(measure).unwrap_or(&absent));
        let integers = |pick: fn(&Value) -> Option<i64>| -> ArrayRef {
            Arc::new(of_measure().map(pick).collect::<Int64Array>())
        };
        let floats = |pick: fn(&Value) -> Option<f64>| -> ArrayRef {
            Arc::new(of_measure().map(pick).collect::<Float64Array>())
        };
        match source {
            Source::Count(_) => columns.push(integers(Value::count)),
            Source::Sum(_) => {
                let announced = schema.fields().get(dims + columns.len()).map(|f| f.data_type().clone());
                let whole = announced == Some(DataType::Int64);
                columns.push(if whole { integers(Value::whole_sum) } else { floats(Value::sum) });
            }
            Source::Mean { .. } => {
                columns.push(floats(Value::sum));
                columns.push(integers(Value::count));
            }
            Source::Spread { .. } => {
                columns.push(floats(Value::sum));
                columns.push(floats(Value::squares));
                columns.push(integers(Value::count));
            }
            Source::Bins(_) => {
                columns.push(reply::no_numbers(values.len()));
                columns.push(reply::counts(of_measure().map(|value| match value {
                    Value::Bins(counts) => Some(counts.as_slice()),
                    Value::Absent
                    | Value::Count(_)
                    | Value::Sum(_)
                    | Value::Mean { .. }
                    | Value::Spread { .. } => None,
                })));
            }
        }
    }
    columns
}

impl Value {
    fn count(&self) -> Option<i64> {
        match self {
            Value::Count(n) | Value::Mean { count: n, .. } | Value::Spread { count: n, .. } => Some(*n),
            Value::Absent | Value::Sum(_) | Value::Bins(_) => None,
        }
    }

    fn sum(&self) -> Option<f64> {
        match self {
            Value::Sum(s) | Value::Mean { sum: s, .. } | Value::Spread { sum: s, .. } => Some(*s),
            Value::Absent | Value::Count(_) | Value::Bins(_) => None,
        }
    }

    fn squares(&self) -> Option<f64> {
        match self {
            Value::Spread { squares, .. } => Some(*squares),
            Value::Absent | Value::Count(_) | Value::Sum(_) | Value::Mean { .. } | Value::Bins(_) => None,
        }
    }

    fn whole_sum(&self) -> Option<i64> {
        self.sum().map(|s| s.round() as i64)
    }
}
