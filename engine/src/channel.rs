//! The port between hub and node: a [`NodeChannel`] carries a [`NodeQuery`] there and a [`Reply`] back.
//!
//! `flight-server` implements it over Arrow Flight, [`LocalChannel`](crate::local::LocalChannel) in memory; one
//! contract suite runs against both. What comes back is not trusted: a [`Reply`] is only made by [`Reply::check`],
//! which holds it against the schema and limits of the question.

use std::fmt;

use async_trait::async_trait;
use caim_ontology::Models;
use caim_sql::{PrivateQuery, Refusal};
use datafusion::arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};

use crate::cube::{CubeListing, CubeReply};
use crate::policy::Policy;
use crate::reply;

/// The name of a node, as its operator chose it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(String);

impl NodeId {
    /// A name of 1 to 64 characters: letters, digits, `-`, `_`, `.`.
    ///
    /// # Errors
    /// Says what a name may look like.
    pub fn new(name: &str) -> Result<Self, String> {
        let fits = !name.is_empty()
            && name.len() <= 64
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if fits {
            Ok(Self(name.to_owned()))
        } else {
            Err("the name of a node is 1 to 64 letters, digits, '-', '_' or '.'".to_owned())
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who asks, for what.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asker {
    /// The user.
    pub user: String,
    /// The project whose budget is charged.
    pub project: String,
    /// The stated purpose, for the audit record; may be empty.
    pub purpose: String,
}

/// A question as it travels to one node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeQuery {
    /// What is asked.
    pub query: PrivateQuery,
    /// Version of the data models the hub planned with ([`Models::version`]); a node with others refuses.
    pub models: String,
    /// Who asks.
    pub asker: Asker,
    /// Names the question in logs and audit records.
    pub query_id: String,
    /// How long the hub waits, in milliseconds.
    pub deadline_ms: u64,
}

/// What a node says of itself when it links: public facts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The node's name.
    pub node: NodeId,
    /// Version of the program.
    pub software: String,
    /// Version of its data models.
    pub models: String,
    /// The policy that its gate applies.
    pub policy: Policy,
    /// Identifiers of the collections it holds, sorted.
    pub collections: Vec<String>,
    /// The cubes it has released, by name.
    #[serde(default)]
    pub cubes: Vec<CubeListing>,
}

/// What is said of an answer beside its cells. All of it is public: parameters and costs, no data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// Number of the epoch that was asked.
    pub epoch: u64,
    /// What the project paid for this answer; zero for a repeated one and for published data.
    pub rho: f64,
    /// The chance that goes with it.
    pub delta: f64,
    /// Left of the project's budget in this window; `None` where there is no budget.
    pub rho_left: Option<f64>,
    /// The policy that was applied, with the noise that was asked for.
    pub policy: Policy,
}

/// A node's answer as the hub holds it: checked against the question, but not believed beyond that.
#[derive(Clone)]
pub struct Reply {
    batch: RecordBatch,
    facts: Facts,
}

impl Reply {
    /// Takes in what a node sent.
    ///
    /// # Errors
    /// When schema, number of rows or values are not what the question allows: the node is faulty.
    pub fn check(
        query: &PrivateQuery,
        models: &Models,
        batches: &[RecordBatch],
        facts: Facts,
    ) -> Result<Self, AskError> {
        let batch = reply::check(query, models, batches).map_err(AskError::Failed)?;
        Ok(Self { batch, facts })
    }

    /// The cells, in the schema of [`reply::schema`].
    #[must_use]
    pub fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// What is said beside the cells.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply(<redacted>)")
    }
}

/// Why a node gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AskError {
    /// The node said no.
    #[error("{0}")]
    Refused(Refusal),
    /// The node could not be reached, or the link broke.
    #[error("the node cannot be reached: {0}")]
    Unreachable(String),
    /// The node did not answer in time.
    #[error("the node did not answer in time")]
    Deadline,
    /// The node failed, or sent what cannot be an answer. The text holds no value of any patient.
    #[error("the node failed: {0}")]
    Failed(String),
}

/// The way to one node.
#[async_trait]
pub trait NodeChannel: Send + Sync {
    /// What the node said of itself.
    fn profile(&self) -> &Profile;

    /// Asks. Dropping the future ends the work at the node.
    async fn ask(&self, query: NodeQuery) -> Result<Reply, AskError>;

    /// Fetches a cube that the profile lists; that costs nothing.
    async fn cube(&self, listing: &CubeListing) -> Result<CubeReply, AskError>;
}
