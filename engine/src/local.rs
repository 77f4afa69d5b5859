//! A channel to a node in the same process: for the operator who asks at the own node, and for tests.

use std::sync::Arc;

use async_trait::async_trait;
use caim_ontology::Models;

use crate::channel::{AskError, NodeChannel, NodeQuery, Profile, Reply};
use crate::cube::{CubeListing, CubeReply};
use crate::node::{Node, NodeError};

/// Asks a node directly, with the same checks as over the wire.
pub struct LocalChannel {
    node: Arc<Node>,
    models: Arc<Models>,
    profile: Profile,
}

impl LocalChannel {
    /// A channel to `node`.
    ///
    /// # Errors
    /// When the node cannot say what it holds.
    pub fn new(node: Arc<Node>, models: Arc<Models>) -> Result<Self, NodeError> {
        let profile = node.profile()?;
        Ok(Self { node, models, profile })
    }
}

#[async_trait]
impl NodeChannel for LocalChannel {
    fn profile(&self) -> &Profile {
        &self.profile
    }

    async fn ask(&self, query: NodeQuery) -> Result<Reply, AskError> {
        let asked = query.query.clone();
        let released = self.node.answer(query).await?;
        Reply::check(&asked, &self.models, &[released.batch().clone()], released.facts().clone())
    }

    async fn cube(&self, listing: &CubeListing) -> Result<CubeReply, AskError> {
        let found = self.node.cube(&listing.name)?;
        CubeReply::check(listing, &self.models, &[found.released.batch().clone()], found.head())
    }
}
