//! What can go wrong in a warehouse, said so that an operator knows the thing, the reason and the fix.
//!
//! No message holds a value of a record: paths, tables and numbers of epochs only.

use std::io;
use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;

use crate::TableName;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the warehouse could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder holds no warehouse, or only part of one.
    #[error(
        "no warehouse in {}: {missing} is missing. Make one with `caim init node {}`, or restore a backup",
        .dir.display(), .dir.display()
    )]
    NoWarehouse {
        /// The node's folder.
        dir: PathBuf,
        /// The part that is not there.
        missing: String,
    },
    /// The file system refused an operation.
    #[error("cannot {action} {}: {source}. {}", .path.display(), fix(.source))]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another writer is at work.
    #[error("{} is locked by {}. Wait until that writer is done, or stop it", .path.display(), holder(.pid))]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// The process that holds it, if it wrote its number down.
        pid: Option<u32>,
    },
    /// A file is not what was committed.
    #[error(
        "{} is damaged: {reason}. Restore this file from a backup; `caim verify` lists all damage",
        .path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// The manifest was written by a later version of Caim.
    #[error(
        "{} has format {found}, this program knows formats up to {known}: use a newer version of Caim",
        .path.display()
    )]
    NewerFormat {
        /// The manifest.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// The newest format known here.
        known: u64,
    },
    /// The state database was written by a later version of Caim.
    #[error(
        "the state database has {found} steps of `{name}`, this program knows {known}: use a newer version \
         of Caim"
    )]
    NewerState {
        /// Which part of the database.
        name: String,
        /// Steps that were run on it.
        found: usize,
        /// Steps known here.
        known: usize,
    },
    /// The pseudonyms in the warehouse were made with another secret.
    #[error(
        "the warehouse holds pseudonyms of the secret {stored}, but the secret at hand is {given}: put the \
         old secret file back, or make a new node folder with `caim init node` and ingest all sources again"
    )]
    OtherSecret {
        /// Id of the secret that the warehouse was filled with.
        stored: String,
        /// Id of the secret that the caller has.
        given: String,
    },
    /// Ordinals were asked for before the secret was named.
    #[error("no secret was named: call `Commit::secret` before `Commit::ordinals`")]
    NoSecret,
    /// All ordinals have been given.
    #[error("the warehouse has {} patients, more than it can number", u32::MAX)]
    TooManyPatients,
    /// A writer of the commit failed or was dropped before it was finished.
    #[error("table {table} was not written to its end, nothing is published: run the command again")]
    Unfinished {
        /// The table.
        table: TableName,
    },
    /// Rows do not have the form that was announced, or a form that cannot be stored.
    #[error("table {table} cannot be stored: {reason}")]
    Shape {
        /// The table.
        table: TableName,
        /// What does not fit.
        reason: String,
    },
    /// A Parquet file could not be written or read.
    #[error("cannot write or read the Parquet file {}: {source}", .path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the library said.
        source: ParquetError,
    },
    /// The epoch is there, but the disk did not confirm its name.
    #[error(
        "epoch {epoch} is written, but the disk did not confirm {}: {source}. A power cut may undo it. \
         Check the disk, then run the command again",
        .path.display()
    )]
    Unconfirmed {
        /// The new epoch.
        epoch: u64,
        /// The folder that could not be synced.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The state database could not be opened.
    #[error(
        "cannot use the state database {}: {source}. Check that the file is there, whole, and that the user \
         who runs Caim may write to it and its folder",
        .path.display()
    )]
    State {
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// A statement on the state database failed.
    #[error("the state database refused a statement: {0}. Check the disk, then run the command again")]
    Sqlite(#[from] rusqlite::Error),
}

impl Error {
    /// Wraps what the file system said about `path`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }

    /// Wraps what the Parquet library said; a failure of the disk under it stays a failure of the disk.
    pub(crate) fn parquet(path: &Path) -> impl FnOnce(ParquetError) -> Self {
        let path = path.to_path_buf();
        move |source| match source {
            ParquetError::External(inner) => match inner.downcast::<io::Error>() {
                Ok(source) => Self::Io { action: "write", path, source: *source },
                Err(inner) => Self::Parquet { path, source: ParquetError::External(inner) },
            },
            source => Self::Parquet { path, source },
        }
    }

    pub(crate) fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_path_buf(), reason: reason.into() }
    }
}

/// What to do about a failure of the file system.
fn fix(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => "Give the user who runs Caim permission to read and write there",
        io::ErrorKind::ReadOnlyFilesystem => "The file system is read-only: mount it writable",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "The disk is full: free space, then run the command again; what was committed before is unchanged"
        }
        io::ErrorKind::NotFound => "Check that the folder is mounted; `caim verify` lists what is missing",
        // The other kinds have one cure, and new ones may come.
        _ => "Check the disk, then run the command again",
    }
}

fn holder(pid: &Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}
