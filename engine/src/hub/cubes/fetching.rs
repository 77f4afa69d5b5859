//! What nodes sent of their cubes: fetched when a node links or says something new, and kept within bounds.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use caim_ontology::Models;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use tokio::sync::Mutex;

use super::Shelf;
use crate::channel::{AskError, NodeChannel, NodeId};
use crate::cube::{CubeListing, CubeReply, MAX_CUBES};
use crate::federate::Nodes;

/// How long one cube may take to come.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a cube that did not come is left alone.
const PAUSE: Duration = Duration::from_secs(30);

/// Cubes fetched at the same time.
const AT_ONCE: usize = 32;

/// Cells of all cubes of all nodes that the hub keeps.
const CELLS_KEPT: usize = 4_000_000;

/// The cubes of a hub.
pub(in crate::hub) struct Cubes {
    models: Arc<Models>,
    fetched: Mutex<Vec<Fetched>>,
    shelf: RwLock<Arc<Shelf>>,
}

/// A cube that a node lists, and what came of fetching it.
#[derive(Clone)]
pub(super) struct Fetched {
    channel: Weak<dyn NodeChannel>,
    pub(super) node: NodeId,
    pub(super) listing: CubeListing,
    pub(super) outcome: Result<Arc<CubeReply>, AskError>,
    at: Instant,
}

impl Fetched {
    /// When it is fetched again: never, once it came.
    pub(super) fn again(&self) -> Option<Instant> {
        self.outcome.is_err().then(|| self.at + PAUSE)
    }

    fn is_for(&self, channel: &Arc<dyn NodeChannel>, listing: &CubeListing) -> bool {
        std::ptr::addr_eq(self.channel.as_ptr(), Arc::as_ptr(channel))
            && self.listing == *listing
            && self.again().is_none_or(|at| Instant::now() < at)
    }
}

impl Cubes {
    pub(in crate::hub) fn new(models: Arc<Models>) -> Self {
        let shelf = RwLock::new(Arc::new(Shelf::empty(&models)));
        Self { models, fetched: Mutex::default(), shelf }
    }

    /// What is shown now.
    pub(in crate::hub) fn shelf(&self) -> Arc<Shelf> {
        Arc::clone(&self.shelf.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes in what the linked nodes have published since. Without news it does nothing.
    pub(in crate::hub) async fn refresh(&self, nodes: &dyn Nodes) {
        if self.shelf().is_current(&nodes.linked()) {
            return;
        }
        // Whoever waited here finds the news taken in.
        let mut kept = self.fetched.lock().await;
        let linked = nodes.linked();
        if self.shelf().is_current(&linked) {
            return;
        }
        let mut wanted: Vec<BoxFuture<'static, Fetched>> = Vec::new();
        for channel in &linked {
            for listing in listed(channel) {
                wanted.push(match kept.iter().find(|found| found.is_for(channel, &listing)) {
                    Some(known) => std::future::ready(known.clone()).boxed(),
                    None => fetch(Arc::clone(channel), listing).boxed(),
                });
            }
        }
        let mut fetched: Vec<Fetched> = stream::iter(wanted).buffered(AT_ONCE).collect().await;
        bound(&mut fetched);
        let shelf = Arc::new(Shelf::new(&self.models, &linked, &fetched));
        *kept = fetched;
        *self.shelf.write().unwrap_or_else(PoisonError::into_inner) = shelf;
    }
}

/// The cubes of a node's profile, each name once.
fn listed(channel: &Arc<dyn NodeChannel>) -> impl Iterator<Item = CubeListing> {
    let mut names = BTreeSet::new();
    let mut cubes = channel.profile().cubes.clone();
    cubes.truncate(MAX_CUBES);
    cubes.retain(|listing| names.insert(listing.name.clone()));
    cubes.into_iter()
}

async fn fetch(channel: Arc<dyn NodeChannel>, listing: CubeListing) -> Fetched {
    let outcome = tokio::time::timeout(PATIENCE, channel.cube(&listing)).await;
    let outcome = outcome.unwrap_or(Err(AskError::Deadline)).map(Arc::new);
    let node = channel.profile().node.clone();
    if let Err(error) = &outcome {
        tracing::warn!(%node, cube = %listing.name, %error, "a cube could not be fetched");
    }
    Fetched { channel: Arc::downgrade(&channel), node, listing, outcome, at: Instant::now() }
}

/// The first cubes that fit into the memory that is meant for them stay.
fn bound(fetched: &mut [Fetched]) {
    let mut cells = 0usize;
    for found in fetched {
        let Ok(reply) = &found.outcome else { continue };
        let with = cells.saturating_add(reply.reply().batch().num_rows());
        if with > CELLS_KEPT {
            let reason = format!("the hub keeps at most {CELLS_KEPT} cells of cubes");
            found.outcome = Err(AskError::Failed(reason));
        } else {
            cells = with;
        }
    }
}
