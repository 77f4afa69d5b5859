//! What came in, what did not, and why: for the operator alone, since it names files and lines.
//!
//! It holds no value of a record. Lists are bounded, their counts are not.

mod display;

use serde::{Deserialize, Serialize};

use crate::{Code, Stage};

/// The outcome of one ingest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The source, as an absolute path.
    pub source: String,
    /// The connector that read it: `dicom`, `dicom-table`, `fhir` or `omop`.
    pub format: String,
    /// The collection of the records; `None` when a column of the source says it.
    pub collection: Option<String>,
    /// The batch that holds the rows; `None` when nothing was committed.
    pub batch: Option<u64>,
    /// The epoch that answers now.
    pub epoch: u64,
    /// The source is the same as at its last ingest: nothing was done.
    pub unchanged: bool,
    /// Rows of every table, in the order in which they were read.
    pub tables: Vec<TableReport>,
    /// Rows that did not come in: the first of each table.
    pub rejects: Vec<Reject>,
    /// Records with one key and different content: the first ones.
    #[serde(default)]
    pub conflicts: Vec<Conflict>,
    /// The file that lists all rejects, if the operator asked for one.
    #[serde(default)]
    pub rejects_file: Option<String>,
    /// Files that were not read, or whose rows were there already: the first ones.
    pub skipped: Vec<Skipped>,
    /// Columns that the data model does not have.
    pub left_out: Vec<LeftOut>,
    /// What is doubtful about rows that came in.
    pub warnings: Vec<Warning>,
    /// Attributes of DICOM objects that are not stored, the most frequent first.
    #[serde(default)]
    pub removed: Vec<Removed>,
    /// The tables that were derived from these rows and all others.
    pub derived: BuildReport,
}

/// The outcome of one build of the derived tables.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BuildReport {
    /// The epoch that answers now; 0 where the build is part of an ingest.
    pub epoch: u64,
    /// Rows of every derived table, in the order in which they were made.
    pub tables: Vec<TableReport>,
    /// How much of what sources say has a concept.
    pub coverage: Vec<Coverage>,
    /// What is doubtful about derived rows.
    pub warnings: Vec<Warning>,
}

/// How many rows of a coded column have a concept. Rows about which the source says nothing are not counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Schema and table.
    pub table: String,
    /// The coded column.
    pub column: String,
    /// Rows with a concept.
    pub mapped: u64,
    /// Rows whose source value has none: they keep it in `<column>_original`.
    pub unmapped: u64,
}

/// Rows of one table. `read = kept + duplicates + rejected + forgotten + superseded`: [`TableReport::accounted`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableReport {
    /// Schema and table: `omop.person`.
    pub name: String,
    /// Rows in the source, without blank lines.
    pub read: u64,
    /// Rows that are in the warehouse now.
    pub kept: u64,
    /// Rows that were in the warehouse, or earlier in the source, with the same values.
    pub duplicates: u64,
    /// Rows that could not come in.
    pub rejected: u64,
    /// Rows of patients whom the operator had the node forget.
    #[serde(default)]
    pub forgotten: u64,
    /// Rows of this source that gave way to another record with their key.
    #[serde(default)]
    pub superseded: u64,
    /// Rows of other sources that gave way to a record of this one.
    #[serde(default)]
    pub displaced: u64,
    /// How many times a record met another one with its key and different content.
    #[serde(default)]
    pub conflicts: u64,
}

/// Two records with one key and different content, each by a keyed hash of what is stored of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// Schema and table.
    pub table: String,
    /// The content that stays.
    pub stays: String,
    /// The content that does not come in, or leaves.
    pub gives_way: String,
}

impl TableReport {
    /// A table of which nothing was read yet.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let name = name.to_owned();
        Self {
            name,
            read: 0,
            kept: 0,
            duplicates: 0,
            rejected: 0,
            forgotten: 0,
            superseded: 0,
            displaced: 0,
            conflicts: 0,
        }
    }

    /// Rows whose fate is known: as many as were read.
    #[must_use]
    pub fn accounted(&self) -> u64 {
        self.kept + self.duplicates + self.rejected + self.forgotten + self.superseded
    }
}

/// A row that did not come in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// Schema and table.
    pub table: String,
    /// The file, by its path inside the source.
    pub file: String,
    /// Line of a text file, row of a Parquet file, or entry of a Bundle, where the first is 1; 0 where the file is one
    /// row, as a DICOM object is.
    pub line: u64,
    /// How far it came.
    pub stage: Stage,
    /// Which rule.
    pub code: Code,
    /// What is wrong with the row.
    pub reason: String,
    /// What to do.
    pub fix: String,
}

/// How many rows or files of a table a rule has rejected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// Schema and table.
    pub table: String,
    /// Which rule.
    pub code: Code,
    /// How many.
    pub rows: u64,
}

/// A file that was not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Path inside the source.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// A column that was not read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LeftOut {
    /// Schema and table.
    pub table: String,
    /// The column as its header spells it.
    pub column: String,
}

/// An attribute of DICOM objects that was left out at the door.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// Keyword of the attribute (PS3.6); `private`, `unknown` (in no dictionary) and `preamble` stand for themselves.
    pub attribute: String,
    /// How many times it had a value. A sequence counts once with all that is in it.
    pub count: u64,
}

/// Something doubtful about rows that came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// Which rule.
    pub code: Code,
    /// Schema and table.
    pub table: String,
    /// The column, where it is about one.
    pub column: Option<String>,
    /// How many rows or values.
    pub count: u64,
    /// The first lines or rows it is about, where they are known.
    pub lines: Vec<u64>,
}

impl Report {
    /// Whether rows did not come in, so that the operator should look: exit code 3 of the command line.
    #[must_use]
    pub fn has_rejects(&self) -> bool {
        self.tables.iter().any(|table| table.rejected > 0)
    }

    /// Rows kept, over all tables.
    #[must_use]
    pub fn kept(&self) -> u64 {
        self.tables.iter().map(|table| table.kept).sum()
    }
}
