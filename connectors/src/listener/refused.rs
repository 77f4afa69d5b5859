//! Why an object is refused: a status of PS3.4 section B.2.3, a word to count by, a comment for the sender.

use super::segment::Unwritten;
use crate::dicom::Unreadable;

pub(super) const SUCCESS: u16 = 0x0000;
/// Refused: SOP class not supported.
const SOP_CLASS: u16 = 0x0122;
/// Unrecognized operation (PS3.7 section C.5).
pub(super) const OPERATION: u16 = 0x0211;
/// Refused: out of resources. A sender may try again.
const RESOURCES: u16 = 0xA700;
/// Error: the data set does not match the SOP class.
const MISMATCH: u16 = 0xA900;
/// Error: cannot understand.
const NOT_UNDERSTOOD: u16 = 0xC000;

/// Why an object is not kept.
pub(super) enum Refused {
    /// The message names another SOP class than its presentation context.
    Class,
    /// The data set has other identifiers than the message.
    Mismatch,
    /// The header cannot be read.
    Unreadable(Unreadable),
    /// The header cannot be written.
    Unwritten(Unwritten),
}

impl Refused {
    pub(super) fn status(&self) -> u16 {
        match self {
            Self::Class => SOP_CLASS,
            Self::Mismatch => MISMATCH,
            Self::Unreadable(_) | Self::Unwritten(Unwritten::TooLong) => NOT_UNDERSTOOD,
            Self::Unwritten(Unwritten::Full | Unwritten::Disk) => RESOURCES,
        }
    }

    /// A stable word.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Class => "sop_class",
            Self::Mismatch => "mismatch",
            Self::Unreadable(reason) => reason.code().name(),
            Self::Unwritten(Unwritten::TooLong) => "header_limit",
            Self::Unwritten(Unwritten::Full) => "spool_full",
            Self::Unwritten(Unwritten::Disk) => "disk",
        }
    }

    /// For the sender's log: tags and numbers at most, never a value.
    pub(super) fn comment(&self) -> String {
        match self {
            Self::Class => "the SOP class is not that of the presentation context".to_owned(),
            Self::Mismatch => "UIDs of message and data set differ".to_owned(),
            Self::Unreadable(reason) => reason.to_string(),
            Self::Unwritten(Unwritten::TooLong) => "the header is too long".to_owned(),
            Self::Unwritten(Unwritten::Full) => "the spool is full, try again later".to_owned(),
            Self::Unwritten(Unwritten::Disk) => "the spool cannot be written, try again later".to_owned(),
        }
    }
}

impl From<Unreadable> for Refused {
    fn from(reason: Unreadable) -> Self {
        Self::Unreadable(reason)
    }
}

impl From<Unwritten> for Refused {
    fn from(reason: Unwritten) -> Self {
        Self::Unwritten(reason)
    }
}
