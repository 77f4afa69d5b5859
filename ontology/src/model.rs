//! The types of a data model. A column without a role is hidden: what nobody decided on cannot be asked.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::mappings::Mappings;
use crate::ontology::Ontology;

/// All data models that a hub or node was started with, by schema name, and what the codes in them mean.
#[derive(Debug, Clone)]
pub struct Models {
    by_schema: BTreeMap<String, Arc<DataModel>>,
    /// `None` stands for the bundled ones, which are built when they are needed first.
    mappings: Option<Arc<Mappings>>,
}

/// One SQL schema: the tables of one world (`dicom`, `omop`).
#[derive(Debug, Clone, PartialEq)]
pub struct DataModel {
    /// Name of the schema in SQL, lower case.
    pub schema: String,
    /// Version of the model; part of what an answer depends on.
    pub version: String,
    /// One sentence for the catalogue.
    pub comment: String,
    /// The tables, in the order of the file.
    pub tables: Vec<Table>,
}

/// A table, and what bounds the share of one patient in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Name in SQL, lower case.
    pub name: String,
    /// Name in the warehouse: `name`, and for a table of a node's own a mark of its definition behind it, so that rows
    /// of two definitions never meet.
    pub stored: String,
    /// What defines a table that a node's operator has added; `None` for the tables that all nodes share.
    pub definition: Option<Arc<str>>,
    /// Other names that sources use for the table, lower case; read at ingest only.
    pub also: Vec<String>,
    /// What a row is, for the catalogue.
    pub comment: String,
    /// Whose rows these are.
    pub kind: TableKind,
    /// Columns that identify a row in its source, lower case; may be empty.
    pub key: Vec<String>,
    /// `c` of the gate: how many rows one patient may add to an answer. 1 means one row a patient.
    pub rows_per_patient: u32,
    /// The columns, in the order of the file.
    pub columns: Vec<Column>,
}

/// Whose rows a table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    /// Every row belongs to one patient (or, where the source has no id, to none).
    Patient,
    /// Published vocabulary: no patient, may be joined to.
    Public,
    /// Kept in the warehouse, not to be asked: entities shared by patients, free text.
    Hidden,
}

/// A column and what may be asked of it. The default one is hidden text without a name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Column {
    /// Standard spelling (`StudyInstanceUID`), as announced to clients.
    pub name: String,
    /// The spelling in the warehouse and in canonical SQL: `name` in lower case.
    pub stored: String,
    /// Other names that sources use for the column, lower case; read at ingest only.
    pub also: Vec<String>,
    /// Type as announced and stored.
    pub ty: ColumnType,
    /// What may be asked of it.
    pub role: Role,
    /// Whether its standard wants a value in every row (NOT NULL, 1..1, type 1). Rows without one are faults of quality.
    pub required: bool,
    /// One sentence for the catalogue, with the unit.
    pub comment: String,
    /// DICOM value representation (PS3.5 section 6.2) that says how source values are read.
    pub vr: Option<String>,
    /// The DICOM attribute (PS3.6) that fills the column, where objects are read.
    pub tag: Option<Tag>,
    /// Other places of an object from which the column is filled where the attribute itself is absent, the first first.
    pub also_at: Vec<Place>,
    /// Of values that differ between frames the largest stands; else none does.
    pub largest: bool,
    /// What is done about an attribute that the confidentiality profiles of PS3.15 name.
    pub action: Option<Action>,
    /// The declared foreign key, if any.
    pub references: Option<Reference>,
    /// Codes of the hyperontology below which the column's concepts lie; empty for columns without concepts.
    pub roots: Vec<String>,
    /// OMOP domains whose concepts the column may have besides those below its roots.
    pub domains: Vec<String>,
    /// Texts that are publicly known of a dimension without concepts, sorted: those of its standard, and those that
    /// nodes have published. Expressions run over them; the column may hold others.
    pub values: Vec<String>,
}

/// A place in a DICOM object: an attribute, below sequences or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The tags of the sequences from the top, then that of the attribute; never empty.
    pub path: Vec<Tag>,
    /// The attribute's value representation.
    pub vr: String,
}

/// The tag of a DICOM attribute (PS3.5 section 7.1). Ordered as elements are ordered in an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag {
    /// First half of the number.
    pub group: u16,
    /// Second half of the number.
    pub element: u16,
}

/// What is done about an attribute that PS3.15 table E.1-1 names because it can lead to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Stored as it is, inside the node; its role says what may be asked of it.
    Kept,
    /// Only a keyed hash of it is stored.
    Keyed,
    /// Stored or asked only in a coarser form: whole years, months, steps of a grid, that it is there at all.
    Coarsened,
}

/// Types of columns. Decimals of the sources are widened to `Float`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ColumnType {
    /// UTF-8 text.
    #[default]
    Text,
    /// 64-bit signed integer.
    Integer,
    /// 64-bit floating point.
    Float,
    /// True or false.
    Boolean,
    /// Calendar date.
    Date,
    /// Date and time of day, microseconds, no zone.
    Timestamp,
}

/// What may be asked of a column. The default is [`Role::Hidden`].
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Role {
    /// The patient. Counted distinct and joined on; never shown, grouped or compared with a value.
    /// Not stored under its own name: the warehouse keeps an ordinal.
    UnitId,
    /// Names one thing. Joined on and counted distinct.
    Identifier {
        /// Whether one thing belongs to one patient (a study: yes, a scanner: no).
        one_patient: bool,
    },
    /// Grouped, compared by `=`, `IN`, `IS NULL`; with bounds (integers only) also by ranges, summed and averaged.
    Dimension {
        /// Name of the vocabulary its values come from.
        vocabulary: String,
        /// For ordered integers such as years: the public bounds.
        bounds: Option<Bounds>,
    },
    /// Summed, averaged, compared with points of its grid.
    Measure {
        /// Public bounds that contributions are clamped to.
        bounds: Bounds,
    },
    /// Compared with points of its grid; its year, quarter or month may be grouped.
    Date {
        /// The finest step that may be asked for.
        grid: Grid,
    },
    /// Kept, never asked.
    #[default]
    Hidden,
}

/// Public bounds of a number: never taken from data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// Lowest value that counts.
    pub lo: f64,
    /// Highest value that counts.
    pub hi: f64,
    /// Step of the points that a value may be compared with.
    pub grid: f64,
}

/// Steps of a calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Grid {
    /// Any day.
    Day,
    /// First days of months.
    Month,
    /// First days of years.
    Year,
}

/// The target of a foreign key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Schema of the target, lower case.
    pub schema: String,
    /// Table of the target, lower case.
    pub table: String,
    /// Column of the target, lower case.
    pub column: String,
}

/// A model that cannot be used, or a name it does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// The file is not a model.
    #[error("data model {file}: {reason}")]
    File {
        /// Which file.
        file: String,
        /// Why, naming table and column.
        reason: String,
    },
    /// No table of that name.
    #[error("there is no table {name}{}", nearest(.near))]
    UnknownTable {
        /// The name that was asked for.
        name: String,
        /// At most five names that come closest.
        near: Vec<String>,
    },
}

fn nearest(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(", ")) }
}

impl Models {
    /// The models compiled into this crate.
    ///
    /// # Errors
    /// When a bundled file is faulty, which its tests exclude.
    pub fn bundled() -> Result<Self, ModelError> {
        Self::new(vec![
            crate::file::parse("dicom.toml", include_str!("../models/dicom.toml"))?,
            crate::file::parse("eucaim.toml", include_str!("../models/eucaim.toml"))?,
            crate::file::parse("fhir.toml", include_str!("../models/fhir.toml"))?,
            crate::file::parse("omop.toml", include_str!("../models/omop.toml"))?,
        ])
    }

    /// A set of models.
    ///
    /// # Errors
    /// When two have the same schema, or a foreign key points nowhere.
    pub fn new(models: Vec<DataModel>) -> Result<Self, ModelError> {
        let mut by_schema = BTreeMap::new();
        for model in models {
            let schema = model.schema.clone();
            if by_schema.insert(schema.clone(), Arc::new(model)).is_some() {
                return Err(ModelError::File { file: schema, reason: "the schema is defined twice".into() });
            }
        }
        let models = Self { by_schema, mappings: None };
        models.check_references()?;
        Ok(models)
    }

    /// What values of sources mean in the coded columns.
    #[must_use]
    pub fn mappings(&self) -> Arc<Mappings> {
        self.mappings.clone().unwrap_or_else(Mappings::bundled)
    }

    /// The concepts that stand in the coded columns.
    #[must_use]
    pub fn ontology(&self) -> Arc<Ontology> {
        Arc::clone(self.mappings().ontology())
    }

    /// Reads a model from the text of its TOML file; `file` is its name in errors.
    ///
    /// # Errors
    /// Names the table, the column and what is wrong.
    pub fn parse(file: &str, text: &str) -> Result<DataModel, ModelError> {
        crate::file::parse(file, text)
    }

    /// All models, by schema name.
    pub fn iter(&self) -> impl Iterator<Item = &DataModel> {
        self.by_schema.values().map(AsRef::as_ref)
    }

    /// The model of a schema, found in any case.
    #[must_use]
    pub fn model(&self, schema: &str) -> Option<&DataModel> {
        self.by_schema.get(&schema.to_lowercase()).map(AsRef::as_ref)
    }

    /// A table, found in any case.
    ///
    /// # Errors
    /// Names the nearest tables when there is none of that name.
    pub fn table(&self, schema: &str, table: &str) -> Result<&Table, ModelError> {
        let wanted = table.to_lowercase();
        self.model(schema).and_then(|m| m.tables.iter().find(|t| t.name == wanted)).ok_or_else(|| {
            ModelError::UnknownTable { name: format!("{schema}.{table}"), near: self.near(schema, &wanted) }
        })
    }

    /// The table of `schema` that a source means by `name`: its own name or one of its other names, in any case.
    #[must_use]
    pub fn source_table(&self, schema: &str, name: &str) -> Option<&Table> {
        let wanted = name.trim().to_lowercase();
        self.model(schema)?.tables.iter().find(|t| t.name == wanted || t.also.contains(&wanted))
    }

    /// One line that changes when any model changes that nodes share: part of what an answer depends on.
    #[must_use]
    pub fn version(&self) -> String {
        self.by_schema.values().map(|m| format!("{}@{}", m.schema, m.version)).collect::<Vec<_>>().join(",")
    }

    fn near(&self, schema: &str, table: &str) -> Vec<String> {
        let full = format!("{}.{table}", schema.to_lowercase());
        let mut names: Vec<(f64, String)> = self
            .iter()
            .flat_map(|m| m.tables.iter().map(move |t| format!("{}.{}", m.schema, t.name)))
            .map(|name| (strsim::jaro_winkler(&full, &name), name))
            .filter(|(score, _)| *score > 0.8)
            .collect();
        names.sort_by(|a, b| b.0.total_cmp(&a.0));
        names.into_iter().take(5).map(|(_, name)| name).collect()
    }

    fn check_references(&self) -> Result<(), ModelError> {
        for (model, table, column) in self.columns() {
            let Some(target) = &column.references else { continue };
            let found =
                self.table(&target.schema, &target.table).is_ok_and(|t| t.column(&target.column).is_some());
            if !found {
                return Err(ModelError::File {
                    file: model.schema.clone(),
                    reason: format!(
                        "{}.{} references {target}, which does not exist",
                        table.name, column.name
                    ),
                });
            }
        }
        Ok(())
    }

    fn columns(&self) -> impl Iterator<Item = (&DataModel, &Table, &Column)> {
        self.iter().flat_map(|m| m.tables.iter().flat_map(move |t| t.columns.iter().map(move |c| (m, t, c))))
    }
}

impl Table {
    /// A column, found in any case.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        let wanted = name.to_lowercase();
        self.columns.iter().find(|c| c.stored == wanted)
    }

    /// The column that a source means by `name`: its own name or one of its other names, in any case.
    #[must_use]
    pub fn source_column(&self, name: &str) -> Option<&Column> {
        let wanted = name.trim().to_lowercase();
        self.columns.iter().find(|c| c.stored == wanted || c.also.contains(&wanted))
    }

    /// The columns that the warehouse stores: all but the patient, whose ordinal has a place of its own.
    pub fn stored_columns(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|c| c.role != Role::UnitId)
    }
}

impl Column {
    /// Whether the column holds unique identifiers of things of a hospital, as against those of the standard.
    #[must_use]
    pub fn is_uid(&self) -> bool {
        self.vr.as_deref() == Some("UI") && matches!(self.role, Role::Identifier { .. })
    }

    /// The public bounds of a column that can be summed, if it has any.
    #[must_use]
    pub fn bounds(&self) -> Option<Bounds> {
        match &self.role {
            Role::Measure { bounds } => Some(*bounds),
            Role::Dimension { bounds, .. } => *bounds,
            Role::UnitId | Role::Identifier { .. } | Role::Date { .. } | Role::Hidden => None,
        }
    }
}

impl Role {
    /// The role's name in the model file and the catalogue.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Role::UnitId => "unit_id",
            Role::Identifier { .. } => "identifier",
            Role::Dimension { .. } => "dimension",
            Role::Measure { .. } => "measure",
            Role::Date { .. } => "date",
            Role::Hidden => "hidden",
        }
    }
}

impl Place {
    /// The shared and the per-frame functional groups of a multi-frame object (PS3.3 section C.7.6.16).
    pub const FRAMES: [Tag; 2] = [Tag::new(0x5200, 0x9229), Tag::new(0x5200, 0x9230)];

    /// Reads `gggg,eeee[/gggg,eeee...] [VR]`; `frames/` stands for both kinds of functional groups, and then it is two
    /// places. `vr` is the value representation of an attribute that does not say its own.
    #[must_use]
    pub fn parse(text: &str, vr: &str) -> Option<Vec<Self>> {
        let (path, vr) = text.split_once(' ').unwrap_or((text, vr));
        let (tops, path) = match path.strip_prefix("frames/") {
            Some(path) => (Self::FRAMES.map(|tag| vec![tag]).to_vec(), path),
            None => (vec![Vec::new()], path),
        };
        let tags = path.split('/').map(Tag::parse).collect::<Option<Vec<Tag>>>()?;
        let place = |top: Vec<Tag>| Self { path: [top, tags.clone()].concat(), vr: vr.to_owned() };
        Some(tops.into_iter().map(place).collect())
    }
}

impl Tag {
    /// The tag of these two numbers.
    #[must_use]
    pub const fn new(group: u16, element: u16) -> Self {
        Self { group, element }
    }

    /// Reads `gggg,eeee`, two numbers of four hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let number = |digits: &str| {
            let plain = digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_hexdigit());
            plain.then(|| u16::from_str_radix(digits, 16).ok()).flatten()
        };
        let (group, element) = text.split_once(',')?;
        Some(Self { group: number(group)?, element: number(element)? })
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({:04X},{:04X})", self.group, self.element)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.schema, self.table, self.column)
    }
}

mod roots;
mod with;

#[cfg(test)]
mod common_model;
#[cfg(test)]
mod tests;
