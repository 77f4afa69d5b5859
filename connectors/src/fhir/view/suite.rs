//! The official suite of SQL-on-FHIR v2, run through the engine that ingests.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use serde_json::{Value, json};

use super::{Sheet, View};
use crate::fhir::json::Tape;

/// Cases that are not met, each with its reason: file, title, reason.
const SKIPPED: [(&str, &str, &str); 0] = [];

/// Names the file that the results are written to, in the suite's own format (test_report/test-report.schema.json).
const REPORT: &str = "CAIM_SOF_REPORT";

/// What became of the cases of one kind.
#[derive(Debug, Default)]
struct Score {
    passed: usize,
    failed: Vec<String>,
}

fn folder() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/sql-on-fhir/tests");
    if folder.exists() {
        return Some(folder);
    }
    skip(&format!("{} is absent (the suite is not part of a public clone)", folder.display()));
    None
}

/// Says why a case could not run, and tells the runner, which counts it as skipped.
fn skip(reason: &str) {
    println!("skipped: {reason}");
    if let Some(file) = std::env::var_os("CAIM_SKIPS") {
        let mut skips = fs::OpenOptions::new().create(true).append(true).open(file).unwrap();
        skips.write_all(format!("sql-on-fhir: {reason}\n").as_bytes()).unwrap();
    }
}

/// The rows of all resources in a view: what a cell is, by the name of its column.
fn rows(view: &Value, resources: &[Value]) -> Result<(Vec<String>, Vec<Value>), String> {
    let view = View::read(&view.to_string()).map_err(|e| e.to_string())?;
    let mut sheet = Sheet::new(&view);
    for resource in resources.iter().filter(|r| r["resourceType"] == view.resource.as_str()) {
        let (text, mut tape) = (resource.to_string(), Tape::default());
        let document = tape.read(&text).unwrap();
        sheet.add(document.root(), resource["id"].as_str()).map_err(|e| e.to_string())?;
    }
    let names: Vec<String> = view.columns.iter().map(|column| column.name.clone()).collect();
    let (count, (columns, _)) = (sheet.len(), sheet.finish());
    let row = |row| names.iter().cloned().zip(columns.iter().map(|column| cell(column, row))).collect();
    Ok((names.clone(), (0..count).map(row).map(Value::Object).collect()))
}

fn cell(column: &ArrayRef, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Utf8 => json!(column.as_string::<i32>().value(row)),
        DataType::Int64 => json!(column.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => json!(column.as_primitive::<Float64Type>().value(row)),
        DataType::Boolean => json!(column.as_boolean().value(row)),
        DataType::List(_) => {
            let items = column.as_list::<i32>().value(row);
            (0..items.len()).map(|item| cell(&items, item)).collect()
        }
        other => panic!("no case has a column of {other}"),
    }
}

/// A row as text that is the same for equal rows: members in order, numbers by value.
fn canonical(row: &Value) -> String {
    match row {
        Value::Object(members) => {
            let members: BTreeMap<_, _> =
                members.iter().map(|(name, value)| (name, canonical(value))).collect();
            format!("{members:?}")
        }
        Value::Array(items) => format!("{:?}", items.iter().map(canonical).collect::<Vec<_>>()),
        Value::Number(number) => format!("{}", number.as_f64().unwrap()),
        other => other.to_string(),
    }
}

fn sorted(rows: &[Value]) -> Vec<String> {
    let mut rows: Vec<String> = rows.iter().map(canonical).collect();
    rows.sort();
    rows
}

/// Why a case is not met.
fn failure(case: &Value, resources: &[Value]) -> Option<String> {
    let found = rows(&case["view"], resources);
    if case["expectError"] == true {
        return found.is_ok().then(|| "it has rows and should be refused".to_owned());
    }
    let (names, found) = match found {
        Ok(found) => found,
        Err(error) => return Some(error),
    };
    if let Some(count) = case["expectCount"].as_u64().filter(|count| *count != found.len() as u64) {
        return Some(format!("{} rows, not {count}", found.len()));
    }
    if let Some(wanted) = case["expectColumns"].as_array().filter(|wanted| **wanted != names) {
        return Some(format!("columns {names:?}, not {wanted:?}"));
    }
    let expected = case["expect"].as_array()?;
    let (found, expected) = (sorted(&found), sorted(expected));
    (found != expected).then(|| format!("rows {found:#?}, not {expected:#?}"))
}

/// What the report says of a case.
fn reported(title: &str, failure: Option<&str>) -> Value {
    match failure {
        None => json!({"name": title, "result": {"passed": true}}),
        Some(error) => json!({"name": title, "result": {"passed": false, "error": error}}),
    }
}

#[test]
fn every_case_of_the_official_suite_is_met_but_those_with_a_reason() {
    let Some(folder) = folder() else { return };
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut scores, mut report) = (BTreeMap::<String, Score>::new(), BTreeMap::<String, Value>::new());
    for path in &files {
        let file = path.file_name().unwrap().to_string_lossy();
        let suite: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let (resources, mut results) = (suite["resources"].as_array().unwrap(), Vec::new());
        for case in suite["tests"].as_array().unwrap() {
            let title = case["title"].as_str().unwrap();
            let tag = case["tags"][0].as_str().unwrap_or("untagged").to_owned();
            if let Some((.., reason)) = SKIPPED.iter().find(|(f, t, _)| *f == file && *t == title) {
                skip(&format!("{file}: {title}: {reason}"));
                results.push(reported(title, Some(reason)));
                continue;
            }
            let (score, failure) = (scores.entry(tag).or_default(), failure(case, resources));
            results.push(reported(title, failure.as_deref()));
            match failure {
                None => score.passed += 1,
                Some(reason) => score.failed.push(format!("{file}: {title}: {reason}")),
            }
        }
        report.insert(file.into_owned(), json!({ "tests": results }));
    }
    if let Some(path) = std::env::var_os(REPORT) {
        fs::write(path, serde_json::to_string_pretty(&report).unwrap() + "\n").unwrap();
    }
    for (tag, score) in &scores {
        println!("{tag}: {} passed, {} failed", score.passed, score.failed.len());
    }
    let failed: Vec<&String> = scores.values().flat_map(|score| &score.failed).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!((files.len(), scores["shareable"].passed, scores["experimental"].passed), (22, 123, 11));
}

#[test]
fn a_case_that_is_not_met_is_found() {
    let resources = [json!({"resourceType": "Patient", "id": "a"})];
    let view = json!({"resource": "Patient", "select": [{"column": [{"name": "id", "path": "id"}]}]});
    let case = |expect: Value| json!({"view": view, "expect": expect});
    assert_eq!(failure(&case(json!([{"id": "a"}])), &resources), None);
    for wrong in [json!([]), json!([{"id": "b"}]), json!([{"id": "a"}, {"id": "a"}]), json!([{"ID": "a"}])] {
        assert!(failure(&case(wrong), &resources).is_some());
    }
    assert!(failure(&json!({"view": view, "expectError": true}), &resources).is_some());
}
