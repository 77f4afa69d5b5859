//! Tables as plans hold them: names and schemas, nothing that could be scanned.

use std::any::Any;
use std::sync::Arc;

use caim_ontology::{Table, TableKind};
use datafusion_common::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion_expr::TableSource;
use datafusion_expr::logical_plan::TableScan;

use super::{NODE, PublicTable};
use crate::private_query::TableRef;
use crate::released::arrow_type;

/// A table of a data model: its rows are at the nodes.
struct ModelSource {
    table: TableRef,
    schema: SchemaRef,
}

/// A table that the hub answers itself.
pub(crate) struct PublicSource {
    schema_name: String,
    name: String,
    /// Columns as plans name them, in lower case.
    schema: SchemaRef,
    /// Columns as answers spell them.
    spelled: SchemaRef,
}

/// What the nodes released for one question.
pub(crate) struct ReleasedSource(pub(crate) SchemaRef);

impl TableSource for ModelSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

impl TableSource for PublicSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

impl TableSource for ReleasedSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0)
    }
}

impl PublicSource {
    pub(super) fn new(table: &PublicTable) -> Self {
        let (schema_name, name) = (table.schema.to_lowercase(), table.name.to_lowercase());
        let fields = table.arrow.fields().iter();
        let fields = fields.map(|field| field.as_ref().clone().with_name(field.name().to_lowercase()));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        Self { schema_name, name, schema, spelled: Arc::clone(&table.arrow) }
    }
}

/// A table of a data model with all its columns, hidden ones too, so that naming one is refused with its role.
pub(crate) fn model_source(schema: &str, table: &Table) -> Arc<dyn TableSource> {
    let mut fields: Vec<Field> =
        table.columns.iter().map(|c| Field::new(&c.stored, arrow_type(c.ty), true)).collect();
    if table.kind == TableKind::Patient {
        fields.push(Field::new(NODE, DataType::Utf8, true));
    }
    Arc::new(ModelSource { table: TableRef::new(schema, &table.name), schema: Arc::new(Schema::new(fields)) })
}

fn source<T: TableSource>(scan: &TableScan) -> Option<&T> {
    (scan.source.as_ref() as &dyn Any).downcast_ref()
}

/// The table of a data model that is scanned, if it is one.
pub(crate) fn model_table(scan: &TableScan) -> Option<&TableRef> {
    source::<ModelSource>(scan).map(|s| &s.table)
}

/// Schema and name of the public table that is scanned, if it is one.
pub(crate) fn public_table(scan: &TableScan) -> Option<(&str, &str)> {
    source::<PublicSource>(scan).map(|s| (s.schema_name.as_str(), s.name.as_str()))
}

/// The columns of the public table that is scanned, as answers spell them, if it is one.
pub(crate) fn public_columns(scan: &TableScan) -> Option<&SchemaRef> {
    source::<PublicSource>(scan).map(|s| &s.spelled)
}
