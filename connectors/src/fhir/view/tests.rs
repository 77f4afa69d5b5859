//! Faults with their places, types by tag, and bounds.

use arrow::array::AsArray;
use arrow::datatypes::{Date32Type, Float64Type, TimestampMicrosecondType};
use serde_json::{Value, json};

use super::*;
use crate::fhir::json::Tape;

fn fault(view: &Value) -> String {
    View::read(&view.to_string()).unwrap_err().to_string()
}

fn view_of(columns: &Value) -> View {
    let view = json!({"resource": "Patient", "select": [{"column": columns}]});
    View::read(&view.to_string()).unwrap()
}

#[test]
fn every_fault_of_a_definition_names_its_place() {
    let id = json!({"name": "id", "path": "id"});
    let selects = |select: Value| json!({"resource": "Patient", "select": [{"column": [id]}, select]});
    for (view, wanted) in [
        (json!([]), "the ViewDefinition: it is no object"),
        (json!({"select": []}), "resource: it is missing"),
        (json!({"resource": "Patient"}), "select: it has no column"),
        (json!({"resource": "Patient", "select": {}}), "select: it is no array"),
        (selects(json!({"forEahc": "name"})), "select[1].forEahc: nothing is known"),
        (selects(json!({"forEach": 1})), "select[1].forEach: it is no text"),
        (selects(json!({"forEach": "a", "repeat": ["b"]})), "select[1]: only one of forEach, repeat"),
        (selects(json!({"column": [id]})), "select[1].column[0].path: the column id is there twice"),
        (
            selects(json!({"column": [{"name": "a b", "path": "c"}]})),
            "select[1].column[0].name: a name is letters",
        ),
        (
            selects(json!({"select": [{"column": [{"name": "a", "path": "b.wher(c)"}]}]})),
            "select[1].select[0].column[0].path: at character 3: there is no function wher(), the nearest is where()",
        ),
        (
            selects(
                json!({"column": [{"name": "a", "path": "b", "tag": [{"name": "ansi/type", "value": "BLOB"}]}]}),
            ),
            "select[1].column[0].tag[0].value: it is no type",
        ),
        (
            selects(
                json!({"unionAll": [{"column": [{"name": "a", "path": "b"}]}, {"column": [{"name": "c", "path": "d"}]}]}),
            ),
            "select[1].unionAll[1]: its columns and types must be those of unionAll[0]: a",
        ),
        (json!({"resource": "Patient", "constant": [{"name": "a"}]}), "constant[0]: it has not one value"),
        (
            json!({"resource": "Patient", "constant": [{"name": "a", "valueDate": "x"}]}),
            "constant[0].valueDate: the value",
        ),
        (json!({"resource": "Patient", "where": [{"path": "a."}]}), "where[0].path: at character 3"),
    ] {
        let fault = fault(&view);
        assert!(fault.starts_with(wanted), "{fault} should begin with {wanted}");
    }
}

#[test]
fn types_come_from_tags_and_what_does_not_fit_is_null_and_counted() {
    let tag = |ty: &str| json!([{"name": "ansi/type", "value": ty}]);
    let view = view_of(&json!([
        {"name": "day", "path": "day", "type": "date", "tag": tag("DATE")},
        {"name": "at", "path": "at", "type": "instant", "tag": tag("TIMESTAMP WITH TIME ZONE")},
        {"name": "number", "path": "number", "type": "decimal"},
    ]));
    let mut sheet = Sheet::new(&view);
    for text in [
        r#"{"day":"1970-01-03","at":"1970-01-01T01:00:00+01:00","number":1.5}"#,
        r#"{"day":"1970-02","at":"1970-01-01","number":1e400}"#,
        r#"{"day":"0001-01-01","at":"never","number":"1.5"}"#,
    ] {
        let mut tape = Tape::default();
        sheet.add(tape.read(text).unwrap().root(), None).unwrap();
    }
    let (columns, doubts) = sheet.finish();
    let days = columns[0].as_primitive::<Date32Type>();
    assert_eq!(days.iter().collect::<Vec<_>>(), [Some(2), Some(31), None]);
    assert_eq!(
        columns[1].as_primitive::<TimestampMicrosecondType>().iter().collect::<Vec<_>>(),
        [Some(0), Some(0), None]
    );
    assert_eq!(columns[2].as_primitive::<Float64Type>().iter().collect::<Vec<_>>(), [Some(1.5), None, None]);
    let counts: Vec<(u64, u64)> = doubts.iter().map(|doubts| (doubts.unreadable, doubts.partial)).collect();
    assert_eq!(counts, [(1, 1), (1, 0), (2, 0)]);
}

#[test]
fn a_resource_that_does_not_fit_is_refused_by_the_place_in_the_view_and_shows_no_value() {
    let text = r#"{"name":[{"given":["Secret","Other"]}]}"#;
    for (path, wanted) in [("name.given", "several items"), ("name", "an object")] {
        let view = view_of(&json!([{"name": "a", "path": path}]));
        let mut tape = Tape::default();
        let error = Sheet::new(&view).add(tape.read(text).unwrap().root(), None).unwrap_err().to_string();
        assert!(error.starts_with("select[0].column[0].path gives") && error.contains(wanted), "{error}");
        assert!(!error.contains("Secret"), "{error}");
    }
}

#[test]
fn a_join_of_joins_ends() {
    let each = |name: &str| json!({"forEach": "item", "column": [{"name": name, "path": "$this"}]});
    let view = json!({"resource": "Patient", "select": [each("a"), each("b"), each("c"), each("d")]});
    let view = View::read(&view.to_string()).unwrap();
    let text = json!({"item": vec!["x"; 100]}).to_string();
    let mut tape = Tape::default();
    let error = Sheet::new(&view).add(tape.read(&text).unwrap().root(), None).unwrap_err();
    assert_eq!(error.fault, Fault::TooMany);
}
