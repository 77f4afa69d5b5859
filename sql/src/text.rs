//! From text to one parsed statement, within limits and with names in any case.
//!
//! Everything that could make a parser or planner run long, recurse deeply or leave something out silently is refused
//! here, before anything is planned. Words are folded to lower case, quoted or not: DICOM keywords are CamelCase and
//! clients quote them or not as they please. How the analyst wrote a name is kept for the answer alone.

mod explain;
mod first;
mod limits;
mod names;
mod shape;
pub mod statements;

use datafusion_sql::sqlparser::ast;
use datafusion_sql::sqlparser::dialect::GenericDialect;
use datafusion_sql::sqlparser::keywords::Keyword;
use datafusion_sql::sqlparser::parser::{Parser, ParserError};
use datafusion_sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use crate::refusal::{Code, Refusal};

pub use explain::ExplainFormat;
pub(crate) use names::Names;

/// The options that `SET` knows.
pub const SETTINGS: [&str; 4] =
    ["caim.project", "caim.purpose", "caim.noise_sd", "caim.max_rows_per_patient"];

/// A statement that was read.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    /// A query, not yet planned.
    Query(Query),
    /// `EXPLAIN` of a query: how it would be answered.
    Explain {
        /// What is explained.
        query: Query,
        /// How it is shown.
        format: ExplainFormat,
    },
    /// `SET key = value`; the key is one of [`SETTINGS`], the value is as written.
    Set {
        /// Name of the option, lower case.
        key: String,
        /// Its value.
        value: String,
    },
}

/// A query that parsed and keeps the limits.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    pub(crate) ast: Box<ast::Query>,
    pub(crate) names: Names,
}

/// Reads one statement.
///
/// # Errors
/// `Syntax` with the position, `Statement` for everything but queries and `SET`, `Setting`, `TooComplex`,
/// `Unsupported` for clauses that would otherwise be passed over in silence.
pub fn read(sql: &str) -> Result<Statement, Refusal> {
    limits::check_length(sql)?;
    let tokens = tokens(sql)?;
    limits::check_tokens(&tokens)?;
    match first_word(&tokens) {
        Some(Keyword::SELECT | Keyword::WITH | Keyword::VALUES | Keyword::TABLE | Keyword::FROM) => {
            Ok(Statement::Query(query(tokens)?))
        }
        Some(Keyword::EXPLAIN) => explain::explain(tokens),
        Some(Keyword::SET) => setting(&tokens),
        Some(Keyword::SHOW) => show(&tokens),
        Some(Keyword::DESCRIBE | Keyword::DESC) => {
            Err(Refusal::new(Code::Statement, "DESCRIBE is not answered")
                .with_rewrite("SHOW COLUMNS FROM a_table lists its columns"))
        }
        Some(Keyword::NoKeyword) | None => {
            Err(Refusal::new(Code::Syntax, "this does not begin like a statement"))
        }
        Some(other) => Err(Refusal::new(Code::Statement, format!("{other:?} is not answered"))),
    }
}

fn tokens(sql: &str) -> Result<Vec<TokenWithSpan>, Refusal> {
    Tokenizer::new(&GenericDialect {}, sql)
        .tokenize_with_location()
        .map_err(|e| Refusal::new(Code::Syntax, shortened(&e.to_string())))
}

fn words(tokens: &[TokenWithSpan]) -> impl Iterator<Item = &Token> {
    tokens.iter().map(|t| &t.token).filter(|t| !matches!(t, Token::Whitespace(_)))
}

fn first_word(tokens: &[TokenWithSpan]) -> Option<Keyword> {
    match words(tokens).find(|t| **t != Token::LParen)? {
        Token::Word(word) => Some(word.keyword),
        _ => None,
    }
}

fn query(mut tokens: Vec<TokenWithSpan>) -> Result<Query, Refusal> {
    number_placeholders(&mut tokens)?;
    let written = parse(tokens.clone())?;
    for token in &mut tokens {
        if let Token::Word(word) = &mut token.token {
            word.value = word.value.to_lowercase();
        }
    }
    let ast = first::limited(parse(tokens)?);
    shape::check(&ast)?;
    limits::check_query(&ast)?;
    Ok(Query { names: Names::of(&written), ast })
}

fn parse(tokens: Vec<TokenWithSpan>) -> Result<Box<ast::Query>, Refusal> {
    let mut parser = Parser::new(&GenericDialect {})
        .with_recursion_limit(limits::MAX_RECURSION)
        .with_tokens_with_locations(tokens);
    let statement = parser.parse_statement().map_err(|e| syntax(&e))?;
    let ended = parser.consume_token(&Token::SemiColon);
    while parser.consume_token(&Token::SemiColon) {}
    let next = parser.peek_token();
    if next.token != Token::EOF {
        let reason =
            format!("after the statement comes {}{}", shortened(&next.token.to_string()), next.span.start);
        return Err(if ended {
            Refusal::new(Code::Statement, reason).with_rewrite("send one statement at a time")
        } else {
            Refusal::new(Code::Syntax, reason)
        });
    }
    match statement {
        ast::Statement::Query(query) => Ok(query),
        other => {
            let word = other.to_string().split_whitespace().next().unwrap_or_default().to_owned();
            Err(Refusal::new(Code::Statement, format!("{word} is not answered")))
        }
    }
}

fn syntax(error: &ParserError) -> Refusal {
    match error {
        ParserError::RecursionLimitExceeded => {
            Refusal::new(Code::TooComplex, "the statement is nested too deeply")
        }
        ParserError::TokenizerError(reason) | ParserError::ParserError(reason) => {
            Refusal::new(Code::Syntax, shortened(reason))
        }
    }
}

/// `?` becomes `$1`, `$2`, ... from left to right.
fn number_placeholders(tokens: &mut [TokenWithSpan]) -> Result<(), Refusal> {
    let mut unnumbered = 0usize;
    let mut numbered = false;
    for token in tokens.iter_mut() {
        let Token::Placeholder(name) = &mut token.token else { continue };
        if name == "?" {
            unnumbered += 1;
            *name = format!("${unnumbered}");
        } else if name.strip_prefix('$').is_some_and(|n| n.parse::<u16>().is_ok_and(|n| n > 0)) {
            numbered = true;
        } else {
            return Err(Refusal::new(Code::Syntax, format!("{} is no parameter", shortened(name)))
                .with_rewrite("write ? or $1, $2, ... for parameters"));
        }
    }
    if numbered && unnumbered > 0 {
        return Err(Refusal::new(Code::Syntax, "? and $n are used in one statement")
            .with_rewrite("write all parameters as ? or all as $1, $2, ..."));
    }
    Ok(())
}

/// `SET key = value` or `SET key TO value`.
fn setting(tokens: &[TokenWithSpan]) -> Result<Statement, Refusal> {
    let words: Vec<&Token> = words(tokens).filter(|t| !matches!(t, Token::SemiColon)).skip(1).collect();
    let is_sign =
        |t: &&Token| matches!(t, Token::Eq) || matches!(t, Token::Word(w) if w.keyword == Keyword::TO);
    let sign = words.iter().position(is_sign).unwrap_or(words.len());
    let (key, value) = words.split_at(sign);
    let key: String = key.iter().map(ToString::to_string).collect::<String>().to_lowercase();
    if !key.starts_with("caim.") {
        return Err(Refusal::new(Code::Statement, format!("SET {} is not answered", shortened(&key))));
    }
    if !SETTINGS.contains(&key.as_str()) {
        return Err(Refusal::new(Code::Setting, format!("there is no option {}", shortened(&key))));
    }
    let value = match value.get(1..) {
        Some([Token::SingleQuotedString(text)]) => text.clone(),
        Some([Token::Number(number, _)]) => number.clone(),
        Some([Token::Minus, Token::Number(number, _)]) => format!("-{number}"),
        Some([Token::Word(word)]) => word.value.clone(),
        _ => return Err(Refusal::new(Code::Setting, format!("{key} takes one text or number"))),
    };
    Ok(Statement::Set { key, value })
}

/// `SHOW TABLES` and `SHOW COLUMNS FROM t` are queries of the public catalogue; nothing else is shown.
fn show(tokens: &[TokenWithSpan]) -> Result<Statement, Refusal> {
    let name = |token: &Token| match token {
        Token::Word(word) => Some(word.value.to_lowercase().replace('\'', "''")),
        _ => None,
    };
    let words: Vec<&Token> = words(tokens).filter(|t| !matches!(t, Token::SemiColon)).skip(1).collect();
    let named: Vec<Option<String>> = words.iter().map(|t| name(t)).collect();
    let named: Vec<Option<&str>> = named.iter().map(Option::as_deref).collect();
    match named.as_slice() {
        [Some("tables")] => {
            read("SELECT table_schema, table_name, table_type FROM information_schema.tables ORDER BY 1, 2")
        }
        [Some("columns"), Some("from" | "in"), Some(table)] => columns(&format!("table_name = '{table}'")),
        [Some("columns"), Some("from" | "in"), Some(schema), None, Some(table)] => {
            columns(&format!("table_schema = '{schema}' AND table_name = '{table}'"))
        }
        _ => Err(Refusal::new(Code::Statement, "SHOW is not answered")
            .with_rewrite("SELECT * FROM information_schema.columns lists tables and columns")),
    }
}

fn columns(condition: &str) -> Result<Statement, Refusal> {
    read(&format!(
        "SELECT table_schema, table_name, column_name, data_type FROM information_schema.columns \
         WHERE {condition} ORDER BY table_schema, ordinal_position"
    ))
}

/// A text of the asker's own as it may stand in a refusal: bounded, on one line.
pub(crate) fn shortened(text: &str) -> String {
    const MAX_CHARACTERS: usize = 200;
    let mut short: String =
        text.chars().take(MAX_CHARACTERS).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if short.chars().count() < text.chars().count() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests;
