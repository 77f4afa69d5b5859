//! Rows come out as they went in, sorted within each file, however they were cut into batches and runs.

use std::fs::File;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{UInt32Type, UInt64Type};
use parquet::file::reader::{FileReader, SerializedFileReader};
use proptest::prelude::*;

use super::fixture::*;
use crate::staging::Bounds;
use crate::{Epoch, Warehouse};

/// Batches of few patients, so that many rows share one.
fn some_batches() -> impl Strategy<Value = Vec<Vec<Row>>> {
    let row = (prop::option::weighted(0.9, 0..6u32), 0..50u64, "[a-c]{0,3}");
    prop::collection::vec(prop::collection::vec(row, 0..40), 0..8)
}

type Row = (Option<u32>, u64, String);

fn store(warehouse: &Warehouse, batches: &[Vec<Row>], bounds: Bounds) -> Epoch {
    let mut commit = warehouse.begin_within(source("a"), bounds).unwrap();
    let mut writer = commit.writer(series(), rows(&[]).schema()).unwrap();
    for batch in batches {
        let content: Vec<_> = batch.iter().map(|row| (row.0, row.1, row.2.as_str())).collect();
        writer.write(&rows(&content)).unwrap();
    }
    assert_eq!(writer.finish().unwrap(), batches.iter().map(Vec::len).sum::<usize>() as u64);
    commit.publish().unwrap()
}

fn rows_of(batches: &[RecordBatch]) -> Vec<Row> {
    let mut found = Vec::new();
    for batch in batches {
        let patients = batch.column(0).as_primitive::<UInt32Type>();
        let (keys, texts) =
            (batch.column(1).as_primitive::<UInt64Type>(), batch.column(2).as_string::<i32>());
        for row in 0..batch.num_rows() {
            let patient = patients.is_valid(row).then(|| patients.value(row));
            found.push((patient, keys.value(row), texts.value(row).to_owned()));
        }
    }
    found
}

/// The keys as the file is to be sorted: rows without patient last.
fn keys(row: &Row) -> (bool, Option<u32>, u64) {
    (row.0.is_none(), row.0, row.1)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_row_is_lost_or_made_and_each_file_is_sorted(batches in some_batches(), run in 1usize..4000) {
        let (_folder, warehouse) = new_warehouse();
        let bounds = Bounds { commit: run, writer: 2 * run, smallest_run: run / 2 };
        let epoch = store(&warehouse, &batches, bounds);
        let mut all = Vec::new();
        for file in epoch.files(&series()) {
            let found = rows_of(&read(&epoch, file).unwrap());
            prop_assert_eq!(found.len() as u64, file.rows);
            prop_assert!(found.windows(2).all(|pair| keys(&pair[0]) <= keys(&pair[1])));
            all.extend(found);
        }
        let mut given: Vec<Row> = batches.concat();
        given.sort();
        all.sort();
        prop_assert_eq!(all, given);
    }
}

#[test]
fn a_writer_over_its_bound_writes_runs_and_one_under_it_a_single_file() {
    let batches: Vec<Vec<Row>> = (0..10).map(|n| vec![(Some(n), u64::from(n), "x".into()); 100]).collect();
    let small = Bounds { commit: usize::MAX, writer: 10_000, smallest_run: usize::MAX };
    let crowded = Bounds { commit: 10_000, writer: usize::MAX, smallest_run: 0 };
    for (bounds, one) in [(small, false), (crowded, false), (Bounds::DEFAULT, true)] {
        let (_folder, warehouse) = new_warehouse();
        let epoch = store(&warehouse, &batches, bounds);
        assert_eq!(epoch.files(&series()).len() == 1, one, "{bounds:?}");
    }
}

#[test]
fn files_say_how_they_are_sorted_and_have_page_statistics() {
    let (_folder, warehouse) = new_warehouse();
    let content: Vec<Row> = (0..300_000).map(|n| (Some(n % 1000), u64::from(n), "CT".into())).collect();
    let epoch = store(&warehouse, &[content], Bounds::DEFAULT);
    let path = epoch.path(&epoch.files(&series())[0]).unwrap();
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let groups = reader.metadata().row_groups();
    assert_eq!(groups.iter().map(|group| group.num_rows()).collect::<Vec<_>>(), [131_072, 131_072, 37_856]);
    for group in groups {
        let sorting = group.sorting_columns().unwrap();
        assert_eq!(
            sorting.iter().map(|s| (s.column_idx, s.descending, s.nulls_first)).collect::<Vec<_>>(),
            [(0, false, false), (1, false, false)]
        );
        assert!(group.columns().iter().all(|column| column.statistics().is_some()));
        assert!(group.columns().iter().all(|column| column.column_index_offset().is_some()));
    }
}

#[test]
fn a_table_without_patients_keeps_the_order_of_its_source() {
    let (_folder, warehouse) = new_warehouse();
    let concepts = rows(&[(Some(9), 1, "z"), (None, 2, "a"), (Some(3), 0, "m")]).project(&[2, 3]).unwrap();
    let table = crate::TableName::new("omop", "concept");
    let mut commit = warehouse.begin(source("vocabulary")).unwrap();
    write(&mut commit, table.clone(), &concepts).unwrap();
    let epoch = commit.publish().unwrap();
    let found = read(&epoch, &epoch.files(&table)[0]).unwrap();
    assert_eq!(found[0].column(0), concepts.column(0));
}

#[test]
fn the_same_rows_make_the_same_file_in_whatever_order_they_come() {
    let forward: Vec<Row> = (0..500).map(|n| (Some(n / 3), u64::from(n), n.to_string())).collect();
    let backward: Vec<Row> = forward.iter().rev().cloned().collect();
    let hashes = [vec![forward.clone()], vec![backward], forward.chunks(70).map(<[Row]>::to_vec).collect()]
        .map(|batches| {
            let (_folder, warehouse) = new_warehouse();
            store(&warehouse, &batches, Bounds::DEFAULT).files(&series())[0].sha256.clone()
        });
    assert_eq!(hashes[0], hashes[1]);
    assert_eq!(hashes[0], hashes[2]);
}
