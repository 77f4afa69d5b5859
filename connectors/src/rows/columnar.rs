//! Parquet tables, batch by batch, only the columns that are wanted.
//!
//! A hostile file must not take the node down. The Parquet library answers most damage with an error and some
//! with a panic (it indexes by what the file claims), so every call into it is a boundary: a panic there is one
//! more way of saying that the file is damaged. Its reader is dropped then and nothing of it is looked at again,
//! which is why the unwind-safety assertion holds.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Type as PhysicalType;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use super::{BATCH_BYTES, BATCH_ROWS, Lines, RawBatch, Rows, damaged};
use crate::{Code, Result};

/// A Parquet table whose footer was read.
pub(super) struct Columnar {
    name: String,
    builder: ParquetRecordBatchReaderBuilder<File>,
}

/// The rows of a Parquet table.
struct ColumnarRows {
    name: String,
    reader: ParquetRecordBatchReader,
    /// For each selected column, its place among those that are read.
    order: Vec<usize>,
    next_row: u64,
}

impl Columnar {
    pub(super) fn open(file: File, name: &str) -> Result<Self> {
        let builder = guarded(name, || metadata(&file).map(|m| (m, file)))?;
        let (metadata, file) = builder;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
        Ok(Self { name: name.to_owned(), builder })
    }

    pub(super) fn header(&self) -> Vec<String> {
        self.builder.schema().fields().iter().map(|field| field.name().trim().to_owned()).collect()
    }

    pub(super) fn total(&self) -> u64 {
        u64::try_from(self.builder.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    pub(super) fn select(self, positions: &[usize]) -> Result<impl Rows + use<>> {
        let mut read: Vec<usize> = positions.to_vec();
        read.sort_unstable();
        read.dedup();
        let order = positions.iter().filter_map(|position| read.binary_search(position).ok()).collect();
        let mask = ProjectionMask::roots(self.builder.parquet_schema(), read);
        let rows = rows_at_a_time(self.builder.metadata());
        let builder = self.builder.with_projection(mask).with_batch_size(rows);
        let reader = guarded(&self.name, || builder.build())?;
        Ok(ColumnarRows { name: self.name, reader, order, next_row: 1 })
    }
}

impl Rows for ColumnarRows {
    fn next_batch(&mut self) -> Result<Option<RawBatch>> {
        let batch: Option<RecordBatch> =
            guarded::<_, ArrowError>(&self.name, || self.reader.next().transpose())?;
        let Some(batch) = batch else { return Ok(None) };
        let lines = Lines::From { first: self.next_row, rows: batch.num_rows() };
        self.next_row += batch.num_rows() as u64;
        let columns =
            self.order.iter().filter_map(|place| batch.columns().get(*place).map(Arc::clone)).collect();
        Ok(Some(RawBatch { columns, lines, faults: Vec::new(), surplus: Vec::new() }))
    }
}

/// Fewer rows when they are long: a batch of clinical notes would be gigabytes.
fn rows_at_a_time(metadata: &ParquetMetaData) -> usize {
    let longest =
        metadata.row_groups().iter().map(|group| group.total_byte_size() / group.num_rows().max(1)).max();
    let row_bytes = longest.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(0).max(1);
    (BATCH_BYTES / row_bytes).clamp(1, BATCH_ROWS)
}

/// The footer, read without the Arrow schema that a writer may have put beside it: the file's own types are the
/// ones that its pages obey.
fn metadata(file: &File) -> std::result::Result<ArrowReaderMetadata, ParquetError> {
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let found = ArrowReaderMetadata::load(file, options.clone())?;
    let microseconds = in_microseconds(&found);
    if microseconds == **found.schema() {
        return Ok(found);
    }
    ArrowReaderMetadata::try_new(Arc::clone(found.metadata()), options.with_schema(Arc::new(microseconds)))
}

/// The schema with old-style 96-bit timestamps read as microseconds: as nanoseconds, the year 9999 would turn
/// into another year without a word.
fn in_microseconds(found: &ArrowReaderMetadata) -> Schema {
    let stored = found.parquet_schema().root_schema().get_fields();
    let fields = found.schema().fields().iter().zip(stored).map(|(field, stored)| {
        if stored.is_primitive() && stored.get_physical_type() == PhysicalType::INT96 {
            Field::new(field.name(), DataType::Timestamp(TimeUnit::Microsecond, None), field.is_nullable())
        } else {
            field.as_ref().clone()
        }
    });
    Schema::new_with_metadata(fields.collect::<Vec<_>>(), found.schema().metadata().clone())
}

fn guarded<T, E: std::fmt::Display>(
    name: &str,
    call: impl FnOnce() -> std::result::Result<T, E>,
) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(e)) => Err(damaged(Code::DamagedParquet, name, e)),
        Err(_) => Err(damaged(Code::DamagedParquet, name, "its pages contradict its footer")),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray};
    use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
    use parquet::arrow::ArrowWriter;
    use parquet::data_type::{Int96, Int96Type};
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::*;

    fn file_of(columns: Vec<(&str, ArrayRef)>) -> File {
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let file = tempfile::tempfile().unwrap();
        let mut writer = ArrowWriter::try_new(file.try_clone().unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        file
    }

    #[test]
    fn columns_come_in_the_order_they_are_selected_with_the_numbers_of_their_rows() {
        let rows = BATCH_ROWS as i64 + 5;
        let file = file_of(vec![
            ("a", Arc::new(Int64Array::from_iter_values(0..rows))),
            ("b", Arc::new(StringArray::from_iter_values((0..rows).map(|i| i.to_string())))),
            ("c", Arc::new(Int64Array::from_iter_values(rows..2 * rows))),
        ]);
        let table = Columnar::open(file, "t.parquet").unwrap();
        assert_eq!((table.header(), table.total()), (vec!["a".into(), "b".into(), "c".into()], rows as u64));
        let mut rows_read = table.select(&[2, 0]).unwrap();
        let first = rows_read.next_batch().unwrap().unwrap();
        assert_eq!(first.columns[0].as_primitive::<Int64Type>().value(1), rows + 1);
        assert_eq!(first.columns[1].as_primitive::<Int64Type>().value(1), 1);
        let second = rows_read.next_batch().unwrap().unwrap();
        assert_eq!((second.lines.line(0), second.lines.len()), (BATCH_ROWS as u64 + 1, 5));
        assert!(rows_read.next_batch().unwrap().is_none());
    }

    #[test]
    fn timestamps_of_the_old_kind_keep_their_year() {
        let schema = Arc::new(parse_message_type("message m { required int96 t; }").unwrap());
        let file = tempfile::tempfile().unwrap();
        let mut writer =
            SerializedFileWriter::new(file.try_clone().unwrap(), schema, Arc::default()).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let last_day_of_9999 = 5_373_484; // as a Julian day
        let value = Int96::from(vec![0, 0, last_day_of_9999]);
        column.typed::<Int96Type>().write_batch(&[value], None, None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
        writer.close().unwrap();
        let mut rows = Columnar::open(file, "t.parquet").unwrap().select(&[0]).unwrap();
        let batch = rows.next_batch().unwrap().unwrap();
        let microseconds = batch.columns[0].as_primitive::<TimestampMicrosecondType>().value(0);
        assert_eq!(microseconds, 253_402_214_400_000_000);
    }

    #[test]
    fn long_rows_are_read_a_few_at_a_time() {
        let notes = (0..64).map(|i| char::from(b'a' + i % 26).to_string().repeat(1 << 20));
        let file = file_of(vec![("note", Arc::new(StringArray::from_iter_values(notes)))]);
        let mut rows = Columnar::open(file, "t.parquet").unwrap().select(&[0]).unwrap();
        let mut read = 0;
        while let Some(batch) = rows.next_batch().unwrap() {
            assert!(batch.lines.len() <= 16);
            read += batch.lines.len();
        }
        assert_eq!(read, 64);
    }

    #[test]
    fn random_bytes_are_no_parquet() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let noise: Vec<u8> = (0..4096_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        std::fs::write(file.path(), noise).unwrap();
        let error = Columnar::open(File::open(file.path()).unwrap(), "x.parquet").err().unwrap();
        assert_eq!(error.code(), Code::DamagedParquet);
    }
}
