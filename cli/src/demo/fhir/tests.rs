//! Promises of the resources: references that hold, one subject a chart, nothing empty.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Author, References};
use crate::demo::care::Care;
use crate::demo::person::Plan;
use crate::demo::population::Population;

const PLAN: Plan = Plan { seed: 4, patients: 60 };

/// The charts of a hospital's patients, as JSON.
fn charts(references: References) -> Vec<Vec<Value>> {
    let population = Population::bundled().unwrap();
    let author = Author::new(&population, population.at(1).unwrap()).unwrap();
    let cares = (0..PLAN.patients).map(|number| Care::draw(&population, PLAN, 1, number).unwrap());
    let charts = cares.map(|care| author.chart(&care, references).unwrap());
    charts
        .filter(|chart| !chart.is_empty())
        .map(|chart| chart.iter().map(|of| serde_json::from_str(&of.line()).unwrap()).collect())
        .collect()
}

/// All references in a value.
fn referred(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member.as_str() {
                    Some(text) if name == "reference" => drop(found.insert(text.to_owned())),
                    _ => referred(member, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| referred(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Whether a value holds nothing, which FHIR forbids.
fn has_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty() || items.iter().any(has_nothing),
        Value::Object(members) => members.is_empty() || members.values().any(has_nothing),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

#[test]
fn references_hold_within_the_chart_of_one_patient() {
    for (references, prefix) in [(References::Relative, None), (References::Urn, Some("urn:uuid:"))] {
        for chart in charts(references) {
            let name = |of: &Value| {
                let (kind, id) = (of["resourceType"].as_str().unwrap(), of["id"].as_str().unwrap());
                prefix.map_or(format!("{kind}/{id}"), |prefix| format!("{prefix}{id}"))
            };
            let known: BTreeSet<String> = chart.iter().map(name).collect();
            assert_eq!(known.len(), chart.len(), "identifiers differ");
            let mut found = BTreeSet::new();
            chart.iter().for_each(|resource| referred(resource, &mut found));
            assert!(found.len() >= 2 && found.is_subset(&known));
        }
    }
}

#[test]
fn no_element_is_empty() {
    let charts = charts(References::Relative);
    assert!(charts.len() > 50);
    assert!(charts.iter().flatten().all(|resource| !has_nothing(resource)));
    assert!(has_nothing(&serde_json::json!({ "a": [{ "b": "" }] })), "an empty one is found");
}

#[test]
fn a_line_begins_with_the_type_and_is_one_line() {
    let population = Population::bundled().unwrap();
    let author = Author::new(&population, population.at(1).unwrap()).unwrap();
    let care = Care::draw(&population, PLAN, 1, 3).unwrap();
    for resource in author.chart(&care, References::Relative).unwrap() {
        let line = resource.line();
        assert!(
            line.starts_with(&format!(r#"{{"resourceType":"{}","id":""#, resource.kind)),
            "{}",
            resource.kind
        );
        assert!(!line.contains('\n'));
    }
}
