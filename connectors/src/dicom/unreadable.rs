//! Why a file is no object that comes in. Reasons hold tags and numbers, never a value of the file.

use std::io;

use caim_ontology::Tag;

use crate::Code;

/// Why the scanner gives a file back. Every text begins with a stable word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("empty: it has no bytes")]
    Empty,
    #[error("not_dicom: it does not begin like a DICOM object")]
    NotDicom,
    #[error("directory: a DICOMDIR names objects and is none; the objects are read without it")]
    Directory,
    #[error("truncated_meta: the file ends where its first attribute should be")]
    TruncatedMeta,
    #[error("truncated: the file ends within an element of its header")]
    Truncated,
    #[error("length_exceeds_file: {tag} claims {claimed} bytes, {left} are left")]
    LengthExceedsFile { tag: Tag, claimed: u32, left: u64 },
    #[error("no_delimiter: a sequence holds something else than items")]
    NoDelimiter,
    #[error("nesting_limit: sequences are nested more than {} deep", super::nested::DEPTH)]
    NestingLimit,
    #[error(
        "notes_limit: its segments, regions or findings give more than 4,096 rows or take more than 2 MiB"
    )]
    NotesLimit,
    #[error("inflate_limit: its header inflates to more than 64 MiB")]
    InflateLimit,
    #[error("bad_deflate: its deflated bytes cannot be inflated")]
    BadDeflate,
    #[error("transfer_syntax: it is encoded in a transfer syntax that is not in PS3.5")]
    TransferSyntax,
    #[error("no_instance_uid: it has no SOPInstanceUID that could be read")]
    NoInstanceUid,
    #[error("unreadable: {0}")]
    Io(io::ErrorKind),
}

impl Unreadable {
    /// The rule that the file breaks.
    pub(crate) fn code(self) -> Code {
        match self {
            Self::Empty | Self::NotDicom => Code::NotDicom,
            Self::Directory => Code::Directory,
            Self::TruncatedMeta
            | Self::Truncated
            | Self::LengthExceedsFile { .. }
            | Self::NoDelimiter
            | Self::BadDeflate => Code::DamagedObject,
            Self::NestingLimit | Self::NotesLimit | Self::InflateLimit => Code::ObjectLimit,
            Self::TransferSyntax => Code::TransferSyntax,
            Self::NoInstanceUid => Code::NoInstanceUid,
            Self::Io(_) => Code::Unreadable,
        }
    }
}

impl From<io::Error> for Unreadable {
    fn from(source: io::Error) -> Self {
        match source.kind() {
            // Members of archives are inflated while they are read.
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => Self::BadDeflate,
            io::ErrorKind::UnexpectedEof => Self::Truncated,
            kind => Self::Io(kind),
        }
    }
}
