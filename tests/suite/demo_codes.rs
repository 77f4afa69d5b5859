//! The codes of the demo's records against EUCAIM's hyperontology: what is meant to map does, and the rest is known.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use caim::demo::{Kind, Plan, Population, generate};
use caim_tests::shared;
use serde_json::Value;

/// Codes that the hyperontology does not have: two markers and the whole body. Hospitals have more codes than any
/// federation maps, and the demo shows what becomes of them.
const UNMAPPED: [&str; 3] = ["LOINC:1834-1", "LOINC:24108-3", "SNOMEDCT:38266002"];

/// How the hyperontology calls what OMOP and FHIR name in their own ways; others are not looked for.
const SYSTEMS: [(&str, &str); 8] = [
    ("SNOMED", "SNOMEDCT"),
    ("LOINC", "LOINC"),
    ("UCUM", "UCUM"),
    ("Cancer Modifier", "CANCERMODIFIER"),
    ("http://snomed.info/sct", "SNOMEDCT"),
    ("http://loinc.org", "LOINC"),
    ("http://unitsofmeasure.org", "UCUM"),
    ("http://terminology.hl7.org/CodeSystem/icd-o-3", "ICDO3"),
];

#[test]
fn every_code_of_the_demo_is_in_the_hyperontology_or_known_not_to_be() {
    let Some(path) = shared("ontology/hyperontology_core.tsv") else { return };
    let known = cross_codes(&fs::read_to_string(path).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let omop = source(dir.path(), 0, Kind::Omop);
    let mut used = concepts(&fs::read_to_string(omop.join("CONCEPT.csv")).unwrap());
    used.extend(codings(&source(dir.path(), 1, Kind::FhirLines)));
    assert!(used.len() > 50, "{} codes", used.len());
    let missing: Vec<&str> = used.difference(&known).map(String::as_str).collect();
    assert_eq!(missing, UNMAPPED);
}

fn source(dir: &Path, position: usize, kind: Kind) -> PathBuf {
    let plan = Plan { seed: 2, patients: 200 };
    let folder = dir.join(position.to_string());
    let sources = generate(&Population::bundled().unwrap(), plan, position, &folder).unwrap();
    sources.into_iter().find(|source| source.kind == kind).unwrap().path
}

fn cross_codes(table: &str) -> BTreeSet<String> {
    let rows = table.lines().filter(|line| !line.starts_with('#'));
    let cells = rows.filter_map(|row| row.split('\t').nth(3));
    cells.flat_map(|cell| cell.split(';')).map(str::to_owned).collect()
}

/// `SNOMEDCT:399068003`, for systems that the hyperontology has.
fn code(system: &str, code: &str) -> Option<String> {
    let (_, name) = SYSTEMS.iter().find(|(of, _)| *of == system)?;
    Some(format!("{name}:{code}"))
}

/// The concepts of OMOP's CONCEPT.csv.
fn concepts(table: &str) -> BTreeSet<String> {
    let rows = table.lines().skip(1).map(|row| row.split(',').collect::<Vec<_>>());
    rows.filter_map(|row| code(row[3], row[6])).collect()
}

/// All codings and units of the resources.
fn codings(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        for line in fs::read_to_string(entry.unwrap().path()).unwrap().lines() {
            collect(&serde_json::from_str(line).unwrap(), &mut found);
        }
    }
    found
}

fn collect(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            let text = |name: &str| members.get(name).and_then(Value::as_str);
            if let (Some(system), Some(of)) = (text("system"), text("code")) {
                found.extend(code(system, of));
            }
            members.values().for_each(|member| collect(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
