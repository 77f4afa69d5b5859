//! The concepts that records are coded with: OMOP's identifiers with their codes, from the file CONCEPT.csv.
//!
//! OMOP folders carry the file as it is; FHIR resources take code and name of a concept from it.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// The concepts that the records refer to, as the file CONCEPT.csv of a hospital.
pub(super) const FILE: &str = include_str!("CONCEPT.csv");

/// The concepts by OMOP's identifier.
pub(super) struct Concepts(BTreeMap<i64, Concept>);

/// A concept: its name, and its code in a vocabulary.
#[derive(Debug, Deserialize)]
pub(super) struct Concept {
    concept_id: i64,
    #[serde(rename = "concept_name")]
    pub(super) name: String,
    vocabulary_id: String,
    #[serde(rename = "concept_code")]
    pub(super) code: String,
}

impl Concepts {
    /// The concepts compiled into this program.
    ///
    /// # Errors
    /// When the bundled file is faulty, which its tests exclude.
    pub(super) fn bundled() -> Result<Self> {
        let rows = csv::Reader::from_reader(FILE.as_bytes()).into_deserialize();
        let concepts = rows.map(|row| row.map(|of: Concept| (of.concept_id, of))).collect::<Result<_, _>>();
        Ok(Self(concepts.context("CONCEPT.csv")?))
    }

    /// The concept of an identifier.
    pub(super) fn get(&self, id: i64) -> Result<&Concept> {
        self.0.get(&id).with_context(|| format!("no concept {id}"))
    }
}

impl Concept {
    /// The URI that FHIR names the vocabulary by.
    pub(super) fn system(&self) -> Result<&'static str> {
        Ok(match self.vocabulary_id.as_str() {
            "SNOMED" => "http://snomed.info/sct",
            "LOINC" => "http://loinc.org",
            "UCUM" => "http://unitsofmeasure.org",
            other => bail!("FHIR has no name for vocabulary {other}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Concepts;

    #[test]
    fn a_concept_has_its_code_and_vocabulary() {
        let concepts = Concepts::bundled().unwrap();
        let prostate = concepts.get(4_163_261).unwrap();
        assert_eq!(
            (prostate.system().unwrap(), prostate.code.as_str()),
            ("http://snomed.info/sct", "399068003")
        );
        assert!(concepts.get(-1).is_err());
        assert!(concepts.get(0).unwrap().system().is_err());
    }
}
