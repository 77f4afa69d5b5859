//! A patient leaves: files with rows of theirs are written anew, and what came before is no longer kept.
//!
//! The new files belong to the batches of the old ones, so that a source that is ingested again still replaces its own.
//! The old files stay until [`Warehouse::drop_history`]: until then the epochs before answer, and hold the patient.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::filter_record_batch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;

use crate::layout::PATIENT;
use crate::writer::TableWriter;
use crate::{Commit, DataFile, Error, Result, TableName, Warehouse, garbage, newest};

impl Commit {
    /// Rows of a patient leave these tables in the next epoch; says how many of each. The ordinal stays given.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn forget(&mut self, ordinal: u32, tables: &[TableName]) -> Result<BTreeMap<TableName, u64>> {
        let mut gone = BTreeMap::new();
        for table in tables {
            let mut files: Vec<DataFile> = self.base().files(table).to_vec();
            files.retain(|file| self.keeps(table, file));
            for file in files {
                let rows = self.forget_in(ordinal, table, &file)?;
                if rows > 0 {
                    *gone.entry(table.clone()).or_default() += rows;
                }
            }
        }
        Ok(gone)
    }

    fn forget_in(&mut self, ordinal: u32, table: &TableName, file: &DataFile) -> Result<u64> {
        let path = self.base().path(file)?;
        let damaged = |e: ParquetError| Error::damaged(&path, e.to_string());
        let open = || File::open(&path).map_err(Error::io("open", &path));
        let reader = || ParquetRecordBatchReaderBuilder::try_new(open()?).map_err(damaged);
        let schema = Arc::clone(reader()?.schema());
        let unreadable = |e: arrow::error::ArrowError| Error::damaged(&path, e.to_string());
        let mut gone = 0;
        for rows in reader()?.build().map_err(damaged)? {
            gone += count(&rows.map_err(unreadable)?, ordinal);
        }
        if gone == 0 {
            return Ok(0);
        }
        let staging = Arc::clone(&self.staging);
        let mut writer = TableWriter::start_for(file.batch, staging, table.clone(), &schema)?;
        for rows in reader()?.build().map_err(damaged)? {
            let rows = rows.map_err(unreadable)?;
            let kept = filter_record_batch(&rows, &others(&rows, ordinal)).map_err(unreadable)?;
            writer.write(&kept)?;
        }
        writer.finish()?;
        self.rewritten.insert((table.clone(), file.sha256.clone()));
        Ok(gone)
    }
}

impl Warehouse {
    /// Removes every epoch before the newest, and the files that only they name. A question that still reads one of
    /// them fails.
    ///
    /// # Errors
    /// [`Error::Locked`] beside a writer; [`Error::Io`] when files cannot be removed: then the next commit does so.
    pub fn drop_history(&self) -> Result<()> {
        let lock = self.lock()?;
        let base = self.current()?;
        newest::keep_from(self.state(), base.number())?;
        garbage::remove(self.inner(), &base)?;
        drop(lock);
        Ok(())
    }
}

/// Which rows are of other patients, or of none.
fn others(rows: &RecordBatch, ordinal: u32) -> BooleanArray {
    let patients =
        rows.column_by_name(PATIENT).and_then(|column| column.as_any().downcast_ref::<UInt32Array>());
    match patients {
        Some(patients) => patients.iter().map(|patient| Some(patient != Some(ordinal))).collect(),
        None => BooleanArray::from(vec![true; rows.num_rows()]),
    }
}

fn count(rows: &RecordBatch, ordinal: u32) -> u64 {
    others(rows, ordinal).iter().filter(|other| *other == Some(false)).count() as u64
}
