//! Published cubes: grouped counts that a node releases once, so that reading them costs nobody's budget.
//!
//! A [`Cube`] is one question with names for its columns, read from a file of SQL. A node releases it
//! ([`Node::publish_cubes`](crate::Node::publish_cubes)); a hub takes it in as a [`CubeReply`] and shows it as table
//! `cube.<name>`.

mod bundled;
mod definition;
mod reply;

use caim_ontology::Models;
use caim_sql::PrivateQuery;
use caim_sql::canonical::canonical;
use caim_sql::private_query::{Aggregate, Measure};
use caim_sql::validate::validate;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use bundled::{CubeFile, all};
pub use reply::{CubeHead, CubeListing, CubeReply, ReleasedCube};

/// Cubes of one node; a hub looks at no more.
pub const MAX_CUBES: usize = 64;

/// Cells that a node may release of one cube: a table that a hub keeps in memory.
pub const MAX_CUBE_CELLS: usize = 100_000;

/// Longest name of a cube or column.
const MAX_NAME: usize = 63;

/// Longest description, in bytes.
const MAX_DESCRIPTION: usize = 1_000;

/// Name of the column that says how many nodes released a cell.
pub const NODES: &str = "nodes";

/// Why a cube cannot be published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cube {cube}: {reason}")]
pub struct CubeError {
    /// Its name.
    pub cube: String,
    /// What is wrong, and how to put it right.
    pub reason: String,
}

/// A question that a node publishes, and how its columns are named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cube {
    /// Name of the table: `cube.<name>`.
    pub name: String,
    /// What it shows, in words; may be empty.
    pub description: String,
    /// Version of the data models it was read with ([`Models::version`]).
    pub models: String,
    /// What is released, in canonical form.
    pub query: PrivateQuery,
    /// The columns in their order. Every group and every measure of the question is one.
    pub columns: Vec<CubeColumn>,
}

/// A column as its author named it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CubeColumn {
    /// Its name.
    pub name: String,
    /// What stands in it.
    pub of: CubePart,
}

/// A part of a question, by its position there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CubePart {
    /// A group.
    Dim(usize),
    /// A measure; its bounds stand beside it as `<name>_lower` and `<name>_upper`.
    Measure(usize),
}

impl Cube {
    /// What the cube says, whatever noise a node adds: nodes whose cubes have the same definition are merged.
    #[must_use]
    pub fn definition(&self) -> String {
        let mut hash = Sha256::new();
        for column in &self.columns {
            hash.update(format!("{}\n{:?}\n", column.name, column.of));
        }
        hash.update(&self.models);
        // What a question is made of is always written as JSON; an empty text would only tell cubes apart too late.
        hash.update(serde_json::to_string(&self.question()).unwrap_or_default());
        hex::encode(hash.finalize())
    }

    /// The question without the noise that this node chose: the facts of a release name that.
    #[must_use]
    pub fn question(&self) -> PrivateQuery {
        PrivateQuery { noise_sd_milli: None, ..self.query.clone() }
    }

    /// Holds a cube against the rules that its author's file was held against: it may have come over the wire.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn check(&self, models: &Models) -> Result<(), String> {
        check_name(&self.name)?;
        if self.description.len() > MAX_DESCRIPTION || self.description.contains(char::is_control) {
            return Err(format!("the description is one line of at most {MAX_DESCRIPTION} bytes"));
        }
        if self.models != models.version() {
            return Err(format!("it is of data models {}, not {}", self.models, models.version()));
        }
        validate(&self.query, models).map_err(|refusal| refusal.to_string())?;
        if canonical(self.query.clone()) != self.query {
            return Err("its question is not in canonical form".into());
        }
        if self.query.dims.is_empty() {
            return Err("it has no GROUP BY: name the groups that the cells are formed by".into());
        }
        let counts_patients = |m: &Measure| m.of == Aggregate::Patients && m.filter.is_always();
        if !self.query.measures.iter().any(counts_patients) {
            return Err("it counts no patients: add count(DISTINCT patient_id) AS patients".into());
        }
        self.check_parts()?;
        self.check_names()
    }

    fn check_parts(&self) -> Result<(), String> {
        let dims = (0..self.query.dims.len()).map(CubePart::Dim);
        let missing = dims
            .chain((0..self.query.measures.len()).map(CubePart::Measure))
            .find(|part| self.columns.iter().filter(|column| column.of == *part).count() != 1);
        let parts = self.query.dims.len() + self.query.measures.len();
        if missing.is_some() || parts != self.columns.len() {
            return Err("every group and every measure is selected once".into());
        }
        Ok(())
    }

    fn check_names(&self) -> Result<(), String> {
        let mut taken = vec![NODES.to_owned()];
        for column in &self.columns {
            let name = &column.name;
            let fits = name.len() <= MAX_NAME
                && name.starts_with(|c: char| c.is_ascii_alphabetic())
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !fits {
                let reason = "is no name of a column: name it with AS, by letters, digits and '_'";
                return Err(format!("{:?} {reason}", name.chars().take(MAX_NAME).collect::<String>()));
            }
            for name in column.names() {
                let name = name.to_lowercase();
                if taken.contains(&name) {
                    return Err(format!(
                        "two columns are named {name}; a measure has _lower and _upper as well"
                    ));
                }
                taken.push(name);
            }
        }
        Ok(())
    }
}

impl CubeColumn {
    /// The columns of the table that this one becomes.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let name = &self.name;
        match self.of {
            CubePart::Dim(_) => vec![name.clone()],
            CubePart::Measure(_) => vec![name.clone(), format!("{name}_lower"), format!("{name}_upper")],
        }
    }
}

/// `[a-z][a-z0-9_]*`.
fn check_name(name: &str) -> Result<(), String> {
    let fits = name.len() <= MAX_NAME
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if fits {
        return Ok(());
    }
    Err(format!("the name of a cube is at most {MAX_NAME} small letters, digits and '_', a letter first"))
}
