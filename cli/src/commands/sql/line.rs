//! The line that is typed: where it ends, how it is coloured, what completes it.

use std::borrow::Cow;

use caim_sql::text::statements;
use rustyline::completion::Completer;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper};

/// Names that are offered at once.
const OFFERED: usize = 100;

const KEYWORD: &str = "\x1b[1;34m";
const STRING: &str = "\x1b[32m";
const COMMENT: &str = "\x1b[90m";
const PLAIN: &str = "\x1b[0m";

/// What the editor asks while a line is typed.
pub(super) struct Line {
    known: Vec<String>,
    colours: bool,
}

impl Line {
    pub(super) fn new(known: Vec<String>) -> Self {
        Self { known, colours: std::env::var_os("NO_COLOR").is_none() }
    }
}

impl Helper for Line {}

impl Hinter for Line {
    type Hint = String;
}

impl Validator for Line {
    /// A statement goes on until its `;`, a word with `\` until the end of its line.
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let typed = context.input();
        let leaves = matches!(typed.trim(), "exit" | "quit");
        let ends = typed.trim_start().starts_with('\\') || statements::split(typed).rest.is_empty();
        Ok(if ends || leaves { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

impl Completer for Line {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let start = start(line.get(..at).unwrap_or_default());
        Ok((start, offered(&self.known, line.get(start..at).unwrap_or_default())))
    }
}

/// Where the word that is typed begins: at an open string, or after what ends a name.
fn start(before: &str) -> usize {
    if before.matches('\'').count() % 2 == 1 {
        return before.rfind('\'').unwrap_or_default();
    }
    let ends = |c: char| c.is_whitespace() || "(),=<>+-*/;|".contains(c);
    before.rfind(ends).map_or(0, |end| end + before[end..].chars().next().map_or(1, char::len_utf8))
}

/// What completes a beginning, in any case.
fn offered(known: &[String], beginning: &str) -> Vec<String> {
    if beginning.is_empty() || beginning == "'" {
        return Vec::new();
    }
    let beginning = beginning.to_lowercase();
    let fits = |name: &&String| name.to_lowercase().starts_with(&beginning);
    known.iter().filter(fits).take(OFFERED).cloned().collect()
}

impl Highlighter for Line {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        if self.colours { Cow::Owned(coloured(line)) } else { Cow::Borrowed(line) }
    }

    fn highlight_char(&self, _: &str, _: usize, kind: CmdKind) -> bool {
        kind != CmdKind::MoveCursor
    }
}

const KEYWORDS: &str = " select from where group by having order limit join left inner outer full cross on and or not in is \
null between like ilike exists case when then else end as distinct with union all explain set filter extract interval \
date cast desc asc rollup cube grouping sets over partition true false values using ";

/// A line with colours; without them it is the same line.
fn coloured(line: &str) -> String {
    let mut out = String::with_capacity(line.len() * 2);
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let (length, colour) = if rest.starts_with("--") {
            (rest.find('\n').unwrap_or(rest.len()), COMMENT)
        } else if first == '\'' {
            (rest.get(1..).and_then(|inside| inside.find('\'')).map_or(rest.len(), |end| end + 2), STRING)
        } else if first.is_alphabetic() {
            let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let word = format!(" {} ", rest[..length].to_lowercase());
            (length, if KEYWORDS.contains(&word) { KEYWORD } else { "" })
        } else {
            (first.len_utf8(), "")
        };
        let (part, next) = rest.split_at(length);
        if colour.is_empty() {
            out.push_str(part);
        } else {
            out.extend([colour, part, PLAIN]);
        }
        rest = next;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{coloured, offered, start};

    #[test]
    fn colours_change_no_character() {
        for line in ["SELECT 'it''s' -- x\nFROM t", "selecting ä = 'open", "", "a.b(c)"] {
            let mut plain = coloured(line);
            for colour in [super::KEYWORD, super::STRING, super::COMMENT, super::PLAIN] {
                plain = plain.replace(colour, "");
            }
            assert_eq!(plain, line);
        }
        assert!(coloured("SELECT x").starts_with(super::KEYWORD));
    }

    #[test]
    fn names_and_concepts_are_completed_where_they_begin() {
        let known = ["dicom.series".to_owned(), "'Prostate cancer'".to_owned(), "Modality".to_owned()];
        let complete = |before: &str| offered(&known, &before[start(before)..]);
        assert_eq!(complete("SELECT count(mod"), ["Modality"]);
        assert_eq!(complete("SELECT 1 FROM dicom.s"), ["dicom.series"]);
        assert_eq!(complete("WHERE is_a(x, 'prostate c"), ["'Prostate cancer'"]);
        assert!(complete("SELECT ").is_empty());
    }
}
