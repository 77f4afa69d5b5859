//! Reads back what the warehouse stores, for tables that are derived from others.

use std::fs::File;
use std::path::Path;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::{Code, Error, Result};

/// Rows that are held at a time for each file: many files may be open at once.
const ROWS: usize = 1024;

/// Batches of some columns of a stored file, in the order asked for.
pub(crate) struct Stored {
    path: String,
    reader: ParquetRecordBatchReader,
    columns: Vec<String>,
}

/// Opens a stored file.
///
/// # Errors
/// When it cannot be read or lacks a column.
pub(crate) fn read(path: &Path, columns: &[&str]) -> Result<Stored> {
    let file = File::open(path).map_err(|e| Error::io(path, &e))?;
    let fault = |e: &dyn std::fmt::Display| Error::new(Code::Warehouse, path.display(), e);
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| fault(&e))?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
    let reader = builder.with_projection(mask).with_batch_size(ROWS).build().map_err(|e| fault(&e))?;
    let columns = columns.iter().map(|column| (*column).to_owned()).collect();
    Ok(Stored { path: path.display().to_string(), reader, columns })
}

/// The names of the columns of a stored file.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn columns(path: &Path) -> Result<Vec<String>> {
    let file = File::open(path).map_err(|e| Error::io(path, &e))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)
        .map_err(|e| Error::new(Code::Warehouse, path.display(), e))?;
    Ok(builder.schema().fields().iter().map(|field| field.name().clone()).collect())
}

impl Iterator for Stored {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.reader.next()?.and_then(|batch| in_order(&batch, &self.columns));
        Some(batch.map_err(|e| Error::new(Code::Warehouse, &self.path, e)))
    }
}

fn in_order(batch: &RecordBatch, columns: &[String]) -> std::result::Result<RecordBatch, ArrowError> {
    let named = columns.iter().map(|name| Ok((name, ArrayRef::clone(column(batch, name)?))));
    RecordBatch::try_from_iter_with_nullable(
        named.collect::<std::result::Result<Vec<_>, ArrowError>>()?.into_iter().map(|(n, a)| (n, a, true)),
    )
}

fn column<'b>(batch: &'b RecordBatch, name: &str) -> std::result::Result<&'b ArrayRef, ArrowError> {
    batch.column_by_name(name).ok_or_else(|| ArrowError::SchemaError(format!("the column {name} is missing")))
}
