//! From tokens to an expression, by the precedence of FHIRPath (hl7.org/fhirpath section 6.8).
//!
//! What the subset does not have is refused here: a function that nobody knows, a constant that nobody defined.

mod call;

use super::SyntaxError;
use super::expr::{Choice, Constants, Expr, Function, Literal, Operator, TypeName};
use super::lexer::{Token, TokenKind, tokens};

/// Longer expressions are refused.
const LONGEST: usize = 4096;
/// Deeper nesting of brackets is refused.
const DEPTH: usize = 32;
/// The environment variable that views have besides their constants.
const ROW_INDEX: &str = "rowIndex";

/// Reads an expression.
///
/// # Errors
/// Names the character and what is wrong there.
pub(crate) fn parse(text: &str, constants: &Constants) -> Result<Expr, SyntaxError> {
    let fault = |at, reason: &str| SyntaxError { at, reason: reason.to_owned() };
    if text.len() > LONGEST {
        return Err(fault(LONGEST, "an expression has at most 4096 bytes"));
    }
    let mut parser = Parser { tokens: tokens(text)?, at: 0, end: text.len() + 1, depth: 0, constants };
    let expr = parser.expression(0)?;
    match parser.peek() {
        None => Ok(expr),
        Some(token) => Err(fault(token.at, "nothing can follow here")),
    }
}

struct Parser<'p> {
    tokens: Vec<Token>,
    at: usize,
    end: usize,
    depth: usize,
    constants: &'p Constants,
}

/// The operator that a token is, and how strongly it binds.
fn operator(kind: &TokenKind) -> Option<(Operator, usize)> {
    let text = if let TokenKind::Sign(sign) = kind { sign } else { keyword(kind)? };
    Some(match text {
        "or" => (Operator::Or, 1),
        "xor" => (Operator::Xor, 1),
        "and" => (Operator::And, 2),
        "=" => (Operator::Equal, 3),
        "!=" => (Operator::NotEqual, 3),
        "<" => (Operator::Less, 4),
        "<=" => (Operator::LessOrEqual, 4),
        ">" => (Operator::Greater, 4),
        ">=" => (Operator::GreaterOrEqual, 4),
        "|" => (Operator::Union, 5),
        "+" => (Operator::Add, 7),
        "-" => (Operator::Subtract, 7),
        "*" => (Operator::Multiply, 8),
        "/" => (Operator::Divide, 8),
        _ => return None,
    })
}

/// Where `is` stands among them.
const IS_BINDS: usize = 6;
const SIGN_BINDS: usize = 9;

fn keyword(kind: &TokenKind) -> Option<&str> {
    match kind {
        TokenKind::Name(name) => Some(name),
        TokenKind::Quoted(_)
        | TokenKind::Constant(_)
        | TokenKind::This
        | TokenKind::Literal(_)
        | TokenKind::Sign(_) => None,
    }
}

impl Parser<'_> {
    /// An expression whose operators bind at least so strongly.
    fn expression(&mut self, least: usize) -> Result<Expr, SyntaxError> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.fault("this is nested more than 32 deep"));
        }
        let mut left = self.signed()?;
        while let Some(token) = self.peek() {
            if let Some((operator, binds)) = operator(&token.kind).filter(|(_, binds)| *binds > least) {
                self.at += 1;
                let right = self.expression(binds)?;
                left = Expr::Binary(operator, Box::new(left), Box::new(right));
            } else if keyword(&token.kind) == Some("is") && IS_BINDS > least {
                self.at += 1;
                left = Expr::Is(Box::new(left), self.type_name()?);
            } else {
                break;
            }
        }
        self.depth -= 1;
        Ok(left)
    }

    fn signed(&mut self) -> Result<Expr, SyntaxError> {
        if self.takes("-") {
            return Ok(Expr::Negative(Box::new(self.expression(SIGN_BINDS)?)));
        }
        if self.takes("+") {
            return self.expression(SIGN_BINDS);
        }
        self.invocations()
    }

    /// A term and what is invoked on it: `.name`, `.function()`, `[index]`.
    fn invocations(&mut self) -> Result<Expr, SyntaxError> {
        let mut expr = self.term()?;
        loop {
            if self.takes(".") {
                expr = self.invocation(expr)?;
            } else if self.takes("[") {
                let index = self.expression(0)?;
                self.expect("]")?;
                expr = Expr::Index(Box::new(expr), Box::new(index));
            } else {
                return Ok(expr);
            }
        }
    }

    fn term(&mut self) -> Result<Expr, SyntaxError> {
        let Some(token) = self.next() else { return Err(self.fault("an expression is missing here")) };
        match token.kind {
            TokenKind::Literal(literal) => Ok(Expr::Literal(literal)),
            TokenKind::This => Ok(Expr::This),
            TokenKind::Constant(name) => self.constant(&name, token.at),
            TokenKind::Sign("(") => {
                let inner = self.expression(0)?;
                self.expect(")")?;
                Ok(inner)
            }
            TokenKind::Name(name) if name == "true" => Ok(Expr::Literal(Literal::Truth(true))),
            TokenKind::Name(name) if name == "false" => Ok(Expr::Literal(Literal::Truth(false))),
            // Members begin with a small letter, types with a capital one.
            TokenKind::Name(name) if name.starts_with(|c: char| c.is_ascii_uppercase()) => {
                Ok(Expr::Resource(name))
            }
            TokenKind::Name(_) | TokenKind::Quoted(_) => {
                self.at -= 1;
                self.invocation(Expr::This)
            }
            TokenKind::Sign(_) => {
                self.at -= 1;
                Err(self.fault("an expression is missing here"))
            }
        }
    }

    /// A member or function of `input`.
    fn invocation(&mut self, input: Expr) -> Result<Expr, SyntaxError> {
        let Some(token) = self.next() else { return Err(self.fault("a name is missing here")) };
        match token.kind {
            TokenKind::Quoted(name) => Ok(Expr::Member(Box::new(input), name)),
            TokenKind::Name(name) if self.takes("(") => self.function(input, &name, token.at),
            TokenKind::Name(name) => Ok(Expr::Member(Box::new(input), name)),
            TokenKind::Constant(_) | TokenKind::This | TokenKind::Literal(_) | TokenKind::Sign(_) => {
                self.at -= 1;
                Err(self.fault("a name is missing here"))
            }
        }
    }

    fn constant(&self, name: &str, at: usize) -> Result<Expr, SyntaxError> {
        if let Some(literal) = self.constants.get(name) {
            return Ok(Expr::Literal(literal.clone()));
        }
        if name == ROW_INDEX {
            return Ok(Expr::RowIndex);
        }
        let known: Vec<&str> = self.constants.keys().map(String::as_str).collect();
        let reason = format!("%{name} is not defined; the constants are {ROW_INDEX} {}", known.join(" "));
        Err(SyntaxError { at, reason: reason.trim_end().to_owned() })
    }

    /// A type, perhaps with its namespace: `Quantity`, `FHIR.Quantity`.
    fn type_name(&mut self) -> Result<TypeName, SyntaxError> {
        let mut name = self.type_part()?;
        if ["FHIR", "System"].contains(&name.as_str()) && self.takes(".") {
            name = self.type_part()?;
        }
        Ok(TypeName(name))
    }

    fn type_part(&mut self) -> Result<String, SyntaxError> {
        match self.next() {
            Some(Token { kind: TokenKind::Name(name) | TokenKind::Quoted(name), .. }) => Ok(name),
            Some(_) => {
                self.at -= 1;
                Err(self.fault("the name of a type is missing here"))
            }
            None => Err(self.fault("the name of a type is missing here")),
        }
    }

    fn takes(&mut self, sign: &str) -> bool {
        let takes = matches!(self.peek(), Some(Token { kind: TokenKind::Sign(found), .. }) if *found == sign);
        self.at += usize::from(takes);
        takes
    }

    fn expect(&mut self, sign: &str) -> Result<(), SyntaxError> {
        if self.takes(sign) { Ok(()) } else { Err(self.fault(&format!("{sign} is missing here"))) }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += usize::from(token.is_some());
        token
    }

    fn fault(&self, reason: &str) -> SyntaxError {
        SyntaxError { at: self.peek().map_or(self.end, |token| token.at), reason: reason.to_owned() }
    }
}
