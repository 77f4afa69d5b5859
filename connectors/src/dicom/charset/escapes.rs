//! Code extensions of ISO 2022 (PS3.5 section 6.1.2.5): escapes name the set of what follows, until the next value.

use encoding_rs::{EUC_JP, EUC_KR, Encoding, GBK, SHIFT_JIS};

use super::{Charset, Decoded, Upper, guess};

/// What bytes of ASCII mean.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lower {
    /// ASCII, or JIS X 0201 romaji, which differs in two signs that are taken as those of ASCII.
    Ascii,
    /// JIS X 0208, two bytes a character.
    Kanji,
    /// JIS X 0212, two bytes a character.
    MoreKanji,
}

/// What an escape names.
enum Named {
    Lower(Lower),
    Upper(Upper),
}

/// A value whose text begins in the set `upper`.
pub(super) fn decode(value: &[u8], upper: Upper) -> Decoded {
    let mut reader = Reader { text: String::with_capacity(value.len() * 2), lower: Lower::Ascii, upper };
    let mut rest = value;
    while let Some(first) = rest.first() {
        if *first == Charset::ESCAPE {
            let Some((named, bytes)) = named(rest) else { return Decoded::Broken };
            match named {
                Named::Lower(lower) => reader.lower = lower,
                Named::Upper(upper) => reader.upper = upper,
            }
            rest = rest.get(bytes..).unwrap_or_default();
            continue;
        }
        if !first.is_ascii() && reader.upper == Upper::Nothing {
            return guess(value);
        }
        let Some(bytes) = reader.character(rest) else { return Decoded::Broken };
        if bytes == 1 && is_separator(*first) {
            (reader.lower, reader.upper) = (Lower::Ascii, upper);
        }
        rest = rest.get(bytes..).unwrap_or_default();
    }
    Decoded::Text(reader.text)
}

/// Signs that end a value or a line, behind which the first set is in force again.
fn is_separator(byte: u8) -> bool {
    matches!(byte, b'\\' | b'\n' | b'\r' | b'\t' | 0x0C)
}

/// What an escape at the front names, and how many bytes it has.
fn named(bytes: &[u8]) -> Option<(Named, usize)> {
    let upper = |number| Upper::of_term(number).map(|upper| (Named::Upper(upper), 3));
    match bytes.get(1..)? {
        [0x28, 0x42 | 0x4A, ..] => Some((Named::Lower(Lower::Ascii), 3)),
        [0x24, 0x42, ..] => Some((Named::Lower(Lower::Kanji), 3)),
        [0x24, 0x28, 0x44, ..] => Some((Named::Lower(Lower::MoreKanji), 4)),
        [0x24, 0x29, 0x43, ..] => Some((Named::Upper(Upper::Double(EUC_KR)), 4)),
        [0x24, 0x29, 0x41, ..] => Some((Named::Upper(Upper::Double(GBK)), 4)),
        [0x29, 0x49, ..] => upper(13),
        [0x2D, last, ..] => upper(match last {
            0x41 => 100,
            0x42 => 101,
            0x43 => 109,
            0x44 => 110,
            0x4C => 144,
            0x47 => 127,
            0x46 => 126,
            0x48 => 138,
            0x4D => 148,
            0x62 => 203,
            0x54 => 166,
            _ => return None,
        }),
        _ => None,
    }
}

struct Reader {
    text: String,
    lower: Lower,
    upper: Upper,
}

impl Reader {
    /// Reads one character; how many bytes it has, or `None` where there is none.
    fn character(&mut self, bytes: &[u8]) -> Option<usize> {
        let first = *bytes.first()?;
        if first.is_ascii() && (self.lower == Lower::Ascii || first <= b' ') {
            self.text.push(char::from(first));
            return Some(1);
        }
        let pair = || Some([first, *bytes.get(1)?]);
        if first.is_ascii() {
            let [a, b] = pair()?.map(|byte| byte | 0x80);
            return match self.lower {
                Lower::Ascii | Lower::Kanji => self.push(EUC_JP, &[a, b], 2),
                Lower::MoreKanji => self.push(EUC_JP, &[0x8F, a, b], 2),
            };
        }
        match self.upper {
            Upper::Nothing => None,
            Upper::Latin1 => {
                self.text.push(char::from(first));
                Some(1)
            }
            // Control characters, which the Windows sets fill with signs of their own.
            Upper::Single(_) if first < 0xA0 => {
                self.text.push(char::from(first));
                Some(1)
            }
            Upper::Single(encoding) => self.push(encoding, &[first], 1),
            Upper::Katakana => self.push(SHIFT_JIS, &[first], 1),
            Upper::Double(encoding) => self.push(encoding, &pair()?, 2),
        }
    }

    fn push(&mut self, encoding: &'static Encoding, bytes: &[u8], taken: usize) -> Option<usize> {
        let decoded = encoding.decode_without_bom_handling_and_without_replacement(bytes)?;
        self.text.push_str(&decoded);
        Some(taken)
    }
}
