//! The functions of the subset and what they take.

use super::{Choice, Expr, Function, Parser, SyntaxError, TypeName};
use crate::fhir::path::boundary::Side;

/// Every function, for whoever misspelt one.
const FUNCTIONS: [&str; 15] = [
    "count",
    "empty",
    "exists",
    "extension",
    "first",
    "getReferenceKey",
    "getResourceKey",
    "highBoundary",
    "join",
    "last",
    "lowBoundary",
    "not",
    "ofType",
    "replace",
    "where",
];

impl Parser<'_> {
    /// A function whose opening bracket was read.
    pub(super) fn function(&mut self, input: Expr, name: &str, at: usize) -> Result<Expr, SyntaxError> {
        let function = match name {
            "where" => Function::Where(self.argument()?),
            "exists" => Function::Exists(self.optional()?),
            "empty" => Function::Empty,
            "not" => Function::Not,
            "first" => Function::First,
            "last" => Function::Last,
            "count" => Function::Count,
            "join" => Function::Join(self.optional()?),
            "ofType" => return self.of_type(input),
            "extension" => Function::Extension(self.argument()?),
            "getResourceKey" => Function::ResourceKey,
            "getReferenceKey" => Function::ReferenceKey(self.optional_type()?),
            "lowBoundary" => Function::Boundary(Side::Low),
            "highBoundary" => Function::Boundary(Side::High),
            "replace" => self.replacement()?,
            _ => return Err(unknown(name, at)),
        };
        self.expect(")")?;
        Ok(Expr::Call(Box::new(input), function))
    }

    /// `ofType(type)`: of a member, it is found by one name.
    fn of_type(&mut self, input: Expr) -> Result<Expr, SyntaxError> {
        let ty = self.type_name()?;
        self.expect(")")?;
        Ok(match input {
            Expr::Member(of, name) => {
                let key = format!("{name}{}", ty.capital());
                Expr::Choice(of, Choice { name, key, ty })
            }
            input => Expr::Call(Box::new(input), Function::OfType(ty)),
        })
    }

    fn replacement(&mut self) -> Result<Function, SyntaxError> {
        let pattern = self.argument()?;
        self.expect(",")?;
        Ok(Function::Replace(pattern, self.argument()?))
    }

    fn argument(&mut self) -> Result<Box<Expr>, SyntaxError> {
        Ok(Box::new(self.expression(0)?))
    }

    fn optional(&mut self) -> Result<Option<Box<Expr>>, SyntaxError> {
        if self.is_closing() { Ok(None) } else { self.argument().map(Some) }
    }

    fn optional_type(&mut self) -> Result<Option<TypeName>, SyntaxError> {
        if self.is_closing() { Ok(None) } else { self.type_name().map(Some) }
    }

    fn is_closing(&mut self) -> bool {
        let closes = self.takes(")");
        self.at -= usize::from(closes);
        closes
    }
}

fn unknown(name: &str, at: usize) -> SyntaxError {
    let near = FUNCTIONS
        .iter()
        .map(|known| (strsim::jaro_winkler(known, name), known))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| format!(", the nearest is {known}()"))
        .unwrap_or_default();
    SyntaxError { at, reason: format!("there is no function {name}(){near}") }
}
