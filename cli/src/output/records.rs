//! One line a value: rows that are wider than a terminal stay readable.

use std::io::Write;

use anyhow::Result;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};

/// Writes each row as a block: its number, then one line a column.
pub(super) fn write(schema: &SchemaRef, batches: &[RecordBatch], out: &mut dyn Write) -> Result<()> {
    let width = schema.fields().iter().map(|field| field.name().chars().count()).max().unwrap_or(0);
    let options = FormatOptions::default().with_null("·");
    let mut number = 0;
    for batch in batches {
        let formats = batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
        let formats = formats.collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            number += 1;
            writeln!(out, "-- {number}")?;
            for (field, format) in schema.fields().iter().zip(&formats) {
                let value = format.value(row).try_to_string()?.replace(['\n', '\r', '\t'], " ");
                writeln!(out, "{:<width$}  {value}", field.name())?;
            }
        }
    }
    Ok(())
}
