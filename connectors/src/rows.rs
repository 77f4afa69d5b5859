//! Rows as a source has them: batches of untyped columns, streamed, each row with the place it came from.
//!
//! Text and Parquet look the same from here on. A batch is bounded in rows and bytes, so that a table of any size
//! is read in little memory.

mod columnar;
mod delimited;
mod dialect;
mod marked;

use arrow::array::{ArrayRef, BooleanArray};

use crate::source::{Kind, Member};
use crate::tally::Fault;
use crate::{Code, Error, Result};

/// Rows of a batch, at most.
const BATCH_ROWS: usize = 8192;
/// Bytes of a batch, at most, by and large.
const BATCH_BYTES: usize = 16 << 20;

/// Some rows of a table, without those that have no columns at all (`faults`).
#[derive(Debug)]
pub(crate) struct RawBatch {
    /// The selected columns, in the order of selection.
    pub(crate) columns: Vec<ArrayRef>,
    /// Where the rows came from.
    pub(crate) lines: Lines,
    /// Rows that could not be taken apart into columns.
    pub(crate) faults: Vec<Fault>,
    /// Lines of rows that had empty fields beyond the last column.
    pub(crate) surplus: Vec<u64>,
}

/// The line (of text) or row (of Parquet) of each row of a batch; both count from 1.
#[derive(Debug, Clone)]
pub(crate) enum Lines {
    /// Consecutive, from the first.
    From {
        /// Number of the first row.
        first: u64,
        /// How many.
        rows: usize,
    },
    /// One by one.
    Each(Vec<u64>),
}

/// A stream of batches.
pub(crate) trait Rows: Send {
    /// The next batch; `None` at the end. Not to be called after an error.
    fn next_batch(&mut self) -> Result<Option<RawBatch>>;
}

/// A table whose header was read.
pub(crate) struct Opened {
    /// Names of the columns, trimmed, as the source spells them.
    pub(crate) header: Vec<String>,
    /// Number of rows, if the file says it.
    pub(crate) total: Option<u64>,
    reader: Reader,
}

enum Reader {
    Text(Box<delimited::Delimited>),
    Parquet(Box<columnar::Columnar>),
}

impl Opened {
    /// Opens a member and reads its header.
    ///
    /// # Errors
    /// When the file is damaged or has no header.
    pub(crate) fn open(member: &Member) -> Result<Self> {
        let file = member.open()?;
        match member.kind {
            Kind::Text => {
                let (header, reader) = delimited::Delimited::open(file, &member.name)?;
                Ok(Self { header, total: None, reader: Reader::Text(Box::new(reader)) })
            }
            Kind::Parquet => {
                let reader = columnar::Columnar::open(file, &member.name)?;
                Ok(Self {
                    header: reader.header(),
                    total: Some(reader.total()),
                    reader: Reader::Parquet(Box::new(reader)),
                })
            }
            Kind::Json | Kind::Other => {
                Err(Error::new(Code::UnknownFormat, &member.name, "it is no table of CSV or Parquet"))
            }
        }
    }

    /// The rows, with the columns at these positions of the header.
    ///
    /// # Errors
    /// When the file is damaged.
    pub(crate) fn select(self, positions: &[usize]) -> Result<Box<dyn Rows>> {
        match self.reader {
            Reader::Text(reader) => Ok(Box::new(reader.select(positions))),
            Reader::Parquet(reader) => Ok(Box::new(reader.select(positions)?)),
        }
    }
}

impl Lines {
    /// How many rows.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::From { rows, .. } => *rows,
            Self::Each(lines) => lines.len(),
        }
    }

    /// The line of a row of the batch; 0 beyond its end.
    pub(crate) fn line(&self, row: usize) -> u64 {
        match self {
            Self::From { first, .. } => first + row as u64,
            Self::Each(lines) => lines.get(row).copied().unwrap_or(0),
        }
    }

    /// Those of the rows that `mask` keeps.
    pub(crate) fn filter(&self, mask: &BooleanArray) -> Self {
        let kept = mask.iter().enumerate().filter(|(_, keep)| *keep == Some(true));
        Self::Each(kept.map(|(row, _)| self.line(row)).collect())
    }

    /// The first `rows` of them.
    pub(crate) fn truncated(&self, rows: usize) -> Self {
        match self {
            Self::From { first, rows: all } => Self::From { first: *first, rows: rows.min(*all) },
            Self::Each(lines) => Self::Each(lines.iter().take(rows).copied().collect()),
        }
    }
}

impl RawBatch {
    /// The first `rows` rows; what was wrong with others stays.
    pub(crate) fn truncated(mut self, rows: usize) -> Self {
        if rows < self.lines.len() {
            self.columns = self.columns.iter().map(|column| column.slice(0, rows)).collect();
            self.lines = self.lines.truncated(rows);
        }
        self
    }
}

fn damaged(code: Code, name: &str, reason: impl std::fmt::Display) -> Error {
    Error::new(code, name, reason)
}
