//! What does not come in is listed as a whole, beside the source and with its batch, and nothing of it names a patient.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use caim_connectors::{Code, Format, Quiet, Stage, forget, rejected, rejects};

use crate::dicom::objects::Object;
use crate::fixture::{Node, table};

const HEADER: &str = "PatientID,StudyInstanceUID,SeriesInstanceUID,Modality\n";

/// A node with a folder for rejects, and a source without keys in 250 of 251 rows.
fn node() -> (Node, std::path::PathBuf) {
    let mut node = Node::new();
    node.options.rejects = Some(node.source("../rejects"));
    let source = node.write("s.csv", format!("{HEADER}P1,1.2,1.2.1,CT\n{}", "CANARY,1.2,,CT\n".repeat(250)));
    (node, source)
}

/// Header and rows of a table of rejects.
fn listed(path: &Path) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_path(path).unwrap();
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[test]
fn every_rejected_row_is_in_the_file_and_counted_with_its_batch() {
    let (node, source) = node();
    let report = node.ingest(&source);
    let path = report.rejects_file.as_ref().unwrap();
    let rows = listed(Path::new(path));
    assert_eq!(rows[0], ["path", "line", "table", "stage", "code", "reason", "fix", "copy"]);
    assert_eq!(rows.len(), 251);
    let reason = "SeriesInstanceUID is empty or cannot be read";
    let fix = Code::BadKey.fix();
    assert_eq!(rows[1], ["s.csv", "3", "dicom.series", "key", "CAIM-I204", reason, fix, ""]);
    assert_eq!((rows[250][1].as_str(), report.rejects.len()), ("252", 100));
    assert!(!fs::read_to_string(path).unwrap().contains("CANARY"), "no value of a record is in it");
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);

    let batch = report.batch.unwrap();
    let counts = rejected(&node.warehouse, batch).unwrap();
    assert_eq!((counts.len(), counts[0].code, counts[0].rows), (1, Code::BadKey, 250));
    let kept = rejects(&node.warehouse, batch).unwrap();
    assert_eq!((kept.len(), kept[249].line, kept[249].stage), (250, 252, Stage::Key));
}

#[test]
fn each_ingest_has_a_file_of_its_own_and_one_without_rejects_has_none() {
    let (node, source) = node();
    let first = node.ingest(&source);
    node.write("s.csv", format!("{HEADER}P1,1.2,,CT\nP1,1.2,1.2.2,CT\n"));
    let second = node.ingest(&source);
    assert_ne!(first.rejects_file, second.rejects_file);
    assert_eq!(listed(Path::new(second.rejects_file.as_ref().unwrap())).len(), 2);
    assert!(rejected(&node.warehouse, first.batch.unwrap()).unwrap().len() == 1, "it counts until a commit");
    node.write("s.csv", format!("{HEADER}P1,1.2,1.2.3,CT\n"));
    assert_eq!(node.ingest(&source).rejects_file, None);
    assert_eq!(rejected(&node.warehouse, first.batch.unwrap()).unwrap(), [], "its batch is gone");
}

#[test]
fn files_that_no_connector_reads_are_listed_as_not_detected() {
    let (node, _) = node();
    node.write("notes.docx", "x");
    let report = node.ingest(&node.source(""));
    let rows = listed(Path::new(report.rejects_file.as_ref().unwrap()));
    let found = rows.iter().find(|row| row[0] == "notes.docx").unwrap();
    assert_eq!((found[3].as_str(), found[4].as_str()), ("detect", Code::NotRead.id()));
}

#[test]
fn refused_objects_are_copied_beside_the_table_if_asked() {
    let (mut node, _) = node();
    node.options.format = Format::Dicom;
    let cut = &Object::new("1.2.3.1.1").bytes()[..300];
    node.write("images/good.dcm", Object::new("1.2.3.1.2").bytes());
    let source = node.write("images/ward/CANARY.dcm", cut).parent().unwrap().parent().unwrap().to_owned();
    let report = node.ingest(&source);
    let rows = listed(Path::new(report.rejects_file.as_ref().unwrap()));
    assert_eq!((rows.len(), rows[1][7].as_str()), (2, ""), "nobody asked for copies");

    node.options.copy_refused = true;
    node.options.dry_run = true;
    let report = node.ingest(&source);
    let path = report.rejects_file.unwrap();
    let rows = listed(Path::new(&path));
    assert_eq!((rows[1][0].as_str(), rows[1][3].as_str()), ("ward/CANARY.dcm", "parse"));
    assert_eq!(fs::read(Path::new(&path).parent().unwrap().join(&rows[1][7])).unwrap(), cut);
}

#[test]
fn hashed_paths_stand_in_report_table_batch_and_error() {
    let (mut node, _) = node();
    node.options.hash_paths = true;
    let source = node.write("CANARY.csv", format!("{HEADER}P1,1.2,,CT\nP1,1.2,1.2.1,CT\n"));
    let report = node.ingest(&source);
    assert_eq!(table(&report, "dicom.series").rejected, 1);
    let file = fs::read_to_string(report.rejects_file.as_ref().unwrap()).unwrap();
    let kept = rejects(&node.warehouse, report.batch.unwrap()).unwrap();
    for text in [format!("{report:?}"), report.to_string(), file, format!("{kept:?}")] {
        assert!(!text.contains("CANARY") && text.contains("path-"), "{text}");
    }
    assert!(!format!("{:?}", node.ingest(&source)).contains("CANARY"), "an unchanged source is told so, too");
    let error = node.try_ingest(&node.write("CANARY-2.csv", "x\n1\n")).unwrap_err().to_string();
    assert!(!error.contains("CANARY") && error.contains("path-"), "{error}");
}

#[test]
fn rejects_that_cannot_be_written_stop_the_ingest() {
    let (mut node, source) = node();
    let file = node.write("a file", "x");
    node.options.rejects = Some(file.join("below it"));
    assert_eq!(node.refusal(&source), Code::Rejects);
}

#[test]
fn rejects_are_not_written_into_the_source_itself() {
    let (mut node, source) = node();
    let folder = source.parent().unwrap().to_owned();
    for inside in [folder.clone(), folder.join("a/b")] {
        node.options.rejects = Some(inside);
        assert_eq!(node.refusal(&folder), Code::Option);
    }
    node.options.rejects = Some(folder.join("../sources-rejects"));
    assert!(node.ingest(&folder).rejects_file.is_some());
}

#[test]
fn who_is_forgotten_is_in_no_kept_path_and_the_counts_stay() {
    let (node, source) = node();
    let batch = node.ingest(&source).batch.unwrap();
    forget(&node.warehouse, &node.models, &node.identity, &node.secret, (None, "P9"), &Quiet).unwrap();
    assert_eq!(rejects(&node.warehouse, batch).unwrap(), []);
    assert_eq!(rejected(&node.warehouse, batch).unwrap()[0].rows, 250);
}
