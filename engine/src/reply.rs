//! The shape of one node's answer: the same on both sides of the link, computed from the question alone.

use std::sync::Arc;

use caim_ontology::Models;
use caim_sql::PrivateQuery;
use caim_sql::private_query::{Aggregate, ColumnRef, Dim, Number};
use caim_sql::released::{arrow_type, bin_type, recode_type};
use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;

/// No node may send more cells than this.
pub const MAX_CELLS: usize = 1 << 20;

/// The columns of a node's answer: `d0..` the dims, then for measure `i` one column `m{i}` (Int64 for counts and sums
/// of integers, Float64 for other sums), or `m{i}_sum` and `m{i}_count` for a mean. NULL means not released.
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
        }
    }
    Ok(Arc::new(Schema::new(fields)))
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
    let ty = caim_sql::bounds::column_type(number, query, models);
    ty.map(arrow_type).map_err(|refusal| refusal.reason)
}

/// The Arrow type of a column of the query.
fn column_type(query: &PrivateQuery, column: &ColumnRef, models: &Models) -> Result<DataType, String> {
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
            other => return Err(format!("a measure of type {other}")),
        };
        if !fine {
            return Err(format!("{} is no count or number", field.name()));
        }
    }
    Ok(())
}

fn is_sum(query: &PrivateQuery, field: &str) -> bool {
    let measure = field.strip_prefix('m').and_then(|i| i.parse::<usize>().ok());
    measure.and_then(|i| query.measures.get(i)).is_some_and(|m| matches!(m.of, Aggregate::Sum(_)))
}
