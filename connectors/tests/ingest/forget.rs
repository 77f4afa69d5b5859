//! What leaves again: one batch, or one patient.

use std::fs;

use caim_connectors::{Code, Quiet, forget, rollback};

use crate::fixture::{Node, table, warned};

const SERIES: &str = "PatientID,StudyInstanceUID,SeriesInstanceUID\nCANARY-7,1.2,1.2.1\nP2,1.3,1.3.1\n";
const PERSON: &str =
    "person_id,gender_concept_id,year_of_birth,person_source_value\n1,8507,1950,CANARY-7\n2,8532,1960,P2\n";

impl Node {
    fn forget(&self, id: &str) -> caim_connectors::Removed {
        forget(&self.warehouse, &self.models, &self.identity, &self.secret, (None, id), &Quiet).unwrap()
    }
}

#[test]
fn a_forgotten_patient_is_in_no_table_no_file_and_no_earlier_epoch() {
    let node = Node::new();
    node.ingest(&node.write("s.csv", SERIES));
    node.ingest(&node.write("person.csv", PERSON));
    let removed = node.forget(" CANARY-7 ");
    let rows: Vec<_> = removed.rows.into_iter().collect();
    assert_eq!(rows, [("landing.series".to_owned(), 1), ("omop.person".to_owned(), 1)]);
    for name in ["landing.series", "dicom.series", "dicom.study", "omop.person", "eucaim.patient"] {
        assert_eq!(node.count(name), 1, "{name}");
    }
    assert_eq!(node.cells("omop.person", &["year_of_birth"]), [["1960"]]);
    let manifests = node.folder().join("warehouse/manifests");
    assert_eq!(fs::read_dir(manifests).unwrap().count(), 1, "earlier epochs are gone");
    let epoch = node.warehouse.current().unwrap();
    let named: usize = epoch.tables().map(|table| epoch.files(table).len()).sum();
    let data = fs::read_dir(node.folder().join("warehouse/data")).unwrap();
    let ordinals = data.count() - named;
    assert!(ordinals <= 2, "{ordinals} files besides those of the tables: only pseudonyms are left");
    assert!(node.warehouse.verify().unwrap().is_empty());
}

#[test]
fn a_forgotten_patient_does_not_come_in_again_and_the_rows_are_counted() {
    let node = Node::new();
    let source = node.write("person.csv", PERSON);
    node.ingest(&source);
    node.forget("CANARY-7");
    assert!(node.ingest(&source).unchanged, "the same content is not read again");
    fs::write(&source, PERSON.replace("1950", "1951")).unwrap();
    let report = node.try_ingest(&source).unwrap();
    let person = table(&report, "omop.person");
    assert_eq!((person.read, person.kept, person.forgotten), (2, 1, 1));
    assert_eq!(warned(&report, Code::Forgotten), 1);
    assert_eq!(node.cells("omop.person", &["year_of_birth"]), [["1960"]]);
    assert!(!report.has_rejects());
}

#[test]
fn somebody_who_never_came_is_kept_out_as_well() {
    let node = Node::new();
    assert!(node.forget("CANARY-7").rows.is_empty());
    let report = node.try_ingest(&node.write("s.csv", SERIES)).unwrap();
    assert_eq!((table(&report, "dicom.series").kept, node.count("dicom.series")), (1, 1));
}

#[test]
fn a_source_that_changes_after_a_patient_was_forgotten_still_replaces_its_own_rows() {
    let node = Node::new();
    let source = node.write("person.csv", PERSON);
    node.ingest(&source);
    node.forget("P2");
    fs::write(&source, PERSON.replace("1950", "1951")).unwrap();
    node.try_ingest(&source).unwrap();
    assert_eq!(node.cells("omop.person", &["year_of_birth"]), [["1951"]]);
}

#[test]
fn a_batch_that_is_rolled_back_leaves_every_table_and_may_come_again() {
    let node = Node::new();
    node.ingest(&node.write("person.csv", PERSON));
    let source = node.write("s.csv", SERIES);
    let batch = node.ingest(&source).batch.unwrap();
    let undo = |batch| rollback(&node.warehouse, &node.models, &node.secret, batch, &Quiet);
    undo(batch).unwrap();
    assert_eq!(
        (node.count("landing.series"), node.count("dicom.study"), node.count("omop.person")),
        (0, 0, 2)
    );
    assert_eq!(undo(batch).unwrap_err().code(), Code::Option, "it is gone already");
    assert_eq!(node.ingest(&source).kept(), 2);
}

#[test]
fn a_node_with_another_secret_forgets_nobody() {
    let mut node = Node::new();
    node.ingest(&node.write("person.csv", PERSON));
    node.secret = caim_connectors::Secret::from_bytes([6; 32]);
    let outcome = forget(&node.warehouse, &node.models, &node.identity, &node.secret, (None, "P2"), &Quiet);
    assert_eq!(outcome.unwrap_err().code(), Code::Secret);
}
