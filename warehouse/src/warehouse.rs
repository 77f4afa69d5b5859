//! One folder that holds all records of a node: opened by many, written by one.
//!
//! Readers need no lock: everything they read is immutable once it has its name. The number of the newest
//! epoch is also kept in the state database, so that the loss of a manifest is noticed and older records
//! never answer in its place.

use std::fmt;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::files::{DataFiles, lock};
use crate::layout::Folders;
use crate::lock::WriterLock;
use crate::manifest::Manifest;
use crate::staging::{Bounds, StagedFile, Staging};
use crate::storage::{LocalStorage, Stamp};
use crate::{
    BatchId, Commit, Damage, Epoch, Error, NewBatch, Result, State, Storage, garbage, newest, verify,
};

/// The warehouse of a node: cheap to clone, shared between threads.
#[derive(Clone)]
pub struct Warehouse {
    inner: Arc<Inner>,
}

impl fmt::Debug for Warehouse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Warehouse").field(&self.inner.folders.root).finish()
    }
}

pub(crate) struct Inner {
    pub(crate) folders: Folders,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) files: Arc<DataFiles>,
    state: State,
    /// The highest epoch that is known to have been published.
    seen: AtomicU64,
    /// The newest epoch as it was last read, and the file it was read from.
    current: Mutex<Option<(Stamp, Epoch)>>,
}

impl Warehouse {
    /// Makes the warehouse of the node folder `dir`, with the empty epoch 0; opens it if it is there.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::State`] when the folder cannot be written to, [`Error::Damaged`] when it
    /// holds records but no manifest.
    pub fn create(dir: &Path) -> Result<Self> {
        Self::create_in(dir, Arc::new(LocalStorage))
    }

    pub(crate) fn create_in(dir: &Path, storage: Arc<dyn Storage>) -> Result<Self> {
        let folders = Folders::of_node(dir);
        for folder in [&folders.data, &folders.manifests, &folders.tmp] {
            storage.create_folder(folder).map_err(Error::io("make the folder", folder))?;
        }
        let warehouse = Self::assemble(folders, storage)?;
        warehouse.publish_first()?;
        for folder in [warehouse.inner.folders.root.as_path(), dir] {
            warehouse.inner.storage.sync_folder(folder).map_err(Error::io("sync the folder", folder))?;
        }
        Ok(warehouse)
    }

    /// Opens the warehouse of the node folder `dir`. No manifest is read yet, so that [`Warehouse::verify`]
    /// can be asked about a damaged one: call [`Warehouse::current`] before relying on it.
    ///
    /// # Errors
    /// [`Error::NoWarehouse`] when there is none or its state database is gone, [`Error::Io`] or
    /// [`Error::State`] when it cannot be read.
    pub fn open(dir: &Path) -> Result<Self> {
        Self::with_storage(dir, Arc::new(LocalStorage))
    }

    /// Opens with another storage, for tests that let it fail.
    ///
    /// # Errors
    /// As [`Warehouse::open`].
    pub fn with_storage(dir: &Path, storage: Arc<dyn Storage>) -> Result<Self> {
        let folders = Folders::of_node(dir);
        for needed in [&folders.data, &folders.manifests, &folders.tmp, &folders.state()] {
            storage.stamp(needed).map_err(|source| match source.kind() {
                ErrorKind::NotFound => {
                    Error::NoWarehouse { dir: dir.to_path_buf(), missing: needed.display().to_string() }
                }
                _ => Error::io("look at", needed)(source),
            })?;
        }
        Self::assemble(folders, storage)
    }

    /// The newest epoch. Cheap when it is the one that was read last.
    ///
    /// # Errors
    /// [`Error::Damaged`] when its manifest is missing or differs from what was committed,
    /// [`Error::NewerFormat`] when a newer Caim wrote it. An older epoch never stands in for it.
    pub fn current(&self) -> Result<Epoch> {
        let inner = &self.inner;
        // Asked before the folder is listed: an epoch published in between must not look like a lost one.
        let seen = inner.seen.load(Ordering::Acquire);
        let newest = inner.newest_listed()?;
        let number = newest.filter(|number| *number >= seen).ok_or_else(|| {
            Error::damaged(&inner.folders.manifest(seen), "it is missing, and it names the newest epoch")
        })?;
        let path = inner.folders.manifest(number);
        let stamp = inner.storage.stamp(&path).map_err(Error::io("look at", &path))?;
        let mut current = lock(&inner.current);
        if let Some((_, epoch)) = current.as_ref().filter(|(read, e)| *read == stamp && e.number() == number)
        {
            return Ok(epoch.clone());
        }
        let epoch = Epoch::new(inner.manifest(number)?, Arc::clone(&inner.files));
        inner.seen.fetch_max(number, Ordering::AcqRel);
        *current = Some((stamp, epoch.clone()));
        Ok(epoch)
    }

    /// Takes the lock of the single writer, removes what an interrupted commit left, and starts the next
    /// epoch.
    ///
    /// # Errors
    /// [`Error::Locked`] names the process of another writer; [`Error::Damaged`] and [`Error::NewerFormat`]
    /// as for [`Warehouse::current`]; [`Error::Io`] when the folder cannot be written to.
    pub fn begin(&self, batch: NewBatch) -> Result<Commit> {
        self.begin_within(batch, Bounds::DEFAULT)
    }

    pub(crate) fn begin_within(&self, batch: NewBatch, bounds: Bounds) -> Result<Commit> {
        let inner = &self.inner;
        let lock = self.lock()?;
        let base = self.current()?;
        // The last writer may have been killed before this step, and its epoch is about to be relied on.
        sync_folder(inner.storage.as_ref(), &inner.folders.manifests)?;
        garbage::remove(inner, &base)?;
        let (storage, tmp) = (Arc::clone(&inner.storage), inner.folders.tmp.clone());
        let staging = Staging::new(storage, tmp, BatchId(base.number() + 1), bounds, lock);
        Ok(Commit::new(self.clone(), base, batch, staging))
    }

    /// The lock of the single writer.
    pub(crate) fn lock(&self) -> Result<WriterLock> {
        WriterLock::take(self.inner.storage.as_ref(), &self.inner.folders.lock())
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// The state database: ledger, answers, audit.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.inner.state
    }

    /// Reads every manifest and every file that one of them names, and lists what is missing or differs. It
    /// repairs nothing and may run beside a writer.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder of manifests cannot be listed, [`Error::State`] when it is not known which
    /// epochs are kept.
    pub fn verify(&self) -> Result<Vec<Damage>> {
        let seen = self.inner.seen.load(Ordering::Acquire);
        let newest = self.inner.newest_listed()?.unwrap_or(0).max(seen);
        let oldest = newest::oldest(&self.inner.state)?.min(newest);
        Ok(verify::damages(&self.inner, oldest, newest))
    }

    fn assemble(folders: Folders, storage: Arc<dyn Storage>) -> Result<Self> {
        let state = State::open(&folders.state())?;
        newest::migrate(&state)?;
        let seen = AtomicU64::new(newest::published(&state)?);
        let files = Arc::new(DataFiles::new(folders.data.clone(), Arc::clone(&storage)));
        let inner = Inner { folders, storage, files, state, seen, current: Mutex::default() };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Publishes epoch 0 unless there is an epoch.
    fn publish_first(&self) -> Result<()> {
        let inner = &self.inner;
        if inner.newest_listed()?.is_some() {
            return Ok(());
        }
        let _lock = WriterLock::take(inner.storage.as_ref(), &inner.folders.lock())?;
        if inner.newest_listed()?.is_some() {
            return Ok(());
        }
        let data = &inner.folders.data;
        let lost = inner.seen.load(Ordering::Acquire) > 0 || !inner.list(data)?.is_empty();
        if lost {
            return Err(Error::damaged(
                &inner.folders.manifests,
                "it holds no manifest, but there are records",
            ));
        }
        garbage::clear_tmp(inner)?;
        self.publish(Manifest::first(now())).map(drop)
    }

    /// Puts staged files in place under the name of their content.
    pub(crate) fn place(&self, staged: &[StagedFile]) -> Result<()> {
        let inner = &self.inner;
        for StagedFile { path, file, .. } in staged {
            // A file of that name has the same content, or is a damaged one that is healed by this.
            let place = inner.files.place(&file.sha256);
            inner.storage.rename(path, &place).map_err(Error::io("rename into place", &place))?;
        }
        sync_folder(inner.storage.as_ref(), &inner.folders.data)
    }

    /// Writes a manifest; all files that it names are in place and synced. From the rename on it is the
    /// newest.
    pub(crate) fn publish(&self, manifest: Manifest) -> Result<Epoch> {
        let inner = &self.inner;
        let epoch = manifest.epoch;
        let aside = inner.folders.tmp.join(format!("{epoch}.json"));
        let mut file = inner.storage.create(&aside).map_err(Error::io("create", &aside))?;
        file.write_all(&manifest.encode()).map_err(Error::io("write", &aside))?;
        file.sync().map_err(Error::io("sync", &aside))?;
        drop(file);
        let path = inner.folders.manifest(epoch);
        inner.storage.rename(&aside, &path).map_err(Error::io("rename into place", &path))?;
        let manifests = &inner.folders.manifests;
        let unconfirmed = |source| Error::Unconfirmed { epoch, path: manifests.clone(), source };
        inner.storage.sync_folder(manifests).map_err(unconfirmed)?;
        inner.seen.fetch_max(epoch, Ordering::AcqRel);
        // The epoch is published. Without this note only the loss of this very manifest would go unnoticed,
        // and only until the next commit notes a higher number.
        let _ = newest::note(&inner.state, epoch);
        Ok(Epoch::new(manifest, Arc::clone(&inner.files)))
    }
}

impl Inner {
    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// The highest number among the manifests.
    fn newest_listed(&self) -> Result<Option<u64>> {
        let names = self.list(&self.folders.manifests)?;
        Ok(names.iter().filter_map(|name| name.strip_suffix(".json")?.parse().ok()).max())
    }

    pub(crate) fn list(&self, folder: &Path) -> Result<Vec<String>> {
        self.storage.list(folder).map_err(Error::io("list the folder", folder))
    }

    /// Reads and checks the manifest of an epoch.
    pub(crate) fn manifest(&self, epoch: u64) -> Result<Manifest> {
        let path = self.folders.manifest(epoch);
        let bytes = self.read(&path)?;
        Manifest::decode(&path, epoch, &bytes)
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut file = self.storage.open(path).map_err(|source| match source.kind() {
            ErrorKind::NotFound => Error::damaged(path, "it is missing"),
            _ => Error::io("open", path)(source),
        })?;
        file.read_to_end(&mut bytes).map_err(Error::io("read", path))?;
        Ok(bytes)
    }
}

fn sync_folder(storage: &dyn Storage, folder: &Path) -> Result<()> {
    storage.sync_folder(folder).map_err(Error::io("sync the folder", folder))
}

/// Seconds since 1970; 0 on a clock set before that.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}
