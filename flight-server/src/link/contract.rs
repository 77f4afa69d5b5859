//! The contract of a `NodeChannel`: every promise is checked in memory and over Flight, on the same real node.

use std::sync::Arc;
use std::time::Duration;

use caim_engine::{AskError, CubeListing, LocalChannel, Node, NodeChannel, Nodes, Policy};
use caim_sql::Code;
use datafusion::arrow::record_batch::RecordBatch;
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::hub::Links;
use super::node;
use super::seen::InMemory;
use crate::address::HubAddress;
use crate::testing::{self, PROTECTED, PUBLIC, asked, by_modality, cube, linked, models};

const LONG: Duration = Duration::from_secs(60);

/// One node and both ways to it.
struct Ways {
    channels: [(&'static str, Arc<dyn NodeChannel>); 2],
    _folder: TempDir,
    _links: Links,
    _running: oneshot::Sender<()>,
}

async fn both_ways(patients: &[(&str, usize)], policy: Policy) -> Ways {
    let (folder, node) = testing::publishing("north", patients, policy, vec![cube()]);
    node.publish_cubes().await.unwrap();
    let links =
        Links::listen(([127, 0, 0, 1], 0).into(), Arc::new(InMemory::default()), models()).await.unwrap();
    let running = serve(Arc::clone(&node), &links);
    linked(&links, 1).await;
    let local = Arc::new(LocalChannel::new(node, models()).unwrap()) as Arc<dyn NodeChannel>;
    let flight = Arc::clone(&links.linked()[0]);
    Ways {
        channels: [("local", local), ("flight", flight)],
        _folder: folder,
        _links: links,
        _running: running,
    }
}

fn serve(node: Arc<Node>, links: &Links) -> oneshot::Sender<()> {
    let hub = HubAddress::parse(&links.address().to_string()).unwrap();
    let (running, ended) = oneshot::channel::<()>();
    tokio::spawn(async move { node::run(node, hub, async move { drop(ended.await) }).await });
    running
}

/// The released cells, sorted: nothing in them depends on the way they came.
fn cells(batch: &RecordBatch) -> Vec<String> {
    use datafusion::arrow::util::display::array_value_to_string;
    let cell = |row| {
        let values = batch.columns().iter().map(|column| array_value_to_string(column, row).unwrap());
        values.collect::<Vec<_>>().join("|")
    };
    let mut cells: Vec<String> = (0..batch.num_rows()).map(cell).collect();
    cells.sort();
    cells
}

#[tokio::test]
async fn published_data_is_answered_exactly_on_both_ways() {
    let ways = both_ways(&[("CT", 12), ("MR", 3)], PUBLIC).await;
    for (way, channel) in &ways.channels {
        let reply = channel.ask(asked(by_modality(), LONG)).await.unwrap();
        assert_eq!(cells(reply.batch()), ["CT|12", "MR|3"], "{way}");
        assert_eq!((reply.facts().rho, reply.facts().epoch), (0.0, 1), "{way}");
    }
}

#[tokio::test]
async fn a_protected_answer_is_the_same_on_both_ways_and_paid_once() {
    let ways = both_ways(&[("CT", 400), ("MR", 2)], PROTECTED).await;
    let mut replies = Vec::new();
    for (_, channel) in &ways.channels {
        replies.push(channel.ask(asked(by_modality(), LONG)).await.unwrap());
    }
    assert_eq!(cells(replies[0].batch()), cells(replies[1].batch()));
    assert!(cells(replies[0].batch()).iter().all(|cell| !cell.starts_with("MR")), "2 patients are no cell");
    assert!(replies[0].facts().rho > 0.0);
    assert_eq!(replies[1].facts().rho, 0.0);
}

#[tokio::test]
async fn profiles_are_equal_on_both_ways() {
    let ways = both_ways(&[("CT", 1)], PUBLIC).await;
    let [(_, local), (_, flight)] = &ways.channels;
    assert_eq!(local.profile(), flight.profile());
    assert_eq!(flight.profile().collections, ["trial"]);
}

#[tokio::test]
async fn a_refusal_comes_whole_on_both_ways() {
    let ways = both_ways(&[("CT", 12)], PROTECTED).await;
    let mut refusals = Vec::new();
    for (way, channel) in &ways.channels {
        let mut question = asked(by_modality(), LONG);
        question.models = "another".into();
        match channel.ask(question).await {
            Err(AskError::Refused(refusal)) => refusals.push(refusal),
            other => panic!("{way}: {:?}", other.err()),
        }
    }
    assert_eq!(refusals[0], refusals[1]);
    assert_eq!(refusals[0].code, Code::Malformed);
}

#[tokio::test]
async fn a_question_without_time_ends_at_its_deadline_on_both_ways() {
    let ways = both_ways(&[("CT", 12)], PUBLIC).await;
    for (way, channel) in &ways.channels {
        let late = channel.ask(asked(by_modality(), Duration::ZERO)).await;
        assert_eq!(late.err(), Some(AskError::Deadline), "{way}");
    }
}

#[tokio::test]
async fn a_dropped_question_leaves_both_ways_usable() {
    let ways = both_ways(&[("CT", 12)], PUBLIC).await;
    for (way, channel) in &ways.channels {
        for _ in 0..20 {
            let asking = Arc::clone(channel);
            let task = tokio::spawn(async move { asking.ask(asked(by_modality(), LONG)).await });
            tokio::task::yield_now().await;
            task.abort();
        }
        let reply = channel.ask(asked(by_modality(), LONG)).await.unwrap();
        assert_eq!(cells(reply.batch()), ["CT|12"], "{way}");
    }
}

#[tokio::test]
async fn a_published_cube_is_the_same_on_both_ways_and_costs_nothing() {
    let ways = both_ways(&[("CT", 400), ("MR", 2)], PROTECTED).await;
    let mut cells_of = Vec::new();
    for (way, channel) in &ways.channels {
        let listing = channel.profile().cubes.first().unwrap();
        assert_eq!((listing.name.as_str(), listing.epoch, listing.release), ("by_modality", 1, 1), "{way}");
        for _ in 0..3 {
            let fetched = channel.cube(listing).await.unwrap();
            assert_eq!(fetched.cube(), &cube(), "{way}");
            assert_eq!((fetched.reply().facts().epoch, fetched.reply().facts().rho_left), (1, None), "{way}");
            cells_of.push(cells(fetched.reply().batch()));
        }
    }
    assert!(cells_of.iter().all(|cells| *cells == cells_of[0] && cells.len() == 1), "{cells_of:?}");
    let (_, channel) = &ways.channels[0];
    let asked = channel.ask(asked(by_modality(), LONG)).await.unwrap();
    let left = PROTECTED.budget_rho - asked.facts().rho;
    assert!((asked.facts().rho_left.unwrap() - left).abs() < 1e-9, "cubes are no project's");
}

#[tokio::test]
async fn a_cube_of_published_data_is_exact_on_both_ways() {
    let ways = both_ways(&[("CT", 12), ("MR", 3)], PUBLIC).await;
    for (way, channel) in &ways.channels {
        let fetched = channel.cube(channel.profile().cubes.first().unwrap()).await.unwrap();
        assert_eq!(cells(fetched.reply().batch()), ["CT|12", "MR|3"], "{way}");
    }
}

#[tokio::test]
async fn a_cube_that_is_not_there_or_another_one_is_a_failure_on_both_ways() {
    let ways = both_ways(&[("CT", 400)], PROTECTED).await;
    for (way, channel) in &ways.channels {
        let listed = channel.profile().cubes.first().unwrap();
        let missing = CubeListing { name: "another".into(), ..listed.clone() };
        let changed = CubeListing { definition: "00".into(), ..listed.clone() };
        for listing in [missing, changed] {
            let fetched = channel.cube(&listing).await;
            assert!(matches!(fetched, Err(AskError::Failed(_))), "{way}: {fetched:?}");
        }
    }
}
