//! The demo's world as data: hospitals, cancers, scans, machines, dirt (`population.toml`).
//!
//! Numbers that describe people stand in that file, none in code.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use chrono::NaiveDate;
use serde::{Deserialize, Deserializer};

use super::dice::Quantiles;

/// Stages are numbered from 1 to this.
const STAGES: usize = 4;

/// All of `population.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Population {
    pub(super) years: Years,
    pub(super) extract: Extract,
    pub(super) dirt: Dirt,
    pub(super) names: Names,
    pub(super) hospital: Vec<Hospital>,
    pub(super) stage: Vec<Stage>,
    pub(super) grading: Vec<Grading>,
    pub(super) body_part: Vec<BodyPart>,
    pub(super) cancer: Vec<Cancer>,
    pub(super) modality: Vec<Modality>,
    pub(super) scanner: Vec<Scanner>,
}

/// How many diagnoses each year has.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Years {
    pub(super) first: i32,
    pub(super) weights: Vec<f64>,
}

/// When the records were taken from the hospitals' systems.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Extract {
    #[serde(deserialize_with = "iso_date")]
    pub(super) date: NaiveDate,
}

fn iso_date<'de, D: Deserializer<'de>>(text: D) -> Result<NaiveDate, D::Error> {
    String::deserialize(text)?.parse().map_err(serde::de::Error::custom)
}

/// Shares of records that are not as the books say.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dirt {
    pub(super) sex_missing: f64,
    pub(super) sex_other: f64,
    pub(super) age_missing: f64,
    pub(super) body_part_missing: f64,
    pub(super) series_without_patient: f64,
    pub(super) gender_unmapped: f64,
    pub(super) known_to_another_hospital: f64,
    pub(super) without_images: f64,
    pub(super) without_records: f64,
    pub(super) diagnosis_icd10_alone: f64,
    pub(super) diagnosis_text_alone: f64,
    pub(super) result_uncoded: f64,
    pub(super) unstaged: f64,
    pub(super) ungraded: f64,
    pub(super) files_implicit: f64,
}

/// What people are called.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Names {
    pub(super) family: Vec<String>,
    pub(super) female: Vec<String>,
    pub(super) male: Vec<String>,
}

/// A stage group.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stage {
    pub(super) roman: String,
    pub(super) concept: i64,
    pub(super) snomed: String,
}

/// A way of grading: what is observed, and its values.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Grading {
    pub(super) name: String,
    pub(super) concept: i64,
    pub(super) snomed: String,
    pub(super) label: String,
    pub(super) source: String,
    /// SNOMED CT code of the score, where the grades have one.
    pub(super) score: Option<String>,
    pub(super) grades: Vec<Grade>,
}

/// A grade, with the score that it stands for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Grade {
    pub(super) concept: i64,
    pub(super) score: Option<u8>,
}

/// A body part as DICOM spells it, with its code in SNOMED CT.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BodyPart {
    pub(super) term: String,
    pub(super) snomed: String,
    /// Whether it is one of two.
    #[serde(default)]
    pub(super) paired: bool,
}

/// A hospital: whom it treats and with what.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hospital {
    /// Name of its node and its collection.
    pub name: String,
    /// Its full name.
    pub title: String,
    pub(super) cancers: BTreeMap<String, f64>,
    pub(super) scanners: Vec<String>,
    pub(super) spelling: usize,
    /// Form of its images.
    pub(super) images: ImagesForm,
    /// Form of its records.
    pub(super) records: RecordsForm,
    /// What it keeps of its images; everything where this is absent.
    pub(super) keeps: Option<Keeps>,
}

/// Form of a hospital's images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ImagesForm {
    /// DICOM files as on a medium: names of at most eight characters, without extension.
    Media,
    /// DICOM files as an archive stores them: random names in 256 folders.
    Store,
    /// A table with a row a series.
    Table,
}

/// Form of a hospital's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RecordsForm {
    /// One OMOP table a file.
    Omop,
    /// FHIR resources, a line each, a file a type.
    FhirNdjson,
    /// FHIR bundles, one a patient.
    FhirBundles,
}

/// At most so much is kept of a person's images.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keeps {
    /// Studies of one kind after the first.
    pub(super) follow_ups: usize,
    /// Series of a study.
    pub(super) series: i64,
    /// Instances of a series.
    pub(super) instances: Quantiles,
}

/// A cancer: who gets it, how it goes, what is done.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cancer {
    pub(super) name: String,
    pub(super) concept: i64,
    pub(super) icd10: String,
    /// ICD-O-3 code.
    pub(super) morphology: String,
    /// Body part of the primary tumour.
    pub(super) site: String,
    /// Name of its grading, if it is graded.
    pub(super) grading: Option<String>,
    /// Weights of the grades, by stage.
    #[serde(default)]
    pub(super) grades: Vec<Vec<f64>>,
    pub(super) female: f64,
    pub(super) age: Quantiles,
    pub(super) stages: [f64; 4],
    pub(super) mortality: [f64; 4],
    pub(super) scans: Vec<Scan>,
    #[serde(default)]
    pub(super) measurements: Vec<Measurement>,
    #[serde(default)]
    pub(super) procedures: Vec<Procedure>,
}

/// An imaging study that a cancer calls for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scan {
    pub(super) modality: String,
    pub(super) body_part: String,
    /// Another spelling or region that a third of the series have.
    pub(super) also: Option<String>,
    /// A second modality with a series of its own in the same study.
    pub(super) with: Option<String>,
    pub(super) share: f64,
    pub(super) days: Quantiles,
    pub(super) series: Quantiles,
    pub(super) every_days: u32,
    pub(super) repeat: f64,
    #[serde(default)]
    pub(super) sides: bool,
}

/// A laboratory value or finding that a cancer calls for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Measurement {
    pub(super) concept: i64,
    pub(super) source: String,
    #[serde(default)]
    pub(super) unit: i64,
    #[serde(default)]
    pub(super) unit_source: String,
    pub(super) share: f64,
    pub(super) days: Quantiles,
    #[serde(default)]
    pub(super) numbers: Option<Quantiles>,
    #[serde(default)]
    pub(super) values: Vec<Coded>,
    #[serde(default)]
    pub(super) every_days: u32,
    #[serde(default)]
    pub(super) repeat: f64,
}

/// A coded result and how often it is met.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Coded {
    pub(super) concept: i64,
    pub(super) weight: f64,
}

/// A treatment.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Procedure {
    pub(super) concept: i64,
    pub(super) source: String,
    pub(super) share: f64,
    pub(super) days: Quantiles,
}

/// What series of a modality are like.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Modality {
    pub(super) code: String,
    pub(super) sop_class: String,
    /// What its series are, in their order within a study.
    pub(super) protocols: Vec<Protocol>,
    pub(super) instances: Quantiles,
    pub(super) kb: f64,
}

/// How a series is taken.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Protocol {
    pub(super) name: String,
    /// ScanningSequence of a magnetic resonance.
    pub(super) sequence: Option<String>,
    /// SequenceVariant of a magnetic resonance.
    pub(super) variant: Option<String>,
    pub(super) repetition_ms: Option<f64>,
    pub(super) echo_ms: Option<f64>,
}

/// A machine.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scanner {
    pub(super) model: String,
    pub(super) modality: String,
    pub(super) manufacturer: Vec<String>,
    pub(super) tesla: Option<f64>,
    pub(super) kvp: Option<Quantiles>,
    pub(super) slice_mm: Option<Quantiles>,
}

impl Population {
    /// The population compiled into this program.
    ///
    /// # Errors
    /// When the bundled file is faulty, which its tests exclude.
    pub fn bundled() -> Result<Self> {
        let population: Self = toml::from_str(include_str!("population.toml")).context("population.toml")?;
        population.check().context("population.toml")?;
        Ok(population)
    }

    /// The same hospitals, with no patient whom two of them know.
    #[must_use]
    pub fn without_shared_patients(mut self) -> Self {
        self.dirt.known_to_another_hospital = 0.0;
        self
    }

    /// The hospitals, in the order of their nodes.
    #[must_use]
    pub fn hospitals(&self) -> &[Hospital] {
        &self.hospital
    }

    /// The hospital at a position.
    pub(super) fn at(&self, position: usize) -> Result<&Hospital> {
        self.hospital.get(position).with_context(|| format!("the population has no hospital {position}"))
    }

    pub(super) fn cancer(&self, name: &str) -> Result<&Cancer> {
        self.cancer.iter().find(|cancer| cancer.name == name).with_context(|| format!("no cancer {name}"))
    }

    pub(super) fn modality(&self, code: &str) -> Result<&Modality> {
        self.modality.iter().find(|of| of.code == code).with_context(|| format!("no modality {code}"))
    }

    /// The grading of that name.
    pub(super) fn grading(&self, name: &str) -> Result<&Grading> {
        self.grading.iter().find(|of| of.name == name).with_context(|| format!("no grading {name}"))
    }

    /// The stage of that number, from 1.
    pub(super) fn stage(&self, number: u8) -> Result<&Stage> {
        let found = usize::from(number).checked_sub(1).and_then(|index| self.stage.get(index));
        found.with_context(|| format!("no stage {number}"))
    }

    /// A body part by DICOM's term, where the population has a code for it.
    pub(super) fn body_part(&self, term: &str) -> Option<&BodyPart> {
        self.body_part.iter().find(|part| part.term == term)
    }

    /// The machines of a hospital for a modality; it may have none.
    pub(super) fn scanners(&self, hospital: &Hospital, modality: &str) -> Vec<&Scanner> {
        let owned = self.scanner.iter().filter(|scanner| hospital.scanners.contains(&scanner.model));
        owned.filter(|scanner| scanner.modality == modality).collect()
    }

    /// Names must meet, and distributions be distributions.
    fn check(&self) -> Result<()> {
        for hospital in &self.hospital {
            for name in hospital.cancers.keys() {
                self.cancer(name).with_context(|| hospital.name.clone())?;
            }
            for model in &hospital.scanners {
                let known = self.scanner.iter().any(|scanner| scanner.model == *model);
                ensure!(known, "{}: no scanner {model}", hospital.name);
            }
        }
        for scanner in &self.scanner {
            self.modality(&scanner.modality).with_context(|| scanner.model.clone())?;
        }
        for cancer in &self.cancer {
            for scan in &cancer.scans {
                self.modality(&scan.modality).with_context(|| cancer.name.clone())?;
            }
            ensure!(cancer.distributions().all(Quantiles::is_sound), "{}: quantiles must rise", cancer.name);
            self.check_grades(cancer).with_context(|| cancer.name.clone())?;
        }
        ensure!(self.stage.len() == STAGES, "there are {STAGES} stages");
        ensure!(self.modality.iter().all(|of| !of.protocols.is_empty()), "every modality has a protocol");
        Ok(())
    }

    fn check_grades(&self, cancer: &Cancer) -> Result<()> {
        let Some(name) = &cancer.grading else { return Ok(()) };
        let grades = self.grading(name)?.grades.len();
        let fits = cancer.grades.len() == STAGES && cancer.grades.iter().all(|of| of.len() == grades);
        ensure!(fits, "{name} has {grades} grades, for each of {STAGES} stages");
        Ok(())
    }
}

impl Cancer {
    fn distributions(&self) -> impl Iterator<Item = &Quantiles> {
        let scans = self.scans.iter().flat_map(|scan| [&scan.days, &scan.series]);
        let measured = self.measurements.iter().flat_map(|of| of.numbers.iter().chain([&of.days]));
        let procedures = self.procedures.iter().map(|procedure| &procedure.days);
        [&self.age].into_iter().chain(scans).chain(measured).chain(procedures)
    }

    /// Every OMOP concept that records of this cancer name.
    #[cfg(test)]
    pub(super) fn concepts(&self) -> Vec<i64> {
        let measured = self
            .measurements
            .iter()
            .flat_map(|of| of.values.iter().map(|value| value.concept).chain([of.concept, of.unit]));
        let procedures = self.procedures.iter().map(|procedure| procedure.concept);
        [self.concept].into_iter().chain(measured).chain(procedures).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Population;
    use crate::demo::concepts::Concepts;

    #[test]
    fn every_concept_that_is_used_is_in_the_vocabulary() {
        let population = Population::bundled().unwrap();
        let concepts = Concepts::bundled().unwrap();
        for cancer in &population.cancer {
            for concept in cancer.concepts() {
                assert!(concepts.get(concept).is_ok(), "{concept} of {}", cancer.name);
            }
        }
        let graded =
            population.grading.iter().flat_map(|of| of.grades.iter().map(|g| g.concept).chain([of.concept]));
        for concept in population.stage.iter().map(|stage| stage.concept).chain(graded) {
            assert!(concepts.get(concept).is_ok(), "{concept}");
        }
    }

    #[test]
    fn every_modality_of_a_scan_has_a_machine_somewhere() {
        let population = Population::bundled().unwrap();
        let scans = population.cancer.iter().flat_map(|cancer| &cancer.scans);
        for modality in scans.flat_map(|scan| scan.with.iter().chain([&scan.modality])) {
            assert!(population.scanner.iter().any(|scanner| scanner.modality == *modality), "{modality}");
        }
    }
}
