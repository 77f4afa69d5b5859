//! `caim-warehouse`: where the data of a node rests.
//!
//! A node must be able to say, years later and after any crash, exactly which records an answer rests on. So
//! the warehouse is a folder of immutable Parquet files, named by their SHA-256, and a chain of *manifests*.
//! One manifest names all files of all tables: publishing it moves every table at once, to the next *epoch*.
//!
//! ```text
//! DIR/warehouse/
//!   data/<sha256>.parquet   immutable; sorted by patient; never leave the node
//!   manifests/<n>.json      epoch n: tables, batches, patients, own checksum, parent's checksum
//!   tmp/                    what a commit writes before it is renamed into place
//!   lock                    held by the one writer; names its process
//!   state.sqlite            ledger, answers, audit (see [`State`])
//!   ledger.mark             how far the ledger had come, so that an older copy of it is noticed
//! ```
//!
//! Promises, each with a test:
//! - A reader sees the old epoch or the new one, never a mix, whatever step of a commit fails.
//! - What [`Commit::publish`] returned survives a power cut: every file and folder was synced before.
//! - A damaged or missing file is an error that names it; older records never stand in for it in silence.
//! - The ordinal of a patient never changes and is never given to another.
//!
//! ```
//! use std::sync::Arc;
//! use arrow::array::{ArrayRef, Int64Array, RecordBatch, UInt32Array, UInt64Array};
//! use caim_warehouse::{NewBatch, TableName, Warehouse, layout};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let dir = folder.path();
//! let warehouse = Warehouse::create(dir)?;
//! let mut commit = warehouse.begin(NewBatch {
//!     source: "scanner export".into(),
//!     content: "hash of it".into(),
//!     collection: None,
//!     format: "dicom-table".into(),
//! })?;
//! commit.secret("id of the node's secret")?;
//! let patient = commit.ordinals()?.ordinal(&[7; 32]);
//!
//! let table = TableName::new("dicom", "series");
//! let columns: Vec<(&str, ArrayRef)> = vec![
//!     (layout::PATIENT, Arc::new(UInt32Array::from(vec![Some(patient)]))),
//!     (layout::ROW, Arc::new(UInt64Array::from(vec![42]))),
//!     ("instancecount", Arc::new(Int64Array::from(vec![120]))),
//! ];
//! let rows = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| {
//!     (name, array, name == layout::PATIENT)
//! }))?;
//! let mut writer = commit.writer(table.clone(), rows.schema())?;
//! writer.write(&rows)?;
//! writer.finish()?;
//!
//! let epoch = commit.publish()?;
//! assert_eq!((epoch.number(), epoch.rows(&table), epoch.patients()), (1, 1, 1));
//! # Ok(())
//! # }
//! ```

// From the words, over what is on the disk, to what is done with it.
mod error;
pub mod layout;
mod name;

mod epoch;
mod files;
mod lock;
mod manifest;
mod newest;
mod state;
pub mod storage;
pub mod testing;

mod commit;
mod forget;
mod garbage;
mod ordinals;
mod retain;
mod run;
mod staging;
mod verify;
mod warehouse;
mod writer;

#[cfg(test)]
mod tests;

pub use commit::Commit;
pub use epoch::Epoch;
pub use error::{Error, Result};
pub use manifest::{Batch, BatchId, DataFile, NewBatch};
pub use name::TableName;
pub use ordinals::Ordinals;
pub use retain::{Among, Origin};
pub use rusqlite;
pub use state::State;
pub use storage::Storage;
pub use verify::Damage;
pub use warehouse::Warehouse;
pub use writer::TableWriter;
