//! Specific character sets (PS3.3 section C.12.1.1.2) to UTF-8.
//!
//! Where an object says nothing, or something that is in no standard, bytes beyond ASCII are guessed to be UTF-8,
//! else Windows-1252, and counted. Bytes that are not in the set which the object names are no text.

mod escapes;

use encoding_rs::{
    EUC_KR, Encoding, GB18030, GBK, ISO_8859_2, ISO_8859_3, ISO_8859_4, ISO_8859_5, ISO_8859_6, ISO_8859_7,
    ISO_8859_8, ISO_8859_15, UTF_8, WINDOWS_874, WINDOWS_1252, WINDOWS_1254,
};

use super::element::Vr;
use super::prolog::trimmed;

/// The character set of the texts of one object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Charset {
    /// None, or none that is known.
    #[default]
    Unknown,
    /// Complete in itself; escapes have no meaning.
    Whole(&'static Encoding),
    /// ASCII below, this set above, and others after escapes (PS3.5 section 6.1.2).
    Extended(Upper),
}

/// What bytes above ASCII mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Upper {
    /// Nothing: none has been named.
    Nothing,
    /// ISO 8859-1.
    Latin1,
    /// One byte a character.
    Single(&'static Encoding),
    /// JIS X 0201: half-width katakana.
    Katakana,
    /// Two bytes a character, in an encoding that extends ASCII.
    Double(&'static Encoding),
}

/// A text, or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decoded {
    Text(String),
    /// By guess.
    Guessed(String),
    /// Bytes that are not in the set.
    Broken,
}

impl Charset {
    pub(super) const ESCAPE: u8 = 0x1B;

    /// Whether values of this kind may be in another set than the default one (PS3.5 section 6.1.2.2).
    pub(super) fn concerns(vr: Vr) -> bool {
        matches!(&vr.0, b"LO" | b"LT" | b"PN" | b"SH" | b"ST" | b"UC" | b"UT")
    }

    /// The set that the first of the values of SpecificCharacterSet names.
    pub(super) fn of(value: &[u8]) -> Self {
        let mut terms = value.split(|byte| *byte == b'\\').map(trimmed);
        let first = terms.next().unwrap_or_default();
        let has_more = terms.next().is_some();
        match first {
            b"GB18030" => Self::Whole(GB18030),
            b"GBK" => Self::Whole(GBK),
            b"" if has_more => Self::Extended(Upper::Nothing),
            _ => match number(first) {
                Some(192) => Self::Whole(UTF_8),
                Some(number) => Upper::of_term(number).map_or(Self::Unknown, Self::Extended),
                None => Self::Unknown,
            },
        }
    }

    /// A value in UTF-8.
    pub(super) fn decode(self, value: &[u8]) -> Decoded {
        match self {
            Self::Unknown => guess(value),
            Self::Whole(encoding) => {
                let decoded = encoding.decode_without_bom_handling_and_without_replacement(value);
                decoded.map_or(Decoded::Broken, |text| Decoded::Text(text.into_owned()))
            }
            Self::Extended(upper) => escapes::decode(value, upper),
        }
    }
}

impl Upper {
    /// The set of a defined term of that number: `ISO_IR 100`, `ISO 2022 IR 100`.
    fn of_term(number: u16) -> Option<Self> {
        Some(match number {
            6 | 87 | 159 => Self::Nothing,
            100 => Self::Latin1,
            101 => Self::Single(ISO_8859_2),
            109 => Self::Single(ISO_8859_3),
            110 => Self::Single(ISO_8859_4),
            144 => Self::Single(ISO_8859_5),
            127 => Self::Single(ISO_8859_6),
            126 => Self::Single(ISO_8859_7),
            138 => Self::Single(ISO_8859_8),
            148 => Self::Single(WINDOWS_1254),
            203 => Self::Single(ISO_8859_15),
            166 => Self::Single(WINDOWS_874),
            13 => Self::Katakana,
            149 => Self::Double(EUC_KR),
            58 => Self::Double(GBK),
            _ => return None,
        })
    }
}

/// The number at the end of a defined term that begins as one of ISO does.
fn number(term: &[u8]) -> Option<u16> {
    let term = std::str::from_utf8(term).ok()?;
    let (name, number) = term.rsplit_once(' ')?;
    ["ISO_IR", "ISO-IR", "ISO IR", "ISO 2022 IR", "ISO_2022_IR"]
        .contains(&name)
        .then(|| number.parse().ok())?
}

/// UTF-8, else what Windows writes.
fn guess(value: &[u8]) -> Decoded {
    let text = match std::str::from_utf8(value) {
        Ok(text) => text.to_owned(),
        Err(_) => WINDOWS_1252.decode_without_bom_handling(value).0.into_owned(),
    };
    Decoded::Guessed(text)
}

#[cfg(test)]
mod tests;
