//! Which nodes are linked now, and which ever were.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_flight::flight_service_client::FlightServiceClient;
use caim_engine::{NodeChannel, NodeId, Profile};
use caim_ontology::Models;
use tokio::sync::watch;
use tonic::transport::Channel;

use super::channel::FlightChannel;
use super::seen::SeenNodes;
use crate::connection::Cut;

/// Names that a hub remembers at most, so that nobody can fill its memory with names.
const NAMES: usize = 10_000;

/// The links of a hub, one a name.
pub(super) struct Registry {
    seen: Arc<dyn SeenNodes>,
    models: Arc<Models>,
    linked: Mutex<BTreeMap<NodeId, Linked>>,
    count: watch::Sender<usize>,
}

struct Linked {
    channel: Arc<FlightChannel>,
    client: FlightServiceClient<Channel>,
    /// Tells this link from an older one of the same name.
    link: u64,
    /// Dropped with this entry: a link that is replaced or removed ends, and so do the questions on it.
    _cut: Cut,
}

impl Registry {
    pub(super) fn new(seen: Arc<dyn SeenNodes>, models: Arc<Models>) -> Self {
        Self { seen, models, linked: Mutex::default(), count: watch::Sender::default() }
    }

    /// Puts a link in the place of any older one of the same name: a node knows best when its old link is dead.
    /// The entry goes when the returned guard is dropped.
    pub(super) fn register(
        &self,
        link: u64,
        profile: Profile,
        client: FlightServiceClient<Channel>,
        cut: Cut,
    ) -> Result<Registered<'_>, String> {
        let node = profile.node.clone();
        let known = self.seen.all();
        if known.len() >= NAMES && !known.contains(&node) {
            return Err(format!("more than {NAMES} names of nodes are known already"));
        }
        self.seen.seen(&node);
        let channel = self.channel(client.clone(), profile);
        let mut linked = self.lock();
        let older = linked.insert(node.clone(), Linked { channel, client, link, _cut: cut });
        self.count.send_replace(linked.len());
        match older {
            Some(_) => tracing::warn!(%node, "a newer link of the same name takes the place of an older one"),
            None => tracing::info!(%node, "linked"),
        }
        Ok(Registered { registry: self, node, link })
    }

    /// The ways to all linked nodes, by name.
    pub(super) fn channels(&self) -> Vec<Arc<dyn NodeChannel>> {
        self.lock().values().map(|linked| Arc::clone(&linked.channel) as Arc<dyn NodeChannel>).collect()
    }

    /// All names that were ever linked, sorted.
    pub(super) fn known(&self) -> Vec<NodeId> {
        let mut known = self.seen.all();
        known.extend(self.lock().keys().cloned());
        known.sort();
        known.dedup();
        known
    }

    /// How many nodes are linked, as it changes.
    pub(super) fn count(&self) -> watch::Receiver<usize> {
        self.count.subscribe()
    }

    fn channel(&self, client: FlightServiceClient<Channel>, profile: Profile) -> Arc<FlightChannel> {
        Arc::new(FlightChannel::new(client, Arc::clone(&self.models), profile))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeId, Linked>> {
        self.linked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A link that is known. Dropping it takes it out, however its task ends.
pub(super) struct Registered<'a> {
    registry: &'a Registry,
    node: NodeId,
    link: u64,
}

impl Registered<'_> {
    /// Takes in what the node says of itself by now.
    pub(super) fn renew(&self, profile: Profile) -> Result<(), String> {
        if profile.node != self.node {
            return Err(format!("{} has another name by now", self.node));
        }
        let mut linked = self.registry.lock();
        if let Some(entry) = linked.get_mut(&self.node).filter(|entry| entry.link == self.link)
            && *entry.channel.profile() != profile
        {
            entry.channel = self.registry.channel(entry.client.clone(), profile);
        }
        Ok(())
    }
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        let mut linked = self.registry.lock();
        if linked.get(&self.node).is_some_and(|entry| entry.link == self.link) {
            linked.remove(&self.node);
            self.registry.count.send_replace(linked.len());
            tracing::info!(node = %self.node, "the link has ended");
        }
    }
}
