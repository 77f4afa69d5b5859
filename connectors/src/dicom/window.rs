//! The bytes of an object through a block of fixed size: what a header claims never decides how much is held.
//!
//! Large values are skipped by a seek. A deflated header is inflated as it is read, up to a limit. A window may copy what
//! is moved over while it is kept.

use std::io::{Read, Seek, SeekFrom, Write};

use caim_ontology::Tag;
use flate2::read::DeflateDecoder;

use super::unreadable::Unreadable;

type Result<T> = std::result::Result<T, Unreadable>;

/// Bytes of the block that windows look through: most headers are read in one go.
pub(super) const BLOCK_BYTES: usize = 8 << 10;

/// So far a deflated header may inflate.
const INFLATED_BYTES: u64 = 64 << 20;

/// A place in the bytes of an object.
pub(super) struct Window<'b, R> {
    supply: Supply<R>,
    block: &'b mut [u8],
    at: usize,
    filled: usize,
    /// Bytes behind those in the block; of a deflated header, as many as there may be.
    behind: u64,
    /// Bytes that were moved over since the window was opened.
    position: u64,
    copy: Option<Copy<'b>>,
}

/// Where bytes go while they are kept.
struct Copy<'b> {
    out: &'b mut dyn Write,
    is_kept: bool,
    /// What went wrong; nothing is written after it.
    fault: Option<std::io::ErrorKind>,
}

enum Supply<R> {
    Plain(R),
    Deflated(Box<DeflateDecoder<R>>),
    /// Deflated, and at its end.
    Inflated,
}

impl<'b, R: Read + Seek> Window<'b, R> {
    /// From the beginning of `source`, which has `length` bytes.
    pub(super) fn new(source: R, length: u64, block: &'b mut [u8]) -> Self {
        let supply = Supply::Plain(source);
        Self { supply, block, at: 0, filled: 0, behind: length, position: 0, copy: None }
    }

    /// The same, with a place for what [`Window::keep`] keeps of it.
    pub(super) fn copying(self, out: &'b mut dyn Write) -> Self {
        Self { copy: Some(Copy { out, is_kept: false, fault: None }), ..self }
    }

    /// Whether bytes are copied from here on, as they are moved over.
    pub(super) fn keep(&mut self, is_kept: bool) {
        if let Some(copy) = &mut self.copy {
            copy.is_kept = is_kept;
        }
    }

    /// Writes between what is kept, and says what went wrong with the copy so far.
    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(copy) = &mut self.copy else { return Ok(()) };
        copy.write(bytes);
        copy.fault.map_or(Ok(()), |kind| Err(Unreadable::Io(kind)))
    }

    /// The rest of the bytes, inflated; `length` is that of the file.
    pub(super) fn inflated(self, length: u64) -> Result<Self> {
        let start = length - self.left();
        let supply = match self.supply {
            Supply::Plain(mut source) => {
                source.seek(SeekFrom::Start(start))?;
                Supply::Deflated(Box::new(DeflateDecoder::new(source)))
            }
            inflated @ (Supply::Deflated(_) | Supply::Inflated) => inflated,
        };
        Ok(Self { supply, at: 0, filled: 0, behind: INFLATED_BYTES, position: 0, ..self })
    }

    /// Bytes from here on, at most.
    pub(super) fn left(&self) -> u64 {
        (self.filled - self.at) as u64 + self.behind
    }

    /// Whether nothing follows.
    pub(super) fn is_at_end(&mut self) -> Result<bool> {
        if self.at < self.filled || self.fill(1)? > 0 {
            return Ok(false);
        }
        match &self.supply {
            Supply::Deflated(_) => Err(Unreadable::InflateLimit),
            Supply::Plain(_) | Supply::Inflated => Ok(true),
        }
    }

    /// The next `N` bytes, if there are as many. Does not move on.
    pub(super) fn peek<const N: usize>(&mut self) -> Result<Option<&[u8; N]>> {
        if self.filled - self.at < N && self.fill(N)? < N {
            return Ok(None);
        }
        Ok(self.rest().first_chunk())
    }

    /// The next bytes, of which there must be as many and no more than a block. Does not move on.
    pub(super) fn need(&mut self, bytes: usize) -> Result<&[u8]> {
        if self.filled - self.at < bytes && self.fill(bytes)? < bytes {
            return Err(self.ended());
        }
        self.rest().get(..bytes).ok_or(Unreadable::Truncated)
    }

    /// The next `N` bytes, which must be there. Does not move on.
    pub(super) fn head<const N: usize>(&mut self) -> Result<&[u8; N]> {
        self.need(N)?.first_chunk().ok_or(Unreadable::Truncated)
    }

    /// That as many bytes may follow as an element claims.
    pub(super) fn check_claim(&self, tag: Tag, claimed: u32) -> Result<()> {
        let left = self.left();
        match &self.supply {
            _ if u64::from(claimed) <= left => Ok(()),
            Supply::Deflated(_) => Err(Unreadable::InflateLimit),
            Supply::Plain(_) | Supply::Inflated => Err(Unreadable::LengthExceedsFile { tag, claimed, left }),
        }
    }

    /// Moves on by bytes that are in the block.
    pub(super) fn advance(&mut self, bytes: usize) {
        let bytes = bytes.min(self.filled - self.at);
        if let Some(copy) = self.copy.as_mut().filter(|copy| copy.is_kept) {
            copy.write(self.block.get(self.at..self.at + bytes).unwrap_or_default());
        }
        self.at += bytes;
        self.position += bytes as u64;
    }

    /// Bytes from the beginning to here.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Moves on by any number of bytes that [`Window::check_claim`] allowed.
    pub(super) fn skip(&mut self, bytes: u32) -> Result<()> {
        let here = self.filled - self.at;
        let Some(beyond) = (bytes as usize).checked_sub(here).filter(|beyond| *beyond > 0) else {
            self.advance(bytes as usize);
            return Ok(());
        };
        self.advance(here);
        (self.at, self.filled) = (0, 0);
        let is_kept = self.copy.as_ref().is_some_and(|copy| copy.is_kept);
        match &mut self.supply {
            Supply::Plain(source) if !is_kept => {
                let beyond = beyond as u64;
                self.position += beyond;
                self.behind = self.behind.checked_sub(beyond).ok_or(Unreadable::Truncated)?;
                source.seek_relative(i64::try_from(beyond).map_err(|_| Unreadable::Truncated)?)?;
                Ok(())
            }
            Supply::Plain(_) | Supply::Deflated(_) | Supply::Inflated => self.read_through(beyond),
        }
    }

    fn read_through(&mut self, mut bytes: usize) -> Result<()> {
        while bytes > 0 {
            let here = bytes.min(self.block.len());
            if self.fill(here)? < here {
                return Err(self.ended());
            }
            self.advance(here);
            bytes -= here;
        }
        Ok(())
    }

    fn rest(&self) -> &[u8] {
        self.block.get(self.at..self.filled).unwrap_or_default()
    }

    /// Reads on until the block holds `wanted` bytes from here, or all there are; says how many it holds.
    fn fill(&mut self, wanted: usize) -> Result<usize> {
        self.block.copy_within(self.at..self.filled, 0);
        (self.at, self.filled) = (0, self.filled - self.at);
        while self.filled < wanted {
            let room = self.block.get_mut(self.filled..).unwrap_or_default();
            let allowed = usize::try_from(self.behind).unwrap_or(usize::MAX).min(room.len());
            let read = self.supply.read(room.get_mut(..allowed).unwrap_or_default())?;
            if read == 0 {
                break;
            }
            self.filled += read;
            self.behind -= read as u64;
        }
        if matches!(self.supply, Supply::Inflated) {
            self.behind = 0;
        }
        Ok(self.filled)
    }

    /// What it means that bytes are missing.
    fn ended(&self) -> Unreadable {
        match &self.supply {
            Supply::Deflated(_) => Unreadable::InflateLimit,
            Supply::Plain(_) | Supply::Inflated => Unreadable::Truncated,
        }
    }
}

impl Copy<'_> {
    fn write(&mut self, bytes: &[u8]) {
        if self.fault.is_none() {
            self.fault = self.out.write_all(bytes).err().map(|e| e.kind());
        }
    }
}

impl<R: Read> Supply<R> {
    /// Reads some bytes, 0 at the end and where none are allowed.
    fn read(&mut self, room: &mut [u8]) -> Result<usize> {
        if room.is_empty() {
            return Ok(0);
        }
        let read = match self {
            Self::Plain(source) => retry(source, room)?,
            Self::Deflated(decoder) => retry(decoder, room)?,
            Self::Inflated => 0,
        };
        if read == 0 && matches!(self, Self::Deflated(_)) {
            *self = Self::Inflated;
        }
        Ok(read)
    }
}

fn retry(source: &mut impl Read, room: &mut [u8]) -> Result<usize> {
    loop {
        match source.read(room) {
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            read => return Ok(read?),
        }
    }
}
