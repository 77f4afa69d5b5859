//! The four sources of a value, laid over each other, and where each value came from.
//!
//! The origin is kept beside the value, so that an error can say whether a file, a variable or a flag is to blame.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::{Error, fields::fields, reference};

/// Variables with this prefix are configuration: `CAIM__SECTION__KEY`.
const PREFIX: &str = "CAIM__";

/// What stands over the file: the environment, and flags over that.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// Variables of the environment, name and value; those without the prefix are left alone.
    pub environment: Vec<(String, String)>,
    /// Values of `--set`, each `section.key=value`.
    pub flags: Vec<String>,
}

impl Overrides {
    /// The process's environment, and flags.
    #[must_use]
    pub fn new(flags: Vec<String>) -> Self {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self { environment, flags }
    }
}

/// A configuration before it is typed.
#[derive(Debug)]
pub(super) struct Layers {
    file: String,
    table: Table,
    read: Vec<&'static str>,
    origins: BTreeMap<String, String>,
}

impl Layers {
    /// Reads a file and lays the overrides over it. Variables of the sections in `others` belong to other files.
    pub(super) fn read(file: &Path, others: &[&str], overrides: &Overrides) -> Result<Self, Error> {
        let mut layers = Self {
            file: file.display().to_string(),
            table: parse(file)?,
            read: Vec::new(),
            origins: BTreeMap::new(),
        };
        for (name, value) in &overrides.environment {
            layers.variable(name, value, others);
        }
        for flag in &overrides.flags {
            layers.flag(flag)?;
        }
        Ok(layers)
    }

    fn variable(&mut self, name: &str, value: &str, others: &[&str]) {
        let Some(key) = name.strip_prefix(PREFIX) else { return };
        let path: Vec<String> = key.split("__").map(str::to_lowercase).collect();
        if !path.first().is_some_and(|section| others.contains(&section.as_str())) {
            self.set(&path, value, format!("environment variable {name}"));
        }
    }

    fn flag(&mut self, flag: &str) -> Result<(), Error> {
        let (key, value) = flag.split_once('=').ok_or_else(|| Error::Flag { flag: flag.to_owned() })?;
        let path: Vec<String> = key.split('.').map(|part| part.trim().to_owned()).collect();
        if path.len() < 2 || path.iter().any(String::is_empty) {
            return Err(Error::Flag { flag: flag.to_owned() });
        }
        self.set(&path, value.trim(), "flag --set".to_owned());
        Ok(())
    }

    /// Puts one value in its place; a table is made where there is none.
    fn set(&mut self, path: &[String], text: &str, origin: String) {
        let Some((last, parents)) = path.split_last() else { return };
        let mut table = &mut self.table;
        for parent in parents {
            let slot = table.entry(parent.clone()).or_insert_with(|| Value::Table(Table::new()));
            if !slot.is_table() {
                *slot = Value::Table(Table::new());
            }
            let Value::Table(next) = slot else { return };
            table = next;
        }
        table.insert(last.clone(), value(text));
        self.origins.insert(path[..path.len().min(2)].join("."), origin);
    }

    /// One section, typed; the default when nothing was written.
    pub(super) fn section<T: DeserializeOwned + Default>(&mut self, name: &'static str) -> Result<T, Error> {
        self.read.push(name);
        let Some(section) = self.table.get(name) else { return Ok(T::default()) };
        let Value::Table(table) = section else {
            return Err(self.reject(name, "it is a section: write [section] on a line of its own"));
        };
        if let Some(known) = fields::<T>()
            && let Some(unknown) = table.keys().find(|key| !known.contains(&key.as_str()))
        {
            return Err(self.unknown(name, unknown, known));
        }
        T::deserialize(section.clone()).map_err(|error| self.blame::<T>(name, table, &error))
    }

    /// To be called when all sections are read: what is left over is a mistake.
    pub(super) fn finish(&self) -> Result<(), Error> {
        match self.table.keys().find(|section| !self.read.contains(&section.as_str())) {
            None => Ok(()),
            Some(section) => Err(Error::UnknownKey {
                origin: self.section_origin(section),
                key: format!("[{section}]"),
                near: nearest(section, &self.read).map(|near| format!("[{near}]")),
            }),
        }
    }

    /// A value that its key cannot have, found after typing.
    pub(super) fn reject(&self, key: &str, reason: &str) -> Error {
        Error::Value {
            origin: self.origin(key),
            key: key.to_owned(),
            reason: reason.to_owned(),
            allowed: reference::allowed(key).map(str::to_owned),
        }
    }

    /// As [`Self::reject`], for a reason that begins with the key.
    pub(super) fn reject_named(&self, reason: &str) -> Error {
        let (key, reason) = reason.split_once(' ').unwrap_or(("privacy", reason));
        self.reject(key, &format!("it {reason}"))
    }

    fn unknown(&self, section: &str, key: &str, known: &[&'static str]) -> Error {
        let full = format!("{section}.{key}");
        Error::UnknownKey {
            origin: self.origin(&full),
            key: full,
            near: nearest(key, known).map(|near| format!("{section}.{near}")),
        }
    }

    /// Finds the key whose value is at fault, by typing each alone.
    fn blame<T: DeserializeOwned>(&self, section: &str, table: &Table, error: &toml::de::Error) -> Error {
        for (key, value) in table {
            let alone = Value::Table(Table::from_iter([(key.clone(), value.clone())]));
            if let Err(error) = T::deserialize(alone) {
                return self.reject(&format!("{section}.{key}"), error.message());
            }
        }
        self.reject(section, error.message())
    }

    fn origin(&self, key: &str) -> String {
        self.origins.get(key).unwrap_or(&self.file).clone()
    }

    fn section_origin(&self, section: &str) -> String {
        let inside = format!("{section}.");
        let origin = self.origins.iter().find(|(key, _)| key.starts_with(&inside)).map(|(_, origin)| origin);
        origin.unwrap_or(&self.file).clone()
    }
}

fn parse(file: &Path) -> Result<Table, Error> {
    let text = std::fs::read_to_string(file).map_err(|source| match source.kind() {
        ErrorKind::NotFound => Error::Missing { path: file.to_owned(), fix: fix(file) },
        _ => Error::Read { path: file.to_owned(), source },
    })?;
    text.parse::<Table>().map_err(|error| Error::Syntax { path: file.to_owned(), reason: error.to_string() })
}

fn fix(file: &Path) -> &'static str {
    if file.ends_with(super::HUB_FILE) { "caim init hub DIR" } else { "caim init node DIR --name NAME" }
}

/// Reads a value as TOML; what is not TOML is text, so that names need no quotes.
fn value(text: &str) -> Value {
    let document = format!("value = {text}");
    let parsed = document.parse::<Table>().ok().filter(|table| table.len() == 1);
    parsed.and_then(|mut table| table.remove("value")).unwrap_or_else(|| Value::String(text.to_owned()))
}

/// The known name that a mistyped one most resembles, if any does.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let scored = known.iter().map(|near| (strsim::jaro_winkler(name, near), *near));
    scored.filter(|(score, _)| *score > 0.7).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, near)| near)
}
