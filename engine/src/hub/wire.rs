//! The one schema that is announced and streamed: plain types that every client knows, every column nullable, names as
//! the analyst wrote them.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::record_batch::RecordBatchOptions;
use datafusion::common::DFSchemaRef;

/// Rows of one batch on the wire: with few columns that stays well below 2 MiB.
const MAX_ROWS: usize = 8_192;

pub(super) fn schema(plan: &DFSchemaRef, names: &[String]) -> SchemaRef {
    let name = |i: usize, field: &Field| names.get(i).cloned().unwrap_or_else(|| field.name().clone());
    let fields = plan.fields().iter().enumerate();
    let fields = fields.map(|(i, field)| Field::new(name(i, field), plain(field.data_type()), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

pub(super) fn no_columns() -> SchemaRef {
    Arc::new(Schema::empty())
}

/// Casts batches by position to the announced schema and cuts them to size.
pub(super) fn normalised(
    schema: &SchemaRef,
    batches: Vec<RecordBatch>,
) -> Result<Vec<RecordBatch>, ArrowError> {
    let exact = CastOptions { safe: false, ..CastOptions::default() };
    let mut cut = Vec::new();
    for batch in batches.iter().filter(|b| b.num_rows() > 0) {
        let columns = batch
            .columns()
            .iter()
            .zip(schema.fields())
            .map(|(column, field)| cast_with_options(column, field.data_type(), &exact))
            .collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?;
        let starts = (0..batch.num_rows()).step_by(MAX_ROWS);
        cut.extend(starts.map(|start| batch.slice(start, MAX_ROWS.min(batch.num_rows() - start))));
    }
    Ok(cut)
}

fn plain(ty: &DataType) -> DataType {
    match ty {
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64 => DataType::Int64,
        DataType::Float16 | DataType::Float32 | DataType::Float64 => DataType::Float64,
        DataType::Date32 | DataType::Date64 => DataType::Date32,
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        DataType::Boolean => DataType::Boolean,
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) | DataType::Decimal128(p, s) => {
            DataType::Decimal128(*p, *s)
        }
        DataType::Decimal256(_, _) => DataType::Float64,
        DataType::Dictionary(_, value) => plain(value),
        DataType::RunEndEncoded(_, value) => plain(value.data_type()),
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) => {
            DataType::List(Arc::new(Field::new(item.name(), plain(item.data_type()), true)))
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            DataType::Binary
        }
        DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Null
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Duration(_)
        | DataType::Interval(_)
        | DataType::FixedSizeList(_, _)
        | DataType::LargeListView(_)
        | DataType::Struct(_)
        | DataType::Union(_, _)
        | DataType::Map(_, _) => DataType::Utf8,
    }
}
