//! Asks every linked node in parallel and says how complete the answer is: who answered, refused, failed, was away.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use caim_ontology::Models;
use caim_sql::{Code, PrivateQuery};
use futures::future::join_all;
use serde::{Deserialize, Serialize};

use crate::channel::{AskError, Asker, NodeChannel, NodeId, NodeQuery, Reply};
use crate::policy::Policy;
use crate::progress::Progress;

/// Which nodes there are to ask.
pub trait Nodes: Send + Sync {
    /// The nodes that can be asked now, sorted by name.
    fn linked(&self) -> Vec<Arc<dyn NodeChannel>>;

    /// The names of all nodes ever seen, linked or not: so that a missing one is missed.
    fn known(&self) -> Vec<NodeId>;
}

/// What became of a question at one node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    /// It answered.
    Answered {
        /// Number of the epoch that was asked.
        epoch: u64,
        /// What the project paid just now.
        rho: f64,
        /// The chance that was paid just now.
        delta: f64,
        /// Left of the project's budget at this node; `None` where there is none.
        rho_left: Option<f64>,
        /// The policy that the node applied: threshold, noise, rounding, budgets; whether its answer is exact
        /// (published data).
        policy: Policy,
    },
    /// It said no.
    Refused {
        /// The rule.
        code: Code,
        /// What breaks it.
        reason: String,
        /// What to ask instead.
        rewrite: String,
    },
    /// It failed.
    Failed {
        /// Why, without any value of a patient.
        reason: String,
    },
    /// It is known, but not linked, or did not answer in time.
    Unreachable {
        /// Which of both.
        reason: String,
    },
    /// It has no part in a published cube that answers.
    Absent {
        /// Why.
        reason: String,
    },
}

/// A node and what became of the question there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeOutcome {
    /// The node.
    pub node: NodeId,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// How complete an answer is, and what it cost. Several private queries of one statement are added up.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Every known node, by name.
    pub nodes: Vec<NodeOutcome>,
    /// How far released values may lie from the truth; nothing where they are exact.
    #[serde(default)]
    pub precision: Vec<Precision>,
    /// The published cubes that it comes from, wholly or in part.
    #[serde(default)]
    pub cubes: Vec<CubeUse>,
}

/// A published cube in an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CubeUse {
    /// Name of the cube.
    pub name: String,
    /// The oldest epoch that one of its nodes released it from.
    pub oldest_epoch: u64,
    /// The newest one.
    pub newest_epoch: u64,
}

impl fmt::Display for CubeUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, oldest_epoch, newest_epoch } = self;
        write!(f, "answered by cube.{name} ")?;
        if oldest_epoch == newest_epoch {
            write!(f, "(epoch {newest_epoch})")
        } else {
            write!(f, "(epochs {oldest_epoch} to {newest_epoch})")
        }
    }
}

/// How far the values of one measure may lie from the truth, in at least 95 % of all cells: noise, rounding, and what
/// nodes that released nothing may hold. The widest of the released cells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Precision {
    /// The measure in words.
    pub measure: String,
    /// How much less the truth may be, in the measure's unit.
    pub below: f64,
    /// How much more.
    pub above: f64,
    /// In how many cells one patient counts at most; the bounds are about counts limited so.
    pub cells_per_patient: u32,
    /// How many rows one patient adds at most; `None` where patients are counted.
    pub rows_per_patient: Option<u32>,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { measure, below, above, cells_per_patient, rows_per_patient } = self;
        // Rounded up, so that the words promise no more than the numbers.
        let digit = |distance: f64| if distance < 10.0 { 10.0 } else { 1.0 };
        let [below, above] = [*below, *above].map(|d| (d * digit(d)).ceil() / digit(d));
        if below == above {
            write!(f, "{measure}: ±{below} (95 %)")?;
        } else {
            write!(f, "{measure}: between {below} less and {above} more (95 %)")?;
        }
        let groups = (*cells_per_patient > 1).then(|| format!("in at most {cells_per_patient} groups"));
        let rows = rows_per_patient.map(|rows| format!("with at most {rows} rows"));
        let limits: Vec<String> = groups.into_iter().chain(rows).collect();
        if limits.is_empty() { Ok(()) } else { write!(f, ", each patient {}", limits.join(" and ")) }
    }
}

impl Summary {
    /// Whether every known node answered.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.nodes.iter().all(|n| matches!(n.outcome, Outcome::Answered { .. }))
    }

    /// Adds the outcomes of another private query of the same statement: costs add up, the worst outcome stays.
    pub(crate) fn add(&mut self, other: Summary) {
        for theirs in other.nodes {
            match self.nodes.iter_mut().find(|n| n.node == theirs.node) {
                None => self.nodes.push(theirs),
                Some(ours) => ours.outcome.add(theirs.outcome),
            }
        }
        self.nodes.sort_by(|a, b| a.node.cmp(&b.node));
        self.precision.extend(other.precision);
        for cube in other.cubes {
            if !self.cubes.contains(&cube) {
                self.cubes.push(cube);
            }
        }
    }
}

impl Outcome {
    fn add(&mut self, other: Outcome) {
        match (&mut *self, other) {
            (
                Outcome::Answered { rho, delta, rho_left, .. },
                Outcome::Answered { rho: more, delta: chance, rho_left: left, .. },
            ) => {
                *rho += more;
                *delta += chance;
                *rho_left = left.or(*rho_left);
            }
            (Outcome::Answered { .. }, worse) => *self = worse,
            (
                Outcome::Refused { .. }
                | Outcome::Failed { .. }
                | Outcome::Unreachable { .. }
                | Outcome::Absent { .. },
                _,
            ) => {}
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answered = self.nodes.iter().filter(|n| matches!(n.outcome, Outcome::Answered { .. })).count();
        write!(f, "{answered} of {} nodes answered", self.nodes.len())?;
        let (mut paid, mut left, mut exact) = (0f64, None::<f64>, true);
        for node in &self.nodes {
            match &node.outcome {
                Outcome::Answered { rho, rho_left, policy, .. } => {
                    paid = paid.max(*rho);
                    left = left.into_iter().chain(*rho_left).reduce(f64::min);
                    exact &= policy.public_data;
                }
                Outcome::Refused { code, reason, .. } => {
                    write!(f, "\n{}: refused, {code}: {reason}", node.node)?
                }
                Outcome::Failed { reason } => write!(f, "\n{}: failed: {reason}", node.node)?,
                Outcome::Unreachable { reason } => write!(f, "\n{}: unreachable: {reason}", node.node)?,
                Outcome::Absent { reason } => write!(f, "\n{}: absent: {reason}", node.node)?,
            }
        }
        for cube in &self.cubes {
            write!(f, "\n{cube}, free of charge")?;
        }
        for precision in &self.precision {
            write!(f, "\n{precision}")?;
        }
        match left {
            Some(left) => {
                write!(f, "\ncost rho {paid:.4} at each node; {left:.4} left of the budget in this window")
            }
            None if exact && answered > 0 => write!(f, "\nexact: published data, no budget"),
            None => Ok(()),
        }
    }
}

/// One question to all nodes.
pub(crate) struct Federation<'a> {
    pub(crate) models: &'a Models,
    pub(crate) nodes: &'a dyn Nodes,
    pub(crate) deadline: Duration,
    pub(crate) progress: &'a Progress,
}

impl Federation<'_> {
    /// Asks all linked nodes at once; waits until each has answered or the deadline is over.
    pub(crate) async fn ask(
        &self,
        query: &PrivateQuery,
        asker: &Asker,
        query_id: &str,
    ) -> (Vec<(NodeId, Reply)>, Summary) {
        let question = NodeQuery {
            query: query.clone(),
            models: self.models.version(),
            asker: asker.clone(),
            query_id: query_id.to_owned(),
            deadline_ms: self.deadline.as_millis() as u64,
        };
        let linked = self.nodes.linked();
        self.progress.ask(linked.len());
        let asked = join_all(linked.iter().map(|channel| self.ask_one(channel.as_ref(), &question))).await;
        let away = Outcome::Unreachable { reason: "not linked".into() };
        let mut outcomes: BTreeMap<NodeId, Outcome> =
            self.nodes.known().into_iter().map(|node| (node, away.clone())).collect();
        let mut replies = Vec::new();
        for (node, result) in asked {
            outcomes.insert(node.clone(), outcome(&result));
            replies.extend(result.ok().map(|reply| (node, reply)));
        }
        let nodes = outcomes.into_iter().map(|(node, outcome)| NodeOutcome { node, outcome }).collect();
        (replies, Summary { nodes, ..Summary::default() })
    }

    async fn ask_one(
        &self,
        channel: &dyn NodeChannel,
        question: &NodeQuery,
    ) -> (NodeId, Result<Reply, AskError>) {
        let node = channel.profile().node.clone();
        // The node ends by its own deadline; the hub does not depend on it.
        let patience = self.deadline + Duration::from_secs(1);
        let asked = tokio::time::timeout(patience, channel.ask(question.clone())).await;
        self.progress.done();
        (node, asked.unwrap_or(Err(AskError::Deadline)))
    }
}

fn outcome(result: &Result<Reply, AskError>) -> Outcome {
    match result {
        Ok(reply) => {
            let facts = reply.facts();
            Outcome::Answered {
                epoch: facts.epoch,
                rho: facts.rho,
                delta: facts.delta,
                rho_left: facts.rho_left,
                policy: facts.policy,
            }
        }
        Err(AskError::Refused(refusal)) => Outcome::Refused {
            code: refusal.code,
            reason: refusal.reason.clone(),
            rewrite: refusal.rewrite.clone(),
        },
        Err(AskError::Failed(reason)) => Outcome::Failed { reason: reason.clone() },
        Err(AskError::Unreachable(reason)) => Outcome::Unreachable { reason: reason.clone() },
        Err(AskError::Deadline) => Outcome::Unreachable { reason: "no answer in time".into() },
    }
}
