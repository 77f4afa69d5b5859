//! The catalogue as Flight SQL lists it: catalogues, schemas, tables, keys, types and abilities of the server.
//!
//! Every list is a batch; its announcement is that batch's schema, so the two cannot differ. All of it is public.

use std::sync::Arc;

use arrow_flight::error::FlightError;
use arrow_flight::sql::metadata::{GetCatalogsBuilder, SqlInfoData, XdbcTypeInfoData};
use arrow_flight::sql::{
    CommandGetDbSchemas, CommandGetPrimaryKeys, CommandGetSqlInfo, CommandGetTableTypes, CommandGetTables,
    CommandGetXdbcTypeInfo,
};
use caim_engine::hub::public::CATALOG;
use caim_engine::hub::{Hub, TableListing};
use caim_ontology::Models;
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::arrow::record_batch::RecordBatch;

use super::keys::{self, WantedForeignKeys};
use super::wire_schema::{REMARKS, announced};
use super::{sql_info, xdbc};
use crate::Error;

/// A list that a client asks for, with what it filters by.
pub(super) enum Listed {
    Catalogs,
    Schemas(CommandGetDbSchemas),
    Tables(CommandGetTables),
    TableTypes,
    PrimaryKeys(CommandGetPrimaryKeys),
    ForeignKeys(WantedForeignKeys),
    Types(CommandGetXdbcTypeInfo),
    SqlInfo(CommandGetSqlInfo),
}

/// Everything that can be listed.
pub(super) struct Catalogue {
    hub: Arc<Hub>,
    models: Arc<Models>,
    sql_info: SqlInfoData,
    types: XdbcTypeInfoData,
}

impl Catalogue {
    pub(super) fn new(hub: Arc<Hub>, models: Arc<Models>) -> Result<Self, Error> {
        let unannounced = |error: FlightError| Error::Catalogue(error.to_string());
        let sql_info = sql_info::all().map_err(unannounced)?;
        let types = xdbc::all().map_err(unannounced)?;
        Ok(Self { hub, models, sql_info, types })
    }

    /// Takes in what nodes have published since.
    pub(super) async fn refresh(&self) {
        self.hub.refresh().await;
    }

    /// The list, sorted as Flight SQL wants it.
    pub(super) fn list(&self, listed: Listed) -> Result<RecordBatch, FlightError> {
        match listed {
            Listed::Catalogs => catalogs(),
            Listed::Schemas(wanted) => self.schemas(wanted),
            Listed::Tables(wanted) => self.tables(wanted),
            Listed::TableTypes => table_types(),
            Listed::PrimaryKeys(wanted) => Ok(keys::primary(&self.models, &wanted)?),
            Listed::ForeignKeys(wanted) => Ok(keys::foreign(&self.models, &wanted)?),
            Listed::Types(wanted) => wanted.into_builder(&self.types).build(),
            Listed::SqlInfo(wanted) => wanted.into_builder(&self.sql_info).build(),
        }
    }

    /// Whether there is a schema of this name.
    pub(super) fn has_schema(&self, name: &str) -> bool {
        self.hub.tables().iter().any(|table| table.schema == name)
    }

    fn schemas(&self, wanted: CommandGetDbSchemas) -> Result<RecordBatch, FlightError> {
        let mut names: Vec<String> = self.hub.tables().into_iter().map(|table| table.schema).collect();
        names.sort();
        names.dedup();
        let mut builder = wanted.into_builder();
        for name in names {
            builder.append(CATALOG, name);
        }
        builder.build()
    }

    fn tables(&self, wanted: CommandGetTables) -> Result<RecordBatch, FlightError> {
        let mut builder = wanted.into_builder();
        for table in self.hub.tables() {
            builder.append(CATALOG, &table.schema, &table.name, table.kind, &table_schema(&table))?;
        }
        builder.build()
    }
}

fn catalogs() -> Result<RecordBatch, FlightError> {
    let mut builder = GetCatalogsBuilder::new();
    builder.append(CATALOG);
    builder.build()
}

fn table_types() -> Result<RecordBatch, FlightError> {
    let mut builder = CommandGetTableTypes {}.into_builder();
    builder.append("TABLE");
    builder.append("VIEW");
    builder.build()
}

/// The columns of a table with all that Flight SQL lets be said of them.
fn table_schema(table: &TableListing) -> Schema {
    let places = [
        ("ARROW:FLIGHT:SQL:CATALOG_NAME", CATALOG),
        ("ARROW:FLIGHT:SQL:SCHEMA_NAME", table.schema.as_str()),
        ("ARROW:FLIGHT:SQL:DB_SCHEMA_NAME", table.schema.as_str()),
        ("ARROW:FLIGHT:SQL:TABLE_NAME", table.name.as_str()),
        ("ARROW:FLIGHT:SQL:IS_AUTO_INCREMENT", "0"),
        ("ARROW:FLIGHT:SQL:IS_READ_ONLY", "1"),
    ];
    let located = |field: &Field| {
        let mut metadata = field.metadata().clone();
        metadata.extend(places.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        field.clone().with_metadata(metadata)
    };
    let fields: Vec<Field> = announced(&table.arrow).fields().iter().map(|field| located(field)).collect();
    Schema::new(fields).with_metadata([(REMARKS.to_owned(), table.comment.clone())].into())
}
