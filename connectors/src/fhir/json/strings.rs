//! Texts: where they end, found eight bytes at a time, and what their escapes mean.

use super::Fault;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// How many bytes go by before a quote, a backslash or a control character.
pub(super) fn plain(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    for (number, word) in words.iter().enumerate() {
        let found = special(u64::from_le_bytes(*word));
        if found != 0 {
            return number * 8 + (found.trailing_zeros() / 8) as usize;
        }
    }
    let is_special = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    words.len() * 8 + rest.iter().position(is_special).unwrap_or(rest.len())
}

/// A high bit for each byte of a word that is special. Bits above the lowest may be wrong; the lowest is right.
fn special(word: u64) -> u64 {
    let equal = |byte: u8| {
        let differs = word ^ (ONES * u64::from(byte));
        differs.wrapping_sub(ONES) & !differs
    };
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (equal(b'"') | equal(b'\\') | control) & HIGHS
}

/// The length of the escape at the front.
pub(super) fn escape(bytes: &[u8], at: usize) -> Result<usize, Fault> {
    match bytes.get(1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(2),
        Some(b'u') => match unit(bytes)? {
            0xd800..0xdc00 => match bytes.get(6..).map(unit).transpose()?.unwrap_or_default() {
                0xdc00..0xe000 => Ok(12),
                _ => Err(Fault::Escape(at)),
            },
            0xdc00..0xe000 => Err(Fault::Escape(at)),
            _ => Ok(6),
        },
        Some(_) => Err(Fault::Escape(at)),
        None => Err(Fault::Cut),
    }
    .map_err(|fault| if fault == Fault::Cut { fault } else { Fault::Escape(at) })
}

/// The number of the escape `\uXXXX` at the front; 0 if something else is there.
fn unit(bytes: &[u8]) -> Result<u32, Fault> {
    let Some(digits) = bytes.strip_prefix(b"\\u") else { return Ok(0) };
    let digits = digits.get(..4).ok_or(Fault::Cut)?;
    digits.iter().try_fold(0, |number, byte| {
        let digit = char::from(*byte).to_digit(16).ok_or(Fault::Escape(0))?;
        Ok(number * 16 + digit)
    })
}

/// A text whose escapes were checked, without them.
pub(super) fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        let (character, length) = character(after);
        plain.extend(character);
        rest = after.get(length..).unwrap_or_default();
    }
    plain.push_str(rest);
    plain
}

/// The character that stands behind a backslash, and how many bytes it takes.
fn character(after: &str) -> (Option<char>, usize) {
    let plain = match after.as_bytes().first() {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return code_point(after),
        Some(byte) => char::from(*byte),
        None => return (None, 0),
    };
    (Some(plain), 1)
}

fn code_point(after: &str) -> (Option<char>, usize) {
    let hex =
        |from: usize| u32::from_str_radix(after.get(from..from + 4).unwrap_or_default(), 16).unwrap_or(0);
    match hex(1) {
        high @ 0xd800..0xdc00 => {
            let low = hex(7) & 0x3ff;
            (char::from_u32(0x1_0000 + ((high & 0x3ff) << 10) + low), 11)
        }
        unit => (char::from_u32(unit), 5),
    }
}
