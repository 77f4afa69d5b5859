//! Adds what the nodes released. It never subtracts, and the order of the nodes does not matter.
//!
//! Beside every value stand bounds computed from public parameters alone: noise and rounding of the nodes that released
//! the cell, and the effective threshold of each that did not.

use std::collections::HashMap;
use std::sync::Arc;

use caim_ontology::{Bounds, Models};
use caim_sql::PrivateQuery;
use caim_sql::private_query::{Aggregate, BoolTree, Measure, Number};
use caim_sql::released;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array};
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::row::{RowConverter, SortField};

use crate::accounting::Accounting;
use crate::channel::{NodeId, Reply};

/// Standard deviations on either side that hold 95 % of a Gaussian.
const TWO_SIDED: f64 = 1.96;

/// Standard deviations above the effective threshold that 95 % of the unreleased cells stay below.
const ONE_SIDED: f64 = 1.65;

/// Why replies cannot be merged: a fault, since each was checked when it came in.
#[derive(Debug, thiserror::Error)]
#[error("the answers cannot be merged: {0}")]
pub struct MergeError(String);

impl From<ArrowError> for MergeError {
    fn from(error: ArrowError) -> Self {
        Self(error.to_string())
    }
}

/// One table over all nodes, in the schema of [`released::schema`].
///
/// # Errors
/// When the replies do not belong to the question.
pub fn merge(
    query: &PrivateQuery,
    models: &Models,
    replies: &[(NodeId, Reply)],
) -> Result<RecordBatch, MergeError> {
    let mut ordered: Vec<&(NodeId, Reply)> = replies.iter().collect();
    ordered.sort_by(|a, b| a.0.cmp(&b.0));
    let spreads = ordered
        .iter()
        .map(|(_, reply)| Spread::of_node(query, models, reply))
        .collect::<Result<Vec<_>, _>>()?;
    let mut merged = Merged::new(query, &ordered)?;
    for ((_, reply), spread) in ordered.iter().zip(&spreads) {
        merged.add(query, reply.batch(), spread)?;
    }
    let unreleased = (0..query.measures.len()).map(|m| spreads.iter().map(|s| s.absent(m)).sum()).collect();
    merged.finish(query, models, unreleased)
}

/// How far one node's answer may lie from its truth, a measure at a time.
struct Spread {
    measures: Vec<MeasureSpread>,
}

#[derive(Clone, Copy, Default)]
struct MeasureSpread {
    /// Variance of the noise of the count or sum.
    variance: f64,
    /// Variance of the noise of a mean's row count.
    count_variance: f64,
    /// Half a rounding step.
    rounding: f64,
    /// What an unreleased cell may hold, in the measure's unit (rows, for a mean).
    absent: f64,
}

impl Spread {
    fn of_node(query: &PrivateQuery, models: &Models, reply: &Reply) -> Result<Self, MergeError> {
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
                Aggregate::Avg(_) => (rows, 0.0),
            };
            let patients = noise.effective_threshold + ONE_SIDED * noise.patients_sd;
            Ok(MeasureSpread {
                variance: noise.sd * noise.sd,
                count_variance: noise.count_sd * noise.count_sd,
                rounding,
                absent: each * patients,
            })
        };
        let measures = query.measures.iter().enumerate().map(|(i, m)| measure(i, m));
        Ok(Self { measures: measures.collect::<Result<_, _>>()? })
    }

    fn measure(&self, measure: usize) -> MeasureSpread {
        self.measures.get(measure).copied().unwrap_or_default()
    }

    fn absent(&self, measure: usize) -> f64 {
        self.measure(measure).absent
    }
}

/// A measure of a cell, summed over the nodes that released it.
#[derive(Clone, Copy, Default)]
struct Sum {
    nodes: u32,
    whole: i64,
    real: f64,
    count: i64,
    variance: f64,
    count_variance: f64,
    rounding: f64,
    /// What the nodes that did release would have been allowed to hide.
    released_absent: f64,
}

struct Merged {
    converter: Option<RowConverter>,
    cells: HashMap<Box<[u8]>, usize>,
    labels: Vec<Box<[u8]>>,
    sums: Vec<Vec<Sum>>,
}

impl Merged {
    fn new(query: &PrivateQuery, replies: &[&(NodeId, Reply)]) -> Result<Self, MergeError> {
        let first = replies.first().ok_or_else(|| MergeError("no node answered".into()))?;
        let schema = first.1.batch().schema();
        let fields = schema.fields().iter().take(query.dims.len());
        let sorts: Vec<_> = fields.map(|f| SortField::new(f.data_type().clone())).collect();
        let converter = if sorts.is_empty() { None } else { Some(RowConverter::new(sorts)?) };
        Ok(Self { converter, cells: HashMap::new(), labels: Vec::new(), sums: Vec::new() })
    }

    fn add(&mut self, query: &PrivateQuery, batch: &RecordBatch, spread: &Spread) -> Result<(), MergeError> {
        let cells = self.cells_of(query, batch)?;
        let mut columns = batch.columns().iter().skip(query.dims.len());
        for (m, measure) in query.measures.iter().enumerate() {
            let missing = || MergeError("a column is missing".into());
            let value = columns.next().ok_or_else(missing)?;
            let count = match measure.of {
                Aggregate::Avg(_) => Some(columns.next().ok_or_else(missing)?),
                Aggregate::Patients | Aggregate::Rows | Aggregate::Distinct(_) | Aggregate::Sum(_) => None,
            };
            for (row, cell) in cells.iter().enumerate().filter(|(row, _)| value.is_valid(*row)) {
                if let Some(sum) = self.sums.get_mut(*cell).and_then(|s| s.get_mut(m)) {
                    sum.add(value, count, row, spread.measure(m));
                }
            }
        }
        Ok(())
    }

    fn cells_of(&mut self, query: &PrivateQuery, batch: &RecordBatch) -> Result<Vec<usize>, MergeError> {
        let labels: Vec<Box<[u8]>> = match &self.converter {
            None => vec![Box::default(); batch.num_rows()],
            Some(converter) => {
                let dims = batch.columns().get(..query.dims.len()).unwrap_or_default();
                converter.convert_columns(dims)?.iter().map(|row| row.as_ref().into()).collect()
            }
        };
        let width = query.measures.len();
        Ok(labels.into_iter().map(|label| self.cell(label, width)).collect())
    }

    fn cell(&mut self, label: Box<[u8]>, width: usize) -> usize {
        if let Some(cell) = self.cells.get(&label) {
            return *cell;
        }
        self.cells.insert(label.clone(), self.labels.len());
        self.labels.push(label);
        self.sums.push(vec![Sum::default(); width]);
        self.labels.len() - 1
    }

    fn finish(
        self,
        query: &PrivateQuery,
        models: &Models,
        unreleased: Vec<f64>,
    ) -> Result<RecordBatch, MergeError> {
        let mut order: Vec<usize> = (0..self.labels.len()).collect();
        order.sort_unstable_by(|a, b| self.labels.get(*a).cmp(&self.labels.get(*b)));
        let mut columns = Vec::new();
        if let Some(converter) = &self.converter {
            let parser = converter.parser();
            let labels = order.iter().filter_map(|c| self.labels.get(*c));
            columns.extend(converter.convert_rows(labels.map(|l| parser.parse(l)))?);
        }
        for (m, measure) in query.measures.iter().enumerate() {
            let absent = unreleased.get(m).copied().unwrap_or(0.0);
            let bounds = match &measure.of {
                Aggregate::Sum(number) | Aggregate::Avg(number) => {
                    Some(bounds(query, models, number, &measure.filter)?)
                }
                Aggregate::Patients | Aggregate::Rows | Aggregate::Distinct(_) => None,
            };
            let sums = order.iter().filter_map(|c| self.sums.get(*c).and_then(|s| s.get(m)));
            let values: Vec<Bounded> = sums.map(|sum| sum.value(&measure.of, bounds, absent)).collect();
            columns.extend(measure_columns(query, models, &measure.of, &values)?);
        }
        let schema = Arc::new(released::schema(query, models).map_err(|e| MergeError(e.to_string()))?);
        let options = RecordBatchOptions::new().with_row_count(Some(order.len()));
        Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
    }
}

/// A merged value between its bounds.
#[derive(Clone, Copy)]
struct Bounded {
    value: Option<f64>,
    whole: Option<i64>,
    lower: f64,
    upper: f64,
}

impl Sum {
    fn add(&mut self, value: &ArrayRef, count: Option<&ArrayRef>, row: usize, spread: MeasureSpread) {
        self.nodes += 1;
        if let Some(whole) = value.as_primitive_opt::<Int64Type>() {
            self.whole = self.whole.saturating_add(whole.value(row));
        } else if let Some(real) = value.as_primitive_opt::<Float64Type>() {
            self.real += real.value(row);
        }
        if let Some(count) = count.and_then(|c| c.as_primitive_opt::<Int64Type>()) {
            self.count = self.count.saturating_add(count.value(row));
        }
        self.variance += spread.variance;
        self.count_variance += spread.count_variance;
        self.rounding += spread.rounding;
        self.released_absent += spread.absent;
    }

    fn value(&self, of: &Aggregate, bounds: Option<Bounds>, unreleased: f64) -> Bounded {
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

fn measure_columns(
    query: &PrivateQuery,
    models: &Models,
    of: &Aggregate,
    values: &[Bounded],
) -> Result<[ArrayRef; 3], MergeError> {
    let whole = match of {
        Aggregate::Patients | Aggregate::Rows | Aggregate::Distinct(_) => true,
        Aggregate::Sum(number) => {
            crate::reply::number_type(query, number, models).map_err(MergeError)? == DataType::Int64
        }
        Aggregate::Avg(_) => false,
    };
    let value: ArrayRef = if whole {
        Arc::new(values.iter().map(|v| v.whole).collect::<Int64Array>())
    } else {
        Arc::new(values.iter().map(|v| v.value).collect::<Float64Array>())
    };
    let lower: ArrayRef = Arc::new(values.iter().map(|v| Some(v.lower)).collect::<Float64Array>());
    let upper: ArrayRef = Arc::new(values.iter().map(|v| Some(v.upper)).collect::<Float64Array>());
    Ok([value, lower, upper])
}

fn bounds(
    query: &PrivateQuery,
    models: &Models,
    number: &Number,
    filter: &BoolTree,
) -> Result<Bounds, MergeError> {
    caim_sql::bounds::of(number, query, filter, models).map_err(|refusal| MergeError(refusal.reason))
}

#[cfg(test)]
mod tests;
