//! The data files, and the one way to read them: after their content was compared with their name.
//!
//! Hashing all bytes costs about a second per gigabyte, so a process does it once a file and again only when
//! length, time or inode of the file have changed.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use crate::storage::Stamp;
use crate::{DataFile, Error, Result, Storage};

/// What a file was like when its hash was right; `None` before. One at a time hashes a file, the others wait.
type Slot = Arc<Mutex<Option<Stamp>>>;

/// The folder of data files.
#[derive(Debug)]
pub(crate) struct DataFiles {
    folder: PathBuf,
    storage: Arc<dyn Storage>,
    checked: Mutex<HashMap<String, Slot>>,
}

impl DataFiles {
    pub(crate) fn new(folder: PathBuf, storage: Arc<dyn Storage>) -> Self {
        Self { folder, storage, checked: Mutex::default() }
    }

    /// The name of the file with that content.
    pub(crate) fn name(sha256: &str) -> String {
        format!("{sha256}.parquet")
    }

    /// Where the file with that content is kept.
    pub(crate) fn place(&self, sha256: &str) -> PathBuf {
        self.folder.join(Self::name(sha256))
    }

    /// Where the file is, once its content is known to be what was committed.
    pub(crate) fn verified(&self, file: &DataFile) -> Result<PathBuf> {
        let path = self.place(&file.sha256);
        let slot = self.slot(&file.sha256);
        let mut checked = lock(&slot);
        let stamp = self.stamp(&path)?;
        if *checked != Some(stamp) {
            *checked = None;
            self.compare(file)?;
            *checked = Some(stamp);
        }
        Ok(path)
    }

    /// Reads all bytes of a file and compares them with what was committed.
    pub(crate) fn compare(&self, file: &DataFile) -> Result<()> {
        let path = self.place(&file.sha256);
        let bytes = self.stamp(&path)?.bytes;
        if bytes != file.bytes {
            return Err(Error::damaged(&path, format!("it has {bytes} bytes, not {}", file.bytes)));
        }
        let mut content = self.storage.open(&path).map_err(Error::io("open", &path))?;
        let sha256 = hash(&mut content).map_err(Error::io("read", &path))?;
        if sha256 != file.sha256 {
            return Err(Error::damaged(&path, format!("its SHA-256 is {sha256}")));
        }
        Ok(())
    }

    fn slot(&self, sha256: &str) -> Slot {
        Arc::clone(lock(&self.checked).entry(sha256.to_owned()).or_default())
    }

    fn stamp(&self, path: &Path) -> Result<Stamp> {
        self.storage.stamp(path).map_err(|source| match source.kind() {
            ErrorKind::NotFound => Error::damaged(path, "it is missing"),
            _ => Error::io("look at", path)(source),
        })
    }
}

/// What is behind these locks is whole at every step, so a panic of another holder takes nothing from it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn hash(content: &mut dyn Read) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match content.read(&mut buffer) {
            Ok(0) => return Ok(hex::encode(hasher.finalize())),
            Ok(n) => hasher.update(buffer.get(..n).unwrap_or(&buffer)),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}
