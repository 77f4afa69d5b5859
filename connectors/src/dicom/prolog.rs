//! The beginning of an object: preamble, file meta group (PS3.10 section 7.1), and the encoding of what follows.
//!
//! Preamble, meta group, their lengths and even the transfer syntax are missing in real files. Then the first
//! element says how it is encoded.

use std::io::{Read, Seek};

use caim_ontology::Tag;

use super::element::{Coding, Vr};
use super::unreadable::Unreadable;
use super::window::Window;

/// The group of the file meta elements.
pub(super) const META: u16 = 0x0002;
/// The group of directory records, which no other object has.
pub(super) const DIRECTORY: u16 = 0x0004;
/// Greater group numbers at the beginning are smaller ones read from the wrong end.
const GREATEST_FIRST_GROUP: u16 = 0x0400;
/// No object begins with a longer value.
const LONGEST_FIRST_VALUE: u32 = 64 << 10;
pub(super) const PREAMBLE_BYTES: usize = 128;
pub(super) const MAGIC: &[u8; 4] = b"DICM";

/// How the data set is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syntax {
    Plain(Coding),
    /// Explicit, least byte first, and deflated.
    Deflated,
}

/// Moves behind the preamble; says whether it holds anything.
pub(super) fn skip_preamble<R: Read + Seek>(window: &mut Window<'_, R>) -> Result<bool, Unreadable> {
    if window.is_at_end()? {
        return Err(Unreadable::Empty);
    }
    if let Some(head) = window.peek::<{ PREAMBLE_BYTES + 4 }>()?
        && head.ends_with(MAGIC)
    {
        let is_used = head.iter().take(PREAMBLE_BYTES).any(|byte| *byte != 0);
        window.advance(PREAMBLE_BYTES + 4);
        return if window.is_at_end()? { Err(Unreadable::TruncatedMeta) } else { Ok(is_used) };
    }
    let left = window.left();
    match window.peek::<8>()? {
        Some(head) if is_first_element(head, left) => Ok(false),
        _ => Err(Unreadable::NotDicom),
    }
}

/// Whether the beginning of a file may be that of an object.
pub(crate) fn is_beginning(head: &[u8], length: u64) -> bool {
    head.get(PREAMBLE_BYTES..).is_some_and(|behind| behind.starts_with(MAGIC))
        || head.first_chunk::<8>().is_some_and(|head| is_first_element(head, length))
}

/// Whether an object without preamble may begin so: with a meta element, a directory record or the group of
/// identification, and a length that is believable.
fn is_first_element(head: &[u8; 8], left: u64) -> bool {
    let Some(coding) = guess(head) else { return false };
    let &[a, b, c, d, e, f, g, h] = head;
    let Tag { group, element } = coding.tag([a, b, c, d]);
    let vr = Vr([e, f]);
    let length = match coding {
        Coding::Implicit => coding.u32([e, f, g, h]),
        Coding::Explicit | Coding::ExplicitBig if vr == Vr(*b"OB") => 0,
        Coding::Explicit | Coding::ExplicitBig => u32::from(coding.u16([g, h])),
    };
    [META, DIRECTORY, 0x0008].contains(&group)
        && element <= 0x1000
        && length <= LONGEST_FIRST_VALUE
        && u64::from(length) + 8 <= left
}

/// The encoding that the first element of a data set shows.
fn guess(&[a, b, _, _, e, f, _, _]: &[u8; 8]) -> Option<Coding> {
    let swapped = u16::from_le_bytes([a, b]) > GREATEST_FIRST_GROUP;
    match (Vr([e, f]).is_known(), swapped) {
        (true, false) => Some(Coding::Explicit),
        (true, true) => Some(Coding::ExplicitBig),
        (false, false) => Some(Coding::Implicit),
        (false, true) => None,
    }
}

/// The encoding of the data set whose first element is next. What the element shows is believed more than what
/// the meta group says: `uid` is the transfer syntax, if there is one.
pub(super) fn syntax<R: Read + Seek>(
    window: &mut Window<'_, R>,
    uid: Option<&[u8]>,
) -> Result<Syntax, Unreadable> {
    let declared = match uid.map(trimmed).filter(|uid| !uid.is_empty()) {
        Some(uid) => Some(declared(uid).ok_or(Unreadable::TransferSyntax)?),
        None => None,
    };
    if declared == Some(Syntax::Deflated) {
        return Ok(Syntax::Deflated);
    }
    let Some(head) = window.peek::<8>()? else {
        return Ok(declared.unwrap_or(Syntax::Plain(Coding::Implicit)));
    };
    let is_spelt = Vr([head[4], head[5]]).is_spelt_like_one();
    match (guess(head), declared) {
        // A value representation that nobody knows is still one.
        (Some(Coding::Implicit), Some(explicit @ Syntax::Plain(Coding::Explicit | Coding::ExplicitBig)))
            if is_spelt =>
        {
            Ok(explicit)
        }
        (Some(shown), _) => Ok(Syntax::Plain(shown)),
        (None, Some(declared)) => Ok(declared),
        (None, None) => Err(Unreadable::NotDicom),
    }
}

/// What a transfer syntax of PS3.6 annex A means for the header. Encapsulated ones are explicit.
fn declared(uid: &[u8]) -> Option<Syntax> {
    match uid {
        b"1.2.840.10008.1.2" | b"1.2.840.113619.5.2" => Some(Syntax::Plain(Coding::Implicit)),
        b"1.2.840.10008.1.2.2" => Some(Syntax::Plain(Coding::ExplicitBig)),
        b"1.2.840.10008.1.2.1.99" | b"1.2.840.10008.1.2.4.95" | b"1.2.840.10008.1.2.4.205" => {
            Some(Syntax::Deflated)
        }
        _ if uid.starts_with(b"1.2.840.10008.1.2.") => Some(Syntax::Plain(Coding::Explicit)),
        _ => None,
    }
}

/// Whether data sets in a transfer syntax are deflated.
pub(super) fn is_deflated(uid: &str) -> bool {
    declared(uid.as_bytes()) == Some(Syntax::Deflated)
}

/// Whether headers in a transfer syntax can be read.
pub(crate) fn is_readable(uid: &str) -> bool {
    declared(uid.as_bytes()).is_some()
}

/// Without padding.
pub(super) fn trimmed(value: &[u8]) -> &[u8] {
    let is_padding = |byte: &u8| *byte == 0 || byte.is_ascii_whitespace();
    let start = value.iter().position(|byte| !is_padding(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !is_padding(byte)).map_or(start, |last| last + 1);
    value.get(start..end).unwrap_or_default()
}
