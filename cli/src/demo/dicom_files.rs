//! Writes a hospital's images as DICOM files (PS3.10): small, and valid for their information object definition.
//!
//! Names tell nothing, as in archives. Bytes hang on the person's care alone, so files can be written in any order.

mod dataset;
mod instance;
mod modalities;
mod projection;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use dicom_dictionary_std::uids;
use dicom_object::meta::FileMetaTableBuilder;

use self::dataset::Dataset;
use self::instance::{Instance, Session};
use super::care::Care;
use super::dice::Dice;
use super::imaging::{Imaging, Series, Study};
use super::person::Person;
use super::population::{Hospital, Population};

/// Names this writer in the file meta information (PS3.7 annex D.3.3.2).
const IMPLEMENTATION: &str = "2.25.188530129917304098163577391265443870209";

/// An odd number, by which numbers of persons become names of folders that differ and tell nothing.
const SCATTER: u32 = 0x9E37_79B1;

/// How the files of an archive are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// A folder a patient, `IM000001`: at most eight characters, no extension (PS3.10 section 8.5).
    Media,
    /// Random names ending in `.dcm`, spread over 256 folders.
    Store,
}

/// A folder of DICOM files.
pub(super) struct DicomFiles<'a> {
    folder: PathBuf,
    layout: Layout,
    population: &'a Population,
    hospital: &'a Hospital,
}

impl<'a> DicomFiles<'a> {
    /// Starts the folder, which is empty.
    pub(super) fn create(
        folder: &Path,
        layout: Layout,
        population: &'a Population,
        hospital: &'a Hospital,
    ) -> Result<Self> {
        if layout == Layout::Store {
            for first in 0..=u8::MAX {
                fs::create_dir_all(folder.join(format!("{first:02x}")))?;
            }
        }
        Ok(Self { folder: folder.to_owned(), layout, population, hospital })
    }

    /// Writes all files of a patient.
    pub(super) fn write(&self, care: &Care<'_>) -> Result<()> {
        let Some(imaging) = &care.imaging else { return Ok(()) };
        let folder = self.folder_of(&care.person)?;
        let (mut bytes, mut files) = (Vec::new(), 0);
        for study in &imaging.studies {
            let session = Session::of(study);
            for series in &study.series {
                let mut dice = Dice::named(&series.uid);
                let syntax = self.transfer_syntax(&mut dice);
                for number in 1..=series.instances {
                    let uid = dice.uid();
                    files += 1;
                    let path = self.path(&folder, &uid, files);
                    let instance =
                        Instance { number, uid, ..self.first(care, imaging, study, &session, series) };
                    bytes.clear();
                    encode(&instance, syntax, &mut bytes)?;
                    fs::write(&path, &bytes).with_context(|| path.display().to_string())?;
                }
            }
        }
        Ok(())
    }

    /// The first instance of a series, without its UID.
    fn first<'b>(
        &'b self,
        care: &'b Care<'b>,
        imaging: &'b Imaging<'b>,
        study: &'b Study<'b>,
        session: &'b Session,
        series: &'b Series<'b>,
    ) -> Instance<'b> {
        // Of an unknown body part nobody knows whether it is one of two.
        let paired = series
            .body_part
            .is_none_or(|term| self.population.body_part(term).is_some_and(|part| part.paired));
        Instance {
            hospital: self.hospital,
            person: &care.person,
            sex: imaging.sex,
            study,
            session,
            series,
            paired,
            number: 1,
            uid: String::new(),
        }
    }

    /// Implicit VR is the default of the standard, and old archives have it.
    fn transfer_syntax(&self, dice: &mut Dice) -> &'static str {
        if dice.chance(self.population.dirt.files_implicit) {
            uids::IMPLICIT_VR_LITTLE_ENDIAN
        } else {
            uids::EXPLICIT_VR_LITTLE_ENDIAN
        }
    }

    /// Where the patient's files lie.
    fn folder_of(&self, person: &Person<'_>) -> Result<PathBuf> {
        match self.layout {
            Layout::Store => Ok(self.folder.clone()),
            Layout::Media => {
                let folder = self.folder.join(format!("{:08X}", person.number.wrapping_mul(SCATTER)));
                fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
                Ok(folder)
            }
        }
    }

    fn path(&self, folder: &Path, uid: &str, number: u32) -> PathBuf {
        match self.layout {
            Layout::Media => folder.join(format!("IM{number:06}")),
            Layout::Store => {
                let name = Dice::named(uid).uuid();
                folder.join(&name[..2]).join(format!("{name}.dcm"))
            }
        }
    }
}

/// Encodes an instance as a file.
fn encode(instance: &Instance<'_>, syntax: &str, to: &mut Vec<u8>) -> Result<()> {
    let mut dataset = Dataset::new();
    instance.common(&mut dataset);
    modalities::complete(instance, &mut dataset)?;
    let meta = FileMetaTableBuilder::new()
        .media_storage_sop_class_uid(instance.series.sop_class)
        .media_storage_sop_instance_uid(instance.uid.as_str())
        .transfer_syntax(syntax)
        .implementation_class_uid(IMPLEMENTATION)
        .implementation_version_name("CAIM_DEMO")
        .build()?;
    dataset.into_object().with_exact_meta(meta).write_all(to)?;
    Ok(())
}
