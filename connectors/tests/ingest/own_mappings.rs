//! A node's own mappings: which values wait for one, and what follows when they get it.

use std::sync::Arc;

use caim_connectors::{GapOptions, Gaps, Quiet, build, gaps};
use caim_ontology::{MappingSet, Mappings, Models, Ontology};

use crate::fixture::{Node, rows_of};

const SERIES: &str = "\
PatientID,StudyInstanceUID,SeriesInstanceUID,Modality,Manufacturer,BodyPartExamined
P1,1.1,1.1.1,MR,Unheard-of Imaging,PROSTATE
P1,1.1,1.1.2,MR,Unheard-of Imaging,PROSTATE
P2,1.2,1.2.1,CT,Unheard-of Imaging,
P3,1.3,1.3.1,CT,Rare Imaging,CHEST
P4,1.4,1.4.1,CT,SIEMENS,CHEST
P4,1.4,1.4.2,CT,Rare Imaging,CHEST
";

fn own(rows: &str) -> Models {
    let mut sets = MappingSet::bundled().unwrap();
    sets.push(MappingSet::parse("own", &format!("subject_id\tpredicate_id\tobject_id\n{rows}")).unwrap());
    Models::bundled().unwrap().with_mappings(Arc::new(Mappings::new(Ontology::bundled(), sets)))
}

fn of_column(node: &Node, column: &str, threshold: u32) -> Option<Gaps> {
    let options = GapOptions { threshold, values: 10 };
    let all = gaps(&node.warehouse, &node.models, options).unwrap();
    all.into_iter().find(|gaps| gaps.column == column)
}

#[test]
fn gaps_are_counted_by_rows_and_patients_and_named_from_a_threshold_on() {
    let node = Node::new();
    assert_eq!(of_column(&node, "series_manufacturer", 1), None);
    node.ingest(&node.write("series.csv", SERIES));
    let found = of_column(&node, "series_manufacturer", 2).unwrap();
    assert_eq!(
        (found.table.as_str(), found.roots.as_slice()),
        ("eucaim.image_series", &["IMG1000010".to_owned()][..])
    );
    assert_eq!((found.rows, found.rows_mapped, found.patients, found.patients_mapped), (6, 1, 4, 1));
    let named: Vec<(&str, u64, u64)> =
        found.unmapped.iter().map(|v| (v.value.as_str(), v.rows, v.patients)).collect();
    assert_eq!(named, [("Unheard-of Imaging", 3, 2), ("Rare Imaging", 2, 2)]);
    assert!(of_column(&node, "series_manufacturer", 3).unwrap().unmapped.is_empty());
    let modality = of_column(&node, "series_modality", 1).unwrap();
    assert_eq!((modality.rows, modality.rows_mapped, modality.unmapped.len()), (6, 6, 0));
}

#[test]
fn the_subject_of_a_gap_is_the_one_that_a_mapping_decides_on() {
    let mut node = Node::new();
    node.ingest(&node.write("series.csv", SERIES));
    let found = of_column(&node, "series_manufacturer", 2).unwrap();
    let subjects: Vec<_> = found.unmapped.iter().flat_map(|value| value.subjects.clone()).collect();
    let stub = MappingSet::stub("own", "", &subjects);
    let filled: String = stub
        .lines()
        .map(|row| {
            row.replace("Unheard-of Imaging\t\t\t", "Unheard-of Imaging\t\tEUCAIM:IMG1000044\t") + "\n"
        })
        .collect();
    let mut sets = MappingSet::bundled().unwrap();
    sets.push(MappingSet::parse("own", &filled).unwrap());
    let own = sets.last().unwrap();
    assert_eq!((own.mappings.len(), own.undecided), (1, 1));
    let mappings = Arc::new(Mappings::new(Ontology::bundled(), sets));
    node.models = Models::bundled().unwrap().with_mappings(mappings);
    build(&node.warehouse, &node.models, &node.secret, &Quiet).unwrap();
    let found = of_column(&node, "series_manufacturer", 1).unwrap();
    assert_eq!((found.rows_mapped, found.patients_mapped, found.unmapped.len()), (4, 3, 1));
}

#[test]
fn a_known_source_is_derived_anew_by_new_mappings_and_not_read() {
    let mut node = Node::new();
    let source = node.write("series.csv", SERIES);
    node.ingest(&source);
    node.models = own("DICOM.Manufacturer:rare%20imaging\t\tEUCAIM:IMG1000044\n");
    let report = node.ingest(&source);
    assert!(!report.unchanged && report.tables.is_empty(), "the source is not read");
    assert_eq!((report.epoch, node.epoch()), (2, 2));
    assert_eq!(of_column(&node, "series_manufacturer", 1).unwrap().rows_mapped, 3);
    assert!(node.ingest(&source).unchanged);
    assert_eq!(node.epoch(), 2);
    node.models = own(
        "DICOM.Manufacturer:nobody\t\tEUCAIM:IMG1000044\nDICOM.Manufacturer:rare%20imaging\t\tEUCAIM:IMG1000044\n",
    );
    assert!(node.ingest(&source).unchanged, "a mapping of what is not there changes no epoch");
    assert_eq!(node.epoch(), 2);
}

#[test]
fn a_question_that_began_before_a_build_keeps_what_its_epoch_meant() {
    let mut node = Node::new();
    node.ingest(&node.write("series.csv", SERIES));
    let coded = |epoch| {
        let rows = rows_of(epoch, "eucaim.image_series");
        rows.num_rows() - rows.column_by_name("series_manufacturer").unwrap().null_count()
    };
    let pinned = node.warehouse.current().unwrap();
    node.models = own("DICOM.Manufacturer:rare%20imaging\t\tEUCAIM:IMG1000044\n");
    build(&node.warehouse, &node.models, &node.secret, &Quiet).unwrap();
    let newest = node.warehouse.current().unwrap();
    assert_eq!((pinned.number(), newest.number()), (1, 2));
    assert_eq!((coded(&pinned), coded(&newest)), (1, 3));
}
