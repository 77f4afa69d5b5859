//! Folders: every file below them, in the order of their names.

use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};

use super::{Member, Place, Source, Stamp, classify};
use crate::report::Skipped;
use crate::{Error, Result};

/// Deeper folders are not looked into: a loop of mounts must end.
const DEPTH: usize = 16;

pub(super) fn open(path: PathBuf) -> Result<Source> {
    let mut source = Source::named(path);
    let root = source.path.clone();
    walk(&root, "", DEPTH, &mut source)?;
    Ok(source)
}

fn walk(folder: &Path, prefix: &str, depth: usize, source: &mut Source) -> Result<()> {
    let mut entries = fs::read_dir(folder)
        .and_then(Iterator::collect::<Result<Vec<DirEntry>, _>>)
        .map_err(|e| Error::io(folder, &e))?;
    entries.sort_by_cached_key(DirEntry::file_name);
    for entry in entries {
        let (name, path) = (format!("{prefix}{}", entry.file_name().to_string_lossy()), entry.path());
        // Known from the listing of the folder: an archive of millions of files is asked about each only once.
        let kind = entry.file_type().map_err(|e| Error::io(&path, &e))?;
        if kind.is_dir() && depth > 0 {
            walk(&path, &format!("{name}/"), depth - 1, source)?;
        } else if kind.is_dir() {
            skip(source, name, "nested too deeply");
        } else if !kind.is_file() && !fs::metadata(&path).is_ok_and(|target| target.is_file()) {
            // A link to a file is followed, one to a folder is not: it may lead in a circle.
            skip(source, name, "not a regular file");
        } else {
            match classify(&name) {
                Ok(kind) => add(source, Member { name, kind, place: Place::File(path.clone()) }, path)?,
                Err(reason) => skip(source, name, reason),
            }
        }
    }
    Ok(())
}

fn skip(source: &mut Source, path: String, reason: &str) {
    source.skipped.push(Skipped { path, reason: reason.to_owned() });
}

fn add(source: &mut Source, member: Member, path: PathBuf) -> Result<()> {
    source.stamps.push(Stamp::of(member.name.clone(), path)?);
    source.members.push(member);
    Ok(())
}
