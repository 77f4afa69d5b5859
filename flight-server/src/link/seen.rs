//! The names of all nodes that were ever linked, so that an answer can say who is missing.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use caim_engine::NodeId;

/// Remembers names of nodes. The hub keeps them in its state database; tests keep them in memory.
pub trait SeenNodes: Send + Sync {
    /// A node of this name is linked.
    fn seen(&self, node: &NodeId);

    /// All names that were ever seen, sorted.
    fn all(&self) -> Vec<NodeId>;
}

/// Names that live as long as the process.
#[derive(Debug, Default)]
pub struct InMemory(Mutex<BTreeSet<NodeId>>);

impl SeenNodes for InMemory {
    fn seen(&self, node: &NodeId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(node.clone());
    }

    fn all(&self) -> Vec<NodeId> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}
