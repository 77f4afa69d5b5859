//! Writes the sources of a hospital: its images and its records, about the same patients, each as the hospital has them.
//!
//! Generation streams patient by patient, and the same plan gives the same bytes.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use caim_connectors::Format;
use caim_ontology::Models;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::care::Care;
use super::dicom_files::{DicomFiles, Layout};
use super::dicom_table::DicomTable;
use super::fhir::{Bundles, Lines};
use super::omop::OmopFolder;
use super::person::{Plan, numbers};
use super::population::{Hospital, ImagesForm, Population, RecordsForm};

/// So many patients are drawn and written at once.
const CHUNK: usize = 256;

/// One source of a hospital.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What it is.
    pub kind: Kind,
    /// The file or folder.
    pub path: PathBuf,
}

/// What a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A folder of DICOM files.
    DicomFiles,
    /// A Parquet table with a row a DICOM series.
    DicomTable,
    /// A folder of OMOP tables as CSV.
    Omop,
    /// A folder of FHIR resources as lines of JSON.
    FhirLines,
    /// A folder of FHIR bundles.
    FhirBundles,
}

impl Kind {
    /// The connector that reads it.
    #[must_use]
    pub fn format(self) -> Format {
        match self {
            Self::DicomFiles => Format::Dicom,
            Self::DicomTable => Format::DicomTable,
            Self::Omop => Format::Omop,
            Self::FhirLines | Self::FhirBundles => Format::Fhir,
        }
    }

    /// Its file or folder, below those of the hospital.
    fn name(self) -> &'static str {
        match self {
            Self::DicomFiles => "dicom",
            Self::DicomTable => "series.parquet",
            Self::Omop => "omop",
            Self::FhirLines | Self::FhirBundles => "fhir",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DicomFiles => "DICOM files",
            Self::DicomTable => "DICOM table",
            Self::Omop => "OMOP CSV",
            Self::FhirLines => "FHIR NDJSON",
            Self::FhirBundles => "FHIR bundles",
        })
    }
}

/// Writes the sources of the hospital at `position` in the population into `folder`: images, then records. What was
/// there of them is removed.
///
/// # Errors
/// When a file cannot be written.
pub fn generate(population: &Population, plan: Plan, position: usize, folder: &Path) -> Result<Vec<Source>> {
    let hospital = population.at(position)?;
    let sources = [hospital.images.kind(), hospital.records.kind()].map(|kind| Source::at(folder, kind));
    for source in &sources {
        source.clear().with_context(|| source.path.display().to_string())?;
    }
    let [images, records] = &sources;
    let mut images = Images::create(&images.path, population, hospital)?;
    let mut records = Records::create(&records.path, population, hospital)?;
    let numbers: Vec<u32> = numbers(population, plan, position).collect();
    for chunk in numbers.chunks(CHUNK) {
        let drawn = chunk.par_iter().map(|number| Care::draw(population, plan, position, *number));
        let cares: Vec<Care<'_>> = drawn.collect::<Result<_>>()?;
        images.write(&cares)?;
        records.write(population, &cares)?;
    }
    images.close()?;
    records.close()?;
    Ok(sources.to_vec())
}

impl Source {
    fn at(folder: &Path, kind: Kind) -> Self {
        Self { kind, path: folder.join(kind.name()) }
    }

    /// Makes room: an empty folder, or a folder for the file.
    fn clear(&self) -> std::io::Result<()> {
        if self.path.is_dir() {
            fs::remove_dir_all(&self.path)?;
        }
        match self.kind {
            Kind::DicomTable => fs::create_dir_all(self.path.parent().unwrap_or(&self.path)),
            Kind::DicomFiles | Kind::Omop | Kind::FhirLines | Kind::FhirBundles => {
                fs::create_dir_all(&self.path)
            }
        }
    }
}

impl ImagesForm {
    fn kind(self) -> Kind {
        match self {
            Self::Media | Self::Store => Kind::DicomFiles,
            Self::Table => Kind::DicomTable,
        }
    }
}

impl RecordsForm {
    fn kind(self) -> Kind {
        match self {
            Self::Omop => Kind::Omop,
            Self::FhirNdjson => Kind::FhirLines,
            Self::FhirBundles => Kind::FhirBundles,
        }
    }
}

/// The images that are being written.
enum Images<'a> {
    Files(DicomFiles<'a>),
    Table(Box<DicomTable<'a>>),
}

impl<'a> Images<'a> {
    fn create(path: &Path, population: &'a Population, hospital: &'a Hospital) -> Result<Self> {
        let files = |layout| DicomFiles::create(path, layout, population, hospital).map(Self::Files);
        match hospital.images {
            ImagesForm::Media => files(Layout::Media),
            ImagesForm::Store => files(Layout::Store),
            ImagesForm::Table => Ok(Self::Table(Box::new(DicomTable::create(path, &hospital.name)?))),
        }
    }

    fn write(&mut self, cares: &[Care<'a>]) -> Result<()> {
        match self {
            Self::Files(files) => cares.par_iter().try_for_each(|care| files.write(care)),
            Self::Table(table) => cares.iter().try_for_each(|care| table.write(care)),
        }
    }

    fn close(self) -> Result<()> {
        match self {
            Self::Files(_) => Ok(()),
            Self::Table(table) => table.close(),
        }
    }
}

/// The records that are being written.
enum Records<'a> {
    Omop(Box<OmopFolder>),
    Lines(Lines<'a>),
    Bundles(Bundles<'a>),
}

impl<'a> Records<'a> {
    fn create(path: &Path, population: &'a Population, hospital: &'a Hospital) -> Result<Self> {
        Ok(match hospital.records {
            RecordsForm::Omop => {
                let folder = OmopFolder::create(path, &Models::bundled()?, population, hospital)?;
                Self::Omop(Box::new(folder))
            }
            RecordsForm::FhirNdjson => Self::Lines(Lines::create(path, population, hospital)?),
            RecordsForm::FhirBundles => Self::Bundles(Bundles::create(path, population, hospital)?),
        })
    }

    fn write(&mut self, population: &Population, cares: &[Care<'_>]) -> Result<()> {
        match self {
            Self::Omop(folder) => cares.iter().try_for_each(|care| folder.write(population, care)),
            Self::Lines(lines) => lines.write(cares),
            Self::Bundles(bundles) => bundles.write(cares),
        }
    }

    fn close(self) -> Result<()> {
        match self {
            Self::Omop(folder) => folder.close(),
            Self::Lines(lines) => lines.close(),
            Self::Bundles(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
