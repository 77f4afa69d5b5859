//! A table for people: columns as wide as they must be, numbers to the right, thousands apart, no frame.

use std::fmt;

use anyhow::Result;
use datafusion::arrow::array::Array;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};

/// What stands for NULL: nothing was released, or nothing was recorded.
const NULL: &str = "·";
/// Between two columns.
const GAP: &str = "  ";

/// Where the text of a column stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alignment {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// Text in columns.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<(String, Alignment)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    #[must_use]
    pub fn new(columns: &[(&str, Alignment)]) -> Self {
        let columns = columns.iter().map(|(name, align)| ((*name).to_owned(), *align)).collect();
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The rows of an answer.
    ///
    /// # Errors
    /// When a value cannot be shown, which plain types exclude.
    pub fn of_batches(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Self> {
        let align = |numeric| if numeric { Alignment::Right } else { Alignment::Left };
        let column = |field: &datafusion::arrow::datatypes::Field| {
            (field.name().clone(), align(field.data_type().is_numeric()))
        };
        let columns = schema.fields().iter().map(|field| column(field)).collect();
        let mut table = Self { columns, rows: Vec::new() };
        for batch in batches {
            table.add(batch)?;
        }
        Ok(table)
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let options = FormatOptions::default().with_null(NULL);
        let formats = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
            .collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            let cell = |(format, column): (&ArrayFormatter<'_>, &dyn Array)| -> Result<String> {
                let text = format.value(row).try_to_string()?;
                Ok(match column.data_type() {
                    kind if kind.is_integer() => grouped(&text),
                    kind if kind.is_floating() => shortened(&text),
                    _ => text.replace(['\n', '\r', '\t'], " "),
                })
            };
            let columns = batch.columns().iter().map(AsRef::as_ref);
            self.rows.push(formats.iter().zip(columns).map(cell).collect::<Result<_>>()?);
        }
        Ok(())
    }

    fn widths(&self) -> Vec<usize> {
        let width = |index: usize, name: &str| {
            let cells = self.rows.iter().filter_map(|row| row.get(index));
            cells.map(|cell| cell.chars().count()).chain([name.chars().count()]).max().unwrap_or(0)
        };
        self.columns.iter().enumerate().map(|(index, (name, _))| width(index, name)).collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        let line = |cells: &mut dyn Iterator<Item = &str>| -> String {
            let padded =
                cells.zip(&widths).zip(&self.columns).map(|((cell, width), (_, align))| match align {
                    Alignment::Left => format!("{cell:<width$}"),
                    Alignment::Right => format!("{cell:>width$}"),
                });
            padded.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
        };
        writeln!(f, "{}", line(&mut self.columns.iter().map(|(name, _)| name.as_str())))?;
        let rules: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
        writeln!(f, "{}", rules.join(GAP))?;
        for row in &self.rows {
            writeln!(f, "{}", line(&mut row.iter().map(String::as_str)))?;
        }
        Ok(())
    }
}

/// An integer with its thousands apart; years and other numbers of four digits stay as they are.
#[must_use]
pub fn grouped(text: &str) -> String {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    if digits.len() < 5 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.to_owned();
    }
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}")
}

/// A number with two decimals if it has more: noise leaves no more to read. Small ones keep three digits.
fn shortened(text: &str) -> String {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number != 0.0 && number.abs() < 0.01 => format!("{number:.2e}"),
        Ok(number) if number.is_finite() => format!("{number:.2}"),
        Ok(_) | Err(_) => text.to_owned(),
    }
}
