//! The laws of merging: order-free, sums add up, what nobody released is not there, bounds hold what nodes may hide.

use std::sync::Arc;

use caim_ontology::Models;
use caim_sql::PrivateQuery;
use caim_sql::private_query::{
    Aggregate, BoolTree, ColumnRef, Dim, JoinTree, Measure, Number, TableRef, VERSION,
};
use datafusion::arrow::array::{Array, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{Float64Type, Int64Type};
use proptest::prelude::*;

use super::merge;
use crate::channel::{Facts, NodeId, Reply};
use crate::policy::Policy;
use crate::reply;

fn query() -> PrivateQuery {
    let age = Number::Column(ColumnRef::new(0, "patientage"));
    PrivateQuery {
        version: VERSION,
        per_patient: Vec::new(),
        from: JoinTree { tables: vec![TableRef::new("dicom", "series")], edges: vec![] },
        cohort: BoolTree::always(),
        dims: vec![Dim::Column(ColumnRef::new(0, "modality"))],
        measures: [Aggregate::Patients, Aggregate::Avg(age)]
            .map(|of| Measure { of, filter: BoolTree::always() })
            .into(),
        noise_sd_milli: None,
        max_rows_per_patient: None,
    }
}

/// Cell, patients, sum and count of ages.
type Row = (&'static str, Option<i64>, Option<(f64, i64)>);

fn reply(name: &str, rows: &[Row], policy: Policy) -> (NodeId, Reply) {
    let (query, models) = (query(), Models::bundled().unwrap());
    let schema = reply::schema(&query, &models).unwrap();
    let batch = RecordBatch::try_new(
        schema,
        vec![
            Arc::new(rows.iter().map(|r| Some(r.0)).collect::<StringArray>()),
            Arc::new(rows.iter().map(|r| r.1).collect::<Int64Array>()),
            Arc::new(rows.iter().map(|r| r.2.map(|a| a.0)).collect::<Float64Array>()),
            Arc::new(rows.iter().map(|r| r.2.map(|a| a.1)).collect::<Int64Array>()),
        ],
    );
    let facts = Facts { epoch: 1, rho: 0.0, delta: 0.0, rho_left: None, policy };
    (NodeId::new(name).unwrap(), Reply::check(&query, &models, &[batch.unwrap()], facts).unwrap())
}

fn merged(replies: &[(NodeId, Reply)]) -> RecordBatch {
    merge(&query(), &Models::bundled().unwrap(), replies).unwrap()
}

fn exact() -> Policy {
    Policy { public_data: true, ..Policy::default() }
}

fn number(batch: &RecordBatch, column: &str, row: usize) -> Option<f64> {
    let column = batch.column_by_name(column).unwrap();
    column.is_valid(row).then(|| match column.as_primitive_opt::<Int64Type>() {
        Some(whole) => whole.value(row) as f64,
        None => column.as_primitive::<Float64Type>().value(row),
    })
}

#[test]
fn counts_add_up_and_means_are_weighted() {
    let a = reply("a", &[("CT", Some(10), Some((500.0, 10)))], exact());
    let b = reply("b", &[("CT", Some(30), Some((3000.0, 30))), ("MR", Some(1), None)], exact());
    let table = merged(&[a, b]);
    assert_eq!(number(&table, "m0", 0), Some(40.0));
    assert_eq!(number(&table, "m1", 0), Some(87.5));
    assert_eq!((number(&table, "m0", 1), number(&table, "m1", 1)), (Some(1.0), None));
}

#[test]
fn exact_answers_have_no_error() {
    let table = merged(&[reply("a", &[("CT", Some(10), Some((500.0, 10)))], exact())]);
    assert_eq!((number(&table, "m0_lower", 0), number(&table, "m0_upper", 0)), (Some(10.0), Some(10.0)));
    assert_eq!((number(&table, "m1_lower", 0), number(&table, "m1_upper", 0)), (Some(50.0), Some(50.0)));
}

#[test]
fn a_node_that_released_nothing_widens_the_bounds_upwards_by_what_it_may_hide() {
    let policy = Policy::default();
    let one = merged(&[reply("a", &[("CT", Some(100), None)], policy)]);
    let two = merged(&[reply("a", &[("CT", Some(100), None)], policy), reply("b", &[], policy)]);
    assert_eq!(number(&one, "m0_lower", 0), number(&two, "m0_lower", 0));
    let widened = number(&two, "m0_upper", 0).unwrap() - number(&one, "m0_upper", 0).unwrap();
    let sd = 4.0 * 3f64.sqrt();
    assert!((widened - (10.0 + 5.0 * sd + 1.65 * sd)).abs() < 0.01, "{widened}");
}

#[test]
fn a_measure_that_nobody_released_is_null_and_not_zero() {
    let table = merged(&[reply("a", &[("CT", Some(100), None)], Policy::default())]);
    assert_eq!(number(&table, "m1", 0), None);
}

#[test]
fn a_faulty_reply_is_not_taken_in() {
    let (query, models) = (query(), Models::bundled().unwrap());
    let (_, fine) = reply("a", &[("CT", Some(1), None)], exact());
    let negative = reply::schema(&query, &models).unwrap();
    let mut columns = fine.batch().columns().to_vec();
    columns[1] = Arc::new(Int64Array::from(vec![-1]));
    let negative = RecordBatch::try_new(negative, columns).unwrap();
    let other = fine.batch().project(&[0, 1]).unwrap();
    for faulty in [negative, other] {
        assert!(Reply::check(&query, &models, &[faulty], fine.facts().clone()).is_err());
    }
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let mean = proptest::option::of((0.0..5000.0f64, 10i64..100));
    let row = (0usize..4, proptest::option::of(10i64..1000), mean);
    proptest::collection::vec(row, 0..4).prop_map(|rows| {
        let mut rows: Vec<Row> =
            rows.into_iter().map(|(c, n, m)| (["CT", "MR", "PT", "US"][c], n, m)).collect();
        rows.sort_by_key(|r| r.0);
        rows.dedup_by_key(|r| r.0);
        rows
    })
}

proptest! {
    #[test]
    fn the_order_of_nodes_does_not_matter(
        a in rows(), b in rows(), c in rows(), exact_node in any::<bool>(),
    ) {
        let policy = if exact_node { exact() } else { Policy::default() };
        let [a, b, c] = [reply("a", &a, policy), reply("b", &b, Policy::default()), reply("c", &c, policy)];
        let first = merged(&[a.clone(), b.clone(), c.clone()]);
        prop_assert_eq!(&first, &merged(&[c.clone(), a.clone(), b.clone()]));
        prop_assert_eq!(&first, &merged(&[b, c, a]));
    }
}
