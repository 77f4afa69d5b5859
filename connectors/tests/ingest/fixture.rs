//! A node folder with a warehouse, and what tests ask of it.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Int64Type, UInt32Type, UInt64Type};
use arrow::util::display::array_value_to_string;
use caim_connectors::{
    Code, Collection, Error, Identity, IngestOptions, Quiet, Report, Secret, ingest, report,
};
use caim_ontology::Models;
use caim_warehouse::{Epoch, TableName, Warehouse};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// A node with an empty warehouse, and a folder for sources.
pub(crate) struct Node {
    folder: tempfile::TempDir,
    pub(crate) warehouse: Warehouse,
    pub(crate) models: Models,
    pub(crate) identity: Identity,
    pub(crate) secret: Secret,
    pub(crate) options: IngestOptions,
}

impl Node {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("node")).unwrap();
        fs::create_dir(folder.path().join("sources")).unwrap();
        Self {
            warehouse: Warehouse::create(&folder.path().join("node")).unwrap(),
            models: Models::bundled().unwrap(),
            identity: Identity::default(),
            secret: Secret::from_bytes([5; 32]),
            options: IngestOptions { collection: Collection::Id("c1".into()), ..IngestOptions::default() },
            folder,
        }
    }

    /// A place for a source.
    pub(crate) fn source(&self, name: &str) -> PathBuf {
        self.folder.path().join("sources").join(name)
    }

    /// The node's own folder.
    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().join("node")
    }

    /// Writes a file below the sources.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.source(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn try_ingest(&self, source: &Path) -> Result<Report, Error> {
        let Self { warehouse, models, identity, secret, options, .. } = self;
        ingest(warehouse, models, identity, secret, source, options, &Quiet)
    }

    /// Ingests, and checks what holds for every report.
    pub(crate) fn ingest(&self, source: &Path) -> Report {
        let report = self.try_ingest(source).unwrap();
        for table in &report.tables {
            assert_eq!(table.read, table.accounted(), "{table:?}");
        }
        report
    }

    /// The code with which a source is refused; nothing is committed.
    pub(crate) fn refusal(&self, source: &Path) -> Code {
        let before = self.epoch();
        let error = self.try_ingest(source).expect_err("the source is refused");
        assert_eq!(self.epoch(), before, "nothing is committed");
        error.code()
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.warehouse.current().unwrap().number()
    }

    pub(crate) fn count(&self, table: &str) -> u64 {
        self.warehouse.current().unwrap().rows(&name(table))
    }

    /// All rows of a table.
    pub(crate) fn rows(&self, table: &str) -> RecordBatch {
        rows_of(&self.warehouse.current().unwrap(), table)
    }

    /// The cells of some columns, as text, in the order of the rows' text. NULL is `-`.
    pub(crate) fn cells(&self, table: &str, columns: &[&str]) -> Vec<Vec<String>> {
        let rows = self.rows(table);
        let cell = |column: &str, row: usize| {
            let array =
                rows.column_by_name(column).unwrap_or_else(|| panic!("{table} has no column {column}"));
            if array.is_null(row) { "-".to_owned() } else { array_value_to_string(array, row).unwrap() }
        };
        let mut cells: Vec<Vec<String>> = (0..rows.num_rows())
            .map(|row| columns.iter().map(|column| cell(column, row)).collect())
            .collect();
        cells.sort();
        cells
    }

    /// Every row's patient, with the values of an integer column.
    pub(crate) fn patients(&self, table: &str, column: &str) -> Vec<(i64, Option<u32>)> {
        let rows = self.rows(table);
        let patients = rows.column_by_name("_patient").unwrap().as_primitive::<UInt32Type>();
        let values = rows.column_by_name(column).unwrap().as_primitive::<Int64Type>();
        let mut pairs: Vec<_> = values.values().iter().copied().zip(patients.iter()).collect();
        pairs.sort_unstable();
        pairs
    }

    /// The sorted row keys of a table.
    pub(crate) fn keys(&self, table: &str) -> Vec<u64> {
        let rows = self.rows(table);
        let mut keys = rows.column_by_name("_row").unwrap().as_primitive::<UInt64Type>().values().to_vec();
        keys.sort_unstable();
        keys
    }
}

/// How often a report warns of something.
pub(crate) fn warned(report: &Report, code: Code) -> u64 {
    report.warnings.iter().filter(|warning| warning.code == code).map(|warning| warning.count).sum()
}

/// Lines and codes of the rows that were rejected.
pub(crate) fn rejected(report: &Report) -> Vec<(u64, Code)> {
    report.rejects.iter().map(|reject| (reject.line, reject.code)).collect()
}

/// What a report says about a table.
pub(crate) fn table<'r>(report: &'r Report, name: &str) -> &'r report::TableReport {
    report.tables.iter().find(|table| table.name == name).unwrap()
}

/// A folder of real data, or `None` with a line that says what is skipped.
pub(crate) fn real(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(path);
    if path.exists() {
        return Some(path.canonicalize().unwrap());
    }
    skip(&format!("{} is absent (real data is not part of a public clone)", path.display()));
    None
}

/// Says why a test could not run, and tells the runner, which counts it as skipped.
pub(crate) fn skip(reason: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    println!("skipped: {test}: {reason}");
    if let Some(file) = std::env::var_os("CAIM_SKIPS") {
        let mut skips = fs::OpenOptions::new().create(true).append(true).open(file).unwrap();
        skips.write_all(format!("{test}: {reason}\n").as_bytes()).unwrap();
    }
}

pub(crate) fn name(table: &str) -> TableName {
    table.parse().unwrap()
}

/// All rows that an epoch has of a table.
pub(crate) fn rows_of(epoch: &Epoch, table: &str) -> RecordBatch {
    let mut batches = Vec::new();
    for file in epoch.files(&name(table)) {
        let file = File::open(epoch.path(file).unwrap()).unwrap();
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        let schema = std::sync::Arc::clone(builder.schema());
        batches.push(RecordBatch::new_empty(schema));
        batches.extend(builder.build().unwrap().map(Result::unwrap));
    }
    let schema = batches.first().expect("the table is there").schema();
    concat_batches(&schema, &batches).unwrap()
}
