//! What of the newest epoch has a concept, and which values of sources have none: for the operator, who can map them.
//!
//! Unlike the counts of a build it names values of records, so it is made on demand, of values that enough patients
//! have, and no `Debug` shows them.

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use caim_ontology::{CodeSystem, Models, Subject, Table, TableKind};
use caim_warehouse::{Warehouse, layout};
use serde::Serialize;

use super::session::{Session, fault};
use super::{coverage, mappings, on_runtime};
use crate::{Code, Error, Result};

const OMOP: &str = "omop";

/// What is listed of the values without a concept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GapOptions {
    /// How many patients must have a value for it to be named.
    pub threshold: u32,
    /// How many values of a column are named, at most.
    pub values: usize,
}

/// How much of a coded column has a concept. Rows about which the source says nothing are not counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gaps {
    /// Schema and table.
    pub table: String,
    /// The coded column.
    pub column: String,
    /// The codes beneath which its concepts lie.
    #[serde(skip)]
    pub roots: Vec<String>,
    /// Rows of which the source says something.
    pub rows: u64,
    /// Rows of those with a concept.
    pub rows_mapped: u64,
    /// Patients of whom the source says something.
    pub patients: u64,
    /// Patients of those with a concept in at least one row.
    pub patients_mapped: u64,
    /// The values that most patients have and that have no concept.
    pub unmapped: Vec<UnmappedValue>,
}

/// A value of a source without a concept.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct UnmappedValue {
    /// What the source said, as the column keeps it.
    pub value: String,
    /// Rows with it.
    pub rows: u64,
    /// Patients with it.
    pub patients: u64,
    /// How lookups name it: a mapping of any of these subjects decides on it. Several where the value alone does not
    /// say which source it came from.
    #[serde(skip)]
    pub subjects: Vec<Subject>,
}

impl std::fmt::Debug for UnmappedValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { rows, patients, .. } = self;
        f.debug_struct("UnmappedValue")
            .field("value", &"<redacted>")
            .field("rows", rows)
            .field("patients", patients)
            .finish()
    }
}

/// The gaps of every coded column of the common data model, table by table; columns about which no source says anything
/// are left out.
///
/// # Errors
/// When stored rows cannot be read.
pub fn gaps(warehouse: &Warehouse, models: &Models, options: GapOptions) -> Result<Vec<Gaps>> {
    let epoch = warehouse.current()?;
    let mut session = Session::plain()?;
    session.register_epoch(&epoch, models)?;
    on_runtime(of_common(&session, models, options))
}

async fn of_common(session: &Session, models: &Models, options: GapOptions) -> Result<Vec<Gaps>> {
    of(session, models, mappings::COMMON, options).await
}

/// The gaps of the common data model, then those of OMOP tables: of `x_concept_id` where `x_source_value` says something.
pub(super) async fn of_all(session: &Session, models: &Models, options: GapOptions) -> Result<Vec<Gaps>> {
    let mut all = of_common(session, models, options).await?;
    all.extend(of(session, models, OMOP, options).await?);
    Ok(all)
}

async fn of(session: &Session, models: &Models, schema: &str, options: GapOptions) -> Result<Vec<Gaps>> {
    let Some(model) = models.model(schema) else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for table in model.tables.iter().filter(|table| table.kind == TableKind::Patient) {
        let pairs: Vec<(&str, &str)> = if schema == OMOP {
            coverage::omop_pairs(table).collect()
        } else {
            coverage::pairs(table).collect()
        };
        for (column, original) in pairs {
            // OMOP writes 0 for a value without a concept.
            let mapped = format!("\"{column}\" {}", if schema == OMOP { "> 0" } else { "IS NOT NULL" });
            let asked = Asked { session, schema, table, column, original, mapped, options };
            all.extend(asked.gaps().await?);
        }
    }
    Ok(all)
}

/// One coded column and what is asked of it.
struct Asked<'a> {
    session: &'a Session,
    schema: &'a str,
    table: &'a Table,
    column: &'a str,
    original: &'a str,
    /// The condition of a row that has a concept.
    mapped: String,
    options: GapOptions,
}

impl Asked<'_> {
    async fn gaps(&self) -> Result<Option<Gaps>> {
        let counts = self.select(&self.shares()).await?;
        let [rows, rows_mapped, patients, patients_mapped] = [0, 1, 2, 3].map(|column| {
            counts.first().filter(|batch| batch.num_rows() > 0).map_or(0, |batch| number(batch, column, 0))
        });
        if rows == 0 {
            return Ok(None);
        }
        let unmapped = if rows_mapped < rows { self.unmapped().await? } else { Vec::new() };
        Ok(Some(Gaps {
            table: format!("{}.{}", self.schema, self.table.name),
            column: self.column.to_owned(),
            roots: self.table.column(self.column).map(|column| column.roots.clone()).unwrap_or_default(),
            rows,
            rows_mapped,
            patients,
            patients_mapped,
            unmapped,
        }))
    }

    async fn unmapped(&self) -> Result<Vec<UnmappedValue>> {
        let mut values = Vec::new();
        for batch in self.select(&self.values()).await? {
            let texts = cast(batch.column(0), &DataType::Utf8)
                .map_err(|e| Error::new(Code::Build, self.column, e))?;
            let texts = texts.as_string::<i32>();
            for row in 0..batch.num_rows() {
                let value = texts.value(row).to_owned();
                let subjects = self.subjects(&value);
                let (rows, patients) = (number(&batch, 1, row), number(&batch, 2, row));
                values.push(UnmappedValue { value, rows, patients, subjects });
            }
        }
        Ok(values)
    }

    /// Rows and patients, all and mapped. Names come from the model, whose columns are plain words.
    fn shares(&self) -> String {
        let Self { schema, table, original, mapped, .. } = self;
        let (table, patient) = (&table.name, layout::PATIENT);
        format!(
            "SELECT count(*), count(*) FILTER (WHERE {mapped}), count(DISTINCT \"{patient}\"),
                    count(DISTINCT \"{patient}\") FILTER (WHERE {mapped})
             FROM \"{schema}\".\"{table}\" WHERE \"{original}\" IS NOT NULL"
        )
    }

    fn values(&self) -> String {
        let Self { schema, table, original, mapped, options, .. } = self;
        let (table, patient, GapOptions { threshold, values }) = (&table.name, layout::PATIENT, options);
        format!(
            "SELECT \"{original}\" AS value, count(*) AS n, count(DISTINCT \"{patient}\") AS patients
             FROM \"{schema}\".\"{table}\" WHERE \"{original}\" IS NOT NULL AND ({mapped}) IS NOT TRUE
             GROUP BY \"{original}\" HAVING count(DISTINCT \"{patient}\") >= {threshold}
             ORDER BY patients DESC, n DESC, value LIMIT {values}"
        )
    }

    async fn select(&self, sql: &str) -> Result<Vec<RecordBatch>> {
        self.session.select(sql).await?.collect().await.map_err(fault)
    }

    /// The subjects that a lookup of this column would have had for a value.
    fn subjects(&self, value: &str) -> Vec<Subject> {
        let column = format!("{}.{}", self.table.name, self.column);
        let subject = |source: &str, value: &str| Subject {
            source: source.to_owned(),
            value: value.to_owned(),
            note: column.clone(),
        };
        let coded = coded(value);
        let mut subjects: Vec<Subject> = coded.iter().map(|(system, code)| subject(system, code)).collect();
        if !coded.is_some_and(|(system, _)| is_system(system)) {
            subjects.extend(mappings::sources(&column).into_iter().map(|source| subject(source, value)));
        }
        subjects
    }
}

fn number(batch: &RecordBatch, column: usize, row: usize) -> u64 {
    let values = batch.column(column).as_primitive_opt::<Int64Type>();
    values.map_or(0, |values| values.value(row).cast_unsigned())
}

/// System and code of a value that was kept as `system:code`. Where the system is an address, the last colon parts it
/// from the code.
fn coded(value: &str) -> Option<(&str, &str)> {
    let address = value.contains("://") || value.starts_with("urn:");
    let (system, code) = if address { value.rsplit_once(':')? } else { value.split_once(':')? };
    let word = !system.is_empty() && !system.contains(char::is_whitespace);
    (word && !code.is_empty() && !code.starts_with(char::is_whitespace)).then_some((system, code))
}

/// Whether a text can be nothing but a code system, so that what follows it is a code.
fn is_system(text: &str) -> bool {
    text.contains(':') || CodeSystem::known(text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_from_words_with_colons() {
        for (value, expect) in [
            ("SNOMEDCT:399068003", Some(("SNOMEDCT", "399068003"))),
            ("Gender:F", Some(("Gender", "F"))),
            ("http://hospital.example/scanner:7", Some(("http://hospital.example/scanner", "7"))),
            ("urn:oid:9.9.9:X", Some(("urn:oid:9.9.9", "X"))),
            ("ACME: Imaging", None),
            ("ACME Imaging:2", None),
            ("C80.9", None),
        ] {
            assert_eq!(coded(value), expect, "{value}");
        }
        assert!(is_system("SNOMEDCT") && is_system("urn:oid:9.9.9") && !is_system("Gender"));
    }

    #[test]
    fn no_value_is_shown_by_debug() {
        let value = UnmappedValue { value: "ACME".into(), rows: 3, patients: 2, subjects: Vec::new() };
        assert!(!format!("{value:?}").contains("ACME"));
    }
}
