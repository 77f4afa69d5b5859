//! Rows of a COPY into an unnamed Parquet file, and the hash of their content.

use std::fs::File;
use std::io::{self, BufRead};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Float64Builder, Int64Builder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder, new_null_array,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use sha2::{Digest, Sha256};

use super::columns::{Form, Found};
use super::copy::Tuples;

const BATCH_ROWS: usize = 8192;
const BATCH_BYTES: usize = 16 << 20;
/// Days, and microseconds, from 1970 to 2000, where PostgreSQL's time begins.
const DAYS: i32 = 10_957;
const MICROSECONDS: i64 = 946_684_800_000_000;

/// Fetched rows.
pub(super) struct Spooled {
    pub(super) file: File,
    pub(super) content: Content,
    pub(super) rows: u64,
}

/// The sum of the hashes of rows, which does not depend on their order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Content([u64; 4]);

impl Content {
    /// Adds other rows.
    pub(super) fn add(&mut self, other: Self) {
        for (sum, part) in self.0.iter_mut().zip(other.0) {
            *sum = sum.wrapping_add(part);
        }
    }

    /// As bytes.
    pub(super) fn bytes(self) -> Vec<u8> {
        self.0.iter().flat_map(|part| part.to_le_bytes()).collect()
    }

    fn row(&mut self, row: &[u8]) {
        let hash = Sha256::digest(row);
        let mut parts = [0; 4];
        for (part, bytes) in parts.iter_mut().zip(hash.chunks_exact(8)) {
            *part = u64::from_le_bytes(bytes.try_into().unwrap_or_default());
        }
        self.add(Self(parts));
    }
}

/// Writes all rows of a COPY of `table`; `advanced` hears of them.
pub(super) fn write<R: BufRead>(reader: R, table: &Found, advanced: impl Fn(u64)) -> io::Result<Spooled> {
    let mut tuples = Tuples::new(reader, table.columns.len())?;
    let (file, schema) = (tempfile::tempfile()?, schema(table));
    let mut writer = ArrowWriter::try_new(file.try_clone()?, Arc::clone(&schema), Some(plain()))
        .map_err(io::Error::other)?;
    let mut columns: Vec<Values> = table.columns.iter().map(|column| Values::new(column.form)).collect();
    let (mut content, mut rows, mut pending, mut bytes) = (Content::default(), 0, 0, 0);
    loop {
        let more = tuples.step()?;
        if more {
            content.row(tuples.row());
            for (field, values) in columns.iter_mut().enumerate() {
                values.append(tuples.value(field))?;
            }
            (pending, bytes) = (pending + 1, bytes + tuples.row().len());
        }
        if pending == BATCH_ROWS || bytes >= BATCH_BYTES || (!more && pending > 0) {
            let mut arrays: Vec<ArrayRef> = columns.iter_mut().map(Values::finish).collect();
            arrays.extend(table.others.iter().map(|_| new_null_array(&DataType::Boolean, pending)));
            let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).map_err(io::Error::other)?;
            writer.write(&batch).map_err(io::Error::other)?;
            advanced(pending as u64);
            rows += pending as u64;
            (pending, bytes) = (0, 0);
        }
        if !more {
            writer.close().map_err(io::Error::other)?;
            return Ok(Spooled { file, content, rows });
        }
    }
}

/// The file is read once, whole, and then gone: nothing in it has to be small or found again.
fn plain() -> WriterProperties {
    WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .build()
}

/// What is fetched, and by name alone what is left out, so that it can be named.
fn schema(table: &Found) -> SchemaRef {
    let fetched = table.columns.iter().map(|column| Field::new(&column.name, column.form.stored(), true));
    let others = table.others.iter().map(|name| Field::new(name, DataType::Boolean, true));
    Arc::new(Schema::new(fetched.chain(others).collect::<Vec<_>>()))
}

impl Form {
    fn stored(self) -> DataType {
        match self {
            Self::Integer => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Boolean => DataType::Boolean,
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Text => DataType::Utf8,
        }
    }
}

/// The values of a column so far.
enum Values {
    Integer(Int64Builder),
    Float(Float64Builder),
    Boolean(BooleanBuilder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Text(StringBuilder),
}

impl Values {
    fn new(form: Form) -> Self {
        match form {
            Form::Integer => Self::Integer(Int64Builder::new()),
            Form::Float => Self::Float(Float64Builder::new()),
            Form::Boolean => Self::Boolean(BooleanBuilder::new()),
            Form::Date => Self::Date(Date32Builder::new()),
            Form::Timestamp => Self::Timestamp(TimestampMicrosecondBuilder::new()),
            Form::Text => Self::Text(StringBuilder::new()),
        }
    }

    /// Infinite dates stay beyond all years, where they are read as no date and counted.
    fn append(&mut self, value: Option<&[u8]>) -> io::Result<()> {
        match self {
            Self::Integer(to) => to.append_option(value.map(fixed).transpose()?.map(i64::from_be_bytes)),
            Self::Float(to) => to.append_option(value.map(fixed).transpose()?.map(f64::from_be_bytes)),
            Self::Boolean(to) => to.append_option(value.map(fixed).transpose()?.map(|[byte]| byte != 0)),
            Self::Date(to) => {
                let days = value.map(fixed).transpose()?.map(i32::from_be_bytes);
                to.append_option(days.map(|days| days.saturating_add(DAYS)));
            }
            Self::Timestamp(to) => {
                let at = value.map(fixed).transpose()?.map(i64::from_be_bytes);
                to.append_option(at.map(|at| at.saturating_add(MICROSECONDS)));
            }
            // A database in the encoding SQL_ASCII may hold any bytes; the connection asks for UTF-8.
            Self::Text(to) => to.append_option(value.map(String::from_utf8_lossy)),
        }
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Integer(values) => Arc::new(values.finish()),
            Self::Float(values) => Arc::new(values.finish()),
            Self::Boolean(values) => Arc::new(values.finish()),
            Self::Date(values) => Arc::new(values.finish()),
            Self::Timestamp(values) => Arc::new(values.finish()),
            Self::Text(values) => Arc::new(values.finish()),
        }
    }
}

fn fixed<const N: usize>(bytes: &[u8]) -> io::Result<[u8; N]> {
    let reason = "a value has another length than its type";
    bytes.try_into().map_err(|_| io::Error::new(io::ErrorKind::InvalidData, reason))
}
