//! What a folder of views becomes, and what is refused by file, place, reason and fix.

use caim_ontology::Role;
use serde_json::{Value, json};

use super::*;

struct Folder(tempfile::TempDir, Models);

impl Folder {
    fn with(files: &[(&str, &Value)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, view) in files {
            fs::write(folder.path().join(name), view.to_string()).unwrap();
        }
        Self(folder, Models::bundled().unwrap())
    }

    fn read(&self) -> Result<Models> {
        with_views(&self.1, self.0.path())
    }
}

fn view(name: &str, columns: &Value) -> Value {
    let id = json!([{"name": "id", "path": "getResourceKey()"}]);
    json!({"resourceType": "ViewDefinition", "name": name, "resource": "Observation", "description": "Smoking.",
        "select": [{"column": id}, {"column": columns}]})
}

/// The table of a view with one column besides its key.
fn table(column: &Value) -> Result<Table> {
    let folder = Folder::with(&[("v.json", &view("v", &json!([column])))]);
    Ok(folder.read()?.table(SCHEMA, "v").unwrap().clone())
}

#[test]
fn a_folder_adds_tables_to_this_node_and_leaves_the_version_that_nodes_share() {
    let smoking = view("smoking", &json!([{"name": "status", "path": "status", "type": "code"}]));
    let folder = Folder::with(&[("smoking.json", &smoking), ("notes.txt", &json!("not read"))]);
    let models = folder.read().unwrap();
    assert_eq!(models.version(), folder.1.version());
    let table = models.table("fhir", "smoking").unwrap();
    assert_eq!((table.comment.as_str(), table.rows_per_patient), ("Smoking.", 20));
    let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["patient_id", "collection_id", "id", "status"]);
    let key = &table.columns[2];
    assert_eq!(key.role, Role::Identifier { one_patient: true });
    assert_eq!(key.references.as_ref().map(ToString::to_string).as_deref(), Some("fhir.observation.id"));
    let nowhere = folder.0.path().join("absent");
    assert_eq!(with_views(&folder.1, &nowhere).unwrap().model("fhir").unwrap().tables.len(), 13);
}

#[test]
fn a_definition_marks_its_rows_so_that_those_of_another_never_meet_them() {
    let stored = |view: &Value| {
        Folder::with(&[("v.json", view)]).read().unwrap().table("fhir", "v").unwrap().stored.clone()
    };
    let first = view("v", &json!([{"name": "a", "path": "status"}]));
    let second = view("v", &json!([{"name": "a", "path": "code.text"}]));
    assert_ne!(stored(&first), stored(&second));
    let folder = Folder::with(&[]);
    fs::write(folder.0.path().join("v.json"), serde_json::to_string_pretty(&first).unwrap()).unwrap();
    assert_eq!(folder.read().unwrap().table("fhir", "v").unwrap().stored, stored(&first), "but for blanks");
}

#[test]
fn a_column_gets_its_role_from_its_tag_or_its_type() {
    let role = |more: Value| {
        let mut column = json!({"name": "a", "path": "value"});
        column.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        table(&column).map(|table| table.columns[3].role.clone())
    };
    let tag = |name: &str, value: &str| json!([{"name": format!("caim/{name}"), "value": value}]);
    assert_eq!(role(json!({"type": "string"})).unwrap(), Role::Hidden);
    assert_eq!(role(json!({"type": "integer"})).unwrap(), Role::Hidden);
    assert_eq!(role(json!({"type": "code"})).unwrap().name(), "dimension");
    assert_eq!(role(json!({"type": "boolean"})).unwrap().name(), "dimension");
    assert_eq!(role(json!({"type": "string", "tag": tag("role", "dimension")})).unwrap().name(), "dimension");
    assert_eq!(role(json!({"type": "code", "tag": tag("role", "hidden")})).unwrap(), Role::Hidden);
    assert_eq!(role(json!({"tag": [{"name": "ansi/type", "value": "DATE"}]})).unwrap().name(), "date");
    let Role::Measure { bounds } =
        role(json!({"type": "decimal", "tag": tag("bounds", "0..60 by 0.5")})).unwrap()
    else {
        panic!("a decimal with bounds is a measure")
    };
    assert_eq!((bounds.lo, bounds.hi, bounds.grid), (0.0, 60.0, 0.5));
    for (more, wanted) in [
        (json!({"type": "decimal", "tag": tag("bounds", "60..0")}), "caim/bounds: write `lowest..highest`"),
        (json!({"type": "code", "tag": tag("bounds", "0..60")}), "caim/bounds: a number has bounds"),
        (json!({"type": "decimal", "tag": tag("role", "dimension")}), "caim/role: a dimension is"),
        (json!({"tag": tag("role", "secret")}), "caim/role: it is neither"),
        (json!({"tag": tag("rolle", "hidden")}), "tag[0].name: it is none of caim/bounds, caim/role"),
    ] {
        let error = role(more).unwrap_err();
        assert!(error.code() == Code::ViewDefinition && error.to_string().contains(wanted), "{error}");
    }
}

#[test]
fn identifiers_are_keyed_and_what_names_a_person_is_refused() {
    let form = |resource: &str, path: &str| {
        let text = json!({"resource": resource, "select": [{"column": [{"name": "a", "path": path}]}]});
        forms(&View::read(&text.to_string()).unwrap()).map(|forms| forms[0])
    };
    for (path, wanted) in [
        ("getResourceKey()", Form::ResourceKey),
        ("encounter.getReferenceKey()", Form::ReferenceKey),
        ("identifier.where(system = 'x').value.first()", Form::Keyed),
        ("subject.identifier.value", Form::Keyed),
        ("encounter.reference", Form::Keyed),
        ("extension('x').value.ofType(Identifier).value", Form::Keyed),
        ("series.uid.first()", Form::Uid),
        ("code.coding.display.first()", Form::Plain),
        ("identifier.exists()", Form::Plain),
    ] {
        let stored = if path.ends_with("exists()") { Ok(Form::Plain) } else { form("Encounter", path) };
        assert_eq!(stored, Ok(wanted), "{path}");
    }
    for (resource, path) in [
        ("Patient", "name.first().family"),
        ("Patient", "name.text"),
        ("Patient", "address.city"),
        ("Patient", "'a'.replace('a', contact.name.text)"),
        ("Practitioner", "telecom.value"),
        ("Observation", "contained.name.text"),
        ("Observation", "subject.display"),
        ("Observation", "text.div"),
        ("Observation", "note.text"),
        ("DiagnosticReport", "presentedForm.url"),
        ("DocumentReference", "content.attachment.title"),
        ("Observation", "extension('x').value.ofType(HumanName).family"),
    ] {
        let error = form(resource, path).unwrap_err();
        assert!(error.to_string().starts_with("select[0].column[0].path: "), "{error}");
        assert!(error.reason.contains("is not stored"), "{path}: {error}");
    }
    assert_eq!(form("Patient", "address.first().country"), Ok(Form::Plain));
    let number = json!({"name": "a", "path": "identifier.value", "type": "integer"});
    assert!(table(&number).unwrap_err().reason().contains("stored as a text"));
    let list = json!({"name": "a", "path": "status", "collection": true});
    assert_eq!(table(&list).unwrap_err().code(), Code::ViewPersonal);
}

#[test]
fn a_keyed_identifier_hangs_on_the_secret_alone() {
    let values: arrow::array::ArrayRef =
        Arc::new(arrow::array::StringArray::from(vec![Some(" A1 "), Some("A1"), None]));
    let key = |byte| keyed(&crate::Secret::from_bytes([byte; 32]), &values);
    let first = key(1);
    let texts: Vec<Option<&str>> = arrow::array::AsArray::as_string::<i32>(&first).iter().collect();
    assert!(texts[0] == texts[1] && texts[0].unwrap().len() == 32 && texts[2].is_none());
    assert_ne!(&key(2), &first);
}

#[test]
fn what_is_no_view_is_refused_by_file_place_reason_and_fix() {
    let with = |change: fn(&mut Value)| {
        let mut changed = view("v", &json!([{"name": "a", "path": "status"}]));
        change(&mut changed);
        changed
    };
    for (view, code, wanted) in [
        (with(|v| v["resourceType"] = json!("View")), Code::ViewDefinition, "resourceType: it is not"),
        (with(|v| v["resource"] = json!("Observatoin")), Code::ViewDefinition, "the nearest is Observation"),
        (
            with(|v| v["select"][1]["column"][0]["path"] = json!("a.b(")),
            Code::ViewDefinition,
            "select[1].column[0].path",
        ),
        (
            with(|v| v["select"][0]["column"][0]["path"] = json!("id")),
            Code::ViewDefinition,
            "getResourceKey()",
        ),
        (
            with(|v| v["name"] = json!("condition")),
            Code::ViewName,
            "name: the program has a table fhir.condition",
        ),
        (with(|v| v["name"] = json!("My View")), Code::ViewName, "small letters"),
        (
            with(|v| v["select"][1]["column"][0]["name"] = json!("Patient_ID")),
            Code::ViewName,
            "that the program fills",
        ),
    ] {
        let error = Folder::with(&[("mine.json", &view)]).read().unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.place().ends_with("mine.json") && error.to_string().contains(wanted), "{error}");
    }
    let same = with(|_| ());
    let error = Folder::with(&[("a.json", &same), ("b.json", &same)]).read().unwrap_err();
    assert!(error.code() == Code::ViewName && error.place().ends_with("b.json"), "{error}");
}
