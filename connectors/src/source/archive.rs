//! Zips: bounded before a byte is inflated, and checked against their checksums before a row is read.
//!
//! A few kilobytes can inflate to terabytes, and a zip may lie about its sizes. So the sum of the sizes it
//! claims is bounded by the length of the file, and no member may inflate beyond what it claims.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zip::read::ZipFile;
use zip::{CompressionMethod, ZipArchive};

use super::header::{Header, Inflating, Part};
use super::{Member, Place, classify, open_regular};
use crate::report::Skipped;
use crate::{Code, Error, Result};

/// Any zip may inflate to as much.
const ALWAYS_ALLOWED: u64 = 64 << 20;
/// And to so many times its own length. Real tables reach 40; deflate can reach 1,032.
const MOST_RATIO: u64 = 200;
const MOST_FILES: usize = 100_000;

/// A zip on disk. Opened anew for each member that is read as a whole: its directory is small against what it holds.
#[derive(Debug)]
struct Archive {
    path: PathBuf,
    file: Arc<File>,
}

/// A member of a zip.
#[derive(Debug, Clone)]
pub(super) struct Zipped {
    archive: Arc<Archive>,
    index: usize,
    /// Its bytes; none of a member that is encrypted or packed in another way than deflated.
    bytes: Option<Part>,
    is_deflated: bool,
    size: u64,
}

pub(super) fn open(path: &Path) -> Result<(Vec<Member>, Vec<Skipped>)> {
    let archive = Arc::new(Archive { path: path.to_owned(), file: Arc::new(open_regular(path)?) });
    let mut zip = archive.read()?;
    if zip.len() > MOST_FILES {
        return Err(archive.refused(Code::ZipLimit, format!("it holds {} files", zip.len())));
    }
    let (mut members, mut skipped, mut total) = (Vec::new(), Vec::new(), 0_u64);
    for index in 0..zip.len() {
        let entry = zip.by_index_raw(index).map_err(|e| archive.refused(Code::DamagedZip, e))?;
        let name = entry.name().replace('\\', "/");
        total = total.saturating_add(entry.size());
        if entry.is_dir() {
            continue;
        }
        let kind = if entry.is_symlink() { Err("a link") } else { classify(&name) };
        match kind {
            Ok(kind) => {
                let zipped = Zipped::new(&archive, index, &entry);
                members.push(Member { name, kind, place: Place::Zipped(zipped) });
            }
            Err(reason) => skipped.push(Skipped { path: name, reason: reason.to_owned() }),
        }
    }
    archive.check_total(total)?;
    members.sort_by(|a, b| a.name.cmp(&b.name));
    Ok((members, skipped))
}

impl Zipped {
    fn new<R: Read>(archive: &Arc<Archive>, index: usize, entry: &ZipFile<'_, R>) -> Self {
        let is_deflated = entry.compression() == CompressionMethod::Deflated;
        let is_plain = is_deflated || entry.compression() == CompressionMethod::Stored;
        let start = entry.data_start().filter(|_| is_plain && !entry.encrypted());
        let part = |start| Part::new(Arc::clone(&archive.file), start, entry.compressed_size());
        Self { archive: Arc::clone(archive), index, bytes: start.map(part), is_deflated, size: entry.size() }
    }

    /// A member to read its beginning where it lies. A checksum is of the whole, so none is checked.
    pub(super) fn header(&self, name: &str) -> Result<Header> {
        match &self.bytes {
            Some(bytes) if self.is_deflated => Ok(Header::Deflated(Inflating::new(bytes.clone(), self.size))),
            Some(bytes) => Ok(Header::Part(bytes.clone())),
            None => self.inflate(name).map(Header::File),
        }
    }

    /// A member's content in a temporary file without a name, whole and with the checksum it claims.
    pub(super) fn inflate(&self, name: &str) -> Result<File> {
        let refused = |code, reason: String| {
            Error::new(code, format!("{} in {}", name, self.archive.path.display()), reason)
        };
        let mut zip = self.archive.read()?;
        let entry = zip.by_index(self.index).map_err(|e| refused(Code::DamagedZip, e.to_string()))?;
        let claimed = entry.size();
        let mut file = tempfile::tempfile()
            .map_err(|e| refused(Code::Unreadable, format!("no temporary file can be made: {e}")))?;
        // One byte beyond the claim is enough to know that it lies.
        let copied = io::copy(&mut entry.take(claimed.saturating_add(1)), &mut file)
            .map_err(|e| refused(Code::DamagedZip, e.to_string()))?;
        if copied != claimed {
            return Err(refused(
                Code::DamagedZip,
                format!("it claims {claimed} bytes and has another number"),
            ));
        }
        file.rewind().map_err(|e| refused(Code::Unreadable, e.to_string()))?;
        Ok(file)
    }
}

impl Archive {
    fn read(&self) -> Result<ZipArchive<BufReader<File>>> {
        ZipArchive::new(BufReader::new(open_regular(&self.path)?))
            .map_err(|e| self.refused(Code::DamagedZip, e))
    }

    fn check_total(&self, total: u64) -> Result<()> {
        let length = std::fs::metadata(&self.path).map_err(|e| Error::io(&self.path, &e))?.len();
        if total > ALWAYS_ALLOWED.max(length.saturating_mul(MOST_RATIO)) {
            let reason = format!("{length} bytes would inflate to {total}");
            return Err(self.refused(Code::ZipLimit, reason));
        }
        Ok(())
    }

    fn refused(&self, code: Code, reason: impl std::fmt::Display) -> Error {
        Error::new(code, self.path.display(), reason)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use zip::write::SimpleFileOptions;

    use super::*;

    fn zip_of(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        for (name, bytes) in files {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn on_disk(bytes: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        file
    }

    #[test]
    fn members_are_read_whole_and_junk_is_named() {
        let file =
            on_disk(&zip_of(&[("d/b.csv", b"two"), ("a.csv", b"one"), ("__MACOSX/d/._b.csv", b"junk")]));
        let (members, skipped) = open(file.path()).unwrap();
        let mut read = Vec::new();
        for member in &members {
            let mut text = String::new();
            member.open().unwrap().read_to_string(&mut text).unwrap();
            read.push((member.name.as_str(), text));
        }
        assert_eq!(read, [("a.csv", "one".to_owned()), ("d/b.csv", "two".to_owned())]);
        assert_eq!(skipped.len(), 1);
    }

    #[test]
    fn a_zip_cut_at_any_point_is_refused_or_fails_its_checksum() {
        let whole = zip_of(&[("a.csv", b"one,two,three,four,five,six,seven")]);
        for length in 0..whole.len() {
            let file = on_disk(&whole[..length]);
            let read = open(file.path())
                .and_then(|(members, _)| members.iter().try_for_each(|m| m.open().map(drop)));
            assert_eq!(read.unwrap_err().code(), Code::DamagedZip, "{length} bytes");
        }
    }

    #[test]
    fn a_member_with_a_flipped_bit_is_never_read() {
        let mut bytes = zip_of(&[("a.csv", &[b'x'; 1000])]);
        let content = "a.csv".len() + 30;
        bytes[content + 2] ^= 1;
        let file = on_disk(&bytes);
        let (members, _) = open(file.path()).unwrap();
        assert_eq!(members[0].open().unwrap_err().code(), Code::DamagedZip);
    }

    #[test]
    fn a_member_that_lies_about_its_size_is_refused() {
        let whole = zip_of(&[("a.csv", &[b'x'; 1000])]);
        let entry = whole.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
        for claimed in [0_u32, 999, 1001, 60_000] {
            let mut bytes = whole.clone();
            bytes[entry + 24..entry + 28].copy_from_slice(&claimed.to_le_bytes());
            let file = on_disk(&bytes);
            let read = open(file.path()).and_then(|(members, _)| members[0].open());
            assert_eq!(read.unwrap_err().code(), Code::DamagedZip, "{claimed}");
        }
    }

    #[test]
    fn a_bomb_is_refused_before_it_is_inflated() {
        let file = on_disk(&zip_of(&[("a.csv", &vec![b'0'; 80 << 20])]));
        assert_eq!(open(file.path()).unwrap_err().code(), Code::ZipLimit);
    }
}
