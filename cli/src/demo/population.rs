//! The demo's world as data: hospitals, cancers, scans, machines, dirt (`population.toml`).
//!
//! Numbers that describe people stand in that file, none in code.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use chrono::NaiveDate;
use serde::{Deserialize, Deserializer};

use super::dice::Quantiles;

/// The OMOP concepts that the records refer to, as the file CONCEPT.csv of every hospital.
pub(super) const CONCEPTS: &str = include_str!("CONCEPT.csv");

/// All of `population.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Population {
    pub(super) years: Years,
    pub(super) extract: Extract,
    pub(super) dirt: Dirt,
    pub(super) hospital: Vec<Hospital>,
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
    pub(super) without_omop: f64,
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
    /// Form of its DICOM table.
    pub(super) table: TableForm,
}

/// Form of a DICOM table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum TableForm {
    /// Parquet, dates as dates.
    Parquet,
    /// CSV, dates as DICOM writes them (`20240131`).
    Csv,
}

/// A cancer: who gets it, how it goes, what is done.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cancer {
    pub(super) name: String,
    pub(super) concept: i64,
    pub(super) icd10: String,
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
    pub(super) instances: Quantiles,
    pub(super) kb: f64,
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

    /// The hospitals, in the order of their nodes.
    #[must_use]
    pub fn hospitals(&self) -> &[Hospital] {
        &self.hospital
    }

    pub(super) fn cancer(&self, name: &str) -> Result<&Cancer> {
        self.cancer.iter().find(|cancer| cancer.name == name).with_context(|| format!("no cancer {name}"))
    }

    pub(super) fn modality(&self, code: &str) -> Result<&Modality> {
        self.modality.iter().find(|of| of.code == code).with_context(|| format!("no modality {code}"))
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
        }
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
    use std::collections::BTreeSet;

    use super::{CONCEPTS, Population};

    #[test]
    fn every_concept_that_is_used_is_in_the_vocabulary() {
        let population = Population::bundled().unwrap();
        let mut reader = csv::Reader::from_reader(CONCEPTS.as_bytes());
        let known: BTreeSet<i64> =
            reader.records().map(|row| row.unwrap().get(0).unwrap().parse().unwrap()).collect();
        for cancer in &population.cancer {
            for concept in cancer.concepts() {
                assert!(known.contains(&concept), "{concept} of {} is not in CONCEPT.csv", cancer.name);
            }
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
