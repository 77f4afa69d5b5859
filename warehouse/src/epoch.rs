//! One committed state of all tables: what a query pins.
//!
//! It is read once and never changes. Commits that come after make new files beside it and touch none of its
//! own.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::files::DataFiles;
use crate::layout::SYSTEM_SCHEMA;
use crate::manifest::Manifest;
use crate::{Batch, DataFile, Result, TableName};

/// One committed state of all tables: immutable, cheap to clone. A query pins one.
#[derive(Clone)]
pub struct Epoch {
    content: Arc<Content>,
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Epoch({} {})", self.number(), self.checksum())
    }
}

struct Content {
    manifest: Manifest,
    checksum: String,
    files: Arc<DataFiles>,
}

impl Epoch {
    pub(crate) fn new(manifest: Manifest, files: Arc<DataFiles>) -> Self {
        let checksum = manifest.checksum();
        Self { content: Arc::new(Content { manifest, checksum, files }) }
    }

    pub(crate) fn manifest(&self) -> &Manifest {
        &self.content.manifest
    }

    /// Grows by one with each commit; 0 is the empty warehouse.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.manifest().epoch
    }

    /// SHA-256 of the manifest's canonical text, in hex: equal only for equal content and history.
    #[must_use]
    pub fn checksum(&self) -> &str {
        &self.content.checksum
    }

    /// The tables that are there, also those without rows, in the order of their names. The warehouse's own
    /// table of pseudonyms is not among them.
    pub fn tables(&self) -> impl Iterator<Item = &TableName> {
        self.manifest().tables.keys().filter(|table| table.schema != SYSTEM_SCHEMA)
    }

    /// The files of a table; none if the table is not there. A table without rows has a file without rows,
    /// from which its columns are known.
    #[must_use]
    pub fn files(&self, table: &TableName) -> &[DataFile] {
        self.manifest().tables.get(table).map_or(&[], Vec::as_slice)
    }

    /// Rows of a table; 0 if the table is not there.
    #[must_use]
    pub fn rows(&self, table: &TableName) -> u64 {
        self.files(table).iter().map(|file| file.rows).sum()
    }

    /// Ordinals given so far: every ordinal in the tables is below it.
    #[must_use]
    pub fn patients(&self) -> u32 {
        self.manifest().patients
    }

    /// The batches that have files in the epoch, oldest first.
    #[must_use]
    pub fn batches(&self) -> &[Batch] {
        &self.manifest().batches
    }

    /// Where a file is, once its content is known to be what was committed: its SHA-256 is computed once in a
    /// process, and again when length, time or inode of the file have changed.
    ///
    /// # Errors
    /// [`crate::Error::Damaged`] when the file is missing or differs, [`crate::Error::Io`] when it cannot be
    /// read.
    pub fn path(&self, file: &DataFile) -> Result<PathBuf> {
        self.content.files.verified(file)
    }

    /// Id of the secret that made the pseudonyms; `None` until a commit named one.
    #[must_use]
    pub fn secret_id(&self) -> Option<&str> {
        self.manifest().secret_id.as_deref()
    }
}
