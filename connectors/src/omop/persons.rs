//! Which patient a person_id means.

use std::collections::{HashMap, HashSet};

use crate::Result;
use crate::identity::{OmopColumn, Pseudonym};
use crate::ingest::Context;
use crate::landing::Patient;
use crate::target::Target;

/// The persons of one source.
pub(super) struct Persons<'c> {
    context: &'c Context<'c>,
    /// The issuer of person_id: it means something only inside its collection.
    issuer: String,
    known: HashMap<i64, Patient>,
    orphans: HashMap<i64, Patient>,
    patients: HashSet<Pseudonym>,
}

/// A person that was not known before.
pub(super) struct Registered {
    pub(super) patient: Patient,
    /// 1 if another person_id means the same patient, else 0.
    pub(super) shared: u64,
}

impl<'c> Persons<'c> {
    pub(super) fn new(context: &'c Context<'c>, collection: &str) -> Self {
        let issuer = format!("omop:{collection}");
        Self { context, issuer, known: HashMap::new(), orphans: HashMap::new(), patients: HashSet::new() }
    }

    /// Takes a row of PERSON; `None` if its person_id came before.
    pub(super) fn register(
        &mut self,
        person_id: i64,
        source_value: Option<&str>,
        target: &mut Target,
    ) -> Result<Option<Registered>> {
        if self.known.contains_key(&person_id) {
            return Ok(None);
        }
        let pseudonyms = self.context.pseudonyms;
        let named = match pseudonyms.omop_column() {
            OmopColumn::PersonSourceValue => {
                source_value.and_then(|value| pseudonyms.of_default_issuer(value))
            }
            OmopColumn::PersonId => None,
        };
        let pseudonym = named.unwrap_or_else(|| self.by_number(person_id));
        let patient = Patient { pseudonym, ordinal: target.ordinal(&pseudonym)? };
        self.known.insert(person_id, patient);
        let shared = u64::from(!self.patients.insert(pseudonym));
        Ok(Some(Registered { patient, shared }))
    }

    /// The patient of a record, and whether PERSON has it.
    pub(super) fn of(&mut self, person_id: i64, target: &mut Target) -> Result<(Patient, bool)> {
        if let Some(patient) = self.known.get(&person_id) {
            return Ok((*patient, true));
        }
        if let Some(patient) = self.orphans.get(&person_id) {
            return Ok((*patient, false));
        }
        let pseudonym = self.by_number(person_id);
        let patient = Patient { pseudonym, ordinal: target.ordinal(&pseudonym)? };
        self.orphans.insert(person_id, patient);
        Ok((patient, false))
    }

    fn by_number(&self, person_id: i64) -> Pseudonym {
        self.context.pseudonyms.of_number(&self.issuer, person_id)
    }
}
