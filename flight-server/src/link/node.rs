//! The node's end of a link: it dials the hub and then serves on that stream, again and again, and listens nowhere.
//!
//! Two traps lie here. A server over one stream that ends would return at once while the connection lives on, and
//! the node would dial for ever: so the incoming stream stays pending and the end of the connection ends the server.
//! And HTTP/2 keepalive alone leaves links dead after some partitions: so silence of the bytes ends a link as well.

use std::hash::BuildHasher;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_flight::flight_service_server::FlightServiceServer;
use caim_engine::Node;
use futures::future::Shared;
use futures::stream::{self, StreamExt};
use futures::{FutureExt, future};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tonic::transport::Server;

use super::backoff::Backoff;
use super::service::{Asked, Gate, LinkService};
use super::{
    HEADER_BYTES, LINK_TIMEOUT, PING_EVERY, PING_TIMEOUT, Pace, QUESTION_BYTES, STREAMS, WINDOW_BYTES,
};
use crate::address::{HubAddress, on_loopback};
use crate::connection::Watched;

/// How long questions that are being answered may go on when the node shuts down.
const GRACE: Duration = Duration::from_secs(5);

/// Longest time a question may take, whatever the hub says.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(3600);

/// Keeps a node linked to its hub until `shutdown` resolves. Faults of the link are logged and tried again.
pub async fn run(node: Arc<Node>, hub: HubAddress, shutdown: impl Future<Output = ()> + Send) {
    keep_linked(LinkService::new(Gate(node)), hub, Pace::USUAL, shutdown).await;
}

pub(super) async fn keep_linked<A: Asked>(
    service: LinkService<A>,
    hub: HubAddress,
    pace: Pace,
    shutdown: impl Future<Output = ()> + Send,
) {
    let shutdown = shutdown.shared();
    let mut backoff = Backoff::default();
    while shutdown.peek().is_none() {
        let began = Instant::now();
        match link(service.clone(), hub, pace, shutdown.clone()).await {
            Ok(()) => tracing::info!(%hub, "the link to the hub has ended"),
            Err(error) => tracing::debug!(%hub, %error, "the hub cannot be reached"),
        }
        if began.elapsed() >= pace.lived {
            backoff.reset();
        }
        let pause = backoff.pause(Instant::now(), chance());
        future::select(shutdown.clone(), Box::pin(tokio::time::sleep(pause))).await;
    }
}

/// One link, from dialling to its end.
async fn link<A: Asked, S: Future<Output = ()> + Send>(
    service: LinkService<A>,
    hub: HubAddress,
    pace: Pace,
    shutdown: Shared<S>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let dialled = tokio::select! {
        () = shutdown.clone() => return Ok(()),
        dialled = tokio::time::timeout(LINK_TIMEOUT, TcpStream::connect(hub.socket())) => dialled,
    };
    let stream = dialled.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    on_loopback(stream.peer_addr()?)?;
    stream.set_nodelay(true)?;
    tracing::info!(%hub, "linked to the hub");
    let (held, ended) = oneshot::channel::<()>();
    let (stream, cut) = Watched::new(stream, pace.silence, held);
    let incoming = stream::once(future::ready(Ok::<_, io::Error>(stream))).chain(stream::pending());
    let ended = ended.map(|_| ()).shared();
    let serving = server().serve_with_incoming_shutdown(
        FlightServiceServer::new(service).max_decoding_message_size(QUESTION_BYTES),
        incoming,
        future::select(ended.clone(), shutdown.clone()).map(|_| ()),
    );
    tokio::select! {
        served = serving => served?,
        () = shutdown.then(|()| tokio::time::sleep(GRACE)) => {}
    }
    drop(cut);
    ended.await;
    Ok(())
}

fn server() -> Server {
    Server::builder()
        .http2_keepalive_interval(Some(PING_EVERY))
        .http2_keepalive_timeout(Some(PING_TIMEOUT))
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_concurrent_streams(STREAMS)
        .http2_max_pending_accept_reset_streams(Some(64))
        .http2_max_header_list_size(HEADER_BYTES)
        .timeout(QUESTION_TIMEOUT)
}

/// A number between 0 and 1 that differs from node to node; it need not be secret.
fn chance() -> f64 {
    let drawn = std::hash::RandomState::new().hash_one(()) >> 32;
    f64::from(u32::try_from(drawn).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}
