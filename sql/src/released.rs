//! The columns of what the nodes released for one question, merged: the tables that the hub's remainder reads.

use std::sync::Arc;

use caim_ontology::{ColumnType, Models};
use datafusion_common::arrow::datatypes::{DataType, Field, Schema, TimeUnit};

use crate::bounds;
use crate::catalogue::NODE;
use crate::private_query::{Aggregate, Bins, ColumnRef, Dim, Number, PrivateQuery, Recode, Value};
use crate::refusal::Refusal;
use crate::validate;

/// The Arrow type that a column of a data model has in plans.
#[must_use]
pub fn arrow_type(ty: ColumnType) -> DataType {
    match ty {
        ColumnType::Text => DataType::Utf8,
        ColumnType::Integer => DataType::Int64,
        ColumnType::Float => DataType::Float64,
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::Date => DataType::Date32,
        ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
    }
}

/// The Arrow type of bins of a number of some type: that of the number, or of the labels.
#[must_use]
pub fn bin_type(by: &Bins, number: DataType) -> DataType {
    match by {
        Bins::Width(_) => number,
        Bins::Labels(labels) => value_type(labels.example()),
    }
}

/// The Arrow type of recoded codes.
#[must_use]
pub fn recode_type(by: &Recode) -> DataType {
    value_type(by.example())
}

/// The Arrow type of values, by one of them; text where all are NULL.
fn value_type(example: Option<&Value>) -> DataType {
    match example {
        Some(Value::Integer(_)) => DataType::Int64,
        Some(Value::Float(_)) => DataType::Float64,
        Some(Value::Boolean(_)) => DataType::Boolean,
        Some(Value::Date(_)) => DataType::Date32,
        Some(Value::Text(_)) | None => DataType::Utf8,
    }
}

/// The table that the remainder scans for question `number`: what the nodes released, merged or each node apart.
#[must_use]
pub fn table(number: usize, by_node: bool) -> String {
    if by_node { format!("released_{number}_by_node") } else { format!("released_{number}") }
}

/// The columns of what each node released: the node, then those of [`schema`].
#[must_use]
pub fn by_node(merged: &Schema) -> Schema {
    let node = Arc::new(Field::new(NODE, DataType::Utf8, false));
    Schema::new([node].into_iter().chain(merged.fields().iter().cloned()).collect::<Vec<_>>())
}

/// `d0`, `d1`, ... for the dims, then for measure `i` its value `m{i}` (Int64 for counts and sums of integers, else
/// Float64) and the bounds `m{i}_lower` and `m{i}_upper` (Float64). Every column is nullable: NULL is not released.
///
/// # Errors
/// When the query names a table or column that the models do not have.
pub fn schema(query: &PrivateQuery, models: &Models) -> Result<Schema, Refusal> {
    let models = query.over(models)?;
    let models = models.as_ref();
    let column_type = |column: &ColumnRef| Ok(arrow_type(validate::column(&query.from, column, models)?.ty));
    let number_type = |of: &Number| Ok::<_, Refusal>(arrow_type(bounds::column_type(of, query, models)?));
    let mut fields = Vec::with_capacity(query.dims.len() + 3 * query.measures.len());
    for (i, dim) in query.dims.iter().enumerate() {
        let ty = match dim {
            Dim::Column(column) => column_type(column)?,
            Dim::DatePart { .. } => DataType::Int64,
            Dim::Bin { of, by } => bin_type(by, number_type(of)?),
            Dim::Label(_) | Dim::RollUp { .. } => DataType::Utf8,
            Dim::Recode { by, .. } => recode_type(by),
        };
        fields.push(Field::new(format!("d{i}"), ty, true));
    }
    for (i, measure) in query.measures.iter().enumerate() {
        let ty = match &measure.of {
            Aggregate::Patients | Aggregate::Rows | Aggregate::Distinct(_) => DataType::Int64,
            Aggregate::Sum(number) => number_type(number)?,
            Aggregate::Avg(_) | Aggregate::Variance { .. } | Aggregate::Quantile { .. } => DataType::Float64,
        };
        fields.push(Field::new(format!("m{i}"), ty, true));
        fields.push(Field::new(format!("m{i}_lower"), DataType::Float64, true));
        fields.push(Field::new(format!("m{i}_upper"), DataType::Float64, true));
    }
    Ok(Schema::new(fields))
}
