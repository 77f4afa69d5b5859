//! How far a file or a row came before it was rejected.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Code;

/// The steps of a record on its way in, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// It was looked at, to find what it is.
    Detect,
    /// Its bytes were to be read.
    Open,
    /// Its bytes were taken apart.
    Parse,
    /// Its parts were brought into the shape of a table.
    Map,
    /// Its key was looked up among those that are there.
    Key,
}

impl Stage {
    /// Its name in tables and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Detect => "detect",
            Self::Open => "open",
            Self::Parse => "parse",
            Self::Map => "map",
            Self::Key => "key",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Code {
    /// The step at which a row or file is rejected by this rule.
    #[must_use]
    pub fn stage(self) -> Stage {
        match self {
            Self::NotDicom | Self::NotFhir | Self::ForeignFile | Self::Directory | Self::NotRead => {
                Stage::Detect
            }
            Self::FieldCount
            | Self::UnclosedQuote
            | Self::RowTooLong
            | Self::DamagedObject
            | Self::ObjectLimit
            | Self::TransferSyntax
            | Self::BadJson
            | Self::NestingLimit
            | Self::LineLimit => Stage::Parse,
            Self::ViewMismatch => Stage::Map,
            Self::BadKey | Self::NoInstanceUid | Self::Conflict | Self::UnknownPatient => Stage::Key,
            // Whatever else refuses a single file has not come to its content.
            _ => Stage::Open,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_rejected_at_the_step_that_its_rule_is_about() {
        for (code, stage) in [
            (Code::NotDicom, Stage::Detect),
            (Code::Unreadable, Stage::Open),
            (Code::FieldCount, Stage::Parse),
            (Code::ViewMismatch, Stage::Map),
            (Code::Conflict, Stage::Key),
            (Code::UnknownPatient, Stage::Key),
        ] {
            assert_eq!(code.stage(), stage, "{code}");
        }
    }
}
