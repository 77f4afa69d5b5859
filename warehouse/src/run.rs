//! One run: the rows that a writer holds in memory, sorted, as one Parquet file.
//!
//! Sorted by patient, a file is less than half as large and the rows of one patient stand together, so that
//! the gate can bound a patient's contribution in one pass. The hash is computed on the way to the disk.

use std::io::{self, Write};
use std::path::Path;

use arrow::array::{Array, RecordBatch, UInt32Array, UInt64Array};
use arrow::compute::interleave;
use arrow::datatypes::{Field, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, compute_leaves};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::layout::ROW;
use crate::storage::StorageFile;
use crate::{Error, Result};

/// Rows of a row group: what one thread reads at a time.
const ROW_GROUP_ROWS: usize = 128 << 10;

/// Rows that are brought into order at a time.
const CHUNK_ROWS: usize = 16 << 10;

/// The order of the rows in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// By patient, those without last, then by row key; the numbers are positions of the two columns.
    ByPatient { patient: usize, row: usize },
    /// As they came.
    AsGiven,
}

/// Writes the batches, all of `schema`, to `file`; returns SHA-256 and length once they are on the disk.
pub(crate) fn write(
    file: Box<dyn StorageFile>,
    path: &Path,
    schema: &SchemaRef,
    order: Order,
    batches: &[RecordBatch],
) -> Result<(String, u64)> {
    let mut hashed = HashingFile::new(file);
    encode(&mut hashed, schema, order, batches).map_err(Error::parquet(path))?;
    hashed.seal().map_err(Error::io("sync", path))
}

fn encode(
    file: &mut HashingFile,
    schema: &SchemaRef,
    order: Order,
    batches: &[RecordBatch],
) -> ParquetResult<()> {
    let writer = ArrowWriter::try_new(file, SchemaRef::clone(schema), Some(properties(order)?))?;
    let (mut file, columns) = writer.into_serialized_writer()?;
    let places: Vec<(usize, usize)> = places(order, batches)?.iter().map(Place::indices).collect();
    for (number, group) in places.chunks(ROW_GROUP_ROWS).enumerate() {
        // Sorting rows and encoding them is most of the work of an ingest, and columns do not depend on each other.
        let writers = columns.create_column_writers(number)?;
        let column = |(at, writer)| column(schema.field(at), at, batches, group, writer);
        let chunks: Vec<ArrowColumnChunk> =
            writers.into_par_iter().enumerate().map(column).collect::<ParquetResult<_>>()?;
        let mut rows = file.next_row_group()?;
        chunks.into_iter().try_for_each(|chunk| chunk.append_to_row_group(&mut rows))?;
        rows.close()?;
    }
    // Not `into_inner`: that would turn a failure of the disk into a text.
    file.close().map(drop)
}

/// A column of a row group, whose rows are told by batch and index; columns are flat, so each has one writer.
fn column(
    field: &Field,
    at: usize,
    batches: &[RecordBatch],
    group: &[(usize, usize)],
    mut writer: ArrowColumnWriter,
) -> ParquetResult<ArrowColumnChunk> {
    let sources: Vec<&dyn Array> = batches.iter().map(|batch| batch.column(at).as_ref()).collect();
    for chunk in group.chunks(CHUNK_ROWS) {
        for leaf in compute_leaves(field, &interleave(&sources, chunk)?)? {
            writer.write(&leaf)?;
        }
    }
    writer.close()
}

/// Statistics and page indexes never leave the node, so they are kept in full.
fn properties(order: Order) -> ParquetResult<WriterProperties> {
    let sorting = match order {
        Order::AsGiven => None,
        Order::ByPatient { patient, row } => Some(vec![ascending(patient)?, ascending(row)?]),
    };
    Ok(WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Page)
        // Row keys are hashes: no two are alike, a dictionary of them would only be larger.
        .set_column_dictionary_enabled(ColumnPath::from(ROW), false)
        .set_sorting_columns(sorting)
        .set_created_by(concat!("caim ", env!("CARGO_PKG_VERSION")).to_owned())
        .build())
}

fn ascending(column: usize) -> ParquetResult<SortingColumn> {
    let column_idx = i32::try_from(column).map_err(|e| ParquetError::General(e.to_string()))?;
    Ok(SortingColumn { column_idx, descending: false, nulls_first: false })
}

/// Where a row is, under its keys. The derived order is the order of the file; equal keys stay as they came.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// The ordinal, or more than any ordinal in a row without patient.
    patient: u64,
    row: u64,
    batch: u32,
    index: u32,
}

impl Place {
    fn indices(&self) -> (usize, usize) {
        (self.batch as usize, self.index as usize)
    }
}

/// Bytes that sorting needs for a row besides the row itself.
pub(crate) const SORT_BYTES_PER_ROW: usize = size_of::<Place>() + size_of::<(usize, usize)>();

/// All rows in the order of the file.
fn places(order: Order, batches: &[RecordBatch]) -> ParquetResult<Vec<Place>> {
    let mut places = Vec::with_capacity(batches.iter().map(RecordBatch::num_rows).sum());
    for (batch, rows) in (0u32..).zip(batches) {
        match order {
            Order::AsGiven => {
                let all = (0u32..).take(rows.num_rows());
                places.extend(all.map(|index| Place { patient: 0, row: 0, batch, index }));
            }
            Order::ByPatient { patient, row } => {
                let patients = values::<UInt32Array>(rows, patient)?;
                let keys = values::<UInt64Array>(rows, row)?;
                let keyed = (0u32..).zip(patients.iter().zip(keys.values()));
                places.extend(keyed.map(|(index, (patient, &row))| Place {
                    patient: patient.map_or(u64::MAX, u64::from),
                    row,
                    batch,
                    index,
                }));
            }
        }
    }
    places.par_sort_unstable();
    Ok(places)
}

fn values<T: 'static>(rows: &RecordBatch, at: usize) -> ParquetResult<&T> {
    let found = rows.columns().get(at).and_then(|column| column.as_any().downcast_ref());
    found.ok_or_else(|| ParquetError::General(format!("column {at} has another type than its schema says")))
}

/// Passes bytes on to a file and hashes those that it took.
struct HashingFile {
    file: Box<dyn StorageFile>,
    hasher: Sha256,
    bytes: u64,
}

impl HashingFile {
    fn new(file: Box<dyn StorageFile>) -> Self {
        Self { file, hasher: Sha256::new(), bytes: 0 }
    }

    /// Syncs and closes the file. After a failed sync the file is given up: a second try could lie.
    fn seal(mut self) -> io::Result<(String, u64)> {
        self.file.sync()?;
        Ok((hex::encode(self.hasher.finalize()), self.bytes))
    }
}

impl Write for HashingFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let taken = self.file.write(buffer)?;
        self.hasher.update(buffer.get(..taken).unwrap_or(buffer));
        self.bytes += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
