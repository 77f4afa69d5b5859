//! A storage that fails on purpose, for the tests of this and other crates.
//!
//! Every step of a commit can be the last one, so tests run the same commit once for every step and every way
//! in which it can fail. A power cut also takes back what was written but not synced, which is how a missing
//! sync is found.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Storage;
use crate::storage::{Stamp, StorageFile};

/// How the chosen operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// With this error of the operating system (5 is EIO, 28 ENOSPC, 13 EACCES, 30 EROFS); it has no effect.
    Os(i32),
    /// A write takes only half of the bytes and says so, which is no error. Others succeed.
    ShortWrite,
    /// A write puts half of the bytes on the disk and then fails. Others fail without effect.
    TornWrite,
    /// The process dies: this operation and all later ones fail. A write is half done.
    Abort,
    /// The machine dies: as [`Fault::Abort`], and what was not synced is gone.
    PowerCut,
}

/// Passes operations on to another storage and lets the n-th fail.
#[derive(Debug, Clone)]
pub struct FaultyStorage {
    inner: Arc<dyn Storage>,
    plan: Arc<Mutex<Plan>>,
}

#[derive(Debug, Default)]
struct Plan {
    fault: Option<(usize, Fault)>,
    operations: usize,
    dead: bool,
    /// Files whose content may not be on the disk.
    unsynced: Vec<PathBuf>,
    /// Renames that may not be on the disk.
    renamed: Vec<(PathBuf, PathBuf)>,
    /// Files whose sync failed.
    given_up: Vec<PathBuf>,
    /// Syncs of files whose sync had failed before.
    repeated_syncs: usize,
}

/// What an operation is to do.
enum Go {
    On,
    Half,
    HalfThenFail(io::Error),
}

impl FaultyStorage {
    /// Counts operations and passes all of them on.
    #[must_use]
    pub fn counting(inner: Arc<dyn Storage>) -> Self {
        Self { inner, plan: Arc::default() }
    }

    /// Lets the operation number `at` (the first is 0) fail.
    #[must_use]
    pub fn failing(inner: Arc<dyn Storage>, at: usize, fault: Fault) -> Self {
        let storage = Self::counting(inner);
        storage.fail(at, fault);
        storage
    }

    /// Lets the operation number `at`, of all that were counted, fail; in the place of an earlier choice.
    pub fn fail(&self, at: usize, fault: Fault) {
        self.plan().fault = Some((at, fault));
    }

    /// Operations so far.
    #[must_use]
    pub fn operations(&self) -> usize {
        self.plan().operations
    }

    /// How often a file was synced again after its sync had failed: a commit must never do so.
    #[must_use]
    pub fn repeated_syncs(&self) -> usize {
        self.plan().repeated_syncs
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an operation and says what it is to do.
    fn next(&self) -> io::Result<Go> {
        let mut plan = self.plan();
        if plan.dead {
            return Err(gone());
        }
        let number = plan.operations;
        plan.operations += 1;
        let Some((_, fault)) = plan.fault.filter(|(at, _)| *at == number) else { return Ok(Go::On) };
        match fault {
            Fault::Os(code) => Err(io::Error::from_raw_os_error(code)),
            Fault::ShortWrite => Ok(Go::Half),
            Fault::TornWrite => Ok(Go::HalfThenFail(io::Error::from_raw_os_error(5))),
            Fault::Abort => {
                plan.dead = true;
                Ok(Go::HalfThenFail(gone()))
            }
            Fault::PowerCut => {
                plan.dead = true;
                plan.lose_unsynced()?;
                Err(gone())
            }
        }
    }

    /// For operations that are done or not done.
    fn whole(&self) -> io::Result<()> {
        match self.next()? {
            Go::On | Go::Half => Ok(()),
            Go::HalfThenFail(error) => Err(error),
        }
    }
}

impl Plan {
    /// Takes back what a disk may forget: content that was not synced, names in folders that were not synced.
    fn lose_unsynced(&mut self) -> io::Result<()> {
        for path in self.unsynced.drain(..).filter(|path| path.exists()) {
            File::options().write(true).open(path)?.set_len(0)?;
        }
        for (from, to) in self.renamed.drain(..).rev() {
            fs::rename(to, from)?;
        }
        Ok(())
    }
}

fn gone() -> io::Error {
    io::Error::other("the process is gone")
}

impl Storage for FaultyStorage {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        self.whole()?;
        self.inner.create_folder(folder)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        self.whole()?;
        let file = self.inner.create(path)?;
        self.plan().unsynced.push(path.to_path_buf());
        Ok(Box::new(FaultyFile { file, path: path.to_path_buf(), storage: self.clone() }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        self.whole()?;
        self.inner.open(path)
    }

    fn open_lock(&self, path: &Path) -> io::Result<File> {
        self.whole()?;
        self.inner.open_lock(path)
    }

    fn stamp(&self, path: &Path) -> io::Result<Stamp> {
        self.whole()?;
        self.inner.stamp(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.whole()?;
        self.inner.list(folder)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.whole()?;
        let replaces = to.exists();
        self.inner.rename(from, to)?;
        let mut plan = self.plan();
        plan.unsynced.iter_mut().filter(|path| *path == from).for_each(|path| *path = to.to_path_buf());
        // Names are hashes: a file that is replaced had the same content, and losing that changes nothing.
        if !replaces {
            plan.renamed.push((from.to_path_buf(), to.to_path_buf()));
        }
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.whole()?;
        self.inner.sync_folder(folder)?;
        self.plan().renamed.retain(|(_, to)| to.parent() != Some(folder));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.whole()?;
        self.inner.remove(path)
    }
}

struct FaultyFile {
    file: Box<dyn StorageFile>,
    path: PathBuf,
    storage: FaultyStorage,
}

impl Write for FaultyFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let half = buffer.get(..buffer.len().div_ceil(2)).unwrap_or(buffer);
        match self.storage.next()? {
            Go::On => self.file.write(buffer),
            Go::Half => self.file.write(half),
            Go::HalfThenFail(error) => {
                self.file.write_all(half)?;
                Err(error)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl StorageFile for FaultyFile {
    fn sync(&mut self) -> io::Result<()> {
        let repeated = self.storage.plan().given_up.contains(&self.path);
        self.storage.plan().repeated_syncs += usize::from(repeated);
        let synced = self.storage.whole().and_then(|()| self.file.sync());
        let mut plan = self.storage.plan();
        match &synced {
            Ok(()) => plan.unsynced.retain(|path| *path != self.path),
            Err(_) => plan.given_up.push(self.path.clone()),
        }
        synced
    }
}
