//! Codings and codeable concepts.

use anyhow::Result;
use serde_json::{Value, json};

use super::Author;

pub(super) const SNOMED: &str = "http://snomed.info/sct";
pub(super) const ICD_10: &str = "http://hl7.org/fhir/sid/icd-10";
pub(super) const ICD_O_3: &str = "http://terminology.hl7.org/CodeSystem/icd-o-3";
pub(super) const AJCC: &str = "http://cancerstaging.org";
pub(super) const DICOM: &str = "http://dicom.nema.org/resources/ontology/DCM";

/// A coding without a display text.
pub(super) fn coding(system: &str, code: &str) -> Value {
    json!({ "system": system, "code": code })
}

/// A concept with one coding and a text.
pub(super) fn concept(system: &str, code: &str, text: &str) -> Value {
    json!({ "coding": [coding(system, code)], "text": text })
}

/// A code of HL7's own code systems.
pub(super) fn hl7(system: &str, code: &str) -> Value {
    json!({ "coding": [coding(&format!("http://terminology.hl7.org/CodeSystem/{system}"), code)] })
}

/// What a resource conforms to.
pub(super) fn mcode(profile: &str) -> Value {
    json!({ "profile": [format!("http://hl7.org/fhir/us/mcode/StructureDefinition/mcode-{profile}")] })
}

impl Author<'_> {
    /// The codeable concept of one of OMOP's concepts, in its own vocabulary.
    pub(super) fn concept(&self, id: i64) -> Result<Value> {
        let of = self.concepts.get(id)?;
        Ok(concept(of.system()?, &of.code, &of.name))
    }

    /// A quantity in the unit of one of OMOP's concepts.
    pub(super) fn quantity(&self, value: f64, unit: i64) -> Result<Value> {
        let of = self.concepts.get(unit)?;
        Ok(json!({ "value": value, "unit": of.code, "system": of.system()?, "code": of.code }))
    }

    /// A body part by DICOM's term; in words alone where the population has no code for it.
    pub(super) fn body_site(&self, term: &str) -> Value {
        match self.population.body_part(term) {
            Some(part) => concept(SNOMED, &part.snomed, &term.to_lowercase()),
            None => json!({ "text": term.to_lowercase() }),
        }
    }
}
