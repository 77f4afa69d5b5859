//! A federation of generated hospitals over real links: all are asked, and a missing one is missed.

use std::path::Path;

use caim_connectors::Quiet;
use caim_engine::{Answer, Outcome};
use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;

use super::{Cluster, ClusterOptions};
use crate::commands::asking::{Asking, Whom};
use crate::demo::{Plan, Population, federation};
use crate::exit::{self, Exit};

const PLAN: Plan = Plan { seed: 3, patients: 200 };

async fn start(dir: &Path) -> (Cluster, Vec<std::path::PathBuf>) {
    let population = Population::bundled().unwrap();
    let hospital = |position| federation::hospital(&population, PLAN, position, dir, &Quiet).unwrap().dir;
    let nodes = vec![hospital(0), hospital(1)];
    let options = ClusterOptions {
        hub: federation::hub(dir).unwrap(),
        nodes: nodes.clone(),
        ..ClusterOptions::default()
    };
    (Cluster::start(&options).await.unwrap(), nodes)
}

async fn asking(cluster: &Cluster) -> Asking {
    let whom = Whom { hub: cluster.flight_url(), node: None, user: None, password: None, project: None };
    Asking::open(&whom).await.unwrap()
}

fn number(answer: &Answer) -> i64 {
    answer.batches[0].column(0).as_primitive::<Int64Type>().value(0)
}

/// The names of the nodes that answered.
fn answered(answer: &Answer) -> Vec<&str> {
    let nodes = answer.summary.nodes.iter().filter(|node| matches!(node.outcome, Outcome::Answered { .. }));
    nodes.map(|node| node.node.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_hospitals_are_asked_and_one_that_leaves_is_missed_until_it_returns() {
    let dir = tempfile::tempdir().unwrap();
    let (mut cluster, nodes) = start(dir.path()).await;
    let mut asking = asking(&cluster).await;
    let sql = "SELECT count(DISTINCT patient_id) FROM dicom.series";

    let both = asking.ask(sql).await.unwrap();
    assert_eq!(answered(&both), ["alder", "birch"]);
    assert!(
        (320..=400).contains(&number(&both)),
        "{} of 400 patients, most of whom have images",
        number(&both)
    );

    cluster.stop_node("alder").await.unwrap();
    cluster.wait_until_linked().await.unwrap();
    let one = asking.ask(sql).await.unwrap();
    assert_eq!(answered(&one), ["birch"]);
    assert!(!one.summary.is_complete(), "the hub knows that alder is missing");
    assert!(number(&one) < number(&both));

    cluster.start_node(&nodes[0]).unwrap();
    cluster.wait_until_linked().await.unwrap();
    let again = asking.ask(sql).await.unwrap();
    assert_eq!(number(&again), number(&both), "a repeated question has the same answer");
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_reach_the_analyst_with_their_exit_codes() {
    let dir = tempfile::tempdir().unwrap();
    let (cluster, _) = start(dir.path()).await;
    let mut asking = asking(&cluster).await;
    for (sql, expected) in [
        ("SELECT * FROM dicom.series", Exit::Privacy),
        ("SELECT PatientID, count(*) FROM dicom.series GROUP BY PatientID", Exit::Privacy),
        ("SELECT nothing FROM dicom.series", Exit::Error),
    ] {
        assert_eq!(exit::code(&asking.ask(sql).await.unwrap_err()), expected, "{sql}");
        assert_eq!(exit::code(&asking.check(sql).await.unwrap_err()), expected, "{sql}");
    }
    let url = cluster.flight_url();
    drop(asking);
    cluster.stop().await.unwrap();
    let whom = Whom { hub: url, node: None, user: None, password: None, project: None };
    let error = Asking::open(&whom).await.err().unwrap();
    assert_eq!(exit::code(&error), Exit::Unreachable);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_passes_through_the_same_gate() {
    let dir = tempfile::tempdir().unwrap();
    let node =
        federation::hospital(&Population::bundled().unwrap(), PLAN, 0, dir.path(), &Quiet).unwrap().dir;
    let whom = Whom { hub: String::new(), node: Some(node), user: None, password: None, project: None };
    let mut asking = Asking::open(&whom).await.unwrap();
    let error = asking.ask("SELECT * FROM omop.person").await.err().unwrap();
    assert_eq!(exit::code(&error), Exit::Privacy);
    let sql = "SELECT count(*) FROM omop.person";
    let paid = |answer: &Answer| match answer.summary.nodes[0].outcome {
        Outcome::Answered { rho, .. } => rho,
        _ => f64::NAN,
    };
    let dear = paid(&asking.ask(sql).await.unwrap());
    asking.ask("SET caim.noise_sd = 20").await.unwrap();
    let cheap = paid(&asking.ask(sql).await.unwrap());
    assert!((dear / cheap - 25.0).abs() < 1e-6, "noise of 20 costs 25 times less than 4: {dear} {cheap}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_names_its_key() {
    let dir = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let set = vec![("hub.flight", format!("\"{}\"", taken.local_addr().unwrap()))];
    crate::setup::hub(dir.path(), &crate::setup::NewHub { set }).unwrap();
    let options =
        ClusterOptions { hub: dir.path().to_owned(), ports: super::Ports::Configured, ..Default::default() };
    let error = Cluster::start(&options).await.err().unwrap();
    assert!(format!("{error:#}").contains("hub.flight"), "{error:#}");
}
