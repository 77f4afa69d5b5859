//! A source: a file, a folder, a zip or tar archive, or a bucket, taken apart into the files in it that a connector may
//! read.
//!
//! Only regular files are opened: a pipe would hang and a device has no end. What is not read is named with the
//! reason. An archive is never unpacked to named files. Headers are read where they lie; a member that is read as a
//! whole goes to an unnamed temporary file meanwhile.

mod archive;
mod bucket;
mod folder;
mod header;
mod tape;

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::report::Skipped;
use crate::since::Exported;
use crate::{Code, Error, Result};
use archive::Zipped;
pub(crate) use header::{Header, Part};

/// What an ingest reads.
#[derive(Debug)]
pub(crate) struct Source {
    /// Absolute, without links.
    pub(crate) path: PathBuf,
    /// The readable files, in the order of their names.
    pub(crate) members: Vec<Member>,
    /// What is not read, and why.
    pub(crate) skipped: Vec<Skipped>,
    stamps: Vec<Stamp>,
    /// What tells the content of fetched tables from another, with their names.
    contents: Vec<(String, Vec<u8>)>,
    /// What an export of a server says of itself.
    pub(crate) exported: Option<Exported>,
    /// It is never seen again: without a new row it leaves nothing that would be known.
    pub(crate) is_passing: bool,
}

/// One readable file of a source.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    /// Path inside the source, with `/` between folders.
    pub(crate) name: String,
    /// What is in it.
    pub(crate) kind: Kind,
    place: Place,
}

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Lines of delimited text.
    Text,
    /// Parquet.
    Parquet,
    /// JSON or lines of it, plain or gzip: what FHIR servers export.
    Json,
    /// Whatever the name does not tell: DICOM objects, and much else.
    Other,
}

/// What tells one content of a source from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// Every byte.
    Bytes,
    /// Names, lengths and times: an archive of images is too large to be read twice.
    Stamps,
}

#[derive(Debug, Clone)]
enum Place {
    File(PathBuf),
    Zipped(Zipped),
    Part(Part),
    Remote(bucket::Object),
    /// A Parquet file without a name, read by one at a time.
    Fetched(Arc<File>),
}

/// A file as it was when the source was opened.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    name: String,
    /// Where it is on disk; an object in a bucket is not.
    path: Option<PathBuf>,
    bytes: u64,
    modified: Option<SystemTime>,
    /// What the store of an object gave its content as a name.
    tag: String,
}

impl Source {
    /// Takes a source apart; reads no rows.
    ///
    /// # Errors
    /// When the path leads nowhere, is neither file nor folder, or is a damaged archive.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        if let Some((bucket, prefix)) = bucket::parse(path) {
            return bucket::open(bucket, prefix);
        }
        let found = fs::metadata(path).map_err(|e| Error::io(path, &e))?;
        let path = path.canonicalize().map_err(|e| Error::io(path, &e))?;
        if found.is_dir() {
            return folder::open(path);
        }
        let mut file = open_regular(&path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let stamps = vec![Stamp::of(name.clone(), path.clone())?];
        let (members, skipped) = match Content::of(&mut file, &name).map_err(|e| Error::io(&path, &e))? {
            Content::Zip => archive::open(&path)?,
            Content::Tar => tape::open(&path, file)?,
            Content::PackedTar => tape::open_packed(&path, file)?,
            Content::Table(kind) => {
                (vec![Member { name, kind, place: Place::File(path.clone()) }], Vec::new())
            }
        };
        Ok(Self { members, skipped, stamps, ..Self::named(path) })
    }

    /// Nothing yet, of the place `path`.
    fn named(path: PathBuf) -> Self {
        let (members, skipped, stamps, contents) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { path, members, skipped, stamps, contents, exported: None, is_passing: false }
    }

    /// Tables that were fetched from the place `name` into unnamed Parquet files, each with its name, and what tells
    /// their content.
    pub(crate) fn fetched(name: &str, tables: Vec<(String, File)>, contents: Vec<(String, Vec<u8>)>) -> Self {
        let member =
            |(name, file)| Member { name, kind: Kind::Parquet, place: Place::Fetched(Arc::new(file)) };
        let members = tables.into_iter().map(member).collect();
        Self { members, contents, ..Self::named(PathBuf::from(name)) }
    }

    /// Files that were pulled from the place `name` into one unnamed file, each with its name and where it lies there,
    /// and what tells their content.
    pub(crate) fn pulled(
        name: &str,
        kind: Kind,
        file: File,
        objects: Vec<(String, Range<u64>)>,
        contents: Vec<(String, Vec<u8>)>,
    ) -> Self {
        let file = Arc::new(file);
        let part = |(name, Range { start, end })| (name, Part::new(Arc::clone(&file), start, end - start));
        Self::gathered(name, kind, objects.into_iter().map(part).collect(), contents)
    }

    /// Parts of files that stand for the place `name`, each with its name, and what tells their content.
    pub(crate) fn gathered(
        name: &str,
        kind: Kind,
        parts: Vec<(String, Part)>,
        contents: Vec<(String, Vec<u8>)>,
    ) -> Self {
        let member = |(name, part)| Member { name, kind, place: Place::Part(part) };
        let members = parts.into_iter().map(member).collect();
        Self { members, contents, ..Self::named(PathBuf::from(name)) }
    }

    /// The same as a source that is never seen again.
    pub(crate) fn passing(self) -> Self {
        Self { is_passing: true, ..self }
    }

    /// From which moment on the source tells changes; `None` where it tells all.
    pub(crate) fn since(&self) -> Option<&str> {
        self.exported.as_ref()?.since.as_deref()
    }

    /// Forgets the members that have none of these names: what is not read decides nothing.
    pub(crate) fn retain(&mut self, names: &HashSet<&str>) {
        let gone: HashSet<String> = self
            .members
            .iter()
            .map(|m| &m.name)
            .filter(|name| !names.contains(name.as_str()))
            .cloned()
            .collect();
        self.members.retain(|member| !gone.contains(&member.name));
        self.stamps.retain(|stamp| !gone.contains(&stamp.name));
    }

    /// SHA-256 over `recipe` and the evidence of all files with their names, in hex. `recipe` is all else that
    /// decides what the rows become, so that a changed setting reads the source again.
    pub(crate) fn digest(&self, recipe: &str, evidence: Evidence) -> Result<String> {
        let content = |stamp: &Stamp| match (evidence, &stamp.path) {
            (Evidence::Bytes, Some(path)) => {
                sha256_of(path).map(|hash| hash.to_vec()).map_err(|e| Error::io(path, &e))
            }
            // A bucket is not read twice: its tags tell contents apart.
            (Evidence::Stamps, _) | (_, None) => Ok(stamp.seen()),
        };
        // One core hashes no faster than all of them ingest.
        let contents = self.stamps.par_iter().map(content).collect::<Result<Vec<_>>>()?;
        let mut digest = Sha256::new();
        digest.update((recipe.len() as u64).to_le_bytes());
        digest.update(recipe);
        for (stamp, content) in self.stamps.iter().zip(contents) {
            digest.update((stamp.name.len() as u64).to_le_bytes());
            digest.update(&stamp.name);
            digest.update(content);
        }
        for (name, content) in &self.contents {
            for part in [name.as_bytes(), content] {
                digest.update((part.len() as u64).to_le_bytes());
                digest.update(part);
            }
        }
        Ok(hex::encode(digest.finalize()))
    }

    /// That no file was written to since the source was opened: what was hashed is what was read.
    pub(crate) fn check_unchanged(&self) -> Result<()> {
        for stamp in &self.stamps {
            // Of an object every request asks for the content that was listed.
            let Some(path) = &stamp.path else { continue };
            if Stamp::of(stamp.name.clone(), path.clone())? != *stamp {
                return Err(Error::new(Code::Changed, path.display(), "it changed while it was read"));
            }
        }
        Ok(())
    }
}

impl Source {
    /// The members of a kind.
    pub(crate) fn of_kind(&self, kinds: &[Kind]) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| kinds.contains(&member.kind))
    }

    /// A path of the same name beside a member, with another extension. Members of archives, buckets and databases have none.
    pub(crate) fn beside(&self, member: &Member, extension: &str) -> Option<PathBuf> {
        match &member.place {
            Place::File(path) => Some(path.with_extension(extension)),
            Place::Zipped(_) | Place::Part(_) | Place::Remote(_) | Place::Fetched(_) => None,
        }
    }

    /// The members that are tables of CSV or Parquet.
    pub(crate) fn tables(&self) -> impl Iterator<Item = &Member> {
        self.of_kind(&[Kind::Text, Kind::Parquet])
    }
}

impl Member {
    /// Opens the member to read it as a whole, at any position.
    pub(crate) fn open(&self) -> Result<File> {
        match &self.place {
            Place::File(path) => open_regular(path),
            Place::Zipped(zipped) => zipped.inflate(&self.name),
            Place::Part(part) => spooled(part.clone()).map_err(|e| Error::io(&self.name, &e)),
            Place::Remote(object) => object.fetch(&self.name),
            Place::Fetched(file) => rewound(file).map_err(|e| Error::io(&self.name, &e)),
        }
    }

    /// Opens the member to read its beginning; `head` is what [`heads`] fetched of it.
    pub(crate) fn header(&self, head: Option<Bytes>) -> Result<Header> {
        let header = match &self.place {
            Place::File(path) => Header::File(open_regular(path)?),
            Place::Zipped(zipped) => zipped.header(&self.name)?,
            Place::Part(part) => Header::Part(part.clone()),
            Place::Remote(object) => Header::Remote(object.header()),
            Place::Fetched(file) => Header::File(rewound(file).map_err(|e| Error::io(&self.name, &e))?),
        };
        Ok(header.beginning_with(head))
    }

    /// The names that may say which table it is: the file's without its extension and, for a part of a table,
    /// that of the folder it lies in.
    pub(crate) fn table_names(&self) -> (&str, Option<&str>) {
        let mut parts = self.name.rsplit('/');
        let file = parts.next().unwrap_or_default();
        (stem(file), parts.next().map(stem))
    }
}

/// The first bytes of members that are far away, fetched many at a time; nothing of those that are near.
pub(crate) fn heads(members: &[Member]) -> Vec<Option<Bytes>> {
    let object = |member: &Member| match &member.place {
        Place::Remote(object) => Some(object.clone()),
        Place::File(_) | Place::Zipped(_) | Place::Part(_) | Place::Fetched(_) => None,
    };
    let objects: Option<Vec<bucket::Object>> = members.iter().map(object).collect();
    objects
        .map(bucket::heads)
        .filter(|heads| heads.len() == members.len())
        .unwrap_or_else(|| vec![None; members.len()])
}

/// All that can be read, in a temporary file without a name.
fn spooled(mut bytes: impl Read) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::copy(&mut bytes, &mut file)?;
    file.rewind()?;
    Ok(file)
}

fn rewound(file: &File) -> io::Result<File> {
    let mut file = file.try_clone()?;
    file.rewind()?;
    Ok(file)
}

impl Stamp {
    fn of(name: String, path: PathBuf) -> Result<Self> {
        let found = fs::metadata(&path).map_err(|e| Error::io(&path, &e))?;
        let modified = found.modified().ok();
        Ok(Self { name, bytes: found.len(), modified, path: Some(path), tag: String::new() })
    }

    fn of_object(name: &str, bytes: u64, modified: SystemTime, tag: Option<&str>) -> Self {
        let tag = tag.unwrap_or_default().to_owned();
        Self { name: name.to_owned(), path: None, bytes, modified: Some(modified), tag }
    }

    /// Length, time of change and tag, as bytes.
    fn seen(&self) -> Vec<u8> {
        let since = self.modified.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        let mut seen = [0; 24];
        seen[..8].copy_from_slice(&self.bytes.to_le_bytes());
        seen[8..].copy_from_slice(&since.map_or(u128::MAX, |time| time.as_nanos()).to_le_bytes());
        [&seen, self.tag.as_bytes()].concat()
    }
}

/// What a single file is, by its first bytes and else by its name.
enum Content {
    Zip,
    Tar,
    PackedTar,
    Table(Kind),
}

impl Content {
    fn of(file: &mut File, name: &str) -> io::Result<Self> {
        let mut head = Vec::new();
        file.by_ref().take(4096).read_to_end(&mut head)?;
        file.rewind()?;
        let magic = head.get(..4).unwrap_or_default();
        Ok(if magic == b"PK\x03\x04" || magic == b"PK\x05\x06" || extension(name) == "zip" {
            Self::Zip
        } else if tape::is_tar(&head) || extension(name) == "tar" {
            Self::Tar
        } else if tape::is_packed_tar(&head) || name.ends_with(".tar.gz") || extension(name) == "tgz" {
            Self::PackedTar
        } else if magic == b"PAR1" {
            Self::Table(Kind::Parquet)
        } else {
            let by_content = if head.contains(&0) { Kind::Other } else { Kind::Text };
            Self::Table(kind_of(name).unwrap_or(by_content))
        })
    }
}

/// Why a member of a folder or zip is not read, or its kind.
fn classify(name: &str) -> std::result::Result<Kind, &'static str> {
    let mut parts = name.split('/').peekable();
    while let Some(part) = parts.next() {
        let is_file = parts.peek().is_none();
        if part == "__MACOSX" || part.starts_with("._") {
            return Err("left behind by macOS, not part of the source");
        }
        if part.starts_with('.') || (part.starts_with('_') && is_file) {
            return Err("a hidden file");
        }
    }
    if let Some(kind) = kind_of(name) {
        return Ok(kind);
    }
    match extension(name).as_str() {
        "zip" => Err("a zip inside a source: ingest it by itself"),
        "tar" | "tgz" => Err("a tar archive inside a source: ingest it by itself"),
        "gz" if name.ends_with(".tar.gz") => Err("a tar archive inside a source: ingest it by itself"),
        "gz" | "bz2" | "xz" | "zst" | "7z" => Err("compressed: unpack it first"),
        _ => Ok(Kind::Other),
    }
}

fn kind_of(name: &str) -> Option<Kind> {
    match extension(name).as_str() {
        "csv" | "tsv" | "txt" => Some(Kind::Text),
        "parquet" | "parq" | "pq" => Some(Kind::Parquet),
        "json" | "ndjson" | "jsonl" => Some(Kind::Json),
        "gz" => kind_of(name.get(..name.len() - 3)?).filter(|kind| *kind == Kind::Json),
        _ => None,
    }
}

fn extension(name: &str) -> String {
    name.rsplit_once('.').map(|(_, extension)| extension.to_lowercase()).unwrap_or_default()
}

/// `MEASUREMENT` of `MEASUREMENT.csv`, `part-0` of `part-0.snappy.parquet`.
fn stem(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

fn open_regular(path: &Path) -> Result<File> {
    let found = fs::metadata(path).map_err(|e| Error::io(path, &e))?;
    if !found.is_file() {
        return Err(Error::new(Code::NotRegular, path.display(), "it is a pipe, a device or a socket"));
    }
    File::open(path).map_err(|e| Error::io(path, &e))
}

fn sha256_of(path: &Path) -> io::Result<[u8; 32]> {
    let mut file = File::open(path)?;
    let mut digest = Sha256::new();
    let mut block = vec![0; 1 << 20];
    loop {
        let bytes = file.read(&mut block)?;
        match block.get(..bytes) {
            Some(read) if !read.is_empty() => digest.update(read),
            _ => return Ok(digest.finalize().into()),
        }
    }
}

#[cfg(test)]
mod tests;
