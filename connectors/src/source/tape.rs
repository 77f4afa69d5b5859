//! Tar archives, plain or gzip: members are read where they lie. A gzip one is inflated to an unnamed temporary file
//! first, up to a limit: what is behind a place in it cannot be reached otherwise.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;
use std::sync::Arc;

use flate2::read::MultiGzDecoder;

use super::header::Part;
use super::{Member, Place, classify};
use crate::report::Skipped;
use crate::{Code, Error, Result};

/// Any archive may inflate to as much.
const ALWAYS_ALLOWED: u64 = 64 << 20;
/// And to so many times its own length; deflate can reach 1,032.
const MOST_RATIO: u64 = 200;
/// Members of one archive.
const MOST_FILES: usize = 1_000_000;
/// Where a tar header has its magic (POSIX.1-1988).
const MAGIC_AT: usize = 257;
const MAGIC: &[u8] = b"ustar";
const GZIP: &[u8] = &[0x1F, 0x8B];

/// Whether a file that begins so is a tar archive.
pub(super) fn is_tar(head: &[u8]) -> bool {
    head.get(MAGIC_AT..).is_some_and(|rest| rest.starts_with(MAGIC))
}

/// Whether a file that begins so is a gzip of a tar archive.
pub(super) fn is_packed_tar(head: &[u8]) -> bool {
    let mut first = [0; 512];
    head.starts_with(GZIP) && MultiGzDecoder::new(head).read_exact(&mut first).is_ok() && is_tar(&first)
}

/// The members of a plain archive.
pub(super) fn open(path: &Path, file: File) -> Result<(Vec<Member>, Vec<Skipped>)> {
    list(path, Arc::new(file))
}

/// The members of a gzip one.
pub(super) fn open_packed(path: &Path, file: File) -> Result<(Vec<Member>, Vec<Skipped>)> {
    let length = file.metadata().map_err(|e| Error::io(path, &e))?.len();
    let most = ALWAYS_ALLOWED.max(length.saturating_mul(MOST_RATIO));
    let mut plain = tempfile::tempfile().map_err(|e| Error::io(path, &e))?;
    let mut packed = MultiGzDecoder::new(BufReader::with_capacity(1 << 18, file)).take(most + 1);
    let inflated = io::copy(&mut packed, &mut plain).map_err(|e| match e.kind() {
        io::ErrorKind::StorageFull => Error::io(path, &e),
        _ => refused(path, Code::DamagedGzip, e),
    })?;
    if inflated > most {
        return Err(refused(path, Code::GzipLimit, format!("{length} bytes inflate to more than {most}")));
    }
    plain.rewind().map_err(|e| Error::io(path, &e))?;
    list(path, Arc::new(plain))
}

fn list(path: &Path, file: Arc<File>) -> Result<(Vec<Member>, Vec<Skipped>)> {
    let length = file.metadata().map_err(|e| Error::io(path, &e))?.len();
    let damaged = |e: io::Error| refused(path, Code::DamagedTar, e);
    let mut archive = tar::Archive::new(Part::new(Arc::clone(&file), 0, length));
    let (mut members, mut skipped) = (Vec::new(), Vec::new());
    for entry in archive.entries_with_seek().map_err(damaged)? {
        let entry = entry.map_err(damaged)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).replace('\\', "/");
        let (start, size, ty) = (entry.raw_file_position(), entry.size(), entry.header().entry_type());
        if start.checked_add(size).is_none_or(|end| end > length) {
            return Err(refused(path, Code::DamagedTar, "it ends within a member"));
        }
        if members.len() + skipped.len() >= MOST_FILES {
            return Err(refused(path, Code::DamagedTar, format!("it holds more than {MOST_FILES} files")));
        }
        let name = name.trim_start_matches("./").to_owned();
        let kind =
            if ty.is_file() || ty.is_contiguous() { classify(&name) } else { Err("not a regular file") };
        match kind {
            _ if ty.is_dir() => {}
            Ok(kind) => {
                let place = Place::Part(Part::new(Arc::clone(&file), start, size));
                members.push(Member { name, kind, place });
            }
            Err(reason) => skipped.push(Skipped { path: name, reason: reason.to_owned() }),
        }
    }
    members.sort_by(|a, b| a.name.cmp(&b.name));
    Ok((members, skipped))
}

fn refused(path: &Path, code: Code, reason: impl std::fmt::Display) -> Error {
    Error::new(code, path.display(), reason)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            builder.append_data(&mut header, name, *bytes).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn on_disk(bytes: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        file
    }

    fn read(member: &Member) -> String {
        let mut text = String::new();
        member.open().unwrap().read_to_string(&mut text).unwrap();
        let mut again = String::new();
        member.header(None).unwrap().read_to_string(&mut again).unwrap();
        assert_eq!(text, again);
        text
    }

    #[test]
    fn members_are_read_where_they_lie_also_with_long_names_and_in_gzip() {
        let long = format!("{}/b.csv", "folder".repeat(40));
        let bytes = tar_of(&[(&long, b"two"), ("a.csv", b"one"), ("._a.csv", b"junk")]);
        for (bytes, packed) in [(bytes.clone(), false), (gzip(&bytes), true)] {
            assert_eq!((is_tar(&bytes), is_packed_tar(&bytes)), (!packed, packed));
            let file = on_disk(&bytes);
            let opened = File::open(file.path()).unwrap();
            let open = if packed { open_packed } else { open };
            let (members, skipped) = open(file.path(), opened).unwrap();
            let found: Vec<_> = members.iter().map(|member| (member.name.as_str(), read(member))).collect();
            assert_eq!(found, [("a.csv", "one".to_owned()), (long.as_str(), "two".to_owned())]);
            assert_eq!(skipped.len(), 1);
        }
    }

    #[test]
    fn an_archive_that_ends_within_a_member_is_refused() {
        let bytes = tar_of(&[("a.csv", &[b'x'; 5000])]);
        for length in [100, 600, 4000] {
            let file = on_disk(&bytes[..length]);
            let error = open(file.path(), File::open(file.path()).unwrap()).unwrap_err();
            assert_eq!(error.code(), Code::DamagedTar, "{length}");
            let packed = gzip(&bytes);
            let file = on_disk(&packed[..packed.len() / 2]);
            let error = open_packed(file.path(), File::open(file.path()).unwrap()).unwrap_err();
            assert_eq!(error.code(), Code::DamagedGzip);
        }
    }

    #[test]
    fn a_bomb_is_refused_at_its_limit() {
        let file = on_disk(&gzip(&tar_of(&[("a.csv", &vec![0; 80 << 20])])));
        let error = open_packed(file.path(), File::open(file.path()).unwrap()).unwrap_err();
        assert_eq!(error.code(), Code::GzipLimit);
    }
}
