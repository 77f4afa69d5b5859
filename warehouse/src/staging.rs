//! What a commit and its table writers share: files that are written but not yet part of anything.
//!
//! Writers are independent of the borrow of their commit, so the lock of the warehouse lives here: it is free
//! when the last of them is gone.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::files::lock;
use crate::lock::WriterLock;
use crate::{BatchId, DataFile, Error, Result, Storage, TableName};

/// How much the writers of a commit hold in memory before they write a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Bytes of all writers together.
    pub(crate) commit: usize,
    /// Bytes of one writer.
    pub(crate) writer: usize,
    /// Below this a writer keeps its rows even when all together are over their bound: files stay large.
    pub(crate) smallest_run: usize,
}

impl Bounds {
    pub(crate) const DEFAULT: Self = Self { commit: 256 << 20, writer: 128 << 20, smallest_run: 8 << 20 };
}

/// A file in `tmp`, complete and synced.
#[derive(Debug)]
pub(crate) struct StagedFile {
    pub(crate) table: TableName,
    pub(crate) path: PathBuf,
    pub(crate) file: DataFile,
}

/// The files of one commit on their way.
#[derive(Debug)]
pub(crate) struct Staging {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) batch: BatchId,
    tmp: PathBuf,
    bounds: Bounds,
    buffered: AtomicUsize,
    progress: Mutex<Progress>,
    _lock: WriterLock,
}

#[derive(Debug, Default)]
struct Progress {
    paths: u64,
    /// Tables with a writer that is not finished, once for each.
    open: Vec<TableName>,
    files: Vec<StagedFile>,
}

impl Staging {
    pub(crate) fn new(
        storage: Arc<dyn Storage>,
        tmp: PathBuf,
        batch: BatchId,
        bounds: Bounds,
        lock: WriterLock,
    ) -> Self {
        let (buffered, progress) = (AtomicUsize::new(0), Mutex::default());
        Self { storage, batch, tmp, bounds, buffered, progress, _lock: lock }
    }

    /// A name in `tmp` that was not given before in this commit.
    pub(crate) fn next_path(&self) -> PathBuf {
        let mut progress = lock(&self.progress);
        progress.paths += 1;
        self.tmp.join(format!("{}-{}.parquet", self.batch, progress.paths))
    }

    pub(crate) fn opened(&self, table: &TableName) {
        lock(&self.progress).open.push(table.clone());
    }

    pub(crate) fn finished(&self, table: &TableName, files: Vec<StagedFile>) {
        let mut progress = lock(&self.progress);
        if let Some(at) = progress.open.iter().position(|open| open == table) {
            progress.open.swap_remove(at);
        }
        progress.files.extend(files);
    }

    /// The files of all writers.
    ///
    /// # Errors
    /// When a writer was not finished: rows of its table would be missing.
    pub(crate) fn files(&self) -> Result<Vec<StagedFile>> {
        let mut progress = lock(&self.progress);
        match progress.open.first() {
            Some(table) => Err(Error::Unfinished { table: table.clone() }),
            None => Ok(std::mem::take(&mut progress.files)),
        }
    }

    /// Hands out the files of a table's finished writers, each to be replaced or put back.
    pub(crate) fn take(&self, table: &TableName) -> Vec<StagedFile> {
        let mut progress = lock(&self.progress);
        let files = std::mem::take(&mut progress.files);
        let (taken, others) = files.into_iter().partition(|staged| staged.table == *table);
        progress.files = others;
        taken
    }

    /// A file that was taken and stays as it is.
    pub(crate) fn put_back(&self, file: StagedFile) {
        lock(&self.progress).files.push(file);
    }

    /// Where the files of a table's finished writers are.
    pub(crate) fn paths(&self, table: &TableName) -> Vec<PathBuf> {
        let progress = lock(&self.progress);
        progress
            .files
            .iter()
            .filter(|staged| staged.table == *table)
            .map(|staged| staged.path.clone())
            .collect()
    }

    /// Counts `bytes` more in the buffer of a writer that now holds `own`; says whether it must write a run.
    pub(crate) fn grown(&self, bytes: usize, own: usize) -> Fill {
        let all = self.buffered.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let full = own >= self.bounds.writer;
        let crowded = all >= self.bounds.commit && own >= self.bounds.smallest_run;
        if full || crowded { Fill::WriteRun } else { Fill::KeepOn }
    }

    /// A writer has written `bytes` of its buffer.
    pub(crate) fn shrunk(&self, bytes: usize) {
        self.buffered.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// What a writer does after it took rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fill {
    /// There is room for more.
    KeepOn,
    /// Write what is buffered to a file.
    WriteRun,
}
