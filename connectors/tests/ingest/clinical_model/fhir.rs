//! The clinical tables from FHIR.

use super::shown;
use crate::fixture::Node;

const SCT: &str = "http://snomed.info/sct";
const LOINC: &str = "http://loinc.org";
const INTENT: &str = "http://hl7.org/fhir/us/mcode/StructureDefinition/mcode-treatment-intent";

fn coded(system: &str, code: &str) -> String {
    format!(r#"{{"coding":[{{"system":"{system}","code":"{code}"}}]}}"#)
}

/// A resource of the one patient, with further elements.
fn resource(ty: &str, id: &str, code: &str, more: &str) -> String {
    format!(
        r#"{{"resourceType":"{ty}","id":"{id}","subject":{{"reference":"Patient/a"}},"code":{code}{more}}}"#
    )
}

fn procedure(id: &str, code: &str, more: &str) -> String {
    resource("Procedure", id, &coded(SCT, code), more)
}

fn observation(id: &str, code: &str, category: Option<&str>, value: f64) -> String {
    let category = category
        .map_or(String::new(), |category| format!(r#","category":[{{"coding":[{{"code":"{category}"}}]}}]"#));
    let value = format!(
        r#","status":"final","effectiveDateTime":"2020-05-19","valueQuantity":{{"value":{value},"code":"g/dL"}}"#
    );
    resource("Observation", id, &coded(LOINC, code), &(category + &value))
}

fn hospital() -> Node {
    let for_condition = |id: &str| format!(r#","reasonReference":[{{"reference":"Condition/{id}"}}]"#);
    let intent =
        format!(r#","extension":[{{"url":"{INTENT}","valueCodeableConcept":{}}}]"#, coded(SCT, "373846009"));
    let operation = [
        r#","status":"completed","performedDateTime":"2020-06-08""#,
        &for_condition("c1"),
        &intent,
        r#","bodySite":["#,
        &coded(SCT, "41216001"),
        "]",
    ];
    let course =
        r#","status":"completed","performedPeriod":{"start":"2020-09-01","end":"2020-10-10"}"#.to_owned();
    let biopsy = r#","status":"completed","performedDateTime":"2020-05-01""#.to_owned();
    let resources = [
        r#"{"resourceType":"Patient","id":"a","birthDate":"1950-05-10"}"#.to_owned(),
        resource("Condition", "c1", &coded(SCT, "399068003"), r#","onsetDateTime":"2020-05-09""#),
        resource("Condition", "c2", &coded(SCT, "59621000"), r#","onsetDateTime":"2018-01-01""#),
        procedure("p1", "26294005", &operation.concat()),
        procedure("p2", "384692006", &course),
        procedure("p3", "65575008", &(biopsy + &for_condition("c2"))),
        procedure("p4", "26294005", r#","status":"not-done""#),
        observation("o1", "718-7", Some("laboratory"), 13.5),
        observation("o2", "2857-1", Some("laboratory"), 8.1),
        observation("o3", "8867-4", Some("vital-signs"), 70.0),
        observation("o4", "777-3", None, 300.0),
        observation("o5", "89247-1", Some("survey"), 1.0),
    ];
    let node = Node::new();
    node.ingest(&node.write("export.ndjson", resources.join("\n")));
    node
}

#[test]
fn procedures_name_the_cancer_that_they_were_done_for_and_no_other_condition() {
    let node = hospital();
    let columns =
        ["procedure_code", "procedure_date", "procedure_offset_from_diagnosis", "procedureidentifier"];
    assert_eq!(
        shown(&node, "procedure", &columns),
        [
            ["Biopsy of prostate", "2020-05-01", "-8.0", "p3"],
            ["Intracavitary brachytherapy", "2020-09-01", "115.0", "p2"],
            ["Radical prostatectomy", "2020-06-08", "30.0", "p1"],
        ]
    );
    let cancer = node.cells("eucaim.cancer_condition", &["cancer_condition_id"])[0][0].clone();
    assert_eq!(
        node.cells("eucaim.procedure", &["procedureidentifier", "cancer_condition_id"]),
        [["p1", cancer.as_str()], ["p2", "-"], ["p3", "-"]]
    );
}

#[test]
fn treatments_have_their_intent_and_their_kind_a_table_of_its_own() {
    let node = hospital();
    let columns = ["treatment_type", "treatment_intent", "treatment_date"];
    assert_eq!(
        shown(&node, "treatment", &columns),
        [["Radiotherapy", "-", "2020-09-01"], ["Surgical procedure", "Adjuvant - intent", "2020-06-08"]]
    );
    let columns = [
        "surgical_procedure_code",
        "surgical_procedure_body_site_code",
        "surgical_procedure_offset_from_diagnosis",
    ];
    let operations = shown(&node, "surgical_procedure", &columns);
    assert_eq!(operations, [["Radical prostatectomy", "Prostate", "30"]]);
    let columns = ["radiotherapy_technique", "radiotherapy_end_date", "radiotherapy_technique_original"];
    let courses = shown(&node, "radiotherapy", &columns);
    assert_eq!(courses, [["Intracavitary brachytherapy", "2020-10-10", "SNOMEDCT:384692006"]]);
}

#[test]
fn observations_go_to_the_table_that_their_code_and_category_say() {
    let node = hospital();
    let columns = ["lab_test_code", "lab_test_value_as_number", "lab_test_offset_from_diagnosis"];
    assert_eq!(
        shown(&node, "lab_test_result", &columns),
        [
            ["Hemoglobin [Mass/volume] in Blood", "13.5", "10"],
            ["Platelets [#/volume] in Blood", "300.0", "10"]
        ]
    );
    assert_eq!(node.count("eucaim.tumor_marker_test"), 1);
    let assessed =
        shown(&node, "health_status_assessment", &["assessment_code", "assesment_value_as_number"]);
    assert_eq!(assessed, [["ECOG Performance Status score", "1.0"]]);
}

#[test]
fn conditions_that_are_no_cancers_are_the_history_of_their_patient() {
    let node = hospital();
    let columns =
        ["medical_history_code_original", "medical_history_onset_age", "medical_history_onset_age_unit"];
    assert_eq!(shown(&node, "medical_history", &columns), [["SNOMEDCT:59621000", "67.0", "a"]]);
}
