//! Folders: every file below them, in the order of their names.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Member, Place, Source, Stamp, classify};
use crate::report::Skipped;
use crate::{Error, Result};

/// Deeper folders are not looked into: a loop of mounts must end.
const DEPTH: usize = 16;

pub(super) fn open(path: PathBuf) -> Result<Source> {
    let mut source = Source { path, members: Vec::new(), skipped: Vec::new(), stamps: Vec::new() };
    let root = source.path.clone();
    walk(&root, "", DEPTH, &mut source)?;
    Ok(source)
}

fn walk(folder: &Path, prefix: &str, depth: usize, source: &mut Source) -> Result<()> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut paths: Vec<PathBuf> =
        entries.map_err(|e| Error::io(folder, &e))?.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let name = format!("{prefix}{}", path.file_name().unwrap_or_default().to_string_lossy());
        let skip = |reason: &str| Skipped { path: name.clone(), reason: reason.to_owned() };
        let kind = fs::symlink_metadata(&path).map_err(|e| Error::io(&path, &e))?.file_type();
        if kind.is_dir() && depth > 0 {
            walk(&path, &format!("{name}/"), depth - 1, source)?;
        } else if kind.is_dir() {
            source.skipped.push(skip("nested too deeply"));
        } else if !fs::metadata(&path).is_ok_and(|target| target.is_file()) {
            // A link to a file is followed, one to a folder is not: it may lead in a circle.
            source.skipped.push(skip("not a regular file"));
        } else {
            match classify(&name) {
                Ok(kind) => add(source, Member { name, kind, place: Place::File(path.clone()) }, path)?,
                Err(reason) => source.skipped.push(skip(reason)),
            }
        }
    }
    Ok(())
}

fn add(source: &mut Source, member: Member, path: PathBuf) -> Result<()> {
    source.stamps.push(Stamp::of(member.name.clone(), path)?);
    source.members.push(member);
    Ok(())
}
