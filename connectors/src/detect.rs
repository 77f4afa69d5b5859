//! Which connector a source is for, by the names of its files and columns.

use caim_ontology::Models;

use crate::mapping;
use crate::omop::Files;
use crate::report::Skipped;
use crate::rows::Opened;
use crate::source::{Member, Source};
use crate::{Code, Error, Format, Result};

/// The column that makes a table a dicom-table.
const SERIES: &str = "SeriesInstanceUID";

/// What is read of a source, and by which connector.
pub(crate) enum Plan<'m> {
    /// Tables of series.
    DicomTable(Vec<Member>),
    /// OMOP tables by name.
    Omop(Files<'m>),
}

impl<'m> Plan<'m> {
    /// The plan for a source with at least one readable file, and the files that are not part of it.
    ///
    /// # Errors
    /// When no connector, or not the one asked for, finds anything.
    pub(crate) fn new(source: &Source, models: &'m Models, format: Format) -> Result<(Self, Vec<Skipped>)> {
        match format {
            Format::Omop => Self::omop(source, models),
            Format::DicomTable => Self::dicom_table(source)?.ok_or_else(|| unknown(source)),
            Format::Auto => Self::detected(source, models),
        }
    }

    /// A plan that reads nothing.
    pub(crate) fn nothing(format: Format) -> Option<Self> {
        match format {
            Format::DicomTable => Some(Self::DicomTable(Vec::new())),
            Format::Omop => Some(Self::Omop(Files::default())),
            Format::Auto => None,
        }
    }

    /// The connector.
    pub(crate) fn format(&self) -> Format {
        match self {
            Self::DicomTable(_) => Format::DicomTable,
            Self::Omop(_) => Format::Omop,
        }
    }

    fn omop(source: &Source, models: &'m Models) -> Result<(Self, Vec<Skipped>)> {
        let (files, skipped) = Files::of(source, models)?;
        if files.is_empty() { Err(unknown(source)) } else { Ok((Self::Omop(files), skipped)) }
    }

    /// The members with a column of series; `None` if there is none.
    fn dicom_table(source: &Source) -> Result<Option<(Self, Vec<Skipped>)>> {
        let (mut tables, mut skipped) = (Vec::new(), Vec::new());
        for member in &source.members {
            if mapping::position(&Opened::open(member)?.header, SERIES).is_some() {
                tables.push(member.clone());
            } else {
                let reason = format!("no column {SERIES}");
                skipped.push(Skipped { path: member.name.clone(), reason });
            }
        }
        Ok((!tables.is_empty()).then_some((Self::DicomTable(tables), skipped)))
    }

    /// A PERSON table makes a source OMOP; else a column of series makes it a dicom-table; else any other OMOP
    /// table makes it OMOP. So a table of series that is called `note.csv` is what it is.
    fn detected(source: &Source, models: &'m Models) -> Result<(Self, Vec<Skipped>)> {
        if models.model("omop").is_some() && Files::name_persons(source, models) {
            return Self::omop(source, models);
        }
        match Self::dicom_table(source)? {
            Some(plan) => Ok(plan),
            None => Self::omop(source, models),
        }
    }
}

fn unknown(source: &Source) -> Error {
    let reason = format!(
        "none of its {} CSV or Parquet files has a column {SERIES} or the name of an OMOP table (PERSON, ...)",
        source.members.len()
    );
    Error::new(Code::UnknownFormat, source.path.display(), reason)
}
