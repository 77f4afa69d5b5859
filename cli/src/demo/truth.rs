//! The plain facts of a generated hospital, so that an answer can be compared with a count by hand.
//!
//! They come from the same draws as the files, and from neither the files nor the engine: who reads a file wrongly, or
//! counts wrongly, disagrees with them.
//!
//! ```
//! use caim::demo::{Plan, Population, truth::facts};
//!
//! # fn main() -> anyhow::Result<()> {
//! let population = Population::bundled()?;
//! let plan = Plan { seed: 1, patients: 100 };
//! let patients = facts(&population, plan, 0)?.collect::<anyhow::Result<Vec<_>>>()?;
//! let prostate = patients.iter().filter(|of| of.diagnosis.snomed == "399068003");
//! let with_mr = prostate.filter(|of| of.modalities().contains("MR")).count();
//! assert!(with_mr < patients.len());
//! # Ok(())
//! # }
//! ```

use std::collections::BTreeSet;

use anyhow::Result;
use chrono::NaiveDate;

use super::care::Care;
use super::concepts::Concepts;
use super::imaging::{self, Imaging};
use super::person::{Person, Plan, Sex, numbers};
use super::population::Population;
use super::records::{Coding, Finding, Records, Value};

/// One patient of a hospital. No `Debug`: not even an invented patient is printed by accident.
#[derive(Clone, PartialEq)]
pub struct Facts {
    /// PatientID in DICOM, medical record number in FHIR, person_source_value in OMOP.
    pub patient_id: String,
    /// Sex in truth, whatever a source recorded.
    pub sex: Sex,
    /// Date of birth.
    pub birth: NaiveDate,
    /// Date of death, if it is before the extract.
    pub death: Option<NaiveDate>,
    /// The cancer in truth, whatever a source recorded.
    pub diagnosis: Diagnosis,
    /// What the images' source has; `None` where it does not know the patient.
    pub images: Option<Images>,
    /// What the records' source has; `None` where it does not know the patient.
    pub records: Option<Recorded>,
}

/// A cancer.
#[derive(Clone, PartialEq)]
pub struct Diagnosis {
    /// Name in the population.
    pub cancer: String,
    /// OMOP's concept.
    pub concept: i64,
    /// SNOMED CT code.
    pub snomed: String,
    /// ICD-10 code.
    pub icd10: String,
    /// When it was diagnosed.
    pub date: NaiveDate,
    /// Age then, in completed years.
    pub age: u32,
    /// 1 to 4.
    pub stage: u8,
    /// From 1, where the cancer is graded: of prostate cancer the Gleason grade group.
    pub grade: Option<u8>,
}

/// What an archive has of a patient.
#[derive(Clone, PartialEq)]
pub struct Images {
    /// PatientSex: M, F, O or nothing.
    pub sex: Option<&'static str>,
    /// The studies.
    pub studies: Vec<Study>,
}

/// A DICOM study.
#[derive(Clone, PartialEq)]
pub struct Study {
    /// StudyInstanceUID.
    pub uid: String,
    /// StudyDate.
    pub date: NaiveDate,
    /// PatientAge in years.
    pub age: Option<u32>,
    /// Its series.
    pub series: Vec<Series>,
}

/// A DICOM series.
#[derive(Clone, PartialEq)]
pub struct Series {
    /// SeriesInstanceUID.
    pub uid: String,
    /// Modality.
    pub modality: String,
    /// BodyPartExamined.
    pub body_part: Option<String>,
    /// Laterality; in files of mammography ImageLaterality.
    pub laterality: Option<&'static str>,
    /// Manufacturer as it is spelt there.
    pub manufacturer: String,
    /// MagneticFieldStrength.
    pub tesla: Option<f64>,
    /// KVP.
    pub kvp: Option<f64>,
    /// SliceThickness.
    pub slice_mm: Option<f64>,
    /// Instances, each a file where there are files.
    pub instances: i64,
    /// Whether it bears no PatientID: no patient can be counted for it.
    pub orphan: bool,
}

/// What an information system has of a patient.
#[derive(Clone, PartialEq)]
pub struct Recorded {
    /// Sex as recorded.
    pub sex: Option<Sex>,
    /// How the diagnosis is coded.
    pub coding: Coding,
    /// Whether the stage is recorded.
    pub staged: bool,
    /// Whether the grade is recorded.
    pub graded: bool,
    /// Markers and findings.
    pub results: Vec<Outcome>,
    /// Treatments: OMOP's concept and the date.
    pub treatments: Vec<(i64, NaiveDate)>,
}

/// A marker or a finding.
#[derive(Clone, PartialEq)]
pub struct Outcome {
    /// What the laboratory calls it: `PSA`.
    pub name: String,
    /// OMOP's concept, unless it was left uncoded.
    pub concept: Option<i64>,
    /// When.
    pub date: NaiveDate,
    /// The number, in the unit of the measurement.
    pub number: Option<f64>,
    /// OMOP's concept of a coded value.
    pub value: Option<i64>,
}

/// The patients of the hospital at `position`, in the order of generation, one by one.
///
/// # Errors
/// When the population has no such hospital; an item fails where the population is faulty.
pub fn facts(
    population: &Population,
    plan: Plan,
    position: usize,
) -> Result<impl Iterator<Item = Result<Facts>>> {
    population.at(position)?;
    let concepts = Concepts::bundled()?;
    let care = move |number| Care::draw(population, plan, position, number);
    Ok(numbers(population, plan, position).map(move |number| Facts::of(&care(number)?, &concepts)))
}

impl Facts {
    fn of(care: &Care<'_>, concepts: &Concepts) -> Result<Self> {
        let person = &care.person;
        Ok(Self {
            patient_id: person.id(),
            sex: person.sex,
            birth: person.birth,
            death: person.death,
            diagnosis: Diagnosis::of(person, concepts)?,
            images: care.imaging.as_ref().map(Images::of),
            records: care.records.as_ref().map(Recorded::of),
        })
    }

    /// All studies.
    pub fn studies(&self) -> impl Iterator<Item = &Study> {
        self.images.iter().flat_map(|images| &images.studies)
    }

    /// All series that bear the patient's identifier.
    pub fn series(&self) -> impl Iterator<Item = &Series> {
        self.studies().flat_map(|study| &study.series).filter(|series| !series.orphan)
    }

    /// The modalities of those series.
    #[must_use]
    pub fn modalities(&self) -> BTreeSet<&str> {
        self.series().map(|series| series.modality.as_str()).collect()
    }

    /// The body parts of those series.
    #[must_use]
    pub fn body_parts(&self) -> BTreeSet<&str> {
        self.series().filter_map(|series| series.body_part.as_deref()).collect()
    }

    /// Days from the diagnosis to the first study on its day or later.
    #[must_use]
    pub fn days_to_first_imaging(&self) -> Option<i64> {
        let days = self.studies().map(|study| (study.date - self.diagnosis.date).num_days());
        days.filter(|days| *days >= 0).min()
    }
}

impl Diagnosis {
    fn of(person: &Person<'_>, concepts: &Concepts) -> Result<Self> {
        Ok(Self {
            cancer: person.cancer.name.clone(),
            concept: person.cancer.concept,
            snomed: concepts.get(person.cancer.concept)?.code.clone(),
            icd10: person.cancer.icd10.clone(),
            date: person.diagnosis,
            age: person.age(person.diagnosis),
            stage: person.stage,
            grade: person.grade.map(|grade| grade.number),
        })
    }
}

impl Images {
    fn of(imaging: &Imaging<'_>) -> Self {
        Self { sex: imaging.sex, studies: imaging.studies.iter().map(Study::of).collect() }
    }
}

impl Study {
    fn of(study: &imaging::Study<'_>) -> Self {
        let series = study.series.iter().map(Series::of).collect();
        Self { uid: study.uid.clone(), date: study.date, age: study.age, series }
    }
}

impl Series {
    fn of(series: &imaging::Series<'_>) -> Self {
        Self {
            uid: series.uid.clone(),
            modality: series.modality.to_owned(),
            body_part: series.body_part.map(str::to_owned),
            laterality: series.laterality,
            manufacturer: series.manufacturer.to_owned(),
            tesla: series.tesla,
            kvp: series.kvp,
            slice_mm: series.slice_mm,
            instances: series.instances,
            orphan: series.orphan,
        }
    }
}

impl Recorded {
    fn of(records: &Records<'_>) -> Self {
        Self {
            sex: records.sex,
            coding: records.coding,
            staged: records.stage.is_some(),
            graded: records.grade.is_some(),
            results: records.results.iter().map(Outcome::of).collect(),
            treatments: records.treatments.iter().map(|given| (given.of.concept, given.date)).collect(),
        }
    }
}

impl Outcome {
    fn of(finding: &Finding<'_>) -> Self {
        let (number, value) = match finding.value {
            Value::Number(number) => (Some(number), None),
            Value::Concept(concept) => (None, Some(concept)),
        };
        Self {
            name: finding.of.source.clone(),
            concept: finding.coded.then_some(finding.of.concept),
            date: finding.date,
            number,
            value,
        }
    }
}

#[cfg(test)]
mod tests;
