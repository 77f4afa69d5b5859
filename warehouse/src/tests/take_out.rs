//! Rows leave the batches that are named, and nothing else changes.

use std::collections::BTreeSet;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::UInt32Type;

use super::fixture::*;
use crate::BatchId;
use crate::layout::PATIENT;

/// All rows but those of the first patient.
fn others(rows: &RecordBatch) -> BooleanArray {
    let patients = rows.column_by_name(PATIENT).unwrap().as_primitive::<UInt32Type>();
    patients.iter().map(|patient| Some(patient != Some(0))).collect()
}

#[test]
fn rows_leave_the_batches_that_are_named_and_no_other() {
    let (_folder, warehouse) = new_warehouse();
    ingest(&warehouse, "a", &[1, 2, 3]).unwrap();
    ingest(&warehouse, "b", &[1, 4]).unwrap();
    let mut commit = warehouse.begin(source("c")).unwrap();
    let first = BTreeSet::from([BatchId(1)]);
    assert_eq!(commit.take_out(&series(), &first, &[PATIENT], &others).unwrap(), 1);
    let epoch = commit.publish().unwrap();
    assert_eq!((epoch.rows(&series()), epoch.rows(&study())), (4, 5));
    let rows = |batch| epoch.batches().iter().find(|b| b.id == BatchId(batch)).unwrap().rows[&series()];
    assert_eq!((rows(1), rows(2)), (2, 2));
    assert!(warehouse.verify().unwrap().is_empty());
}

#[test]
fn a_batch_is_gone_with_its_last_row_and_where_none_leaves_the_epoch_stays() {
    let (_folder, warehouse) = new_warehouse();
    ingest(&warehouse, "a", &[1, 2]).unwrap();
    let before = ingest(&warehouse, "b", &[3]).unwrap();
    let second = BTreeSet::from([BatchId(2)]);
    let mut commit = warehouse.begin(source("c")).unwrap();
    assert_eq!(commit.take_out(&series(), &second, &[PATIENT], &others).unwrap(), 0);
    assert_eq!(commit.publish().unwrap().number(), before.number());
    let mut commit = warehouse.begin(source("c")).unwrap();
    for table in [series(), study()] {
        let none = |rows: &RecordBatch| BooleanArray::from(vec![false; rows.num_rows()]);
        assert_eq!(commit.take_out(&table, &second, &[], &none).unwrap(), 1);
    }
    let epoch = commit.publish().unwrap();
    let batches: Vec<BatchId> = epoch.batches().iter().map(|batch| batch.id).collect();
    assert_eq!((batches, epoch.rows(&series())), (vec![BatchId(1)], 2));
}
