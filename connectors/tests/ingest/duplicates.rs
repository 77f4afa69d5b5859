//! Records with one key and different content: which one stays, by every rule, and what then becomes of the other.

use std::path::PathBuf;

use caim_connectors::{Code, Duplicates, Format, Quiet, Report, forget, rollback};
use dicom_core::VR;
use dicom_dictionary_std::tags;

use crate::dicom::objects::Object;
use crate::fixture::{Node, rejected, table, warned};

const UID: &str = "1.2.3.777.1";
const INSTANCE: &str = "dicom.instance";

/// An object that was made on this day of 2020, and says so by its slice thickness.
fn made(day: u32) -> Object {
    Object::new(UID)
        .with(tags::SLICE_THICKNESS, VR::DS, &day.to_string())
        .with(tags::INSTANCE_CREATION_DATE, VR::DA, &format!("202001{day:02}"))
        .with(tags::INSTANCE_CREATION_TIME, VR::TM, "120000")
}

/// An object without any date.
fn undated(thickness: u32) -> Object {
    Object::new(UID).with(tags::SLICE_THICKNESS, VR::DS, &thickness.to_string())
}

fn node(policy: Duplicates) -> Node {
    let mut node = Node::new();
    node.options.format = Format::Dicom;
    node.options.duplicates = policy;
    node
}

/// The thickness of the one object that is there.
fn stays(node: &Node) -> String {
    let cells = node.cells(INSTANCE, &["sopinstanceuid", "slicethickness"]);
    assert_eq!((cells.len(), cells[0][0].as_str()), (1, UID));
    assert!(node.warehouse.verify().unwrap().is_empty());
    assert_eq!(node.cells("dicom.series", &["instancecount"]), [["1"]]);
    cells[0][1].clone()
}

/// Ingests objects as files of one source, in this order.
fn together(node: &Node, objects: Vec<Object>) -> Report {
    for (number, object) in objects.into_iter().enumerate() {
        node.write(&format!("all/{number}.dcm"), object.bytes());
    }
    node.ingest(&node.source("all"))
}

/// Ingests objects as a source each, in this order.
fn apart(node: &Node, objects: Vec<Object>) -> Vec<Report> {
    let sources = objects.into_iter().enumerate().map(|(number, object)| {
        let name = format!("source-{number}/1.dcm");
        node.write(&name, object.bytes()).parent().unwrap().to_owned()
    });
    let sources: Vec<PathBuf> = sources.collect();
    sources.iter().map(|source| node.ingest(source)).collect()
}

/// All orders of three.
const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

#[test]
fn d21_one_instance_with_two_contents_has_one_winner_by_rule_and_one_conflict_with_both_hashes() {
    for (policy, early_first, late_first) in [
        (Duplicates::Skip, "5.0", "9.0"),
        (Duplicates::Replace, "9.0", "5.0"),
        (Duplicates::Newest, "9.0", "9.0"),
    ] {
        for (days, winner) in [([5, 9], early_first), ([9, 5], late_first)] {
            let (one, two) = (node(policy), node(policy));
            let within = together(&one, days.map(made).into());
            let across = apart(&two, days.map(made).into()).pop().unwrap();
            assert_eq!((stays(&one).as_str(), stays(&two).as_str()), (winner, winner), "{policy} {days:?}");
            for report in [within, across] {
                let counts = table(&report, INSTANCE);
                assert_eq!(counts.conflicts, 1, "{policy} {counts:?}");
                let [conflict] = &report.conflicts[..] else { panic!("{:?}", report.conflicts) };
                assert_eq!((conflict.stays.len(), conflict.gives_way.len()), (16, 16));
                assert_ne!(conflict.stays, conflict.gives_way);
                assert_eq!(report.has_rejects(), policy == Duplicates::Skip);
                let told = format!("{report}{}", serde_json::to_string(&report).unwrap());
                assert!(!told.contains("1.2.3.777"), "no UID is told: {told}");
                assert!(report.to_string().contains(&conflict.gives_way));
            }
        }
    }
}

#[test]
fn the_newest_stays_whatever_the_order_within_a_source_and_across_sources() {
    for order in ORDERS {
        let objects = || order.iter().map(|at| made([5, 7, 9][*at])).collect::<Vec<_>>();
        let (one, two) = (node(Duplicates::Newest), node(Duplicates::Newest));
        let report = together(&one, objects());
        apart(&two, objects());
        assert_eq!((stays(&one), stays(&two)), ("9.0".to_owned(), "9.0".to_owned()), "{order:?}");
        let counts = table(&report, INSTANCE);
        assert_eq!((counts.kept, counts.superseded, counts.conflicts), (1, 2, 2), "{order:?}");
    }
}

#[test]
fn without_dates_the_content_decides_and_any_date_is_newer() {
    let mut winners = Vec::new();
    for order in ORDERS {
        let node = node(Duplicates::Newest);
        together(&node, order.iter().map(|at| undated([5, 7, 9][*at])).collect());
        winners.push(stays(&node));
    }
    assert!(winners.iter().all(|winner| *winner == winners[0]), "{winners:?}");
    for objects in [vec![undated(7), made(5)], vec![made(5), undated(7)]] {
        let node = node(Duplicates::Newest);
        apart(&node, objects);
        assert_eq!(stays(&node), "5.0");
    }
}

#[test]
fn the_content_date_counts_where_the_object_does_not_say_when_it_was_made() {
    let dated = |day: u32, time: &str| {
        undated(day).with(tags::CONTENT_DATE, VR::DA, "20200101").with(tags::CONTENT_TIME, VR::TM, time)
    };
    let node = node(Duplicates::Newest);
    apart(&node, vec![dated(5, "120000.5"), dated(7, "120000.25")]);
    assert_eq!(stays(&node), "5.0");
}

#[test]
fn the_last_one_stays_when_contents_alternate() {
    let node = node(Duplicates::Replace);
    apart(&node, vec![made(5)]);
    let report = together(&node, vec![made(9), made(5), made(9), made(5), made(5)]);
    assert_eq!(stays(&node), "5.0");
    let counts = table(&report, INSTANCE);
    assert_eq!(
        (counts.read, counts.kept, counts.displaced),
        (5, 0, 0),
        "what another source brought is the same"
    );
    assert_eq!((counts.duplicates, counts.superseded), (3, 2));
}

#[test]
fn what_gives_way_leaves_its_own_batch_and_both_sources_stay_known() {
    let node = node(Duplicates::Replace);
    node.write("source-0/2.dcm", Object::new("1.2.3.777.2").bytes());
    let reports = apart(&node, vec![made(5), made(9)]);
    assert_eq!(node.count(INSTANCE), 2);
    let counts = table(&reports[1], INSTANCE);
    assert_eq!((counts.kept, counts.displaced, warned(&reports[1], Code::Contested)), (1, 1, 1));
    let epoch = node.warehouse.current().unwrap();
    let rows: Vec<u64> = epoch.batches().iter().map(|batch| batch.rows[&INSTANCE.parse().unwrap()]).collect();
    assert_eq!(rows, [1, 1]);
    for source in ["source-0", "source-1"] {
        assert!(node.ingest(&node.source(source)).unchanged, "{source}");
    }
}

#[test]
fn a_winner_that_is_rolled_back_brings_nothing_back_until_the_other_source_is_ingested_again() {
    let node = node(Duplicates::Newest);
    let reports = apart(&node, vec![made(5), made(9)]);
    let undone = reports[1].batch.unwrap();
    rollback(&node.warehouse, &node.models, &node.secret, undone, &Quiet).unwrap();
    assert_eq!(node.count(INSTANCE), 0);
    node.ingest(&node.source("source-0"));
    assert_eq!(stays(&node), "5.0");
    node.ingest(&node.source("source-1"));
    assert_eq!(stays(&node), "9.0");
}

#[test]
fn a_record_of_a_forgotten_patient_wins_over_nobody() {
    let node = node(Duplicates::Replace);
    forget(&node.warehouse, &node.models, &node.identity, &node.secret, (None, "P2"), &Quiet).unwrap();
    let reports = apart(&node, vec![made(5), made(9).with(tags::PATIENT_ID, VR::LO, "P2")]);
    assert_eq!(stays(&node), "5.0");
    let counts = table(&reports[1], INSTANCE);
    assert_eq!((counts.forgotten, counts.conflicts, counts.kept), (1, 0, 0));
}

#[test]
fn a_dry_run_counts_conflicts_and_changes_nothing() {
    let mut node = node(Duplicates::Replace);
    apart(&node, vec![made(5)]);
    node.options.dry_run = true;
    let report = together(&node, vec![made(9), made(7)]);
    assert_eq!(table(&report, INSTANCE).conflicts, 2);
    assert_eq!(stays(&node), "5.0");
}

#[test]
fn another_rule_reads_a_source_again() {
    let mut node = node(Duplicates::Skip);
    together(&node, vec![made(5), made(9)]);
    assert_eq!(stays(&node), "5.0");
    node.options.duplicates = Duplicates::Newest;
    let report = node.ingest(&node.source("all"));
    assert_eq!((report.unchanged, stays(&node).as_str()), (false, "9.0"));
    assert!(node.ingest(&node.source("all")).unchanged);
}

#[test]
fn what_an_object_notes_leaves_with_it() {
    let seg = |day: u32, segments: &[u16]| {
        let segment = |number: &u16| Object::item().with_number(tags::SEGMENT_NUMBER, *number);
        made(day)
            .of_class("1.2.840.10008.5.1.4.1.1.66.4", "SEG")
            .with_items(tags::SEGMENT_SEQUENCE, segments.iter().map(segment))
    };
    for order in [[0, 1], [1, 0]] {
        let (one, two) = (node(Duplicates::Newest), node(Duplicates::Newest));
        let objects = || order.map(|at: usize| if at == 0 { seg(5, &[1, 2]) } else { seg(9, &[2, 3, 4]) });
        together(&one, objects().into());
        apart(&two, objects().into());
        for node in [one, two] {
            assert_eq!(node.cells("dicom.annotation", &["number"]), [["2"], ["3"], ["4"]], "{order:?}");
        }
    }
}

#[test]
fn a_series_of_two_tables_has_the_newest_row() {
    let header = "PatientID,StudyInstanceUID,SeriesInstanceUID,SeriesDate,Modality\n";
    for order in [["20200105,CT", "20200109,MR"], ["20200109,MR", "20200105,CT"]] {
        let mut node = node(Duplicates::Newest);
        node.options.format = Format::DicomTable;
        for (number, rest) in order.iter().enumerate() {
            node.ingest(&node.write(&format!("{number}.csv"), format!("{header}P1,1.2,1.2.1,{rest}\n")));
        }
        assert_eq!(node.cells("dicom.series", &["modality"]), [["MR"]], "{order:?}");
    }
}

/// An observation with as many components as its version has.
fn observation(version: usize) -> String {
    let component = r#"{"code":{"coding":[{"code":"c"}]},"valueQuantity":{"value":1}}"#;
    let components = vec![component; version].join(",");
    format!(
        r#"{{"resourceType":"Observation","id":"o1","meta":{{"lastUpdated":"2020-01-0{version}T10:00:00Z"}},"status":"final","subject":{{"reference":"Patient/a"}},"code":{{"coding":[{{"code":"x{version}"}}]}},"component":[{components}]}}"#
    )
}

#[test]
fn a_resource_that_comes_twice_in_an_export_is_whole_in_the_version_that_stays() {
    for (policy, winners) in [
        (Duplicates::Skip, ["x1", "x3"]),
        (Duplicates::Replace, ["x3", "x1"]),
        (Duplicates::Newest, ["x3", "x3"]),
    ] {
        for (versions, winner) in [[1, 2, 3], [3, 2, 1]].into_iter().zip(winners) {
            let mut node = Node::new();
            node.options.duplicates = policy;
            let text = versions.map(observation).join("\n");
            let report = node.ingest(&node.write("o.ndjson", text));
            assert_eq!(node.cells("fhir.observation", &["code"]), [[winner]], "{policy} {versions:?}");
            let components: usize = winner[1..].parse().unwrap();
            assert_eq!(node.count("fhir.observation_component"), components as u64, "{policy} {versions:?}");
            assert_eq!(table(&report, "fhir.observation").conflicts, 2);
        }
    }
}

#[test]
fn the_same_id_at_another_server_is_another_resource() {
    let mut node = Node::new();
    node.options.duplicates = Duplicates::Replace;
    node.ingest(&node.write("a.ndjson", observation(1)));
    node.ingest(&node.write("b.ndjson", format!("{}\n{}", observation(2), observation(3))));
    assert_eq!(node.cells("fhir.observation", &["code"]), [["x1"], ["x3"]]);
}

#[test]
fn a_source_whose_rows_are_not_compared_refuses_a_rule() {
    let mut node = Node::new();
    let source = node.write("person.csv", "person_id,person_source_value\n1,A\n1,B\n");
    node.options.duplicates = Duplicates::Newest;
    assert_eq!(node.refusal(&source), Code::Option);
    node.options.duplicates = Duplicates::Skip;
    assert_eq!(rejected(&node.ingest(&source)), [(3, Code::Conflict)]);
}
