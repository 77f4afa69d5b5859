//! Clinical tables of any shape, by a mapping file: CSV, Parquet, and sheets that a spreadsheet exported.
//!
//! A row of a file gives rows of tables of the common data model, as the mapping says. They land in schema `table`, in
//! the shape of the common model, and the build merges them with what other sources say.

mod mapping;
mod row;

pub(crate) use mapping::TableMapping;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringArray};
use arrow::compute::filter;
use caim_ontology::{Column, Models};

use crate::build::SHEETS;
use crate::ingest::Context;
use crate::landing::{Landing, Patient, repeated};
use crate::mapping::position;
use crate::row_key::NameKey;
use crate::rows::{Lines, Opened, RawBatch};
use crate::source::Member;
use crate::tally::{Fault, Tally};
use crate::target::{Target, Writer};
use crate::values::{self, Rules};
use crate::{Code, Collection, Error, Result};
use row::Sheet;

/// The column of the common model that says which collection a row came with.
const DATASET: &str = "dataset_id";
const PATIENT_ID: &str = "patient_id";

/// Reads all members, each by its mapping, into `target`.
pub(crate) fn ingest(
    context: &Context<'_>,
    members: &[(Member, TableMapping)],
    target: &mut Target,
    tally: &mut Tally,
) -> Result<()> {
    let mut connector = Connector {
        context,
        names: NameKey::new(context.secret),
        writers: BTreeMap::new(),
        patients: HashMap::new(),
    };
    for (member, mapping) in members {
        connector.member(member, mapping, target, tally)?;
    }
    connector.writers.into_values().try_for_each(Writer::finish)
}

struct Connector<'c> {
    context: &'c Context<'c>,
    names: NameKey,
    writers: BTreeMap<String, Writer>,
    patients: HashMap<String, Patient>,
}

impl Connector<'_> {
    fn member(
        &mut self,
        member: &Member,
        mapping: &TableMapping,
        target: &mut Target,
        tally: &mut Tally,
    ) -> Result<()> {
        let opened = Opened::open(member)?;
        let columns = self.columns(mapping, &opened.header, &member.name)?;
        tally.table(&format!("{SHEETS}.{}", member.table_names().0));
        let used: Vec<usize> = columns.values().copied().collect();
        let unused =
            opened.header.iter().enumerate().filter(|(i, name)| !used.contains(i) && !name.is_empty());
        unused.for_each(|(_, name)| tally.left_out(name));
        let names: Vec<String> = columns.keys().cloned().collect();
        self.context.progress.started(&tally.told(&member.name), opened.total);
        let mut rows = opened.select(&used)?;
        let mut limit = self.context.limit;
        while limit > 0 {
            let Some(batch) = rows.next_batch()? else { break };
            let batch = batch.truncated(usize::try_from(limit).unwrap_or(usize::MAX));
            let read = (batch.lines.len() + batch.faults.len()) as u64;
            limit -= batch.lines.len() as u64;
            self.batch(&names, batch, (member, mapping), target, tally)?;
            self.context.progress.advanced(read);
        }
        self.context.progress.finished();
        Ok(())
    }

    /// Where the header has each column that the mapping reads.
    fn columns(
        &self,
        mapping: &TableMapping,
        header: &[String],
        file: &str,
    ) -> Result<BTreeMap<String, usize>> {
        let collection = match self.context.collection {
            Collection::Column(name) => Some(name.as_str()),
            Collection::Id(_) | Collection::Default => None,
        };
        let wanted = mapping.columns().into_iter().chain(collection);
        let found = wanted.map(|name| match position(header, name) {
            Some(position) => Ok((name.to_owned(), position)),
            None => {
                let reason = format!("{} reads the column {name}, which its header lacks", mapping.path);
                Err(Error::new(Code::MissingColumn, file, reason))
            }
        });
        found.collect()
    }

    fn batch(
        &mut self,
        names: &[String],
        batch: RawBatch,
        (member, mapping): (&Member, &TableMapping),
        target: &mut Target,
        tally: &mut Tally,
    ) -> Result<()> {
        tally.read((batch.lines.len() + batch.faults.len()) as u64);
        batch.faults.into_iter().for_each(|fault| tally.reject(&member.name, fault));
        tally.warn(Code::SurplusFields, None, batch.surplus.len() as u64, &batch.surplus);
        let text = text_column(self.context.models)?;
        let mut columns = BTreeMap::new();
        for (name, raw) in names.iter().zip(&batch.columns) {
            let read = values::read(text, raw, &Rules::omop());
            let read = read
                .map_err(|e| Error::new(Code::DamagedParquet, &member.name, format!("column {name}: {e}")))?;
            tally.warn(Code::Encoding, Some(name), read.latin1, &[]);
            columns.insert(name.clone(), read.array);
        }
        let (columns, lines) = self.with_patients(columns, batch.lines, (member, mapping), tally)?;
        let patients = self.patients(&columns, mapping, target)?;
        let collections = self.collections(&columns, lines.len(), target);
        tally.kept(lines.len() as u64);
        let sheet = Sheet {
            columns: &columns,
            lines: &lines,
            collections: &collections,
            mapping,
            names: &self.names,
        };
        for (number, entry) in mapping.entries.iter().enumerate() {
            let (arrays, keep) = sheet.rows(self.context.models, number, tally)?;
            let table = entry.table(self.context.models)?;
            let landing = Landing::new(SHEETS, table, self.context.secret).under(self.context.pseudonyms);
            let kept = patients.iter().zip(keep.iter()).filter(|(_, keep)| *keep == Some(true));
            let kept: Vec<Option<Patient>> = kept.map(|(patient, _)| *patient).collect();
            let rows = landing.land(&kept, &arrays)?;
            let writer = match self.writers.entry(table.name.clone()) {
                Entry::Occupied(writer) => writer.into_mut(),
                Entry::Vacant(place) => {
                    place.insert(target.writer(&landing.name, Arc::clone(&landing.schema))?)
                }
            };
            writer.write(&rows)?;
        }
        Ok(())
    }

    /// The collection of every row.
    fn collections(
        &self,
        columns: &BTreeMap<String, ArrayRef>,
        rows: usize,
        target: &mut Target,
    ) -> ArrayRef {
        let named = match self.context.collection {
            Collection::Column(name) => columns.get(name),
            Collection::Id(_) | Collection::Default => None,
        };
        let Some(named) = named else {
            return repeated(self.context.collection.id().unwrap_or_default(), rows);
        };
        target.collections(named.as_string::<i32>());
        Arc::clone(named)
    }

    /// The rows that name a patient; the others are rejected.
    fn with_patients(
        &self,
        columns: BTreeMap<String, ArrayRef>,
        lines: Lines,
        (member, mapping): (&Member, &TableMapping),
        tally: &mut Tally,
    ) -> Result<(BTreeMap<String, ArrayRef>, Lines)> {
        let Some(ids) = columns.get(&mapping.patient) else { return Ok((columns, lines)) };
        let named = |id: Option<&str>| id.is_some_and(|id| !id.trim().is_empty());
        let keep: BooleanArray = ids.as_string::<i32>().iter().map(|id| Some(named(id))).collect();
        if keep.true_count() == keep.len() {
            return Ok((columns, lines));
        }
        for row in (0..keep.len()).filter(|row| !keep.value(*row)) {
            let reason = format!("{} names no patient", mapping.patient);
            tally.reject(&member.name, Fault { line: lines.line(row), code: Code::BadKey, reason });
        }
        let kept = |(name, array): (String, ArrayRef)| Ok((name, filter(&array, &keep)?));
        let columns =
            columns.into_iter().map(kept).collect::<std::result::Result<_, arrow::error::ArrowError>>();
        Ok((columns.map_err(|e| Error::new(Code::Model, &member.name, e))?, lines.filter(&keep)))
    }

    fn patients(
        &mut self,
        columns: &BTreeMap<String, ArrayRef>,
        mapping: &TableMapping,
        target: &mut Target,
    ) -> Result<Vec<Option<Patient>>> {
        let Some(ids) = columns.get(&mapping.patient) else { return Ok(Vec::new()) };
        let mut patients = Vec::with_capacity(ids.len());
        for id in ids.as_string::<i32>().iter().flatten() {
            patients.push(self.patient(id, mapping, target)?);
        }
        Ok(patients)
    }

    fn patient(&mut self, id: &str, mapping: &TableMapping, target: &mut Target) -> Result<Option<Patient>> {
        let issuer = mapping.issuer.as_deref();
        let known = format!("{}\n{id}", issuer.unwrap_or_default());
        if let Some(patient) = self.patients.get(&known) {
            return Ok(Some(*patient));
        }
        let pseudonyms = self.context.pseudonyms;
        let found =
            issuer.map_or_else(|| pseudonyms.of_default_issuer(id), |issuer| pseudonyms.of(issuer, id));
        let Some(pseudonym) = found else { return Ok(None) };
        let patient = Patient { pseudonym, ordinal: target.ordinal(&pseudonym)? };
        self.patients.insert(known, patient);
        Ok(Some(patient))
    }
}

/// A column of plain text: how the cells of a sheet are read first.
fn text_column(models: &Models) -> Result<&Column> {
    let table =
        models.table(crate::build::COMMON, "patient").map_err(|e| Error::new(Code::Model, PATIENT_ID, e))?;
    table
        .column(PATIENT_ID)
        .ok_or_else(|| Error::new(Code::Model, PATIENT_ID, "the model has no such column"))
}

/// Texts of one column.
fn texts(array: &ArrayRef) -> &StringArray {
    array.as_string::<i32>()
}
