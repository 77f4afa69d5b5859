//! Text: UTF-8, else Latin-1 in the form that Windows writes; padding and control characters of DICOM.

use std::borrow::Cow;

use encoding_rs::WINDOWS_1252;

use super::{Reading, TextRule};

/// Longer values are not attribute values but accidents; UT and LT, which may be longer, are in no model.
const LONGEST_ATTRIBUTE: usize = 1024;

/// A text and whether it had to be read as Latin-1.
pub(super) fn read(bytes: &[u8], rule: TextRule) -> (Reading<Cow<'_, str>>, bool) {
    let (text, latin1) = match std::str::from_utf8(bytes) {
        Ok(text) => (Cow::Borrowed(text), false),
        Err(_) => (WINDOWS_1252.decode_without_bom_handling(bytes).0, true),
    };
    let reading = match rule {
        TextRule::Verbatim if text.is_empty() => Reading::Missing,
        TextRule::Verbatim => Reading::Value(text),
        TextRule::Attribute => attribute(text, ","),
    };
    (reading, latin1)
}

/// A DICOM attribute without its padding; `separator` stands between several values.
pub(crate) fn attribute<'t>(text: Cow<'t, str>, separator: &str) -> Reading<Cow<'t, str>> {
    let is_padding = |c: char| c.is_whitespace() || c == '\0';
    let trimmed = text.trim_matches(is_padding);
    if trimmed.is_empty() {
        return Reading::Missing;
    }
    if trimmed.len() > LONGEST_ATTRIBUTE || trimmed.chars().any(char::is_control) {
        return Reading::Unreadable;
    }
    if trimmed.contains('\\') {
        let values: Vec<&str> = trimmed.split('\\').map(|value| value.trim_matches(is_padding)).collect();
        let has_value = values.iter().any(|value| !value.is_empty());
        return if has_value { Reading::Value(Cow::Owned(values.join(separator))) } else { Reading::Missing };
    }
    if trimmed.len() == text.len() {
        return Reading::Value(text);
    }
    Reading::Value(Cow::Owned(trimmed.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(bytes: &[u8]) -> Reading<String> {
        match read(bytes, TextRule::Attribute).0 {
            Reading::Value(text) => Reading::Value(text.into_owned()),
            Reading::Missing => Reading::Missing,
            Reading::Unreadable => Reading::Unreadable,
        }
    }

    #[test]
    fn padding_goes_and_several_values_are_joined_by_a_comma() {
        assert_eq!(attribute(b" CT \0"), Reading::Value("CT".into()));
        assert_eq!(attribute(b"MONOCHROME2\\RGB "), Reading::Value("MONOCHROME2,RGB".into()));
        for nothing in [&b" \0"[..], b"\\", b" \\ \\"] {
            assert_eq!(attribute(nothing), Reading::Missing);
        }
    }

    #[test]
    fn control_characters_and_endless_values_are_unreadable() {
        for bytes in [&b"C\0T"[..], b"C\nT", b"C\tT", b"\x1b[31mCT", &[b'A'; 65_536]] {
            assert_eq!(attribute(bytes), Reading::Unreadable);
        }
    }

    #[test]
    fn latin_1_becomes_utf_8_and_is_noticed() {
        let (reading, latin1) = read(b"M\xfcller \x80", TextRule::Verbatim);
        assert_eq!((reading, latin1), (Reading::Value(Cow::Borrowed("Müller €")), true));
    }

    #[test]
    fn verbatim_text_keeps_spaces_and_line_breaks() {
        let (reading, latin1) = read(b" a\nb ", TextRule::Verbatim);
        assert_eq!((reading, latin1), (Reading::Value(Cow::Borrowed(" a\nb ")), false));
    }
}
