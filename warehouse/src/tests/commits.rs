//! What commits do when nothing fails.

use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};

use super::fixture::*;
use crate::{BatchId, Error, TableName, Warehouse};

#[test]
fn a_new_warehouse_is_the_empty_epoch_0_and_making_it_again_changes_nothing() {
    let (folder, warehouse) = new_warehouse();
    let first = warehouse.current().unwrap();
    assert_eq!((first.number(), first.patients(), first.tables().count()), (0, 0, 0));
    ingest(&warehouse, "a", &[1]).unwrap();
    let again = Warehouse::create(folder.path()).unwrap();
    assert_eq!(again.current().unwrap().number(), 1);
}

#[test]
fn two_commits_add_up_and_the_first_epoch_stays_as_it_was() {
    let (folder, warehouse) = new_warehouse();
    let first = ingest(&warehouse, "a", &[1, 2]).unwrap();
    let before = content(&first).unwrap();
    let second = ingest(&warehouse, "b", &[2, 3, 4]).unwrap();
    assert_eq!((second.number(), second.rows(&series()), second.patients()), (2, 5, 4));
    assert_eq!(content(&first).unwrap(), before);
    let reopened = Warehouse::open(folder.path()).unwrap().current().unwrap();
    assert_eq!(content(&reopened).unwrap(), content(&second).unwrap());
    assert_eq!(reopened.checksum(), second.checksum());
    assert_eq!(warehouse.verify().unwrap(), []);
}

#[test]
fn a_batch_is_described_by_source_content_and_rows() {
    let (_folder, warehouse) = new_warehouse();
    let epoch = ingest(&warehouse, "a", &[1, 2]).unwrap();
    let [batch] = epoch.batches() else { panic!("one batch") };
    assert_eq!((batch.id, batch.source.as_str(), batch.content.as_str()), (BatchId(1), "a", "content of a"));
    assert_eq!(batch.rows, [(series(), 2), (study(), 2)].into());
}

#[test]
fn a_removed_batch_takes_its_files_from_all_tables_and_leaves_ordinals() {
    let (_folder, warehouse) = new_warehouse();
    ingest(&warehouse, "a", &[1, 2]).unwrap();
    ingest(&warehouse, "b", &[3]).unwrap();
    let mut commit = warehouse.begin(source("rollback")).unwrap();
    commit.remove_batch(&BatchId(1));
    let epoch = commit.publish().unwrap();
    assert_eq!((epoch.rows(&series()), epoch.rows(&study()), epoch.patients()), (1, 1, 3));
    assert_eq!(epoch.batches().iter().map(|batch| batch.id).collect::<Vec<_>>(), [BatchId(2)]);
    assert_eq!(warehouse.verify().unwrap(), []);
}

#[test]
fn a_source_is_replaced_by_removing_its_batch_and_writing_anew_in_one_commit() {
    let (_folder, warehouse) = new_warehouse();
    ingest(&warehouse, "a", &[1, 2]).unwrap();
    let mut commit = warehouse.begin(source("a")).unwrap();
    let old = commit.base().batches()[0].id;
    commit.remove_batch(&old);
    write(&mut commit, series(), &rows(&[(Some(0), 9, "new")])).unwrap();
    let epoch = commit.publish().unwrap();
    assert_eq!(epoch.tables().collect::<Vec<_>>(), [&series()]);
    assert_eq!((epoch.rows(&series()), epoch.batches().len()), (1, 1));
}

#[test]
fn a_replaced_table_holds_only_what_was_written_after() {
    let (_folder, warehouse) = new_warehouse();
    ingest(&warehouse, "a", &[1, 2]).unwrap();
    let mut commit = warehouse.begin(source("build")).unwrap();
    write(&mut commit, study(), &rows(&[(Some(0), 1, "derived")])).unwrap();
    commit.replace(&study());
    let epoch = commit.publish().unwrap();
    assert_eq!((epoch.rows(&series()), epoch.rows(&study())), (2, 1));
    assert_eq!(epoch.batches().len(), 2);
}

#[test]
fn a_commit_shows_the_files_that_a_table_will_have_so_that_others_can_be_derived_from_them() {
    let (_folder, warehouse) = new_warehouse();
    ingest(&warehouse, "a", &[1]).unwrap();
    ingest(&warehouse, "b", &[2]).unwrap();
    let mut commit = warehouse.begin(source("c")).unwrap();
    commit.remove_batch(&BatchId(1));
    write(&mut commit, series(), &rows(&[(Some(0), 9, "c")])).unwrap();
    let unfinished = commit.writer(series(), rows(&[]).schema()).unwrap();
    let paths = commit.paths(&series()).unwrap();
    let kept = commit.base().path(&commit.base().files(&series())[1]).unwrap();
    assert_eq!((paths.len(), &paths[0]), (2, &kept));
    assert!(paths[1].exists());
    commit.replace(&series());
    assert_eq!(commit.paths(&series()).unwrap(), paths[1..]);
    drop(unfinished);
}

#[test]
fn a_table_without_rows_is_known_with_its_columns() {
    let (_folder, warehouse) = new_warehouse();
    let mut commit = warehouse.begin(source("a")).unwrap();
    let nothing = rows(&[]);
    assert_eq!(write(&mut commit, series(), &nothing).unwrap(), 0);
    assert_eq!(write(&mut commit, study(), &nothing).unwrap(), 0);
    let epoch = commit.publish().unwrap();
    assert_eq!(epoch.tables().count(), 2);
    let [file] = epoch.files(&series()) else { panic!("one file") };
    assert_eq!((file.rows, epoch.rows(&series())), (0, 0));
    let path = epoch.path(file).unwrap();
    let file = std::fs::File::open(path).unwrap();
    let read = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let names = |schema: &Schema| schema.fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>();
    assert_eq!(names(read.schema()), names(nothing.schema_ref()));
}

#[test]
fn a_commit_that_changes_nothing_makes_no_epoch() {
    let (_folder, warehouse) = new_warehouse();
    ingest(&warehouse, "a", &[1]).unwrap();
    let mut commit = warehouse.begin(source("a")).unwrap();
    commit.secret(SECRET).unwrap();
    commit.ordinals().unwrap().ordinal(&pseudonym(1));
    commit.remove_batch(&BatchId(77));
    assert_eq!(commit.publish().unwrap().number(), 1);
    assert_eq!(warehouse.current().unwrap().number(), 1);
}

#[test]
fn a_dropped_commit_leaves_the_epoch_and_its_garbage_is_removed_by_the_next() {
    let (folder, warehouse) = new_warehouse();
    let mut commit = warehouse.begin(source("a")).unwrap();
    write(&mut commit, series(), &rows(&[(None, 1, "x")])).unwrap();
    drop(commit);
    assert_eq!(on_disk(folder.path()).0.len(), 1);
    assert_eq!(warehouse.current().unwrap().number(), 0);
    drop(warehouse.begin(source("b")).unwrap());
    assert_eq!(on_disk(folder.path()), (vec![], 0));
}

#[test]
fn garbage_collection_keeps_what_older_epochs_name_and_what_it_does_not_know() {
    let (folder, warehouse) = new_warehouse();
    let old = ingest(&warehouse, "a", &[1]).unwrap();
    let mut commit = warehouse.begin(source("rollback")).unwrap();
    commit.remove_batch(&BatchId(1));
    commit.publish().unwrap();
    let data = folder.path().join("warehouse/data");
    let orphan = data.join(format!("{}.parquet", "0".repeat(64)));
    std::fs::write(&orphan, "left by a crash").unwrap();
    std::fs::write(data.join("notes.txt"), "of the operator").unwrap();
    drop(warehouse.begin(source("b")).unwrap());
    assert!(!orphan.exists() && data.join("notes.txt").exists());
    assert!(content(&old).is_ok());
}

#[test]
fn c06_a_second_writer_is_refused_with_the_process_of_the_first_until_that_is_done() {
    let (folder, warehouse) = new_warehouse();
    let other = Warehouse::open(folder.path()).unwrap();
    let mut first = warehouse.begin(source("a")).unwrap();
    let refused = other.begin(source("b")).unwrap_err();
    assert!(
        matches!(refused, Error::Locked { pid: Some(pid), .. } if pid == std::process::id()),
        "{refused}"
    );
    let writer = first.writer(series(), rows(&[]).schema()).unwrap();
    drop(first);
    assert!(other.begin(source("b")).is_err(), "a writer of the first commit may still write");
    drop(writer);
    assert!(other.begin(source("b")).is_ok());
}

#[test]
fn an_unfinished_or_failed_writer_keeps_its_commit_from_being_published() {
    let (_folder, warehouse) = new_warehouse();
    let mut commit = warehouse.begin(source("a")).unwrap();
    drop(commit.writer(series(), rows(&[]).schema()).unwrap());
    assert!(matches!(commit.publish(), Err(Error::Unfinished { table }) if table == series()));

    let mut commit = warehouse.begin(source("a")).unwrap();
    let mut writer = commit.writer(series(), rows(&[]).schema()).unwrap();
    let other = RecordBatch::try_from_iter([("x", Arc::new(Int64Array::from(vec![1])) as _)]).unwrap();
    assert!(matches!(writer.write(&other), Err(Error::Shape { .. })));
    assert!(matches!(writer.finish(), Err(Error::Unfinished { .. })));
    assert!(commit.publish().is_err());
    assert_eq!(warehouse.current().unwrap().number(), 0);
}

#[test]
fn a_schema_that_cannot_be_stored_is_refused_with_the_reason() {
    let (_folder, warehouse) = new_warehouse();
    let mut commit = warehouse.begin(source("a")).unwrap();
    let field = |name: &str, kind: DataType| Field::new(name, kind, true);
    let list = DataType::new_list(DataType::Int64, true);
    for (fields, reason) in [
        (vec![], "no columns"),
        (vec![field("_patient", DataType::UInt32)], "not _row"),
        (vec![field("_row", DataType::UInt64)], "not _patient"),
        (vec![field("_patient", DataType::Int64), field("_row", DataType::UInt64)], "_patient is Int64"),
        (vec![field("_patient", DataType::UInt32), field("_row", DataType::UInt32)], "_row is UInt32"),
        (vec![field("codes", list)], "codes is nested"),
    ] {
        let refused = commit.writer(series(), Arc::new(Schema::new(fields))).unwrap_err().to_string();
        assert!(refused.contains(reason), "{reason}: {refused}");
    }
    let system = TableName::new("system", "patient");
    assert!(commit.writer(system, rows(&[]).schema()).is_err());
}

#[test]
fn a_row_without_a_key_is_refused() {
    let (_folder, warehouse) = new_warehouse();
    let mut commit = warehouse.begin(source("a")).unwrap();
    let good = rows(&[(Some(0), 1, "x")]);
    let mut columns = good.columns().to_vec();
    columns[1] = arrow::array::new_null_array(&DataType::UInt64, 1);
    let keyless = RecordBatch::try_new(good.schema(), columns).unwrap();
    let refused = write(&mut commit, series(), &keyless).unwrap_err().to_string();
    assert!(refused.contains("_row"), "{refused}");
}

#[test]
fn a_folder_without_a_warehouse_is_named_with_the_command_that_makes_one() {
    let folder = tempfile::tempdir().unwrap();
    let refused = Warehouse::open(folder.path()).unwrap_err().to_string();
    assert!(refused.contains(&format!("caim init node {}", folder.path().display())), "{refused}");
}

#[test]
#[cfg(target_os = "linux")]
fn c10_a_folder_that_cannot_be_written_is_named_with_the_permission_that_is_missing() {
    // Nobody may make folders there, not even root.
    let refused = Warehouse::create(std::path::Path::new("/sys/caim")).unwrap_err().to_string();
    assert!(refused.contains("/sys/caim/warehouse/data") && refused.contains("permission"), "{refused}");
}
