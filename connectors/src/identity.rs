//! Whose record it is: the `[identity]` section of node.toml, and pseudonyms made by it.
//!
//! One person has many numbers: a PatientID in the archive, a source value in OMOP. The section says which are
//! the same person's, so that the records meet in one pseudonym. Clear identifiers stop here.

mod linkage;
mod pseudonym;
mod uids;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub(crate) use pseudonym::{FhirRule, Pseudonym, Pseudonyms};
pub(crate) use uids::UidKey;

/// The `[identity]` section: which identifiers name the same person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Identity {
    /// Who issued identifiers that come without an issuer: DICOM PatientID, OMOP person_source_value, and the
    /// Patient.identifier of FHIR unless its system is an alias or stands in the linkage table.
    pub issuer: String,
    /// Other names of issuers: alias to issuer.
    pub issuer_aliases: BTreeMap<String, String>,
    /// The column of PERSON that holds the identifier of the default issuer.
    pub omop_column: OmopColumn,
    /// The system of the Patient.identifier that names the patient. Without it, the type of identifier decides.
    pub fhir_system: Option<String>,
    /// The type of the Patient.identifier that names the patient, as a code of HL7's table 0203. Patients without
    /// such an identifier are named by the id of their resource, which means something only inside its collection.
    pub fhir_type: String,
    /// A CSV file whose lines `issuer,id,issuer,id` say that two identifiers are one person's.
    pub linkage: Option<PathBuf>,
    /// What is stored of unique identifiers of studies, series and instances.
    pub uids: Uids,
    /// Names of regions and segments that are stored as they are, in any case of letters. All others are left out.
    pub labels: Vec<String>,
}

/// What is stored of the unique identifiers (DICOM UIDs) of a hospital's things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Uids {
    /// The identifiers themselves.
    #[default]
    Kept,
    /// Others in their place, made with the node's secret: the same for the same one.
    Keyed,
}

/// Which column of PERSON names the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OmopColumn {
    /// `person_source_value`, under the default issuer, so that a person meets its DICOM PatientID. Persons
    /// without one are named by person_id.
    #[default]
    PersonSourceValue,
    /// `person_id`, as an identifier that means something only inside its collection.
    PersonId,
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            issuer: "local".to_owned(),
            issuer_aliases: BTreeMap::new(),
            omop_column: OmopColumn::default(),
            fhir_system: None,
            fhir_type: "MR".to_owned(),
            linkage: None,
            uids: Uids::default(),
            labels: Vec::new(),
        }
    }
}

impl Identity {
    /// The issuer that `name` means: itself, unless it is an alias. Aliases of aliases are followed.
    #[must_use]
    pub fn resolve<'a>(&'a self, name: &'a str) -> &'a str {
        let mut issuer = name.trim();
        // As many steps as there are aliases: a circle of them ends as well.
        for _ in 0..self.issuer_aliases.len() {
            match self.issuer_aliases.get(issuer) {
                Some(next) => issuer = next.trim(),
                None => break,
            }
        }
        issuer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_leads_to_its_issuer_and_a_circle_ends() {
        let aliases = [("pacs", "local"), ("old-pacs", "pacs"), ("a", "b"), ("b", "a")];
        let issuer_aliases = aliases.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect();
        let identity = Identity { issuer_aliases, ..Identity::default() };
        assert_eq!(identity.resolve(" old-pacs "), "local");
        assert_eq!(identity.resolve("elsewhere"), "elsewhere");
        assert!(["a", "b"].contains(&identity.resolve("a")));
    }

    #[test]
    fn a_misspelt_key_is_an_error() {
        let text = r#"{"issuer": "x", "omop_colum": "person_id"}"#;
        assert!(serde_json::from_str::<Identity>(text).unwrap_err().to_string().contains("omop_colum"));
        let identity: Identity = serde_json::from_str(r#"{"omop_column": "person_id"}"#).unwrap();
        assert_eq!((identity.omop_column, identity.issuer.as_str()), (OmopColumn::PersonId, "local"));
    }
}
