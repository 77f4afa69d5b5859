//! Patients as small numbers: what tables are sorted, joined and counted by.
//!
//! A pseudonym gets the next free number and keeps it for ever, also when all its rows are gone: a number
//! that was given to two people would add up two patients as one. The numbers never leave the node.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, FixedSizeBinaryArray, RecordBatch, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;

use crate::layout::SYSTEM_SCHEMA;
use crate::{Epoch, Error, Result, TableName};

/// Bytes of a pseudonym.
const PSEUDONYM_BYTES: i32 = 32;

/// Pseudonym to ordinal: append-only, stable over commits, never reused.
pub struct Ordinals {
    known: HashMap<[u8; 32], u32>,
    /// Given in this commit, in the order of their ordinals.
    new: Vec<[u8; 32]>,
    /// More patients came than there are numbers.
    overflowed: bool,
}

impl fmt::Debug for Ordinals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ordinals(<redacted>)")
    }
}

impl Ordinals {
    /// The ordinal of a pseudonym; the next free one if it is new. It counts once the commit is published.
    pub fn ordinal(&mut self, pseudonym: &[u8; 32]) -> u32 {
        if let Some(known) = self.known.get(pseudonym) {
            return *known;
        }
        let Ok(next) = u32::try_from(self.known.len()) else {
            // Given to many, but never seen: the commit is refused when it is to be published.
            self.overflowed = true;
            return u32::MAX;
        };
        self.known.insert(*pseudonym, next);
        self.new.push(*pseudonym);
        next
    }

    /// The ordinal of a pseudonym that has one.
    #[must_use]
    pub fn known(&self, pseudonym: &[u8; 32]) -> Option<u32> {
        self.known.get(pseudonym).copied()
    }

    /// The pseudonym of every ordinal.
    #[must_use]
    pub fn pseudonyms(&self) -> HashMap<u32, [u8; 32]> {
        self.known.iter().map(|(pseudonym, ordinal)| (*ordinal, *pseudonym)).collect()
    }

    /// Reads all ordinals that were given up to `epoch`.
    pub(crate) fn load(epoch: &Epoch) -> Result<Self> {
        let files = epoch.files(&table());
        let mut known = HashMap::with_capacity(epoch.patients() as usize);
        for file in files {
            let path = epoch.path(file)?;
            for rows in read(&path)? {
                let rows = rows.map_err(|e| Error::damaged(&path, e.to_string()))?;
                insert(&mut known, &rows).ok_or_else(|| Error::damaged(&path, "it holds no ordinals"))?;
            }
        }
        if known.len() != epoch.patients() as usize {
            let reason = format!("{} patients are stored, not {}", known.len(), epoch.patients());
            return Err(Error::damaged(Path::new(&table().to_string()), reason));
        }
        Ok(Self { known, new: Vec::new(), overflowed: false })
    }

    /// The number of ordinals given.
    ///
    /// # Errors
    /// When there were too many.
    pub(crate) fn count(&self) -> Result<u32> {
        let count = u32::try_from(self.known.len()).ok().filter(|_| !self.overflowed);
        count.ok_or(Error::TooManyPatients)
    }

    /// What this commit gave, as rows of [`table`]; `None` when it gave none.
    pub(crate) fn given(&self) -> Result<Option<RecordBatch>> {
        if self.new.is_empty() {
            return Ok(None);
        }
        let shape = |e: arrow::error::ArrowError| Error::Shape { table: table(), reason: e.to_string() };
        let count = self.count()?;
        let first = u32::try_from(self.known.len() - self.new.len()).map_err(|_| Error::TooManyPatients)?;
        let ordinals = UInt32Array::from_iter_values(first..count);
        let pseudonyms = FixedSizeBinaryArray::try_from_iter(self.new.iter()).map_err(shape)?;
        RecordBatch::try_new(schema(), vec![Arc::new(ordinals), Arc::new(pseudonyms)])
            .map(Some)
            .map_err(shape)
    }
}

/// Where ordinals are stored.
pub(crate) fn table() -> TableName {
    TableName::new(SYSTEM_SCHEMA, "patient")
}

/// The columns of [`table`].
pub(crate) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("ordinal", DataType::UInt32, false),
        Field::new("pseudonym", DataType::FixedSizeBinary(PSEUDONYM_BYTES), false),
    ]))
}

fn read(path: &Path) -> Result<impl Iterator<Item = Result<RecordBatch, arrow::error::ArrowError>>> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let reader =
        ParquetRecordBatchReaderBuilder::try_new(file).and_then(ParquetRecordBatchReaderBuilder::build);
    reader.map_err(|e: ParquetError| Error::damaged(path, e.to_string()))
}

fn insert(known: &mut HashMap<[u8; 32], u32>, rows: &RecordBatch) -> Option<()> {
    let ordinals = rows.column_by_name("ordinal")?.as_any().downcast_ref::<UInt32Array>()?;
    let pseudonyms = rows.column_by_name("pseudonym")?.as_any().downcast_ref::<FixedSizeBinaryArray>()?;
    for (ordinal, pseudonym) in ordinals.values().iter().zip(pseudonyms.iter()) {
        known.insert(pseudonym?.try_into().ok()?, *ordinal);
    }
    Some(())
}
