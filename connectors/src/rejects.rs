//! All that an ingest rejects, as a table in a folder of the operator; and, if asked, the refused files beside it.
//!
//! Rows are written as they come, so that any number of them takes no memory. There is no value of a record in it.

use std::borrow::Cow;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::report::Reject;
use crate::source::Member;
use crate::{Code, Error, IngestOptions, Result, Secret};

/// The columns of the table.
const HEADER: [&str; 8] = ["path", "line", "table", "stage", "code", "reason", "fix", "copy"];
/// Tables of one folder, at most.
const TABLES: u32 = 1_000_000;

/// A table of rejects. It is made with the first of them.
#[derive(Debug)]
pub(crate) struct Rejects {
    folder: PathBuf,
    copies: Copies,
    open: Option<Open>,
    /// The first failure; nothing is written after it.
    failed: Option<Error>,
}

#[derive(Debug)]
struct Open {
    path: PathBuf,
    writer: csv::Writer<BufWriter<File>>,
    copied: u64,
}

/// What becomes of refused files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Copies {
    Made,
    NotMade,
}

impl Rejects {
    /// As the operator asked for.
    pub(crate) fn of(options: &IngestOptions) -> Option<Self> {
        let copies = if options.copy_refused { Copies::Made } else { Copies::NotMade };
        let folder = options.rejects.clone()?;
        Some(Self { folder, copies, open: None, failed: None })
    }

    /// That what is written is not part of what is read: a folder that is watched would never come to rest.
    ///
    /// # Errors
    /// When the folder of rejects lies inside the source.
    pub(crate) fn check_apart(options: &IngestOptions, source: &Path) -> Result<()> {
        let Some(folder) = &options.rejects else { return Ok(()) };
        let absolute = std::path::absolute(folder).map_err(|e| Error::io(folder, &e))?;
        let there = absolute.ancestors().find_map(|folder| folder.canonicalize().ok());
        // A server or a database has no path.
        if source.is_absolute() && there.is_some_and(|there| there.starts_with(source)) {
            let reason = "the folder of rejects lies inside the source";
            return Err(Error::new(Code::Option, "--rejects", reason).with_fix("name a folder outside of it"));
        }
        Ok(())
    }

    /// Adds a reject, with the file where it is a whole one. Failures wait for [`Rejects::finish`].
    pub(crate) fn add(&mut self, reject: &Reject, refused: Option<&Member>) {
        if self.failed.is_none()
            && let Err(error) = self.write(reject, refused)
        {
            self.failed = Some(error);
        }
    }

    /// Ends the table; says where it is, if there were rejects.
    ///
    /// # Errors
    /// When any of it could not be written.
    pub(crate) fn finish(self) -> Result<Option<PathBuf>> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let Some(Open { path, mut writer, .. }) = self.open else { return Ok(None) };
        writer.flush().map_err(|e| failed(&path, &e))?;
        Ok(Some(path))
    }

    fn write(&mut self, reject: &Reject, refused: Option<&Member>) -> Result<()> {
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(Open::new(&self.folder).map_err(|e| failed(&self.folder, &e))?),
        };
        let copy = match refused.filter(|_| self.copies == Copies::Made) {
            Some(member) => open.copy(member)?,
            None => String::new(),
        };
        let line = if reject.line > 0 { reject.line.to_string() } else { String::new() };
        let Reject { table, file, code, reason, fix, .. } = reject;
        let row = [file, &line, table, code.stage().name(), code.id(), reason, fix, &copy];
        open.writer.write_record(row).map_err(|e| failed(&open.path, &e.into()))
    }
}

impl Open {
    /// A table under a name that is not taken.
    fn new(folder: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let taken = || io::Error::new(io::ErrorKind::AlreadyExists, "it holds too many tables of rejects");
        for number in 1..=TABLES {
            let path = folder.join(format!("rejects-{number}.csv"));
            match private(&path) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                file => {
                    let mut writer = csv::Writer::from_writer(BufWriter::new(file?));
                    writer.write_record(HEADER)?;
                    return Ok(Self { path, writer, copied: 0 });
                }
            }
        }
        Err(taken())
    }

    /// Copies a file into the folder of the table's name; returns the copy's path in the folder of rejects.
    fn copy(&mut self, member: &Member) -> Result<String> {
        let (folder, number) = (self.path.with_extension(""), self.copied + 1);
        // A file that cannot be read has no copy: its row says why it was refused.
        let Ok(mut file) = member.open() else { return Ok(String::new()) };
        let path = folder.join(format!("{number}.dcm"));
        let copied = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        let copied = copied.and_then(|()| private(&path)).and_then(|mut copy| io::copy(&mut file, &mut copy));
        copied.map_err(|e| failed(&path, &e))?;
        self.copied = number;
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        Ok(format!("{name}/{number}.dcm"))
    }
}

/// A new file for its owner alone: paths may name patients.
fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn failed(path: &Path, source: &io::Error) -> Error {
    Error::new(Code::Rejects, path.display(), source)
}

/// How the paths of a source are told.
#[derive(Debug, Clone, Default)]
pub(crate) enum Paths {
    /// As they are.
    #[default]
    Plain,
    /// By a keyed hash: the same path has the same one at this node.
    Hashed(Secret),
}

impl Paths {
    /// As the operator asked for.
    pub(crate) fn of(options: &IngestOptions, secret: &Secret) -> Self {
        if options.hash_paths { Self::Hashed(secret.clone()) } else { Self::Plain }
    }

    /// A path as it is told.
    pub(crate) fn told<'p>(&self, path: &'p str) -> Cow<'p, str> {
        match self {
            Self::Plain => Cow::Borrowed(path),
            Self::Hashed(secret) => {
                let hash = secret.mac("caim.path.1", &[path.as_bytes()]);
                Cow::Owned(format!("path-{}", hex::encode(hash.get(..16).unwrap_or_default())))
            }
        }
    }

    /// An error without the path that it names, and without a reason that may name another.
    pub(crate) fn hide(&self, error: Error) -> Error {
        let unchanged =
            [Code::Warehouse, Code::Model, Code::Build, Code::Secret, Code::Identity, Code::Rejects];
        match self {
            Self::Hashed(_) if !unchanged.contains(&error.code()) => {
                let is_flag = error.place().starts_with("--");
                let place = if is_flag { Cow::Borrowed(error.place()) } else { self.told(error.place()) };
                Error::new(error.code(), place, error.code().rule()).with_fix(error.fix())
            }
            Self::Plain | Self::Hashed(_) => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hashed_path_is_the_same_each_time_and_another_at_another_node() {
        let paths = |key| Paths::Hashed(Secret::from_bytes([key; 32]));
        let (one, other) = (paths(1), paths(2));
        assert_eq!(one.told("a/CANARY.dcm"), one.told("a/CANARY.dcm"));
        assert_ne!(one.told("a/CANARY.dcm"), one.told("b/CANARY.dcm"));
        assert_ne!(one.told("a/CANARY.dcm"), other.told("a/CANARY.dcm"));
        assert!(!one.told("a/CANARY.dcm").contains("CANARY"));
        assert_eq!(Paths::Plain.told("a"), "a");
    }

    #[test]
    fn an_error_with_hashed_paths_names_no_file_and_still_says_what_to_do() {
        let paths = Paths::Hashed(Secret::from_bytes([1; 32]));
        let error = paths.hide(Error::new(Code::TableTwice, "CANARY.csv", "CANARY.csv and CANARY.parquet"));
        assert!(!error.to_string().contains("CANARY"), "{error}");
        assert_eq!((error.code(), error.fix()), (Code::TableTwice, Code::TableTwice.fix()));
        let flag = paths.hide(Error::new(Code::Option, "--format", "x"));
        assert_eq!(flag.place(), "--format");
    }
}
