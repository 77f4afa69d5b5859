//! Headers of one association in one file, one behind the other.
//!
//! ```text
//! file    = magic, AE title of the caller padded to 16 bytes, records
//! record  = length (8 bytes, least first), SHA-256 of the header, header
//! ```
//!
//! A record counts once its length and hash are on the disk, which is the last that is written of it. What follows the
//! last whole record was never acknowledged.

use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use sha2::{Digest, Sha256};

use super::Limits;
use super::spool::Spool;
use crate::source::{Header, Part};

const MAGIC: &[u8; 8] = b"CAIMSCP1";
const TITLE_BYTES: usize = 16;
/// Bytes before the first record.
const HEAD_BYTES: u64 = (MAGIC.len() + TITLE_BYTES) as u64;
/// Bytes of a record before its header.
const RECORD_BYTES: u64 = 8 + HASH_BYTES as u64;
const HASH_BYTES: usize = 32;
/// Bytes that are collected before they are written.
const BUFFER_BYTES: usize = 64 << 10;
/// Headers in one file.
const MOST: usize = 1000;

/// Why a header is not on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unwritten {
    /// It is longer than a header may be.
    TooLong,
    /// As much waits as may wait.
    Full,
    /// The disk is full, or at fault.
    Disk,
}

/// A file that is no longer written to.
#[derive(Clone)]
pub(super) struct Closed {
    pub(super) path: PathBuf,
    pub(super) file: Arc<File>,
    /// The AE title of the caller.
    pub(super) caller: String,
    pub(super) headers: Vec<Stored>,
    pub(super) bytes: u64,
    /// When it was closed.
    pub(super) closed: Instant,
}

/// Where a header lies in its file.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) place: Range<u64>,
    pub(super) hash: [u8; HASH_BYTES],
}

/// A file that is being written. Dropped it waits to come in.
pub(super) struct Segment {
    spool: Arc<Spool>,
    closed: Closed,
    opened: Instant,
}

/// A header that is being written. Dropped without [`Record::commit`] it is gone.
pub(super) struct Record<'s> {
    segment: &'s mut Segment,
    buffer: Vec<u8>,
    hash: Sha256,
    /// Bytes of the header that are in the file.
    written: u64,
    most: u64,
    fault: Option<Unwritten>,
}

impl Segment {
    /// In a new file at `path`; its folder is to be synced by the caller.
    pub(super) fn create(spool: Arc<Spool>, file: File, path: PathBuf, caller: &str) -> io::Result<Self> {
        let mut head = MAGIC.to_vec();
        head.extend(caller.as_bytes());
        head.resize(HEAD_BYTES as usize, b' ');
        file.write_all_at(&head, 0)?;
        file.sync_all()?;
        let closed = Closed {
            path,
            file: Arc::new(file),
            caller: caller.to_owned(),
            headers: Vec::new(),
            bytes: HEAD_BYTES,
            closed: Instant::now(),
        };
        Ok(Self { spool, closed, opened: Instant::now() })
    }

    /// Begins a header of at most `most` bytes.
    pub(super) fn record(&mut self, most: u64) -> Record<'_> {
        let buffer = Vec::with_capacity(BUFFER_BYTES);
        Record { segment: self, buffer, hash: Sha256::new(), written: 0, most, fault: None }
    }

    /// Whether it is time for another file.
    pub(super) fn is_full(&self, limits: &Limits) -> bool {
        self.closed.headers.len() >= MOST || self.opened.elapsed() >= limits.longest
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        self.closed.closed = Instant::now();
        self.spool.waits(self.closed.clone());
    }
}

impl Record<'_> {
    /// What was written, to be read once more.
    pub(super) fn header(&mut self) -> Result<Header, Unwritten> {
        self.write_out();
        match self.fault {
            Some(fault) => Err(fault),
            None => {
                let file = Arc::clone(&self.segment.closed.file);
                Ok(Header::Part(Part::new(file, self.start(), self.written)))
            }
        }
    }

    /// Returns once the header would survive a power cut.
    pub(super) fn commit(mut self) -> Result<(), Unwritten> {
        self.header()?;
        let (start, closed) = (self.start(), &mut self.segment.closed);
        let hash: [u8; HASH_BYTES] = std::mem::take(&mut self.hash).finalize().into();
        let head = [self.written.to_le_bytes().as_slice(), &hash].concat();
        let synced = closed.file.write_all_at(&head, closed.bytes).and_then(|()| closed.file.sync_data());
        synced.map_err(|_| Unwritten::Disk)?;
        closed.headers.push(Stored { place: start..start + self.written, hash });
        closed.bytes = start + self.written;
        self.written = 0;
        Ok(())
    }

    fn start(&self) -> u64 {
        self.segment.closed.bytes + RECORD_BYTES
    }

    fn write_out(&mut self) {
        let bytes = self.buffer.len() as u64;
        if self.fault.is_some() || bytes == 0 {
            return;
        }
        if !self.segment.spool.reserve(bytes) {
            self.fault = Some(Unwritten::Full);
            return;
        }
        self.hash.update(&self.buffer);
        let at = self.start() + self.written;
        if self.segment.closed.file.write_all_at(&self.buffer, at).is_err() {
            self.fault = Some(Unwritten::Disk);
        }
        self.written += bytes;
        self.buffer.clear();
    }
}

impl Write for Record<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.written + (self.buffer.len() + bytes.len()) as u64 > self.most {
            self.fault.get_or_insert(Unwritten::TooLong);
        }
        self.buffer.extend(bytes);
        if self.buffer.len() >= BUFFER_BYTES {
            self.write_out();
        }
        match self.fault {
            Some(_) => Err(io::ErrorKind::StorageFull.into()),
            None => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        if self.written > 0 {
            self.segment.spool.release(self.written);
            // What stays behind the last whole record does not count.
            drop(self.segment.closed.file.set_len(self.segment.closed.bytes));
        }
    }
}

impl Closed {
    /// Bytes of all headers.
    pub(super) fn header_bytes(&self) -> u64 {
        self.headers.iter().map(|stored| stored.place.end - stored.place.start).sum()
    }

    /// When the first header came: the file is named by it, in nanoseconds since 1970.
    pub(super) fn began(&self) -> SystemTime {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let since = name.split('-').next().and_then(|number| number.parse().ok()).unwrap_or_default();
        SystemTime::UNIX_EPOCH + Duration::from_nanos(since)
    }

    /// A file of before: its whole records. `None` when it is no segment.
    pub(super) fn read(path: &Path) -> io::Result<Option<Self>> {
        let (file, metadata) = (File::open(path)?, std::fs::metadata(path)?);
        let mut head = [0; HEAD_BYTES as usize];
        if metadata.len() < HEAD_BYTES {
            // A crash within the first write: nothing was acknowledged.
            head[..MAGIC.len()].copy_from_slice(MAGIC);
        } else {
            file.read_exact_at(&mut head, 0)?;
        }
        let Some(title) = head.strip_prefix(MAGIC) else { return Ok(None) };
        let caller = String::from_utf8_lossy(title).trim_matches([' ', '\0']).to_owned();
        let mut closed = Self {
            path: path.to_owned(),
            file: Arc::new(file),
            caller,
            headers: Vec::new(),
            bytes: HEAD_BYTES,
            closed: Instant::now(),
        };
        while let Some(stored) = closed.next(metadata.len())? {
            closed.bytes = stored.place.end;
            closed.headers.push(stored);
        }
        Ok(Some(closed))
    }

    /// The record behind the last one, if it is whole.
    fn next(&self, length: u64) -> io::Result<Option<Stored>> {
        let start = self.bytes + RECORD_BYTES;
        if start >= length {
            return Ok(None);
        }
        let (mut claimed, mut hash) = ([0; 8], [0; HASH_BYTES]);
        self.file.read_exact_at(&mut claimed, self.bytes)?;
        self.file.read_exact_at(&mut hash, self.bytes + 8)?;
        let claimed = u64::from_le_bytes(claimed);
        if claimed == 0 || claimed > length - start {
            return Ok(None);
        }
        let mut found = Sha256::new();
        io::copy(&mut Part::new(Arc::clone(&self.file), start, claimed), &mut found)?;
        let is_whole = hash == <[u8; HASH_BYTES]>::from(found.finalize());
        Ok(is_whole.then_some(Stored { place: start..start + claimed, hash }))
    }
}
