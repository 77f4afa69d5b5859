//! Sorted files side by side: all rows of one patient, then of the next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::PathBuf;

use arrow::array::{Array, AsArray, RecordBatch, UInt32Array};
use arrow::datatypes::UInt32Type;

use crate::Result;
use crate::stored::{self, Stored};

/// Stored files, sorted by patient, those without a patient last.
pub(super) struct Merge {
    files: Vec<Cursor>,
    /// The next patient of every file that has rows left.
    heads: BinaryHeap<Reverse<(u64, usize)>>,
}

/// A file and the place in it.
struct Cursor {
    batches: Stored,
    batch: RecordBatch,
    row: usize,
}

impl Merge {
    /// Opens all files; `columns` begins with the patient.
    pub(super) fn open(paths: &[PathBuf], columns: &[&str]) -> Result<Self> {
        let mut merge = Self { files: Vec::new(), heads: BinaryHeap::new() };
        for path in paths {
            let mut batches = stored::read(path, columns)?;
            if let Some(batch) = batches.next() {
                merge.files.push(Cursor { batches, batch: batch?, row: 0 });
                merge.push_head(merge.files.len() - 1);
            }
        }
        Ok(merge)
    }

    /// The patient whose rows come next; `Some(None)` for rows without one, `None` at the end.
    pub(super) fn next_patient(&self) -> Option<Option<u32>> {
        self.heads.peek().map(|Reverse((patient, _))| u32::try_from(*patient).ok())
    }

    /// Hands all rows of the next patient to `take`, in slices.
    pub(super) fn each(&mut self, patient: Option<u32>, mut take: impl FnMut(&RecordBatch)) -> Result<()> {
        while let Some(Reverse((head, file))) = self.heads.peek().copied() {
            if head != order(patient) {
                break;
            }
            self.heads.pop();
            let Some(cursor) = self.files.get_mut(file) else { break };
            take(&cursor.rows_of(patient));
            if cursor.refill()? {
                self.push_head(file);
            }
        }
        Ok(())
    }

    fn push_head(&mut self, file: usize) {
        if let Some(patient) = self.files.get(file).and_then(Cursor::head) {
            self.heads.push(Reverse((patient, file)));
        }
    }
}

impl Cursor {
    fn patients(&self) -> &UInt32Array {
        self.batch.column(0).as_primitive::<UInt32Type>()
    }

    /// The patient of the next row.
    fn head(&self) -> Option<u64> {
        (self.row < self.batch.num_rows()).then(|| order(at(self.patients(), self.row)))
    }

    /// The rows of a patient that this batch has here.
    fn rows_of(&mut self, patient: Option<u32>) -> RecordBatch {
        let patients = self.patients();
        let same = (self.row..patients.len()).take_while(|row| at(patients, *row) == patient).count();
        let rows = self.batch.slice(self.row, same);
        self.row += same;
        rows
    }

    /// Reads on when the batch is used up; whether there are rows.
    fn refill(&mut self) -> Result<bool> {
        while self.row >= self.batch.num_rows() {
            let Some(batch) = self.batches.next() else { return Ok(false) };
            (self.batch, self.row) = (batch?, 0);
        }
        Ok(true)
    }
}

fn at(patients: &UInt32Array, row: usize) -> Option<u32> {
    patients.is_valid(row).then(|| patients.value(row))
}

/// Patients in the order of the files: those without one last.
fn order(patient: Option<u32>) -> u64 {
    patient.map_or(u64::MAX, u64::from)
}
