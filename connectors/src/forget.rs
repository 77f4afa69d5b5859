//! A patient is forgotten: their rows leave every table and every earlier epoch, and do not come in again.
//!
//! What stays is the pseudonym, a keyed hash, as a mark in the state database: every ingest leaves out its rows. The mark
//! is on the disk before any row leaves, so that no ingest in between brings them back.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{Array, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::filter_record_batch;
use caim_ontology::{Models, TableKind};
use caim_warehouse::rusqlite::params;
use caim_warehouse::{Epoch, NewBatch, State, TableName, Warehouse, layout};
use serde::Serialize;

use crate::audit;
use crate::build::{self, Builder, is_derived};
use crate::identity::{Identity, Pseudonym, Pseudonyms};
use crate::landing::shown;
use crate::{Code, Error, Progress, Result, Secret};

const SCHEMA: &[&str] = &["CREATE TABLE forgotten (pseudonym BLOB PRIMARY KEY, at INTEGER NOT NULL) STRICT;"];

/// What was removed. It does not say whose rows they were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// The epoch that answers now.
    pub epoch: u64,
    /// Rows removed from what sources landed, by table.
    pub rows: BTreeMap<String, u64>,
    /// Tables whose rows name no patient: whoever must be forgotten there is to be taken out of their source.
    pub not_searched: Vec<String>,
}

/// Forgets the patient whom `issuer` calls `id`, with everybody who is linked to them as the same person. The default
/// issuer is that of `[identity]`.
///
/// # Errors
/// When `id` is blank, or the warehouse cannot be read or written.
pub fn forget(
    warehouse: &Warehouse,
    models: &Models,
    identity: &Identity,
    secret: &Secret,
    patient: (Option<&str>, &str),
    progress: &dyn Progress,
) -> Result<Removed> {
    let pseudonyms = Pseudonyms::new(secret, identity)?;
    let (issuer, id) = (patient.0.unwrap_or(&identity.issuer), patient.1);
    let blank = || {
        Error::new(Code::Option, "--patient", "it is blank").with_fix("give the identifier of one patient")
    };
    let pseudonym = pseudonyms.of(issuer, id).ok_or_else(blank)?;
    let current = warehouse.current()?;
    if current.secret_id().is_some_and(|stored| stored != secret.id()) {
        return Err(Error::new(
            Code::Secret,
            "secret",
            "the pseudonyms of this warehouse were made with another one",
        ));
    }
    mark(warehouse, &pseudonym)?;
    audit::drop_lists(warehouse)?;
    let rows = remove(warehouse, models, secret, &pseudonym, progress)?;
    // Also what an interrupted call has left: after this, no file of the warehouse holds the patient.
    warehouse.drop_history()?;
    let epoch = warehouse.current()?;
    let mut removed = BTreeMap::new();
    rows.iter().for_each(|(table, rows)| *removed.entry(shown(table)).or_default() += rows);
    Ok(Removed { epoch: epoch.number(), rows: removed, not_searched: without_patients(&epoch, models) })
}

/// Takes the rows of a patient out of the landing tables and makes the others anew.
fn remove(
    warehouse: &Warehouse,
    models: &Models,
    secret: &Secret,
    pseudonym: &Pseudonym,
    progress: &dyn Progress,
) -> Result<BTreeMap<TableName, u64>> {
    let mut commit = warehouse.begin(NewBatch {
        source: "caim forget".to_owned(),
        content: String::new(),
        collection: None,
        format: "build".to_owned(),
    })?;
    commit.secret(&secret.id())?;
    let Some(ordinal) = commit.ordinals()?.known(&pseudonym.0) else { return Ok(BTreeMap::new()) };
    let landed: Vec<TableName> = commit.base().tables().filter(|table| !is_derived(table)).cloned().collect();
    let rows = commit.forget(ordinal, &landed)?;
    if rows.is_empty() {
        return Ok(rows);
    }
    Builder { models, secret, progress }.derive(&mut commit)?;
    let epoch = commit.publish()?;
    build::made(warehouse, &epoch, models)?;
    Ok(rows)
}

/// The tables with rows that are about patients and name none.
fn without_patients(epoch: &Epoch, models: &Models) -> Vec<String> {
    let hidden = models.iter().flat_map(|model| model.tables.iter().map(move |table| (model, table)));
    let hidden = hidden.filter(|(_, table)| table.kind == TableKind::Hidden);
    let names = hidden.map(|(model, table)| TableName::new(&model.schema, &table.name));
    names.filter(|name| epoch.rows(name) > 0).map(|name| name.to_string()).collect()
}

fn mark(warehouse: &Warehouse, pseudonym: &Pseudonym) -> Result<()> {
    prepared(warehouse)?.write(|transaction| {
        let sql = "INSERT OR IGNORE INTO forgotten VALUES (?1, unixepoch())";
        transaction.execute(sql, params![pseudonym.0])?;
        Ok::<_, caim_warehouse::Error>(())
    })?;
    Ok(())
}

fn prepared(warehouse: &Warehouse) -> Result<&State> {
    warehouse.state().migrate("forgotten", SCHEMA)?;
    Ok(warehouse.state())
}

/// The patients who were forgotten, and what an ingest leaves out because of them. Shared by the writers of a commit.
#[derive(Clone, Default)]
pub(crate) struct Forgotten {
    /// None where nobody was: the common case costs nothing.
    marks: Option<Arc<Marks>>,
    table: Option<Arc<TableName>>,
}

struct Marks {
    pseudonyms: HashSet<[u8; 32]>,
    met: Mutex<Met>,
}

#[derive(Default)]
struct Met {
    ordinals: BTreeSet<u32>,
    left_out: BTreeMap<TableName, u64>,
}

impl Forgotten {
    /// Everybody who is marked.
    pub(crate) fn load(warehouse: &Warehouse) -> Result<Self> {
        let pseudonyms: HashSet<[u8; 32]> = prepared(warehouse)?.read(|connection| {
            let mut statement = connection.prepare("SELECT pseudonym FROM forgotten")?;
            let rows = statement.query_map([], |row| row.get(0))?;
            Ok::<_, caim_warehouse::Error>(rows.collect::<Result<_, _>>()?)
        })?;
        let marks = (!pseudonyms.is_empty()).then(|| Arc::new(Marks { pseudonyms, met: Mutex::default() }));
        Ok(Self { marks, table: None })
    }

    /// The same for the writer of one table.
    pub(crate) fn of_table(&self, table: &TableName) -> Self {
        Self { marks: self.marks.clone(), table: Some(Arc::new(table.clone())) }
    }

    /// Whether a patient is marked.
    pub(crate) fn has(&self, pseudonym: &Pseudonym) -> bool {
        self.marks.as_ref().is_some_and(|marks| marks.pseudonyms.contains(&pseudonym.0))
    }

    /// Notes the ordinal of a patient who has come in.
    pub(crate) fn meet(&self, pseudonym: &Pseudonym, ordinal: u32) {
        if let Some(marks) = self.marks.as_ref().filter(|_| self.has(pseudonym)) {
            marks.met().ordinals.insert(ordinal);
        }
    }

    /// The rows of everybody else.
    pub(crate) fn without(&self, rows: &RecordBatch) -> RecordBatch {
        let column = rows.column_by_name(layout::PATIENT);
        let patients = column.and_then(|column| column.as_any().downcast_ref::<UInt32Array>());
        let (Some(marks), Some(table), Some(patients)) = (&self.marks, &self.table, patients) else {
            return rows.clone();
        };
        let mut met = marks.met();
        if met.ordinals.is_empty() {
            return rows.clone();
        }
        let stays = |patient: Option<u32>| patient.is_none_or(|patient| !met.ordinals.contains(&patient));
        let keep: BooleanArray = patients.iter().map(|patient| Some(stays(patient))).collect();
        // A mask of as many rows fits: there is no other reason to fail.
        let kept = filter_record_batch(rows, &keep).unwrap_or_else(|_| rows.slice(0, 0));
        let gone = (rows.num_rows() - kept.num_rows()) as u64;
        if gone > 0 {
            *met.left_out.entry(TableName::clone(table)).or_default() += gone;
        }
        kept
    }

    /// How many rows were left out, by table.
    pub(crate) fn left_out(&self) -> BTreeMap<TableName, u64> {
        self.marks.as_ref().map(|marks| marks.met().left_out.clone()).unwrap_or_default()
    }
}

impl Marks {
    fn met(&self) -> MutexGuard<'_, Met> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
