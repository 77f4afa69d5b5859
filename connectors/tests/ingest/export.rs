//! The export of a FHIR server, against one of this file that answers as busy, torn and hostile ones do.

mod changes;
mod server;

use std::collections::BTreeSet;

use caim_connectors::{Code, Report};

use crate::fixture::Node;
use server::{Answer, Fault, Server, TOKEN};

/// A node that asks with the token of the server.
fn node() -> Node {
    let mut node = Node::new();
    node.options.token_file = Some(node.write("token", format!("{TOKEN}\n")));
    node
}

fn ingest(node: &Node, server: &Server) -> Report {
    node.ingest(server.export().as_ref())
}

/// Why an export is not taken in; nothing is committed, and nothing of the server's answers is told.
fn refusal(fault: Fault) -> String {
    let (node, server) = (node(), Server::with(fault));
    let before = node.epoch();
    let error = node.try_ingest(server.export().as_ref()).expect_err("the export is refused");
    assert_eq!((error.code(), node.epoch()), (Code::Web, before), "{error}");
    let text = error.to_string();
    assert!(!text.contains(TOKEN) && !text.contains("canary"), "{text}");
    text
}

#[test]
fn an_export_comes_in_like_its_files_and_is_deleted_at_the_server() {
    let (node, server) = (node(), Server::with(Fault::None));
    let report = ingest(&node, &server);
    assert_eq!((report.format.as_str(), report.kept(), report.has_rejects()), ("fhir", 5, false));
    let files = Node::new();
    files.write("export/1.ndjson", server::PATIENTS);
    files.write("export/2.ndjson", server::CONDITIONS);
    files.ingest(&files.source("export"));
    let columns = ["id", "_patient"];
    assert_eq!(node.cells("fhir.condition", &columns), files.cells("fhir.condition", &columns));
    let asked = server.asked();
    assert_eq!(
        asked.first().map(|line| line.starts_with("GET /fhir/$export?_type=Patient%2CCondition%2C")),
        Some(true)
    );
    assert_eq!(asked.last().map(String::as_str), Some("DELETE /fhir/status/1"));
    assert!(ingest(&node, &server).unchanged);
}

#[test]
fn the_types_of_the_address_are_those_that_are_asked_for() {
    let (node, server) = (node(), Server::with(Fault::None));
    node.ingest(format!("{}?_type=Patient", server.export()).as_ref());
    assert_eq!(server.asked()[0], "GET /fhir/$export?_type=Patient");
}

#[test]
fn a_busy_slow_or_torn_server_is_asked_again() {
    for fault in [Fault::Once(429), Fault::Once(503), Fault::Once(500), Fault::TornOnce, Fault::Slow] {
        let (mut node, server) = (node(), Server::with(fault));
        node.options.dry_run = true;
        assert_eq!(ingest(&node, &server).kept(), 5, "{fault:?}");
        let asked = server.asked();
        let times: BTreeSet<usize> =
            asked.iter().map(|one| asked.iter().filter(|other| *other == one).count()).collect();
        assert!(times.contains(&2), "{fault:?}: {asked:?}");
    }
}

#[test]
fn what_cannot_be_had_whole_stops_the_ingest_by_its_reason_and_commits_nothing() {
    for (fault, wanted) in [
        (Fault::Always(401), "401 Unauthorized: it wants another token (--token-file)"),
        (Fault::Always(403), "403 Forbidden: it wants another token"),
        (Fault::Always(400), "400 Bad Request"),
        (Fault::NoExport, "begins no export"),
        (Fault::Expired, "404 Not Found"),
        (Fault::Failed, "500 Internal Server Error"),
        (Fault::NoManifest, "its manifest: it is no JSON"),
        (Fault::Patient, "the export was not done within 24 hours"),
        (Fault::Page, "Patient-0.ndjson comes as another type than application/fhir+ndjson"),
        (Fault::Short, "Condition-1.ndjson has 2 resources, and the manifest says 3"),
        (Fault::Elsewhere, "another server, which must not see the token"),
    ] {
        let text = refusal(fault);
        assert!(text.contains(wanted), "{fault:?}: {text}");
    }
}

#[test]
fn an_export_that_fails_is_deleted_all_the_same() {
    for fault in [Fault::Page, Fault::Patient] {
        let (node, server) = (node(), Server::with(fault));
        node.try_ingest(server.export().as_ref()).expect_err("it is no export");
        assert_eq!(server.asked().last().map(String::as_str), Some("DELETE /fhir/status/1"), "{fault:?}");
    }
}

#[test]
fn what_the_server_could_not_export_is_counted_in_the_report_and_not_quoted() {
    let (node, server) = (node(), Server::with(Fault::Errors));
    let report = ingest(&node, &server);
    let skipped: Vec<_> =
        report.skipped.iter().map(|file| (file.path.as_str(), file.reason.as_str())).collect();
    assert_eq!(skipped.len(), 1, "{skipped:?}");
    assert!(skipped[0].0 == "OperationOutcome.ndjson" && skipped[0].1.contains(" 2 outcomes"), "{skipped:?}");
    assert_eq!(report.kept(), 5);
}

#[test]
fn files_that_want_no_token_are_fetched_without_it() {
    let (node, server) = (node(), Server::with(Fault::NoToken));
    assert_eq!(ingest(&node, &server).kept(), 5);
    assert!(server.answers().contains(&Answer::WithoutToken));
}

#[test]
fn a_moment_in_the_address_is_refused_since_nobody_would_note_it() {
    let (node, server) = (node(), Server::with(Fault::None));
    let source = format!("{}?_since=2026-01-01T00:00:00Z", server.export());
    assert_eq!(node.refusal(source.as_ref()), Code::Web);
    assert_eq!(server.asked(), Vec::<String>::new());
}
