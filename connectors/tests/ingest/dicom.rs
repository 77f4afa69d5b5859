//! DICOM objects from end to end.

mod annotations;
pub(crate) mod objects;
mod privacy;
mod refused;
mod sequences;

use std::collections::BTreeSet;

use caim_connectors::{Code, Format, Report};

use crate::fixture::{Node, real, table, warned};

/// A node whose sources are objects.
pub(crate) fn node() -> Node {
    let mut node = Node::new();
    node.options.format = Format::Dicom;
    node
}

/// All files that a report names, without those that came in.
fn named(report: &Report) -> BTreeSet<&str> {
    let rejects = report.rejects.iter().map(|reject| reject.file.as_str());
    rejects.chain(report.skipped.iter().map(|skipped| skipped.path.as_str())).collect()
}

#[test]
fn the_test_files_of_another_reader_come_in_and_every_other_file_is_named() {
    let Some(source) = real("dicom") else { return };
    let node = node();
    let report = node.ingest(&source);
    let counts = table(&report, "dicom.instance");
    assert_eq!((counts.kept, counts.duplicates, counts.rejected), (135, 10, 31));
    assert_eq!((warned(&report, Code::ForeignFile), warned(&report, Code::Directory)), (10, 8));
    let compressed = report.skipped.iter().filter(|skipped| skipped.path.ends_with(".gz")).count();
    assert_eq!((named(&report).len(), compressed), (195 - 135, 1));
    let uids: BTreeSet<_> = node.cells("dicom.instance", &["sopinstanceuid"]).into_iter().collect();
    assert_eq!(uids.len(), 135);
    assert!(node.ingest(&source).unchanged);
}

#[test]
fn the_outcome_does_not_depend_on_the_number_of_threads() {
    let Some(source) = real("dicom") else { return };
    let outcome = |threads| {
        let node = node();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let report = pool.install(|| node.ingest(&source));
        (report, node.rows("dicom.instance"))
    };
    assert_eq!(outcome(1), outcome(8));
}

#[test]
fn objects_that_another_source_brought_are_there_already() {
    let Some(source) = real("dicom/test_files") else { return };
    let node = node();
    node.write("one/a.dcm", std::fs::read(source.join("CT_small.dcm")).unwrap());
    node.write("two/b.dcm", std::fs::read(source.join("CT_small.dcm")).unwrap());
    node.write("two/c.dcm", std::fs::read(source.join("MR_small.dcm")).unwrap());
    node.ingest(&node.source("one"));
    let report = node.ingest(&node.source("two"));
    let counts = table(&report, "dicom.instance");
    assert_eq!((counts.kept, counts.duplicates), (1, 1));
    assert_eq!(node.count("dicom.instance"), 2);
    assert_eq!(named(&report), BTreeSet::from(["b.dcm"]));
}
