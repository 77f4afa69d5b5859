//! The parameters of acquisitions, from DICOM objects and tables of series.

use dicom_core::VR;
use dicom_dictionary_std::tags;

use super::shown;
use crate::dicom::objects::Object;
use crate::fixture::{Node, real};

const COLUMNS: [&str; 6] = [
    "series_uid",
    "acquisition_parameter_code",
    "acquisition_parameter_value_as_code",
    "acquisition_parameter_value_as_code_original",
    "acquisition_parameter_value_as_number",
    "acquisition_parameter_value_unit",
];

fn echo(uid: &str, time: &str) -> Vec<u8> {
    let object = Object::new(uid)
        .with(tags::MODALITY, VR::CS, "MR")
        .with(tags::SLICE_THICKNESS, VR::DS, "3")
        .with(tags::ECHO_TIME, VR::DS, time)
        .with(tags::SCANNING_SEQUENCE, VR::CS, "SE")
        .with(tags::PATIENT_POSITION, VR::CS, "HFP")
        .with(tags::SERIES_DATE, VR::DA, "20200608");
    object.bytes()
}

#[test]
fn a_parameter_of_a_series_is_one_row_for_every_value() {
    let node = Node::new();
    for (uid, time) in [("1.1", "30"), ("1.2", "90"), ("1.3", "90")] {
        node.write(&format!("p/{uid}.dcm"), echo(uid, time));
    }
    node.ingest(&node.source("p"));
    assert_eq!(
        shown(&node, "image_modality", &COLUMNS),
        [
            ["1.2.3.1", "Echo time", "-", "-", "30.0", "ms"],
            ["1.2.3.1", "Echo time", "-", "-", "90.0", "ms"],
            ["1.2.3.1", "MR Echo Type", "Spin echo", "SE", "-", "-"],
            ["1.2.3.1", "Patient Position", "-", "HFP", "-", "-"],
            ["1.2.3.1", "Slice Thickness", "-", "-", "3.0", "mm"],
        ]
    );
    let dates = node.cells("eucaim.image_modality", &["acquisition_date"]);
    assert_eq!((dates.len(), dates.iter().all(|row| row[0] == "2020-06-08")), (5, true));
    let series = node.cells("eucaim.image_series", &["series_id"])[0].clone();
    assert!(node.cells("eucaim.image_modality", &["series_id"]).iter().all(|row| *row == series));
}

#[test]
fn of_a_table_of_series_the_slice_thickness_is_known() {
    let node = Node::new();
    let text = "PatientID,StudyInstanceUID,SeriesInstanceUID,SliceThickness,Modality\n\
                P1,1.1,1.1.1,2.5,CT\nP2,1.2,1.2.1,,CT\n";
    node.ingest(&node.write("series.csv", text));
    assert_eq!(
        shown(&node, "image_modality", &COLUMNS),
        [["1.1.1", "Slice Thickness", "-", "-", "2.5", "mm"]]
    );
}

#[test]
fn real_objects_have_as_many_parameters_as_their_series_have_values() {
    let Some(source) = real("dicom/test_files") else { return };
    let node = crate::dicom::node();
    node.ingest(&source);
    let distinct = |columns: &[&str]| {
        let mut cells = node.cells("dicom.instance", columns);
        cells.retain(|row| row[1] != "-" && row[2] != "-");
        cells.dedup();
        cells.len()
    };
    let series = node.cells("dicom.series", &["slicethickness"]).iter().filter(|row| row[0] != "-").count();
    let of_instances: usize = ["echotime", "scanningsequence", "patientposition"]
        .iter()
        .map(|column| distinct(&["_patient", "seriesinstanceuid", column]))
        .sum();
    assert!(of_instances > 5);
    assert_eq!(node.count("eucaim.image_modality") as usize, series + of_instances);
}
