//! Whether a file is lines of JSON or one document, by its beginning.

use crate::fhir::json::{Fault, Tape};

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// One value a line.
    Lines,
    /// One value.
    Document,
}

/// So much is looked at for the name of a Bundle that is written without line breaks.
const HEAD: usize = 4096;

impl Shape {
    /// By the first bytes of a file; `is_all` says that there are no more.
    pub(super) fn of(head: &[u8], is_all: bool) -> Self {
        let text = head.trim_ascii_start();
        match text.first() {
            Some(b'[') => return Self::Document,
            Some(b'{') => {}
            Some(_) | None => return Self::Lines,
        }
        let Some(end) = text.iter().position(|byte| *byte == b'\n') else {
            // One line that is all is read as a line, whatever it holds.
            let start = text.get(..HEAD).unwrap_or(text);
            let is_bundle = start.windows(8).any(|word| word == b"\"Bundle\"");
            return if is_bundle && !is_all { Self::Document } else { Self::Lines };
        };
        let (line, rest) = text.split_at(end);
        let goes_on = || rest.trim_ascii_start().first().is_some_and(|byte| *byte != b'{');
        if is_cut(line) && goes_on() { Self::Document } else { Self::Lines }
    }
}

/// Whether a line ends before its value does.
fn is_cut(line: &[u8]) -> bool {
    let Ok(line) = std::str::from_utf8(line) else { return false };
    matches!(Tape::default().read(line), Err(Fault::Cut))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_documents_are_told_apart() {
        for (text, is_all, shape) in [
            ("{\"a\":1}\n{\"a\":2}", true, Shape::Lines),
            ("{\"a\":1}", true, Shape::Lines),
            ("  {\n \"a\": 1\n}", true, Shape::Document),
            ("{ \"resourceType\": \"Bundle\",\n \"entry\": [", true, Shape::Document),
            ("[{\"a\":1}]", true, Shape::Document),
            ("{\"resourceType\":\"Bundle\",\"entry\":[", false, Shape::Document),
            ("{\"resourceType\":\"Patient\",\"id\":", false, Shape::Lines),
            // The first line was cut on its way, the others were not.
            ("{\"a\":\n{\"a\":2}\n", true, Shape::Lines),
            ("nothing", true, Shape::Lines),
            ("", true, Shape::Lines),
        ] {
            assert_eq!(Shape::of(text.as_bytes(), is_all), shape, "{text}");
        }
    }
}
