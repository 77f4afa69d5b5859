//! OMOP common data model 5.3 and 5.4 (ohdsi.github.io/CommonDataModel), as CSV or Parquet.
//!
//! Every table that is there comes in, PERSON first: it says which patient a person_id means. Rows of all other
//! patient tables are looked up in it; the numbers themselves are not stored.

mod files;
mod persons;

pub(crate) use files::Files;

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, Int64Array};
use arrow::datatypes::Int64Type;
use caim_ontology::{Table, TableKind};

use crate::ingest::Context;
use crate::intake::{Chunk, Intake, Wanted, required};
use crate::landing::{COLLECTION, Landing, Patient, repeated};
use crate::source::Member;
use crate::tally::{Fault, Tally};
use crate::target::Target;
use crate::values::Rules;
use crate::{Code, Error, Result};
use persons::Persons;

const SCHEMA: &str = "omop";
const PERSON: &str = "person";
const PERSON_ID: &str = "person_id";
const PERSON_SOURCE_VALUE: &str = "person_source_value";
/// The model's own column for the patient, which no OMOP source fills.
const PATIENT_ID: &str = "patient_id";

/// Reads all tables into `target`.
pub(crate) fn ingest(
    context: &Context<'_>,
    files: &Files<'_>,
    target: &mut Target,
    tally: &mut Tally,
) -> Result<()> {
    let Some(collection) = context.collection.id() else {
        return Err(Error::new(
            Code::Option,
            "--collection-column",
            "OMOP tables have no column of collections",
        )
        .with_fix("name the collection with --collection"));
    };
    let rules = Rules::omop();
    let mut connector =
        Omop { context, collection, rules: &rules, persons: Persons::new(context, collection) };
    for (table, members) in files.in_order() {
        connector.table(table, members, target, tally)?;
    }
    Ok(())
}

struct Omop<'c> {
    context: &'c Context<'c>,
    collection: &'c str,
    rules: &'c Rules,
    persons: Persons<'c>,
}

impl Omop<'_> {
    fn table(
        &mut self,
        table: &Table,
        members: &[Member],
        target: &mut Target,
        tally: &mut Tally,
    ) -> Result<()> {
        let landing = Landing::new(SCHEMA, table, self.context.secret).under(self.context.pseudonyms);
        tally.table(&landing.name.to_string());
        let mut writer = target.writer(&landing.name, Arc::clone(&landing.schema))?;
        let mut limit = self.context.limit;
        for member in members {
            let intake = Intake::open(member, wanted(table, self.rules), not_from_source, tally)?;
            intake.each(&mut limit, tally, self.context.progress, |chunk, tally| {
                let (mut chunk, patients) = self.patients(table, &member.name, chunk, target, tally)?;
                let rows = chunk.lines.len();
                chunk.set(table, COLLECTION, repeated(self.collection, rows));
                writer.write(&landing.land(&patients, &chunk.columns)?)?;
                tally.kept(rows as u64);
                Ok(())
            })?;
        }
        writer.finish()
    }

    /// The patient of every row, and the rows that have come through.
    fn patients(
        &mut self,
        table: &Table,
        file: &str,
        chunk: Chunk,
        target: &mut Target,
        tally: &mut Tally,
    ) -> Result<(Chunk, Vec<Option<Patient>>)> {
        if table.kind != TableKind::Patient {
            let rows = chunk.lines.len();
            return Ok((chunk, vec![None; rows]));
        }
        if table.name == PERSON {
            return self.register(table, file, chunk, target, tally);
        }
        let mut orphans = Vec::new();
        let mut patients = Vec::with_capacity(chunk.lines.len());
        for (row, id) in person_ids(&chunk, table)?.values().iter().enumerate() {
            let (patient, known) = self.persons.of(*id, target)?;
            patients.push(Some(patient));
            if !known {
                orphans.push(chunk.lines.line(row));
            }
        }
        tally.warn(Code::Orphan, None, orphans.len() as u64, &orphans);
        Ok((chunk, patients))
    }

    /// Reads rows of PERSON: every person_id once.
    fn register(
        &mut self,
        table: &Table,
        file: &str,
        chunk: Chunk,
        target: &mut Target,
        tally: &mut Tally,
    ) -> Result<(Chunk, Vec<Option<Patient>>)> {
        let source_values = chunk.column(table, PERSON_SOURCE_VALUE).map(|values| values.as_string::<i32>());
        let mut patients = Vec::with_capacity(chunk.lines.len());
        let mut keep = Vec::with_capacity(chunk.lines.len());
        for (row, id) in person_ids(&chunk, table)?.values().iter().enumerate() {
            let source_value = source_values.filter(|v| v.is_valid(row)).map(|values| values.value(row));
            let registered = self.persons.register(*id, source_value, target)?;
            keep.push(registered.is_some());
            match registered {
                Some(registered) => {
                    tally.warn(Code::SharedPerson, None, registered.shared, &[chunk.lines.line(row)]);
                    patients.push(Some(registered.patient));
                }
                None => {
                    let reason = "a person with this person_id came before".to_owned();
                    tally.reject(file, Fault { line: chunk.lines.line(row), code: Code::Conflict, reason });
                }
            }
        }
        let kept = chunk.filtered(&BooleanArray::from(keep));
        let kept = kept.map_err(|e| Error::new(Code::Model, file, e))?;
        Ok((kept, patients))
    }
}

fn wanted<'m>(table: &'m Table, rules: &'m Rules) -> Wanted<'m> {
    let person = (table.kind == TableKind::Patient).then_some(PERSON_ID);
    let keys: Vec<&str> = table.key.iter().map(String::as_str).chain(person).collect();
    Wanted { table, rules, required: keys.clone(), keys }
}

/// Columns that the model adds to OMOP: a source column of that name is something else.
fn not_from_source(_header: &[String], column: &str) -> Option<Option<usize>> {
    [PATIENT_ID, COLLECTION].contains(&column).then_some(None)
}

fn person_ids<'c>(chunk: &'c Chunk, table: &Table) -> Result<&'c Int64Array> {
    Ok(required(chunk, table, PERSON_ID)?.as_primitive::<Int64Type>())
}
