//! Rows leave a table in the next epoch: only files that hold some of them are written anew.
//!
//! The new files belong to the batches of the old ones, so that a source that is ingested again still replaces its own.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{BooleanArray, BooleanBufferBuilder, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter_record_batch;
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;

use crate::writer::TableWriter;
use crate::{BatchId, Commit, DataFile, Error, Result, TableName};

/// Who brought rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// An earlier commit.
    Earlier,
    /// A finished writer of this commit.
    New,
}

/// Among whose rows it is looked for those that leave.
#[derive(Debug, Clone, Copy)]
pub enum Among<'b> {
    /// Those of finished writers of this commit.
    New,
    /// Those of all earlier commits.
    Earlier,
    /// Those that some earlier batches brought.
    Batches(&'b BTreeSet<BatchId>),
    /// All.
    All,
}

impl Among<'_> {
    fn has_new(self) -> bool {
        matches!(self, Self::New | Self::All)
    }

    fn has(self, file: &DataFile) -> bool {
        match self {
            Self::New => false,
            Self::Earlier | Self::All => true,
            Self::Batches(batches) => batches.contains(&file.batch),
        }
    }
}

/// Says which rows of a batch of some columns stay.
pub(crate) type Stays<'s> = dyn FnMut(Origin, &RecordBatch) -> BooleanArray + 's;

impl Commit {
    /// Rows leave a table in the next epoch: `stays` sees these columns of all rows in question once, those of earlier
    /// commits first. Says how many left.
    ///
    /// # Errors
    /// When a file cannot be read or written; then the commit is not to be published.
    pub fn retain(
        &mut self,
        table: &TableName,
        columns: &[&str],
        among: Among<'_>,
        stays: &mut Stays<'_>,
    ) -> Result<u64> {
        let new = if among.has_new() { self.staging.take(table) } else { Vec::new() };
        let earlier =
            self.base().files(table).iter().filter(|file| among.has(file) && self.keeps(table, file));
        let earlier: Vec<DataFile> = earlier.cloned().collect();
        let mut gone = 0;
        for file in earlier {
            let path = self.base().path(&file)?;
            let mask = mask(&path, columns, &mut |rows| stays(Origin::Earlier, rows))?;
            if let Some(left) = self.written_anew(table, &path, file.batch, &mask)? {
                self.rewritten.insert((table.clone(), file.sha256.clone()));
                gone += left;
            }
        }
        for staged in new {
            let mask = mask(&staged.path, columns, &mut |rows| stays(Origin::New, rows))?;
            match self.written_anew(table, &staged.path, staged.file.batch, &mask)? {
                None => self.staging.put_back(staged),
                Some(left) => {
                    let path = &staged.path;
                    self.staging.storage.remove(path).map_err(Error::io("remove", path))?;
                    gone += left;
                }
            }
        }
        Ok(gone)
    }

    /// Writes the rows of a file that stay; says how many do not, or nothing where all do.
    fn written_anew(
        &self,
        table: &TableName,
        path: &Path,
        batch: BatchId,
        mask: &BooleanBuffer,
    ) -> Result<Option<u64>> {
        let gone = mask.len() - mask.count_set_bits();
        if gone == 0 {
            return Ok(None);
        }
        let builder = open(path)?;
        let schema = Arc::clone(builder.schema());
        let mut writer = TableWriter::start_for(batch, Arc::clone(&self.staging), table.clone(), &schema)?;
        let mut at = 0;
        for rows in builder.build().map_err(|e| damaged(path, &e))? {
            let rows = rows.map_err(|e| unreadable(path, &e))?;
            let stay = BooleanArray::new(mask.slice(at, rows.num_rows()), None);
            at += rows.num_rows();
            writer.write(&filter_record_batch(&rows, &stay).map_err(|e| unreadable(path, &e))?)?;
        }
        writer.finish()?;
        Ok(Some(gone as u64))
    }
}

/// Which rows of a file stay.
fn mask(
    path: &Path,
    columns: &[&str],
    stays: &mut dyn FnMut(&RecordBatch) -> BooleanArray,
) -> Result<BooleanBuffer> {
    let builder = open(path)?;
    let wanted = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
    let mut mask = BooleanBufferBuilder::new(0);
    for rows in builder.with_projection(wanted).build().map_err(|e| damaged(path, &e))? {
        let rows = rows.map_err(|e| unreadable(path, &e))?;
        mask.append_buffer(stays(&rows).values());
    }
    Ok(mask.finish())
}

fn open(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| damaged(path, &e))
}

fn damaged(path: &Path, source: &ParquetError) -> Error {
    Error::damaged(path, source.to_string())
}

fn unreadable(path: &Path, source: &ArrowError) -> Error {
    Error::damaged(path, source.to_string())
}
