//! Published data: exact answers, equal to a slow reading of the rows, by one node and by three; and the double count
//! of patients whom two nodes know, which the documents speak of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use caim_engine::hub::Hub;
use caim_engine::merge::merge;
use caim_engine::{Asker, LocalChannel, Node, NodeChannel, NodeId, Policy, Reply};
use caim_ontology::Models;
use caim_sql::PrivateQuery;
use caim_sql::lower::Settings;
use caim_sql::private_query::{Aggregate, Measure};
use caim_tests::Here;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::util::pretty::pretty_format_batches;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::questions::{
    Cell, adds, ask, cell_of, drawn, lowered, number, percentile, released_cell, statement, variance,
};
use crate::series::{self, Series};

const SEED: u64 = 7;

fn published() -> Policy {
    Policy { public_data: true, ..Policy::default() }
}

/// The value that SQL gives a measure in every cell: `None` is NULL.
fn truth(query: &PrivateQuery, measure: &Measure, rows: &[&Series]) -> BTreeMap<Cell, Option<f64>> {
    let mut cells: BTreeMap<Cell, Vec<&Series>> = BTreeMap::new();
    if query.dims.is_empty() {
        cells.entry(Vec::new()).or_default();
    }
    for row in rows {
        cells.entry(cell_of(query, row)).or_default().push(row);
    }
    cells.into_iter().map(|(cell, rows)| (cell, value(measure, &rows))).collect()
}

fn value(measure: &Measure, rows: &[&Series]) -> Option<f64> {
    let counted: Vec<(&Series, f64)> = rows.iter().filter_map(|r| Some((*r, adds(measure, r)?))).collect();
    let sum: f64 = counted.iter().map(|(_, n)| n).sum();
    let some = !counted.is_empty();
    let numbers: Vec<f64> = counted.iter().map(|(_, n)| *n).collect();
    match &measure.of {
        Aggregate::Patients => {
            Some(counted.iter().filter_map(|(r, _)| r.patient).collect::<BTreeSet<_>>().len() as f64)
        }
        Aggregate::Distinct(_) => {
            Some(counted.iter().map(|(r, _)| &r.study).collect::<BTreeSet<_>>().len() as f64)
        }
        Aggregate::Rows => Some(sum),
        Aggregate::Sum(_) => some.then_some(sum),
        Aggregate::Avg(_) => some.then(|| sum / counted.len() as f64),
        Aggregate::Variance { over, .. } => variance(&numbers, *over),
        Aggregate::Quantile { share, .. } => percentile(&numbers, share.get()),
    }
}

fn compare(sql: &str, query: &PrivateQuery, merged: &RecordBatch, rows: &[&Series]) {
    for (m, measure) in query.measures.iter().enumerate() {
        let wanted = truth(query, measure, rows);
        let column = merged.column_by_name(&format!("m{m}")).unwrap();
        let found: BTreeMap<Cell, Option<f64>> = (0..merged.num_rows())
            .map(|row| (released_cell(query, merged, row), number(column, row)))
            .collect();
        assert_eq!(found.len(), wanted.len(), "{sql}: cells");
        for (cell, value) in &wanted {
            let close = match (found[cell], value) {
                (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * b.abs().max(100.0),
                (a, b) => a == *b,
            };
            assert!(close, "{sql}: {cell:?} is {:?} and should be {value:?}", found[cell]);
        }
    }
}

async fn merged(nodes: &[Arc<Node>], query: &PrivateQuery, models: &Models) -> RecordBatch {
    let mut replies: Vec<(NodeId, Reply)> = Vec::new();
    for node in nodes {
        replies.push((node.profile().unwrap().node, ask(node, query, models).await));
    }
    merge(query, models, &replies).unwrap()
}

/// The lines of a table whose patients belong to one of three hospitals.
fn third(table: &str, which: usize) -> String {
    let mut lines = table.lines();
    let mut part = format!("{}\n", lines.next().unwrap());
    for line in lines.filter(|l| l[1..6].parse::<usize>().unwrap() % 3 == which) {
        part += line;
        part.push('\n');
    }
    part
}

#[tokio::test(flavor = "multi_thread")]
async fn published_data_is_answered_exactly_by_one_node_and_by_three() {
    let table = series::table(SEED, 400);
    let dirs: Vec<_> = (0..4).map(|_| tempfile::tempdir().unwrap()).collect();
    let whole = series::ingested(dirs[3].path(), &table);
    let all = series::stored(&whole);
    let one = [series::node("whole", whole, published())];
    let three: Vec<_> = (0..3)
        .map(|i| {
            series::node(&format!("n{i}"), series::ingested(dirs[i].path(), &third(&table, i)), published())
        })
        .collect();
    let models = Arc::new(Models::bundled().unwrap());
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    for _ in 0..120 {
        let (sql, condition) = statement(&mut random);
        let Some(query) = drawn(&models, &sql) else { continue };
        let rows: Vec<&Series> = all.iter().filter(|r| condition.holds(r) == Some(true)).collect();
        compare(&sql, &query, &merged(&one, &query, &models).await, &rows);
        compare(&sql, &query, &merged(&three, &query, &models).await, &rows);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_three_nodes_released_stays_apart_and_adds_up() {
    let models = Arc::new(Models::bundled().unwrap());
    let (table, dirs) = (series::table(SEED, 300), [(); 3].map(|()| tempfile::tempdir().unwrap()));
    let channels = dirs.iter().zip(0..).map(|(dir, part)| {
        let warehouse = series::ingested(dir.path(), &third(&table, part));
        let name = NodeId::new(&format!("n{part}")).unwrap();
        let node = Arc::new(Node::open(name, warehouse, Arc::clone(&models), published()).unwrap());
        Arc::new(LocalChannel::new(node, Arc::clone(&models)).unwrap()) as Arc<dyn NodeChannel>
    });
    let nodes = Arc::new(Here(channels.collect()));
    let hub = Hub::new(Arc::clone(&models), nodes, Duration::from_secs(60));
    let asker = Asker { user: "u".into(), project: "p".into(), purpose: String::new() };
    let ask = async |sql: &str| {
        let prepared =
            hub.prepare(sql, &Settings::default()).unwrap_or_else(|refusal| panic!("{sql}: {refusal}"));
        let answer = hub.answer(&prepared, &asker).await.unwrap();
        pretty_format_batches(&answer.batches).unwrap().to_string()
    };
    let apart = "SELECT Modality, node_id, count(*) AS n, count(DISTINCT BodyPartExamined) AS parts FROM dicom.series \
                 GROUP BY Modality, node_id";
    let names = ask(&format!("SELECT DISTINCT node_id FROM ({apart}) ORDER BY 1")).await;
    assert!(["n0", "n1", "n2"].iter().all(|name| names.contains(name)), "{names}");
    let summed =
        ask(&format!("SELECT Modality, sum(n) AS n FROM ({apart}) GROUP BY Modality ORDER BY 1")).await;
    let total = ask("SELECT Modality, count(*) AS n FROM dicom.series GROUP BY Modality ORDER BY 1").await;
    assert_eq!(summed, total);
    let rolled = "SELECT node_id, count(*) AS n FROM dicom.series GROUP BY ROLLUP(node_id)";
    let all = ask(&format!("SELECT n FROM ({rolled}) WHERE node_id IS NULL")).await;
    assert_eq!(all, ask("SELECT count(*) AS n FROM dicom.series").await);
    let nobody = "SELECT node_id, count(*) FROM dicom.series WHERE Modality = 'XC' GROUP BY node_id";
    assert_eq!(
        ask(&format!("SELECT count(*) AS n FROM ({nobody})")).await,
        ask("SELECT 3 AS n").await,
        "exact zeros"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_whom_two_nodes_know_counts_twice() {
    let table = series::table(SEED, 60);
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let both: Vec<_> = ["a", "b"]
        .iter()
        .zip(&dirs)
        .map(|(name, dir)| series::node(name, series::ingested(dir.path(), &table), published()))
        .collect();
    let models = Arc::new(Models::bundled().unwrap());
    let query = lowered(&models, "SELECT count(DISTINCT PatientID) FROM dicom.series");
    let count = |batch: RecordBatch| number(batch.column_by_name("m0").unwrap(), 0);
    assert_eq!(count(merged(&both[..1], &query, &models).await), Some(60.0));
    assert_eq!(count(merged(&both, &query, &models).await), Some(120.0));
}
