//! Why an ingest stopped: a code, the thing, the reason and the fix. Nothing was committed when one is returned.
//!
//! Messages hold paths, tables, columns and line numbers, never a value of a record.

use std::fmt::Display;
use std::io;
use std::path::Path;

use crate::Code;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an ingest stopped.
#[derive(Debug, thiserror::Error)]
#[error("{code}: {place}: {reason}\nfix: {fix}")]
pub struct Error {
    code: Code,
    place: String,
    reason: String,
    fix: String,
}

impl Error {
    /// An error about `place` (a path, a table, an option) with the code's usual fix.
    pub(crate) fn new(code: Code, place: impl Display, reason: impl Display) -> Self {
        Self {
            code,
            place: printable(&place.to_string()),
            reason: printable(&reason.to_string()),
            fix: code.fix().to_owned(),
        }
    }

    /// What the file system said about a path.
    pub(crate) fn io(path: impl AsRef<Path>, source: &io::Error) -> Self {
        let code = if source.kind() == io::ErrorKind::NotFound { Code::NotFound } else { Code::Unreadable };
        Self::new(code, path.as_ref().display(), source)
    }

    /// The same with a fix that fits better.
    pub(crate) fn with_fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = fix.into();
        self
    }

    /// Which rule.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// The path, table or option that it is about.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// What was found there.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// What to do.
    #[must_use]
    pub fn fix(&self) -> &str {
        &self.fix
    }
}

impl From<caim_warehouse::Error> for Error {
    fn from(source: caim_warehouse::Error) -> Self {
        Self::new(Code::Warehouse, "warehouse", source)
    }
}

/// The text with control characters escaped, so that a file name cannot forge lines of a log.
pub(crate) fn printable(text: &str) -> String {
    if text.chars().any(|c| c.is_control() && c != '\n') {
        text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_code_place_reason_and_fix() {
        let text = Error::new(Code::DamagedZip, "a.zip", "no end of central directory").to_string();
        assert_eq!(
            text,
            format!("CAIM-I107: a.zip: no end of central directory\nfix: {}", Code::DamagedZip.fix())
        );
    }

    #[test]
    fn a_file_name_cannot_colour_or_erase_a_terminal() {
        let error = Error::new(Code::NotFound, "a\u{1b}[2Jb", "x");
        assert!(!error.to_string().contains('\u{1b}'));
    }
}
