//! The beginning of a file that is read as far as it is needed, at any position: on disk, inside an archive, in a bucket.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use flate2::read::DeflateDecoder;

use super::bucket::Remote;

/// A file whose header is read.
pub(crate) enum Header {
    /// On disk.
    File(File),
    /// In an archive, as it is.
    Part(Part),
    /// In an archive, deflated.
    Deflated(Inflating),
    /// In a bucket.
    Remote(Remote),
}

/// Some bytes of a file on disk.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    file: Arc<File>,
    start: u64,
    length: u64,
    at: u64,
}

/// Some deflated bytes of a file on disk. Going back begins anew.
pub(crate) struct Inflating {
    packed: Part,
    decoder: DeflateDecoder<Part>,
    at: u64,
    length: u64,
}

impl Part {
    /// `length` bytes from `start`.
    pub(crate) fn new(file: Arc<File>, start: u64, length: u64) -> Self {
        Self { file, start, length, at: 0 }
    }
}

impl Inflating {
    /// `length` is what they claim to inflate to.
    pub(super) fn new(packed: Part, length: u64) -> Self {
        Self { decoder: DeflateDecoder::new(packed.clone()), packed, at: 0, length }
    }
}

impl Read for Part {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.length.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let room = room.get_mut(..left.min(room.len())).unwrap_or_default();
        let read = self.file.read_at(room, self.start.saturating_add(self.at))?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Part {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = target(to, self.at, self.length)?;
        Ok(self.at)
    }
}

impl Read for Inflating {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.length.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let read = self.decoder.read(room.get_mut(..left.min(room.len())).unwrap_or_default())?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Inflating {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = target(to, self.at, self.length)?;
        if to < self.at {
            *self = Self::new(self.packed.clone(), self.length);
        }
        let ahead = to - self.at;
        io::copy(&mut self.by_ref().take(ahead), &mut io::sink())?;
        if self.at < to {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(self.at)
    }
}

/// The position that a seek means.
pub(super) fn target(to: SeekFrom, at: u64, length: u64) -> io::Result<u64> {
    let position = match to {
        SeekFrom::Start(position) => Some(position),
        SeekFrom::Current(step) => at.checked_add_signed(step),
        SeekFrom::End(step) => length.checked_add_signed(step),
    };
    position.ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

impl Header {
    /// How many bytes the file has, or claims to have.
    pub(crate) fn length(&self) -> io::Result<u64> {
        match self {
            Self::File(file) => Ok(file.metadata()?.len()),
            Self::Part(part) => Ok(part.length),
            Self::Deflated(inflating) => Ok(inflating.length),
            Self::Remote(remote) => Ok(remote.length()),
        }
    }

    /// With the first bytes of the file, where they were fetched before.
    pub(super) fn beginning_with(self, head: Option<Bytes>) -> Self {
        match (self, head) {
            (Self::Remote(remote), Some(head)) => Self::Remote(remote.beginning_with(head)),
            (header, _) => header,
        }
    }
}

impl Read for Header {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(room),
            Self::Part(part) => part.read(room),
            Self::Deflated(inflating) => inflating.read(room),
            Self::Remote(remote) => remote.read(room),
        }
    }
}

impl Seek for Header {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::File(file) => file.seek(to),
            Self::Part(part) => part.seek(to),
            Self::Deflated(inflating) => inflating.seek(to),
            Self::Remote(remote) => remote.seek(to),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_part_is_read_at_any_place_and_not_beyond_its_end() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"beforeCONTENTbehind").unwrap();
        let mut part = Part::new(Arc::new(file), 6, 7);
        let mut text = String::new();
        part.read_to_string(&mut text).unwrap();
        part.seek(SeekFrom::Start(3)).unwrap();
        part.read_to_string(&mut text).unwrap();
        part.seek(SeekFrom::End(-2)).unwrap();
        part.read_to_string(&mut text).unwrap();
        assert_eq!(text, "CONTENTTENTNT");
        assert!(part.seek(SeekFrom::Current(-100)).is_err());
    }

    #[test]
    fn deflated_bytes_are_read_forwards_and_from_the_beginning_again() {
        let plain: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&plain).unwrap();
        let packed = encoder.finish().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&packed).unwrap();
        let part = Part::new(Arc::new(file), 0, packed.len() as u64);
        let mut inflating = Inflating::new(part, plain.len() as u64);
        for place in [0, 399_990, 17, 200_000] {
            inflating.seek(SeekFrom::Start(place as u64)).unwrap();
            let mut found = [0; 10];
            inflating.read_exact(&mut found).unwrap();
            assert_eq!(found, plain[place..place + 10]);
        }
        assert!(inflating.seek(SeekFrom::Start(500_000)).is_err());
    }
}
