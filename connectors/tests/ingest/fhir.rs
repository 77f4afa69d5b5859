//! FHIR from end to end: patients and references, duplicates and conflicts, and what stays out.

use std::io::Write;

use arrow::array::AsArray;
use caim_connectors::{Code, Collection, Format};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::fixture::{Node, rejected, table, warned};

const MR: &str = r#"{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR"}]},"system":"http://here","value":"P1"}"#;

fn patient(id: &str, more: &str) -> String {
    format!(r#"{{"resourceType":"Patient","id":"{id}","gender":"female"{more}}}"#)
}

fn condition(id: &str, subject: &str) -> String {
    format!(
        r#"{{"resourceType":"Condition","id":"{id}","subject":{subject},"code":{{"coding":[{{"system":"http://hl7.org/fhir/sid/icd-10","code":"C61"}},{{"system":"http://snomed.info/sct","code":"399068003","display":"canary"}}]}}}}"#
    )
}

fn about(reference: &str) -> String {
    format!(r#"{{"reference":"{reference}"}}"#)
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// The ordinals of the patients of a table, by the id of the resource.
fn patients(node: &Node, name: &str) -> Vec<(String, String)> {
    node.cells(name, &["id", "_patient"]).into_iter().map(|row| (row[0].clone(), row[1].clone())).collect()
}

#[test]
fn a_patient_meets_the_same_person_of_dicom_by_the_medical_record_number() {
    let node = Node::new();
    let series = "PatientID,StudyInstanceUID,SeriesInstanceUID\nP0,1.1,1.1.1\nP1,1.2,1.2.1\n";
    node.ingest(&node.write("series.csv", series));
    let text = [
        condition("c1", &about("Patient/a")),
        patient("a", &format!(r#","identifier":[{{"system":"http://other","value":"P0"}},{MR}]"#)),
        patient("b", ""),
    ];
    let report = node.ingest(&node.write("export.ndjson", text.join("\n")));
    assert_eq!((report.format.as_str(), report.kept(), report.has_rejects()), ("fhir", 5, false));
    let of_series = node.cells("dicom.series", &["seriesinstanceuid", "_patient"]);
    let p1 = of_series.iter().find(|row| row[0] == "1.2.1").map(|row| row[1].clone()).unwrap();
    assert_eq!(patients(&node, "fhir.condition"), [("c1".to_owned(), p1.clone())]);
    let found = patients(&node, "fhir.patient");
    assert_eq!(found[0], ("a".to_owned(), p1.clone()));
    assert!(found[1].1 != p1 && found[1].1 != "-");
}

#[test]
fn the_identity_section_says_which_identifier_names_the_patient() {
    let series = "PatientID,StudyInstanceUID,SeriesInstanceUID\nP0,1.1,1.1.1\n";
    let identifiers = format!(r#","identifier":[{MR},{{"system":"http://other","value":"P0"}}]"#);
    for (system, meets) in [(None, false), (Some("http://other"), true), (Some("http://nowhere"), false)] {
        let mut node = Node::new();
        node.identity.fhir_system = system.map(str::to_owned);
        node.ingest(&node.write("series.csv", series));
        node.ingest(&node.write("export.ndjson", patient("a", &identifiers)));
        let same = node.cells("dicom.series", &["_patient"]) == node.cells("fhir.patient", &["_patient"]);
        assert_eq!(same, meets, "{system:?}");
    }
}

#[test]
fn references_of_every_form_lead_to_their_patient() {
    let node = Node::new();
    let entry = |url: &str, resource: &str| format!(r#"{{"fullUrl":"{url}","resource":{resource}}}"#);
    let bundle =
        |entries: &[String]| format!(r#"{{"resourceType":"Bundle","entry":[{}]}}"#, entries.join(","));
    // Two Bundles that call different patients by one URN, and a server with the same id as another.
    let one = bundle(&[
        entry("urn:uuid:1", &patient("a", "")),
        entry("http://here/Patient/b", &patient("b", "")),
        entry("urn:uuid:2", &condition("c1", &about("urn:uuid:1"))),
        entry("urn:uuid:3", &condition("c2", &about("http://here/Patient/b"))),
        entry("urn:uuid:4", &condition("c3", &about("Patient/b/_history/3"))),
    ]);
    let two = bundle(&[
        entry("urn:uuid:5", &condition("c4", &about("urn:uuid:1"))),
        entry("urn:uuid:1", &patient("c", "")),
    ]);
    let lines = [
        condition("c5", &about("Patient/a")),
        condition("c6", &about("https://any/fhir/Patient/a")),
        condition("c7", &about("http://elsewhere/Patient/b")),
        condition("c8", &about("Group/a")),
        condition("c9", &about("#inside")),
        condition("d1", r#"{"display":"somebody"}"#),
        condition("d2", &about("Patient/absent")),
        condition("d3", &about("Patient/absent")),
    ];
    node.write("source/1.json", one);
    node.write("source/2.json.gz", gzip(two.as_bytes()));
    node.write("source/3.ndjson", lines.join("\r\n"));
    let report = node.ingest(&node.source("source"));
    let patient_of: std::collections::BTreeMap<String, String> =
        patients(&node, "fhir.patient").into_iter().chain(patients(&node, "fhir.condition")).collect();
    let of = |id: &str| patient_of[id].as_str();
    for (condition, patient) in [("c1", "a"), ("c2", "b"), ("c3", "b"), ("c4", "c"), ("c5", "a"), ("c6", "a")]
    {
        assert_eq!(of(condition), of(patient), "{condition}");
    }
    assert_eq!([of("c8"), of("c9"), of("d1")], ["-"; 3]);
    assert_eq!(of("d2"), of("d3"));
    for orphan in ["c7", "d2"] {
        assert!(!["a", "b", "c"].map(of).contains(&of(orphan)) && of(orphan) != "-", "{orphan}");
    }
    assert_eq!((warned(&report, Code::NoPatient), warned(&report, Code::Orphan)), (3, 3));
}

#[test]
fn a_patient_can_be_named_by_identifier_alone() {
    let node = Node::new();
    let lines = [
        patient("a", &format!(r#","identifier":{MR}"#)),
        condition("c", &format!(r#"{{"identifier":{MR}}}"#)),
    ];
    let report = node.ingest(&node.write("a.ndjson", lines.join("\n")));
    assert_eq!(node.cells("fhir.patient", &["_patient"]), node.cells("fhir.condition", &["_patient"]));
    assert_eq!(warned(&report, Code::Orphan) + warned(&report, Code::NoPatient), 0);
}

#[test]
fn identifiers_of_several_systems_are_warned_of_until_an_alias_tells_them_apart() {
    let of = |id: &str, system: &str| {
        patient(id, &format!(r#","identifier":{}"#, MR.replace("http://here", system)))
    };
    let text = [of("a", "http://here"), of("b", "http://there"), of("c", "http://here")].join("\n");
    let mut node = Node::new();
    let report = node.ingest(&node.write("a.ndjson", &text));
    assert_eq!(warned(&report, Code::SeveralSystems), 1);
    node.identity.issuer_aliases.insert("http://there".into(), "there".into());
    let report = node.ingest(&node.source("a.ndjson"));
    assert_eq!(warned(&report, Code::SeveralSystems), 0);
    let found = patients(&node, "fhir.patient");
    assert!(found[0].1 == found[2].1 && found[0].1 != found[1].1);
}

#[test]
fn the_same_resource_again_is_a_duplicate_and_another_with_its_id_a_conflict() {
    let node = Node::new();
    let other = condition("c", &about("Patient/a")).replace("C61", "C50");
    let lines = [
        patient("a", ""),
        condition("c", &about("Patient/a")),
        format!(" {} ", condition("c", &about("Patient/a"))),
        other,
        condition("", &about("Patient/a")),
    ];
    let report = node.ingest(&node.write("a.ndjson", lines.join("\n")));
    let counts = |name: &str| {
        let table = table(&report, name);
        (table.read, table.kept, table.duplicates, table.rejected)
    };
    assert_eq!(counts("fhir.condition"), (4, 1, 1, 2));
    assert_eq!(counts("fhir.condition_coding"), (4, 2, 2, 0));
    assert_eq!(rejected(&report), [(4, Code::Conflict), (5, Code::BadKey)]);
    assert_eq!(warned(&report, Code::Duplicate), 1);
    assert!(node.ingest(&node.source("a.ndjson")).unchanged);
}

#[test]
fn views_take_what_a_cancer_data_model_needs_and_no_text_of_people() {
    let node = Node::new();
    let text = r#"{"resourceType":"Patient","id":"a","name":[{"family":"canary","given":["canary"]}],"text":{"div":"canary"},"telecom":[{"value":"canary"}],"address":[{"line":["canary"]}],"photo":[{"data":"canary"}],"identifier":[{"value":"canary"}],"birthDate":"1950-06","deceasedDateTime":"2020-01-02T10:00:00+01:00"}
{"resourceType":"Condition","id":"c","subject":{"reference":"Patient/a","display":"canary"},"note":[{"text":"canary"}],"clinicalStatus":{"coding":[{"code":"active"}]},"verificationStatus":{"coding":[{"code":"confirmed"}]},"code":{"text":"canary","coding":[{"system":"http://hl7.org/fhir/sid/icd-10","code":"C61","display":"canary"},{"system":"http://snomed.info/sct","code":"399068003"}]},"bodySite":[{"coding":[{"system":"http://snomed.info/sct","code":"41216001"}]}],"onsetPeriod":{"start":"2019-03-04"},"recordedDate":"2019-03-05","stage":[{"summary":{"coding":[{"code":"II"}]},"type":{"coding":[{"code":"260998006"}]}}],"extension":[{"url":"http://hl7.org/fhir/us/mcode/StructureDefinition/mcode-histology-morphology-behavior","valueCodeableConcept":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/icd-o-3","code":"8140/3"}]}}]}
{"resourceType":"Observation","id":"o","status":"final","subject":{"reference":"Patient/a"},"note":[{"text":"canary"}],"valueQuantity":{"value":4.50,"unit":"ng per ml","code":"ng/mL"},"focus":[{"reference":"Condition/c"}],"code":{"coding":[{"system":"http://local","code":"psa"},{"system":"http://loinc.org","code":"2857-1"}]},"effectiveDateTime":"2019-02-01T08:00:00Z","component":[{"code":{"coding":[{"code":"x"}]},"valueInteger":3},{"code":{"coding":[{"code":"y"}]},"valueString":"canary"}]}
{"resourceType":"ImagingStudy","id":"i","status":"available","subject":{"reference":"Patient/a"},"identifier":[{"system":"urn:dicom:uid","value":"urn:oid:1.2.3"}],"started":"2019-01-01","series":[{"uid":"1.2.3.4","modality":{"code":"MR"},"numberOfInstances":30,"description":"canary"}]}"#;
    let report = node.ingest(&node.write("a.ndjson", text));
    let row = |name: &str, columns: &[&str]| node.cells(name, columns).concat();
    assert_eq!(
        row("fhir.patient", &["birth_date", "deceased", "deceased_date"]),
        ["1950-06-01", "true", "2020-01-02"]
    );
    assert_eq!(warned(&report, Code::PartialDate), 1);
    assert_eq!(
        row(
            "fhir.condition",
            &["clinical_status", "code", "onset_date", "body_site", "morphology", "stage", "stage_type"]
        ),
        ["active", "399068003", "2019-03-04", "41216001", "8140/3", "II", "260998006"]
    );
    let codings = node.cells("fhir.condition_coding", &["element", "code"]);
    assert_eq!(
        codings.concat(),
        ["body_site", "41216001", "code", "399068003", "code", "C61", "morphology", "8140/3", "stage", "II"]
    );
    assert_eq!(
        row("fhir.observation", &["code", "value_number", "value_unit", "focus_id", "effective_date"]),
        ["2857-1", "4.5", "ng/mL", "c", "2019-02-01"]
    );
    assert_eq!(
        row("fhir.observation_component", &["position", "code", "value_number"]),
        ["0", "x", "3.0", "1", "y", "-"]
    );
    assert_eq!(row("fhir.imaging_study", &["study_uid", "number_of_series"]), ["1.2.3", "-"]);
    assert_eq!(
        row(
            "fhir.imaging_series",
            &["imaging_study_id", "study_uid", "series_uid", "modality", "number_of_instances"]
        ),
        ["i", "1.2.3", "1.2.3.4", "MR", "30"]
    );
    let mut texts = 0;
    for name in node.warehouse.current().unwrap().tables() {
        for column in node.rows(&name.to_string()).columns() {
            for text in column.as_string_opt::<i32>().into_iter().flatten().flatten() {
                texts += 1;
                assert!(!text.contains("canary"), "{name}");
            }
        }
    }
    assert!(texts > 40);
    assert!(!format!("{report:?}").contains("canary"));
}

#[test]
fn types_without_a_view_are_counted_and_named() {
    let node = Node::new();
    let claim = r#"{"resourceType":"Claim","id":"1"}"#;
    let report = node.ingest(&node.write("a.ndjson", [claim, &patient("a", ""), claim].join("\n")));
    let named = report.warnings.iter().find(|warning| warning.code == Code::NoView).unwrap();
    assert_eq!((named.table.as_str(), named.column.as_deref(), named.count), ("fhir", Some("Claim"), 2));
    assert!(!report.has_rejects());
}

#[test]
fn a_sample_reads_the_first_resources_and_commits_nothing() {
    let mut node = Node::new();
    node.options.sample = Some(2);
    let lines: Vec<String> = (0..10).map(|id| patient(&id.to_string(), "")).collect();
    let before = node.epoch();
    let report = node.ingest(&node.write("a.ndjson", lines.join("\n")));
    assert_eq!((table(&report, "fhir.patient").kept, node.epoch()), (2, before));
}

#[test]
fn a_column_of_collections_is_refused() {
    let mut node = Node::new();
    let source = node.write("a.ndjson", patient("a", ""));
    node.options.collection = Collection::Column("collection".into());
    assert_eq!(node.refusal(&source), Code::Option);
}

#[test]
fn a_damaged_or_dishonest_gzip_is_refused_whole() {
    let node = Node::new();
    let lines: Vec<String> = (0..1000).map(|id| patient(&id.to_string(), "")).collect();
    let whole = gzip(lines.join("\n").as_bytes());
    let mut flipped = whole.clone();
    let end = flipped.len() - 6;
    flipped[end] ^= 1;
    for (name, bytes, code) in [
        ("cut.ndjson.gz", whole[..whole.len() / 2].to_vec(), Code::DamagedGzip),
        ("flipped.ndjson.gz", flipped, Code::DamagedGzip),
        ("bomb.ndjson.gz", gzip(&vec![b' '; 80 << 20]), Code::GzipLimit),
    ] {
        let source = node.write(name, bytes);
        assert_eq!(node.refusal(&source), code, "{name}");
    }
    let report = node.ingest(&node.write("whole.ndjson.gz", whole));
    assert_eq!(report.kept(), 1000);
}

#[test]
fn bad_lines_are_rejected_one_by_one_with_line_code_and_no_value() {
    let node = Node::new();
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let long = format!(r#"{{"resourceType":"Patient","id":"long","x":"{}"}}"#, "canary".repeat(3 << 20));
    let mut text = Vec::new();
    for line in [
        patient("a", "").as_bytes(),
        br#"{"resourceType":"Patient","id":"b""#,
        deep.as_bytes(),
        br#"{"resourceType":"Patient","id":"c","id":"canary"}"#,
        br#"{"resourceType":"Patient","id":"canary\ud800"}"#,
        b"{\"resourceType\":\"Patient\",\"id\":\"canary\xff\"}",
        br#"{"resourceType":"Observation","id":"n","valueQuantity":{"value":NaN}}"#,
        br#"{"name":"canary"}"#,
        b"",
        long.as_bytes(),
        br#"{"resourceType":"Patient","id":"d","gender":["male","canary"]}"#,
        br#"{"resourceType":"Patient","id":"e","gender":{"canary":1}}"#,
        br#"{"resourceType":"Observation","id":"o","valueQuantity":{"value":1e400}}"#,
        br#"{"resourceType":"Patient","id":"f"}"#,
        br#"{"resourceType":"Patient","id":"cut"#,
    ] {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    let report = node.ingest(&node.write("a.ndjson", text));
    let mut found = rejected(&report);
    found.sort_unstable();
    let expected = [
        (2, Code::BadJson),
        (3, Code::NestingLimit),
        (4, Code::BadJson),
        (5, Code::BadJson),
        (6, Code::BadJson),
        (7, Code::BadJson),
        (8, Code::NotFhir),
        (10, Code::LineLimit),
        (11, Code::ViewMismatch),
        (12, Code::ViewMismatch),
        (15, Code::BadJson),
    ];
    assert_eq!(found, expected);
    let stored: Vec<String> = patients(&node, "fhir.patient").into_iter().map(|(id, _)| id).collect();
    assert_eq!(stored, ["a", "f"]);
    assert_eq!(node.cells("fhir.observation", &["id", "value_number"]), [["o", "-"]]);
    assert_eq!(warned(&report, Code::UnreadableValue), 1);
    assert!(!report.to_string().contains("canary"), "{report}");
}

#[test]
fn json_that_is_no_fhir_is_refused_and_said_so() {
    let mut node = Node::new();
    let source = node.write("package.json", "{\n  \"name\": \"canary\",\n  \"version\": \"1\"\n}\n");
    for format in [Format::Auto, Format::Fhir] {
        node.options.format = format;
        let error = node.try_ingest(&source).unwrap_err();
        assert_eq!(error.code(), Code::NotFhir);
        assert!(error.to_string().contains("package.json") && !error.to_string().contains("canary"));
    }
}

#[test]
fn a_bundle_that_was_cut_is_one_reject_and_a_whole_one_beside_it_comes_in() {
    let node = Node::new();
    let bundle = format!(
        "{{\n \"resourceType\": \"Bundle\",\n \"entry\": [\n{{\"resource\": {}}}]}}",
        patient("a", "")
    );
    node.write("source/a.json", &bundle);
    node.write("source/b.json", &bundle[..bundle.len() - 3]);
    let report = node.ingest(&node.source("source"));
    assert_eq!((report.kept(), rejected(&report)), (1, vec![(1, Code::BadJson)]));
}
