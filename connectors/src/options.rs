//! What an operator says about a source.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::since::Since;
use crate::{Code, Duplicates, Error, Result};

/// How a source is ingested.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IngestOptions {
    /// Which connector reads it.
    pub format: Format,
    /// To which collection its records belong.
    pub collection: Collection,
    /// Which of two records with one key and different content stays.
    pub duplicates: Duplicates,
    /// Read and report, commit nothing.
    pub dry_run: bool,
    /// Read the first so many rows of each table and report, commit nothing.
    pub sample: Option<u64>,
    /// The folder of the node's mapping files for tables.
    pub tables: Option<PathBuf>,
    /// The file with the token that a web server wants.
    pub token_file: Option<PathBuf>,
    /// A source without rows may replace one with rows.
    pub allow_empty: bool,
    /// The folder that gets a table of all rejects.
    pub rejects: Option<PathBuf>,
    /// Refused files are copied to the table of rejects.
    pub copy_refused: bool,
    /// A keyed hash stands in the place of each path of the source in whatever an ingest tells.
    pub hash_paths: bool,
    /// Only what has changed since then is asked for.
    pub since: Option<Since>,
}

/// A connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Whichever fits what is there.
    #[default]
    Auto,
    /// DICOM objects (PS3.10).
    Dicom,
    /// A table with a row a series whose columns are DICOM keywords.
    DicomTable,
    /// FHIR R4 resources as bundles or lines of JSON.
    Fhir,
    /// The OMOP common data model, 5.3 or 5.4.
    Omop,
    /// Clinical tables of any shape, by a mapping file.
    Table,
}

/// The collection of the records of a source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Collection {
    /// All records belong to this one.
    Id(String),
    /// This column of the source names it, row by row.
    Column(String),
    /// The node's one collection, called `default`.
    #[default]
    Default,
}

impl IngestOptions {
    /// That `what` may be read as `format`, the only one that it has.
    ///
    /// # Errors
    /// When the operator said another format.
    pub(crate) fn reads_as(&self, format: Format, what: &str) -> Result<()> {
        if [Format::Auto, format].contains(&self.format) {
            return Ok(());
        }
        let reason = format!("{what} is read as {format}, not as {}", self.format);
        Err(Error::new(Code::Option, "--format", reason))
    }

    /// That records of a format are compared by their keys, if the operator says which of them stays.
    ///
    /// # Errors
    /// When they are not.
    pub(crate) fn compares(&self, format: Format) -> Result<()> {
        match (self.duplicates, format) {
            (Duplicates::Skip, _) | (_, Format::Dicom | Format::DicomTable | Format::Fhir) => Ok(()),
            (rule, Format::Omop | Format::Table | Format::Auto) => {
                let reason =
                    format!("rows of {format} are not compared by their keys, so that {rule} means nothing");
                Err(Error::new(Code::Option, "--duplicates", reason))
            }
        }
    }

    /// Whether rows are committed.
    pub(crate) fn commits(&self) -> bool {
        !self.dry_run && self.sample.is_none()
    }
}

impl Collection {
    /// The one collection of all records; `None` when a column says it.
    pub(crate) fn id(&self) -> Option<&str> {
        match self {
            Self::Id(id) => Some(id),
            Self::Column(_) => None,
            Self::Default => Some("default"),
        }
    }
}

impl Format {
    /// All of them, in the order of their names.
    pub const ALL: [Self; 6] =
        [Self::Auto, Self::Dicom, Self::DicomTable, Self::Fhir, Self::Omop, Self::Table];

    /// The name on the command line and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Dicom => "dicom",
            Self::DicomTable => "dicom-table",
            Self::Fhir => "fhir",
            Self::Omop => "omop",
            Self::Table => "table",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        let names = Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|format| format.name() == text);
        found.ok_or_else(|| format!("`{text}` is no format: write one of {names}"))
    }
}
