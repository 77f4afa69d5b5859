//! Primary and foreign keys as the data models declare them, for tools that draw joins.

use std::sync::Arc;

use arrow_flight::sql::{
    CommandGetCrossReference, CommandGetExportedKeys, CommandGetImportedKeys, CommandGetPrimaryKeys,
    UpdateDeleteRules,
};
use caim_engine::hub::public::{CATALOG, Key, Target, keys};
use caim_ontology::Models;
use datafusion::arrow::array::{ArrayRef, Int32Array, StringArray, UInt8Array};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::record_batch::RecordBatch;

/// One end of a key: a filter where a part is absent.
#[derive(Debug, Default)]
pub(super) struct WantedTable {
    catalog: Option<String>,
    schema: Option<String>,
    table: Option<String>,
}

/// Which foreign keys are asked for: by the table they point to, the table they stand in, or both.
#[derive(Debug, Default)]
pub(super) struct WantedForeignKeys {
    target: WantedTable,
    source: WantedTable,
}

impl From<CommandGetImportedKeys> for WantedForeignKeys {
    fn from(wanted: CommandGetImportedKeys) -> Self {
        let source =
            WantedTable { catalog: wanted.catalog, schema: wanted.db_schema, table: Some(wanted.table) };
        Self { source, ..Self::default() }
    }
}

impl From<CommandGetExportedKeys> for WantedForeignKeys {
    fn from(wanted: CommandGetExportedKeys) -> Self {
        let target =
            WantedTable { catalog: wanted.catalog, schema: wanted.db_schema, table: Some(wanted.table) };
        Self { target, ..Self::default() }
    }
}

impl From<CommandGetCrossReference> for WantedForeignKeys {
    fn from(wanted: CommandGetCrossReference) -> Self {
        Self {
            target: WantedTable {
                catalog: wanted.pk_catalog,
                schema: wanted.pk_db_schema,
                table: Some(wanted.pk_table),
            },
            source: WantedTable {
                catalog: wanted.fk_catalog,
                schema: wanted.fk_db_schema,
                table: Some(wanted.fk_table),
            },
        }
    }
}

impl WantedTable {
    fn is(&self, schema: &str, table: &str) -> bool {
        let fits = |wanted: &Option<String>, name: &str| {
            wanted.as_deref().is_none_or(|w| w.eq_ignore_ascii_case(name))
        };
        fits(&self.catalog, CATALOG) && fits(&self.schema, schema) && fits(&self.table, table)
    }
}

/// The primary keys of the tables that are asked for.
pub(super) fn primary(models: &Models, wanted: &CommandGetPrimaryKeys) -> Result<RecordBatch, ArrowError> {
    let wanted = WantedTable {
        catalog: wanted.catalog.clone(),
        schema: wanted.db_schema.clone(),
        table: Some(wanted.table.clone()),
    };
    let keys = keys(models);
    let mut rows: Vec<(&Key<'_>, &str, i32)> = Vec::new();
    for key in keys.iter().filter(|key| key.target.is_none() && wanted.is(key.schema, key.table)) {
        rows.extend((1..).zip(&key.columns).map(|(position, column)| (key, *column, position)));
    }
    let text = |name, of: fn(&(&Key<'_>, &str, i32)) -> String, nullability: Nullability| {
        text_column(name, rows.iter().map(|row| Some(of(row))).collect(), nullability)
    };
    batch(vec![
        text("catalog_name", |_| CATALOG.to_owned(), Nullability::Nullable),
        text("db_schema_name", |row| row.0.schema.to_owned(), Nullability::Nullable),
        text("table_name", |row| row.0.table.to_owned(), Nullability::Required),
        text("column_name", |row| row.1.to_owned(), Nullability::Required),
        text("key_name", |row| row.0.name.clone(), Nullability::Nullable),
        number_column("key_sequence", rows.iter().map(|row| row.2).collect()),
    ])
}

/// The foreign keys that are asked for, sorted by the table they point to, then by the table they stand in.
pub(super) fn foreign(models: &Models, wanted: &WantedForeignKeys) -> Result<RecordBatch, ArrowError> {
    let all = keys(models);
    let mut keys: Vec<(&Target<'_>, &Key<'_>)> =
        all.iter().filter_map(|key| key.target.as_ref().map(|target| (target, key))).collect();
    keys.retain(|(target, key)| {
        wanted.source.is(key.schema, key.table) && wanted.target.is(target.schema, target.table)
    });
    keys.sort_by_key(|(target, key)| {
        (target.schema, target.table, target.column, key.schema, key.table, column(key))
    });
    let text = |name, of: fn(&(&Target<'_>, &Key<'_>)) -> Option<String>, nullability: Nullability| {
        text_column(name, keys.iter().map(of).collect(), nullability)
    };
    let rules =
        || Arc::new(UInt8Array::from(vec![UpdateDeleteRules::NoAction as u8; keys.len()])) as ArrayRef;
    batch(vec![
        text("pk_catalog_name", |_| Some(CATALOG.to_owned()), Nullability::Nullable),
        text("pk_db_schema_name", |(target, _)| Some(target.schema.to_owned()), Nullability::Nullable),
        text("pk_table_name", |(target, _)| Some(target.table.to_owned()), Nullability::Required),
        text("pk_column_name", |(target, _)| Some(target.column.to_owned()), Nullability::Required),
        text("fk_catalog_name", |_| Some(CATALOG.to_owned()), Nullability::Nullable),
        text("fk_db_schema_name", |(_, key)| Some(key.schema.to_owned()), Nullability::Nullable),
        text("fk_table_name", |(_, key)| Some(key.table.to_owned()), Nullability::Required),
        text("fk_column_name", |(_, key)| Some(column(key).to_owned()), Nullability::Required),
        number_column("key_sequence", vec![1; keys.len()]),
        text("fk_key_name", |(_, key)| Some(key.name.clone()), Nullability::Nullable),
        text("pk_key_name", |_| None, Nullability::Nullable),
        (Field::new("update_rule", DataType::UInt8, false), rules()),
        (Field::new("delete_rule", DataType::UInt8, false), rules()),
    ])
}

/// The one column of a foreign key.
fn column<'a>(key: &Key<'a>) -> &'a str {
    key.columns.first().copied().unwrap_or_default()
}

#[derive(Clone, Copy, PartialEq)]
enum Nullability {
    Nullable,
    Required,
}

fn text_column(name: &str, values: Vec<Option<String>>, nullability: Nullability) -> (Field, ArrayRef) {
    let field = Field::new(name, DataType::Utf8, nullability == Nullability::Nullable);
    (field, Arc::new(StringArray::from(values)))
}

fn number_column(name: &str, values: Vec<i32>) -> (Field, ArrayRef) {
    (Field::new(name, DataType::Int32, false), Arc::new(Int32Array::from(values)))
}

fn batch(columns: Vec<(Field, ArrayRef)>) -> Result<RecordBatch, ArrowError> {
    let (fields, arrays): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
}
