//! Drugs, specimens, reports and TNM from FHIR, with the profiles of mCODE.

use super::shown;
use crate::fixture::Node;

const RXNORM: &str = "http://www.nlm.nih.gov/research/umls/rxnorm";
const PACLITAXEL: &str = "56946";
const INTENT: &str = r#""extension":[{"url":"http://hl7.org/fhir/us/mcode/StructureDefinition/mcode-treatment-intent","valueCodeableConcept":{"coding":[{"system":"http://snomed.info/sct","code":"373846009"}]}}]"#;

fn coded(system: &str, code: &str) -> String {
    format!(r#"{{"coding":[{{"system":"{system}","code":"{code}","display":"canary"}}],"text":"canary"}}"#)
}

fn resource(ty: &str, id: &str, more: &str) -> String {
    format!(r#"{{"resourceType":"{ty}","id":"{id}","subject":{{"reference":"Patient/a"}},{more}}}"#)
}

fn drug(code: &str) -> String {
    format!(r#""medicationCodeableConcept":{}"#, coded(RXNORM, code))
}

fn node(resources: &[String]) -> Node {
    let patient = r#"{"resourceType":"Patient","id":"a","birthDate":"1950-05-10"}"#.to_owned();
    let all = [&[patient], resources].concat();
    let node = Node::new();
    let report = node.ingest(&node.write("export.ndjson", all.join("\n")));
    assert!(!report.has_rejects(), "{:?}", report.rejects);
    node
}

#[test]
fn a_drug_counts_as_given_else_as_ordered_else_as_taken_and_never_twice() {
    let paclitaxel = drug(PACLITAXEL);
    let (request, statement) = ("MedicationRequest", "MedicationStatement");
    let given = format!(
        r#"{INTENT},"status":"completed",{paclitaxel},"effectiveDateTime":"2020-07-01","request":{{"reference":"MedicationRequest/r1"}},"dosage":{{"dose":{{"value":120,"code":"mg"}},"text":"canary"}}"#
    );
    let order =
        |more: &str| format!(r#""status":"active","intent":"order","authoredOn":"2020-06-20",{more}"#);
    let taken = |status: &str, code: &str| format!(r#""status":"{status}",{}"#, drug(code));
    let inside = format!(
        r##""medicationReference":{{"reference":"#m"}},"contained":[{{"resourceType":"Medication","id":"m","code":{}}}]"##,
        coded(RXNORM, "72962")
    );
    let node = node(&[
        resource("MedicationAdministration", "m1", &given),
        resource("MedicationAdministration", "m2", &given.replace("completed", "not-done")),
        resource(request, "r1", &order(&paclitaxel)),
        resource(request, "r2", &order(&inside)),
        resource(request, "r3", &order(&format!(r#""doNotPerform":true,{}"#, drug("40048")))),
        resource(request, "r4", &order(&drug("161"))),
        resource(statement, "s1", &taken("active", PACLITAXEL)),
        resource(statement, "s2", &taken("not-taken", "40048")),
    ]);
    let columns =
        ["medication_code", "medication_start_date", "medication_total_dose", "medication_dose_unit"];
    assert_eq!(
        shown(&node, "medication_administration", &columns),
        [["Docetaxel", "2020-06-20", "-", "-"], ["Paclitaxel", "2020-07-01", "120.0", "mg"]]
    );
    let columns = ["treatment_type", "treatment_type_original", "treatment_intent", "treatmentidentifier"];
    assert_eq!(
        shown(&node, "treatment", &columns),
        [
            ["Administration of medication", "RXNORM:56946", "Adjuvant - intent", "m1"],
            ["Administration of medication", "RXNORM:72962", "-", "r2"],
        ]
    );
    let treatments = node.cells("eucaim.treatment", &["treatment_id"]);
    assert_eq!(treatments, node.cells("eucaim.medication_administration", &["treatment_id"]));
    assert_eq!(node.count("fhir.medication_request"), 4);
    let columns = ["id", "medication_request_id", "dose"];
    assert_eq!(node.cells("fhir.medication_administration", &columns)[0], ["m1", "r1", "120.0"]);
}

#[test]
fn specimens_and_reports_have_codes_dates_and_links_and_no_text() {
    let specimen = r#""type":{"coding":[{"system":"http://snomed.info/sct","code":"119376003"}]},"collection":{"collectedDateTime":"2020-05-01T10:00:00Z"},"note":[{"text":"canary"}]"#;
    let report = r#""status":"final","code":{"coding":[{"system":"http://loinc.org","code":"60568-3"}]},"effectiveDateTime":"2020-05-02","conclusion":"canary","presentedForm":[{"data":"Y2FuYXJ5"}],"specimen":[{"reference":"Specimen/s2"}]"#;
    let node = node(&[
        resource("Specimen", "s1", specimen),
        resource("Specimen", "s2", &format!(r#"{specimen},"parent":[{{"reference":"Specimen/s1"}}]"#)),
        resource("DiagnosticReport", "d1", report),
    ]);
    assert_eq!(
        node.cells("fhir.specimen", &["id", "type", "collected_date", "parent_id"]),
        [["s1", "119376003", "2020-05-01", "-"], ["s2", "119376003", "2020-05-01", "s1"]]
    );
    let columns = ["id", "code", "effective_date", "specimen_id", "imaging_study_id"];
    assert_eq!(node.cells("fhir.diagnostic_report", &columns), [["d1", "60568-3", "2020-05-02", "s2", "-"]]);
    for table in ["fhir.specimen", "fhir.diagnostic_report"] {
        assert!(!format!("{:?}", node.rows(table)).contains("anary"), "{table}");
    }
}

#[test]
fn tnm_is_recognised_by_the_codes_of_loinc_and_of_snomed_ct() {
    let loinc = ["21905-5", "21906-3", "21907-1", "21908-9", "21899-0", "21900-6", "21901-4", "21902-2"];
    let loinc = loinc.map(|code| ("http://loinc.org", code));
    let sct =
        ["78873005", "277206009", "277208005", "399537006"].map(|code| ("http://snomed.info/sct", code));
    let codes = [loinc.as_slice(), &sct].concat();
    let stage = |(number, (system, code)): (usize, &(&str, &str))| {
        resource(
            "Observation",
            &format!("o{number}"),
            &format!(r#""status":"final","code":{}"#, coded(system, code)),
        )
    };
    let node = node(&codes.iter().enumerate().map(stage).collect::<Vec<_>>());
    assert_eq!(node.count("eucaim.cancer_stage"), codes.len() as u64);
    let found = shown(&node, "cancer_stage", &["cancer_stage_code"]).concat();
    for wanted in ["cT category", "pM category", "T category", "TNM Path Stage Group"] {
        assert!(found.iter().any(|label| label == wanted), "{wanted}: {found:?}");
    }
}
