//! What tests of this crate share: data models, a catalogue, and planning on a large stack.

use std::sync::Arc;

use caim_ontology::Models;
use datafusion_common::arrow::datatypes::{DataType, Field, Schema};
use proptest::test_runner::Config as ProptestConfig;

use crate::catalogue::{Catalogue, PublicTable};
use crate::lower::{Lowered, Settings, lower};
use crate::plan::{Planned, plan};
use crate::refusal::Refusal;
use crate::text::{Statement, read};

/// The small world of the attacks: patients, their diagnoses, studies and series, a vocabulary, a shared scanner.
const WORLD: &str = r#"
schema = "world"
version = "1"
comment = "A small world."

[[table]]
name = "patient"
key = ["patient_id"]
comment = "One row a patient."
column = [
    { name = "patient_id", type = "text", role = "unit_id" },
    { name = "sex", type = "text", role = "dimension" },
    { name = "birth_year", type = "integer", role = "dimension", lo = 1900, hi = 2020 },
    { name = "zip3", type = "text", role = "dimension" },
    { name = "age_band", type = "text", role = "dimension" },
    { name = "smoker", type = "boolean", role = "dimension" },
    { name = "topography", type = "text", role = "dimension" },
    { name = "modality_any", type = "text", role = "dimension" },
    { name = "weight_kg", type = "float", role = "measure", lo = 0, hi = 300, grid = 5 },
    { name = "tumour_mm", type = "integer", role = "measure", lo = 0, hi = 300, grid = 10 },
    { name = "note", type = "text" },
    { name = "ingest_ts", type = "timestamp" },
]

[[table]]
name = "condition"
rows_per_patient = 5
comment = "One row a diagnosis."
column = [
    { name = "patient_id", type = "text", role = "unit_id", references = "patient.patient_id" },
    { name = "icdo3_topography", type = "text", role = "dimension" },
    { name = "icdo3_morphology", type = "text", role = "dimension" },
    { name = "concept_id", type = "integer", role = "dimension", references = "concept.concept_id" },
    { name = "Diagnosis_Date", type = "date", role = "date" },
    { name = "resolved_date", type = "date", role = "date" },
]

[[table]]
name = "imaging_study"
key = ["study_uid"]
rows_per_patient = 5
comment = "One row a study."
column = [
    { name = "patient_id", type = "text", role = "unit_id", references = "patient.patient_id" },
    { name = "study_uid", type = "text", role = "identifier" },
    { name = "scanner_id", type = "text", role = "identifier", shared = true },
    { name = "collection", type = "text", role = "dimension" },
    { name = "modality", type = "text", role = "dimension" },
    { name = "concept_id", type = "integer", role = "dimension", references = "concept.concept_id" },
    { name = "study_time", type = "date", role = "date", grid = "month" },
    { name = "read_date", type = "date", role = "date" },
    { name = "archive_date", type = "date", role = "date", grid = "year" },
    { name = "dose_mgy", type = "float", role = "measure", lo = 0, hi = 100, grid = 0.1 },
    { name = "weight_kg", type = "float", role = "measure", lo = 0, hi = 300, grid = 5 },
]

[[table]]
name = "imaging_series"
key = ["series_uid"]
rows_per_patient = 15
comment = "One row a series."
column = [
    { name = "patient_id", type = "text", role = "unit_id", references = "patient.patient_id" },
    { name = "study_uid", type = "text", role = "identifier", references = "imaging_study.study_uid" },
    { name = "series_uid", type = "text", role = "identifier" },
    { name = "body_part", type = "text", role = "dimension" },
    { name = "Manufacturer", type = "text", role = "dimension" },
    { name = "manufacturer_free_text", type = "text" },
]

[[table]]
name = "concept"
kind = "public"
key = ["concept_id"]
comment = "The vocabulary."
column = [
    { name = "concept_id", type = "integer", role = "dimension" },
    { name = "concept_name", type = "text", role = "dimension" },
    { name = "domain", type = "text", role = "dimension" },
]

[[table]]
name = "staff"
kind = "hidden"
comment = "Kept, not asked."
column = [{ name = "staff_name", type = "text" }]
"#;

pub(crate) mod entropy;
pub(crate) mod questions;
pub(crate) mod statements;

/// The small world.
pub(crate) fn world() -> Arc<Models> {
    Arc::new(Models::new(vec![Models::parse("world.toml", WORLD).unwrap()]).unwrap())
}

/// The data models that Caim comes with.
pub(crate) fn bundled() -> Arc<Models> {
    Arc::new(Models::bundled().unwrap())
}

/// A catalogue with two tables of the hub.
pub(crate) fn catalogue(models: &Arc<Models>) -> Catalogue {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let public = |schema: &str, name: &str, columns: &[&str]| PublicTable {
        schema: schema.into(),
        name: name.into(),
        comment: String::new(),
        arrow: Arc::new(Schema::new(columns.iter().map(|c| text(c)).collect::<Vec<_>>())),
    };
    Catalogue::new(
        Arc::clone(models),
        vec![
            public("catalog", "node", &["node_id", "software"]),
            public(
                "information_schema",
                "tables",
                &["table_catalog", "table_schema", "table_name", "table_type"],
            ),
        ],
    )
}

/// Planning recurses: as the engine does, tests plan on a thread with a stack of its own.
pub(crate) fn on_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(16 << 20).spawn_scoped(scope, work).unwrap();
        thread.join().unwrap()
    })
}

/// Reads and plans.
pub(crate) fn planned(sql: &str, catalogue: &Catalogue) -> Result<Planned, Refusal> {
    match read(sql)? {
        Statement::Query(query) => plan(&query, catalogue),
        Statement::Explain { .. } | Statement::Set { .. } => panic!("{sql} is no query"),
    }
}

/// Reads, plans and lowers.
pub(crate) fn lowered(sql: &str, catalogue: &Catalogue) -> Result<Lowered, Refusal> {
    lower(&planned(sql, catalogue)?, catalogue, &Settings::default())
}

/// How often a law is tried: so many times proptest's own number, which `PROPTEST_CASES` sets. Nothing is written.
pub(crate) fn config(times: u32) -> ProptestConfig {
    let standard = ProptestConfig::default();
    ProptestConfig { cases: times * standard.cases, failure_persistence: None, ..standard }
}
