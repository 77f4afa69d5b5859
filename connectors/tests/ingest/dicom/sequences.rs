//! What is read below sequences: frames of enhanced objects, and what the node counts as removed.

use caim_connectors::Code;
use dicom_core::VR;
use dicom_dictionary_std::tags;

use super::node;
use super::objects::Object;
use crate::fixture::{Node, warned};

const ENHANCED_MR: &str = "1.2.840.10008.5.1.4.1.1.4.1";

/// The pixel measures of a frame.
fn measures(thickness: &str) -> Object {
    Object::item()
        .with(tags::SLICE_THICKNESS, VR::DS, thickness)
        .with(tags::PIXEL_SPACING, VR::DS, "0.5\\0.5")
        .with(tags::SPACING_BETWEEN_SLICES, VR::DS, "3.3")
}

/// A frame with its place, echo time and b-value.
fn frame(number: u8, b_value: f64) -> Object {
    let content = Object::item().with(
        tags::FRAME_ACQUISITION_DATE_TIME,
        VR::DT,
        &format!("20200131101{number}00.5+0100"),
    );
    Object::item()
        .with_item(tags::FRAME_CONTENT_SEQUENCE, content)
        .with_item(
            tags::PLANE_POSITION_SEQUENCE,
            Object::item().with(tags::IMAGE_POSITION_PATIENT, VR::DS, &format!("0\\0\\{number}")),
        )
        .with_item(tags::MR_ECHO_SEQUENCE, Object::item().with_float(tags::EFFECTIVE_ECHO_TIME, 82.5))
        .with_item(tags::MR_DIFFUSION_SEQUENCE, Object::item().with_float(tags::DIFFUSION_B_VALUE, b_value))
}

/// An enhanced MR object of three frames, with names of persons at every depth.
fn enhanced(thickness: [&str; 2]) -> Object {
    let shared = Object::item()
        .with(tags::PATIENT_NAME, VR::PN, "CANARY")
        .with_item(tags::PIXEL_MEASURES_SEQUENCE, measures(thickness[0]))
        .with_item(
            tags::PLANE_ORIENTATION_SEQUENCE,
            Object::item().with(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0"),
        );
    let frames = [(1, 0.0), (2, 800.0), (3, 50.0)].map(|(number, b_value)| {
        frame(number, b_value).with_item(
            tags::MR_TIMING_AND_RELATED_PARAMETERS_SEQUENCE,
            Object::item()
                .with(tags::REPETITION_TIME, VR::DS, if number == 3 { thickness[1] } else { "2000" })
                .with(tags::FLIP_ANGLE, VR::DS, "90"),
        )
    });
    Object::new("1.1")
        .of_class(ENHANCED_MR, "MR")
        .with(tags::NUMBER_OF_FRAMES, VR::IS, "3")
        .with_item(tags::CONTRAST_BOLUS_AGENT_SEQUENCE, Object::code("C-B0322", "SRT", "CANARY"))
        .with_item(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, shared)
        .with_items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, frames)
}

const COLUMNS: [&str; 12] = [
    "slicethickness",
    "pixelspacing",
    "spacingbetweenslices",
    "imageorientationpatient",
    "imagepositionpatient",
    "echotime",
    "repetitiontime",
    "flipangle",
    "diffusionbvalue",
    "acquisitiondate",
    "has_contrast_agent",
    "numberofframes",
];

fn ingested(bytes: Vec<u8>) -> (Node, caim_connectors::Report) {
    let node = node();
    node.write("p/a.dcm", bytes);
    let report = node.ingest(&node.source("p"));
    assert_eq!(report.kept(), 1);
    (node, report)
}

#[test]
fn frames_of_an_enhanced_object_fill_the_columns_of_classic_ones_where_they_agree() {
    for syntax in ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"] {
        let (node, report) = ingested(enhanced(["3", "1500"]).bytes_as(syntax));
        assert_eq!(
            node.cells("dicom.instance", &COLUMNS),
            [[
                "3.0",
                "0.5",
                "3.3",
                "1\\0\\0\\0\\1\\0",
                "-",
                "82.5",
                "-",
                "90.0",
                "800.0",
                "2020-01-31",
                "true",
                "3"
            ]],
            "{syntax}"
        );
        assert_eq!(warned(&report, Code::FramesDiffer), 2, "position and repetition time");
        assert_eq!(node.cells("dicom.series", &["slicethickness"]), [["3.0"]]);
    }
}

#[test]
fn what_an_attribute_itself_says_stands_over_its_frames() {
    let object = enhanced(["3", "2000"])
        .with(tags::SLICE_THICKNESS, VR::DS, "7")
        .with(tags::ECHO_TIME, VR::DS, "")
        .with(tags::ACQUISITION_DATE_TIME, VR::DT, "20190203112233.5+0100");
    let (node, _) = ingested(object.bytes());
    let columns = ["slicethickness", "echotime", "repetitiontime", "acquisitiondate", "acquisitiontime"];
    assert_eq!(node.cells("dicom.instance", &columns), [["7.0", "82.5", "2000.0", "2019-02-03", "112233.5"]]);
}

#[test]
fn the_dose_of_a_radiopharmaceutical_is_read_and_who_gave_it_is_not() {
    let given = Object::item()
        .with(tags::RADIONUCLIDE_TOTAL_DOSE, VR::DS, "370000000")
        .with(tags::RADIOPHARMACEUTICAL, VR::LO, "CANARY")
        .with_item(tags::RADIONUCLIDE_CODE_SEQUENCE, Object::code("C-111A1", "SRT", "^18^Fluorine"));
    let object = Object::new("1.1")
        .of_class("1.2.840.10008.5.1.4.1.1.128", "PT")
        .with_item(tags::RADIOPHARMACEUTICAL_INFORMATION_SEQUENCE, given);
    let (node, report) = ingested(object.bytes());
    let cells = node.cells("dicom.instance", &["radionuclidetotaldose", "radionuclide_code"]);
    assert_eq!(cells, [["370000000.0", "C-111A1"]]);
    assert!(report.removed.iter().any(|removed| removed.attribute == "Radiopharmaceutical"));
}

#[test]
fn a_header_that_is_broken_among_its_frames_gives_no_half_row() {
    let whole = enhanced(["3", "2000"]).bytes();
    for cut in [1, 20, 100, 300] {
        let node = node();
        node.write("p/a.dcm", &whole[..whole.len() - cut]);
        let report = node.ingest(&node.source("p"));
        assert_eq!((report.kept(), report.rejects[0].code), (0, Code::DamagedObject), "{cut}");
    }
}

#[test]
fn the_report_counts_what_of_objects_is_not_stored_by_keyword() {
    let node = node();
    for number in 0..3 {
        let object = Object::new(&format!("1.{number}"))
            .with(tags::PATIENT_NAME, VR::PN, "CANARY")
            .with(tags::STUDY_DESCRIPTION, VR::LO, "")
            .with(tags::ISSUER_OF_PATIENT_ID, VR::LO, "local")
            .with(dicom_core::Tag(0x0029, 0x0010), VR::LO, "CANARY")
            .with(dicom_core::Tag(0x0029, 0x1010), VR::LO, "CANARY")
            .with(tags::REQUESTED_PROCEDURE_DESCRIPTION, VR::LO, "CANARY")
            .with_item(tags::OTHER_PATIENT_I_DS_SEQUENCE, Object::new("1.2"));
        node.write(&format!("p/{number}.dcm"), object.bytes());
    }
    let report = node.ingest(&node.source("p"));
    let count = |name: &str| {
        let found = report.removed.iter().find(|removed| removed.attribute == name);
        found.map(|removed| removed.count)
    };
    for (name, wanted) in [
        ("PatientName", Some(3)),
        ("StudyDescription", None),
        ("IssuerOfPatientID", Some(3)),
        ("private", Some(6)),
        ("RequestedProcedureDescription", Some(3)),
        ("OtherPatientIDsSequence", Some(3)),
        ("SOPInstanceUID", None),
        ("PatientID", None),
        ("Modality", None),
    ] {
        assert_eq!(count(name), wanted, "{name}");
    }
    assert!(report.to_string().contains("PatientName: 3 times"));
    let of_batch = caim_connectors::removed(&node.warehouse, report.batch.unwrap()).unwrap();
    assert_eq!(of_batch.iter().map(|removed| removed.count).max(), Some(6));
    assert_eq!(of_batch.len(), report.removed.len());
}
