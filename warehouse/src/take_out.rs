//! Some rows leave: the files that hold them are written anew, under the batches that brought them.

use std::collections::BTreeSet;
use std::fs::File;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;

use crate::writer::TableWriter;
use crate::{BatchId, Commit, DataFile, Error, Result, TableName};

/// Says which rows stay.
type Stays<'s> = &'s dyn Fn(&RecordBatch) -> BooleanArray;

impl Commit {
    /// Rows that some batches brought to a table leave the next epoch; says how many. `stays` sees the rows' `columns`
    /// and says which stay. What is left of a batch still belongs to it.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn take_out(
        &mut self,
        table: &TableName,
        batches: &BTreeSet<BatchId>,
        columns: &[&str],
        stays: Stays<'_>,
    ) -> Result<u64> {
        let mut files: Vec<DataFile> = self.base().files(table).to_vec();
        files.retain(|file| batches.contains(&file.batch) && self.keeps(table, file));
        files.iter().map(|file| self.take_out_of(table, file, columns, stays)).sum()
    }

    fn take_out_of(
        &mut self,
        table: &TableName,
        file: &DataFile,
        columns: &[&str],
        stays: Stays<'_>,
    ) -> Result<u64> {
        let path = self.base().path(file)?;
        let damaged = |e: ParquetError| Error::damaged(&path, e.to_string());
        let unreadable = |e: ArrowError| Error::damaged(&path, e.to_string());
        let open = || File::open(&path).map_err(Error::io("open", &path));
        let reader = || ParquetRecordBatchReaderBuilder::try_new(open()?).map_err(damaged);
        let (builder, mut gone) = (reader()?, 0);
        let schema = Arc::clone(builder.schema());
        let wanted = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
        for rows in builder.with_projection(wanted).build().map_err(damaged)? {
            let stay = stays(&rows.map_err(unreadable)?);
            gone += (stay.len() - stay.true_count()) as u64;
        }
        if gone > 0 {
            self.rewritten.insert((table.clone(), file.sha256.clone()));
        }
        if gone == 0 || gone == file.rows {
            return Ok(gone);
        }
        let staging = Arc::clone(&self.staging);
        let mut writer = TableWriter::start_for(file.batch, staging, table.clone(), &schema)?;
        for rows in reader()?.build().map_err(damaged)? {
            let rows = rows.map_err(unreadable)?;
            writer.write(&filter_record_batch(&rows, &stays(&rows)).map_err(unreadable)?)?;
        }
        writer.finish()?;
        Ok(gone)
    }
}
