//! Views of the node's operator, `DIR/views/*.json`: each is a table of schema `fhir` at this node alone.
//!
//! ```text
//! file -> View       by the reader of the bundled views
//!      -> column     what is stored of each column, and what may be asked of it
//!      -> Table      of the node's own models; ingest fills it like the bundled ones
//! ```
//!
//! A view lists what is stored, so an operator decides that. What names a person is refused all the same, identifiers
//! become keyed hashes, and what nobody gave a role is kept and cannot be asked.

mod column;
mod types;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use caim_ontology::{Column, ColumnType, Models, Role, Table, TableKind};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::SCHEMA;
use super::view::{DefinitionError, Origin, View};
use crate::landing::COLLECTION;
use crate::{Code, Error, Result};
pub(super) use column::{Form, keyed};

/// Files of a folder, and bytes of a file, at most.
const MOST_FILES: usize = 100;
const MOST_BYTES: u64 = 1 << 20;
/// The patient of a row, which every table has besides the columns of its view.
const PATIENT: &str = "patient_id";
/// Rows that a patient may add to an answer, where a resource may have several and a patient several resources.
const ROWS_PER_PATIENT: u32 = 20;

/// The models with a table for each view in a folder; without the folder, the models as they are.
///
/// # Errors
/// When a file is no view that can be used: names the file, the place in it, the reason and the fix.
pub fn with_views(models: &Models, folder: &Path) -> Result<Models> {
    let mut tables = Vec::new();
    for path in files(folder)? {
        let table = table(&path, models)?;
        if tables.iter().any(|other: &Table| other.name == table.name) {
            let reason = format!("name: another file of the folder has a view {}, too", table.name);
            return Err(Error::new(Code::ViewName, path.display(), reason));
        }
        tables.push(table);
    }
    if tables.is_empty() {
        return Ok(models.clone());
    }
    models.with_own_tables(SCHEMA, tables).map_err(|e| Error::new(Code::Model, folder.display(), e))
}

/// The tables of a node's own views, in the order of the models.
pub(super) fn tables(models: &Models) -> impl Iterator<Item = (&Table, &str)> {
    let all = models.model(SCHEMA).into_iter().flat_map(|model| &model.tables);
    all.filter_map(|table| Some((table, table.definition.as_deref()?)))
}

/// What of each column of a view is stored.
///
/// # Errors
/// Names the place of the first column that cannot be stored.
pub(super) fn forms(view: &View) -> Result<Vec<Form>, DefinitionError> {
    let many = || fault("select", "it reads more than 10,000 places of a resource");
    let origins = view.origins().ok_or_else(many)?;
    let columns = view.columns.iter().zip(&origins);
    columns.map(|(column, origins)| Form::of(&view.resource, column, origins)).collect()
}

/// The column that holds the key of a row's resource.
pub(super) fn key_column(view: &View) -> Option<usize> {
    let is_key = |origins: &BTreeSet<Origin>| origins.iter().eq([&Origin::ResourceKey]);
    view.origins()?.iter().position(is_key)
}

/// The JSON files of a folder, by name; none where there is no folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let found = match fs::read_dir(folder) {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io(folder, &error)),
    };
    let mut paths = Vec::new();
    for entry in found {
        let path = entry.map_err(|e| Error::io(folder, &e))?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        } else if !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            tracing::warn!("{}: not read; views are files that end in .json", path.display());
        }
    }
    if paths.len() > MOST_FILES {
        let reason = format!("it holds {} views, and at most {MOST_FILES} are read", paths.len());
        return Err(Error::new(Code::ViewDefinition, folder.display(), reason));
    }
    paths.sort();
    Ok(paths)
}

fn table(path: &Path, models: &Models) -> Result<Table> {
    let told = |code: Code| move |e: DefinitionError| Error::new(code, path.display(), e);
    let bytes = fs::metadata(path).map_err(|e| Error::io(path, &e))?.len();
    if bytes > MOST_BYTES {
        return Err(Error::new(Code::ViewDefinition, path.display(), "it is longer than 1 MiB"));
    }
    let text = fs::read_to_string(path).map_err(|e| Error::io(path, &e))?;
    let view = View::read(&text).map_err(told(Code::ViewDefinition))?;
    check(&view, &text).map_err(told(Code::ViewDefinition))?;
    check_names(&view, models).map_err(told(Code::ViewName))?;
    let forms = forms(&view).map_err(told(Code::ViewPersonal))?;
    if key_column(&view) != Some(0) {
        let reason =
            "its first column is not getResourceKey(), by which a later version of a resource finds its rows";
        let fix = r#"begin with the select {"column": [{"name": "id", "path": "getResourceKey()"}]}"#;
        return Err(told(Code::ViewDefinition)(fault("select", reason)).with_fix(fix));
    }
    let mut columns = vec![patient(), collection()];
    for (column, form) in view.columns.iter().zip(&forms) {
        columns.push(form.column(column, &view, models).map_err(told(Code::ViewDefinition))?);
    }
    // White space decides nothing.
    let definition = serde_json::from_str::<Value>(&text).map(|value| value.to_string()).unwrap_or(text);
    let mark = hex::encode(Sha256::digest(&definition).get(..4).unwrap_or_default());
    Ok(Table {
        stored: format!("{}@{mark}", view.name),
        definition: Some(Arc::from(definition)),
        also: Vec::new(),
        kind: TableKind::Patient,
        key: Vec::new(),
        rows_per_patient: if view.resource == "Patient" && view.is_flat() { 1 } else { ROWS_PER_PATIENT },
        name: view.name,
        comment: view.comment,
        columns,
    })
}

/// What the reader of views leaves to others: the kind of the document, and that the type of resource is one.
fn check(view: &View, text: &str) -> Result<(), DefinitionError> {
    let kind = serde_json::from_str::<Value>(text).ok();
    let kind = kind.as_ref().and_then(|value| value.get("resourceType")?.as_str());
    if kind != Some("ViewDefinition") {
        return Err(fault("resourceType", "it is not ViewDefinition"));
    }
    if types::is_one(&view.resource) {
        return Ok(());
    }
    let nearest = types::nearest(&view.resource);
    Err(fault("resource", &format!("FHIR R4 has no resource of this type; the nearest is {nearest}")))
}

fn check_names(view: &View, models: &Models) -> Result<(), DefinitionError> {
    let name = &view.name;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(plain) || name.len() > 63 {
        let reason =
            "it must be 1 to 63 small letters, digits and _, and begin with a letter: the table bears it";
        return Err(fault("name", reason));
    }
    if models.table(SCHEMA, name).is_ok() {
        return Err(fault("name", &format!("the program has a table {SCHEMA}.{name} of its own")));
    }
    let reserved = |column: &&super::view::ViewColumn| {
        [PATIENT, COLLECTION].contains(&column.name.to_lowercase().as_str())
    };
    match view.columns.iter().find(reserved) {
        Some(column) => {
            let reason = format!("every table has a column {} that the program fills", column.name);
            Err(fault(&column.place, &reason))
        }
        None => Ok(()),
    }
}

fn patient() -> Column {
    Column {
        name: PATIENT.to_owned(),
        stored: PATIENT.to_owned(),
        role: Role::UnitId,
        comment: "The patient, by pseudonym: counted and joined on, never shown.".to_owned(),
        ..Column::default()
    }
}

fn collection() -> Column {
    Column {
        name: COLLECTION.to_owned(),
        stored: COLLECTION.to_owned(),
        ty: ColumnType::Text,
        role: Role::Dimension { vocabulary: COLLECTION.to_owned(), bounds: None },
        comment: "The collection that the record was ingested into.".to_owned(),
        ..Column::default()
    }
}

fn fault(place: &str, reason: &str) -> DefinitionError {
    DefinitionError { place: place.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests;
