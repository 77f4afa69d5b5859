//! The shape of one node's answer: the same on both sides of the link, computed from the question alone.

use std::sync::Arc;

use caim_ontology::Models;
use caim_sql::PrivateQuery;
use caim_sql::bounds;
use caim_sql::private_query::{Aggregate, ColumnRef, Dim, Measure, Number};
use caim_sql::released::{arrow_type, bin_type, recode_type};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, ListArray, new_null_array};
use datafusion::arrow::compute::{cast, concat_batches};
use datafusion::arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::record_batch::RecordBatch;

/// No node may send more cells than this.
pub const MAX_CELLS: usize = 1 << 20;

/// No node may send more different numbers for percentiles than this.
const MAX_NUMBERS: usize = 1 << 22;

/// The columns of a node's answer: `d0..` the dims, then for measure `i` one column `m{i}` (Int64 for counts and sums
/// of integers, Float64 for other sums); `m{i}_sum` and `m{i}_count` for a mean; the centred `m{i}_sum` and
/// `m{i}_squares`, and `m{i}_count`, for a variance; lists `m{i}_values` and `m{i}_counts` for a percentile: counts by
/// public bins without values or, where data is published, each number in ascending order with its count. NULL means not
/// released.
///
/// # Errors
/// When the query names a column that the models do not have.
pub fn schema(query: &PrivateQuery, models: &Models) -> Result<SchemaRef, String> {
    let mut fields = Vec::new();
    for (i, dim) in query.dims.iter().enumerate() {
        fields.push(Field::new(format!("d{i}"), dim_type(query, dim, models)?, true));
    }
    for (i, measure) in query.measures.iter().enumerate() {
        match &measure.of {
            Aggregate::Patients | Aggregate::Rows | Aggregate::Distinct(_) => {
                fields.push(Field::new(format!("m{i}"), DataType::Int64, true));
            }
            Aggregate::Sum(number) => {
                fields.push(Field::new(format!("m{i}"), number_type(query, number, models)?, true));
            }
            Aggregate::Avg(_) => {
                fields.push(Field::new(format!("m{i}_sum"), DataType::Float64, true));
                fields.push(Field::new(format!("m{i}_count"), DataType::Int64, true));
            }
            Aggregate::Variance { .. } => {
                fields.push(Field::new(format!("m{i}_sum"), DataType::Float64, true));
                fields.push(Field::new(format!("m{i}_squares"), DataType::Float64, true));
                fields.push(Field::new(format!("m{i}_count"), DataType::Int64, true));
            }
            Aggregate::Quantile { .. } => {
                fields.push(Field::new(format!("m{i}_values"), list(DataType::Float64), true));
                fields.push(Field::new(format!("m{i}_counts"), list(DataType::Int64), true));
            }
        }
    }
    Ok(Arc::new(Schema::new(fields)))
}

fn list(of: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(of, true)))
}

/// Cells without numbers of their own: their counts go by bins.
pub(crate) fn no_numbers(cells: usize) -> ArrayRef {
    new_null_array(&list(DataType::Float64), cells)
}

/// A list of counts a cell.
pub(crate) fn counts<'a>(cells: impl Iterator<Item = Option<&'a [i64]>>) -> ArrayRef {
    let lists = cells.map(|counts| counts.map(|counts| counts.iter().copied().map(Some).collect::<Vec<_>>()));
    Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists))
}

/// The numbers of every cell in ascending order, each with its count, from lists of all of them; NULL does not count.
pub(crate) fn counted(all: &ListArray) -> Result<[ArrayRef; 2], ArrowError> {
    let (mut values, mut counts) = (Vec::with_capacity(all.len()), Vec::with_capacity(all.len()));
    for cell in all.iter() {
        let numbers = cell.map(|cell| cast(&cell, &DataType::Float64)).transpose()?;
        let (mut own, mut times): (Vec<Option<f64>>, Vec<Option<i64>>) = (Vec::new(), Vec::new());
        let numbers = numbers.as_ref().map(|n| n.as_primitive::<Float64Type>());
        let mut sorted: Vec<f64> =
            numbers.into_iter().flat_map(|n| n.iter().flatten().filter(|x| x.is_finite())).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        for equal in sorted.chunk_by(|a, b| a.total_cmp(b).is_eq()) {
            own.push(equal.first().copied());
            times.push(Some(equal.len() as i64));
        }
        values.push(Some(own));
        counts.push(Some(times));
    }
    Ok([
        Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(values)),
        Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(counts)),
    ])
}

fn dim_type(query: &PrivateQuery, dim: &Dim, models: &Models) -> Result<DataType, String> {
    match dim {
        Dim::Column(column) => column_type(query, column, models),
        Dim::DatePart { .. } => Ok(DataType::Int64),
        Dim::Bin { of, by } => Ok(bin_type(by, number_type(query, of, models)?)),
        Dim::Label(_) | Dim::RollUp { .. } => Ok(DataType::Utf8),
        Dim::Recode { by, .. } => Ok(recode_type(by)),
    }
}

/// The Arrow type of a number of the query: Int64 or Float64.
pub(crate) fn number_type(
    query: &PrivateQuery,
    number: &Number,
    models: &Models,
) -> Result<DataType, String> {
    let ty = bounds::column_type(number, query, models);
    ty.map(arrow_type).map_err(|refusal| refusal.reason)
}

/// The Arrow type of a column of the query.
fn column_type(query: &PrivateQuery, column: &ColumnRef, models: &Models) -> Result<DataType, String> {
    let models = query.over(models).map_err(|refusal| refusal.reason)?;
    let table = query.from.tables.get(column.table).ok_or("a column of no table")?;
    let table = models.table(&table.schema, &table.table).map_err(|e| e.to_string())?;
    let column = table.column(&column.column).ok_or_else(|| format!("no column {}", column.column))?;
    Ok(arrow_type(column.ty))
}

/// Holds what a node sent against the question: schema, number of cells, counts and finite numbers.
pub(crate) fn check(
    query: &PrivateQuery,
    models: &Models,
    batches: &[RecordBatch],
) -> Result<RecordBatch, String> {
    let schema = schema(query, models)?;
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    if rows > MAX_CELLS {
        return Err(format!("the answer has more than {MAX_CELLS} cells"));
    }
    if query.dims.is_empty() && !query.measures.is_empty() && rows != 1 {
        return Err(format!("an ungrouped answer has one row, not {rows}"));
    }
    let mut checked = Vec::with_capacity(batches.len());
    for batch in batches {
        let same = batch.num_columns() == schema.fields().len()
            && batch
                .schema()
                .fields()
                .iter()
                .zip(schema.fields())
                .all(|(a, b)| a.data_type() == b.data_type());
        if !same {
            return Err("the answer's columns are not those of the question".into());
        }
        check_numbers(query, batch)?;
        check_percentiles(query, models, batch)?;
        checked.push(
            RecordBatch::try_new(Arc::clone(&schema), batch.columns().to_vec()).map_err(|e| e.to_string())?,
        );
    }
    concat_batches(&schema, &checked).map_err(|e| e.to_string())
}

fn check_numbers(query: &PrivateQuery, batch: &RecordBatch) -> Result<(), String> {
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()).skip(query.dims.len()) {
        let fine = match column.data_type() {
            DataType::Int64 => {
                is_sum(query, field.name())
                    || column.as_primitive::<Int64Type>().iter().flatten().all(|n| n >= 0)
            }
            DataType::Float64 => column.as_primitive::<Float64Type>().iter().flatten().all(f64::is_finite),
            DataType::List(_) => true,
            other => return Err(format!("a measure of type {other}")),
        };
        if !fine {
            return Err(format!("{} is no count or number", field.name()));
        }
    }
    Ok(())
}

/// A percentile comes with one count a public bin, or with ascending numbers and a count of each.
fn check_percentiles(query: &PrivateQuery, models: &Models, batch: &RecordBatch) -> Result<(), String> {
    let mut numbers = 0;
    for (i, Measure { of, filter }) in query.measures.iter().enumerate() {
        let Aggregate::Quantile { of, .. } = of else { continue };
        let bins = bounds::quantile_bins(of, query, filter, models).map_err(|refusal| refusal.reason)?;
        let column = |end: &str| {
            let named = batch.column_by_name(&format!("m{i}_{end}"));
            named.and_then(|c| c.as_list_opt::<i32>()).ok_or_else(|| format!("m{i}_{end} is missing"))
        };
        let (values, counts) = (column("values")?, column("counts")?);
        for (values, counts) in values.iter().zip(counts.iter()) {
            let fits = match (&values, &counts) {
                (None, None) => true,
                (None, Some(counts)) => counts.len() == bins.count as usize && counts.null_count() == 0,
                (Some(values), Some(counts)) => {
                    numbers += values.len();
                    ascend(values) && values.len() == counts.len() && positive(counts)
                }
                (Some(_), None) => false,
            };
            if !fits {
                return Err(format!("m{i} is no distribution over the question's bins"));
            }
        }
    }
    if numbers > MAX_NUMBERS {
        return Err(format!("the answer has more than {MAX_NUMBERS} different numbers"));
    }
    Ok(())
}

fn ascend(values: &ArrayRef) -> bool {
    let Some(values) = values.as_primitive_opt::<Float64Type>() else { return false };
    values.null_count() == 0
        && values.values().iter().all(|x| x.is_finite())
        && values.values().is_sorted_by(|a, b| a < b)
}

fn positive(counts: &ArrayRef) -> bool {
    let Some(counts) = counts.as_primitive_opt::<Int64Type>() else { return false };
    counts.null_count() == 0 && counts.values().iter().all(|n| *n > 0)
}

fn is_sum(query: &PrivateQuery, field: &str) -> bool {
    let measure = field.strip_prefix('m').and_then(|i| i.parse::<usize>().ok());
    measure.and_then(|i| query.measures.get(i)).is_some_and(|m| matches!(m.of, Aggregate::Sum(_)))
}
