//! A mapping file: TOML that says which rows of the common model a row of a file gives.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use caim_ontology::{Column, Models, Table};
use serde::Deserialize;

use crate::build::COMMON;
use crate::{Code, Error, Result};

/// A mapping file, checked against the model.
#[derive(Debug, Clone)]
pub(crate) struct TableMapping {
    /// Where it was read.
    pub(crate) path: String,
    /// Its text, which decides what rows become.
    pub(crate) text: String,
    /// The column that names the patient.
    pub(crate) patient: String,
    /// Who issued the patient's identifier, if not the default issuer.
    pub(crate) issuer: Option<String>,
    /// Where a date has year, month and day.
    pub(super) dates: Dates,
    /// Whether a comma stands before the decimals.
    pub(super) decimal_comma: bool,
    /// What each row gives.
    pub(super) entries: Vec<Entry>,
    files: Vec<String>,
}

/// A row of one table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) name: String,
    /// The columns that tell one row from another; by default that of the patient.
    #[serde(default)]
    pub(super) key: Vec<String>,
    pub(super) columns: BTreeMap<String, Cell>,
}

/// Where the value of a column comes from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
pub(super) struct Cell {
    /// The column of the file.
    pub(super) column: Option<String>,
    /// What the file's values mean. Without it they are taken as they are.
    pub(super) values: Option<BTreeMap<String, String>>,
    /// One value for all rows.
    pub(super) value: Option<String>,
    /// The key of the row that the same line gives to that table.
    pub(super) key: Option<String>,
}

/// Which part of a date stands first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub(super) enum Dates {
    /// Year first, as ISO 8601 has it.
    #[default]
    #[serde(rename = "yyyy-mm-dd")]
    Iso,
    /// Day first; any separator.
    #[serde(rename = "dd-mm-yyyy", alias = "dd/mm/yyyy", alias = "dd.mm.yyyy")]
    Day,
    /// Month first; any separator.
    #[serde(rename = "mm-dd-yyyy", alias = "mm/dd/yyyy")]
    Month,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    files: Vec<String>,
    patient: String,
    issuer: Option<String>,
    #[serde(default)]
    dates: Dates,
    #[serde(default)]
    decimal_comma: bool,
    table: Vec<Entry>,
}

impl TableMapping {
    /// All mapping files of a folder, by name; none where there is no folder.
    pub(crate) fn of_folder(folder: &Path, models: &Models) -> Result<Vec<Self>> {
        let Ok(found) = fs::read_dir(folder) else { return Ok(Vec::new()) };
        let mut paths: Vec<_> = found.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
        paths.sort();
        paths.iter().map(|path| Self::read(path, models)).collect()
    }

    /// Reads and checks one file.
    ///
    /// # Errors
    /// Names the place in the file, and what does not fit the model.
    pub(crate) fn read(path: &Path, models: &Models) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(|e| Error::io(path, &e))?;
        let fault = |reason: String| Error::new(Code::TableMapping, path.display(), reason);
        let document: Document = toml::from_str(&text).map_err(|e| fault(e.to_string().trim().to_owned()))?;
        let Document { files, patient, issuer, dates, decimal_comma, table } = document;
        let path = path.display().to_string();
        let mapping = Self { path, text, patient, issuer, dates, decimal_comma, entries: table, files };
        for entry in &mapping.entries {
            mapping
                .check(entry, models)
                .map_err(|reason| fault(format!("table {}: {reason}", entry.name)))?;
        }
        Ok(mapping)
    }

    /// Whether it is for a file of this name; `*` at an end stands for anything.
    pub(crate) fn fits(&self, file: &str) -> bool {
        let file = file.rsplit('/').next().unwrap_or(file).to_lowercase();
        self.files.iter().map(|pattern| pattern.to_lowercase()).any(|pattern| {
            match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
                (Some(end), _) => file.ends_with(end),
                (None, Some(start)) => file.starts_with(start),
                (None, None) => file == pattern,
            }
        })
    }

    /// The columns of the file that it reads.
    pub(crate) fn columns(&self) -> BTreeSet<&str> {
        let cells = self.entries.iter().flat_map(|entry| entry.columns.values());
        let read = cells.filter_map(|cell| cell.column.as_deref());
        let keys = self.entries.iter().flat_map(|entry| &entry.key).map(String::as_str);
        read.chain(keys).chain([self.patient.as_str()]).collect()
    }

    /// The columns whose values tell one row of an entry from another.
    pub(super) fn key_of<'m>(&'m self, entry: &'m Entry) -> &'m [String] {
        if entry.key.is_empty() { std::slice::from_ref(&self.patient) } else { &entry.key }
    }

    fn check(&self, entry: &Entry, models: &Models) -> Result<(), String> {
        let table = models.table(COMMON, &entry.name).map_err(|e| e.to_string())?;
        if entry.columns.is_empty() {
            return Err("it names no column".to_owned());
        }
        for (name, cell) in &entry.columns {
            let column = table.column(&name.to_lowercase()).ok_or_else(|| near(table, name))?;
            self.check_cell(column, cell, models).map_err(|reason| format!("column {name}: {reason}"))?;
        }
        Ok(())
    }

    fn check_cell(&self, column: &Column, cell: &Cell, models: &Models) -> Result<(), String> {
        let given = [cell.column.is_some(), cell.value.is_some(), cell.key.is_some()];
        if given.iter().filter(|given| **given).count() != 1 {
            return Err("say one of column, value and key".to_owned());
        }
        if cell.values.is_some() && cell.column.is_none() {
            return Err("values belong to a column of the file".to_owned());
        }
        if let Some(key) =
            cell.key.as_ref().filter(|key| !self.entries.iter().any(|entry| entry.name == **key))
        {
            return Err(format!("no row of table {key} is made here, whose key it could be"));
        }
        let codes = cell.values.iter().flat_map(BTreeMap::values).chain(&cell.value);
        for code in codes.filter(|_| is_coded(column)) {
            concept(models, column, code).ok_or_else(|| {
                format!("`{code}` is no concept below those of the column; `caim ontology search` finds one")
            })?;
        }
        Ok(())
    }
}

impl Entry {
    /// Its table of the common model.
    pub(super) fn table<'m>(&self, models: &'m Models) -> Result<&'m Table> {
        models.table(COMMON, &self.name).map_err(|e| Error::new(Code::Model, COMMON, e))
    }
}

/// Whether a column holds concepts.
pub(super) fn is_coded(column: &Column) -> bool {
    !column.roots.is_empty() || !column.domains.is_empty()
}

/// The concept that a text names below the roots of a column, as `EUCAIM:CLIN1000060`.
pub(super) fn concept(models: &Models, column: &Column, text: &str) -> Option<String> {
    let mappings = models.mappings();
    let ontology = mappings.ontology();
    let roots = column.root_concepts(ontology).ok()?;
    let found = ontology.resolve(text, &roots).ok()?;
    roots.iter().any(|root| ontology.is_a(found, *root)).then(|| ontology.curie(found))
}

fn near(table: &Table, name: &str) -> String {
    let wanted = name.to_lowercase();
    let likeness = |column: &&Column| strsim::jaro_winkler(&column.stored, &wanted);
    let nearest = table.columns.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let nearest = nearest.map(|column| format!("; the nearest is {}", column.name)).unwrap_or_default();
    format!("the model has no column {name}{nearest}")
}
