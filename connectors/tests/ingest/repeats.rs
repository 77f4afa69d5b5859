//! Ingesting again: the same is no change, other content takes the old one's place, nothing is lost by accident.

use std::fs;

use caim_connectors::{Code, Format, OmopColumn, Secret};

use crate::fixture::Node;

const HEADER: &str = "PatientID,StudyInstanceUID,SeriesInstanceUID,Modality\n";

#[test]
fn the_same_source_again_changes_nothing() {
    let node = Node::new();
    let source = node.write("s.csv", format!("{HEADER}P1,1.2,1.2.1,CT\n"));
    let first = node.ingest(&source);
    let again = node.ingest(&source);
    assert!(!first.unchanged && again.unchanged);
    assert_eq!((again.epoch, again.batch, node.epoch()), (1, first.batch, 1));
}

#[test]
fn other_content_takes_the_place_of_the_old_in_one_commit() {
    let node = Node::new();
    let source = node.write("s.csv", format!("{HEADER}P1,1.2,1.2.1,CT\nP2,1.3,1.3.1,CT\n"));
    node.ingest(&source);
    node.write("s.csv", format!("{HEADER}P2,1.3,1.3.1,MR\nP3,1.4,1.4.1,CT\n"));
    let report = node.ingest(&source);
    assert_eq!((report.epoch, report.kept()), (2, 2));
    let columns = ["seriesinstanceuid", "modality", "_patient"];
    assert_eq!(node.cells("dicom.series", &columns), [["1.3.1", "MR", "1"], ["1.4.1", "CT", "2"]]);
    assert_eq!(node.cells("dicom.study", &["studyinstanceuid"]), [["1.3"], ["1.4"]]);
    assert_eq!(node.warehouse.current().unwrap().batches().len(), 1);
}

#[test]
fn another_source_is_added() {
    let node = Node::new();
    node.ingest(&node.write("a.csv", format!("{HEADER}P1,1.2,1.2.1,CT\n")));
    node.ingest(&node.write("b.csv", format!("{HEADER}P1,1.2,1.2.2,CT\n")));
    assert_eq!((node.count("dicom.series"), node.count("dicom.study")), (2, 1));
    assert_eq!(node.warehouse.current().unwrap().batches().len(), 2);
}

#[test]
fn a_changed_identity_section_reads_a_source_again() {
    let mut node = Node::new();
    let source = node.write("person.csv", "person_id,person_source_value\n1,A\n");
    node.ingest(&source);
    node.identity.omop_column = OmopColumn::PersonId;
    assert!(!node.ingest(&source).unchanged);
    assert_eq!(node.cells("omop.person", &["_patient"]), [["1"]]);
}

#[test]
fn e04_a_source_that_lost_its_rows_is_refused_unless_it_may_be_empty() {
    let mut node = Node::new();
    let source = node.write("s.csv", format!("{HEADER}P1,1.2,1.2.1,CT\n"));
    node.ingest(&source);
    node.write("s.csv", HEADER);
    assert_eq!(node.refusal(&source), Code::WouldEmpty);
    node.options.allow_empty = true;
    node.ingest(&source);
    assert_eq!((node.count("dicom.series"), node.count("dicom.study")), (0, 0));
}

#[test]
fn e04_a_folder_that_lost_its_files_is_refused_unless_it_may_be_empty() {
    let mut node = Node::new();
    let file = node.write("cdm/person.csv", "person_id,person_source_value\n1,A\n");
    let folder = node.source("cdm");
    node.ingest(&folder);
    fs::remove_file(file).unwrap();
    assert_eq!(node.refusal(&folder), Code::WouldEmpty);
    node.options.allow_empty = true;
    node.ingest(&folder);
    assert_eq!(node.count("omop.person"), 0);
}

#[test]
fn a_dry_run_and_a_sample_report_and_commit_nothing() {
    let mut node = Node::new();
    let source = node.write("s.csv", format!("{HEADER}P1,1.2,1.2.1,CT\nP1,1.2,,CT\nP1,1.2,1.2.3,CT\n"));
    node.options.dry_run = true;
    let report = node.ingest(&source);
    assert_eq!((report.kept(), report.batch, report.has_rejects(), node.epoch()), (2, None, true, 0));
    node.options.dry_run = false;
    node.options.sample = Some(1);
    let report = node.ingest(&source);
    assert_eq!((report.tables[0].read, report.kept(), node.epoch()), (1, 1, 0));
}

#[test]
fn a_second_writer_is_told_who_holds_the_lock() {
    let node = Node::new();
    let source = node.write("s.csv", format!("{HEADER}P1,1.2,1.2.1,CT\n"));
    let held = node.warehouse.begin(caim_warehouse::NewBatch {
        source: "other".into(),
        content: "x".into(),
        collection: None,
        format: "omop".into(),
    });
    let error = node.try_ingest(&source).unwrap_err();
    assert_eq!(error.code(), Code::Warehouse);
    assert!(error.to_string().contains("locked"), "{error}");
    drop(held);
    node.ingest(&source);
}

#[test]
fn e02_another_secret_is_refused() {
    let mut node = Node::new();
    node.ingest(&node.write("a.csv", format!("{HEADER}P1,1.2,1.2.1,CT\n")));
    node.secret = Secret::from_bytes([6; 32]);
    node.options.format = Format::DicomTable;
    assert_eq!(node.refusal(&node.write("b.csv", format!("{HEADER}P1,1.2,1.2.2,CT\n"))), Code::Warehouse);
}
