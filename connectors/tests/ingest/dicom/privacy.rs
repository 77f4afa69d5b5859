//! What of an object must never be stored, and whose record it is.

use std::collections::BTreeMap;

use arrow::array::Array;
use arrow::util::display::array_value_to_string;
use caim_connectors::{Code, Identity, Uids};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

use super::node;
use super::objects::Object;
use crate::fixture::{Node, table, warned};

const CANARY: &str = "CANARY";

/// An object with a canary wherever somebody could be named.
fn canaries() -> Vec<u8> {
    let item = Object::new("1.2.3.4.5")
        .with(tags::PATIENT_NAME, VR::PN, "CANARY^NESTED")
        .with(tags::MODALITY, VR::CS, "CANARY")
        .with(tags::TEXT_VALUE, VR::UT, "CANARY in an item");
    let texts = [
        (tags::PATIENT_NAME, VR::PN),
        (Tag(0x0010, 0x1000), VR::LO),
        (tags::PATIENT_ADDRESS, VR::LO),
        (tags::PATIENT_COMMENTS, VR::LT),
        (tags::ISSUER_OF_PATIENT_ID, VR::LO),
        (tags::ACCESSION_NUMBER, VR::SH),
        (tags::INSTITUTION_NAME, VR::LO),
        (tags::INSTITUTION_ADDRESS, VR::ST),
        (tags::REFERRING_PHYSICIAN_NAME, VR::PN),
        (tags::OPERATORS_NAME, VR::PN),
        (tags::STATION_NAME, VR::SH),
        (tags::STUDY_DESCRIPTION, VR::LO),
        (tags::SERIES_DESCRIPTION, VR::LO),
        (tags::PROTOCOL_NAME, VR::LO),
        (tags::IMAGE_COMMENTS, VR::LT),
        (tags::DEVICE_SERIAL_NUMBER, VR::LO),
        (tags::STUDY_ID, VR::SH),
        (tags::CONTRAST_BOLUS_AGENT, VR::LO),
        (Tag(0x0009, 0x0010), VR::LO),
        (Tag(0x0009, 0x1010), VR::LO),
        (Tag(0x0029, 0x0010), VR::LO),
    ];
    let object =
        texts.into_iter().fold(Object::new("1.2.3.4"), |object, (tag, vr)| object.with(tag, vr, CANARY));
    let mut bytes = object
        .with(tags::PATIENT_ID, VR::LO, "CANARY-7")
        .with(tags::BODY_PART_EXAMINED, VR::CS, "\"CANARY\"")
        .with(tags::PATIENT_SEX, VR::CS, "CANARY\u{fc}")
        .with(tags::STUDY_TIME, VR::TM, CANARY)
        .with(tags::FRAME_OF_REFERENCE_UID, VR::UI, CANARY)
        .with(tags::IMAGE_POSITION_PATIENT, VR::DS, "1\\CANARY\\3")
        .with_item(tags::REFERENCED_IMAGE_SEQUENCE, item)
        .bytes();
    bytes[..CANARY.len()].copy_from_slice(CANARY.as_bytes());
    bytes
}

/// Every cell of a table that holds a text.
fn cells_with(node: &Node, name: &str, text: &str) -> Vec<String> {
    let rows = node.rows(name);
    let schema = rows.schema();
    let mut found = Vec::new();
    for (field, column) in schema.fields().iter().zip(rows.columns()) {
        for row in (0..column.len()).filter(|row| column.is_valid(*row)) {
            if array_value_to_string(column, row).unwrap().contains(text) {
                found.push(field.name().clone());
            }
        }
    }
    found
}

#[test]
fn d15_d16_no_name_number_comment_or_private_element_of_an_object_is_stored() {
    let node = node();
    let bytes = canaries();
    assert!(bytes.windows(CANARY.len()).filter(|window| *window == CANARY.as_bytes()).count() > 25);
    node.write("p/CANARY^FILE.dcm", bytes);
    let report = node.ingest(&node.source("p"));
    assert_eq!((report.kept(), node.count("dicom.instance")), (1, 1));
    assert_eq!(cells_with(&node, "dicom.instance", CANARY), Vec::<String>::new());
    assert_eq!(cells_with(&node, "dicom.instance", "1.2.3.4").len(), 1, "the search finds what is there");
    assert_eq!(warned(&report, Code::UnreadableValue), 5);
    assert_eq!(node.cells("dicom.instance", &["has_contrast_agent"]), [["true"]]);
}

#[test]
fn d15_d16_the_bytes_of_the_warehouse_hold_no_canary_either() {
    let node = node();
    node.write("p/CANARY^FILE.dcm", canaries());
    node.ingest(&node.source("p"));
    let mut folders = vec![node.folder()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            let found = bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
            assert!(!found, "{}", path.display());
            files += 1;
        }
    }
    assert!(files > 2);
}

/// Patients by SOPInstanceUID.
fn patients(node: &Node) -> BTreeMap<String, String> {
    let pairs = node.cells("dicom.instance", &["sopinstanceuid", "_patient"]);
    pairs.into_iter().map(|mut pair| (pair.remove(0), pair.remove(0))).collect()
}

#[test]
fn a_patient_is_the_identifier_with_its_issuer_and_padding_is_no_part_of_it() {
    let mut node = node();
    let issuer_aliases = [("OLD PACS".to_owned(), "local".to_owned())].into();
    node.identity = Identity { issuer_aliases, ..Identity::default() };
    let with = |uid: &str, id: &str, issuer: &str| {
        let object = Object::new(uid).with(tags::PATIENT_ID, VR::LO, id);
        if issuer.is_empty() { object } else { object.with(tags::ISSUER_OF_PATIENT_ID, VR::LO, issuer) }
            .bytes()
    };
    for (uid, id, issuer) in [
        ("1.1", "P1", ""),
        ("1.2", " P1 ", "local"),
        ("1.3", "P1", "OLD PACS"),
        ("1.4", "P1", "elsewhere"),
        ("1.5", "P2", ""),
        ("1.6", " ", ""),
    ] {
        node.write(&format!("p/{uid}.dcm"), with(uid, id, issuer));
    }
    node.write("p/1.7.dcm", Object::new("1.7").without(tags::PATIENT_ID).bytes());
    let report = node.ingest(&node.source("p"));
    assert_eq!(warned(&report, Code::NoPatient), 2);
    let patients = patients(&node);
    assert_eq!([&patients["1.2"], &patients["1.3"]], [&patients["1.1"]; 2]);
    assert!(patients["1.4"] != patients["1.1"] && patients["1.5"] != patients["1.1"]);
    assert_eq!((patients["1.6"].as_str(), patients["1.7"].as_str()), ("-", "-"));
}

#[test]
fn an_object_and_a_table_of_series_name_the_same_patient() {
    let mut node = node();
    node.write("p/a.dcm", Object::new("1.1").bytes());
    node.ingest(&node.source("p"));
    node.options.format = caim_connectors::Format::Auto;
    let series = "PatientID,StudyInstanceUID,SeriesInstanceUID\nP0,1,1.0\nP1,2,1.1\n";
    node.ingest(&node.write("series.csv", series));
    let series = node.cells("dicom.series", &["seriesinstanceuid", "_patient"]);
    assert_eq!(series[1], ["1.1".to_owned(), patients(&node)["1.1"].clone()]);
}

#[test]
fn d17_d18_an_old_persons_birth_date_stays_in_the_node_and_an_impossible_one_nowhere() {
    let node = node();
    let old = Object::new("1.1")
        .with(tags::PATIENT_AGE, VR::AS, "095Y")
        .with(tags::PATIENT_BIRTH_DATE, VR::DA, "19280229")
        .with(tags::STUDY_DATE, VR::DA, "2023.01.05");
    let odd = Object::new("1.2").with(tags::PATIENT_BIRTH_DATE, VR::DA, "20230230").with(
        tags::STUDY_DATE,
        VR::DA,
        "99991231",
    );
    node.write("p/a.dcm", old.bytes());
    node.write("p/b.dcm", odd.bytes());
    let report = node.ingest(&node.source("p"));
    let cells = node.cells("dicom.instance", &["patientage", "patientbirthdate", "studydate"]);
    assert_eq!(cells, [["-", "-", "-"], ["95", "1928-02-29", "2023-01-05"]]);
    assert_eq!(warned(&report, Code::UnreadableValue), 2);
    assert_eq!(table(&report, "dicom.instance").kept, 2);
}

/// Keys of `identity` that make other unique identifiers.
fn keyed() -> Identity {
    Identity { uids: Uids::Keyed, ..Identity::default() }
}

#[test]
fn keyed_identifiers_hide_the_real_ones_and_still_join_across_standards_and_runs() {
    let mut node = node();
    node.identity = keyed();
    node.write("p/a.dcm", Object::new("1.2.777.1").with(tags::STUDY_INSTANCE_UID, VR::UI, "1.2.777").bytes());
    node.ingest(&node.source("p"));
    node.options.format = caim_connectors::Format::Auto;
    node.ingest(&node.write("omop/PERSON.csv", "person_id,person_source_value\n1,P1\n"));
    node.write(
        "more/image_occurrence.csv",
        "image_occurrence_id,person_id,image_study_uid,image_series_uid,wadors_uri\n\
         5,1,1.2.777,1.2.3.1,https://pacs/studies/1.2.777\n",
    );
    node.write("more/PERSON.csv", "person_id,person_source_value\n1,P1\n");
    node.ingest(&node.source("more"));
    let series = "PatientID,StudyInstanceUID,SeriesInstanceUID\nP1,1.2.777,1.2.777.9\n";
    node.ingest(&node.write("series.csv", series));
    let instance = node.cells("dicom.instance", &["studyinstanceuid", "seriesinstanceuid", "sopinstanceuid"]);
    let [study, series, uid] = &instance[0][..] else { panic!("three columns") };
    for keyed in [study, series, uid] {
        assert!(keyed.starts_with("2.25."), "{keyed}");
    }
    let occurrence =
        node.cells("omop.image_occurrence", &["image_study_uid", "image_series_uid", "wadors_uri"]);
    assert_eq!(occurrence, [[study.as_str(), series.as_str(), "-"]]);
    let studies: Vec<_> = node.cells("dicom.series", &["studyinstanceuid"]).concat();
    assert_eq!(studies, [study.as_str(), study.as_str()]);
    for name in ["dicom.instance", "dicom.series", "omop.image_occurrence", "eucaim.image_series"] {
        assert_eq!(cells_with(&node, name, "1.2.777"), Vec::<String>::new(), "{name}");
    }
    let mut again = super::node();
    again.identity = keyed();
    again
        .write("q/a.dcm", Object::new("1.2.777.1").with(tags::STUDY_INSTANCE_UID, VR::UI, "1.2.777").bytes());
    again.ingest(&again.source("q"));
    let columns = ["studyinstanceuid", "seriesinstanceuid", "sopinstanceuid"];
    assert_eq!(again.cells("dicom.instance", &columns), instance);
}

#[test]
fn objects_with_keyed_identifiers_are_still_told_from_others() {
    let mut node = node();
    node.identity = keyed();
    for (name, uid) in [("a/1.dcm", "1.1"), ("b/1.dcm", "1.1"), ("b/2.dcm", "1.2")] {
        node.write(name, Object::new(uid).bytes());
    }
    node.ingest(&node.source("a"));
    let report = node.ingest(&node.source("b"));
    assert_eq!((table(&report, "dicom.instance").kept, table(&report, "dicom.instance").duplicates), (1, 1));
    assert!(node.ingest(&node.source("b")).unchanged);
}
