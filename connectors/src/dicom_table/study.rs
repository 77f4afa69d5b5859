//! Derives `dicom.study` from all series of the warehouse, old and new: one row a patient and study.
//!
//! Stored series are sorted by patient, and a study belongs to one. So the files are merged patient by patient,
//! and no more than one patient's studies are held at a time. Where series of a study disagree, the one with the
//! smallest SeriesInstanceUID that has a value decides: an answer does not depend on the order of sources.

mod fold;
mod merge;

use std::collections::HashSet;
use std::sync::Arc;

use caim_warehouse::{Commit, TableName};

use super::{SCHEMA, SERIES, STUDY};
use crate::ingest::Context;
use crate::landing::Landing;
use crate::row_key::NameKey;
use crate::tally::Tally;
use crate::target::Writer;
use crate::{Code, Error, Result};
use fold::{Derived, Fields, Studies};
use merge::Merge;

/// Rows that are written at a time, at least.
const ROWS: usize = 4096;

/// Replaces the studies of the next epoch.
///
/// # Errors
/// When stored series cannot be read or studies cannot be written.
pub(super) fn derive(context: &Context<'_>, commit: &mut Commit, tally: &mut Tally) -> Result<()> {
    let fault = |e| Error::new(Code::Model, SCHEMA, e);
    let series = context.models.table(SCHEMA, SERIES).map_err(fault)?;
    let landing = Landing::new(SCHEMA, context.models.table(SCHEMA, STUDY).map_err(fault)?, context.secret);
    let fields = Fields::of(landing.table, series);
    let paths = commit.paths(&TableName::new(SCHEMA, SERIES))?;
    commit.replace(&landing.name);
    let writer = Writer::Table(commit.writer(landing.name.clone(), Arc::clone(&landing.schema))?);
    let (name, known) = (NameKey::new(context.secret), HashSet::new());
    let mut derivation = Derivation { landing, fields, writer, pending: Vec::new(), name, known, shared: 0 };
    context.progress.started("dicom.study from all series", None);
    let mut merge = Merge::open(&paths, &derivation.fields.columns())?;
    while let Some(patient) = merge.next_patient() {
        let mut studies = Studies::default();
        merge.each(patient, |rows| studies.add(&derivation.fields, rows))?;
        derivation.take(patient, studies)?;
    }
    let shared = derivation.finish()?;
    context.progress.finished();
    tally.warn(Code::SharedStudy, None, shared, &[]);
    Ok(())
}

struct Derivation<'m> {
    landing: Landing<'m>,
    fields: Fields,
    writer: Writer,
    pending: Vec<Derived>,
    name: NameKey,
    /// Studies of patients, by the hash of their UID.
    known: HashSet<u128>,
    shared: u64,
}

impl Derivation<'_> {
    fn take(&mut self, patient: Option<u32>, studies: Studies) -> Result<()> {
        for study in studies.of(patient) {
            if patient.is_some() && !self.known.insert(self.name.hash(study.uid())) {
                self.shared += 1;
            }
            self.pending.push(study);
        }
        if self.pending.len() >= ROWS { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<()> {
        let studies = std::mem::take(&mut self.pending);
        for some in studies.chunks(ROWS) {
            let rows = self.fields.rows(some, &self.landing)?;
            self.writer.write(&rows)?;
        }
        Ok(())
    }

    /// Writes what is left; how many studies occurred under a second patient.
    fn finish(mut self) -> Result<u64> {
        self.write()?;
        self.writer.finish()?;
        Ok(self.shared)
    }
}
