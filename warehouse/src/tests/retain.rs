//! Rows leave tables: those of earlier batches and of this one, and nothing else.

use std::collections::BTreeSet;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::UInt64Type;

use super::fixture::{
    SECRET, content, ingest, new_warehouse, on_disk, read, rows, series, source, study, write,
};
use crate::layout::ROW;
use crate::{Among, BatchId, Origin};

/// The rows whose key is none of these.
fn without(keys: &[u64], rows: &RecordBatch) -> BooleanArray {
    assert_eq!(rows.num_columns(), 1, "only what was asked for is read");
    let found = rows.column_by_name(ROW).unwrap().as_primitive::<UInt64Type>();
    found.values().iter().map(|key| Some(!keys.contains(key))).collect()
}

#[test]
fn rows_of_earlier_batches_and_of_this_one_leave_and_other_files_stay_as_they_are() {
    let (folder, warehouse) = new_warehouse();
    ingest(&warehouse, "a", &[10, 11]).unwrap();
    let before = ingest(&warehouse, "b", &[12]).unwrap();
    let mut commit = warehouse.begin(source("c")).unwrap();
    commit.secret(SECRET).unwrap();
    write(&mut commit, series(), &rows(&[(Some(0), 0, "c"), (Some(1), 7, "c")])).unwrap();
    let mut seen = Vec::new();
    let gone = commit
        .retain(&series(), &[ROW], Among::All, &mut |origin, rows| {
            seen.push((origin, rows.num_rows()));
            without(&[0], rows)
        })
        .unwrap();
    assert_eq!(gone, 2);
    assert_eq!(seen, [(Origin::Earlier, 2), (Origin::Earlier, 1), (Origin::New, 2)]);
    let after = commit.publish().unwrap();
    let counts =
        |table| after.batches().iter().map(move |batch| batch.rows.get(&table).copied()).collect::<Vec<_>>();
    assert_eq!(counts(series()), [Some(1), Some(1), Some(1)]);
    assert_eq!(counts(study()), [Some(2), Some(1), None]);
    assert!(after.files(&series()).contains(&before.files(&series())[1]), "the file of b is the same");
    assert_eq!(after.files(&study()), before.files(&study()));
    content(&after).unwrap();
    assert!(warehouse.verify().unwrap().is_empty());
    assert!(on_disk(folder.path()).0.is_empty());
}

#[test]
fn only_rows_of_the_origins_that_were_asked_for_are_seen() {
    let (_folder, warehouse) = new_warehouse();
    ingest(&warehouse, "a", &[10, 11]).unwrap();
    for (among, origin, left) in [(Among::Earlier, Origin::Earlier, 1), (Among::New, Origin::New, 2)] {
        let mut commit = warehouse.begin(source("c")).unwrap();
        write(&mut commit, series(), &rows(&[(Some(1), 0, "c")])).unwrap();
        let gone = commit.retain(&series(), &[ROW], among, &mut |found, rows| {
            assert_eq!(found, origin);
            without(&[0], rows)
        });
        assert_eq!(gone.unwrap(), 1);
        let earlier = commit.base().files(&series())[0].clone();
        assert_eq!(commit.keeps(&series(), &earlier), left == 2);
    }
}

#[test]
fn rows_leave_the_batches_that_are_named_and_no_other() {
    let (_folder, warehouse) = new_warehouse();
    ingest(&warehouse, "a", &[1, 2, 3]).unwrap();
    ingest(&warehouse, "b", &[1, 4]).unwrap();
    let first = BTreeSet::from([BatchId(1)]);
    let mut commit = warehouse.begin(source("c")).unwrap();
    let some = commit.retain(&series(), &[ROW], Among::Batches(&first), &mut |_, rows| without(&[0], rows));
    assert_eq!(some.unwrap(), 1);
    let none = |rows: &RecordBatch| BooleanArray::from(vec![false; rows.num_rows()]);
    assert_eq!(commit.retain(&study(), &[], Among::Batches(&first), &mut |_, rows| none(rows)).unwrap(), 3);
    let epoch = commit.publish().unwrap();
    let rows = |batch: usize, table| epoch.batches()[batch].rows.get(&table).copied();
    assert_eq!((rows(0, series()), rows(1, series())), (Some(2), Some(2)));
    assert_eq!((rows(0, study()), rows(1, study())), (Some(0), Some(2)));
    assert!(warehouse.verify().unwrap().is_empty());
}

#[test]
fn where_no_row_leaves_the_epoch_stays() {
    let (_folder, warehouse) = new_warehouse();
    let before = ingest(&warehouse, "a", &[1, 2]).unwrap();
    let mut commit = warehouse.begin(source("b")).unwrap();
    let gone = commit.retain(&series(), &[ROW], Among::All, &mut |_, rows| without(&[99], rows));
    assert_eq!(gone.unwrap(), 0);
    assert_eq!(commit.publish().unwrap().number(), before.number());
}

#[test]
fn in_a_file_of_many_batches_each_row_is_told_from_its_neighbours() {
    let (_folder, warehouse) = new_warehouse();
    let many: Vec<_> = (0..5000).map(|key| (Some(0), key, "x")).collect();
    let mut commit = warehouse.begin(source("a")).unwrap();
    commit.secret(SECRET).unwrap();
    commit.ordinals().unwrap().ordinal(&[1; 32]);
    write(&mut commit, series(), &rows(&many)).unwrap();
    let odd: Vec<u64> = (0..5000).filter(|key| key % 2 == 1).collect();
    let gone = commit.retain(&series(), &[ROW], Among::New, &mut |_, rows| without(&odd, rows)).unwrap();
    assert_eq!(gone, 2500);
    let epoch = commit.publish().unwrap();
    let mut keys = Vec::new();
    for batch in epoch.files(&series()).iter().flat_map(|file| read(&epoch, file).unwrap()) {
        keys.extend(batch.column_by_name(ROW).unwrap().as_primitive::<UInt64Type>().values().to_vec());
    }
    assert_eq!(keys, (0..5000).step_by(2).collect::<Vec<u64>>());
}

#[test]
fn sources_of_a_format_that_is_to_be_read_again_have_no_known_content() {
    let (_folder, warehouse) = new_warehouse();
    ingest(&warehouse, "a", &[10]).unwrap();
    ingest(&warehouse, "b", &[11]).unwrap();
    let mut commit = warehouse.begin(source("undo")).unwrap();
    let gone = commit.base().batches()[1].id;
    commit.remove_batch(&gone);
    commit.reread("dicom-table");
    let epoch = commit.publish().unwrap();
    let contents: Vec<&str> = epoch.batches().iter().map(|batch| batch.content.as_str()).collect();
    assert_eq!(contents, [""]);
}
