//! The closed form: the only question a node answers. Whatever does not fit here cannot be asked.
//!
//! A value of these types says *what* is asked, never how to compute it; nodes build their plan afresh from it. It
//! travels as JSON with a [`VERSION`]; a node refuses versions it does not know.

mod concepts;
mod parts;
pub(crate) mod per_patient;
mod value;

use serde::{Deserialize, Serialize};

pub use concepts::{ConceptRef, Recode};
pub use per_patient::{Order, PatientValue, PerPatient, ValueOf};
pub use value::{Real, Value};

/// Version of the closed form's encoding. Raise it with every change of these types.
pub const VERSION: u32 = 5;

/// A question about patients, in closed form.
///
/// The answer has one row a cell (combination of the [`dims`](Self::dims)); without dims it has exactly one row.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrivateQuery {
    /// Encoding version, [`VERSION`].
    pub version: u32,
    /// Values per patient, as tables of their own that [`TableRef`]s name by position. Each may stand on earlier ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub per_patient: Vec<PerPatient>,
    /// The tables whose joined rows are looked at.
    pub from: JoinTree,
    /// Which of those rows count. True rows count; unknown ones (NULL) do not, as in SQL.
    pub cohort: BoolTree,
    /// What the cells are formed by.
    pub dims: Vec<Dim>,
    /// What is computed for every cell. Empty for `SELECT DISTINCT`: the cells themselves, over a hidden patient count.
    pub measures: Vec<Measure>,
    /// Noise multiplier the asker chose, in thousandths (4000 = 4.0); `None` leaves it to the node's policy.
    pub noise_sd_milli: Option<u32>,
    /// Rows a patient may add that the asker chose; `None` leaves it to the data model.
    pub max_rows_per_patient: Option<u32>,
}

/// Tables joined along declared keys, every step within one patient (or to a public table).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinTree {
    /// The tables; a [`ColumnRef`] names one by its position.
    pub tables: Vec<TableRef>,
    /// Exactly `tables.len() - 1` edges that connect them all, without duplicates.
    pub edges: Vec<Edge>,
}

/// A table of a data model, names in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableRef {
    /// Schema.
    pub schema: String,
    /// Table.
    pub table: String,
}

/// A column of one of the tables of the nearest [`JoinTree`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnRef {
    /// Position of the table in [`JoinTree::tables`].
    pub table: usize,
    /// Stored name of the column, lower case.
    pub column: String,
}

/// Whole days between two dates of a joined row: `to` minus `from`, NULL where one of them is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Days {
    /// A column of role date.
    pub from: ColumnRef,
    /// A column of role date.
    pub to: ColumnRef,
}

/// A number that a joined row has, with [public bounds](crate::bounds).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Number {
    /// A measure, or a dimension with bounds.
    Column(ColumnRef),
    /// Days between two dates. Integer.
    Days(Days),
}

/// How two tables of a tree are joined. Equality of the patient is always implied between patient tables.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edge {
    /// The smaller table position.
    pub left: usize,
    /// The larger table position.
    pub right: usize,
    /// Which keys are equal.
    pub on: JoinKey,
}

/// The keys of a join.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum JoinKey {
    /// The same patient, nothing else.
    Patient,
    /// Column of the left table = column of the right table: a declared foreign key, in either direction, or two
    /// columns that reference the same key.
    Columns {
        /// Stored name at the left table.
        left: String,
        /// Stored name at the right table.
        right: String,
    },
}

/// A condition in SQL's three-valued logic. In canonical form negation stands at atoms only.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BoolTree {
    /// All hold. Empty: true.
    And(Vec<BoolTree>),
    /// One holds. Empty: false.
    Or(Vec<BoolTree>),
    /// Does not hold.
    Not(Box<BoolTree>),
    /// One comparison.
    Is(Atom),
}

/// One comparison of one column with public values, or the existence of other rows of the same patient.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Atom {
    /// The column equals one of the values; canonical: sorted, without duplicates, at least one.
    In {
        /// A dimension.
        column: ColumnRef,
        /// The values, all of the column's type.
        values: Vec<Value>,
    },
    /// The column is NULL.
    IsNull {
        /// Any column that may be asked about.
        column: ColumnRef,
    },
    /// The column lies between two points of its public grid. Canonical for dates and integers: `lo` inclusive, `hi`
    /// exclusive.
    Range {
        /// A measure, a date, or a dimension with bounds.
        column: ColumnRef,
        /// Lower end, if any.
        lo: Option<Endpoint>,
        /// Upper end, if any.
        hi: Option<Endpoint>,
    },
    /// The days from one date to another lie in a range; at least one end is there. Canonical: `from < to`.
    DateDiff {
        /// A date.
        from: DateOf,
        /// A date; not both belong to the row outside.
        to: DateOf,
        /// The fewest days, if bounded.
        lo: Option<i64>,
        /// One more than the most days, if bounded.
        hi: Option<i64>,
    },
    /// The code of the column is the concept or one beneath it.
    IsA {
        /// A column of concepts.
        column: ColumnRef,
        /// The concept.
        concept: ConceptRef,
    },
    /// The patient has rows in other tables that meet a condition.
    Exists(Box<Exists>),
}

/// A date that [`Atom::DateDiff`] looks at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DateOf {
    /// Of the joined row itself.
    Own(ColumnRef),
    /// Inside an [`Exists`]: of the row directly outside, in the outer tree.
    Outer(ColumnRef),
}

/// One end of a range.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// The value, on the public grid.
    pub value: Value,
    /// Whether the value itself belongs to the range.
    pub inclusive: bool,
}

/// `EXISTS` within the patient of the outer row.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exists {
    /// The tables looked into.
    pub from: JoinTree,
    /// How they hang on the outer row.
    pub link: Link,
    /// Which rows count; columns refer to `from`.
    pub cohort: BoolTree,
}

/// How an [`Exists`] hangs on the outer row. Equality of the patient is always implied.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Link {
    /// The same patient, nothing else.
    Patient,
    /// A column of the outer tree equals a column of the inner tree, along a declared foreign key.
    Columns {
        /// Column of the outer tree.
        outer: ColumnRef,
        /// Column of the inner tree.
        inner: ColumnRef,
    },
}

/// What cells are formed by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Dim {
    /// The value of a dimension column.
    Column(ColumnRef),
    /// A part of a date.
    DatePart {
        /// Which part.
        part: DatePart,
        /// A column of role date.
        column: ColumnRef,
    },
    /// The bin that a number falls into.
    Bin {
        /// What is put into bins.
        of: Number,
        /// Which bins there are.
        by: Bins,
    },
    /// The label of the code of a column of concepts; what the source said where it has no concept.
    Label(ColumnRef),
    /// The first of these concepts that the code of a column is or lies beneath; NULL where it is none of them.
    RollUp {
        /// A column of concepts.
        column: ColumnRef,
        /// The concepts, in the order in which they are tried; at least one.
        to: Vec<ConceptRef>,
    },
    /// What an expression makes of the text of a column.
    Recode {
        /// A dimension of type text.
        column: ColumnRef,
        /// Which value each text gets.
        by: Recode,
    },
}

/// Public bins of a number. At most [`MAX_BINS`](crate::validate::MAX_BINS).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Bins {
    /// Bins of one width from 0 on, each named by its lower end, which belongs to it: `floor(x / width) * width`. Values
    /// beyond the [public span](crate::bounds::bins) count in the first and the last bin; NULL has a bin of its own.
    /// The width has the type of the number and is a multiple of its grid.
    Width(Value),
    /// Bins with labels.
    Labels(Labels),
}

/// Bins between public edges, each with a label. Bins with equal labels are one cell.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Labels {
    /// Where a bin begins, in ascending order, at least one. The value itself belongs to the bin that begins if the
    /// edge is inclusive, which it always is for integers and days.
    pub edges: Vec<Endpoint>,
    /// The label below the first edge, then those of the bins that begin at the edges. `None` is NULL.
    pub labels: Vec<Option<Value>>,
    /// The label where the number is NULL.
    pub null: Option<Value>,
}

/// Parts of a date that may be grouped; the answer is an integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DatePart {
    /// The year, for example 2021.
    Year,
    /// 1 to 4.
    Quarter,
    /// 1 to 12.
    Month,
}

/// What is computed for every cell, over the rows of the cohort that also meet [`filter`](Self::filter).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// What is computed.
    pub of: Aggregate,
    /// `FILTER (WHERE ...)`; true when absent (`And([])`).
    pub filter: BoolTree,
}

/// The aggregates of the closed form.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Aggregate {
    /// Different patients. Integer.
    Patients,
    /// Joined rows. Integer.
    Rows,
    /// Different values of an identifier that belongs to one patient. Integer.
    Distinct(ColumnRef),
    /// Sum of a number. Integer or float, as the number.
    Sum(Number),
    /// Mean of a number. Float.
    Avg(Number),
    /// Variance of a number. Float.
    Variance {
        /// The number.
        of: Number,
        /// What it is divided by.
        over: Divisor,
    },
    /// The value below which a share of the numbers lies, between [public bins](crate::bounds::quantile_bins) or, for
    /// published data, between the numbers themselves (`percentile_cont`). Float.
    Quantile {
        /// The number.
        of: Number,
        /// The share: between 0 and 1.
        share: Real,
    },
}

/// What a sum of squared deviations is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Divisor {
    /// The number of rows: the variance of these rows.
    Population,
    /// One less: an estimate for more of their kind.
    Sample,
}

impl BoolTree {
    /// The condition that always holds.
    #[must_use]
    pub fn always() -> Self {
        Self::And(Vec::new())
    }

    /// Whether this is the condition that always holds.
    #[must_use]
    pub fn is_always(&self) -> bool {
        matches!(self, Self::And(all) if all.is_empty())
    }
}

impl DateOf {
    /// The column.
    #[must_use]
    pub fn column(&self) -> &ColumnRef {
        match self {
            Self::Own(column) | Self::Outer(column) => column,
        }
    }
}

impl Number {
    /// The columns that it is computed from.
    pub fn columns(&self) -> impl Iterator<Item = &ColumnRef> {
        let (first, second) = match self {
            Self::Column(column) => (column, None),
            Self::Days(Days { from, to }) => (from, Some(to)),
        };
        std::iter::once(first).chain(second)
    }
}

impl Dim {
    /// The columns that it is computed from.
    pub fn columns(&self) -> impl Iterator<Item = &ColumnRef> {
        let (column, number) = match self {
            Self::Column(column)
            | Self::DatePart { column, .. }
            | Self::Label(column)
            | Self::RollUp { column, .. }
            | Self::Recode { column, .. } => (Some(column), None),
            Self::Bin { of, .. } => (None, Some(of)),
        };
        column.into_iter().chain(number.into_iter().flat_map(Number::columns))
    }
}

impl Labels {
    /// The type of the labels, by one that is not NULL; `None` when all are.
    #[must_use]
    pub fn example(&self) -> Option<&Value> {
        self.labels.iter().chain([&self.null]).flatten().next()
    }
}

impl TableRef {
    /// A table by name, in any case.
    #[must_use]
    pub fn new(schema: &str, table: &str) -> Self {
        Self { schema: schema.to_lowercase(), table: table.to_lowercase() }
    }
}

impl ColumnRef {
    /// A column by the position of its table and its name, in any case.
    #[must_use]
    pub fn new(table: usize, column: &str) -> Self {
        Self { table, column: column.to_lowercase() }
    }
}
