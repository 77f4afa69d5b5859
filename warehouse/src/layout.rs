//! The two columns that every table with patients has besides those of its model, and the folders on disk.
//!
//! They are physical: no model names them, no query can, and they never leave the node.

use std::path::{Path, PathBuf};

/// The patient's ordinal: `UInt32`, null in a record without a patient. Tables are sorted by it, nulls last.
pub const PATIENT: &str = "_patient";

/// A keyed hash over the patient's pseudonym and the row's values: `UInt64`, never null. It orders the rows
/// of one patient without looking at any other patient, so that the gate can keep the first few of them.
pub const ROW: &str = "_row";

/// The schema that is the warehouse's own: no model may use it and [`crate::Epoch::tables`] does not list it.
pub(crate) const SYSTEM_SCHEMA: &str = "system";

/// Paths inside one warehouse.
#[derive(Debug, Clone)]
pub(crate) struct Folders {
    /// `DIR/warehouse`.
    pub(crate) root: PathBuf,
    /// Immutable Parquet files.
    pub(crate) data: PathBuf,
    /// One JSON file an epoch.
    pub(crate) manifests: PathBuf,
    /// What is being written.
    pub(crate) tmp: PathBuf,
}

impl Folders {
    pub(crate) fn of_node(dir: &Path) -> Self {
        let root = dir.join("warehouse");
        Self { data: root.join("data"), manifests: root.join("manifests"), tmp: root.join("tmp"), root }
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.root.join("state.sqlite")
    }

    pub(crate) fn manifest(&self, epoch: u64) -> PathBuf {
        self.manifests.join(format!("{epoch}.json"))
    }
}
