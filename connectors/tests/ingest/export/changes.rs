//! Exports of changes: what is told anew takes the place of what was, what is gone leaves, and nothing is left out unsaid.

use caim_connectors::{Code, Quiet, Report, forget, rollback, with_views};
use caim_ontology::Models;

use super::server::{self, Fault, MOMENTS, Server};
use super::{ingest, node};
use crate::fixture::{Node, rejected, table, warned};

fn since(node: &mut Node, since: &str) {
    node.options.since = Some(since.parse().unwrap());
}

/// A node after the whole export and the changes since.
fn with_changes() -> (Node, Server, Report) {
    let (mut node, server) = (node(), Server::with(Fault::None));
    ingest(&node, &server);
    since(&mut node, "last");
    let report = ingest(&node, &server);
    (node, server, report)
}

fn conditions(node: &Node) -> Vec<Vec<String>> {
    node.cells("fhir.condition", &["id", "clinical_status"])
}

/// What the server was asked for, from which moment on.
fn asked_since(server: &Server) -> Vec<String> {
    let asked = server.asked().into_iter().filter(|line| line.contains("$export"));
    asked.map(|line| line.split("_since=").nth(1).unwrap_or("all").to_owned()).collect()
}

#[test]
fn changes_take_the_place_of_what_was_told_and_what_is_gone_leaves() {
    let (node, server, report) = with_changes();
    assert_eq!(conditions(&node), [["c1", "resolved"], ["c2", "-"], ["c4", "-"], ["c5", "-"]]);
    assert_eq!(node.count("fhir.patient"), 3);
    assert_eq!((table(&report, "fhir.condition").kept, table(&report, "fhir.patient").kept), (3, 2));
    assert_eq!(rejected(&report), [(4, Code::UnknownPatient)]);
    assert_eq!(warned(&report, Code::Superseded), 3, "c1 and the patient b of before, and c3");
    assert_eq!(warned(&report, Code::MovedPatient), 1, "b has another number now");
    assert_eq!(asked_since(&server), ["all", "2026-01-01T00%3A00%3A00Z"]);
    assert_eq!(server.asked().last().map(String::as_str), Some("DELETE /fhir/status/2"));
    assert_eq!(node.warehouse.current().unwrap().batches().len(), 2);
    assert!(node.warehouse.verify().unwrap().is_empty());
}

#[test]
fn an_export_that_tells_only_what_is_gone_takes_it_out_and_one_that_tells_nothing_changes_nothing() {
    let (node, server, _) = with_changes();
    let report = ingest(&node, &server);
    assert_eq!((report.unchanged, report.kept(), warned(&report, Code::Superseded)), (false, 0, 1));
    assert_eq!(conditions(&node), [["c1", "resolved"], ["c2", "-"], ["c5", "-"]]);
    let (before, report) = (node.epoch(), ingest(&node, &server));
    assert!(report.unchanged && node.epoch() == before);
    assert_eq!(
        asked_since(&server)[2..],
        ["2026-02-01T00%3A00%3A00.5%2B01%3A00", "2026-03-01T00%3A00%3A00Z"]
    );
}

#[test]
fn a_patient_whom_changes_do_not_tell_again_is_the_one_of_before() {
    let (node, _, _) = with_changes();
    let of = |node: &Node, name: &str, id: &str| {
        let rows = node.cells(name, &["id", "_patient"]);
        rows.iter().find(|row| row[0] == id).unwrap()[1].clone()
    };
    assert_eq!(of(&node, "fhir.condition", "c4"), of(&node, "fhir.patient", "a"));
    assert_eq!(of(&node, "fhir.condition", "c5"), of(&node, "fhir.patient", "c"));
    let series = "PatientID,StudyInstanceUID,SeriesInstanceUID\nCANARY-7,1.1,1.1.1\n";
    let mut node = node;
    node.options.since = None;
    node.ingest(&node.write("series.csv", series));
    assert_eq!(node.cells("dicom.series", &["_patient"]), [[of(&node, "fhir.condition", "c4")]]);
}

#[test]
fn tables_of_own_views_follow_the_changes() {
    let (mut node, server) = (node(), Server::with(Fault::None));
    let view = r#"{"resourceType":"ViewDefinition","name":"seen","resource":"Condition","select":[{"column":[
        {"name":"whole","path":"getResourceKey()"},{"name":"status","path":"clinicalStatus.coding.code.first()"}]}]}"#;
    node.write("views/seen.json", view);
    node.models = with_views(&Models::bundled().unwrap(), &node.source("views")).unwrap();
    let stored = format!("fhir.{}", node.models.table("fhir", "seen").unwrap().stored);
    ingest(&node, &server);
    since(&mut node, "last");
    ingest(&node, &server);
    let rows = node.cells(&stored, &["whole", "status"]);
    assert_eq!(rows, [["c1", "resolved"], ["c2", "-"], ["c4", "-"], ["c5", "-"]]);
}

#[test]
fn a_whole_export_takes_the_place_of_the_one_before_and_of_all_changes() {
    let (mut node, server, _) = with_changes();
    node.options.since = None;
    assert!(!ingest(&node, &server).unchanged, "its content is that of before, but there were changes since");
    assert_eq!(conditions(&node), [["c1", "-"], ["c2", "-"], ["c3", "-"]]);
    assert_eq!(node.warehouse.current().unwrap().batches().len(), 1);
    assert!(ingest(&node, &server).unchanged);
}

#[test]
fn the_same_changes_again_change_nothing() {
    let (mut node, server, _) = with_changes();
    since(&mut node, MOMENTS[0]);
    assert!(ingest(&node, &server).unchanged);
}

#[test]
fn what_changes_alone_would_leave_out_is_refused_before_the_server_is_asked() {
    let refusal = |node: &Node, server: &Server| {
        let asked = server.asked().len();
        let error = node.try_ingest(server.export().as_ref()).expect_err("it is refused");
        assert_eq!((error.code(), server.asked().len()), (Code::Since, asked), "{error}");
        error.to_string()
    };
    let (mut node, server) = (node(), Server::with(Fault::None));
    since(&mut node, "last");
    assert!(refusal(&node, &server).contains("no whole export of it was taken in"));
    node.options.since = None;
    ingest(&node, &server);
    since(&mut node, "2026-01-01T00:00:01Z");
    assert!(refusal(&node, &server).contains("up to 2026-01-01T00:00:00Z"));
    since(&mut node, "last");
    node.options.collection = caim_connectors::Collection::Id("another".into());
    assert!(refusal(&node, &server).contains("no whole export"));
    node.options.collection = caim_connectors::Collection::Id("c1".into());
    node.identity.fhir_system = Some("http://elsewhere".into());
    assert!(refusal(&node, &server).contains("the rules by which batch 1 was read have changed"));
    let file = node.write("a.ndjson", server::PATIENTS);
    assert_eq!(node.refusal(&file), Code::Since);
}

#[test]
fn changes_are_asked_from_before_a_batch_that_was_rolled_back() {
    let (node, server, report) = with_changes();
    let models = Models::bundled().unwrap();
    rollback(&node.warehouse, &models, &node.secret, report.batch.unwrap(), &Quiet).unwrap();
    assert_eq!(conditions(&node), [["c2", "-"]]);
    ingest(&node, &server);
    assert_eq!(asked_since(&server), ["all", "2026-01-01T00%3A00%3A00Z", "2026-01-01T00%3A00%3A00Z"]);
    assert_eq!(conditions(&node), [["c1", "resolved"], ["c2", "-"], ["c4", "-"], ["c5", "-"]]);
}

#[test]
fn a_forgotten_patient_does_not_come_back_with_changes_that_do_not_name_them() {
    let (mut node, server) = (node(), Server::with(Fault::None));
    ingest(&node, &server);
    let Node { warehouse, models, identity, secret, .. } = &node;
    forget(warehouse, models, identity, secret, (None, "CANARY-7"), &Quiet).unwrap();
    since(&mut node, "last");
    let report = ingest(&node, &server);
    assert_eq!(rejected(&report), [1, 2, 4].map(|line| (line, Code::UnknownPatient)));
    assert_eq!(conditions(&node), [["c2", "-"], ["c5", "-"]]);
}

#[test]
fn a_dry_run_of_changes_tells_what_would_come_and_keeps_everything() {
    let (mut node, server) = (node(), Server::with(Fault::None));
    ingest(&node, &server);
    since(&mut node, "last");
    node.options.dry_run = true;
    let (before, report) = (node.epoch(), ingest(&node, &server));
    assert_eq!((table(&report, "fhir.condition").kept, node.epoch()), (3, before));
    assert_eq!(rejected(&report), [(4, Code::UnknownPatient)]);
    assert_eq!(node.count("fhir.condition"), 3);
}
