//! What can be wrong with a configuration, told so that the operator can mend it without a manual.

use std::path::PathBuf;

/// A configuration that cannot be used. Every variant names the key or file and the way out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is not there.
    #[error("there is no {}; make one with `{fix}`", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// The command that makes it.
        fix: &'static str,
    },
    /// The file cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{} is not valid TOML: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, column and cause.
        reason: String,
    },
    /// A key or section that nothing reads.
    #[error("{origin}: there is no key {key}{}", did_you_mean(.near.as_deref()))]
    UnknownKey {
        /// The file, variable or flag it stands in.
        origin: String,
        /// The key with its section.
        key: String,
        /// The known key that comes closest.
        near: Option<String>,
    },
    /// A value that the key cannot have.
    #[error("{origin}: {key} cannot have this value: {reason}{}", range(.allowed.as_deref()))]
    Value {
        /// The file, variable or flag it stands in.
        origin: String,
        /// The key with its section.
        key: String,
        /// What is wrong with it.
        reason: String,
        /// The values it can have.
        allowed: Option<String>,
    },
    /// A flag that is not `section.key=value`.
    #[error("--set {flag}: write section.key=value, for example --set privacy.threshold=12")]
    Flag {
        /// What was written.
        flag: String,
    },
}

fn did_you_mean(near: Option<&str>) -> String {
    near.map(|near| format!("; did you mean {near}?")).unwrap_or_default()
}

fn range(allowed: Option<&str>) -> String {
    allowed.map(|range| format!("; allowed: {range}")).unwrap_or_default()
}
