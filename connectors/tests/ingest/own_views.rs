//! Views of the node's operator: what their tables hold, and what becomes of it when a view changes or goes.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::PathBuf;

use caim_connectors::{Code, Quiet, Secret, forget, with_views};
use caim_ontology::Models;
use flate2::read::GzDecoder;
use serde_json::{Value, json};

use crate::fixture::{Node, name, real, rejected, table};

const MR: &str = "http://terminology.hl7.org/CodeSystem/v2-0203";

/// A patient with a number, an encounter of theirs, and an answered question.
fn resources() -> String {
    let patient = json!({"resourceType": "Patient", "id": "a", "name": [{"family": "CANARY-FAMILY"}],
        "identifier": [{"type": {"coding": [{"system": MR, "code": "MR"}]}, "value": "CANARY-7"}]});
    let encounter = json!({"resourceType": "Encounter", "id": "e1", "status": "finished",
        "identifier": [{"system": "http://here/visits", "value": "CANARY-VISIT"}],
        "subject": {"reference": "Patient/a"}, "period": {"start": "2024-02-03T10:00:00Z"},
        "type": [{"coding": [{"code": "inpatient"}, {"code": "oncology"}]}],
        "diagnosis": [{"rank": 1, "use": {"coding": [{"code": "AD"}]}}, {"rank": 2}]});
    let survey = json!({"resourceType": "QuestionnaireResponse", "id": "q1", "subject": {"reference": "Patient/a"},
        "item": [{"linkId": "1", "item": [{"linkId": "1.1", "answer": [{"valueInteger": 20}]}]}, {"linkId": "2"}]});
    [patient, encounter, survey].map(|resource| resource.to_string()).join("\n")
}

fn key() -> Value {
    json!({"name": "id", "path": "getResourceKey()"})
}

/// Encounters with nested iterations and a union.
fn encounters() -> Value {
    json!({"resourceType": "ViewDefinition", "name": "encounter", "resource": "Encounter", "title": "Visits.",
        "select": [
            {"column": [key(),
                {"name": "status", "path": "status", "type": "code"},
                {"name": "visit", "path": "identifier.value.first()"},
                {"name": "Started", "path": "period.start", "tag": [{"name": "ansi/type", "value": "DATE"}]}]},
            {"unionAll": [
                {"forEach": "type", "select": [{"forEach": "coding", "column": [
                    {"name": "code", "path": "code", "type": "code"}, {"name": "rank", "path": "%rowIndex", "type": "integer"}]}]},
                {"forEach": "diagnosis", "column": [
                    {"name": "code", "path": "use.coding.first().code", "type": "code"},
                    {"name": "rank", "path": "rank", "type": "integer"}]}]}]})
}

fn answers() -> Value {
    json!({"resourceType": "ViewDefinition", "name": "answer", "resource": "QuestionnaireResponse",
        "select": [{"column": [key()]}, {"repeat": ["item"], "column": [
            {"name": "question", "path": "linkId", "type": "code"},
            {"name": "number", "path": "answer.value.ofType(integer).first()", "type": "integer"}]}]})
}

impl Node {
    fn views(&self) -> PathBuf {
        self.folder().join("views")
    }

    /// Writes a view, or takes it away, and reads the folder as a command does.
    fn view(&mut self, file: &str, view: Option<&Value>) {
        fs::create_dir_all(self.views()).unwrap();
        let path = self.views().join(file);
        match view {
            Some(view) => fs::write(path, view.to_string()).unwrap(),
            None => fs::remove_file(path).unwrap(),
        }
        self.models = with_views(&Models::bundled().unwrap(), &self.views()).unwrap();
    }

    /// The name in the warehouse of an operator's table.
    fn stored(&self, table: &str) -> String {
        format!("fhir.{}", self.models.table("fhir", table).unwrap().stored)
    }
}

#[test]
fn a_view_of_the_operator_fills_a_table_with_the_same_patients_as_the_bundled_ones() {
    let mut node = Node::new();
    node.view("encounter.json", Some(&encounters()));
    node.view("answer.json", Some(&answers()));
    let report = node.ingest(&node.write("export.ndjson", resources()));
    assert_eq!((table(&report, "fhir.encounter").kept, table(&report, "fhir.answer").kept), (4, 3));
    assert!(!report.warnings.iter().any(|warning| warning.code == Code::NoView), "all types have a view");
    let patient = node.cells("fhir.patient", &["_patient"]).remove(0).remove(0);
    let encounter = node.stored("encounter");
    let of = |code: &str, rank: &str| {
        ["e1", "finished", "2024-02-03", code, rank, "c1", &patient].map(str::to_owned).to_vec()
    };
    let columns = ["id", "status", "started", "code", "rank", "collection_id", "_patient"];
    let wanted = [of("-", "2"), of("AD", "1"), of("inpatient", "0"), of("oncology", "1")];
    assert_eq!(node.cells(&encounter, &columns), wanted);
    let answers = node.cells(&node.stored("answer"), &["question", "number"]);
    assert_eq!(answers, [["1", "-"], ["1.1", "20"], ["2", "-"]]);
}

#[test]
fn an_identifier_is_stored_as_a_keyed_hash_and_in_no_file_as_it_is() {
    let mut node = Node::new();
    node.view("encounter.json", Some(&encounters()));
    node.ingest(&node.write("export.ndjson", resources()));
    let visits = node.cells(&node.stored("encounter"), &["visit"]);
    assert!(visits.iter().all(|visit| visit == &visits[0] && visit[0].len() == 32), "{visits:?}");
    for file in fs::read_dir(node.folder().join("warehouse/data")).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"CANARY"));
    }
    let mut other = Node::new();
    other.secret = Secret::from_bytes([6; 32]);
    other.view("encounter.json", Some(&encounters()));
    other.ingest(&other.write("export.ndjson", resources()));
    assert_ne!(other.cells(&other.stored("encounter"), &["visit"]), visits);
}

#[test]
fn a_changed_view_reads_the_source_anew_and_its_rows_never_meet_those_before() {
    let mut node = Node::new();
    node.view("encounter.json", Some(&encounters()));
    let source = node.write("export.ndjson", resources());
    let other = node.write("other.ndjson", resources().replace("\"e1\"", "\"e2\"").replace("\"a\"", "\"b\""));
    node.ingest(&source);
    node.ingest(&other);
    assert!(node.ingest(&source).unchanged);
    let before = node.stored("encounter");
    let mut changed = encounters();
    changed["select"][0]["column"][1]["path"] = json!("class.code");
    node.view("encounter.json", Some(&changed));
    assert!(!node.ingest(&source).unchanged, "the rule has changed");
    let ids = |node: &Node, table: &str| {
        let mut ids = node.cells(table, &["id"]);
        ids.dedup();
        ids
    };
    assert_eq!(ids(&node, &node.stored("encounter")), [["e1"]], "the other source was not read again yet");
    assert_eq!(ids(&node, &before), [["e2"]]);
    node.view("encounter.json", Some(&encounters()));
    assert!(node.ingest(&other).unchanged, "its rows are of this very definition");
    assert!(!node.ingest(&source).unchanged);
    assert_eq!(ids(&node, &before), [["e1"], ["e2"]]);
}

#[test]
fn a_view_that_is_taken_away_takes_its_rows_along_when_its_source_is_read_again() {
    let mut node = Node::new();
    node.view("encounter.json", Some(&encounters()));
    let source = node.write("export.ndjson", resources());
    node.ingest(&source);
    let stored = node.stored("encounter");
    node.view("encounter.json", None);
    let report = node.ingest(&source);
    assert!(!report.unchanged && node.count(&stored) == 0 && node.count("fhir.patient") == 1);
    assert!(node.warehouse.current().unwrap().files(&name(&stored)).is_empty());
    assert!(node.ingest(&source).unchanged);
}

#[test]
fn a_resource_that_does_not_fit_an_own_view_is_rejected_there_and_nowhere_else() {
    let mut node = Node::new();
    let view = json!({"resourceType": "ViewDefinition", "name": "given", "resource": "Patient",
        "select": [{"column": [key(), {"name": "languages", "path": "communication.language.coding.code", "type": "code"}]}]});
    node.view("given.json", Some(&view));
    let patient = |id: &str, codes: &[&str]| {
        let spoken: Vec<Value> =
            codes.iter().map(|code| json!({"language": {"coding": [{"code": code}]}})).collect();
        json!({"resourceType": "Patient", "id": id, "communication": spoken}).to_string()
    };
    let text = [patient("a", &["el"]), patient("b", &["el", "en"]), patient("c", &[])].join("\n");
    let report = node.ingest(&node.write("export.ndjson", text));
    assert_eq!(table(&report, "fhir.patient").kept, 3);
    let given = table(&report, "fhir.given");
    assert_eq!((given.read, given.kept, given.rejected), (3, 2, 1));
    assert_eq!(rejected(&report), [(2, Code::ViewMismatch)]);
    assert_eq!(node.cells(&node.stored("given"), &["id", "languages"]), [["a", "el"], ["c", "-"]]);
}

#[test]
fn a_forgotten_patient_leaves_the_tables_of_own_views_also_those_of_views_that_are_gone() {
    let mut node = Node::new();
    node.view("encounter.json", Some(&encounters()));
    node.ingest(&node.write("export.ndjson", resources()));
    let stored = node.stored("encounter");
    node.view("encounter.json", None);
    let Node { warehouse, models, identity, secret, .. } = &node;
    let removed = forget(warehouse, models, identity, secret, (None, "CANARY-7"), &Quiet).unwrap();
    assert_eq!(removed.rows.get("fhir.encounter"), Some(&4));
    assert_eq!(node.count(&stored), 0);
}

#[test]
fn views_of_one_patient_do_not_change_what_the_bundled_tables_hold() {
    let plain = Node::new();
    plain.ingest(&plain.write("export.ndjson", resources()));
    let mut node = Node::new();
    node.view("encounter.json", Some(&encounters()));
    node.ingest(&node.write("export.ndjson", resources()));
    for name in ["fhir.patient", "eucaim.patient"] {
        assert_eq!(node.keys(name), plain.keys(name), "{name}");
    }
}

#[test]
fn a_view_over_real_bundles_has_the_rows_that_a_plain_reading_finds() {
    let Some(source) = real("fhir/bulk-data-server-30") else { return };
    let mut node = Node::new();
    let view = json!({"resourceType": "ViewDefinition", "name": "claim_item", "resource": "Claim",
        "select": [{"column": [key(), {"name": "use", "path": "use", "type": "code"}]},
            {"forEach": "item", "select": [
                {"column": [{"name": "sequence", "path": "sequence", "type": "positiveInt"},
                    {"name": "net", "path": "net.value", "type": "decimal", "tag": [{"name": "caim/bounds", "value": "0..100000"}]}]},
                {"forEachOrNull": "productOrService.coding", "column": [{"name": "code", "path": "code", "type": "code"}]}]}]});
    node.view("claim_item.json", Some(&view));
    let report = node.ingest(&source);
    let mut plain = BTreeSet::new();
    for file in fs::read_dir(&source).unwrap().map(|entry| entry.unwrap().path()) {
        let Some(true) = file.extension().map(|extension| extension == "gz") else { continue };
        let bundle: Value = serde_json::from_reader(GzDecoder::new(File::open(&file).unwrap())).unwrap();
        let resources = bundle["entry"].as_array().unwrap().iter().map(|entry| &entry["resource"]);
        for claim in resources.filter(|resource| resource["resourceType"] == "Claim") {
            for item in claim["item"].as_array().into_iter().flatten() {
                for coding in item["productOrService"]["coding"].as_array().unwrap() {
                    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
                    plain.insert([text(&claim["id"]), item["sequence"].to_string(), text(&coding["code"])]);
                }
            }
        }
    }
    let rows = node.cells(&node.stored("claim_item"), &["id", "sequence", "code"]);
    let stored: BTreeSet<[String; 3]> =
        rows.iter().map(|row| [0, 1, 2].map(|cell| row[cell].clone())).collect();
    assert!(stored == plain && rows.len() == stored.len() && rows.len() > 1000, "{} rows", rows.len());
    let counts = table(&report, "fhir.claim_item");
    assert_eq!((counts.kept, counts.rejected), (rows.len() as u64, 0));
    let patients: BTreeSet<Vec<String>> =
        node.cells(&node.stored("claim_item"), &["_patient"]).into_iter().collect();
    assert!(patients.len() > 30 && !patients.contains(&vec!["-".to_owned()]));
}
