//! `EXPLAIN [FORMAT f] query` and `EXPLAIN (FORMAT f) query`: what systems write before a query to see its way.

use datafusion_sql::sqlparser::keywords::Keyword;
use datafusion_sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::{Statement, first_word, query, shortened, words};
use crate::refusal::{Code, Refusal};

/// How an explanation is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ExplainFormat {
    /// Steps in order, one row a line.
    #[default]
    Text,
    /// A tree drawn with characters: each step below the one that reads it.
    Tree,
    /// JSON for programs.
    Json,
    /// The tree in the language of Graphviz.
    Dot,
}

const FORMATS: [(&str, ExplainFormat); 4] = [
    ("text", ExplainFormat::Text),
    ("tree", ExplainFormat::Tree),
    ("json", ExplainFormat::Json),
    ("dot", ExplainFormat::Dot),
];

/// Reads what follows the word; statistics of a run would tell of data.
pub(super) fn explain(mut tokens: Vec<TokenWithSpan>) -> Result<Statement, Refusal> {
    drop_words(&mut tokens, 1);
    let (taken, format) = options(&tokens)?;
    drop_words(&mut tokens, taken);
    match first_word(&tokens) {
        Some(Keyword::SELECT | Keyword::WITH | Keyword::VALUES | Keyword::TABLE | Keyword::FROM) => {
            Ok(Statement::Explain { query: query(tokens)?, format })
        }
        Some(Keyword::ANALYZE | Keyword::VERBOSE) => Err(no_statistics()),
        _ => Err(Refusal::new(Code::Statement, "EXPLAIN takes a query").with_rewrite("EXPLAIN SELECT ...")),
    }
}

/// The format, and how many words name it.
fn options(tokens: &[TokenWithSpan]) -> Result<(usize, ExplainFormat), Refusal> {
    let words: Vec<&Token> = words(tokens).take(5).collect();
    match words.as_slice() {
        [Token::LParen, first, ..] if is(first, "analyze") || is(first, "verbose") => Err(no_statistics()),
        [Token::LParen, word, name, Token::RParen, ..] if is(word, "format") => Ok((4, format(name)?)),
        [Token::LParen, word, ..] if is(word, "format") => Err(unknown("what follows FORMAT")),
        [word, Token::Eq, name, ..] if is(word, "format") => Ok((3, format(name)?)),
        [word, name, ..] if is(word, "format") => Ok((2, format(name)?)),
        _ => Ok((0, ExplainFormat::default())),
    }
}

fn is(token: &Token, name: &str) -> bool {
    matches!(token, Token::Word(word) if word.value.eq_ignore_ascii_case(name))
}

fn format(token: &Token) -> Result<ExplainFormat, Refusal> {
    let name = match token {
        Token::Word(word) => word.value.to_lowercase(),
        Token::SingleQuotedString(text) => text.to_lowercase(),
        other => other.to_string(),
    };
    let known = FORMATS.iter().find(|(known, _)| *known == name);
    known.map(|(_, format)| *format).ok_or_else(|| unknown(&shortened(&name)))
}

fn unknown(what: &str) -> Refusal {
    Refusal::new(Code::Statement, format!("{what} is no format of EXPLAIN"))
        .with_rewrite("EXPLAIN FORMAT text, tree, json or dot, and a query")
}

fn no_statistics() -> Refusal {
    Refusal::new(Code::Statement, "EXPLAIN shows no statistics of a run: they would tell of data")
        .with_rewrite("EXPLAIN SELECT ... shows what is asked of nodes; caim check shows what it costs")
}

/// Takes the first words away, with the space before them.
fn drop_words(tokens: &mut Vec<TokenWithSpan>, count: usize) {
    for _ in 0..count {
        let word = tokens.iter().position(|t| !matches!(t.token, Token::Whitespace(_)));
        tokens.drain(..word.map_or(0, |word| word + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::ExplainFormat;
    use crate::refusal::Code;
    use crate::text::{Statement, read};

    #[test]
    fn every_system_s_way_to_name_a_format_is_read() {
        for (sql, expected) in [
            ("EXPLAIN SELECT 1", ExplainFormat::Text),
            ("explain format tree select 1", ExplainFormat::Tree),
            ("EXPLAIN (FORMAT JSON) SELECT 1", ExplainFormat::Json),
            ("EXPLAIN ( format \"Dot\" )\nWITH a AS (SELECT 1) SELECT * FROM a", ExplainFormat::Dot),
            ("EXPLAIN FORMAT = JSON (SELECT 1)", ExplainFormat::Json),
            ("EXPLAIN FORMAT 'json' SELECT 1", ExplainFormat::Json),
            ("EXPLAIN (SELECT 1)", ExplainFormat::Text),
        ] {
            match read(sql) {
                Ok(Statement::Explain { format, .. }) => assert_eq!(format, expected, "{sql}"),
                other => panic!("{sql}: {other:?}"),
            }
        }
    }

    #[test]
    fn statistics_unknown_formats_and_other_options_are_refused() {
        for sql in [
            "EXPLAIN ANALYZE SELECT 1",
            "EXPLAIN (ANALYZE) SELECT 1",
            "EXPLAIN (ANALYZE, FORMAT JSON) SELECT 1",
            "EXPLAIN (FORMAT JSON, ANALYZE) SELECT 1",
            "EXPLAIN FORMAT JSON ANALYZE SELECT 1",
            "EXPLAIN FORMAT yaml SELECT 1",
            "EXPLAIN (FORMAT) SELECT 1",
            "EXPLAIN (BUFFERS) SELECT 1",
            "EXPLAIN FORMAT JSON",
            "EXPLAIN FORMAT JSON DELETE FROM t",
        ] {
            assert_eq!(read(sql).map_err(|refusal| refusal.code), Err(Code::Statement), "{sql}");
        }
    }
}
