//! From groups to dimensions, and how the hub gets the statement's columns back from them.

use datafusion_common::ScalarValue;
use datafusion_expr::Expr;

use super::bins;
use super::columns::{Target, keeps_values, target};
use super::concepts;
use super::condition::Reader;
use super::constant::constant;
use super::refuse::not_a_group;
use super::scope::{Operand, operand};
use super::vocabulary;
use crate::catalogue::NODE;
use crate::private_query::{BoolTree, ColumnRef, DatePart, Dim, Measure};
use crate::refusal::Refusal;

/// A question as it is put together; equal parts are shared.
#[derive(Debug, Default)]
pub(super) struct Question {
    pub(super) dims: Vec<Dim>,
    pub(super) measures: Vec<Measure>,
    /// Codes that are counted distinct, each a hidden question of its own, with its filter.
    pub(super) codes: Vec<(Dim, BoolTree)>,
    /// Whether what each node released stays apart.
    pub(super) by_node: bool,
}

/// How a column of the statement's aggregate is computed from what is released; numbers are positions in [`Question`].
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Output {
    Dim(usize),
    /// The node that released the cell.
    Node,
    /// The first day of a year, or of a quarter or month in it.
    FirstDay {
        year: usize,
        within: Option<(DatePart, usize)>,
    },
    Constant(ScalarValue),
    Measure(usize),
    /// The square root of a variance.
    Root(usize),
    /// A count of rows that SQL calls NULL where it is 0: `sum(1)`.
    CountOrNull(usize),
    /// How many different codes were released.
    Codes(usize),
}

fn position<T: PartialEq>(items: &mut Vec<T>, item: T) -> usize {
    items.iter().position(|known| *known == item).unwrap_or_else(|| {
        items.push(item);
        items.len() - 1
    })
}

impl Question {
    pub(super) fn dim(&mut self, dim: Dim) -> usize {
        position(&mut self.dims, dim)
    }

    pub(super) fn measure(&mut self, measure: Measure) -> usize {
        position(&mut self.measures, measure)
    }

    pub(super) fn code(&mut self, dim: Dim, filter: BoolTree) -> usize {
        position(&mut self.codes, (dim, filter))
    }

    /// Takes in a group.
    pub(super) fn group(&mut self, reader: &Reader<'_>, expr: &Expr) -> Result<Output, Refusal> {
        if let Some(value) = constant(expr) {
            return Ok(Output::Constant(value));
        }
        if let Some(Operand::Own(column)) = operand(expr)
            && column.column == NODE
        {
            self.by_node = true;
            return Ok(Output::Node);
        }
        if let Some(Target::Truncated { part, column }) = target(expr) {
            return Ok(self.truncated(part, column));
        }
        let dim = dim(reader, expr)?.ok_or_else(|| not_a_group(reader, expr))?;
        Ok(Output::Dim(self.dim(dim)))
    }

    fn truncated(&mut self, part: DatePart, column: ColumnRef) -> Output {
        let year = self.dim(Dim::DatePart { part: DatePart::Year, column: column.clone() });
        let within = match part {
            DatePart::Year => None,
            DatePart::Quarter | DatePart::Month => Some((part, self.dim(Dim::DatePart { part, column }))),
        };
        Output::FirstDay { year, within }
    }
}

/// The dimension that an expression is.
pub(super) fn dim(reader: &Reader<'_>, expr: &Expr) -> Result<Option<Dim>, Refusal> {
    if let Some(dim) = concepts::dim(reader, expr)? {
        return Ok(Some(dim));
    }
    match target(expr) {
        Some(Target::Column { column, cast }) => {
            let side = reader.side(&column)?;
            Ok(cast.is_none_or(|ty| keeps_values(side, &ty)).then_some(Dim::Column(column)))
        }
        Some(Target::Part { part, column }) => Ok(Some(Dim::DatePart { part, column })),
        Some(Target::Truncated { .. }) => Ok(None),
        None => match bins::bins(reader, expr)? {
            None => vocabulary::recode(reader, expr),
            found => Ok(found),
        },
    }
}
