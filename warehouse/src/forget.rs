//! A patient leaves: files with rows of theirs are written anew, and what came before is no longer kept.
//!
//! The old files stay until [`Warehouse::drop_history`]: until then the epochs before answer, and hold the patient.

use std::collections::BTreeMap;

use arrow::array::{BooleanArray, RecordBatch, UInt32Array};

use crate::layout::PATIENT;
use crate::{Among, Commit, Result, TableName, Warehouse, garbage, newest};

impl Commit {
    /// Rows of a patient leave these tables in the next epoch; says how many of each. The ordinal stays given.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn forget(&mut self, ordinal: u32, tables: &[TableName]) -> Result<BTreeMap<TableName, u64>> {
        let mut gone = BTreeMap::new();
        for table in tables {
            let rows =
                self.retain(table, &[PATIENT], Among::Earlier, &mut |_, rows| others(rows, ordinal))?;
            if rows > 0 {
                gone.insert(table.clone(), rows);
            }
        }
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
