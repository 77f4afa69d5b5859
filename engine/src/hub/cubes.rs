//! Published cubes at the hub: fetched once from every node that is linked, merged, and shown as tables `cube.<name>`.
//!
//! A [`Shelf`] is what the hub shows at one moment; it is made anew when nodes come, go, or say something new. Reading
//! it asks no node. [`answering`] finds the questions that a cube has answered already, [`fetching`] keeps what nodes
//! sent, [`table`] makes one table of it.

mod answering;
mod fetching;
mod table;

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Instant;

use caim_ontology::Models;
use caim_sql::canonical::to_sql;
use caim_sql::catalogue::{CUBES, Catalogue};
use caim_sql::{Code, Refusal};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;

pub(super) use fetching::Cubes;
pub(super) use table::Shown;

use super::{TableListing, public};
use crate::channel::{NodeChannel, NodeId};
use crate::cube::CubeReply;
use crate::federate::{NodeOutcome, Nodes, Outcome, Summary};
use fetching::Fetched;

/// What the hub shows of cubes at one moment.
pub(super) struct Shelf {
    /// Everything that can be named in a statement, the cubes among it.
    pub(super) catalogue: Catalogue,
    /// One row a node and cube, for `catalog.cube`.
    pub(super) entries: Vec<Entry>,
    /// The tables, by name.
    shown: Vec<Shown>,
    /// The ways to the nodes that it was made from. They are kept weakly, so that no other can have their place.
    made_from: Vec<Weak<dyn NodeChannel>>,
    /// When something that could not be fetched is fetched again.
    again: Option<Instant>,
}

/// A cube of a node, and what became of it here.
pub(super) struct Entry {
    pub(super) node: NodeId,
    pub(super) name: String,
    pub(super) epoch: u64,
    /// What is only known when it was fetched.
    pub(super) fetched: Option<(String, String)>,
    /// `released`, or why its cells are not in the table.
    pub(super) status: String,
}

/// What nodes sent of one cube, by its definition.
type Editions = BTreeMap<String, Vec<(NodeId, Arc<CubeReply>)>>;

impl Shelf {
    fn empty(models: &Arc<Models>) -> Self {
        Self::new(models, &[], &[])
    }

    fn new(models: &Arc<Models>, linked: &[Arc<dyn NodeChannel>], fetched: &[Fetched]) -> Self {
        let mut cubes: BTreeMap<&str, Editions> = BTreeMap::new();
        for found in fetched {
            let Ok(reply) = &found.outcome else { continue };
            let editions = cubes.entry(&found.listing.name).or_default();
            let definition = found.listing.definition.clone();
            editions.entry(definition).or_default().push((found.node.clone(), Arc::clone(reply)));
        }
        let shown: Vec<Shown> = cubes.into_values().filter_map(|of| table::shown(models, of)).collect();
        let entries = fetched.iter().map(|found| entry(found, &shown, models)).collect();
        let tables = public::tables().into_iter().chain(shown.iter().map(Shown::public_table));
        let models = Arc::new(models.with_values(&table::published(&shown, models)));
        Self {
            catalogue: Catalogue::new(models, tables.collect()),
            entries,
            shown,
            made_from: linked.iter().map(Arc::downgrade).collect(),
            again: fetched.iter().filter_map(Fetched::again).min(),
        }
    }

    /// Whether it is made from just these nodes as they are now.
    fn is_current(&self, linked: &[Arc<dyn NodeChannel>]) -> bool {
        let same = |(known, now): (&Weak<dyn NodeChannel>, &Arc<dyn NodeChannel>)| {
            std::ptr::addr_eq(known.as_ptr(), Arc::as_ptr(now))
        };
        self.made_from.len() == linked.len()
            && self.made_from.iter().zip(linked).all(same)
            && self.again.is_none_or(|at| Instant::now() < at)
    }

    /// A cube by its name.
    pub(super) fn cube(&self, name: &str) -> Option<&Shown> {
        self.shown.iter().find(|shown| shown.name() == name)
    }

    /// The rows of `cube.<name>`.
    pub(super) fn table(&self, name: &str) -> Option<RecordBatch> {
        self.cube(name).map(|shown| shown.table().clone())
    }

    /// All cubes.
    pub(super) fn shown(&self) -> &[Shown] {
        &self.shown
    }

    /// The cubes as clients list them.
    pub(super) fn listings(&self, models: &Models) -> impl Iterator<Item = TableListing> {
        self.shown.iter().map(|shown| shown.listing(models))
    }

    /// The cubes that a plan reads. They must have the columns that they had when it was planned.
    pub(super) fn read_by(&self, plan: &LogicalPlan) -> Result<Vec<&Shown>, Refusal> {
        let mut found: Vec<&Shown> = Vec::new();
        let mut gone = None;
        let walk = plan.apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node
                && scan.table_name.schema() == Some(CUBES)
            {
                let name = scan.table_name.table();
                match self.cube(name).filter(|shown| shown.table().schema() == scan.source.schema()) {
                    Some(shown) if found.iter().all(|known| known.name() != shown.name()) => {
                        found.push(shown)
                    }
                    Some(_) => {}
                    None => gone = Some(name.to_owned()),
                }
            }
            Ok(TreeNodeRecursion::Continue)
        });
        match (walk, gone) {
            (Ok(_), None) => Ok(found),
            (Ok(_), Some(name)) => {
                let reason =
                    format!("no linked node publishes cube.{name} as it was when the statement was read");
                Err(Refusal::new(Code::UnknownName, reason)
                    .with_rewrite("read the statement again; catalog.cube lists what is published"))
            }
            (Err(error), _) => Err(Refusal::new(Code::Malformed, error.to_string())),
        }
    }

    /// How complete an answer from a cube is: it comes from the nodes that publish it, and costs nothing.
    pub(super) fn summary(&self, shown: &Shown, nodes: &dyn Nodes) -> Summary {
        let away = |reason: &str| Outcome::Unreachable { reason: reason.to_owned() };
        let mut outcomes: BTreeMap<NodeId, Outcome> =
            nodes.known().into_iter().map(|node| (node, away("not linked"))).collect();
        for channel in nodes.linked() {
            let node = channel.profile().node.clone();
            let entry = self.entries.iter().find(|entry| entry.node == node && entry.name == shown.name());
            let reason = entry.map_or_else(
                || format!("it publishes no cube.{}", shown.name()),
                |entry| format!("cube.{}: {}", shown.name(), entry.status),
            );
            outcomes.insert(node, Outcome::Absent { reason });
        }
        for source in shown.sources() {
            let answered = Outcome::Answered {
                epoch: source.epoch,
                rho: 0.0,
                delta: 0.0,
                rho_left: None,
                policy: source.policy,
            };
            outcomes.insert(source.node.clone(), answered);
        }
        let nodes = outcomes.into_iter().map(|(node, outcome)| NodeOutcome { node, outcome }).collect();
        Summary { nodes, cubes: vec![shown.usage()], ..Summary::default() }
    }
}

fn entry(found: &Fetched, shown: &[Shown], models: &Models) -> Entry {
    let listing = &found.listing;
    let (fetched, status) = match &found.outcome {
        Err(error) => (None, format!("it cannot be fetched: {error}")),
        Ok(reply) => {
            let cube = reply.cube();
            let is_in =
                |shown: &Shown| shown.name() == listing.name && shown.definition() == listing.definition;
            let status = match shown.iter().any(is_in) {
                true => "released",
                false => "left out: most nodes define the cube otherwise",
            };
            (Some((cube.description.clone(), to_sql(&cube.query, models))), status.to_owned())
        }
    };
    Entry { node: found.node.clone(), name: listing.name.clone(), epoch: listing.epoch, fetched, status }
}
