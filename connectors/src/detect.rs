//! Which connector a source is for, by the names and the beginnings of its files.

use std::collections::HashSet;
use std::path::Path;

use caim_ontology::Models;

use crate::omop::Files;
use crate::report::Skipped;
use crate::rows::Opened;
use crate::source::{Kind, Member, Source};
use crate::table::TableMapping;
use crate::{Code, Error, Format, IngestOptions, Result, dicom, fhir, mapping};

/// The column that makes a table a dicom-table.
const SERIES: &str = "SeriesInstanceUID";

/// So many files without a telling name are looked into before a source counts as one without DICOM objects or FHIR.
const SNIFFED: usize = 64;

/// What is read of a source, and by which connector.
pub(crate) enum Plan<'m> {
    /// DICOM objects, and files that may be.
    Dicom(Vec<Member>),
    /// Tables of series.
    DicomTable(Vec<Member>),
    /// FHIR resources.
    Fhir(Vec<Member>),
    /// OMOP tables by name.
    Omop(Files<'m>),
    /// Clinical tables, each with its mapping file.
    Table(Vec<(Member, TableMapping)>),
}

/// A plan, and the files that are not part of it.
type Planned<'m> = (Plan<'m>, Vec<Skipped>);

impl<'m> Plan<'m> {
    /// The plan for a source with at least one readable file, and the files that are not part of it.
    ///
    /// # Errors
    /// When no connector, or not the one asked for, finds anything.
    pub(crate) fn new(source: &Source, models: &'m Models, options: &IngestOptions) -> Result<Planned<'m>> {
        let mapped = || Self::mapped(source, models, options.tables.as_deref());
        let found = match options.format {
            Format::Auto => return mapped()?.map_or_else(|| Self::detected(source, models), Ok),
            Format::Table => return mapped()?.ok_or_else(|| unmapped(source)),
            Format::Dicom => Some(Self::dicom(source)),
            Format::DicomTable => Self::dicom_table(source)?,
            Format::Fhir => Self::fhir(source),
            Format::Omop => Self::omop(source, models)?,
        };
        found.ok_or_else(|| unknown(source))
    }

    /// A plan that reads nothing.
    pub(crate) fn nothing(format: Format) -> Option<Self> {
        match format {
            Format::Dicom => Some(Self::Dicom(Vec::new())),
            Format::DicomTable => Some(Self::DicomTable(Vec::new())),
            Format::Fhir => Some(Self::Fhir(Vec::new())),
            Format::Omop => Some(Self::Omop(Files::default())),
            Format::Table => Some(Self::Table(Vec::new())),
            Format::Auto => None,
        }
    }

    /// The connector.
    pub(crate) fn format(&self) -> Format {
        match self {
            Self::Dicom(_) => Format::Dicom,
            Self::DicomTable(_) => Format::DicomTable,
            Self::Fhir(_) => Format::Fhir,
            Self::Omop(_) => Format::Omop,
            Self::Table(_) => Format::Table,
        }
    }

    /// What else than bytes and models decides what the rows become.
    pub(crate) fn rules(&self) -> Vec<&str> {
        match self {
            Self::Table(members) => members.iter().map(|(_, mapping)| mapping.text.as_str()).collect(),
            Self::Dicom(_) | Self::DicomTable(_) | Self::Fhir(_) | Self::Omop(_) => Vec::new(),
        }
    }

    /// The names of the members that are read.
    pub(crate) fn names(&self) -> HashSet<&str> {
        match self {
            Self::Dicom(members) | Self::DicomTable(members) | Self::Fhir(members) => {
                members.iter().map(|member| member.name.as_str()).collect()
            }
            Self::Table(members) => members.iter().map(|(member, _)| member.name.as_str()).collect(),
            Self::Omop(files) => {
                files.in_order().flat_map(|(_, members)| members).map(|member| member.name.as_str()).collect()
            }
        }
    }

    /// The tables for which there is a mapping file: in the node's folder, or beside the file under its name.
    fn mapped(source: &Source, models: &'m Models, folder: Option<&Path>) -> Result<Option<Planned<'m>>> {
        let known = folder.map_or(Ok(Vec::new()), |folder| TableMapping::of_folder(folder, models))?;
        let (mut tables, mut skipped) = (Vec::new(), others(source, &[Kind::Text, Kind::Parquet]));
        for member in source.tables() {
            let beside = source.beside(member, "toml").filter(|path| path.is_file());
            let mapping = match (beside, known.iter().find(|mapping| mapping.fits(&member.name))) {
                (Some(path), _) => Some(TableMapping::read(&path, models)?),
                (None, known) => known.cloned(),
            };
            match mapping {
                Some(mapping) => tables.push((member.clone(), mapping)),
                None => {
                    let reason = "no mapping file is for it".to_owned();
                    skipped.push(Skipped { path: member.name.clone(), reason });
                }
            }
        }
        Ok((!tables.is_empty()).then_some((Self::Table(tables), skipped)))
    }

    /// In this order: a PERSON table makes a source OMOP; a column of series makes it a dicom-table; any other OMOP
    /// table makes it OMOP; a resource in JSON makes it FHIR; an object among files of other names makes it DICOM;
    /// any JSON makes it FHIR, so that what is wrong with it is said.
    fn detected(source: &Source, models: &'m Models) -> Result<Planned<'m>> {
        let has_omop = models.model("omop").is_some();
        if has_omop && Files::name_persons(source, models) {
            return Self::omop(source, models)?.ok_or_else(|| unknown(source));
        }
        if let Some(plan) = Self::dicom_table(source)? {
            return Ok(plan);
        }
        if let Some(plan) = if has_omop { Self::omop(source, models)? } else { None } {
            return Ok(plan);
        }
        if !has_resource(source)? && has_object(source)? {
            return Ok(Self::dicom(source));
        }
        Self::fhir(source).ok_or_else(|| unknown(source))
    }

    /// All files: an object may have any name, and one without its preamble any beginning.
    fn dicom(source: &Source) -> Planned<'m> {
        (Self::Dicom(source.members.clone()), Vec::new())
    }

    /// The members with a column of series.
    fn dicom_table(source: &Source) -> Result<Option<Planned<'m>>> {
        let (mut tables, mut skipped) = (Vec::new(), others(source, &[Kind::Text, Kind::Parquet]));
        for member in source.tables() {
            if mapping::position(&Opened::open(member)?.header, SERIES).is_some() {
                tables.push(member.clone());
            } else {
                let reason = format!("no column {SERIES}");
                skipped.push(Skipped { path: member.name.clone(), reason });
            }
        }
        Ok((!tables.is_empty()).then_some((Self::DicomTable(tables), skipped)))
    }

    fn fhir(source: &Source) -> Option<Planned<'m>> {
        let members: Vec<Member> = source.of_kind(&[Kind::Json]).cloned().collect();
        (!members.is_empty()).then(|| (Self::Fhir(members), others(source, &[Kind::Json])))
    }

    fn omop(source: &Source, models: &'m Models) -> Result<Option<Planned<'m>>> {
        let (files, mut skipped) = Files::of(source, models)?;
        skipped.extend(others(source, &[Kind::Text, Kind::Parquet]));
        Ok((!files.is_empty()).then_some((Self::Omop(files), skipped)))
    }
}

/// The members that are none of these kinds.
fn others(source: &Source, kinds: &[Kind]) -> Vec<Skipped> {
    let others = source.members.iter().filter(|member| !kinds.contains(&member.kind));
    others
        .map(|member| {
            let reason = match member.kind {
                Kind::Text | Kind::Parquet => "a table; ingest its folder by itself if it is meant",
                Kind::Json => "JSON; ingest its folder by itself if it is FHIR",
                Kind::Other => "neither a table nor JSON",
            };
            Skipped { path: member.name.clone(), reason: reason.to_owned() }
        })
        .collect()
}

fn has_resource(source: &Source) -> Result<bool> {
    for member in source.of_kind(&[Kind::Json]).take(SNIFFED) {
        if fhir::has_resource(member)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A file that may not be read is no reason to look into no other.
fn has_object(source: &Source) -> Result<bool> {
    let mut outcome = Ok(false);
    for member in source.of_kind(&[Kind::Other]).take(SNIFFED) {
        match dicom::is_object(member) {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(unreadable) => outcome = outcome.and(Err(unreadable)),
        }
    }
    outcome
}

fn unmapped(source: &Source) -> Error {
    let reason = "no mapping file in DIR/tables is for one of its files, and none lies beside one";
    Error::new(Code::TableMapping, source.path.display(), reason).with_fix(
        "write DIR/tables/NAME.toml with `files = [\"...\"]`; docs/node-operators.md has an example",
    )
}

fn unknown(source: &Source) -> Error {
    let reason = format!(
        "none of its {} files is a DICOM object, FHIR in JSON, a table with a column {SERIES} or one with the \
         name of an OMOP table (PERSON, ...)",
        source.members.len()
    );
    Error::new(Code::UnknownFormat, source.path.display(), reason)
}
