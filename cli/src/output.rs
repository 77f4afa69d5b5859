//! Answers in the formats people and programs read: a table, CSV, JSON, Arrow, Parquet.
//!
//! All but the table are written by Arrow's own writers: what another program reads back is what the hub sent.

mod records;
mod table;

use std::io::Write;
use std::sync::Arc;

use anyhow::Result;
use clap::ValueEnum;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::{csv, json};
use parquet::arrow::ArrowWriter;

pub use table::{Alignment, Table, grouped};

/// A format of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// Aligned columns, for people.
    #[default]
    Table,
    /// One line a value, for rows that are wider than the terminal.
    Records,
    /// Comma-separated, with a header; an empty field is NULL.
    Csv,
    /// One JSON array of objects; keys without a value are NULL.
    Json,
    /// One JSON object a line.
    Ndjson,
    /// An Arrow IPC stream.
    Arrow,
    /// A Parquet file.
    Parquet,
}

/// Writes an answer. The schema is written even when there is no row.
///
/// # Errors
/// When the output cannot be written.
pub fn write(format: Format, schema: &SchemaRef, batches: &[RecordBatch], out: &mut dyn Write) -> Result<()> {
    match format {
        Format::Table => write!(out, "{}", Table::of_batches(schema, batches)?)?,
        Format::Records => records::write(schema, batches, out)?,
        Format::Csv => write_csv(schema, batches, out)?,
        Format::Json => write_json(batches, out)?,
        Format::Ndjson => write_ndjson(batches, out)?,
        Format::Arrow => write_arrow(schema, batches, out)?,
        Format::Parquet => write_parquet(schema, batches, out)?,
    }
    Ok(out.flush()?)
}

fn write_csv(schema: &SchemaRef, batches: &[RecordBatch], out: &mut dyn Write) -> Result<()> {
    let mut writer = csv::Writer::new(out);
    // The writer makes its header of the first batch: an empty one gives it when there are no rows.
    writer.write(&RecordBatch::new_empty(Arc::clone(schema)))?;
    for batch in batches {
        writer.write(batch)?;
    }
    Ok(())
}

fn write_json(batches: &[RecordBatch], out: &mut dyn Write) -> Result<()> {
    let mut writer = json::ArrayWriter::new(&mut *out);
    writer.write_batches(&batches.iter().collect::<Vec<_>>())?;
    writer.finish()?;
    drop(writer);
    Ok(writeln!(out)?)
}

fn write_ndjson(batches: &[RecordBatch], out: &mut dyn Write) -> Result<()> {
    let mut writer = json::LineDelimitedWriter::new(out);
    writer.write_batches(&batches.iter().collect::<Vec<_>>())?;
    Ok(writer.finish()?)
}

fn write_arrow(schema: &SchemaRef, batches: &[RecordBatch], out: &mut dyn Write) -> Result<()> {
    let mut writer = StreamWriter::try_new(out, schema)?;
    for batch in batches {
        writer.write(batch)?;
    }
    Ok(writer.finish()?)
}

fn write_parquet(schema: &SchemaRef, batches: &[RecordBatch], out: &mut dyn Write) -> Result<()> {
    let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(schema), None)?;
    for batch in batches {
        writer.write(batch)?;
    }
    Ok(out.write_all(&writer.into_inner()?)?)
}

#[cfg(test)]
mod tests;
