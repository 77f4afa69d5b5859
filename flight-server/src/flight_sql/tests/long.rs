//! Questions that take long: polled for, cancelled, dropped, with what they cost announced before they are asked.

use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::{CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, PollInfo};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;
use crate::testing::{Hanging, next};

/// A door over nodes that never answer, beside one that does; says when a question begins and ends.
async fn open_over_hanging(hanging: &[&str]) -> (Open, UnboundedReceiver<&'static str>) {
    let (events, happened) = unbounded_channel();
    let (folder, north) = testing::node("north", &[("CT", 12)], PUBLIC);
    let nodes = hanging.iter().map(|name| Hanging::new(name, PUBLIC, &events));
    let nodes = nodes.fold(Here::new(&[north]), Here::and);
    (open_over(nodes, vec![folder], Some("bob")).await, happened)
}

fn statement(sql: &str) -> FlightDescriptor {
    let command = CommandStatementQuery { query: sql.to_owned(), transaction_id: None };
    FlightDescriptor::new_cmd(command.as_any().encode_to_vec())
}

async fn flight(open: &Open) -> FlightServiceClient<Channel> {
    let endpoint = Endpoint::from_shared(open.url.replace("grpc://", "http://")).unwrap();
    FlightServiceClient::new(endpoint.connect().await.unwrap())
}

/// A call as a user of the tests.
fn by<T>(user: &str, message: T) -> tonic::Request<T> {
    use base64::Engine;
    let basic = base64::prelude::BASE64_STANDARD.encode(format!("{user}:secret"));
    let mut request = tonic::Request::new(message);
    request.metadata_mut().insert("authorization", format!("Basic {basic}").parse().unwrap());
    request
}

async fn poll(client: &mut FlightServiceClient<Channel>, descriptor: FlightDescriptor) -> PollInfo {
    client.poll_flight_info(by("ana", descriptor)).await.unwrap().into_inner()
}

async fn cancel(client: &mut FlightServiceClient<Channel>, user: &str, info: FlightInfo) -> CancelStatus {
    let body = CancelFlightInfoRequest::new(info).encode_to_vec();
    let action = Action { r#type: "CancelFlightInfo".to_owned(), body: body.into() };
    let mut results = client.do_action(by(user, action)).await.unwrap().into_inner();
    let result = results.try_next().await.unwrap().unwrap();
    CancelFlightInfoResult::decode(result.body).unwrap().status()
}

#[tokio::test]
async fn dropping_a_fetch_drops_the_question_at_every_node() {
    let (open, mut happened) = open_over_hanging(&["east", "south", "west"]).await;
    let mut client = client(&open, &Credentials::Anonymous).await;
    let asking = tokio::spawn(async move { client.query(BY_MODALITY).await.map(|_| ()) });
    for _ in 0..3 {
        assert_eq!(next(&mut happened).await, Some("began"));
    }
    asking.abort();
    for _ in 0..3 {
        assert_eq!(next(&mut happened).await, Some("dropped"));
    }
}

#[tokio::test]
async fn a_poll_says_how_many_nodes_are_done_and_cancelling_ends_the_others() {
    let (open, mut happened) = open_over_hanging(&["south"]).await;
    let mut client = flight(&open).await;
    let first = poll(&mut client, statement(BY_MODALITY)).await;
    assert_eq!((first.progress, next(&mut happened).await), (Some(0.5), Some("began")));
    let again = poll(&mut client, first.flight_descriptor.clone().unwrap()).await;
    assert_eq!((again.progress, again.flight_descriptor.clone()), (Some(0.5), first.flight_descriptor));
    let info = again.info.unwrap();
    assert_eq!(cancel(&mut client, "bob", info.clone()).await, CancelStatus::NotCancellable);
    assert_eq!(cancel(&mut client, "ana", info.clone()).await, CancelStatus::Cancelled);
    assert_eq!(next(&mut happened).await, Some("dropped"));
    let gone = client.poll_flight_info(by("ana", again.flight_descriptor.unwrap())).await.unwrap_err();
    assert_eq!(gone.code(), tonic::Code::NotFound);
    assert_eq!(cancel(&mut client, "ana", info).await, CancelStatus::NotCancellable);
}

#[tokio::test]
async fn dropping_the_fetch_of_a_polled_statement_ends_it() {
    let (open, mut happened) = open_over_hanging(&["south"]).await;
    let mut client = flight(&open).await;
    let polled = poll(&mut client, statement(BY_MODALITY)).await;
    assert_eq!(next(&mut happened).await, Some("began"));
    let ticket = polled.info.unwrap().endpoint[0].ticket.clone().unwrap();
    let mut fetching = flight(&open).await;
    let fetch = tokio::spawn(async move { fetching.do_get(by("ana", ticket)).await.map(|_| ()) });
    // The fetch takes the statement: then there is nothing to poll for.
    let next_poll = polled.flight_descriptor.unwrap();
    while client.poll_flight_info(by("ana", next_poll.clone())).await.is_ok() {}
    fetch.abort();
    assert_eq!(next(&mut happened).await, Some("dropped"));
}

#[tokio::test]
async fn a_statement_that_is_polled_for_is_answered_once_and_to_its_owner_alone() {
    let open = open().await;
    let mut polling = flight(&open).await;
    let mut info = poll(&mut polling, statement(BY_MODALITY)).await;
    while let Some(next) = info.flight_descriptor.clone() {
        info = poll(&mut polling, next).await;
    }
    assert_eq!(info.progress, Some(1.0));
    let info = info.info.unwrap();
    let again = FlightDescriptor::new_cmd(info.endpoint[0].ticket.clone().unwrap().ticket);
    let theirs = polling.poll_flight_info(by("bob", again.clone())).await.unwrap_err();
    assert_eq!(theirs.code(), tonic::Code::NotFound);
    let mut client = arrow_client(&open).await;
    client.handshake("ana", "secret").await.unwrap();
    assert_eq!(lines(&fetch(&mut client, info.clone()).await), ["CT|17", "MR|3", "PT|2"]);
    assert!(client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.is_err(), "a ticket works once");
    let gone = polling.poll_flight_info(by("ana", again)).await.unwrap_err();
    assert_eq!(gone.code(), tonic::Code::NotFound);
}

#[tokio::test]
async fn what_is_refused_is_refused_at_the_first_poll_and_what_has_no_wait_is_there() {
    let open = open().await;
    let mut client = flight(&open).await;
    let refused =
        client.poll_flight_info(by("ana", statement("SELECT * FROM dicom.series"))).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::PermissionDenied);
    let tables = FlightDescriptor::new_cmd(CommandGetDbSchemas::default().as_any().encode_to_vec());
    let listed = poll(&mut client, tables).await;
    assert_eq!((listed.progress, listed.flight_descriptor), (Some(1.0), None));
}

#[tokio::test]
async fn an_announcement_says_what_the_answer_costs_and_protects() {
    let (folder, north) = testing::node("north", &[("CT", 12)], PROTECTED);
    let open = open_over(Here::new(&[north]), vec![folder], Some("bob")).await;
    let mut client = flight(&open).await;
    let info = client.get_flight_info(by("ana", statement(BY_MODALITY))).await.unwrap().into_inner();
    let cost: serde_json::Value = serde_json::from_slice(&info.app_metadata).unwrap();
    let node = &cost["questions"][0]["nodes"][0];
    assert_eq!(node["node"], "north");
    assert!(node["gate"]["rho"].as_f64().unwrap() > 0.0, "{cost}");
    assert_eq!(node["gate"]["threshold"], PROTECTED.threshold);
    let mut paying = super::client(&open, &password("ana")).await;
    let answer = paying.query(BY_MODALITY).await.unwrap();
    let Outcome::Answered { rho, policy, .. } = &answer.summary.nodes[0].outcome else { panic!("no answer") };
    assert_eq!(Some(*rho), node["gate"]["rho"].as_f64());
    assert_eq!(policy.threshold, PROTECTED.threshold);
}
