//! A small imaging population as rows of a dicom-table, a slow evaluator of conditions over it, and a node that has
//! ingested it: what tests of the gate compare released answers with.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use caim_connectors::{Collection, Format, Identity, IngestOptions, Quiet, Secret, ingest};
use caim_engine::{Node, NodeId, Policy};
use caim_ontology::Models;
use caim_warehouse::{TableName, Warehouse};
use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{Date32Type, Int64Type, UInt32Type, UInt64Type};
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// One series as the warehouse holds it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    pub(crate) patient: Option<u32>,
    pub(crate) key: u64,
    pub(crate) study: String,
    pub(crate) sex: Option<String>,
    pub(crate) age: Option<i64>,
    pub(crate) modality: Option<String>,
    pub(crate) body_part: Option<String>,
    pub(crate) manufacturer: Option<String>,
    /// Days since 1970-01-01.
    pub(crate) date: Option<i32>,
    pub(crate) instances: Option<i64>,
}

/// The text of a dicom-table in CSV: skewed, with missing values, rare cells and patients of hundreds of series.
pub(crate) fn table(seed: u64, patients: u32) -> String {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut text = String::from(
        "PatientID,StudyInstanceUID,SeriesInstanceUID,StudyDate,PatientSex,PatientAge,Modality,BodyPartExamined,\
         Manufacturer,instanceCount\n",
    );
    for patient in 0..patients {
        let sex = pick(&mut random, &["F", "F", "M", "M", "M", "O", ""]);
        let age = random.random_range(18..95);
        let age = if random.random_bool(0.1) { String::new() } else { format!("{age:03}Y") };
        let studies = if random.random_bool(0.01) { 40 } else { random.random_range(1..5) };
        for study in 0..studies {
            let (year, month) = (random.random_range(2010..2024), random.random_range(1..13));
            let day = random.random_range(1..29);
            let part = pick(&mut random, &["BREAST", "CHEST", "CHEST", "PROSTATE", "ABDOMEN", "HEART", ""]);
            for series in 0..random.random_range(1..6) {
                let modality = pick(&mut random, &["CT", "CT", "CT", "MR", "MR", "PT", "MG", "US", "SEG"]);
                let maker = pick(&mut random, &["SIEMENS", "SIEMENS", "GE", "Philips", "Rare Co", ""]);
                let maker = if maker == "Rare Co" && !patient.is_multiple_of(40) { "GE" } else { maker };
                let images = random.random_range(1..400);
                let uid = format!("2.25.{}", (patient * 1_000 + study) * 100 + series + 1);
                let study_uid = format!("2.25.9{}", patient * 1_000 + study);
                let _ = writeln!(
                    text,
                    "P{patient:05},{study_uid},{uid},{year}-{month:02}-{day:02},{sex},{age},{modality},{part},{maker},{images}"
                );
            }
        }
    }
    text
}

fn pick<'a>(random: &mut impl Rng, values: &[&'a str]) -> &'a str {
    values[random.random_range(0..values.len())]
}

/// Makes a node folder's warehouse and ingests the table into it.
pub(crate) fn ingested(dir: &Path, table: &str) -> Warehouse {
    let warehouse = Warehouse::create(dir).unwrap();
    let source: PathBuf = dir.join("series.csv");
    std::fs::write(&source, table).unwrap();
    let secret = Secret::load_or_create(&dir.join("secret")).unwrap();
    let options = IngestOptions {
        format: Format::DicomTable,
        collection: Collection::Id("test".into()),
        ..IngestOptions::default()
    };
    let models = Models::bundled().unwrap();
    ingest(&warehouse, &models, &Identity::default(), &secret, &source, &options, &Quiet).unwrap();
    warehouse
}

/// A node over a warehouse, under a policy, without the answer grid.
pub(crate) fn node(name: &str, warehouse: Warehouse, policy: Policy) -> Arc<Node> {
    let models = Arc::new(Models::bundled().unwrap());
    let policy = Policy { answer_grid_ms: 0, ..policy };
    Arc::new(Node::open(NodeId::new(name).unwrap(), warehouse, models, policy).unwrap())
}

/// All series, as they rest in the newest epoch.
pub(crate) fn stored(warehouse: &Warehouse) -> Vec<Series> {
    let epoch = warehouse.current().unwrap();
    let table = TableName { schema: "dicom".into(), table: "series".into() };
    let mut all = Vec::new();
    for file in epoch.files(&table) {
        let file = std::fs::File::open(epoch.path(file).unwrap()).unwrap();
        for batch in ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap() {
            all.extend(rows(&batch.unwrap()));
        }
    }
    all
}

fn rows(batch: &RecordBatch) -> Vec<Series> {
    let column = |name: &str| batch.column_by_name(name).unwrap();
    let text = |name: &str, row: usize| {
        let values = column(name).as_string::<i32>();
        values.is_valid(row).then(|| values.value(row).to_owned())
    };
    let integer = |name: &str, row: usize| {
        let values = column(name).as_primitive::<Int64Type>();
        values.is_valid(row).then(|| values.value(row))
    };
    let (patients, keys) =
        (column("_patient").as_primitive::<UInt32Type>(), column("_row").as_primitive::<UInt64Type>());
    let dates = column("studydate").as_primitive::<Date32Type>();
    (0..batch.num_rows())
        .map(|row| Series {
            patient: patients.is_valid(row).then(|| patients.value(row)),
            key: keys.value(row),
            study: text("studyinstanceuid", row).unwrap(),
            sex: text("patientsex", row),
            age: integer("patientage", row),
            modality: text("modality", row),
            body_part: text("bodypartexamined", row),
            manufacturer: text("manufacturer", row),
            date: dates.is_valid(row).then(|| dates.value(row)),
            instances: integer("instancecount", row),
        })
        .collect()
}

impl Series {
    /// The calendar year of the study.
    pub(crate) fn year(&self) -> Option<i64> {
        use datafusion::arrow::temporal_conversions::date32_to_datetime;
        let date = date32_to_datetime(self.date?)?;
        date.format("%Y").to_string().parse().ok()
    }
}
