//! Values per patient: what analysts call index events, counts and firsts. They never leave by themselves.

use serde::{Deserialize, Serialize};

use super::{BoolTree, ColumnRef, Dim, JoinTree, Number, TableRef};

/// Schema of the tables of values per patient: `per_patient.v0` is the first of a question.
pub(crate) const SCHEMA: &str = "per_patient";

/// A table with one row a patient, or one a record or part of a patient, computed from rows of that patient alone.
///
/// Its columns are `patient_id`, those of [`by`](Self::by) called `k0`, `k1`, ..., and the values `n0`, `n1`, ...
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerPatient {
    /// The tables whose joined rows are looked at.
    pub from: JoinTree,
    /// Which of those rows count. A patient without such rows has no row.
    pub cohort: BoolTree,
    /// What of a patient has a row of its own: an identifier of one patient, a dimension, a part of a date. Empty: the
    /// patient.
    pub by: Vec<Dim>,
    /// The values of a row.
    pub values: Vec<PatientValue>,
}

/// One value of a row of [`PerPatient`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatientValue {
    /// What it is.
    pub of: ValueOf,
    /// Which of the rows count for it; true when absent (`And([])`).
    pub filter: BoolTree,
}

/// What a value is, over the rows of one patient.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ValueOf {
    /// How many rows there are.
    Rows,
    /// 1 if there is a row, else 0. Useful with a filter.
    Any,
    /// How many different values a dimension or identifier has.
    Distinct(ColumnRef),
    /// The least of a number or date.
    Least(ColumnRef),
    /// The greatest of a number or date.
    Greatest(ColumnRef),
    /// The sum of a number.
    Sum(Number),
    /// The mean of a number.
    Mean(Number),
    /// The column in the first row by an order; rows that are equal by it are told apart by their row keys.
    First {
        /// Any column.
        column: ColumnRef,
        /// At least one.
        order: Vec<Order>,
    },
}

/// One column of an order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// The column.
    pub column: ColumnRef,
    /// From the greatest to the least.
    pub descending: bool,
    /// Whether rows without it come first.
    pub nulls_first: bool,
}

impl TableRef {
    /// The table of values per patient of a position in [`PrivateQuery::per_patient`](super::PrivateQuery::per_patient).
    #[must_use]
    pub fn per_patient(position: usize) -> Self {
        Self { schema: SCHEMA.to_owned(), table: format!("v{position}") }
    }

    /// The position of the table of values per patient that this is, if it is one.
    #[must_use]
    pub fn per_patient_position(&self) -> Option<usize> {
        if self.schema == SCHEMA { self.table.strip_prefix('v')?.parse().ok() } else { None }
    }
}

impl PerPatient {
    /// The name of the column of a part of [`by`](Self::by).
    #[must_use]
    pub fn key_name(position: usize) -> String {
        format!("k{position}")
    }

    /// The name of a value's column.
    #[must_use]
    pub fn value_name(position: usize) -> String {
        format!("n{position}")
    }

    /// The position of the value that a column of this table is, if it is one.
    #[must_use]
    pub fn value_position(&self, column: &str) -> Option<usize> {
        let position = column.strip_prefix('n')?.parse().ok()?;
        (position < self.values.len() && Self::value_name(position) == column).then_some(position)
    }
}
