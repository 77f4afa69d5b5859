//! What the catalogue holds: the hub's tables with their keys, under numbers that stay the same.

use std::collections::BTreeMap;

use caim_engine::Asker;
use caim_engine::hub::{Hub, TableListing};
use caim_sql::lower::Settings;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use pgwire::api::Type;
use pgwire::error::{PgWireError, PgWireResult};

use super::super::errors::{error, of_refusal};

/// The tables of `information_schema` that are shown beside the catalogue.
pub(super) const INFORMATION: [&str; 6] =
    ["columns", "key_column_usage", "referential_constraints", "schemata", "table_constraints", "tables"];

/// Everything that the catalogue is made from.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Contents {
    pub(super) tables: Vec<Listed>,
    pub(super) keys: Vec<Key>,
    pub(super) information: BTreeMap<&'static str, Rows>,
}

/// Rows as texts, under the names of their columns.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Rows {
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Vec<Option<String>>>,
}

/// A table.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Listed {
    pub(super) oid: u32,
    pub(super) schema: String,
    pub(super) name: String,
    /// `r` for tables, `v` for views.
    pub(super) kind: &'static str,
    pub(super) comment: String,
    pub(super) columns: Vec<ListedColumn>,
}

/// A column.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ListedColumn {
    pub(super) name: String,
    pub(super) ty: Type,
    pub(super) comment: Option<String>,
}

/// A primary or foreign key.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Key {
    pub(super) oid: u32,
    pub(super) name: String,
    pub(super) schema: String,
    pub(super) table: String,
    pub(super) columns: Vec<String>,
    /// Schema, table and column that a foreign key points to.
    pub(super) target: Option<(String, String, String)>,
}

impl Contents {
    /// These tables, and what the hub says of their keys.
    pub(super) async fn of(hub: &Hub, tables: Vec<Listed>) -> PgWireResult<Self> {
        let mut information = BTreeMap::new();
        for table in INFORMATION {
            information.insert(table, rows(hub, &format!("SELECT * FROM information_schema.{table}")).await?);
        }
        let keys = keys(information.get("key_column_usage"));
        Ok(Self { tables, keys, information })
    }

    /// A table by schema and name.
    pub(super) fn table(&self, schema: &str, name: &str) -> Option<&Listed> {
        self.tables.iter().find(|table| table.schema == schema && table.name == name)
    }
}

/// The tables that the hub lists now.
pub(super) fn tables(hub: &Hub) -> Vec<Listed> {
    hub.tables().iter().map(listed).collect()
}

/// A number for a name: the same at every hub and every start.
pub(super) fn oid(name: &str) -> u32 {
    // FNV-1a, folded above the numbers that PostgreSQL keeps for itself.
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    100_000 + (hash ^ (hash >> 32)) as u32 % 2_000_000_000
}

fn listed(table: &TableListing) -> Listed {
    let column = |field: &datafusion::arrow::datatypes::Field| ListedColumn {
        name: field.name().clone(),
        ty: super::super::rows::type_of(field.data_type()),
        comment: field.metadata().get("comment").cloned(),
    };
    Listed {
        oid: oid(&format!("{}.{}", table.schema, table.name)),
        schema: table.schema.clone(),
        name: table.name.clone(),
        kind: if table.kind == "TABLE" { "r" } else { "v" },
        comment: table.comment.clone(),
        columns: table.arrow.fields().iter().map(|field| column(field)).collect(),
    }
}

/// The keys, from one row a column of a key.
fn keys(usage: Option<&Rows>) -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    for row in usage.map(|usage| usage.rows.as_slice()).unwrap_or_default() {
        let text = |i: usize| row.get(i).cloned().flatten().unwrap_or_default();
        let (schema, name, table, column) = (text(1), text(2), text(5), text(6));
        if let Some(key) = keys.iter_mut().find(|key| key.schema == schema && key.name == name) {
            key.columns.push(column);
            continue;
        }
        let target = row.get(9).cloned().flatten().map(|schema| (schema, text(10), text(11)));
        let oid = oid(&format!("{schema}.{name}#"));
        keys.push(Key { oid, name, schema, table, columns: vec![column], target });
    }
    keys
}

/// The answer of a public question.
async fn rows(hub: &Hub, sql: &str) -> PgWireResult<Rows> {
    let prepared = hub.prepare(sql, &Settings::default()).map_err(|refusal| of_refusal(&refusal))?;
    let asker = Asker { user: String::new(), project: String::new(), purpose: String::new() };
    let failed = |why: String| -> PgWireError {
        tracing::error!(%why, "public tables cannot be read");
        error("XX000", "public tables cannot be read")
    };
    let answer = Box::pin(hub.answer(&prepared, &asker)).await.map_err(|why| failed(why.to_string()))?;
    let columns = answer.schema.fields().iter().map(|field| field.name().clone()).collect();
    let mut rows = Vec::new();
    for batch in &answer.batches {
        rows.extend(texts(batch).map_err(|why| failed(why.to_string()))?);
    }
    Ok(Rows { columns, rows })
}

fn texts(batch: &RecordBatch) -> Result<Vec<Vec<Option<String>>>, datafusion::arrow::error::ArrowError> {
    let options = FormatOptions::default();
    let formats: Vec<_> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
        .collect::<Result<_, _>>()?;
    let cell = |row: usize, column: usize| -> Result<Option<String>, _> {
        let array = batch.column(column);
        if array.is_null(row) || *array.data_type() == DataType::Null {
            return Ok(None);
        }
        formats[column].value(row).try_to_string().map(Some)
    };
    (0..batch.num_rows())
        .map(|row| (0..batch.num_columns()).map(|column| cell(row, column)).collect())
        .collect()
}
