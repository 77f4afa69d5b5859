//! The one place that makes the schema of an answer, for its announcement and for its stream.
//!
//! Clients compare the two and give up when they differ, and some take a type's name from field metadata. The engine
//! answers in plain nullable types; here they get their names.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};

/// Key of field metadata that Flight SQL defines for the name of a type (`FlightSql.proto`, `CommandGetTables`).
pub(super) const TYPE_NAME: &str = "ARROW:FLIGHT:SQL:TYPE_NAME";

/// Key for the comment of a column.
pub(super) const REMARKS: &str = "ARROW:FLIGHT:SQL:REMARKS";

/// Where the engine keeps the comment of a column.
const COMMENT: &str = "comment";

/// The schema as it is announced and streamed: every field nullable, with the name of its type and its comment.
pub(super) fn announced(schema: &Schema) -> SchemaRef {
    let fields: Vec<Field> = schema.fields().iter().map(|field| announced_field(field)).collect();
    Arc::new(Schema::new(fields))
}

/// The batch in exactly the announced schema.
pub(super) fn conform(batch: &RecordBatch, announced: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(announced), batch.columns().to_vec(), &options)
}

fn announced_field(field: &Field) -> Field {
    let mut metadata = HashMap::from([(TYPE_NAME.to_owned(), type_name(field.data_type()).to_owned())]);
    let comment = field.metadata().get(COMMENT).or_else(|| field.metadata().get(REMARKS));
    metadata.extend(comment.map(|comment| (REMARKS.to_owned(), comment.clone())));
    Field::new(field.name(), field.data_type().clone(), true).with_metadata(metadata)
}

/// The SQL name of a type that answers have.
fn type_name(ty: &DataType) -> &'static str {
    match ty {
        DataType::Int64 => "BIGINT",
        DataType::Float64 => "DOUBLE",
        DataType::Boolean => "BOOLEAN",
        DataType::Date32 => "DATE",
        DataType::Timestamp(_, _) => "TIMESTAMP",
        DataType::Decimal128(_, _) => "DECIMAL",
        _ => "VARCHAR",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, Int64Array, StringArray};
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use datafusion::arrow::record_batch::RecordBatch;

    use super::{REMARKS, TYPE_NAME, announced, conform};

    fn engine_batch() -> RecordBatch {
        let comment = [("comment".to_owned(), "Type of equipment.".to_owned())].into();
        let schema = Schema::new(vec![
            Field::new("Modality", DataType::Utf8, true).with_metadata(comment),
            Field::new("n", DataType::Int64, false),
        ]);
        let columns: Vec<ArrayRef> =
            vec![Arc::new(StringArray::from(vec!["CT"])), Arc::new(Int64Array::from(vec![7]))];
        RecordBatch::try_new(Arc::new(schema), columns).unwrap()
    }

    #[test]
    fn every_field_is_nullable_and_names_its_type_and_comment() {
        let schema = announced(&engine_batch().schema());
        assert!(schema.fields().iter().all(|field| field.is_nullable()));
        assert_eq!(schema.field(0).metadata()[TYPE_NAME], "VARCHAR");
        assert_eq!(schema.field(0).metadata()[REMARKS], "Type of equipment.");
        assert_eq!(schema.field(1).metadata()[TYPE_NAME], "BIGINT");
        assert_eq!(announced(&schema), schema, "announcing twice changes nothing");
    }

    #[test]
    fn what_is_streamed_has_the_announced_schema_or_is_not_streamed() {
        let schema = announced(&engine_batch().schema());
        let batch = conform(&engine_batch(), &schema).unwrap();
        assert_eq!((batch.schema(), batch.num_rows()), (schema, 1));
        let other = announced(&Schema::new(vec![Field::new("n", DataType::Int64, true)]));
        assert!(conform(&engine_batch(), &other).is_err());
    }
}
