//! Writes the sources of a hospital: its DICOM table and its OMOP folder, about the same patients.
//!
//! Generation streams patient by patient, and the same plan gives the same bytes.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use caim_ontology::Models;

use super::dice::{Dice, Purpose};
use super::dicom_table::DicomTable;
use super::imaging;
use super::omop::OmopFolder;
use super::person::{Person, Plan, numbers};
use super::population::{Hospital, Population};

/// Where the sources of one hospital lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// The DICOM table.
    pub dicom: PathBuf,
    /// The folder with one OMOP table a file.
    pub omop: PathBuf,
}

/// Writes the sources of the hospital at `position` in the population into `folder`.
///
/// # Errors
/// When a file cannot be written.
pub fn generate(population: &Population, plan: Plan, position: usize, folder: &Path) -> Result<Sources> {
    let hospital = population.hospital.get(position).context("there is no such hospital")?;
    let sources = Sources { dicom: folder.join(hospital.table.file_name()), omop: folder.join("omop") };
    std::fs::create_dir_all(&sources.omop).with_context(|| sources.omop.display().to_string())?;
    let mut tables = Tables {
        dicom: DicomTable::create(&sources.dicom, hospital.table, &hospital.name)?,
        omop: OmopFolder::create(&sources.omop, &Models::bundled()?, population, hospital)?,
    };
    for number in numbers(population, plan, position) {
        let person = Person::draw(population, plan, number)?;
        let care = Purpose::Care(u16::try_from(position)?);
        tables.write(population, hospital, &person, &mut Dice::new(plan.seed, care, number))?;
    }
    tables.dicom.close()?;
    tables.omop.close()?;
    Ok(sources)
}

struct Tables<'a> {
    dicom: DicomTable<'a>,
    omop: OmopFolder,
}

impl<'a> Tables<'a> {
    /// Most patients are in both sources; nobody is in none.
    fn write(
        &mut self,
        population: &'a Population,
        hospital: &'a Hospital,
        person: &Person<'a>,
        dice: &mut Dice,
    ) -> Result<()> {
        let imaged = !dice.chance(population.dirt.without_images);
        let recorded = !imaged || !dice.chance(population.dirt.without_omop);
        if imaged {
            let sex = imaging::recorded_sex(person, population, dice);
            for study in imaging::studies(population, hospital, person, dice)? {
                self.dicom.write(person, sex, study)?;
            }
        }
        if recorded {
            self.omop.write(population, person, dice)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
