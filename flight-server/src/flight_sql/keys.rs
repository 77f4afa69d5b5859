//! Primary and foreign keys as the data models declare them, for tools that draw joins.

use std::sync::Arc;

use arrow_flight::sql::{
    CommandGetCrossReference, CommandGetExportedKeys, CommandGetImportedKeys, CommandGetPrimaryKeys,
    UpdateDeleteRules,
};
use caim_engine::hub::TableListing;
use caim_engine::hub::public::CATALOG;
use caim_ontology::{DataModel, Models, Table};
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

/// The primary keys of the tables that are asked for. Keys with a hidden column are not shown.
pub(super) fn primary(
    models: &Models,
    listed: &[TableListing],
    wanted: &CommandGetPrimaryKeys,
) -> Result<RecordBatch, ArrowError> {
    let wanted = WantedTable {
        catalog: wanted.catalog.clone(),
        schema: wanted.db_schema.clone(),
        table: Some(wanted.table.clone()),
    };
    let mut rows = Vec::new();
    for (model, table) in tables(models).filter(|(model, table)| wanted.is(&model.schema, &table.name)) {
        let columns: Option<Vec<&str>> =
            table.key.iter().map(|column| shown(listed, &model.schema, &table.name, column)).collect();
        for (position, column) in (1..).zip(columns.unwrap_or_default()) {
            rows.push((model.schema.as_str(), table.name.as_str(), column, position));
        }
    }
    let text = |name, of: fn(&(&str, &str, &str, i32)) -> String, nullability: Nullability| {
        text_column(name, rows.iter().map(|row| Some(of(row))).collect(), nullability)
    };
    batch(vec![
        text("catalog_name", |_| CATALOG.to_owned(), Nullability::Nullable),
        text("db_schema_name", |row| row.0.to_owned(), Nullability::Nullable),
        text("table_name", |row| row.1.to_owned(), Nullability::Required),
        text("column_name", |row| row.2.to_owned(), Nullability::Required),
        text("key_name", |row| format!("{}_key", row.1), Nullability::Nullable),
        number_column("key_sequence", rows.iter().map(|row| row.3).collect()),
    ])
}

/// One declared foreign key; all of them have one column.
struct ForeignKey<'a> {
    source: (&'a str, &'a str, &'a str),
    target: (&'a str, &'a str, &'a str),
}

/// The foreign keys that are asked for, sorted by the table they point to, then by the table they stand in.
pub(super) fn foreign(
    models: &Models,
    listed: &[TableListing],
    wanted: &WantedForeignKeys,
) -> Result<RecordBatch, ArrowError> {
    let mut keys: Vec<ForeignKey<'_>> = tables(models)
        .flat_map(|(model, table)| foreign_keys(model, table, listed))
        .filter(|key| {
            wanted.source.is(key.source.0, key.source.1) && wanted.target.is(key.target.0, key.target.1)
        })
        .collect();
    keys.sort_by_key(|key| (key.target, key.source));
    let text = |name, of: fn(&ForeignKey<'_>) -> Option<String>, nullability: Nullability| {
        text_column(name, keys.iter().map(of).collect(), nullability)
    };
    let rules =
        || Arc::new(UInt8Array::from(vec![UpdateDeleteRules::NoAction as u8; keys.len()])) as ArrayRef;
    batch(vec![
        text("pk_catalog_name", |_| Some(CATALOG.to_owned()), Nullability::Nullable),
        text("pk_db_schema_name", |key| Some(key.target.0.to_owned()), Nullability::Nullable),
        text("pk_table_name", |key| Some(key.target.1.to_owned()), Nullability::Required),
        text("pk_column_name", |key| Some(key.target.2.to_owned()), Nullability::Required),
        text("fk_catalog_name", |_| Some(CATALOG.to_owned()), Nullability::Nullable),
        text("fk_db_schema_name", |key| Some(key.source.0.to_owned()), Nullability::Nullable),
        text("fk_table_name", |key| Some(key.source.1.to_owned()), Nullability::Required),
        text("fk_column_name", |key| Some(key.source.2.to_owned()), Nullability::Required),
        number_column("key_sequence", vec![1; keys.len()]),
        text("fk_key_name", |key| Some(format!("{}_{}", key.source.1, key.source.2)), Nullability::Nullable),
        text("pk_key_name", |_| None, Nullability::Nullable),
        (Field::new("update_rule", DataType::UInt8, false), rules()),
        (Field::new("delete_rule", DataType::UInt8, false), rules()),
    ])
}

fn tables(models: &Models) -> impl Iterator<Item = (&DataModel, &Table)> {
    models.iter().flat_map(|model| model.tables.iter().map(move |table| (model, table)))
}

fn foreign_keys<'a>(
    model: &'a DataModel,
    table: &'a Table,
    listed: &'a [TableListing],
) -> impl Iterator<Item = ForeignKey<'a>> {
    table.columns.iter().filter_map(move |column| {
        let to = column.references.as_ref()?;
        let source = shown(listed, &model.schema, &table.name, &column.stored)?;
        let target = shown(listed, &to.schema, &to.table, &to.column)?;
        Some(ForeignKey {
            source: (&model.schema, &table.name, source),
            target: (&to.schema, &to.table, target),
        })
    })
}

/// A column as clients see it, if they do.
fn shown<'a>(listed: &'a [TableListing], schema: &str, table: &str, column: &str) -> Option<&'a str> {
    let table = listed.iter().find(|listing| listing.schema == schema && listing.name == table)?;
    let field = table.arrow.fields().iter().find(|field| field.name().eq_ignore_ascii_case(column))?;
    Some(field.name().as_str())
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
