//! The few operations of a file system that a commit needs, behind a trait.
//!
//! A trait, because each of them can fail at any time: tests put a storage in its place that fails the n-th
//! (see [`crate::testing`]). `object_store` is not used for commits: its local file system never syncs.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

/// What tells that a file is still the one that was looked at before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Length in bytes.
    pub bytes: u64,
    /// Time of the last change of the content, in nanoseconds since 1970.
    pub modified_ns: i128,
    /// The inode: a file renamed into place has another one.
    pub inode: u64,
}

/// A file being written.
pub trait StorageFile: Write + Send {
    /// Returns when content and length are on the disk. Never call it again after it failed: the kernel may
    /// have dropped what it could not write and would answer that all is well.
    ///
    /// # Errors
    /// What the disk said.
    fn sync(&mut self) -> io::Result<()>;
}

/// Where a warehouse keeps its files. All paths are absolute or relative to the process, as the caller gave
/// them.
pub trait Storage: Debug + Send + Sync {
    /// Makes a folder and those above it, readable by its owner alone; fine if it is there.
    ///
    /// # Errors
    /// What the file system said.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;

    /// Makes a file that is not there yet.
    ///
    /// # Errors
    /// What the file system said; also when the file is there.
    fn create(&self, path: &Path) -> io::Result<Box<dyn StorageFile>>;

    /// Opens a file for reading.
    ///
    /// # Errors
    /// What the file system said.
    fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>>;

    /// Opens the lock file, making it if it is not there; does not take the lock.
    ///
    /// # Errors
    /// What the file system said.
    fn open_lock(&self, path: &Path) -> io::Result<File>;

    /// Length, time and inode of a file.
    ///
    /// # Errors
    /// What the file system said.
    fn stamp(&self, path: &Path) -> io::Result<Stamp>;

    /// The names in a folder, in no order.
    ///
    /// # Errors
    /// What the file system said; also for a name that is not UTF-8.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// Gives a file its final name, at once, taking the place of a file of that name.
    ///
    /// # Errors
    /// What the file system said.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Returns when the names in a folder are on the disk.
    ///
    /// # Errors
    /// What the disk said.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the file system said.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// The file system of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalStorage;

impl StorageFile for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

impl Storage for LocalStorage {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        Ok(Box::new(OpenOptions::new().write(true).create_new(true).open(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(File::open(path)?))
    }

    fn open_lock(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
    }

    fn stamp(&self, path: &Path) -> io::Result<Stamp> {
        let found = fs::metadata(path)?;
        let modified_ns = i128::from(found.mtime()) * 1_000_000_000 + i128::from(found.mtime_nsec());
        Ok(Stamp { bytes: found.len(), modified_ns, inode: found.ino() })
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let no_text = |_| io::Error::new(io::ErrorKind::InvalidData, "a file name is not UTF-8");
        fs::read_dir(folder)?.map(|entry| entry?.file_name().into_string().map_err(no_text)).collect()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}
