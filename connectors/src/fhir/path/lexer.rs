//! The tokens of FHIRPath (hl7.org/fhirpath, appendix B), as far as the subset has them.

use super::SyntaxError;
use super::decimal::Decimal;
use super::expr::Literal;
use super::temporal::Temporal;

/// A token and where it begins, counted from 1.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) at: usize,
    pub(super) kind: TokenKind,
}

#[derive(Debug, Clone)]
pub(super) enum TokenKind {
    /// A name or keyword.
    Name(String),
    /// A name in backticks: never a keyword.
    Quoted(String),
    /// `%name`.
    Constant(String),
    /// `$this`.
    This,
    Literal(Literal),
    /// Punctuation and operators.
    Sign(&'static str),
}

const SIGNS: [&str; 17] =
    ["!=", "<=", ">=", ".", "(", ")", "[", "]", ",", "+", "-", "*", "/", "=", "<", ">", "|"];

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, SyntaxError> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.take_while(char::is_whitespace);
        let at = lexer.at;
        let Some(first) = lexer.rest().chars().next() else { return Ok(tokens) };
        let kind = lexer.token(first)?;
        tokens.push(Token { at: at + 1, kind });
    }
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    fn token(&mut self, first: char) -> Result<TokenKind, SyntaxError> {
        match first {
            '\'' => Ok(TokenKind::Literal(Literal::Text(self.quoted('\'')?))),
            '`' => Ok(TokenKind::Quoted(self.quoted('`')?)),
            '@' => self.point().map(TokenKind::Literal),
            '0'..='9' => self.number().map(TokenKind::Literal),
            '%' => {
                self.at += 1;
                let name =
                    if self.rest().starts_with('`') { self.quoted('`')? } else { self.name().to_owned() };
                if name.is_empty() {
                    Err(self.fault("% is not followed by a name"))
                } else {
                    Ok(TokenKind::Constant(name))
                }
            }
            '$' => {
                self.at += 1;
                match self.name() {
                    "this" => Ok(TokenKind::This),
                    _ => Err(self.fault("of the names with $ only $this is known here")),
                }
            }
            c if c.is_ascii_alphabetic() || c == '_' => Ok(TokenKind::Name(self.name().to_owned())),
            _ => self.sign(),
        }
    }

    fn sign(&mut self) -> Result<TokenKind, SyntaxError> {
        let sign = SIGNS.into_iter().find(|sign| self.rest().starts_with(sign));
        let Some(sign) = sign else { return Err(self.fault("this character means nothing here")) };
        self.at += sign.len();
        Ok(TokenKind::Sign(sign))
    }

    fn number(&mut self) -> Result<Literal, SyntaxError> {
        let start = self.at;
        self.take_while(|c| c.is_ascii_digit());
        let rest = self.rest().as_bytes();
        let is_decimal = rest.first() == Some(&b'.') && rest.get(1).is_some_and(u8::is_ascii_digit);
        if is_decimal {
            self.at += 1;
            self.take_while(|c| c.is_ascii_digit());
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        let literal = if is_decimal {
            Decimal::parse(text).map(Literal::Decimal)
        } else {
            text.parse().ok().map(Literal::Integer)
        };
        literal.ok_or_else(|| self.fault("this number is too large"))
    }

    /// `@2020-01-01`, `@2020-01-01T10:00:00Z`, `@T10:00`.
    fn point(&mut self) -> Result<Literal, SyntaxError> {
        self.at += 1;
        let text = self.take_while(|c| c.is_ascii_digit() || "-:+.TZ".contains(c)).trim_end_matches('.');
        let point = Temporal::parse(text.strip_prefix('T').unwrap_or(text));
        point.map(Literal::Temporal).ok_or_else(|| self.fault("@ is not followed by a date or time"))
    }

    fn quoted(&mut self, quote: char) -> Result<String, SyntaxError> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            let plain = self.take_while(|c| c != quote && c != '\\');
            text.push_str(plain);
            match self.rest().chars().next() {
                Some(c) if c == quote => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(_) => text.push(self.escape()?),
                None => {
                    self.at = start;
                    return Err(self.fault("this quote is never closed"));
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, SyntaxError> {
        let escaped = self.rest().chars().nth(1);
        let (character, length) = match escaped {
            Some(c @ ('\'' | '"' | '`' | '\\' | '/')) => (Some(c), 2),
            Some('r') => (Some('\r'), 2),
            Some('n') => (Some('\n'), 2),
            Some('t') => (Some('\t'), 2),
            Some('f') => (Some('\u{c}'), 2),
            Some('u') => {
                let digits = self.rest().get(2..6).unwrap_or_default();
                (u32::from_str_radix(digits, 16).ok().and_then(char::from_u32), 6)
            }
            Some(_) | None => (None, 0),
        };
        let character = character.ok_or_else(|| self.fault("this escape means no character"))?;
        self.at += length;
        Ok(character)
    }

    fn name(&mut self) -> &'t str {
        self.take_while(|c| c.is_ascii_alphanumeric() || c == '_')
    }

    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let length = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn fault(&self, reason: &str) -> SyntaxError {
        SyntaxError { at: self.at + 1, reason: reason.to_owned() }
    }
}
