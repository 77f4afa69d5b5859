//! A person's records as FHIR R4 resources, after mCODE where that profiles them, and their files.
//!
//! A resource's identifier is a UUID that hangs on hospital and person alone; the person's PatientID is a medical
//! record number among the identifiers of the Patient.

mod clinical;
mod coding;
mod files;
mod imaging;

use anyhow::Result;
use serde_json::Value;

pub(super) use self::files::{Bundles, Lines};

use super::care::Care;
use super::concepts::Concepts;
use super::dice::Dice;
use super::population::{Hospital, Population};

/// The types of resources, in the order in which they may refer to each other.
const TYPES: [&str; 5] = ["Patient", "Condition", "Observation", "Procedure", "ImagingStudy"];

/// A resource: its type, its identifier, and its other elements.
struct Resource {
    kind: &'static str,
    id: String,
    body: Value,
}

impl Resource {
    /// The resource as one line of JSON, its type first.
    fn line(&self) -> String {
        let body = self.body.to_string();
        let rest = body
            .strip_prefix('{')
            .filter(|rest| *rest != "}")
            .map_or("}".to_owned(), |rest| format!(",{rest}"));
        format!(r#"{{"resourceType":"{}","id":"{}"{rest}"#, self.kind, self.id)
    }
}

/// How resources refer to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum References {
    /// `Patient/<id>`.
    Relative,
    /// `urn:uuid:<id>`, by the URLs of the entries of a bundle.
    Urn,
}

impl References {
    fn to(self, kind: &str, id: &str) -> Value {
        match self {
            Self::Relative => serde_json::json!({ "reference": format!("{kind}/{id}") }),
            Self::Urn => serde_json::json!({ "reference": format!("urn:uuid:{id}") }),
        }
    }
}

/// A hospital that writes FHIR.
struct Author<'a> {
    population: &'a Population,
    hospital: &'a Hospital,
    concepts: Concepts,
}

/// The resources of one person as they are made.
struct Chart<'a> {
    author: &'a Author<'a>,
    references: References,
    ids: Dice,
    resources: Vec<Resource>,
}

impl<'a> Author<'a> {
    fn new(population: &'a Population, hospital: &'a Hospital) -> Result<Self> {
        Ok(Self { population, hospital, concepts: Concepts::bundled()? })
    }

    /// All resources of a person; none where the records do not know the person.
    fn chart(&self, care: &Care<'_>, references: References) -> Result<Vec<Resource>> {
        let Some(records) = &care.records else { return Ok(Vec::new()) };
        let ids = Dice::named(&format!("{} {}", self.hospital.name, care.person.id()));
        let mut chart = Chart { author: self, references, ids, resources: Vec::new() };
        let patient = chart.patient(&care.person, records);
        let condition = chart.condition(&patient, &care.person, records)?;
        for finding in &records.results {
            chart.finding(&patient, &condition, finding)?;
        }
        for treatment in &records.treatments {
            chart.procedure(&patient, &condition, treatment)?;
        }
        for study in care.imaging.iter().flat_map(|imaging| &imaging.studies) {
            chart.imaging_study(&patient, &condition, study);
        }
        Ok(chart.resources)
    }

    /// A URI of the hospital's own.
    fn uri(&self, path: &str) -> String {
        format!("https://{}.example/{path}", self.hospital.name)
    }
}

impl Chart<'_> {
    /// Adds a resource and gives a reference to it.
    fn add(&mut self, kind: &'static str, body: Value) -> Value {
        let id = self.ids.uuid();
        self.add_as(kind, id, body)
    }

    /// Adds a resource whose identifier was given before.
    fn add_as(&mut self, kind: &'static str, id: String, body: Value) -> Value {
        let reference = self.references.to(kind, &id);
        self.resources.push(Resource { kind, id, body });
        reference
    }
}

#[cfg(test)]
mod tests;
