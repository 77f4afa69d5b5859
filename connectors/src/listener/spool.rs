//! The folder of a node in which headers wait until they are in the warehouse: readable to its owner alone, of bounded size.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::Limits;
use super::received::Received;
use super::segment::{Closed, Segment, Unwritten};
use crate::{Code, Error, Result};

/// What names a file of headers.
const EXTENSION: &str = "headers";
/// Held by the one listener of the folder.
const LOCK: &str = "lock";

/// The folder and what waits in it.
pub(super) struct Spool {
    folder: PathBuf,
    most: u64,
    used: AtomicU64,
    begun: AtomicU64,
    waiting: Mutex<Vec<Closed>>,
    /// Locked as long as it is open.
    #[cfg_attr(not(test), expect(dead_code, reason = "it is held, not used"))]
    lock: File,
}

impl Spool {
    /// Opens the folder, which is made where it is absent; what is in it from before waits.
    pub(super) fn open(folder: &Path, most: u64) -> Result<Arc<Self>> {
        let refused = |e: io::Error| Error::new(Code::Spool, folder.display(), e);
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(refused)?;
        let mode = fs::metadata(folder).map_err(refused)?.permissions().mode();
        if mode & 0o077 != 0 {
            let reason = format!("its mode is {:03o}: others can read it", mode & 0o777);
            return Err(Error::new(Code::Spool, folder.display(), reason));
        }
        let mut options = OpenOptions::new();
        let options = options.create(true).truncate(false).write(true).mode(0o600);
        let lock = options.open(folder.join(LOCK)).map_err(refused)?;
        if lock.try_lock().is_err() {
            return Err(Error::new(Code::Spool, folder.display(), "another listener uses it"));
        }
        let waiting = before(folder).map_err(refused)?;
        let used = waiting.iter().map(Closed::header_bytes).sum::<u64>();
        Ok(Arc::new(Self {
            folder: folder.to_owned(),
            most,
            used: AtomicU64::new(used),
            begun: AtomicU64::new(0),
            waiting: Mutex::new(waiting),
            lock,
        }))
    }

    /// A new file for the headers of a caller.
    pub(super) fn begin(self: &Arc<Self>, caller: &str) -> Result<Segment, Unwritten> {
        if self.used.load(Ordering::SeqCst) >= self.most {
            return Err(Unwritten::Full);
        }
        self.create(caller).map_err(|_| Unwritten::Disk)
    }

    fn create(self: &Arc<Self>, caller: &str) -> io::Result<Segment> {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let number = self.begun.fetch_add(1, Ordering::SeqCst);
        let path = self.folder.join(format!("{:020}-{number}.{EXTENSION}", since.as_nanos()));
        let file = OpenOptions::new().create_new(true).read(true).write(true).mode(0o600).open(&path)?;
        let segment = Segment::create(Arc::clone(self), file, path, caller)?;
        self.sync()?;
        Ok(segment)
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }

    /// Makes room for bytes, if there is any.
    pub(super) fn reserve(&self, bytes: u64) -> bool {
        let fits = self.used.fetch_add(bytes, Ordering::SeqCst) + bytes <= self.most;
        if !fits {
            self.release(bytes);
        }
        fits
    }

    pub(super) fn release(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::SeqCst);
    }

    /// A file is written to no more.
    pub(super) fn waits(&self, closed: Closed) {
        if closed.headers.is_empty() {
            drop(fs::remove_file(&closed.path));
        } else {
            self.lock().push(closed);
        }
    }

    /// What should come in now.
    pub(super) fn due(&self, limits: &Limits) -> Option<Received> {
        let waiting = self.lock();
        let headers: usize = waiting.iter().map(|closed| closed.headers.len()).sum();
        let oldest = waiting.iter().map(|closed| closed.closed).min()?;
        let newest = waiting.iter().map(|closed| closed.closed).max()?;
        let waits = |since: Instant, time: Duration| since.elapsed() >= time;
        let is_due =
            headers >= limits.objects || waits(newest, limits.quiet) || waits(oldest, limits.longest);
        if is_due { Received::of(&waiting, limits.objects) } else { None }
    }

    /// What has waited longest.
    pub(super) fn oldest(&self, limits: &Limits) -> Option<Received> {
        Received::of(&self.lock(), limits.objects)
    }

    /// Forgets what is in the warehouse now.
    pub(super) fn taken(&self, received: &Received) {
        let mut waiting = self.lock();
        for taken in received.segments() {
            waiting.retain(|closed| closed.path != taken.path);
            self.release(taken.header_bytes());
            if let Err(error) = fs::remove_file(&taken.path) {
                // It comes in once more with the next start, and is found to be there.
                tracing::warn!(error = %error.kind(), "a file of the spool that is taken in cannot be removed");
            }
        }
    }

    /// Lets another listener in, as the end of the process does.
    #[cfg(test)]
    pub(super) fn unlock(&self) {
        self.lock.unlock().unwrap();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Closed>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The files of before, in the order in which they were begun.
fn before(folder: &Path) -> io::Result<Vec<Closed>> {
    let mut paths =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<PathBuf>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == EXTENSION));
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        match Closed::read(&path)? {
            Some(closed) if closed.headers.is_empty() => fs::remove_file(&path)?,
            Some(closed) => found.push(closed),
            None => {
                let reason = "a file in it is none of a listener";
                return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
            }
        }
    }
    Ok(found)
}
