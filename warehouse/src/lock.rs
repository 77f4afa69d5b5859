//! The lock of the single writer.
//!
//! The operating system keeps it and frees it when its holder ends, however it ends; the number of the
//! process in the file only tells people whom to wait for.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use crate::{Error, Result, Storage};

/// Held from [`crate::Warehouse::begin`] until the commit and its last writer are gone.
#[derive(Debug)]
pub(crate) struct WriterLock {
    file: File,
}

impl WriterLock {
    /// Takes the lock at once, or says who has it.
    pub(crate) fn take(storage: &dyn Storage, path: &Path) -> Result<Self> {
        let mut file = storage.open_lock(path).map_err(Error::io("open the lock file", path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Locked { path: path.to_path_buf(), pid: holder(&mut file) });
            }
            Err(TryLockError::Error(source)) => return Err(Error::io("lock", path)(source)),
        }
        sign(&mut file).map_err(Error::io("write the lock file", path))?;
        Ok(Self { file })
    }
}

impl Drop for WriterLock {
    fn drop(&mut self) {
        // A number left behind would only misname the holder in a later message.
        let _ = self.file.set_len(0);
    }
}

fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    write!(file, "{}", std::process::id())
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::LocalStorage;

    #[test]
    fn a_second_writer_is_told_the_process_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = WriterLock::take(&LocalStorage, &path).unwrap();
        let refused = WriterLock::take(&LocalStorage, &path).unwrap_err().to_string();
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        assert!(refused.contains(path.to_str().unwrap()), "{refused}");
        drop(first);
        assert!(WriterLock::take(&LocalStorage, &path).is_ok());
    }

    #[test]
    fn the_lock_of_a_dead_process_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        std::fs::write(&path, "4294967295").unwrap();
        assert!(WriterLock::take(&LocalStorage, &path).is_ok());
    }
}
