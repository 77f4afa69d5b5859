//! Rows of views become rows of the warehouse: patients found, resources that came before left out.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use rayon::prelude::*;

use super::bundled::{ViewTable, Views};
use super::harvest::{Harvest, Reaped, Rows};
use super::patients::{Found, Others, Patients, Whose};
use super::seen::{Seen, Sight};
use super::{RESOURCE, SCHEMA};
use crate::landing::{Patient, row_keys, shown};
use crate::tally::{Fault, Tally};
use crate::target::{Target, Writer};
use crate::{Code, Result};

const UNKNOWN: &str = "its patient is neither in this export of changes nor in earlier ones";

/// Receives the rows of one source.
pub(super) struct Store<'s> {
    views: &'s Views<'s>,
    collection: &'s str,
    seen: Seen,
    others: Others,
    writers: Vec<Writer>,
    /// Resources of each table that came in, and how many may.
    taken: Vec<u64>,
    limit: u64,
    /// Resources of patients whom nobody told do not come in.
    only_known: bool,
    without_view: BTreeMap<String, u64>,
    /// Resources, with a view or without.
    pub(super) resources: u64,
    /// Values of JSON that are no resources.
    pub(super) not_fhir: u64,
    /// Texts that cannot be read.
    pub(super) broken: u64,
}

/// What becomes of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    Duplicate,
    Rejected,
    /// Beyond the rows that were asked for.
    Beyond,
}

impl<'s> Store<'s> {
    pub(super) fn new(
        views: &'s Views<'s>,
        collection: &'s str,
        limit: u64,
        target: &mut Target,
        tally: &mut Tally,
    ) -> Result<Self> {
        let mut writers = Vec::with_capacity(views.tables.len());
        for ViewTable { landing, .. } in &views.tables {
            tally.table(&shown(&landing.name));
            writers.push(target.writer(&landing.name, Arc::clone(&landing.schema))?);
        }
        Ok(Self {
            views,
            collection,
            seen: Seen::new(views.tables.len()),
            others: Others::default(),
            taken: vec![0; writers.len()],
            writers,
            limit,
            only_known: false,
            without_view: BTreeMap::new(),
            resources: 0,
            not_fhir: 0,
            broken: 0,
        })
    }

    /// Rejects resources of patients whom nobody told: whoever was told by another number would be two patients, and
    /// whoever was forgotten would come back.
    pub(super) fn only_known(&mut self) {
        self.only_known = true;
    }

    /// Takes the next resources of `file`.
    pub(super) fn take(
        &mut self,
        harvest: Harvest,
        file: &str,
        patients: &Patients<'_>,
        target: &mut Target,
        tally: &mut Tally,
    ) -> Result<()> {
        let Harvest { mut resources, rows, faults, unfit, without_view } = harvest;
        self.resources += resources.len() as u64 + without_view.values().sum::<u64>();
        for (ty, count) in without_view {
            *self.without_view.entry(ty).or_default() += count;
        }
        self.refuse(faults, file, tally);
        for (table, fault) in unfit {
            self.present(table, tally);
            tally.read(1);
            tally.reject(file, fault);
        }
        let owners = self.patients(&mut resources, patients, target, tally)?;
        let mut batches = Vec::with_capacity(rows.len());
        let mut contents = vec![0_u64; resources.len()];
        for (table, rows) in self.views.tables.iter().zip(rows) {
            let Some(rows) = rows else {
                batches.push(None);
                continue;
            };
            let batch = self.landed(table, &rows, &owners)?;
            // A sum does not depend on the order of rows, and all rows of a resource are in it.
            for (owner, key) in
                rows.owners.iter().zip(row_keys(&batch).into_iter().flat_map(|keys| keys.values()))
            {
                if let Some(content) = contents.get_mut(*owner) {
                    *content = content.wrapping_add(*key);
                }
            }
            batches.push(Some((batch, rows)));
        }
        let fates = self.fates(resources, &contents, file, tally);
        for (number, batch) in batches.into_iter().enumerate() {
            if let Some((batch, rows)) = batch {
                self.write(number, &batch, &rows, &fates, tally)?;
            }
        }
        Ok(())
    }

    /// Ends all tables, and names the types of resources that no view takes. Says which resources came in.
    pub(super) fn finish(self, tally: &mut Tally) -> Result<Seen> {
        // Sorting and encoding what is left is most of the work of writing.
        self.writers.into_par_iter().try_for_each(Writer::finish)?;
        for (ty, count) in self.without_view {
            tally.warn_about(SCHEMA, Code::NoView, Some(&ty), count);
        }
        Ok(self.seen)
    }

    fn refuse(&mut self, faults: Vec<Fault>, file: &str, tally: &mut Tally) {
        if faults.is_empty() {
            return;
        }
        tally.table(RESOURCE);
        tally.read(faults.len() as u64);
        for fault in faults {
            let of = if fault.code == Code::NotFhir { &mut self.not_fhir } else { &mut self.broken };
            *of += 1;
            tally.reject(file, fault);
        }
    }

    /// The patient of every resource.
    fn patients(
        &mut self,
        resources: &mut [Reaped],
        patients: &Patients<'_>,
        target: &mut Target,
        tally: &mut Tally,
    ) -> Result<Vec<Option<Patient>>> {
        let mut owners = Vec::with_capacity(resources.len());
        for resource in resources {
            if self.only_known && matches!(resource.whose, Whose::Unknown(_)) {
                let (line, code, reason) = (resource.line, Code::UnknownPatient, UNKNOWN.to_owned());
                resource.fault.get_or_insert(Fault { line, code, reason });
                owners.push(None);
                continue;
            }
            let found = self.others.patient(&resource.whose, patients, target)?;
            let (patient, doubt) = match found {
                Found::Known(patient) => (Some(patient), None),
                Found::Orphan(patient) => (Some(patient), Some(Code::Orphan)),
                Found::Nobody => (None, Some(Code::NoPatient)),
            };
            if let Some(code) = doubt.filter(|_| resource.fault.is_none()) {
                self.present(resource.table, tally);
                tally.warn(code, None, 1, &[resource.line]);
            }
            owners.push(patient);
        }
        Ok(owners)
    }

    fn landed(
        &self,
        table: &ViewTable<'_>,
        rows: &Rows,
        patients: &[Option<Patient>],
    ) -> Result<RecordBatch> {
        let of_rows: Vec<Option<Patient>> =
            rows.owners.iter().map(|owner| patients.get(*owner).copied().flatten()).collect();
        table.landing.land(&of_rows, &table.in_order(&rows.columns, of_rows.len(), self.collection))
    }

    /// What becomes of every resource. What is rejected is named here, once.
    fn fates(
        &mut self,
        resources: Vec<Reaped>,
        contents: &[u64],
        file: &str,
        tally: &mut Tally,
    ) -> Vec<Fate> {
        let mut fates = Vec::with_capacity(resources.len());
        for (Reaped { table, line, id, fault, .. }, content) in resources.into_iter().zip(contents) {
            let fate = match self.taken.get_mut(table) {
                Some(taken) if *taken < self.limit => {
                    *taken += 1;
                    None
                }
                Some(_) | None => Some(Fate::Beyond),
            };
            let (fate, fault) = match (fate, fault) {
                (Some(beyond), _) => (beyond, None),
                (None, Some(fault)) => (Fate::Rejected, Some(fault)),
                (None, None) => match self.seen.look(table, id, *content) {
                    Sight::First => (Fate::Kept, None),
                    Sight::Same => (Fate::Duplicate, None),
                    Sight::Other => {
                        let reason = "a resource with this id came before, with other values".to_owned();
                        (Fate::Rejected, Some(Fault { line, code: Code::Conflict, reason }))
                    }
                },
            };
            if let Some(fault) = fault {
                self.present(table, tally);
                tally.read(1);
                tally.reject(file, fault);
            }
            if fate == Fate::Duplicate {
                self.present(table, tally);
                tally.warn(Code::Duplicate, None, 1, &[line]);
            }
            fates.push(fate);
        }
        fates
    }

    /// Writes the rows of resources that are kept.
    fn write(
        &mut self,
        number: usize,
        batch: &RecordBatch,
        rows: &Rows,
        fates: &[Fate],
        tally: &mut Tally,
    ) -> Result<()> {
        let (Some(table), Some(writer)) = (self.views.tables.get(number), self.writers.get_mut(number))
        else {
            return Ok(());
        };
        let fate = |owner: &usize| fates.get(*owner).copied();
        let count =
            |wanted: Fate| rows.owners.iter().filter(|owner| fate(owner) == Some(wanted)).count() as u64;
        let (kept, duplicates) = (count(Fate::Kept), count(Fate::Duplicate));
        tally.table(&table.shown());
        tally.read(kept + duplicates);
        tally.kept(kept);
        tally.duplicates(duplicates);
        for (column, doubts) in table.view.columns.iter().zip(&rows.doubts) {
            tally.warn(Code::UnreadableValue, Some(&column.name), doubts.unreadable, &[]);
            tally.warn(Code::PartialDate, Some(&column.name), doubts.partial, &[]);
        }
        if kept == rows.owners.len() as u64 {
            return writer.write(batch);
        }
        let keep: BooleanArray =
            rows.owners.iter().map(|owner| Some(fate(owner) == Some(Fate::Kept))).collect();
        writer.write(&filter_record_batch(batch, &keep).map_err(|e| table.landing.fault(&e))?)
    }

    /// Makes a table the one that is counted for.
    fn present(&self, table: usize, tally: &mut Tally) {
        if let Some(table) = self.views.tables.get(table) {
            tally.table(&table.shown());
        }
    }
}
