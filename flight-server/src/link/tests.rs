//! The link under faults: real sockets on loopback, and nodes that behave as no honest node would.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arrow_flight::FlightData;
use caim_engine::{AskError, Facts, NodeId, NodeQuery, Nodes, Policy, Profile, Reply};
use caim_sql::{Code, PrivateQuery, Refusal};
use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array};
use datafusion::arrow::record_batch::RecordBatch;
use futures::{StreamExt, TryStreamExt, future, stream};
use tokio::io::{AsyncReadExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tonic::Status;

use super::Pace;
use super::hub::Links;
use super::node::keep_linked;
use super::seen::InMemory;
use super::service::{Asked, LinkService, Messages};
use crate::address::HubAddress;
use crate::testing::{Dropped, asked, by_modality, linked, models, next};
use crate::{status, wire};

/// What a fake node does with a question.
#[derive(Clone)]
enum Does {
    Answers(i64),
    Refuses,
    /// Never answers; says when it begins and when the question is dropped.
    Hangs(mpsc::UnboundedSender<&'static str>),
    Sends(Vec<RecordBatch>),
    /// Sends an answer without its last message.
    CutsShort,
    /// Sends batches for ever.
    NeverEnds,
    Babbles,
    Panics,
}

struct Fake {
    name: &'static str,
    does: Does,
    /// How often it was asked who it is.
    asked: AtomicU64,
}

#[tonic::async_trait]
impl Asked for Fake {
    fn profile(&self) -> Result<Vec<u8>, AskError> {
        let profile = Profile {
            node: NodeId::new(self.name).unwrap(),
            software: "0".into(),
            models: models().version(),
            policy: Policy::default(),
            collections: vec![format!("trial {}", self.asked.fetch_add(1, Ordering::Relaxed))],
            cubes: Vec::new(),
        };
        Ok(serde_json::to_vec(&profile).unwrap())
    }

    async fn answer(&self, question: &[u8]) -> Result<Messages, Status> {
        serde_json::from_slice::<NodeQuery>(question).unwrap();
        match self.does.clone() {
            Does::Answers(count) => encoded(vec![counted(count)]),
            Does::Refuses => Err(status::of_ask_error(&AskError::Refused(refusal()))),
            Does::Hangs(events) => {
                events.send("began").unwrap();
                let _dropped = Dropped(events);
                future::pending().await
            }
            Does::Sends(batches) => encoded(batches),
            Does::CutsShort => {
                let all: Vec<FlightData> = encoded(vec![counted(5)])?.try_collect().await?;
                let kept = all.len() - 1;
                Ok(stream::iter(all.into_iter().take(kept).map(Ok)).boxed())
            }
            Does::NeverEnds => {
                let many = one_column("m0", Arc::new(Int64Array::from(vec![5; 100_000])));
                let all: Vec<FlightData> = encoded(vec![many])?.try_collect().await?;
                let (first, batch) = (all[0].clone(), all[1].clone());
                Ok(stream::iter([Ok(first)]).chain(stream::repeat_with(move || Ok(batch.clone()))).boxed())
            }
            Does::Babbles => {
                let nonsense = FlightData { data_header: vec![7; 64].into(), ..FlightData::default() };
                Ok(stream::iter([Ok(nonsense)]).boxed())
            }
            Does::Panics => panic!("a fault of the node"),
        }
    }

    async fn cube(&self, _: &str) -> Result<Messages, Status> {
        Err(status::of_ask_error(&AskError::Failed("it publishes no such cube".into())))
    }
}

fn refusal() -> Refusal {
    Refusal::new(Code::BudgetExceeded, "0.01 is left, the question costs 0.03")
        .with_rewrite("wait until Monday")
}

fn counted(count: i64) -> RecordBatch {
    one_column("m0", Arc::new(Int64Array::from(vec![count])))
}

fn one_column(name: &str, column: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([(name, column, true)]).unwrap()
}

fn encoded(batches: Vec<RecordBatch>) -> Result<Messages, Status> {
    let facts = Facts { epoch: 3, rho: 0.5, delta: 0.0, rho_left: Some(0.5), policy: Policy::default() };
    let schema = batches.first().unwrap().schema();
    wire::encode(schema, batches, &facts)
}

/// How many patients have a series?
fn question(deadline: Duration) -> NodeQuery {
    asked(PrivateQuery { dims: Vec::new(), ..by_modality() }, deadline)
}

async fn listen(address: SocketAddr) -> Links {
    Links::listen(address, Arc::new(InMemory::default()), models()).await.unwrap()
}

async fn any_port() -> Links {
    listen(([127, 0, 0, 1], 0).into()).await
}

/// A node that runs until the sender is dropped.
fn start(links: &Links, name: &'static str, does: Does) -> oneshot::Sender<()> {
    start_at(Pace::USUAL, links.address(), name, does)
}

fn start_at(pace: Pace, hub: SocketAddr, name: &'static str, does: Does) -> oneshot::Sender<()> {
    let hub = HubAddress::parse(&hub.to_string()).unwrap();
    let (running, ended) = oneshot::channel::<()>();
    tokio::spawn(async move {
        keep_linked(LinkService::new(Fake { name, does, asked: AtomicU64::new(0) }), hub, pace, async move {
            drop(ended.await)
        })
        .await;
    });
    running
}

async fn ask(links: &Links, deadline: Duration) -> Result<Reply, AskError> {
    let channel = Arc::clone(&links.linked()[0]);
    channel.ask(question(deadline)).await
}

fn count(reply: &Reply) -> i64 {
    use datafusion::arrow::array::AsArray;
    reply.batch().column(0).as_primitive::<datafusion::arrow::datatypes::Int64Type>().value(0)
}

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_node_that_dialled_answers_on_its_own_stream() {
    let links = any_port().await;
    let _node = start(&links, "north", Does::Answers(40));
    linked(&links, 1).await;
    assert_eq!(links.linked()[0].profile().node.as_str(), "north");
    let reply = ask(&links, LONG).await.unwrap();
    assert_eq!((count(&reply), reply.facts().epoch, reply.facts().rho_left), (40, 3, Some(0.5)));
}

#[tokio::test]
async fn a_refusal_is_carried_whole() {
    let links = any_port().await;
    let _node = start(&links, "north", Does::Refuses);
    linked(&links, 1).await;
    assert_eq!(ask(&links, LONG).await.err(), Some(AskError::Refused(refusal())));
}

#[tokio::test]
async fn a_node_that_hangs_ends_at_the_deadline_and_its_question_is_dropped() {
    let links = any_port().await;
    let (events, mut happened) = mpsc::unbounded_channel();
    let _node = start(&links, "north", Does::Hangs(events));
    linked(&links, 1).await;
    assert_eq!(ask(&links, Duration::from_millis(100)).await.err(), Some(AskError::Deadline));
    assert_eq!(next(&mut happened).await, Some("began"));
    assert_eq!(next(&mut happened).await, Some("dropped"));
}

#[tokio::test]
async fn dropping_an_ask_ends_the_question_at_the_node() {
    let links = any_port().await;
    let (events, mut happened) = mpsc::unbounded_channel();
    let _node = start(&links, "north", Does::Hangs(events));
    linked(&links, 1).await;
    let channel = Arc::clone(&links.linked()[0]);
    let asking = tokio::spawn(async move { channel.ask(question(Duration::from_secs(3600))).await });
    assert_eq!(next(&mut happened).await, Some("began"));
    asking.abort();
    assert_eq!(next(&mut happened).await, Some("dropped"));
}

#[tokio::test]
async fn what_cannot_be_an_answer_is_a_failure_of_the_node_and_the_link_goes_on() {
    let faults = [
        (
            "a column too many",
            Does::Sends(vec![
                RecordBatch::try_from_iter_with_nullable([
                    ("m0", Arc::new(Int64Array::from(vec![5])) as ArrayRef, true),
                    ("patient_id", Arc::new(Int64Array::from(vec![1])) as ArrayRef, true),
                ])
                .unwrap(),
            ]),
        ),
        ("another type", Does::Sends(vec![one_column("m0", Arc::new(Float64Array::from(vec![f64::NAN])))])),
        ("two rows for one cell", Does::Sends(vec![counted(5), counted(5)])),
        ("a negative count", Does::Sends(vec![counted(-5)])),
        ("a stream cut short", Does::CutsShort),
        ("a stream without end", Does::NeverEnds),
        ("nonsense", Does::Babbles),
    ];
    for (what, does) in faults {
        let links = any_port().await;
        let _node = start(&links, "north", does);
        linked(&links, 1).await;
        for _ in 0..2 {
            let error = ask(&links, Duration::from_secs(60)).await.err();
            assert!(matches!(error, Some(AskError::Failed(_))), "{what}: {error:?}");
        }
    }
}

#[tokio::test]
async fn a_panic_at_the_node_is_an_error_there_and_the_node_is_back() {
    let links = any_port().await;
    let _node = start(&links, "north", Does::Panics);
    linked(&links, 1).await;
    assert!(ask(&links, LONG).await.is_err());
    linked(&links, 1).await;
}

#[tokio::test]
async fn after_a_restart_of_the_hub_the_node_is_back_within_a_second() {
    let links = any_port().await;
    let address = links.address();
    let _node = start(&links, "north", Does::Answers(40));
    linked(&links, 1).await;
    drop(links);
    let listening = Instant::now();
    // The port is free as soon as the aborted task is gone.
    let links = loop {
        match Links::listen(address, Arc::new(InMemory::default()), models()).await {
            Ok(links) => break links,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    linked(&links, 1).await;
    assert!(listening.elapsed() < Duration::from_secs(1), "{:?}", listening.elapsed());
    assert_eq!(count(&ask(&links, LONG).await.unwrap()), 40);
}

#[tokio::test]
async fn the_newest_link_of_a_name_wins_and_questions_on_the_old_one_end() {
    let links = any_port().await;
    let (events, mut happened) = mpsc::unbounded_channel();
    let _old = start(&links, "north", Does::Hangs(events));
    linked(&links, 1).await;
    let channel = Arc::clone(&links.linked()[0]);
    let asking = tokio::spawn(async move { channel.ask(question(Duration::from_secs(3600))).await });
    assert_eq!(next(&mut happened).await, Some("began"));
    let _new = start(&links, "north", Does::Answers(41));
    let ended = tokio::time::timeout(LONG, asking).await.unwrap().unwrap();
    assert!(matches!(ended, Err(AskError::Unreachable(_))), "{:?}", ended.err());
    assert_eq!(links.known().len(), 1);
}

#[tokio::test]
async fn a_node_that_shuts_down_is_unlinked_but_remembered() {
    let links = any_port().await;
    let (north, _south) = (start(&links, "north", Does::Refuses), start(&links, "south", Does::Refuses));
    linked(&links, 2).await;
    drop(north);
    linked(&links, 1).await;
    let names = |nodes: Vec<NodeId>| nodes.iter().map(ToString::to_string).collect::<Vec<_>>();
    let linked = links.linked().iter().map(|channel| channel.profile().node.clone()).collect();
    assert_eq!(names(linked), ["south"]);
    assert_eq!(names(links.known()), ["north", "south"]);
}

#[tokio::test]
async fn connections_that_are_no_nodes_are_never_linked_and_hinder_nobody() {
    let links = any_port().await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(links.address()).await.unwrap());
    }
    let _bad = start(&links, "no name!", Does::Refuses);
    let _node = start(&links, "north", Does::Answers(40));
    linked(&links, 1).await;
    assert_eq!(count(&ask(&links, LONG).await.unwrap()), 40);
    assert_eq!(links.known().len(), 1);
}

#[tokio::test]
async fn nodes_are_awaited_on_this_machine_only() {
    let beyond = Links::listen(([0, 0, 0, 0], 0).into(), Arc::new(InMemory::default()), models()).await;
    assert!(beyond.is_err_and(|error| error.to_string().contains("mutual TLS")));
}

#[tokio::test]
async fn a_hub_that_falls_silent_is_dialled_again() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let pace = Pace { silence: Duration::from_millis(50), ..Pace::USUAL };
    let _node = start_at(pace, listener.local_addr().unwrap(), "north", Does::Refuses);
    // Held open, never answered: what a partition without a FIN looks like.
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(tokio::time::timeout(LONG, listener.accept()).await.unwrap().unwrap());
    }
}

#[tokio::test]
async fn a_link_cut_anywhere_gives_a_whole_answer_or_an_error_and_comes_back() {
    let links = any_port().await;
    let proxy = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let pace = Pace { lived: Duration::ZERO, ..Pace::USUAL };
    let _node = start_at(pace, proxy.local_addr().unwrap(), "north", Does::Answers(40));
    tokio::spawn(cut_ever_later(proxy, links.address(), 97));
    let (mut whole, mut broken) = (0, 0);
    while whole < 40 {
        linked(&links, 1).await;
        // The link may be gone again by now: that is a cut as well.
        let Some(channel) = links.linked().first().cloned() else { continue };
        match channel.ask(question(LONG)).await {
            Ok(reply) => {
                assert_eq!(count(&reply), 40);
                whole += 1;
            }
            Err(AskError::Unreachable(_) | AskError::Failed(_)) => broken += 1,
            Err(other) => panic!("{other}"),
        }
        // Lets the end of a broken link be noticed.
        tokio::task::yield_now().await;
    }
    assert!(broken > 0, "no cut hit an answer");
}

/// Joins a node and a hub; the n-th connection ends after n * `step` bytes of the node.
async fn cut_ever_later(proxy: TcpListener, hub: SocketAddr, step: u64) {
    let mut limit = 0;
    while let Ok((mut node, _)) = proxy.accept().await {
        limit += step;
        tokio::spawn(async move {
            let mut hub = TcpStream::connect(hub).await.unwrap();
            let ((from_node, mut to_node), (mut from_hub, mut to_hub)) = (node.split(), hub.split());
            let mut from_node = from_node.take(limit);
            tokio::select! {
                _ = copy(&mut from_node, &mut to_hub) => {}
                _ = copy(&mut from_hub, &mut to_node) => {}
            }
        });
    }
}

#[tokio::test]
async fn what_a_node_holds_is_followed_while_its_link_lives() {
    let pace = Pace { profile: Duration::from_millis(5), ..Pace::USUAL };
    let links = Links::listen_at(pace, ([127, 0, 0, 1], 0).into(), Arc::new(InMemory::default()), models());
    let links = links.await.unwrap();
    let _node = start(&links, "north", Does::Answers(40));
    linked(&links, 1).await;
    let first = links.linked()[0].profile().collections.clone();
    let renewed = async {
        while links.linked()[0].profile().collections == first {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, renewed).await.unwrap();
    assert_eq!(count(&ask(&links, LONG).await.unwrap()), 40);
}
