//! The hub's end of links: it accepts, is the client on the accepted stream, and keeps to the newest link of a name.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::Action;
use arrow_flight::flight_service_client::FlightServiceClient;
use caim_engine::{NodeChannel, NodeId, Nodes, Profile};
use caim_ontology::Models;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::{AbortHandle, JoinSet};
use tonic::transport::{Channel, Endpoint};

use super::registry::{Registered, Registry};
use super::seen::SeenNodes;
use super::{
    HEADER_BYTES, LINK_TIMEOUT, PING_EVERY, PING_TIMEOUT, PROFILE, PROFILE_BYTES, Pace, WINDOW_BYTES,
};
use crate::Error;
use crate::address::on_loopback;
use crate::connection::Watched;

/// Links at the same time, those that have not yet said who they are among them.
const LINKS: usize = 1024;

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
        Self::listen_at(Pace::USUAL, address, seen, models).await
    }

    pub(super) async fn listen_at(
        pace: Pace,
        address: SocketAddr,
        seen: Arc<dyn SeenNodes>,
        models: Arc<Models>,
    ) -> Result<Self, Error> {
        let address = on_loopback(address)?;
        let listener = TcpListener::bind(address).await.map_err(|source| Error::Bind { address, source })?;
        let address = listener.local_addr().map_err(|source| Error::Bind { address, source })?;
        let registry = Arc::new(Registry::new(seen, models));
        let accepting = tokio::spawn(accept(listener, Arc::clone(&registry), pace)).abort_handle();
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
        let _ = self.registry.count().wait_for(|count| *count == nodes).await;
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Nodes for Links {
    fn linked(&self) -> Vec<Arc<dyn NodeChannel>> {
        self.registry.channels()
    }

    fn known(&self) -> Vec<NodeId> {
        self.registry.known()
    }
}

/// Accepts for ever. The links live in this task, so that they end with it.
async fn accept(listener: TcpListener, registry: Arc<Registry>, pace: Pace) {
    let room = Arc::new(Semaphore::new(LINKS));
    let mut links = JoinSet::new();
    for number in 0.. {
        while links.try_join_next().is_some() {}
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let registry = Arc::clone(&registry);
                links.spawn(async move {
                    if let Err(reason) = link(number, stream, &registry, pace).await {
                        tracing::warn!(reason, "a node was turned away");
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
async fn link(number: u64, stream: TcpStream, registry: &Registry, pace: Pace) -> Result<(), String> {
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let (held, ended) = oneshot::channel::<()>();
    let (stream, cut) = Watched::new(stream, pace.silence, held);
    let greeted = async {
        let client = FlightServiceClient::new(connect(stream).await?);
        let profile = ask_profile(client.clone()).await?;
        Ok::<_, String>((client, profile))
    };
    let greeted = tokio::time::timeout(LINK_TIMEOUT, greeted).await;
    let (client, profile) = greeted.map_err(|_| "it did not say who it is in time".to_owned())??;
    let registered = registry.register(number, profile, client.clone(), cut)?;
    tokio::select! {
        // Resolves when the connection drops what it held.
        _ = ended => Ok(()),
        reason = follow(&registered, client, pace) => Err(reason),
    }
}

/// Asks for the profile again and again, since collections come and go while a link lives. Ends with the reason why
/// the link must end.
async fn follow(registered: &Registered<'_>, client: FlightServiceClient<Channel>, pace: Pace) -> String {
    loop {
        tokio::time::sleep(pace.profile).await;
        // A node that fails at this may still answer, and one that is gone ends its link by silence.
        if let Ok(Ok(profile)) = tokio::time::timeout(LINK_TIMEOUT, ask_profile(client.clone())).await
            && let Err(reason) = registered.renew(profile)
        {
            return reason;
        }
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
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
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
