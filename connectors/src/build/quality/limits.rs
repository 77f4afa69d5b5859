//! The operator's own limits: `DIR/quality.toml`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::{Checked, MAPPED};
use crate::{Code, Error, Result};

/// Shares by the name of a class or of one check, as a file gives them.
pub(super) struct Limits {
    file: String,
    shares: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    limits: BTreeMap<String, f64>,
}

impl Limits {
    /// The limits of a file; none where there is no file.
    pub(super) fn load(path: &Path) -> Result<Self> {
        let file = path.display().to_string();
        if !path.exists() {
            return Ok(Self { file, shares: BTreeMap::new() });
        }
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, &e))?;
        let parsed: File = toml::from_str(&text).map_err(|e| Error::new(Code::Option, &file, e))?;
        match parsed.limits.iter().find(|(_, share)| !(0.0..=1.0).contains(*share)) {
            Some((name, _)) => {
                let reason = format!("the limit of {name} is a share from 0 to 1");
                Err(Error::new(Code::Option, file, reason))
            }
            None => Ok(Self { file, shares: parsed.limits }),
        }
    }

    /// Sets the limits of checks: the name of one check counts before that of its class.
    pub(super) fn set(&self, checks: &mut [Checked]) -> Result<()> {
        self.shares.keys().try_for_each(|name| self.known(name, checks))?;
        for check in checks {
            let own = self.shares.get(&check.name).or_else(|| self.shares.get(&check.class));
            check.limit = own.copied().unwrap_or(check.limit);
        }
        Ok(())
    }

    fn known(&self, name: &str, checks: &[Checked]) -> Result<()> {
        let names = || checks.iter().flat_map(|check| [check.name.as_str(), check.class.as_str()]);
        // A coded column that no source fills today is no error.
        if name == MAPPED || name.starts_with("mapped:") || names().any(|known| known == name) {
            return Ok(());
        }
        let likeness = |known: &&str| strsim::jaro_winkler(known, name);
        let nearest = names().max_by(|a, b| likeness(a).total_cmp(&likeness(b))).unwrap_or_default();
        let error = Error::new(Code::Option, &self.file, format!("there is no check {name}"));
        Err(error.with_fix(format!("the nearest is {nearest}")))
    }
}
