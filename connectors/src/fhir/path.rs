//! FHIRPath, as far as SQL-on-FHIR v2 asks for it (sql-on-fhir.org, "Required FHIRPath expressions/functions").
//!
//! ```text
//! text -> lexer -> parser -> Expr      once for a view; every fault names its place
//! Expr + record -> eval -> items       pushed one by one to whoever asked: no list is built on the way
//! ```
//!
//! There is no model of FHIR's types behind it. A choice (`value[x]`) is found by the name that JSON gives it
//! (`valueQuantity`), a text meets a date as a date when the other side is one, and what a member's type is nobody
//! asks. What the subset does not have is refused when the view is read, never answered with nothing.

mod boundary;
mod compare;
mod decimal;
mod eval;
mod expr;
mod item;
mod lexer;
mod parser;
mod temporal;

#[cfg(test)]
mod tests;

pub(crate) use decimal::Decimal;
pub(crate) use eval::functions::target;
pub(crate) use eval::{Scope, each, one, truth};
pub(crate) use expr::{Constants, Expr, Function, Literal, Operator};
pub(crate) use item::Item;
pub(crate) use parser::parse;
pub(crate) use temporal::Temporal;

/// Why a text is no expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {at}: {reason}")]
pub(crate) struct SyntaxError {
    /// Where, counted from 1.
    pub(crate) at: usize,
    /// What is wrong there.
    pub(crate) reason: String,
}

/// Why an expression has no answer for a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// Several items where one is wanted.
    #[error("gives several items where at most one can stand; first() takes the first")]
    Several,
    /// A condition that is no condition.
    #[error("gives something that is neither true nor false where a condition stands")]
    NoTruth,
    /// An object where a value is wanted.
    #[error("gives an object where a value is wanted; name one of its members")]
    NoValue,
    /// A join or repeat without a sensible end.
    #[error("gives more than 100,000 rows or goes deeper than 64 levels")]
    TooMany,
}
