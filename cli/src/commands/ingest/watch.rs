//! `caim ingest --watch`: sources are taken in whenever they have changed and then stopped changing.
//!
//! It looks at names, lengths and times. An ingest is idempotent, so a look too many costs time and nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The time between two looks. A file that grew between them is not taken yet.
const LOOK: Duration = Duration::from_secs(2);
/// Files of a source that are looked at, at most.
const FILES: usize = 1_000_000;

/// What a source looks like from outside.
type Look = BTreeMap<PathBuf, (u64, Option<SystemTime>)>;

/// What is known of a source.
#[derive(Default)]
struct Watched {
    last: Option<Look>,
    taken: Option<Look>,
}

impl Watched {
    /// Whether the source is to be taken in: it looks as it did the last time, and not as when it was taken.
    fn settled(&mut self, look: Look) -> bool {
        let still = self.last.as_ref() == Some(&look);
        let new = self.taken.as_ref() != Some(&look);
        if still && new {
            self.taken = Some(look.clone());
        }
        self.last = Some(look);
        still && new
    }
}

/// Calls `take` with each source that has settled, until the program is ended.
pub(super) fn watch(sources: &[PathBuf], mut take: impl FnMut(&Path)) -> ! {
    let mut all: Vec<(&PathBuf, Watched)> =
        sources.iter().map(|source| (source, Watched::default())).collect();
    loop {
        for (source, watched) in &mut all {
            let look = look(source);
            // A disk that is not mounted is no empty source.
            if !look.is_empty() && watched.settled(look) {
                take(source);
            }
        }
        std::thread::sleep(LOOK);
    }
}

fn look(source: &Path) -> Look {
    let (mut found, mut left) = (Look::new(), vec![source.to_path_buf()]);
    while let Some(path) = left.pop().filter(|_| found.len() < FILES) {
        let Ok(stamp) = fs::symlink_metadata(&path) else { continue };
        if stamp.is_dir() {
            let entries = fs::read_dir(&path).into_iter().flatten();
            left.extend(entries.filter_map(|entry| Some(entry.ok()?.path())));
        } else {
            found.insert(path, (stamp.len(), stamp.modified().ok()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_taken_once_when_it_has_stopped_growing() {
        let folder = tempfile::tempdir().unwrap();
        let (file, mut watched) = (folder.path().join("a.csv"), Watched::default());
        fs::write(&file, "a").unwrap();
        assert!(!watched.settled(look(folder.path())), "seen for the first time");
        fs::write(&file, "ab").unwrap();
        assert!(!watched.settled(look(folder.path())), "it grows");
        assert!(watched.settled(look(folder.path())));
        assert!(!watched.settled(look(folder.path())), "it was taken");
        fs::write(folder.path().join("b.csv"), "b").unwrap();
        assert!(!watched.settled(look(folder.path())));
        assert!(watched.settled(look(folder.path())));
    }
}
