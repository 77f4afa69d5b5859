//! The file of checks: classes that are made from the data models, and checks that are written out.

use std::collections::BTreeMap;

use caim_ontology::Models;
use caim_warehouse::TableName;
use serde::Deserialize;

use super::Checked;
use super::scan::{Check, Scan};
use crate::{Code, Error, Result};

const RULES: &str = include_str!("../../../mappings/quality.toml");

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rules {
    pub(super) version: u32,
    pub(super) class: Vec<Class>,
    /// The domain of an OMOP column, by the column's name.
    pub(super) domains: BTreeMap<String, String>,
    pub(super) order: Vec<Order>,
    pub(super) range: Vec<Range>,
    scan: Vec<Written>,
}

/// What checks of one kind have in common.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Class {
    pub(super) name: String,
    category: String,
    limit: f64,
    /// With `{table}`, `{column}` and `{target}` for the words of a place.
    says: String,
}

/// Two dates of a row.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Order {
    pub(super) before: String,
    pub(super) after: String,
}

/// The range of a number.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Range {
    pub(super) loinc: Vec<String>,
    pub(super) unit: Option<String>,
    pub(super) says: String,
    pub(super) lo: f64,
    pub(super) hi: f64,
    /// Where the range is from: for the reader of the file.
    #[serde(rename = "source")]
    _source: String,
}

/// Checks over one relation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// What it reads; where the first has no rows, there is nothing to look at.
    tables: Vec<String>,
    from: String,
    check: Vec<WrittenCheck>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCheck {
    name: String,
    category: String,
    limit: f64,
    says: String,
    of: Option<String>,
    fails: String,
}

/// Where a check of a class is made.
pub(super) struct Place<'p> {
    table: &'p str,
    column: &'p str,
    /// What it is compared with.
    target: &'p str,
}

/// What a check is called and says.
#[derive(Clone)]
pub(super) struct About {
    pub(super) name: String,
    pub(super) class: String,
    category: String,
    says: String,
    limit: f64,
}

impl<'p> Place<'p> {
    /// A table as a whole.
    pub(super) fn table(table: &'p str) -> Self {
        Self { table, column: "", target: "" }
    }

    /// A column of a table.
    pub(super) fn column(table: &'p str, column: &'p str) -> Self {
        Self { table, column, target: "" }
    }

    /// The same place with what it is compared with.
    pub(super) fn with(self, target: &'p str) -> Self {
        Self { target, ..self }
    }
}

impl Class {
    /// The check of this class at a place.
    pub(super) fn about(&self, place: &Place<'_>) -> About {
        let Place { table, column, target } = place;
        let name = match *column {
            "" => format!("{}:{table}", self.name),
            column => format!("{}:{table}.{column}", self.name),
        };
        let says =
            self.says.replace("{table}", table).replace("{column}", column).replace("{target}", target);
        let Self { name: class, category, limit, .. } = self;
        About { name, class: class.clone(), category: category.clone(), says, limit: *limit }
    }
}

impl About {
    /// The outcome.
    pub(super) fn counted(self, checked: u64, failed: u64) -> Checked {
        let Self { name, class, category, says, limit } = self;
        Checked { name, class, category, says, checked, failed, limit }
    }
}

impl Rules {
    pub(super) fn bundled() -> Result<Self> {
        toml::from_str(RULES).map_err(|e| Error::new(Code::Build, "the checks of quality", e))
    }

    pub(super) fn class(&self, name: &str) -> Result<&Class> {
        let class = self.class.iter().find(|class| class.name == name);
        class.ok_or_else(|| {
            Error::new(Code::Build, "the checks of quality", format!("there is no class {name}"))
        })
    }

    /// The scans that are written out, but for those of tables that the models lack.
    pub(super) fn written(&self, models: &Models) -> Result<Vec<Scan>> {
        let mut scans = Vec::new();
        for written in &self.scan {
            let names = written.tables.iter().map(|name| name.parse::<TableName>());
            let names = names.collect::<std::result::Result<Vec<TableName>, String>>();
            let names = names.map_err(|e| Error::new(Code::Build, "the checks of quality", e))?;
            let known = names.iter().all(|name| models.table(&name.schema, &name.table).is_ok());
            if let (true, Some(first)) = (known, names.into_iter().next()) {
                let checks = written.check.iter().map(WrittenCheck::check).collect();
                scans.push(Scan { needs: vec![first], from: written.from.clone(), checks });
            }
        }
        Ok(scans)
    }
}

impl WrittenCheck {
    fn check(&self) -> Check {
        let Self { name, category, limit, says, of, fails } = self;
        Check {
            about: About {
                name: name.clone(),
                class: name.clone(),
                category: category.clone(),
                says: says.clone(),
                limit: *limit,
            },
            of: of.clone(),
            fails: fails.clone(),
        }
    }
}
