//! Heads of data elements (PS3.5 section 7.1): tag, value representation, length.

use std::io::{Read, Seek};

use caim_ontology::Tag;

use super::unreadable::Unreadable;
use super::window::Window;

/// A length that says: until the delimiter.
pub(super) const UNDEFINED: u32 = u32::MAX;

/// The group of items and delimiters (PS3.5 section 7.5).
pub(super) const DELIMITERS: u16 = 0xFFFE;

/// How elements are encoded (PS3.5 section 10 and annex A).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// Without value representations, least byte first.
    Implicit,
    /// With value representations, least byte first.
    Explicit,
    /// With value representations, greatest byte first.
    ExplicitBig,
}

/// A value representation (PS3.5 section 6.2), or two other bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Vr(pub(super) [u8; 2]);

/// The head of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) tag: Tag,
    /// [`Vr::NONE`] where the encoding has none.
    pub(super) vr: Vr,
    pub(super) length: u32,
}

impl Coding {
    pub(super) fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Implicit | Self::Explicit => u16::from_le_bytes(bytes),
            Self::ExplicitBig => u16::from_be_bytes(bytes),
        }
    }

    pub(super) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Implicit | Self::Explicit => u32::from_le_bytes(bytes),
            Self::ExplicitBig => u32::from_be_bytes(bytes),
        }
    }

    pub(super) fn tag(self, [a, b, c, d]: [u8; 4]) -> Tag {
        Tag::new(self.u16([a, b]), self.u16([c, d]))
    }
}

impl Vr {
    pub(super) const NONE: Self = Self([0, 0]);
    pub(super) const UN: Self = Self(*b"UN");

    /// The value representation that is spelt so; UN for what cannot be one.
    pub(super) fn parse(text: &str) -> Self {
        text.as_bytes().first_chunk().map_or(Self::UN, |bytes| Self(*bytes))
    }

    /// Two capital letters, as all value representations are.
    pub(super) fn is_spelt_like_one(self) -> bool {
        self.0.iter().all(u8::is_ascii_uppercase)
    }

    /// One of the standard's.
    pub(super) fn is_known(self) -> bool {
        const KNOWN: &[u8] =
            b"AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC \
            UI UL UN UR US UT UV ";
        KNOWN.chunks_exact(3).any(|known| known.starts_with(&self.0))
    }

    /// Whether two unused bytes and a length of four follow (PS3.5 table 7.1-1).
    fn is_long(self) -> bool {
        matches!(
            &self.0,
            b"OB"
                | b"OD"
                | b"OF"
                | b"OL"
                | b"OV"
                | b"OW"
                | b"SQ"
                | b"SV"
                | b"UC"
                | b"UN"
                | b"UR"
                | b"UT"
                | b"UV"
        )
    }
}

impl Head {
    /// Reads the head of the next element and moves behind it.
    pub(super) fn read<R: Read + Seek>(
        window: &mut Window<'_, R>,
        coding: Coding,
    ) -> Result<Self, Unreadable> {
        let &[a, b, c, d, e, f, g, h] = window.head::<8>()?;
        let (tag, vr) = (coding.tag([a, b, c, d]), Vr([e, f]));
        let plain = Self { tag, vr: Vr::NONE, length: coding.u32([e, f, g, h]) };
        // Items have no value representation, and some writers forget it elsewhere, too.
        if coding == Coding::Implicit || tag.group == DELIMITERS || !vr.is_spelt_like_one() {
            window.advance(8);
            return Ok(plain);
        }
        if !vr.is_long() {
            window.advance(8);
            return Ok(Self { tag, vr, length: u32::from(coding.u16([g, h])) });
        }
        let &[.., i, j, k, l] = window.head::<12>()?;
        window.advance(12);
        Ok(Self { tag, vr, length: coding.u32([i, j, k, l]) })
    }

    /// The head as it stands in an object.
    pub(super) fn bytes(self, coding: Coding) -> Vec<u8> {
        let Self { tag: Tag { group, element }, vr, length } = self;
        let (short, long) = match coding {
            Coding::Implicit | Coding::Explicit => {
                (u16::to_le_bytes as fn(u16) -> [u8; 2], length.to_le_bytes())
            }
            Coding::ExplicitBig => (u16::to_be_bytes as fn(u16) -> [u8; 2], length.to_be_bytes()),
        };
        let mut bytes = [short(group), short(element)].concat();
        if vr == Vr::NONE {
            bytes.extend(long);
        } else if vr.is_long() {
            bytes.extend([vr.0[0], vr.0[1], 0, 0]);
            bytes.extend(long);
        } else {
            bytes.extend(vr.0);
            bytes.extend(short(u16::try_from(length).unwrap_or(u16::MAX)));
        }
        bytes
    }
}
