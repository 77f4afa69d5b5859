//! Looks at every manifest and every file that one of them names.
//!
//! Answers already refuse damaged files. This finds damage before a question does, also in older epochs.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::manifest::{Manifest, Parent};
use crate::warehouse::Inner;
use crate::{DataFile, Error};

/// A file that is not what was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// What does not fit.
    pub reason: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.reason)
    }
}

impl Damage {
    fn new(path: &Path, error: Error) -> Self {
        let reason = match error {
            Error::Damaged { reason, .. } => reason,
            other => other.to_string(),
        };
        Self { path: path.to_path_buf(), reason }
    }
}

/// Everything that is wrong with the epochs from `oldest` to `newest`: first manifests, then files.
pub(crate) fn damages(warehouse: &Inner, oldest: u64, newest: u64) -> Vec<Damage> {
    let mut found = Vec::new();
    let mut files: BTreeMap<String, DataFile> = BTreeMap::new();
    let mut parent = None;
    for epoch in oldest..=newest {
        let path = warehouse.folders.manifest(epoch);
        let manifest = match warehouse.manifest(epoch) {
            Ok(manifest) => manifest,
            Err(error) => {
                found.push(Damage::new(&path, error));
                parent = None;
                continue;
            }
        };
        if let Some(reason) = broken_chain(&manifest, parent.as_ref()) {
            found.push(Damage { path, reason });
        }
        parent = Some(Parent { epoch, checksum: manifest.checksum() });
        files.extend(manifest.files().map(|file| (file.sha256.clone(), file.clone())));
    }
    found.extend(files.values().filter_map(|file| {
        let differs = warehouse.files.compare(file).err()?;
        Some(Damage::new(&warehouse.files.place(&file.sha256), differs))
    }));
    found
}

/// Why a manifest does not follow the one before it; nothing is said when that one could not be read.
fn broken_chain(manifest: &Manifest, before: Option<&Parent>) -> Option<String> {
    match (&manifest.parent, before) {
        (None, _) if manifest.epoch > 0 => Some("it names no epoch before it".to_owned()),
        (Some(named), Some(before)) if named != before => {
            Some(format!("it was not made from the manifest of epoch {} that is there", before.epoch))
        }
        (None | Some(_), _) => None,
    }
}
