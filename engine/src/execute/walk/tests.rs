//! The rules of the walk, on rows written by hand and against a slow reading of the same rules.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use caim_ontology::Models;
use caim_sql::PrivateQuery;
use caim_sql::private_query::{
    Aggregate, BoolTree, ColumnRef, Dim, JoinTree, Measure, Number, TableRef, VERSION,
};
use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray, UInt32Array, UInt64Array,
};
use proptest::prelude::*;

use super::Walk;
use crate::accounting::Accounting;
use crate::policy::Policy;

/// Patient, row key, cell, size.
type Row = (u32, u64, &'static str, Option<f64>);

fn query(max_rows: Option<u32>) -> PrivateQuery {
    let size = ColumnRef::new(0, "series_size_mb");
    let of = [Aggregate::Patients, Aggregate::Rows, Aggregate::Sum(Number::Column(size))];
    PrivateQuery {
        version: VERSION,
        per_patient: Vec::new(),
        from: JoinTree { tables: vec![TableRef::new("dicom", "series")], edges: vec![] },
        cohort: BoolTree::always(),
        dims: vec![Dim::Column(ColumnRef::new(0, "modality"))],
        measures: of.into_iter().map(|of| Measure { of, filter: BoolTree::always() }).collect(),
        noise_sd_milli: None,
        max_rows_per_patient: max_rows,
    }
}

fn batch(rows: &[Row], accounting: &Accounting) -> RecordBatch {
    let mut columns: Vec<(String, ArrayRef)> = vec![
        ("p".into(), Arc::new(rows.iter().map(|r| Some(r.0)).collect::<UInt32Array>())),
        ("r0".into(), Arc::new(rows.iter().map(|r| Some(r.1)).collect::<UInt64Array>())),
        ("d0".into(), Arc::new(rows.iter().map(|r| Some(r.2)).collect::<StringArray>())),
    ];
    for (i, stream) in accounting.streams.iter().enumerate() {
        let counts = rows.iter().map(|r| Some(stream.needs.is_none() || r.3.is_some()));
        columns.push((format!("f{i}"), Arc::new(counts.collect::<BooleanArray>())));
    }
    columns.push(("v".into(), Arc::new(rows.iter().map(|r| r.3).collect::<Float64Array>())));
    RecordBatch::try_from_iter(columns).unwrap()
}

/// Patients, rows and sum of every cell, after the walk; `cut` splits the rows into two batches.
fn walked(rows: &[Row], max_rows: Option<u32>, cut: usize) -> BTreeMap<Vec<u8>, (i64, i64, i64)> {
    let query = query(max_rows);
    let accounting = Accounting::new(&query, &Models::bundled().unwrap(), &Policy::default()).unwrap();
    let whole = batch(rows, &accounting);
    let mut walk = Walk::new(&query, &accounting, &whole.schema()).unwrap();
    walk.take(&whole.slice(0, cut)).unwrap();
    walk.take(&whole.slice(cut, rows.len() - cut)).unwrap();
    let sums = walk.finish();
    let of = |measure: usize, cell: usize| {
        let (_, source) = accounting.measures[measure];
        let vector = match source {
            crate::accounting::Source::Count(v) | crate::accounting::Source::Sum(v) => v,
            crate::accounting::Source::Mean { .. }
            | crate::accounting::Source::Spread { .. }
            | crate::accounting::Source::Bins(_) => unreachable!(),
        };
        sums.vectors[vector][cell]
    };
    let cells = sums.labels.iter().enumerate();
    cells.map(|(i, label)| (label.to_vec(), (of(0, i), of(1, i), of(2, i)))).collect()
}

fn totals(rows: &[Row], max_rows: Option<u32>) -> Vec<(i64, i64)> {
    walked(rows, max_rows, rows.len() / 2).into_values().map(|(p, r, _)| (p, r)).collect()
}

#[test]
fn a_patient_counts_once_a_cell_however_many_rows() {
    assert_eq!(totals(&[(1, 5, "MR", None), (1, 6, "MR", None), (2, 1, "MR", None)], None), [(2, 3)]);
}

#[test]
fn a_patient_reaches_at_most_three_cells_those_with_the_smallest_row_keys() {
    let rows = [(1, 9, "CT", None), (1, 1, "MR", None), (1, 2, "PT", None), (1, 3, "US", None)];
    let reached: Vec<_> = totals(&rows, None);
    assert_eq!(reached, [(0, 0), (1, 1), (1, 1), (1, 1)], "CT has the largest key");
}

#[test]
fn a_patient_adds_at_most_so_many_rows_and_the_first_of_each_cell_first() {
    let rows = [(1, 1, "CT", None), (1, 2, "CT", None), (1, 3, "CT", None), (1, 4, "MR", None)];
    assert_eq!(totals(&rows, Some(3)), [(1, 2), (1, 1)]);
    assert_eq!(totals(&rows, Some(1)), [(1, 1), (0, 0)]);
}

#[test]
fn values_are_clamped_to_the_public_bounds() {
    let sums: Vec<_> = [10_000.0, 5_000.0, -3.0, 0.0]
        .map(|size| walked(&[(1, 1, "CT", Some(size))], None, 0).into_values().next().unwrap().2)
        .into();
    assert_eq!((sums[0], sums[2]), (sums[1], sums[3]));
}

const CELLS: [&str; 5] = ["CT", "MR", "PT", "US", "MG"];

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (0u32..6, any::<u64>(), 0usize..5, proptest::option::of(0.0..100.0f64));
    proptest::collection::vec(row, 0..80).prop_map(|mut rows| {
        rows.sort_by_key(|r| r.0);
        let mut keys = BTreeSet::new();
        rows.retain(|r| keys.insert(r.1));
        rows.into_iter().map(|(p, k, c, v)| (p, k, CELLS[c], v)).collect()
    })
}

proptest! {
    #[test]
    fn removing_a_patient_moves_nobody_else(rows in rows(), gone in 0u32..6, limit in 1u32..6) {
        let without: Vec<Row> = rows.iter().copied().filter(|r| r.0 != gone).collect();
        let alone: Vec<Row> = rows.iter().copied().filter(|r| r.0 == gone).collect();
        let all = walked(&rows, Some(limit), 0);
        let rest = walked(&without, Some(limit), 0);
        let own = walked(&alone, Some(limit), 0);
        for (cell, sums) in &all {
            let a = rest.get(cell).copied().unwrap_or_default();
            let b = own.get(cell).copied().unwrap_or_default();
            prop_assert_eq!(*sums, (a.0 + b.0, a.1 + b.1, a.2 + b.2));
        }
    }

    #[test]
    fn one_patient_stays_within_the_declared_sensitivity(rows in rows(), limit in 1u32..6) {
        let query = query(Some(limit));
        let accounting = Accounting::new(&query, &Models::bundled().unwrap(), &Policy::default()).unwrap();
        let alone: Vec<Row> = rows.iter().copied().filter(|r| r.0 == 0).collect();
        let cells = walked(&alone, Some(limit), 0);
        let length = |pick: fn(&(i64, i64, i64)) -> i64| {
            cells.values().map(|c| (pick(c) as f64).powi(2)).sum::<f64>().sqrt()
        };
        let sds: Vec<f64> =
            accounting.measures.iter().map(|(_, source)| match source {
                crate::accounting::Source::Count(v) | crate::accounting::Source::Sum(v) =>
                    accounting.vectors[*v].sd_1024 as f64 / 1024.0,
                crate::accounting::Source::Mean { .. }
            | crate::accounting::Source::Spread { .. }
            | crate::accounting::Source::Bins(_) => unreachable!(),
            }).collect();
        let noise = accounting.noise_sd;
        prop_assert!(length(|c| c.0) <= sds[0] / noise + 1e-9);
        prop_assert!(length(|c| c.1) <= sds[1] / noise + 1e-9);
        prop_assert!(length(|c| c.2) <= sds[2] / noise + 1e-9);
    }

    #[test]
    fn where_batches_end_does_not_matter(rows in rows(), cut in 0usize..80) {
        let cut = cut.min(rows.len());
        prop_assert_eq!(walked(&rows, None, cut), walked(&rows, None, 0));
    }
}
