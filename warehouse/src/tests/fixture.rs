//! Small warehouses and a way to compare all that an epoch holds.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, UInt32Array, UInt64Array};
use arrow::util::display::array_value_to_string;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::layout::{Folders, PATIENT, ROW};
use crate::{Commit, DataFile, Epoch, NewBatch, Result, TableName, Warehouse};

/// Id of the secret in all tests that do not say otherwise.
pub(super) const SECRET: &str = "5ec7e7";

pub(super) fn series() -> TableName {
    TableName::new("dicom", "series")
}

pub(super) fn study() -> TableName {
    TableName::new("dicom", "study")
}

pub(super) fn source(name: &str) -> NewBatch {
    NewBatch {
        source: name.to_owned(),
        content: format!("content of {name}"),
        collection: Some("trial".to_owned()),
        format: "dicom-table".to_owned(),
    }
}

pub(super) fn pseudonym(person: u32) -> [u8; 32] {
    let mut bytes = [0xa5; 32];
    bytes[..4].copy_from_slice(&person.to_be_bytes());
    bytes
}

/// Rows of (patient, row key, a text).
pub(super) fn rows(content: &[(Option<u32>, u64, &str)]) -> RecordBatch {
    let patients: UInt32Array = content.iter().map(|row| row.0).collect();
    let keys: UInt64Array = content.iter().map(|row| Some(row.1)).collect();
    let texts: StringArray = content.iter().map(|row| Some(row.2)).collect();
    let counts: Int64Array = content.iter().map(|row| i64::try_from(row.2.len()).ok()).collect();
    let columns: [(&str, ArrayRef); 4] = [
        (PATIENT, Arc::new(patients)),
        (ROW, Arc::new(keys)),
        ("modality", Arc::new(texts)),
        ("instancecount", Arc::new(counts)),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
}

pub(super) fn write(commit: &mut Commit, table: TableName, rows: &RecordBatch) -> Result<u64> {
    let mut writer = commit.writer(table, rows.schema())?;
    writer.write(rows)?;
    writer.finish()
}

/// Ingests `people`, each with a series and a study.
pub(super) fn ingest(warehouse: &Warehouse, name: &str, people: &[u32]) -> Result<Epoch> {
    let mut commit = warehouse.begin(source(name))?;
    commit.secret(SECRET)?;
    let ordinals = commit.ordinals()?;
    let patients: Vec<u32> = people.iter().map(|person| ordinals.ordinal(&pseudonym(*person))).collect();
    for table in [series(), study()] {
        let text = format!("{table} of {name}");
        let content: Vec<_> = patients.iter().map(|p| (Some(*p), u64::from(*p), text.as_str())).collect();
        write(&mut commit, table, &rows(&content))?;
    }
    commit.publish()
}

/// A new folder with a warehouse in it.
pub(super) fn new_warehouse() -> (tempfile::TempDir, Warehouse) {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = Warehouse::create(folder.path()).unwrap();
    (folder, warehouse)
}

pub(super) fn read(epoch: &Epoch, file: &DataFile) -> Result<Vec<RecordBatch>> {
    let path = epoch.path(file)?;
    let reader =
        ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build().unwrap();
    Ok(reader.map(|batch| batch.unwrap()).collect())
}

/// All that an epoch says: tables with their rows, patients, sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    tables: BTreeMap<TableName, Vec<String>>,
    patients: u32,
    sources: Vec<String>,
}

/// Reads every row of an epoch.
pub(super) fn content(epoch: &Epoch) -> Result<Content> {
    let mut tables = BTreeMap::new();
    for table in epoch.tables() {
        let mut lines = Vec::new();
        for file in epoch.files(table) {
            lines.extend(read(epoch, file)?.iter().flat_map(lines_of));
        }
        assert_eq!(lines.len() as u64, epoch.rows(table));
        lines.sort();
        tables.insert(table.clone(), lines);
    }
    let sources = epoch.batches().iter().map(|batch| batch.source.clone()).collect();
    Ok(Content { tables, patients: epoch.patients(), sources })
}

fn lines_of(batch: &RecordBatch) -> Vec<String> {
    let line = |row| {
        let cells = batch.columns().iter().map(|column| array_value_to_string(column, row).unwrap());
        cells.collect::<Vec<_>>().join("|")
    };
    (0..batch.num_rows()).map(line).collect()
}

/// Copies a node folder whose warehouse nobody has open.
pub(super) fn copy(from: &Path) -> tempfile::TempDir {
    let target = tempfile::tempdir().unwrap();
    copy_folder(from, target.path());
    target
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Names in `tmp`, and the number of files in `data`.
pub(super) fn on_disk(dir: &Path) -> (Vec<String>, usize) {
    let folders = Folders::of_node(dir);
    let names = |folder: &Path| {
        let entries =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        entries.collect::<Vec<_>>()
    };
    (names(&folders.tmp), names(&folders.data).len())
}
