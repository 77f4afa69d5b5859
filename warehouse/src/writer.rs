//! Takes the new rows of one table and streams them into sorted Parquet files.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, FieldRef, Fields, Schema, SchemaRef};

use crate::layout::{PATIENT, ROW};
use crate::run::{self, Order, SORT_BYTES_PER_ROW};
use crate::staging::{Fill, StagedFile, Staging};
use crate::{BatchId, DataFile, Error, Result, TableName};

/// Takes the new rows of one table. It does not borrow its commit: several may be open at once, also on
/// several threads. What they hold in memory together is bounded; at the bound rows are sorted and written as
/// a file.
///
/// A writer that failed, or is dropped before [`TableWriter::finish`], keeps its commit from being published.
pub struct TableWriter {
    staging: Arc<Staging>,
    /// The batch that the files belong to.
    batch: BatchId,
    table: TableName,
    schema: SchemaRef,
    order: Order,
    buffer: Vec<RecordBatch>,
    buffered: usize,
    files: Vec<StagedFile>,
    rows: u64,
    failed: Option<Failed>,
}

impl fmt::Debug for TableWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TableWriter({}, {} rows <redacted>)", self.table, self.rows)
    }
}

/// Rows were lost on the way; nothing of this writer may be published.
#[derive(Debug, Clone, Copy)]
struct Failed;

impl TableWriter {
    pub(crate) fn start(staging: Arc<Staging>, table: TableName, schema: &Schema) -> Result<Self> {
        let batch = staging.batch;
        Self::start_for(batch, staging, table, schema)
    }

    /// Starts files that belong to an earlier batch.
    pub(crate) fn start_for(
        batch: BatchId,
        staging: Arc<Staging>,
        table: TableName,
        schema: &Schema,
    ) -> Result<Self> {
        let order = order(&table, schema)?;
        let schema = stored(schema);
        staging.opened(&table);
        Ok(Self {
            staging,
            batch,
            table,
            schema,
            order,
            buffer: Vec::new(),
            buffered: 0,
            files: Vec::new(),
            rows: 0,
            failed: None,
        })
    }

    /// Takes rows. Their columns are those announced, in that order.
    ///
    /// # Errors
    /// [`Error::Shape`] when the rows have other columns than announced or a row without `_row`,
    /// [`Error::Io`] when the disk fails. After an error the commit cannot be published.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let taken = self.take(batch);
        if taken.is_err() {
            self.failed = Some(Failed);
        }
        taken
    }

    /// Writes what is buffered and says how many rows came in all. A table without rows gets a file without
    /// rows, so that the epoch knows its columns.
    ///
    /// # Errors
    /// When the disk fails, or an earlier [`TableWriter::write`] failed.
    pub fn finish(mut self) -> Result<u64> {
        if self.failed.is_some() {
            return Err(Error::Unfinished { table: self.table });
        }
        if !self.buffer.is_empty() || self.files.is_empty() {
            self.write_run()?;
        }
        self.staging.finished(&self.table, self.files);
        Ok(self.rows)
    }

    fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        let batch = self.checked(batch)?;
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let bytes = memory(&batch);
        self.rows += batch.num_rows() as u64;
        self.buffered += bytes;
        self.buffer.push(batch);
        match self.staging.grown(bytes, self.buffered) {
            Fill::KeepOn => Ok(()),
            Fill::WriteRun => self.write_run(),
        }
    }

    fn checked(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let shape = |reason: String| Error::Shape { table: self.table.clone(), reason };
        let names =
            |schema: &Schema| schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
        let (announced, found) = (names(&self.schema), names(batch.schema_ref()));
        if announced != found {
            return Err(shape(format!("its columns are {}, not {}", found.join(", "), announced.join(", "))));
        }
        // Types and nulls are checked here; the message names columns and types, never a value.
        RecordBatch::try_new(SchemaRef::clone(&self.schema), batch.columns().to_vec())
            .map_err(|e| shape(e.to_string()))
    }

    fn write_run(&mut self) -> Result<()> {
        let batches = std::mem::take(&mut self.buffer);
        let path = self.staging.next_path();
        let file = self.staging.storage.create(&path).map_err(Error::io("create", &path))?;
        let (sha256, bytes) = run::write(file, &path, &self.schema, self.order, &batches)?;
        let rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
        let file = DataFile { sha256, rows, bytes, batch: self.batch };
        self.files.push(StagedFile { table: self.table.clone(), path, file });
        self.staging.shrunk(std::mem::take(&mut self.buffered));
        Ok(())
    }
}

/// Bytes that the rows and their sorting take.
fn memory(batch: &RecordBatch) -> usize {
    // A slice shares the buffers of its whole: counting those for each slice would end a run far too early.
    let size = |column: &ArrayRef| {
        column.to_data().get_slice_memory_size().unwrap_or_else(|_| column.get_array_memory_size())
    };
    batch.columns().iter().map(size).sum::<usize>() + batch.num_rows() * SORT_BYTES_PER_ROW
}

/// The schema in the file: without the metadata of the source's schema, and every row with its key.
fn stored(schema: &Schema) -> SchemaRef {
    let keyed = |field: &FieldRef| match field.name().as_str() {
        ROW => Arc::new(field.as_ref().clone().with_nullable(false)),
        _ => Arc::clone(field),
    };
    SchemaRef::new(Schema::new(schema.fields().iter().map(keyed).collect::<Fields>()))
}

/// The order that the columns ask for; both physical columns or neither.
fn order(table: &TableName, schema: &Schema) -> Result<Order> {
    let shape = |reason: String| Error::Shape { table: table.clone(), reason };
    if schema.fields().is_empty() {
        return Err(shape("it has no columns".to_owned()));
    }
    if let Some(nested) = schema.fields().iter().find(|field| field.data_type().is_nested()) {
        return Err(shape(format!("column {} is nested; stored columns are flat", nested.name())));
    }
    match (position(schema, PATIENT, &DataType::UInt32), position(schema, ROW, &DataType::UInt64)) {
        (None, None) => Ok(Order::AsGiven),
        (Some(Ok(patient)), Some(Ok(row))) => Ok(Order::ByPatient { patient, row }),
        (Some(Err(reason)), _) | (_, Some(Err(reason))) => Err(shape(reason)),
        (Some(Ok(_)), None) => Err(shape(format!("it has {PATIENT} but not {ROW}"))),
        (None, Some(Ok(_))) => Err(shape(format!("it has {ROW} but not {PATIENT}"))),
    }
}

fn position(schema: &Schema, name: &str, wanted: &DataType) -> Option<Result<usize, String>> {
    let (at, field) = schema.column_with_name(name)?;
    let found = field.data_type();
    Some(if found == wanted { Ok(at) } else { Err(format!("{name} is {found}, not {wanted}")) })
}
