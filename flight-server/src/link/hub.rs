//! The hub's end of links: it accepts, is the client on the accepted stream, and knows which nodes are there.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow_flight::Action;
use arrow_flight::flight_service_client::FlightServiceClient;
use caim_engine::{NodeChannel, NodeId, Nodes, Profile};
use caim_ontology::Models;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};
use tonic::transport::{Channel, Endpoint};

use super::channel::FlightChannel;
use super::seen::SeenNodes;
use super::{
    HEADER_BYTES, KEEP_WINDOW, LINK_TIMEOUT, PING_EVERY, PING_TIMEOUT, PROFILE, PROFILE_BYTES, SILENCE,
};
use crate::Error;
use crate::address::on_loopback;
use crate::connection::{Cut, Watched};

/// Links at the same time, those that have not yet said who they are among them.
const LINKS: usize = 1024;

/// Names that a hub remembers at most, so that nobody can fill its memory with names.
const NAMES: usize = 10_000;

/// The nodes that are linked to this hub. Dropping it ends all links and stops listening.
pub struct Links {
    registry: Arc<Registry>,
    address: SocketAddr,
    accepting: AbortHandle,
}

impl Links {
    /// Listens for nodes; port 0 takes any free one.
    ///
    /// # Errors
    /// When the address is not on this machine, or the port is taken.
    pub async fn listen(
        address: SocketAddr,
        seen: Arc<dyn SeenNodes>,
        models: Arc<Models>,
    ) -> Result<Self, Error> {
        let address = on_loopback(address)?;
        let listener = TcpListener::bind(address).await.map_err(|source| Error::Bind { address, source })?;
        let address = listener.local_addr().map_err(|source| Error::Bind { address, source })?;
        let registry =
            Arc::new(Registry { seen, models, linked: Mutex::default(), count: watch::Sender::default() });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&registry))).abort_handle();
        Ok(Self { registry, address, accepting })
    }

    /// Where nodes dial.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until exactly so many nodes are linked.
    pub async fn wait_for(&self, nodes: usize) {
        // The sender lives as long as `self`, so this ends by the count alone.
        let _ = self.registry.count.subscribe().wait_for(|count| *count == nodes).await;
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Nodes for Links {
    fn linked(&self) -> Vec<Arc<dyn NodeChannel>> {
        let linked = self.registry.lock();
        linked.values().map(|link| Arc::clone(&link.channel) as Arc<dyn NodeChannel>).collect()
    }

    fn known(&self) -> Vec<NodeId> {
        let mut known = self.registry.seen.all();
        known.extend(self.registry.lock().keys().cloned());
        known.sort();
        known.dedup();
        known
    }
}

struct Registry {
    seen: Arc<dyn SeenNodes>,
    models: Arc<Models>,
    linked: Mutex<BTreeMap<NodeId, Linked>>,
    count: watch::Sender<usize>,
}

struct Linked {
    channel: Arc<FlightChannel>,
    /// Dropped with this entry: a link that is replaced or removed ends, and so do the questions on it.
    _cut: Cut,
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeId, Linked>> {
        self.linked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a link in the place of any older one of the same name: a node knows best when its old link is dead.
    fn register(&self, node: &NodeId, channel: &Arc<FlightChannel>, cut: Cut) {
        self.seen.seen(node);
        let mut linked = self.lock();
        let older = linked.insert(node.clone(), Linked { channel: Arc::clone(channel), _cut: cut });
        self.count.send_replace(linked.len());
        match older {
            Some(_) => tracing::warn!(%node, "a newer link of the same name takes the place of an older one"),
            None => tracing::info!(%node, "linked"),
        }
    }

    fn unregister(&self, node: &NodeId, channel: &Arc<FlightChannel>) {
        let mut linked = self.lock();
        if linked.get(node).is_some_and(|link| Arc::ptr_eq(&link.channel, channel)) {
            linked.remove(node);
            self.count.send_replace(linked.len());
            tracing::info!(%node, "the link has ended");
        }
    }

    fn has_room_for(&self, node: &NodeId) -> bool {
        let known = self.seen.all();
        known.len() < NAMES || known.contains(node)
    }
}

/// Accepts for ever. The links live in this task, so that they end with it.
async fn accept(listener: TcpListener, registry: Arc<Registry>) {
    let room = Arc::new(Semaphore::new(LINKS));
    let mut links = JoinSet::new();
    loop {
        while links.try_join_next().is_some() {}
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let registry = Arc::clone(&registry);
                links.spawn(async move {
                    if let Err(reason) = link(stream, &registry).await {
                        tracing::warn!(reason, "a connection of a node was turned away");
                    }
                    drop(permit);
                });
            }
            // Out of file descriptors, or a connection that was gone before it was accepted.
            Err(error) => {
                tracing::warn!(%error, "cannot accept a node");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// One link, from the accepted stream to its end.
async fn link(stream: TcpStream, registry: &Registry) -> Result<(), String> {
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let (held, ended) = oneshot::channel::<()>();
    let (stream, cut) = Watched::new(stream, SILENCE, held);
    let greeted = async {
        let client = FlightServiceClient::new(connect(stream).await?);
        let profile = ask_profile(client.clone()).await?;
        Ok::<_, String>((client, profile))
    };
    let (client, profile) = tokio::time::timeout(LINK_TIMEOUT, greeted)
        .await
        .map_err(|_| "it did not say who it is in time".to_owned())??;
    let node = profile.node.clone();
    if !registry.has_room_for(&node) {
        return Err(format!("more than {NAMES} names of nodes are known already"));
    }
    let channel = Arc::new(FlightChannel::new(client, Arc::clone(&registry.models), profile));
    registry.register(&node, &channel, cut);
    let _unregister = Unregister { registry, node: &node, channel: &channel };
    // Resolves when the connection drops what it held.
    let _ = ended.await;
    Ok(())
}

/// Takes a link out of the registry however its task ends.
struct Unregister<'a> {
    registry: &'a Registry,
    node: &'a NodeId,
    channel: &'a Arc<FlightChannel>,
}

impl Drop for Unregister<'_> {
    fn drop(&mut self) {
        self.registry.unregister(self.node, self.channel);
    }
}

/// A gRPC client over a stream that the other end dialled. The stream can be taken once: a link is never redialled
/// from here.
async fn connect(stream: Watched<TcpStream, oneshot::Sender<()>>) -> Result<Channel, String> {
    let mut once = Some(TokioIo::new(stream));
    let connector = tower::service_fn(move |_: http::Uri| {
        let taken =
            once.take().ok_or_else(|| io::Error::new(io::ErrorKind::NotConnected, "the link has ended"));
        std::future::ready(taken)
    });
    Endpoint::from_static("http://node.invalid")
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(KEEP_WINDOW)
        .initial_connection_window_size(KEEP_WINDOW)
        .http2_max_header_list_size(HEADER_BYTES)
        .connect_with_connector(connector)
        .await
        .map_err(|error| format!("it speaks no HTTP/2: {error}"))
}

async fn ask_profile(client: FlightServiceClient<Channel>) -> Result<Profile, String> {
    let mut client = client.max_decoding_message_size(PROFILE_BYTES);
    let answer =
        client.do_action(Action::new(PROFILE, "")).await.map_err(|status| status.message().to_owned())?;
    let first = answer.into_inner().message().await.map_err(|status| status.message().to_owned())?;
    let body = first.ok_or("it has no profile")?.body;
    let profile: Profile = serde_json::from_slice(&body).map_err(|_| "its profile is of another version")?;
    // The name came over the wire: hold it against the rule again.
    NodeId::new(profile.node.as_str())?;
    Ok(profile)
}
