//! OMOP: persons, records, and the dirt of real exports.

use caim_connectors::{Code, Collection, OmopColumn};

use crate::fixture::{Node, rejected, table, warned};

const PERSON: &str = "person_id,gender_concept_id,year_of_birth,birth_datetime,person_source_value\n";
const CONDITION: &str = "condition_occurrence_id,person_id,condition_concept_id,condition_start_date\n";

#[test]
fn a_person_meets_their_dicom_patient_by_the_source_value() {
    let node = Node::new();
    node.ingest(&node.write(
        "s.csv",
        "PatientID,StudyInstanceUID,SeriesInstanceUID,instanceCount\nMRN2,1.2,1.2.1,2\nMRN1,1.3,1.3.1,1\n",
    ));
    node.write(
        "cdm/PERSON.csv",
        format!("{PERSON}10,8507,1950,,MRN1\n20,8532,1960,, MRN2 \n30,8507,1970,,\n"),
    );
    node.write("cdm/CONDITION_OCCURRENCE.csv", format!("{CONDITION}1,20,7,2020-01-01\n2,30,7,2020-01-01\n"));
    node.ingest(&node.source("cdm"));
    assert_eq!(node.patients("dicom.series", "instancecount"), [(1, Some(1)), (2, Some(0))]);
    assert_eq!(
        node.patients("omop.person", "year_of_birth"),
        [(1950, Some(1)), (1960, Some(0)), (1970, Some(2))]
    );
    assert_eq!(
        node.patients("omop.condition_occurrence", "condition_occurrence_id"),
        [(1, Some(0)), (2, Some(2))]
    );
    assert_eq!(node.cells("omop.person", &["collection_id"]), [["c1"], ["c1"], ["c1"]]);
    assert!(
        node.rows("omop.person").column_by_name("person_id").is_none(),
        "the number itself is not stored"
    );
}

#[test]
fn persons_by_number_belong_to_their_collection_alone() {
    let mut node = Node::new();
    node.identity.omop_column = OmopColumn::PersonId;
    node.ingest(&node.write("a/person.csv", format!("{PERSON}1,8507,1950,,MRN1\n")).with_file_name(""));
    node.options.collection = Collection::Id("c2".into());
    node.ingest(&node.write("b/person.csv", format!("{PERSON}1,8507,1951,,MRN1\n")).with_file_name(""));
    assert_eq!(node.patients("omop.person", "year_of_birth"), [(1950, Some(0)), (1951, Some(1))]);
}

#[test]
fn linked_identifiers_meet_in_one_patient() {
    let mut node = Node::new();
    node.identity.linkage = Some(node.write("links.csv", "issuer,id,issuer,id\nlocal,P1,local,MRN1\n"));
    node.ingest(&node.write("s.csv", "PatientID,SeriesInstanceUID,StudyInstanceUID\nP1,1.2.1,1.2\n"));
    node.ingest(&node.write("person.csv", format!("{PERSON}1,8507,1950,,MRN1\n")));
    assert_eq!(node.warehouse.current().unwrap().patients(), 1);
}

#[test]
fn images_of_omop_join_dicom_by_uid_and_by_the_patient_of_the_linkage_table() {
    let mut node = Node::new();
    node.identity.linkage = Some(node.write("links.csv", "local,P1,local,MRN1\n"));
    node.write(
        "dicom/s.csv",
        "PatientID,SeriesInstanceUID,StudyInstanceUID,Modality\nP1,1.2.1,1.2,CT\nMRN2,1.3.1,1.3,MR\n",
    );
    node.ingest(&node.source("dicom"));
    node.write("cdm/person.csv", format!("{PERSON}1,8507,1950,,MRN1\n2,8532,1960,,MRN2\n"));
    node.write(
        "cdm/image_occurrence.csv",
        "image_occurrence_id,person_id,image_occurrence_date,image_study_UID,image_series_UID\n\
         1,1,2020-01-01,1.2,1.2.1\n2,2,2020-01-01,1.3,1.3.1\n",
    );
    node.write(
        "cdm/image_feature.csv",
        "image_feature_id,person_id,image_feature_concept_id,image_occurrence_id\n10,1,4000001,1\n20,2,4000002,2\n",
    );
    node.ingest(&node.source("cdm"));
    let series = node.cells("dicom.series", &["seriesinstanceuid", "_patient"]);
    assert_eq!(node.cells("omop.image_occurrence", &["image_series_uid", "_patient"]), series);
    let features = node.cells("omop.image_feature", &["image_occurrence_id", "_patient"]);
    let occurrences = node.cells("omop.image_occurrence", &["image_occurrence_id", "_patient"]);
    assert_eq!(features, occurrences);
    assert_eq!(node.warehouse.current().unwrap().patients(), 2);
}

#[test]
fn records_of_unknown_persons_stay_and_are_counted_as_orphans() {
    let node = Node::new();
    node.write("cdm/person.csv", format!("{PERSON}1,8507,1950,,A\n"));
    node.write("cdm/condition_occurrence.csv", format!("{CONDITION}1,1,7,\n2,99,7,\n3,99,7,\n"));
    let report = node.ingest(&node.source("cdm"));
    assert_eq!(warned(&report, Code::Orphan), 2);
    assert_eq!(
        node.patients("omop.condition_occurrence", "condition_occurrence_id"),
        [(1, Some(0)), (2, Some(1)), (3, Some(1))]
    );
}

#[test]
fn values_that_cannot_be_read_are_null_and_keys_that_cannot_be_read_reject_the_row() {
    let node = Node::new();
    node.write("cdm/person.csv", format!("{PERSON}1,8507,1950.0,1950-2-3,A\n2,x,1960,never,B\n"));
    node.write(
        "cdm/condition_occurrence.csv",
        format!("{CONDITION}1,1,7,20200101\n,1,7,2020-01-01\n3,one,7,2020-01-01\n4,2,9223372036854775808,2020-02-30\n"),
    );
    let report = node.ingest(&node.source("cdm"));
    assert_eq!(
        node.cells("omop.person", &["year_of_birth", "gender_concept_id", "birth_datetime"]),
        [["1950", "8507", "1950-02-03T00:00:00"], ["1960", "-", "-"]]
    );
    assert_eq!(
        node.cells("omop.condition_occurrence", &["condition_occurrence_id", "condition_start_date"]),
        [["1", "2020-01-01"], ["4", "-"]]
    );
    assert_eq!(warned(&report, Code::UnreadableValue), 4);
    assert_eq!(rejected(&report), [(3, Code::BadKey), (4, Code::BadKey)]);
}

#[test]
fn o01_ragged_and_unclosed_lines_are_rejected_by_number_and_the_rest_is_kept() {
    let node = Node::new();
    let text = format!(
        "{PERSON}1,8507,1950,,A\r\n2,8507\n\n3,8507,1950,,\"C\nD\"\n4,8507,1950,,E,,\n5,8507,1950,,F,x\n\"6,8507,1950,,G\n7,8507,1950,,H"
    );
    let report = node.ingest(&node.write("person.csv", text));
    assert_eq!(rejected(&report), [(3, Code::FieldCount), (8, Code::FieldCount), (9, Code::UnclosedQuote)]);
    assert_eq!(warned(&report, Code::SurplusFields), 1);
    let counts = table(&report, "omop.person");
    assert_eq!((counts.read, counts.kept), (7, 4));
    let values = node.cells("omop.person", &["person_source_value"]);
    assert_eq!(values, [["A"], ["C\nD"], ["E"], ["H"]]);
}

#[test]
fn a_second_row_of_a_person_is_rejected_and_shared_source_values_are_named() {
    let node = Node::new();
    let text = format!("{PERSON}1,8507,1950,,A\n1,8507,1951,,B\n2,8507,1952,,A\n");
    let report = node.ingest(&node.write("person.csv", text));
    assert_eq!(rejected(&report), [(3, Code::Conflict)]);
    assert_eq!(warned(&report, Code::SharedPerson), 1);
    assert_eq!(node.patients("omop.person", "year_of_birth"), [(1950, Some(0)), (1952, Some(0))]);
}

#[test]
fn public_tables_are_just_rows_and_tables_without_rows_are_there() {
    let node = Node::new();
    node.write("cdm/person.csv", PERSON);
    node.write("cdm/CONCEPT.csv", "concept_id\tconcept_name\n8507\tMALE \"M\"\n");
    let report = node.ingest(&node.source("cdm"));
    let concept = node.rows("omop.concept");
    assert!(concept.schema().fields().iter().all(|field| !field.name().starts_with('_')));
    assert_eq!(node.cells("omop.concept", &["concept_id", "concept_name"]), [["8507", "MALE \"M\""]]);
    assert_eq!((node.rows("omop.person").num_rows(), report.tables.len()), (0, 2));
}

#[test]
fn names_of_version_5_3_and_latin_1_are_read() {
    let node = Node::new();
    let mut text =
        b"visit_occurrence_id|person_id|admitting_source_concept_id|visit_source_value\n1|1|5|".to_vec();
    text.extend_from_slice(b"Pr\xfcfung\n");
    let report = node.ingest(&node.write("VISIT_OCCURRENCE.csv", text));
    let columns = ["admitted_from_concept_id", "visit_source_value"];
    assert_eq!(node.cells("omop.visit_occurrence", &columns), [["5", "Prüfung"]]);
    assert_eq!(warned(&report, Code::Encoding), 1);
}

#[test]
fn identical_records_have_equal_keys() {
    let node = Node::new();
    node.write("cdm/person.csv", format!("{PERSON}1,8507,1950,,A\n"));
    node.write("cdm/condition_occurrence.csv", format!("{CONDITION}1,1,7,\n1,1,7,\n2,1,7,\n"));
    node.ingest(&node.source("cdm"));
    let keys = node.keys("omop.condition_occurrence");
    assert_eq!(keys.len(), 3);
    assert_eq!(keys.windows(2).filter(|pair| pair[0] == pair[1]).count(), 1);
}

#[test]
fn a_column_for_collections_does_not_fit_omop() {
    let mut node = Node::new();
    node.options.collection = Collection::Column("site".into());
    assert_eq!(node.refusal(&node.write("person.csv", PERSON)), Code::Option);
}

#[test]
fn o04_a_missing_key_or_person_column_is_named_before_anything_is_committed() {
    let node = Node::new();
    node.write("cdm/person.csv", format!("{PERSON}1,8507,1950,,A\n"));
    node.write("cdm/condition_occurrence.csv", "condition_occurrence_id,condition_concept_id\n1,2\n");
    let error = node.try_ingest(&node.source("cdm")).unwrap_err();
    assert_eq!((error.code(), node.epoch()), (Code::MissingColumn, 0));
    assert!(error.to_string().contains("person_id"), "{error}");
}
