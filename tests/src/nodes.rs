//! Nodes in the process of the test, as a hub knows them.

use std::sync::Arc;

use caim_engine::{NodeChannel, NodeId, Nodes};

/// Exactly these channels, all linked.
pub struct Here(pub Vec<Arc<dyn NodeChannel>>);

impl Nodes for Here {
    fn linked(&self) -> Vec<Arc<dyn NodeChannel>> {
        self.0.clone()
    }

    fn known(&self) -> Vec<NodeId> {
        self.0.iter().map(|channel| channel.profile().node.clone()).collect()
    }
}
