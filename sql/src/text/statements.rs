//! Splits text into SQL statements at `;`, which may also stand in strings, names and comments.
//!
//! The tokens are those of the parser that reads them, so both agree on what a string is.

use datafusion_sql::sqlparser::dialect::GenericDialect;
use datafusion_sql::sqlparser::tokenizer::{Token, Tokenizer};

/// Statements that are complete, and what stands after the last `;`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Split {
    /// Each without its `;`.
    pub complete: Vec<String>,
    /// The beginning of a statement; empty when there is none.
    pub rest: String,
}

/// Splits a text. What cannot be read (a string that is not closed) is the rest.
#[must_use]
pub fn split(text: &str) -> Split {
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, text).with_unescape(false).tokenize() else {
        return Split { complete: Vec::new(), rest: text.to_owned() };
    };
    let mut parts: Vec<Option<String>> =
        tokens.split(|token| *token == Token::SemiColon).map(statement).collect();
    let rest = parts.pop().flatten().unwrap_or_default();
    Split { complete: parts.into_iter().flatten().collect(), rest }
}

/// All statements of a text; the last one needs no `;`.
#[must_use]
pub fn all(text: &str) -> Vec<String> {
    let Split { mut complete, rest } = split(text);
    complete.extend(Some(rest).filter(|rest| !rest.is_empty()));
    complete
}

/// The text of some tokens; none when they are nothing but space and comments.
fn statement(tokens: &[Token]) -> Option<String> {
    let said = tokens.iter().any(|token| !matches!(token, Token::Whitespace(_)));
    said.then(|| tokens.iter().map(Token::to_string).collect::<String>().trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Split, all, split};

    #[test]
    fn statements_end_at_semicolons_outside_strings_names_and_comments() {
        let text = "SELECT ';', \"a;b\" -- not; here\nFROM t /* nor; here */;\n\nSELECT 2";
        assert_eq!(
            all(text),
            ["SELECT ';', \"a;b\" -- not; here\nFROM t /* nor; here */".to_owned(), "SELECT 2".to_owned()]
        );
    }

    #[test]
    fn text_comes_through_as_it_was_written() {
        for sql in
            ["SELECT 'it''s' AS \"a\"\"b\"", "SELECT 1e3 , $1, x::date", "select  a\n\tfrom  b -- c\nwhere d"]
        {
            assert_eq!(all(sql), [sql], "{sql}");
        }
    }

    #[test]
    fn nothing_is_no_statement() {
        assert_eq!(all(" ; ;-- only a comment\n"), Vec::<String>::new());
    }

    #[test]
    fn a_statement_without_its_end_waits() {
        assert_eq!(
            split("SELECT 1; SELECT 'open"),
            Split { complete: vec![], rest: "SELECT 1; SELECT 'open".into() }
        );
        assert_eq!(
            split("SELECT 1; SELECT"),
            Split { complete: vec!["SELECT 1".into()], rest: "SELECT".into() }
        );
    }
}
