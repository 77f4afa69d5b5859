//! Hostile and broken FHIR: each fault has the outcome that is promised for it, and its number in the name.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};

use caim_connectors::Code;

use crate::fixture::{Node, rejected, warned};

const GOOD: &str = r#"{"resourceType":"Patient","id":"good"}"#;

/// The most memory that this process has held, in KiB.
fn peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

#[test]
fn f01_a_line_of_half_a_gibibyte_is_one_reject_and_is_never_held() {
    let node = Node::new();
    let path = node.write("a.ndjson", format!("{GOOD}\n{{\"resourceType\":\"Patient\",\"id\":\""));
    let mut file = File::options().write(true).open(&path).unwrap();
    file.seek(SeekFrom::Start(512 << 20)).unwrap();
    file.write_all(format!("\n{}\n", GOOD.replace("good", "after")).as_bytes()).unwrap();
    let before = peak();
    let report = node.ingest(&path);
    assert_eq!(rejected(&report), [(2, Code::LineLimit)]);
    assert_eq!(node.count("fhir.patient"), 2);
    if let (Some(before), Some(after)) = (before, peak()) {
        assert!(after - before < 128 << 10, "{} KiB more", after - before);
    }
}

#[test]
fn f02_arrays_that_are_nested_100_000_deep_are_one_reject_each() {
    let node = Node::new();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let inside = format!(r#"{{"resourceType":"Patient","id":"x","extension":{deep}}}"#);
    let report = node.ingest(&node.write("a.ndjson", [GOOD, &deep, &inside].join("\n")));
    assert_eq!(rejected(&report), [(2, Code::NestingLimit), (3, Code::NestingLimit)]);
    assert_eq!(node.count("fhir.patient"), 1);
    // A file that begins with an array is one document.
    let report = node.ingest(&node.write("b.json", deep));
    assert_eq!(rejected(&report), [(1, Code::NestingLimit)]);
}

#[test]
fn f03_each_kind_of_odd_json_has_its_outcome() {
    let value = |value: &str| {
        format!(r#"{{"resourceType":"Observation","id":"o","valueQuantity":{{"value":{value}}}}}"#)
            .into_bytes()
    };
    for (name, line, code) in [
        ("a key twice", br#"{"resourceType":"Patient","id":"a","id":"b"}"#.to_vec(), Code::BadJson),
        (
            "half a pair of surrogates",
            br#"{"resourceType":"Patient","id":"a\ud800"}"#.to_vec(),
            Code::BadJson,
        ),
        ("no UTF-8", b"{\"resourceType\":\"Patient\",\"id\":\"a\xff\"}".to_vec(), Code::BadJson),
        ("NaN", value("NaN"), Code::BadJson),
        ("Infinity", value("-Infinity"), Code::BadJson),
    ] {
        let node = Node::new();
        let report = node.ingest(&node.write("a.ndjson", [GOOD.as_bytes(), &line].join(&b'\n')));
        assert_eq!(rejected(&report), [(2, code)], "{name}");
        assert_eq!(node.count("fhir.patient"), 1, "{name}");
    }
    let node = Node::new();
    let report = node.ingest(&node.write("a.ndjson", [GOOD.as_bytes(), &value("1e400")].join(&b'\n')));
    assert_eq!(
        (report.has_rejects(), warned(&report, Code::UnreadableValue)),
        (false, 1),
        "a number beyond all"
    );
    let node = Node::new();
    let report = node.ingest(&node.write("a.ndjson", format!("\u{feff}{GOOD}\n")));
    assert_eq!((report.has_rejects(), node.count("fhir.patient")), (false, 1), "a byte order mark");
}

#[test]
fn f04_no_name_address_note_photo_or_identifier_is_stored_or_reported() {
    let patient = r#"{"resourceType":"Patient","id":"a","name":[{"text":"canary","family":"canary"}],"telecom":[{"value":"canary"}],"address":[{"line":["canary"],"city":"canary"}],"identifier":[{"value":"canary"}],"text":{"div":"<div>canary</div>"},"photo":[{"data":"canary"}],"contact":[{"name":{"text":"canary"}}]}"#;
    let observation = r#"{"resourceType":"Observation","id":"o","subject":{"reference":"Patient/a","display":"canary"},"code":{"text":"canary"},"note":[{"text":"canary"}],"comment":"canary","valueString":"canary","performer":[{"display":"canary"}],"text":{"div":"canary"}}"#;
    let node = Node::new();
    let report = node.ingest(&node.write("a.ndjson", [patient, observation].join("\n")));
    assert_eq!(report.kept(), 2);
    for table in ["fhir.patient", "fhir.observation"] {
        assert!(!format!("{:?}", node.rows(table)).contains("canary"), "{table}");
    }
    assert!(!format!("{report}{report:?}").contains("canary"));
    let files = walk(&node.folder());
    assert!(files.len() > 3 && files.iter().all(|bytes| position_of(bytes, b"canary").is_none()));
}

#[test]
fn f05_orphans_circles_and_contained_resources_count_no_patient_of_the_source() {
    let about = |id: &str, more: &str| {
        format!(r#"{{"resourceType":"Observation","id":"{id}","subject":{{"reference":"{more}"}}}}"#)
    };
    let circle = r#"{"resourceType":"Observation","id":"c","subject":{"reference":"Observation/d"},"hasMember":[{"reference":"Observation/d"}]}
{"resourceType":"Observation","id":"d","subject":{"reference":"Observation/c"},"hasMember":[{"reference":"Observation/c"}]}"#;
    let contained = r##"{"resourceType":"Observation","id":"i","subject":{"reference":"#p"},"contained":[{"resourceType":"Patient","id":"p"}]}"##;
    let lines = [GOOD, &about("o", "Patient/good"), &about("x", "Patient/absent"), circle, contained];
    let node = Node::new();
    let report = node.ingest(&node.write("a.ndjson", lines.join("\n")));
    assert_eq!((warned(&report, Code::Orphan), warned(&report, Code::NoPatient)), (1, 3));
    assert_eq!((node.count("fhir.patient"), node.count("fhir.observation")), (1, 5));
    let good = node.cells("fhir.patient", &["_patient"]).concat();
    let cells = node.cells("fhir.observation", &["id", "_patient"]);
    let of_good = cells.iter().filter(|row| row[1] == good[0]).map(|row| row[0].as_str());
    assert_eq!(of_good.collect::<Vec<_>>(), ["o"]);
}

#[test]
fn f06_a_last_line_that_was_cut_is_one_reject_and_no_part_of_it_comes_in() {
    let whole = format!("{GOOD}\n{}", r#"{"resourceType":"Patient","id":"cut","gender":"male"}"#);
    let mut node = Node::new();
    node.options.dry_run = true;
    for length in GOOD.len() + 2..whole.len() {
        let report = node.ingest(&node.write("a.ndjson", &whole[..length]));
        assert_eq!((report.kept(), rejected(&report)), (1, vec![(2, Code::BadJson)]), "{length} bytes");
    }
    node.options.dry_run = false;
    node.ingest(&node.write("a.ndjson", &whole[..whole.len() - 1]));
    assert_eq!(node.cells("fhir.patient", &["id"]), [["good"]]);
}

/// The bytes of all files below a folder.
fn walk(folder: &std::path::Path) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(fs::read(path).unwrap()) }
    }
    found
}

fn position_of(bytes: &[u8], word: &[u8]) -> Option<usize> {
    bytes.windows(word.len()).position(|window| window == word)
}
