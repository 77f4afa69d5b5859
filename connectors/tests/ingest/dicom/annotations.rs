//! What objects note about series: segments, regions, groups, findings; and which series are annotated.

use caim_connectors::{Code, Identity};
use dicom_core::VR;
use dicom_dictionary_std::tags;

use super::node;
use super::objects::Object;
use crate::fixture::{Node, table};

const SEG: &str = "1.2.840.10008.5.1.4.1.1.66.4";
const RTSTRUCT: &str = "1.2.840.10008.5.1.4.1.1.481.3";
const SR: &str = "1.2.840.10008.5.1.4.1.1.88.33";
const ANN: &str = "1.2.840.10008.5.1.4.1.1.91.1";
const ANNOTATION: &str = "dicom.annotation";

const COLUMNS: [&str; 12] = [
    "kind",
    "number",
    "referencedseriesinstanceuid",
    "algorithm_type",
    "roi_type",
    "category_code",
    "category_meaning",
    "type_code",
    "type_scheme",
    "type_meaning",
    "site_code",
    "label",
];

fn series(uid: &str) -> Object {
    Object::item().with(tags::SERIES_INSTANCE_UID, VR::UI, uid)
}

/// An object of a series of its own, of patient P1.
fn annotation(uid: &str, class: &str, modality: &str) -> Object {
    Object::new(uid).of_class(class, modality).with(tags::SERIES_INSTANCE_UID, VR::UI, "9.9")
}

fn segment(number: u16, label: &str, ty: Object) -> Object {
    Object::item()
        .with_number(tags::SEGMENT_NUMBER, number)
        .with(tags::SEGMENT_LABEL, VR::LO, label)
        .with(tags::SEGMENT_ALGORITHM_TYPE, VR::CS, "AUTOMATIC")
        .with_item(
            tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE,
            Object::code("49755003", "SCT", "Morphologically Abnormal Structure"),
        )
        .with_item(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, ty)
        .with_item(tags::ANATOMIC_REGION_SEQUENCE, Object::code("10200004", "SCT", "Liver"))
}

fn segmentation(uid: &str) -> Object {
    annotation(uid, SEG, "SEG").with_item(tags::REFERENCED_SERIES_SEQUENCE, series("1.2.3.1")).with_items(
        tags::SEGMENT_SEQUENCE,
        [
            segment(1, "GTV", Object::code("4147007", "SCT", "Mass")),
            segment(2, "CANARY's lesion", Object::code("X1", "99LOCAL", "CANARY")),
        ],
    )
}

fn structure_set(uid: &str) -> Object {
    let of_study = Object::item().with_items(
        tags::RT_REFERENCED_SERIES_SEQUENCE,
        [series("1.2.3.1"), series("1.2.3.8"), series("1.2.3.1")],
    );
    let frame = Object::item().with_item(tags::RT_REFERENCED_STUDY_SEQUENCE, of_study);
    let region = |number: &str, name: &str| {
        Object::item().with(tags::ROI_NUMBER, VR::IS, number).with(tags::ROI_NAME, VR::LO, name).with(
            tags::ROI_GENERATION_ALGORITHM,
            VR::CS,
            "MANUAL",
        )
    };
    let observed = Object::item()
        .with(tags::REFERENCED_ROI_NUMBER, VR::IS, "7")
        .with(tags::RTROI_INTERPRETED_TYPE, VR::CS, "GTV")
        .with(tags::ROI_INTERPRETER, VR::PN, "CANARY")
        .with_item(
            tags::RTROI_IDENTIFICATION_CODE_SEQUENCE,
            Object::code("86049000", "SCT", "Neoplasm, Primary"),
        );
    annotation(uid, RTSTRUCT, "RTSTRUCT")
        .with_item(tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE, frame)
        .with_items(tags::STRUCTURE_SET_ROI_SEQUENCE, [region("7", "gtv "), region("8", "CANARY")])
        .with_item(tags::RTROI_OBSERVATIONS_SEQUENCE, observed)
}

fn coded(relation: &str, name: Object, value: Object) -> Object {
    Object::item()
        .with(tags::RELATIONSHIP_TYPE, VR::CS, relation)
        .with(tags::VALUE_TYPE, VR::CS, "CODE")
        .with_item(tags::CONCEPT_NAME_CODE_SEQUENCE, name)
        .with_item(tags::CONCEPT_CODE_SEQUENCE, value)
}

fn finding(value: &str, meaning: &str) -> Object {
    coded("CONTAINS", Object::code("121071", "DCM", "Finding"), Object::code(value, "SCT", meaning))
}

fn report(uid: &str) -> Object {
    let text = Object::item()
        .with(tags::RELATIONSHIP_TYPE, VR::CS, "CONTAINS")
        .with(tags::VALUE_TYPE, VR::CS, "TEXT")
        .with(tags::TEXT_VALUE, VR::UT, "CANARY")
        .with_item(tags::CONCEPT_NAME_CODE_SEQUENCE, Object::code("121106", "DCM", "Comment"));
    let observer = coded(
        "HAS OBS CONTEXT",
        Object::code("121005", "DCM", "Observer Type"),
        Object::code("121006", "DCM", "Person"),
    );
    let group = Object::item()
        .with(tags::RELATIONSHIP_TYPE, VR::CS, "CONTAINS")
        .with(tags::VALUE_TYPE, VR::CS, "CONTAINER")
        .with_items(tags::CONTENT_SEQUENCE, [text, finding("4147007", "Mass")]);
    let study = Object::item().with_item(tags::REFERENCED_SERIES_SEQUENCE, series("1.2.3.1"));
    annotation(uid, SR, "SR")
        .with_item(tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE, study)
        .with_items(tags::CONTENT_SEQUENCE, [observer, group, finding("17621005", "Normal")])
}

fn microscopy(uid: &str) -> Object {
    let group = Object::item()
        .with_number(tags::ANNOTATION_GROUP_NUMBER, 4)
        .with(tags::ANNOTATION_GROUP_LABEL, VR::LO, "CANARY")
        .with(tags::ANNOTATION_GROUP_GENERATION_TYPE, VR::CS, "SEMIAUTOMATIC")
        .with_item(
            tags::ANNOTATION_PROPERTY_CATEGORY_CODE_SEQUENCE,
            Object::code("91723000", "SCT", "Anatomical Structure"),
        )
        .with_item(tags::ANNOTATION_PROPERTY_TYPE_CODE_SEQUENCE, Object::code("84640000", "SCT", "Nucleus"));
    annotation(uid, ANN, "ANN")
        .with_item(tags::REFERENCED_SERIES_SEQUENCE, series("1.2.3.1"))
        .with_item(tags::ANNOTATION_GROUP_SEQUENCE, group)
}

/// A node whose operator lists the name GTV and whose source holds these objects and an image.
fn ingested(objects: impl IntoIterator<Item = Object>) -> (Node, caim_connectors::Report) {
    let mut node = node();
    node.identity = Identity { labels: vec!["GTV".into(), "PTV".into()], ..Identity::default() };
    node.write("p/0.dcm", Object::new("1.1").bytes());
    for (number, object) in objects.into_iter().enumerate() {
        node.write(&format!("p/{}.dcm", number + 1), object.bytes());
    }
    let report = node.ingest(&node.source("p"));
    (node, report)
}

#[test]
fn segments_come_with_their_codes_and_only_listed_names() {
    let (node, report) = ingested([segmentation("2.1")]);
    let of = |number: &'static str, ty: [&'static str; 3], label: &'static str| {
        let [code, scheme, meaning] = ty;
        let category = "Morphologically Abnormal Structure";
        [
            "SEG",
            number,
            "1.2.3.1",
            "AUTOMATIC",
            "-",
            "49755003",
            category,
            code,
            scheme,
            meaning,
            "10200004",
            label,
        ]
    };
    assert_eq!(
        node.cells(ANNOTATION, &COLUMNS),
        [of("1", ["4147007", "SCT", "Mass"], "GTV"), of("2", ["X1", "99LOCAL", "-"], "-")]
    );
    let removed = report.removed.iter().find(|removed| removed.attribute == "SegmentLabel").unwrap();
    assert_eq!((removed.count, table(&report, ANNOTATION).kept), (1, 2));
}

#[test]
fn regions_come_with_what_is_observed_of_them_once_a_series_that_is_referred_to() {
    let (node, _) = ingested([structure_set("2.1")]);
    let gtv = |series| {
        [
            "RTSTRUCT",
            "7",
            series,
            "MANUAL",
            "GTV",
            "-",
            "-",
            "86049000",
            "SCT",
            "Neoplasm, Primary",
            "-",
            "gtv",
        ]
    };
    let other = |series| ["RTSTRUCT", "8", series, "MANUAL", "-", "-", "-", "-", "-", "-", "-", "-"];
    assert_eq!(
        node.cells(ANNOTATION, &COLUMNS),
        [gtv("1.2.3.1"), gtv("1.2.3.8"), other("1.2.3.1"), other("1.2.3.8")]
    );
}

#[test]
fn coded_findings_of_a_report_come_in_at_any_depth_and_its_observers_and_texts_do_not() {
    let (node, _) = ingested([report("2.1")]);
    let of = |number, code, meaning| {
        ["SR", number, "1.2.3.1", "-", "-", "121071", "Finding", code, "SCT", meaning, "-", "-"]
    };
    assert_eq!(node.cells(ANNOTATION, &COLUMNS), [of("4", "4147007", "Mass"), of("5", "17621005", "Normal")]);
}

#[test]
fn groups_of_microscopy_annotations_come_in() {
    let (node, _) = ingested([microscopy("2.1")]);
    let columns = ["kind", "number", "algorithm_type", "category_code", "type_code", "label"];
    assert_eq!(
        node.cells(ANNOTATION, &columns),
        [["ANN", "4", "SEMIAUTOMATIC", "91723000", "84640000", "-"]]
    );
}

#[test]
fn a_series_is_annotated_if_an_object_of_the_same_patient_refers_to_it() {
    let other = segmentation("2.2")
        .with(tags::PATIENT_ID, VR::LO, "P2")
        .with_item(tags::REFERENCED_SERIES_SEQUENCE, series("1.2.3.7"));
    let unmarked = Object::new("1.2").with(tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3.7");
    let (node, _) = ingested([segmentation("2.1"), other, unmarked]);
    let marks = node.cells("dicom.series", &["seriesinstanceuid", "annotated"]);
    assert_eq!(marks, [["1.2.3.1", "true"], ["1.2.3.7", "false"], ["9.9", "false"], ["9.9", "false"]]);
}

#[test]
fn no_word_that_somebody_typed_is_in_the_annotations() {
    let objects = [segmentation("2.1"), structure_set("2.2"), report("2.3"), microscopy("2.4")];
    let (node, _) = ingested(objects);
    let rows = node.rows(ANNOTATION);
    let text = arrow::util::pretty::pretty_format_batches(&[rows]).unwrap().to_string();
    assert!(text.contains("Neoplasm") && !text.contains("CANARY"), "{text}");
}

#[test]
fn an_object_that_is_there_already_brings_its_annotations_once() {
    let node = node();
    node.write("a/1.dcm", segmentation("2.1").bytes());
    node.write("b/1.dcm", segmentation("2.1").bytes());
    node.ingest(&node.source("a"));
    node.ingest(&node.source("b"));
    assert_eq!(node.count(ANNOTATION), 2);
}

#[test]
fn objects_that_note_without_end_are_refused() {
    let segments = (0..20_000).map(|number| segment(number, "x", Object::code("1", "SCT", "Mass")));
    let without_end = annotation("2.1", SEG, "SEG").with_items(tags::SEGMENT_SEQUENCE, segments);
    let of_many_series = segmentation("2.2")
        .with_items(tags::REFERENCED_SERIES_SEQUENCE, (0..3000).map(|number| series(&format!("1.{number}"))));
    let (node, report) = ingested([without_end, of_many_series]);
    assert_eq!((node.count("dicom.instance"), report.rejects.len()), (1, 2));
    for reject in &report.rejects {
        assert_eq!(reject.code, Code::ObjectLimit);
        assert!(reject.reason.starts_with("notes_limit"));
    }
}
