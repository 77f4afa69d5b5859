//! How a text file separates its fields: found from the header line, which no exporter quotes in surprising ways.

use crate::{Code, Result};

use super::damaged;

const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];

/// How fields are separated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dialect {
    pub(super) delimiter: u8,
    /// Whether quotes enclose fields. OHDSI's tab-separated files have none: a quote in them is an inch.
    pub(super) quoting: bool,
    /// Bytes before the header: the mark of UTF-8.
    pub(super) skip: u64,
}

impl Dialect {
    /// The dialect of the file that begins with `head`.
    pub(super) fn of(head: &[u8], name: &str) -> Result<Self> {
        let refused = |reason: &str| Err(damaged(Code::DamagedText, name, reason));
        if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
            return refused("it is text in UTF-16, which is not read");
        }
        if head.contains(&0) {
            return refused("it is not text: there are zero bytes in it");
        }
        let (skip, head) = head.strip_prefix(b"\xef\xbb\xbf").map_or((0, head), |rest| (3, rest));
        let Some(line) = head.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty()) else {
            return refused("it is empty: not even a header line is there");
        };
        let count = |delimiter: u8| line.iter().filter(|byte| **byte == delimiter).count();
        // Of equals the later one wins, hence the reversal: a comma if nothing speaks for another.
        let delimiter = DELIMITERS.into_iter().rev().max_by_key(|d| count(*d)).unwrap_or(b',');
        Ok(Self { delimiter, quoting: delimiter != b'\t' || line.contains(&b'"'), skip })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delimiter_is_the_most_frequent_one_of_the_header() {
        for (head, delimiter, quoting) in [
            ("a,b,c\n1;2;3;4;5", b',', true),
            ("a\tb\tc,d\n", b'\t', false),
            ("\"a\"\t\"b\"\n", b'\t', true),
            ("a;b\r\n", b';', true),
            ("\n\na|b|c", b'|', true),
            ("alone\n", b',', true),
        ] {
            assert_eq!(
                Dialect::of(head.as_bytes(), "x").unwrap(),
                Dialect { delimiter, quoting, skip: 0 },
                "{head}"
            );
        }
        assert_eq!(Dialect::of(b"\xef\xbb\xbfa,b", "x").unwrap().skip, 3);
    }

    #[test]
    fn what_is_no_text_is_refused() {
        for head in [&b""[..], b"\n \n", b"\xff\xfea\0", b"PK\x03\x04\0\0"] {
            assert_eq!(Dialect::of(head, "x").unwrap_err().code(), Code::DamagedText);
        }
    }
}
