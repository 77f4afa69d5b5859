//! Pseudonyms: HMAC-SHA-256(secret, domain, issuer, normalised id), every part preceded by its length.

use std::fmt;

use super::linkage::{Id, Linkage};
use super::{Identity, OmopColumn, UidKey, Uids};
use crate::{Code, Error, Result, Secret};

/// Part of every pseudonym, so that the secret can serve other ends as well. A change would make every patient
/// of every warehouse a new one.
const DOMAIN: &str = "caim.patient.1";

/// A patient, unreadable without the node's secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Pseudonym(pub(crate) [u8; 32]);

impl fmt::Debug for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// Which identifier of a FHIR Patient names the patient.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FhirRule<'p> {
    /// The identifier of this system, if one is set.
    pub(crate) system: Option<&'p str>,
    /// Else the identifier with this type.
    pub(crate) code: &'p str,
}

/// Makes pseudonyms by the rules of one node.
pub(crate) struct Pseudonyms {
    secret: Secret,
    identity: Identity,
    linkage: Linkage,
}

impl Pseudonyms {
    /// Reads the linkage table, if the section names one.
    pub(crate) fn new(secret: &Secret, identity: &Identity) -> Result<Self> {
        let linkage = match &identity.linkage {
            Some(path) => Linkage::read(path, |issuer, id| clean(identity, issuer, id))?,
            None => Linkage::default(),
        };
        Ok(Self { secret: secret.clone(), identity: identity.clone(), linkage })
    }

    /// The patient that the default issuer calls `id`; `None` when `id` is blank.
    pub(crate) fn of_default_issuer(&self, id: &str) -> Option<Pseudonym> {
        self.of(&self.identity.issuer, id)
    }

    /// The patient that `issuer` calls `id`; `None` when `id` is blank.
    pub(crate) fn of(&self, issuer: &str, id: &str) -> Option<Pseudonym> {
        clean(&self.identity, issuer, id).map(|id| self.of_id(&id))
    }

    /// The patient that `issuer` calls by a number.
    pub(crate) fn of_number(&self, issuer: &str, id: i64) -> Pseudonym {
        self.of_id(&(self.identity.resolve(issuer).to_owned(), id.to_string()))
    }

    /// The patient that an identifier of FHIR names. Its system is the issuer if the section or the linkage table
    /// knows it; else the identifier is of the default issuer, so that a person meets its DICOM PatientID.
    pub(crate) fn of_fhir(&self, system: Option<&str>, value: &str) -> Option<Pseudonym> {
        let of_system = system.and_then(|system| clean(&self.identity, system, value));
        let is_linked = of_system.as_ref().is_some_and(|id| self.linkage.group(id).is_some());
        match system {
            Some(system) if is_linked || self.is_issuer(system) => self.of(system, value),
            Some(_) | None => self.of_default_issuer(value),
        }
    }

    /// Whether `system` is an issuer by the section.
    pub(crate) fn is_issuer(&self, system: &str) -> bool {
        self.identity.issuer_aliases.contains_key(system.trim()) || self.identity.issuer == system.trim()
    }

    /// Which identifier of a FHIR Patient names the patient.
    pub(crate) fn fhir_rule(&self) -> FhirRule<'_> {
        FhirRule { system: self.identity.fhir_system.as_deref(), code: &self.identity.fhir_type }
    }

    fn of_id(&self, id: &Id) -> Pseudonym {
        let (issuer, id) = self.linkage.group(id).unwrap_or(id);
        Pseudonym(self.secret.mac(DOMAIN, &[issuer.as_bytes(), id.as_bytes()]))
    }

    /// A hash of the rules: secret, section and linkage. Where it is the same, the same identifiers give the
    /// same pseudonyms.
    pub(crate) fn fingerprint(&self) -> Result<String> {
        let section =
            serde_json::to_vec(&self.identity).map_err(|e| Error::new(Code::Identity, "[identity]", e))?;
        Ok(hex::encode(self.secret.mac("caim.identity.1", &[&section, &self.linkage.canonical()])))
    }

    /// What makes other unique identifiers of those of the hospital, if that is asked for.
    pub(crate) fn uids(&self) -> Option<UidKey> {
        match self.identity.uids {
            Uids::Kept => None,
            Uids::Keyed => Some(UidKey::new(&self.secret)),
        }
    }

    /// Whether the operator lists the name of a region.
    pub(crate) fn keeps_label(&self, label: &str) -> bool {
        let label = label.to_lowercase();
        self.identity.labels.iter().any(|listed| listed.trim().to_lowercase() == label)
    }

    /// Which column of PERSON names the person.
    pub(crate) fn omop_column(&self) -> OmopColumn {
        self.identity.omop_column
    }
}

/// Issuer without alias, id without surrounding spaces and NULs: DICOM pads values to even length with either.
fn clean(identity: &Identity, issuer: &str, id: &str) -> Option<Id> {
    let id = id.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!id.is_empty()).then(|| (identity.resolve(issuer).to_owned(), id.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pseudonyms(identity: &Identity) -> Pseudonyms {
        Pseudonyms::new(&Secret::from_bytes([3; 32]), identity).unwrap()
    }

    fn with_linkage(text: &str) -> Result<Pseudonyms> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let identity = Identity { linkage: Some(file.path().to_owned()), ..Identity::default() };
        Pseudonyms::new(&Secret::from_bytes([3; 32]), &identity)
    }

    #[test]
    fn padding_does_not_make_another_patient_but_issuer_and_case_do() {
        let p = pseudonyms(&Identity::default());
        let known = p.of_default_issuer("P1").unwrap();
        assert_eq!(p.of("local", " P1\0"), Some(known));
        assert_ne!(p.of("local", "p1"), Some(known));
        assert_ne!(p.of("elsewhere", "P1"), Some(known));
        assert_eq!(p.of_default_issuer(" \0"), None);
    }

    #[test]
    fn issuer_and_id_cannot_be_shifted_into_each_other() {
        let p = pseudonyms(&Identity::default());
        assert_ne!(p.of("ab", "c"), p.of("a", "bc"));
    }

    #[test]
    fn another_secret_makes_other_pseudonyms() {
        let identity = Identity::default();
        let other = Pseudonyms::new(&Secret::from_bytes([4; 32]), &identity).unwrap();
        assert_ne!(pseudonyms(&identity).of("local", "P1"), other.of("local", "P1"));
    }

    #[test]
    fn an_alias_is_its_issuer() {
        let issuer_aliases = [("pacs".to_owned(), "local".to_owned())].into();
        let p = pseudonyms(&Identity { issuer_aliases, ..Identity::default() });
        assert_eq!(p.of("pacs", "P1"), p.of_default_issuer("P1"));
    }

    #[test]
    fn an_identifier_of_fhir_is_the_default_issuers_unless_its_system_is_known() {
        let issuer_aliases = [("http://other".to_owned(), "other".to_owned())].into();
        let p = pseudonyms(&Identity { issuer_aliases, ..Identity::default() });
        let local = p.of_default_issuer("P1");
        assert_eq!(p.of_fhir(Some("http://here"), " P1"), local);
        assert_eq!(p.of_fhir(None, "P1"), local);
        assert_eq!(p.of_fhir(Some("http://other"), "P1"), p.of("other", "P1"));
        assert_eq!(p.of_fhir(Some("http://here"), " "), None);
        let linked = with_linkage("http://here,7,local,P1\n").unwrap();
        assert_eq!(linked.of_fhir(Some("http://here"), "7"), linked.of_default_issuer("P1"));
        assert_eq!(linked.of_fhir(Some("http://here"), "8"), linked.of_default_issuer("8"));
    }

    #[test]
    fn linked_identifiers_are_one_patient_in_any_order_and_over_any_number_of_steps() {
        let forwards = with_linkage("issuer,id,issuer,id\nlocal,1,omop:a,2\nomop:a,2,lab,3\n").unwrap();
        let backwards = with_linkage("lab,3,omop:a,2\nomop:a, 2 ,local,1\n").unwrap();
        let patient = forwards.of("local", "1");
        for p in [&forwards, &backwards] {
            for (issuer, id) in [("local", "1"), ("omop:a", "2"), ("lab", "3")] {
                assert_eq!(p.of(issuer, id), patient);
            }
        }
        assert_ne!(forwards.of("lab", "4"), patient);
    }

    #[test]
    fn a_faulty_linkage_table_is_refused_with_its_line_and_without_its_values() {
        for (text, line) in [("local,secret-id,lab\n", "line 1"), ("a,1,b,2\na,secret-id,b,\n", "line 2")] {
            let error = with_linkage(text).err().unwrap().to_string();
            assert!(error.contains(line) && !error.contains("secret-id"), "{error}");
        }
    }
}
