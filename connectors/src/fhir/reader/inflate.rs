//! Plain bytes of a plain or gzip file. A few kilobytes of gzip can inflate to gigabytes, so there is a limit.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;

use crate::source::Member;
use crate::{Error, Result};

/// Any file may inflate to as much.
const ALWAYS_ALLOWED: u64 = 64 << 20;
/// And to so many times its own length. FHIR reaches 60; deflate can reach 1,032.
const MOST_RATIO: u64 = 200;
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The plain bytes of a file.
pub(super) enum Input {
    Plain(File),
    Gzip(Box<Inflating>),
}

pub(super) struct Inflating {
    decoder: MultiGzDecoder<BufReader<Counted>>,
    /// Bytes that were read of the file.
    packed: Arc<AtomicU64>,
    /// Bytes that came out.
    plain: u64,
}

/// Counts what is read through it.
struct Counted {
    file: File,
    read: Arc<AtomicU64>,
}

impl Input {
    /// Opens a member; its first bytes say whether it is gzip, not its name.
    pub(super) fn open(member: &Member) -> Result<Self> {
        let mut file = member.open()?;
        let fault = |e: io::Error| Error::io(&member.name, &e);
        let mut magic = Vec::new();
        file.by_ref().take(2).read_to_end(&mut magic).map_err(fault)?;
        file.rewind().map_err(fault)?;
        if magic != MAGIC {
            return Ok(Self::Plain(file));
        }
        let packed = Arc::new(AtomicU64::new(0));
        let counted = Counted { file, read: Arc::clone(&packed) };
        let decoder = MultiGzDecoder::new(BufReader::with_capacity(1 << 18, counted));
        Ok(Self::Gzip(Box::new(Inflating { decoder, packed, plain: 0 })))
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.read(buffer),
            Self::Gzip(inflating) => inflating.read(buffer),
        }
    }
}

impl Read for Inflating {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.decoder.read(buffer)?;
        self.plain += bytes as u64;
        let packed = self.packed.load(Ordering::Relaxed);
        if self.plain > ALWAYS_ALLOWED.max(packed.saturating_mul(MOST_RATIO)) {
            let (packed, plain) = (packed, self.plain);
            return Err(io::Error::other(Limit { packed, plain }));
        }
        Ok(bytes)
    }
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.file.read(buffer)?;
        self.read.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}

/// A file that inflates beyond reason.
#[derive(Debug)]
struct Limit {
    packed: u64,
    plain: u64,
}

impl std::error::Error for Limit {}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the first {} bytes inflate to more than {}", self.packed, self.plain)
    }
}

/// What is said of a limit that was reached, if that is why reading failed.
pub(super) fn limit_of(error: &io::Error) -> Option<String> {
    error.get_ref()?.downcast_ref::<Limit>().map(Limit::to_string)
}
