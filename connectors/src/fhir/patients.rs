//! Which patient a resource is about. All Patient resources of a source are read before any other resource, so that
//! it does not matter in which file or order they come.
//!
//! A patient is found by what references say: the id, the full URL, or inside a Bundle the entry's URN. Memory holds
//! hashes of these names and one record for each patient, nothing of other resources.

use std::borrow::Cow;
use std::collections::HashMap;

use super::json::{Kind, Value};
use super::path;
use super::superseded::Earlier;
use super::texts::{Entry, Resource};
use crate::Result;
use crate::identity::{FhirRule, Pseudonym};
use crate::ingest::Context;
use crate::landing::Patient;
use crate::row_key::NameKey;
use crate::target::Target;

/// The type of the resources that are patients.
pub(super) const PATIENT: &str = "Patient";
/// The members by which resources say whom they are about, as FHIR's compartment of patients lists them.
const SUBJECTS: [&str; 4] = ["subject", "patient", "beneficiary", "individual"];
/// The code system of types of identifiers.
const TYPES: &str = "http://terminology.hl7.org/CodeSystem/v2-0203";

/// The patients of a source.
pub(super) struct Patients<'c> {
    context: &'c Context<'c>,
    /// The issuer of ids that mean something only inside the collection.
    issuer: String,
    name: NameKey,
    names: HashMap<u128, u32>,
    known: Vec<Known>,
    /// The first system of identifiers that count as the default issuer's.
    system: Option<String>,
}

/// A patient that a resource of the source says.
struct Known {
    patient: Patient,
    /// The hash of its absolute URL, if that is known: an id means something only at its server.
    url: Option<u128>,
}

/// A Patient resource as far as it says who it is.
pub(super) struct Candidate {
    id: Option<String>,
    full_url: Option<String>,
    bundle: Option<u64>,
    identifier: Option<(Option<String>, String)>,
}

/// Whom a resource is about. Not to be shown: it may name a person.
pub(super) enum Whose {
    /// A patient of the source, by number.
    Known(u32),
    /// A patient that the source does not have, by what the reference says.
    Unknown(String),
    /// A patient by an identifier, without a reference: system and value.
    Identified(Option<String>, String),
    /// Nobody, or something that is no patient.
    Nobody,
}

/// A patient as rows have it, and whether the source has it.
pub(super) enum Found {
    Known(Patient),
    Orphan(Patient),
    Nobody,
}

impl Candidate {
    /// What a Patient resource says.
    pub(super) fn of(resource: &Resource<'_>, rule: FhirRule<'_>) -> Self {
        let entry = resource.entry.as_ref();
        let identifiers = resource.value.get("identifier").into_iter().flat_map(Value::items);
        let identifier = identifiers.filter(|identifier| names_patient(*identifier, rule)).find_map(named);
        Self {
            id: resource.id().map(Cow::into_owned),
            full_url: entry.and_then(|entry| entry.full_url.as_deref()).map(str::to_owned),
            bundle: entry.map(|entry| entry.bundle),
            identifier,
        }
    }
}

impl<'c> Patients<'c> {
    pub(super) fn new(context: &'c Context<'c>, collection: &str) -> Self {
        Self {
            context,
            issuer: format!("fhir:{collection}"),
            name: NameKey::new(context.secret),
            names: HashMap::new(),
            known: Vec::new(),
            system: None,
        }
    }

    /// Takes a Patient resource of member number `member`; whether its identifier is of another system than those
    /// before it. Of several with one id the first stays.
    pub(super) fn register(
        &mut self,
        member: usize,
        candidate: &Candidate,
        target: &mut Target,
    ) -> Result<bool> {
        let Some(id) = &candidate.id else { return Ok(false) };
        let by_id = self.name.hash(&format!("{PATIENT}/{id}"));
        let (number, is_new) = match self.names.get(&by_id) {
            Some(number) => (*number, false),
            None => (u32::try_from(self.known.len()).unwrap_or(u32::MAX), true),
        };
        self.names.entry(by_id).or_insert(number);
        let url = candidate.full_url.as_deref().map(|url| (url, self.name.hash(url)));
        if let Some((text, hash)) = url {
            self.names.entry(hash).or_insert(number);
            if let Some(bundle) = candidate.bundle {
                self.names.entry(self.local(member, bundle, text)).or_insert(number);
            }
        }
        if !is_new {
            return Ok(false);
        }
        let named = candidate.identifier.as_ref();
        let pseudonym =
            named.and_then(|(system, value)| self.context.pseudonyms.of_fhir(system.as_deref(), value));
        let Some(pseudonym) = pseudonym.or_else(|| self.context.pseudonyms.of(&self.issuer, id)) else {
            return Ok(false);
        };
        let patient = Patient { pseudonym, ordinal: target.ordinal(&pseudonym)? };
        let url = url.filter(|(text, _)| text.contains("://")).map(|(_, hash)| hash);
        self.known.push(Known { patient, url });
        Ok(named.is_some_and(|(system, _)| self.is_another(system.as_deref())))
    }

    /// Takes the patients whom earlier exports tell and this one does not. Says how many of those whom both tell are
    /// somebody else now.
    pub(super) fn remember(&mut self, earlier: &Earlier<'_>, target: &mut Target) -> Result<u64> {
        let (pseudonyms, mut moved) = (target.pseudonyms()?, 0);
        for (id, ordinal) in earlier.patients()? {
            let by_id = self.name.hash(&format!("{PATIENT}/{id}"));
            let pseudonym = pseudonyms.get(&ordinal).copied();
            if let Some(number) = self.names.get(&by_id) {
                let known = self.known.get(*number as usize).map(|known| known.patient.pseudonym);
                moved += u64::from(pseudonym.is_some() && known != pseudonym);
                continue;
            }
            let pseudonym = pseudonym.unwrap_or(Pseudonym([0; 32]));
            let patient = Patient { pseudonym, ordinal: target.ordinal(&pseudonym)? };
            self.names.insert(by_id, u32::try_from(self.known.len()).unwrap_or(u32::MAX));
            self.known.push(Known { patient, url: None });
        }
        Ok(moved)
    }

    /// Whom a resource is about.
    pub(super) fn of(&self, member: usize, resource: &Resource<'_>) -> Whose {
        let entry = resource.entry.as_ref();
        if resource.ty == PATIENT {
            let id = resource.id().unwrap_or_default();
            let number = self.names.get(&self.name.hash(&format!("{PATIENT}/{id}")));
            return number.map_or_else(|| Whose::Unknown(id.into_owned()), |number| Whose::Known(*number));
        }
        let Some(subject) = SUBJECTS.iter().find_map(|member| resource.value.get(member)) else {
            return Whose::Nobody;
        };
        match subject.text_of("reference") {
            Some(reference) => self.referenced(member, &reference, entry),
            None => self.identified(subject),
        }
    }

    fn referenced(&self, member: usize, reference: &str, entry: Option<&Entry<'_>>) -> Whose {
        let local = entry.and_then(|entry| self.names.get(&self.local(member, entry.bundle, reference)));
        if let Some(number) = local.or_else(|| self.names.get(&self.name.hash(reference))) {
            return Whose::Known(*number);
        }
        let Some((ty, id)) = path::target(reference) else { return Whose::Nobody };
        if ty.is_some_and(|ty| ty != PATIENT) {
            return Whose::Nobody;
        }
        let is_absolute = reference.contains("://");
        let number = self.names.get(&self.name.hash(&format!("{PATIENT}/{id}")));
        let is_elsewhere =
            |number: &u32| self.known.get(*number as usize).is_some_and(|known| known.url.is_some());
        match number {
            // The same id at another server is another patient.
            Some(number) if is_absolute && is_elsewhere(number) => Whose::Unknown(reference.to_owned()),
            Some(number) => Whose::Known(*number),
            None => Whose::Unknown(id.to_owned()),
        }
    }

    /// A reference by identifier alone (FHIR R4 section 2.3.0.2).
    fn identified(&self, subject: Value<'_>) -> Whose {
        let identifier =
            subject.get("identifier").filter(|id| names_patient(*id, self.context.pseudonyms.fhir_rule()));
        identifier.and_then(named).map_or(Whose::Nobody, |(system, value)| Whose::Identified(system, value))
    }

    /// The name of a URL inside one Bundle.
    fn local(&self, member: usize, bundle: u64, url: &str) -> u128 {
        self.name.hash(&format!("{member} {bundle} {url}"))
    }

    /// Whether a second system turns up whose identifiers count as the default issuer's.
    fn is_another(&mut self, system: Option<&str>) -> bool {
        let Some(system) = system.filter(|system| !self.context.pseudonyms.is_issuer(system)) else {
            return false;
        };
        match &self.system {
            Some(first) => first != system,
            None => {
                self.system = Some(system.to_owned());
                false
            }
        }
    }
}

/// Patients that no resource of the source says.
#[derive(Default)]
pub(super) struct Others {
    by_pseudonym: HashMap<Pseudonym, Patient>,
}

impl Others {
    /// The patient of rows.
    pub(super) fn patient(
        &mut self,
        whose: &Whose,
        patients: &Patients<'_>,
        target: &mut Target,
    ) -> Result<Found> {
        let pseudonyms = patients.context.pseudonyms;
        let (pseudonym, is_orphan) = match whose {
            Whose::Known(number) => {
                let known = patients.known.get(*number as usize);
                return Ok(known.map_or(Found::Nobody, |known| Found::Known(known.patient)));
            }
            Whose::Nobody => return Ok(Found::Nobody),
            Whose::Unknown(name) => (pseudonyms.of(&patients.issuer, name), true),
            Whose::Identified(system, value) => (pseudonyms.of_fhir(system.as_deref(), value), false),
        };
        let Some(pseudonym) = pseudonym else { return Ok(Found::Nobody) };
        let patient = match self.by_pseudonym.get(&pseudonym) {
            Some(patient) => *patient,
            None => {
                let patient = Patient { pseudonym, ordinal: target.ordinal(&pseudonym)? };
                self.by_pseudonym.insert(pseudonym, patient);
                patient
            }
        };
        Ok(if is_orphan { Found::Orphan(patient) } else { Found::Known(patient) })
    }
}

/// Whether an identifier is of the kind that names patients here.
fn names_patient(identifier: Value<'_>, rule: FhirRule<'_>) -> bool {
    if let Some(system) = rule.system {
        return identifier.text_of("system").is_some_and(|found| found == system);
    }
    let codings = identifier.get("type").and_then(|ty| ty.get("coding")).into_iter().flat_map(Value::items);
    codings.into_iter().any(|coding| {
        coding.text_of("code").is_some_and(|code| code == rule.code)
            && coding.text_of("system").is_none_or(|system| system == TYPES)
    })
}

/// System and value of an identifier.
fn named(identifier: Value<'_>) -> Option<(Option<String>, String)> {
    let value = identifier.get("value").filter(|value| value.kind() != Kind::Null)?.text()?;
    let system = identifier.text_of("system").map(Cow::into_owned);
    (!value.trim().is_empty()).then(|| (system, value.into_owned()))
}
