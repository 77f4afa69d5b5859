//! Expressions over one record, and what is refused with its place.

use super::*;
use crate::fhir::json::Tape;

const RECORD: &str = r##"{
    "resourceType": "Observation", "id": "o1", "status": "final",
    "category": [{"coding": [{"system": "a", "code": "x"}, {"system": "b", "code": "y"}]}, {"coding": [{"code": "z"}]}],
    "subject": {"reference": "https://here/fhir/Patient/p1/_history/2"},
    "focus": [{"reference": "Condition/c1"}, {"reference": "urn:uuid:5", "type": "Device"}, {"reference": "#in"}],
    "effectiveDateTime": "2020-02-03T10:00:00+01:00", "issued": "2020-02-03T09:00:00Z",
    "valueQuantity": {"value": 1.50, "unit": "a\u0062"},
    "referenceRange": [{"low": {"value": 1}, "high": {"value": 3}}],
    "note": [null, "n"], "valueSet": "not a choice"
}"##;

/// What an expression gives, as text.
fn answer(text: &str) -> Result<Vec<String>, String> {
    let mut tape = Tape::default();
    let document = tape.read(RECORD).unwrap();
    let constants = [("sys".to_owned(), Literal::Text("b".into()))].into();
    let expr = parse(text, &constants).map_err(|e| e.to_string())?;
    let scope = Scope { this: Some(Item::Node(document.root(), None)), key: Some("o1"), row_index: 7 };
    let mut items = Vec::new();
    let _ = each(&expr, &scope, &mut |item| {
        items.push(match &item {
            Item::Node(value, ty) => match (value.text(), value.number(), value.truth()) {
                (Some(text), ..) => text.into_owned(),
                (_, Some(number), _) => number.to_owned(),
                (_, _, Some(truth)) => truth.to_string(),
                _ => format!("object {}", ty.unwrap_or("?")),
            },
            Item::Text(text) => text.to_string(),
            Item::Truth(truth) => truth.to_string(),
            Item::Integer(number) => number.to_string(),
            Item::Decimal(number) => number.to_string(),
            Item::Temporal(_) => "point".to_owned(),
        });
        Ok(std::ops::ControlFlow::Continue(()))
    })
    .map_err(|e| e.to_string())?;
    Ok(items)
}

#[test]
fn expressions_give_what_fhirpath_says() {
    for (text, expected) in [
        ("status", vec!["final"]),
        ("Observation.status", vec!["final"]),
        ("Patient.status", vec![]),
        ("category.coding.code", vec!["x", "y", "z"]),
        ("category.coding[1].code", vec!["y"]),
        ("category.coding[9].code", vec![]),
        ("category.coding.where(system = %sys).code", vec!["y"]),
        ("category.coding.code.last()", vec!["z"]),
        ("category.coding.count()", vec!["3"]),
        ("category.where(coding.exists(system = 'a')).coding.code.join('|')", vec!["x|y"]),
        ("value", vec!["object Quantity"]),
        ("value.ofType(Quantity).unit", vec!["ab"]),
        ("value.ofType(string)", vec![]),
        ("status.ofType(code)", vec!["final"]),
        ("value is Quantity", vec!["true"]),
        ("value.ofType(FHIR.Quantity).value", vec!["1.50"]),
        ("value.ofType(Quantity).value.lowBoundary()", vec!["1.495"]),
        ("effective.ofType(dateTime) = issued", vec!["true"]),
        ("effective.ofType(dateTime) > @2020-02-03T08:59:59Z", vec!["true"]),
        ("effective.ofType(dateTime) > @2020-02-03", vec![]),
        ("note", vec!["n"]),
        ("valueSet", vec!["not a choice"]),
        ("getResourceKey() = 'o1'", vec!["true"]),
        ("subject.getReferenceKey(Patient)", vec!["p1"]),
        ("subject.getReferenceKey(Device)", vec![]),
        ("focus.getReferenceKey()", vec!["c1", "5"]),
        ("focus.getReferenceKey(Condition)", vec!["c1"]),
        ("%rowIndex + 1", vec!["8"]),
        ("1 + 2 * 3 = 7 and 'a' + 'b' = 'ab'", vec!["true"]),
        ("-(1 - 2)", vec!["1"]),
        ("1 / 0", vec![]),
        ("1 / 4", vec!["0.25"]),
        ("referenceRange.low.value <= referenceRange.high.value", vec!["true"]),
        ("absent and false", vec!["false"]),
        ("absent and true", vec![]),
        ("absent or true", vec!["true"]),
        ("(absent or status = 'final').not()", vec!["false"]),
        ("true xor false", vec!["true"]),
        ("absent.exists() or absent.empty()", vec!["true"]),
        ("category.coding.code = category.coding.code", vec!["true"]),
        ("category.coding.code = 'x'", vec!["false"]),
        ("category[0].coding[0] = category.coding.first()", vec!["true"]),
        ("(category.coding.where(code = 'z') | category.coding).code", vec!["z", "x", "y"]),
        ("(category.coding.where(code = 'z') | category.coding).first().code", vec!["z"]),
        ("status.replace('fin', '')", vec!["al"]),
        ("`status`", vec!["final"]),
        ("'\\u0041\\''", vec!["A'"]),
        ("$this.status", vec!["final"]),
        ("status != 'x'", vec!["true"]),
    ] {
        assert_eq!(answer(text).unwrap(), expected, "{text}");
    }
}

#[test]
fn what_does_not_fit_a_record_is_a_fault_and_shows_no_value() {
    for text in ["category.coding.code and true", "status.not()", "category.where(coding.code)"] {
        let fault = answer(text).unwrap_err();
        assert!(!fault.contains("final") && fault.starts_with("gives"), "{text}: {fault}");
    }
}

#[test]
fn what_is_not_in_the_subset_is_refused_with_its_place() {
    let deep = format!("{}1{}", "(".repeat(40), ")".repeat(40));
    for (text, wanted) in [
        ("@@", "character 2: @ is not"),
        ("name.", "character 6: a name"),
        ("name.where(use = 'x'", "character 21: )"),
        ("name 'x'", "character 6: nothing"),
        ("name.wehre(true)", "character 6: there is no function wehre(), the nearest is where()"),
        ("%unknown", "character 1: %unknown is not defined; the constants are rowIndex sys"),
        ("'open", "character 1: this quote"),
        ("a # b", "character 3: this character"),
        ("a.$index", "only $this"),
        ("", "character 1: an expression is missing"),
        ("a.ofType()", "name of a type"),
        ("9999999999999999999", "too large"),
        (deep.as_str(), "nested more than 32"),
    ] {
        let fault = answer(text).unwrap_err();
        assert!(fault.contains(wanted), "{text}: {fault}");
    }
}
