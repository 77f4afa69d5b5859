//! ViewDefinitions of SQL-on-FHIR v2 (sql-on-fhir.org/ig/StructureDefinition-ViewDefinition): how resources of one
//! type become rows.
//!
//! ```text
//! JSON -> definition    walked by hand, so that every fault names its place: select[0].column[2].path
//!      -> View          expressions parsed, columns numbered
//! record + View -> rows    columns of Arrow arrays in the declared types
//! ```
//!
//! A column's type comes from its tag `ansi/type` or else from its FHIR type: truth values, integers and decimals
//! are what they are, all else is text. A date of which only month or year is known is its first day, and is counted.

mod cell;
mod definition;
mod origin;
mod rows;
mod sheet;

#[cfg(test)]
mod suite;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use caim_ontology::ColumnType;

pub(crate) use origin::Origin;
pub(crate) use sheet::{Doubts, Sheet};

use super::path::{Expr, Fault};

/// How resources of one type become rows of one table.
#[derive(Debug)]
pub(crate) struct View {
    /// The table.
    pub(crate) name: String,
    /// The type of its resources.
    pub(crate) resource: String,
    /// What a row is, for people.
    pub(crate) comment: String,
    /// The columns of its rows, in their order.
    pub(crate) columns: Vec<ViewColumn>,
    /// Conditions that a resource meets, each with its place.
    conditions: Vec<(String, Expr)>,
    selects: Vec<Select>,
}

/// A column of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ViewColumn {
    pub(crate) name: String,
    pub(crate) ty: ColumnType,
    /// Whether a cell holds a list of values.
    pub(crate) is_list: bool,
    /// What a value is, for people.
    pub(crate) comment: String,
    /// The type of FHIR that the definition says: `code`.
    pub(crate) fhir_type: String,
    /// The tags that are for Caim, without `caim/`.
    pub(crate) tags: BTreeMap<String, String>,
    /// Where the definition has its expression.
    pub(crate) place: String,
}

/// One `select`: for each of some items columns, joined with those of other selects.
#[derive(Debug)]
struct Select {
    each: Each,
    /// Positions among the view's columns, and what stands there.
    columns: Vec<(usize, Expr)>,
    /// Every row of one with every row of the next.
    selects: Vec<Select>,
    /// The rows of one, then those of the next.
    unions: Vec<Select>,
}

/// Over what a select goes.
#[derive(Debug)]
enum Each {
    /// The item itself.
    This,
    /// The items of an expression.
    Item(String, Expr),
    /// The same, or nothing once if there are none.
    ItemOrNull(String, Expr),
    /// The items of the expressions, and theirs, and so on.
    Repeat(Vec<(String, Expr)>),
}

/// Why a definition is no view.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub(crate) struct DefinitionError {
    /// Which part, as `select[0].column[2].path`.
    pub(crate) place: String,
    /// What is wrong with it.
    pub(crate) reason: String,
}

/// Why a resource has no rows in a view.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place} {fault}")]
pub(crate) struct RowError {
    /// Which part of the view, as `select[0].column[2].path`.
    pub(crate) place: String,
    /// What it gives.
    pub(crate) fault: Fault,
}

impl View {
    /// Reads a ViewDefinition.
    ///
    /// # Errors
    /// Names the part that is wrong.
    pub(crate) fn read(json: &str) -> Result<Self, DefinitionError> {
        definition::read(json)
    }

    /// Whether a resource has one row at most.
    pub(crate) fn is_flat(&self) -> bool {
        fn flat(select: &Select) -> bool {
            matches!(select.each, Each::This) && select.unions.is_empty() && select.selects.iter().all(flat)
        }
        self.selects.iter().all(flat)
    }
}
