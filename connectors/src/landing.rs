//! A table as the warehouse stores it: the columns of its model, and for patients' rows the two physical ones.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt32Array, UInt64Array, new_null_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use caim_ontology::{Role, Table, TableKind};
use caim_warehouse::{TableName, layout};

use crate::identity::{Pseudonym, Pseudonyms, UidKey};
use crate::row_key::RowKey;
use crate::values::stored_type;
use crate::{Code, Error, Result, Secret};

/// The model's column that says which collection a row came with.
pub(crate) const COLLECTION: &str = "collection_id";

/// A patient of this warehouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Patient {
    pub(crate) pseudonym: Pseudonym,
    pub(crate) ordinal: u32,
}

/// Makes stored rows of one table.
pub(crate) struct Landing<'m> {
    pub(crate) table: &'m Table,
    pub(crate) name: TableName,
    pub(crate) schema: SchemaRef,
    key: RowKey,
    uids: Option<UidKey>,
}

impl<'m> Landing<'m> {
    /// For a table of the model `schema`.
    pub(crate) fn new(schema: &str, table: &'m Table, secret: &Secret) -> Self {
        let name = TableName::new(schema, &table.stored);
        let key = RowKey::new(secret, &format!("{schema}.{}", table.name));
        Self { table, schema: stored_schema(table), name, key, uids: None }
    }

    /// The same for rows of a source, whose unique identifiers are stored as the node's rules say.
    pub(crate) fn under(self, rules: &Pseudonyms) -> Self {
        Self { uids: rules.uids(), ..self }
    }

    /// The stored columns as the node's rules say that they are stored.
    pub(crate) fn ruled(&self, columns: Vec<ArrayRef>) -> Vec<ArrayRef> {
        let Some(uids) = &self.uids else { return columns };
        self.table
            .stored_columns()
            .zip(&columns)
            .map(|(column, values)| uids.column(column, values))
            .collect()
    }

    /// Unique identifiers of things of the hospital as the node's rules say that they are stored.
    pub(crate) fn ruled_uids(&self, values: ArrayRef) -> ArrayRef {
        self.uids.as_ref().map_or(Arc::clone(&values), |uids| uids.texts(&values))
    }

    /// Stored rows from one array for every column of the model; `None` for columns that the source lacks. Tables
    /// of kind patient need a patient, or the lack of one, for every row; of others `patients` gives the number.
    ///
    /// # Errors
    /// When an array has another type or length than its column wants: a fault of the connector.
    pub(crate) fn land(
        &self,
        patients: &[Option<Patient>],
        columns: &[Option<ArrayRef>],
    ) -> Result<RecordBatch> {
        let stored = self.table.columns.iter().zip(columns).filter(|(column, _)| column.role != Role::UnitId);
        let arrays = stored
            .map(|(column, array)| match array {
                Some(array) => Arc::clone(array),
                None => new_null_array(&stored_type(column.ty), patients.len()),
            })
            .collect();
        let mut arrays = self.ruled(arrays);
        if self.table.kind == TableKind::Patient {
            let pseudonyms: Vec<Option<Pseudonym>> =
                patients.iter().map(|p| p.map(|p| p.pseudonym)).collect();
            let keys = self.keys(&pseudonyms, &arrays);
            arrays.push(Arc::new(patients.iter().map(|p| p.map(|p| p.ordinal)).collect::<UInt32Array>()));
            arrays.push(Arc::new(keys));
        }
        self.batch(arrays)
    }

    /// The keys of rows of this table.
    pub(crate) fn keys(&self, patients: &[Option<Pseudonym>], columns: &[ArrayRef]) -> UInt64Array {
        self.key.hash(patients, columns)
    }

    /// Stored rows whose physical columns are made already.
    pub(crate) fn batch(&self, arrays: Vec<ArrayRef>) -> Result<RecordBatch> {
        RecordBatch::try_new(SchemaRef::clone(&self.schema), arrays).map_err(|e| self.fault(&e))
    }

    /// A failure of Arrow on rows that were checked before.
    pub(crate) fn fault(&self, source: &ArrowError) -> Error {
        Error::new(Code::Model, &self.name, source).with_fix("report this as a defect of the connector")
    }
}

/// The stored columns of a table, in the order of its model, and for patients' rows the physical ones.
pub(crate) fn stored_schema(table: &Table) -> SchemaRef {
    let stored =
        table.stored_columns().map(|column| Field::new(&column.stored, stored_type(column.ty), true));
    let mut fields: Vec<Field> = stored.collect();
    if table.kind == TableKind::Patient {
        fields.push(Field::new(layout::PATIENT, DataType::UInt32, true));
        fields.push(Field::new(layout::ROW, DataType::UInt64, false));
    }
    Arc::new(Schema::new(fields))
}

/// The name of a stored table for people: without the mark of its definition, if it has one.
pub(crate) fn shown(name: &TableName) -> String {
    let name = name.to_string();
    name.split('@').next().unwrap_or(&name).to_owned()
}

/// One text in every row.
pub(crate) fn repeated(text: &str, rows: usize) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, rows)))
}

/// The row keys of stored rows; none in a table without patients.
pub(crate) fn row_keys(rows: &RecordBatch) -> Option<&UInt64Array> {
    rows.column_by_name(layout::ROW)?.as_any().downcast_ref()
}
