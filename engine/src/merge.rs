//! Adds what the nodes released. It never subtracts, and the order of the nodes does not matter.
//!
//! Beside every value stand bounds computed from public parameters alone: noise and rounding of the nodes that released
//! the cell, and the effective threshold of each that did not.

mod apart;
mod percentile;
mod spread;
mod sum;

use std::collections::HashMap;
use std::sync::Arc;

use caim_ontology::{Bounds, Models};
use caim_sql::PrivateQuery;
use caim_sql::private_query::{Aggregate, BoolTree, Measure, Number};
use caim_sql::released;
use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::row::{RowConverter, SortField};

use crate::channel::{NodeId, Reply};
pub use apart::apart;
use spread::Spread;
use sum::{Bounded, Kind, Sum};

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
    let ordered = by_name(replies);
    let spreads = ordered
        .iter()
        .map(|(_, reply)| Spread::of_node(query, models, reply))
        .collect::<Result<Vec<_>, _>>()?;
    let kinds =
        query.measures.iter().map(|m| kind(m, query, models)).collect::<Result<Vec<_>, MergeError>>()?;
    let mut merged = Merged::new(query, &ordered)?;
    for ((_, reply), spread) in ordered.iter().zip(&spreads) {
        merged.add(query, &kinds, reply.batch(), spread)?;
    }
    let unreleased = (0..query.measures.len()).map(|m| spreads.iter().map(|s| s.absent(m)).sum()).collect();
    merged.finish(query, models, &kinds, unreleased)
}

/// In an order that does not depend on who answered first.
fn by_name(replies: &[(NodeId, Reply)]) -> Vec<&(NodeId, Reply)> {
    let mut ordered: Vec<&(NodeId, Reply)> = replies.iter().collect();
    ordered.sort_by(|a, b| a.0.cmp(&b.0));
    ordered
}

/// A measure with its public bounds and bins.
fn kind<'a>(
    Measure { of, filter }: &'a Measure,
    query: &PrivateQuery,
    models: &Models,
) -> Result<Kind<'a>, MergeError> {
    let number = match of {
        Aggregate::Patients | Aggregate::Rows | Aggregate::Distinct(_) => None,
        Aggregate::Sum(number)
        | Aggregate::Avg(number)
        | Aggregate::Variance { of: number, .. }
        | Aggregate::Quantile { of: number, .. } => Some(number),
    };
    let bounds = number.map(|number| bounds(query, models, number, filter)).transpose()?;
    let bins = match of {
        Aggregate::Quantile { of, .. } => Some(
            caim_sql::bounds::quantile_bins(of, query, filter, models)
                .map_err(|refusal| MergeError(refusal.reason))?,
        ),
        Aggregate::Patients
        | Aggregate::Rows
        | Aggregate::Distinct(_)
        | Aggregate::Sum(_)
        | Aggregate::Avg(_)
        | Aggregate::Variance { .. } => None,
    };
    Ok(Kind { of, bounds, bins })
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

    fn add(
        &mut self,
        query: &PrivateQuery,
        kinds: &[Kind<'_>],
        batch: &RecordBatch,
        spread: &Spread,
    ) -> Result<(), MergeError> {
        let cells = self.cells_of(query, batch)?;
        let mut first = query.dims.len();
        for (m, kind) in kinds.iter().enumerate() {
            let columns = batch.columns().get(first..first + kind.columns());
            let columns = columns.ok_or_else(|| MergeError("a column is missing".into()))?;
            first += kind.columns();
            for (row, cell) in cells.iter().enumerate().filter(|(row, _)| Kind::is_released(columns, *row)) {
                if let Some(sum) = self.sums.get_mut(*cell).and_then(|s| s.get_mut(m)) {
                    sum.add(kind, columns, row, spread.measure(m));
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
        kinds: &[Kind<'_>],
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
        for (m, kind) in kinds.iter().enumerate() {
            let absent = unreleased.get(m).copied().unwrap_or(0.0);
            let sums = order.iter().filter_map(|c| self.sums.get(*c).and_then(|s| s.get(m)));
            let values: Vec<Bounded> = sums.map(|sum| sum.value(kind, absent)).collect();
            columns.extend(measure_columns(query, models, kind.of, &values)?);
        }
        let schema = Arc::new(released::schema(query, models).map_err(|e| MergeError(e.to_string()))?);
        let options = RecordBatchOptions::new().with_row_count(Some(order.len()));
        Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
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
        Aggregate::Avg(_) | Aggregate::Variance { .. } | Aggregate::Quantile { .. } => false,
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
