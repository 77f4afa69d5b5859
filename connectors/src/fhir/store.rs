//! Rows of views become rows of the warehouse: patients found, resources that came before left out.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use rayon::prelude::*;

use super::bundled::{ViewTable, Views};
use super::harvest::{Harvest, Reaped, Rows};
use super::patients::{Found, Others, Patients, Whose};
use super::seen::Seen;
use super::{RESOURCE, SCHEMA};
use crate::contest::{Arena, Claim, Contest, Fate, Sight};
use crate::ingest::Context;
use crate::landing::{Patient, row_keys, shown};
use crate::row_key::NameKey;
use crate::tally::{Fault, Tally};
use crate::target::{Target, Writer};
use crate::{Code, Result};

const UNKNOWN: &str = "its patient is neither in this export of changes nor in earlier ones";

/// Receives the rows of one source.
pub(super) struct Store<'s> {
    views: &'s Views<'s>,
    collection: &'s str,
    seen: Seen,
    contest: Contest,
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

/// A resource on its way, and what becomes of it.
struct Fated {
    thing: u128,
    /// None beyond the rows that were asked for.
    fate: Option<Fate>,
}

impl Fated {
    fn comes_in(&self) -> bool {
        matches!(self.fate, Some(Fate::Kept | Fate::Won(_)))
    }
}

impl<'s> Store<'s> {
    pub(super) fn new(
        views: &'s Views<'s>,
        collection: &'s str,
        context: &Context<'_>,
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
            contest: Contest::of_one_source(context.duplicates),
            others: Others::default(),
            taken: vec![0; writers.len()],
            writers,
            limit: context.limit,
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
        let forgotten: Vec<bool> = owners
            .iter()
            .map(|owner| owner.is_some_and(|patient| target.forgets(&patient.pseudonym)))
            .collect();
        let fates = self.fates(resources, &contents, &forgotten, file, tally);
        for (number, batch) in batches.into_iter().enumerate() {
            if let Some((batch, rows)) = batch {
                self.write(number, &batch, &rows, &fates, tally)?;
            }
        }
        Ok(())
    }

    /// Ends all tables, and names the types of resources that no view takes. Says which resources came in.
    pub(super) fn finish(self, name: &NameKey, target: &mut Target, tally: &mut Tally) -> Result<Seen> {
        // Sorting and encoding what is left is most of the work of writing.
        self.writers.into_par_iter().try_for_each(Writer::finish)?;
        let tables = || self.views.tables.iter();
        let thing_of = |table: &ViewTable<'_>| {
            let first = self.views.of_type(&table.view.resource).first().copied().unwrap_or_default();
            move |id: &str| thing(first, name.hash_short(id))
        };
        let things: Vec<_> = tables().map(thing_of).collect();
        let arenas = tables().zip(&things).map(|(table, thing)| arena(table, thing));
        let arenas: Vec<Arena<'_>> = arenas.collect();
        self.contest.settle(target, &arenas, tally)?;
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
        forgotten: &[bool],
        file: &str,
        tally: &mut Tally,
    ) -> Vec<Fated> {
        let mut fates = Vec::with_capacity(resources.len());
        for ((resource, content), forgotten) in resources.into_iter().zip(contents).zip(forgotten) {
            let thing = thing(resource.table, resource.id);
            let claim = Claim { time: resource.updated, content: *content };
            let fate = match self.taken.get_mut(resource.table) {
                Some(taken) if *taken < self.limit => {
                    *taken += 1;
                    Some(self.fate(resource, thing, claim, *forgotten, file, tally))
                }
                Some(_) | None => None,
            };
            fates.push(Fated { thing, fate });
        }
        fates
    }

    fn fate(
        &mut self,
        resource: Reaped,
        thing: u128,
        claim: Claim,
        forgotten: bool,
        file: &str,
        tally: &mut Tally,
    ) -> Fate {
        let Reaped { table, line, id, fault, .. } = resource;
        let (fate, fault) = match fault {
            Some(fault) => (Fate::Rejected, Some(fault)),
            // The writer leaves its rows out and counts them.
            None if forgotten => (Fate::Kept, None),
            None => {
                let sight = self.seen.look(table, id, claim);
                if sight != Sight::First {
                    self.present(table, tally);
                }
                let reason = "a resource with this id came before, with other values".to_owned();
                match self.contest.fate(thing, claim, sight, tally) {
                    Fate::Rejected => (Fate::Rejected, Some(Fault { line, code: Code::Conflict, reason })),
                    fate => (fate, None),
                }
            }
        };
        if let Some(fault) = fault {
            self.present(table, tally);
            tally.read(1);
            tally.reject(file, fault);
        }
        match fate {
            Fate::Duplicate => tally.warn(Code::Duplicate, None, 1, &[line]),
            Fate::Won(_) => self.seen.put(table, id, claim),
            Fate::Kept | Fate::Rejected | Fate::Superseded => {}
        }
        fate
    }

    /// Writes the rows of resources that come in.
    fn write(
        &mut self,
        number: usize,
        batch: &RecordBatch,
        rows: &Rows,
        fates: &[Fated],
        tally: &mut Tally,
    ) -> Result<()> {
        let (Some(table), Some(writer)) = (self.views.tables.get(number), self.writers.get_mut(number))
        else {
            return Ok(());
        };
        let keys = row_keys(batch).into_iter().flat_map(|keys| keys.values());
        for (owner, key) in rows.owners.iter().zip(keys) {
            if let Some(Fated { thing, fate: Some(Fate::Won(turn)) }) = fates.get(*owner) {
                self.contest.row(*thing, *turn, number, *key);
            }
        }
        let fate = |owner: &usize| fates.get(*owner).and_then(|fated| fated.fate);
        let count =
            |wanted: Fate| rows.owners.iter().filter(|owner| fate(owner) == Some(wanted)).count() as u64;
        let keep: BooleanArray =
            rows.owners.iter().map(|owner| Some(fates.get(*owner).is_some_and(Fated::comes_in))).collect();
        let kept = keep.true_count() as u64;
        let (duplicates, superseded) = (count(Fate::Duplicate), count(Fate::Superseded));
        tally.table(&table.shown());
        tally.read(kept + duplicates + superseded);
        tally.kept(kept);
        tally.duplicates(duplicates);
        tally.superseded(superseded);
        for (column, doubts) in table.view.columns.iter().zip(&rows.doubts) {
            tally.warn(Code::UnreadableValue, Some(&column.name), doubts.unreadable, &[]);
            tally.warn(Code::PartialDate, Some(&column.name), doubts.partial, &[]);
        }
        if kept == rows.owners.len() as u64 {
            return writer.write(batch);
        }
        writer.write(&filter_record_batch(batch, &keep).map_err(|e| table.landing.fault(&e))?)
    }

    /// Makes a table the one that is counted for.
    fn present(&self, table: usize, tally: &mut Tally) {
        if let Some(table) = self.views.tables.get(table) {
            tally.table(&table.shown());
        }
    }
}

/// A resource among all of a source, by its first table and the hash of its id.
fn thing(table: usize, id: u64) -> u128 {
    (table as u128) << 64 | u128::from(id)
}

/// Where resources of a table are contested.
fn arena<'a>(table: &'a ViewTable<'_>, thing: &'a dyn Fn(&str) -> u128) -> Arena<'a> {
    let stored = &table.landing.name;
    Arena { stored, told: shown(stored), identifier: table.resource_key(), thing }
}
