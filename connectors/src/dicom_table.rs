//! Tables with a row a series, whose columns are DICOM keywords (PS3.6): the index that an archive exports.
//!
//! Rows land in `landing.series`; `dicom.series` and `dicom.study` are derived. A series has one row, however many
//! sources list it: the first stays, or the one that the operator's rule prefers.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use caim_ontology::Table;
use caim_warehouse::{BatchId, Epoch};

use crate::build::LANDING;
use crate::contest::{Arena, Claim, Contest, Fate};
use crate::ingest::Context;
use crate::intake::{Chunk, Intake, Wanted, required};
use crate::landing::{COLLECTION, Landing, Patient, repeated, row_keys};
use crate::moments::Moments;
use crate::rows::Lines;
use crate::seen::Seen;
use crate::source::Member;
use crate::tally::{Fault, Tally};
use crate::target::Target;
use crate::values::Rules;
use crate::{Code, Collection, Duplicates, Error, Result, mapping};

const SCHEMA: &str = "dicom";
const SERIES: &str = "series";
const SERIES_UID: &str = "seriesinstanceuid";
const DICOM_PATIENT: &str = "patientid";
/// The same patient by the name that the model gives it in every table.
const PATIENT_ID: &str = "patient_id";

/// Reads all members into `target`. `replaced` is the batch whose series leave.
pub(crate) fn ingest(
    context: &Context<'_>,
    members: &[Member],
    target: &mut Target,
    base: &Epoch,
    replaced: Option<&BatchId>,
    tally: &mut Tally,
) -> Result<()> {
    let table = context.models.table(SCHEMA, SERIES).map_err(|e| Error::new(Code::Model, SCHEMA, e))?;
    let landing = Landing::new(LANDING, table, context.secret).under(context.pseudonyms);
    let seen = Seen::of(base, &landing.name, SERIES_UID, replaced, context)?;
    tally.table(&told());
    let contest = Contest::of_all_sources(context.duplicates);
    let patients = HashMap::new();
    let mut connector = DicomTable { context, landing, rules: Rules::dicom(), seen, contest, patients };
    connector.read(members, target, tally)?;
    let DicomTable { landing, seen, contest, .. } = connector;
    let thing = |uid: &str| seen.thing(uid);
    let arena = Arena { stored: &landing.name, told: told(), identifier: SERIES_UID, thing: &thing };
    contest.settle(target, &[arena], tally)
}

/// What reports call the table.
fn told() -> String {
    format!("{SCHEMA}.{SERIES}")
}

struct DicomTable<'c> {
    context: &'c Context<'c>,
    landing: Landing<'c>,
    rules: Rules,
    seen: Seen,
    contest: Contest,
    /// By PatientID: pseudonyms and ordinals cost more than a look.
    patients: HashMap<String, Patient>,
}

impl DicomTable<'_> {
    fn read(&mut self, members: &[Member], target: &mut Target, tally: &mut Tally) -> Result<()> {
        let mut writer = target.writer(&self.landing.name, Arc::clone(&self.landing.schema))?;
        let mut limit = self.context.limit;
        let (context, rules) = (self.context, self.rules.clone());
        for member in members {
            let wanted = wanted(self.landing.table, &rules);
            let fixed = |header: &[String], column: &str| fixed(header, column, context.collection);
            let intake = Intake::open(member, wanted, fixed, tally)?;
            check_collection(&intake, context.collection, member)?;
            intake.each(&mut limit, tally, context.progress, |chunk, tally| {
                let rows = self.rows(chunk, &member.name, target, tally)?;
                tally.kept(rows.num_rows() as u64);
                writer.write(&rows)
            })?;
        }
        writer.finish()
    }

    /// The stored rows of a chunk, without series that are there already.
    fn rows(
        &mut self,
        mut chunk: Chunk,
        file: &str,
        target: &mut Target,
        tally: &mut Tally,
    ) -> Result<RecordBatch> {
        let table = self.landing.table;
        let patients = self.patients(&chunk, target, tally)?;
        match self.context.collection.id() {
            Some(id) => chunk.set(table, COLLECTION, repeated(id, chunk.lines.len())),
            None => {
                let named = required(&chunk, table, COLLECTION)?;
                target.collections(named.as_string::<i32>());
                warn_of_nulls(named, &chunk.lines, Code::NoCollection, tally);
            }
        }
        let rows = self.landing.land(&patients, &chunk.columns)?;
        self.staying(&chunk.lines, &patients, &rows, (file, target), tally)
    }

    fn patients(
        &mut self,
        chunk: &Chunk,
        target: &mut Target,
        tally: &mut Tally,
    ) -> Result<Vec<Option<Patient>>> {
        let ids = required(chunk, self.landing.table, DICOM_PATIENT)?;
        warn_of_nulls(ids, &chunk.lines, Code::NoPatient, tally);
        ids.as_string::<i32>().iter().map(|id| id.map_or(Ok(None), |id| self.patient(id, target))).collect()
    }

    fn patient(&mut self, id: &str, target: &mut Target) -> Result<Option<Patient>> {
        if let Some(patient) = self.patients.get(id) {
            return Ok(Some(*patient));
        }
        let Some(pseudonym) = self.context.pseudonyms.of_default_issuer(id) else { return Ok(None) };
        let patient = Patient { pseudonym, ordinal: target.ordinal(&pseudonym)? };
        self.patients.insert(id.to_owned(), patient);
        Ok(Some(patient))
    }

    /// The rows that come in. What does not is named here.
    fn staying(
        &mut self,
        lines: &Lines,
        patients: &[Option<Patient>],
        rows: &RecordBatch,
        (file, target): (&str, &Target),
        tally: &mut Tally,
    ) -> Result<RecordBatch> {
        let (Some(uids), Some(keys)) = (rows.column_by_name(SERIES_UID), row_keys(rows)) else {
            return Ok(rows.clone());
        };
        let names = self.landing.schema.fields().iter().map(|field| field.name().as_str());
        let moments = Moments::among(names.filter(|_| self.context.duplicates == Duplicates::Newest));
        let mut keep = Vec::with_capacity(rows.num_rows());
        for (row, (uid, key)) in uids.as_string::<i32>().iter().zip(keys.values()).enumerate() {
            let patient = patients.get(row).copied().flatten();
            let claim = Claim { time: moments.at(rows.columns(), row), content: *key };
            let fate = if patient.is_some_and(|patient| target.forgets(&patient.pseudonym)) {
                // The writer leaves it out and counts it.
                Fate::Kept
            } else {
                self.fate(uid.unwrap_or_default(), claim, tally)
            };
            keep.push(matches!(fate, Fate::Kept | Fate::Won(_)));
            match fate {
                Fate::Kept | Fate::Won(_) => {}
                Fate::Superseded => tally.superseded(1),
                Fate::Duplicate => tally.duplicate(lines.line(row)),
                Fate::Rejected => {
                    let reason = "its SeriesInstanceUID is there already, with other values".to_owned();
                    tally.reject(file, Fault { line: lines.line(row), code: Code::Conflict, reason });
                }
            }
        }
        filter_record_batch(rows, &BooleanArray::from(keep)).map_err(|e| self.landing.fault(&e))
    }

    fn fate(&mut self, uid: &str, claim: Claim, tally: &mut Tally) -> Fate {
        let thing = self.seen.thing(uid);
        let sight = self.seen.look(thing, claim);
        let fate = self.contest.fate(thing, claim, sight, tally);
        if let Fate::Won(turn) = fate {
            self.seen.put(thing, claim);
            self.contest.row(thing, turn, 0, claim.content);
        }
        fate
    }
}

fn wanted<'m>(table: &'m Table, rules: &'m Rules) -> Wanted<'m> {
    Wanted { table, rules, required: vec![SERIES_UID, DICOM_PATIENT], keys: vec![SERIES_UID] }
}

/// Where columns come from that are not simply matched by name.
fn fixed(header: &[String], column: &str, collection: &Collection) -> Option<Option<usize>> {
    match (column, collection) {
        (COLLECTION, Collection::Column(name)) => Some(mapping::position(header, name)),
        (COLLECTION, Collection::Id(_) | Collection::Default) => Some(None),
        (DICOM_PATIENT, _) => {
            Some(mapping::position(header, DICOM_PATIENT).or_else(|| mapping::position(header, PATIENT_ID)))
        }
        (PATIENT_ID, _) => Some(None),
        _ => None,
    }
}

/// That the column which is to name the collection is there.
fn check_collection(intake: &Intake<'_>, collection: &Collection, member: &Member) -> Result<()> {
    match collection {
        Collection::Column(name) if !intake.has(COLLECTION) => {
            let reason = format!("{} has no column {name}", member.name);
            Err(Error::new(Code::Option, "--collection-column", reason))
        }
        Collection::Column(_) | Collection::Id(_) | Collection::Default => Ok(()),
    }
}

fn warn_of_nulls(column: &ArrayRef, lines: &Lines, code: Code, tally: &mut Tally) {
    let count = column.null_count();
    if count > 0 {
        let rows = (0..column.len()).filter(|row| column.is_null(*row)).take(10);
        tally.warn(code, None, count as u64, &rows.map(|row| lines.line(row)).collect::<Vec<_>>());
    }
}
