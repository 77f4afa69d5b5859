//! The Flight SQL door: where analysts and their tools come in.
//!
//! The modules in the order of a call: [`service`] is the table of contents, [`callers`] say who calls with which
//! [options](crate::options), [`commands`] read what is asked, [`statements`] plan and run it, [`catalogue`] lists what there is.
//! Everything is bounded: connections, streams, messages, headers, statements, handles, time.

mod actions;
mod callers;
mod catalogue;
mod commands;
mod handles;
mod keys;
mod parameters;
mod polls;
mod puts;
mod service;
mod sessions;
mod sql_info;
mod statements;
#[cfg(test)]
mod tests;
mod wire_schema;
mod xdbc;

pub(crate) use actions::{CHECK, CheckRequest};

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use caim_engine::hub::Hub;
use caim_ontology::Models;
use futures::{FutureExt, Stream, stream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::transport::Server;
use tonic_web::GrpcWebLayer;

use crate::address::Bound;
use crate::connection::Watched;
use crate::questions::Questions;
use crate::{DevIdentity, Error};
use callers::Callers;
use catalogue::Catalogue;
use service::{DoorService, Inside};
use statements::Statements;

/// Longest message in either direction. Batches are sent in pieces of 2 MiB.
const MESSAGE_BYTES: usize = 4 << 20;

/// Longest list of headers of a call, in bytes.
const HEADER_BYTES: u32 = 16 << 10;

/// Connections at the same time; more wait to be accepted.
const CONNECTIONS: usize = 4_096;

/// Calls at the same time on one connection.
const STREAMS: u32 = 128;

/// How often the door asks whether a client is still there, and how long it waits for the answer.
const PING_EVERY: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest silence of a connection. Pings come in between, so only a client that is gone or never spoke HTTP/2 is
/// silent for so long.
const SILENCE: Duration = Duration::from_secs(25);

/// Longest time a call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(3600);

/// How long calls may go on when the hub shuts down.
const GRACE: Duration = Duration::from_secs(5);

/// A door that is bound to its address and not yet open.
pub struct Door(Bound);

impl Door {
    /// Binds the address; port 0 takes any free one.
    ///
    /// # Errors
    /// When the address is not on this machine, or the port is taken.
    pub async fn bind(address: SocketAddr) -> Result<Self, Error> {
        Bound::to(address).await.map(Self)
    }

    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Serves until `shutdown` resolves; calls may go on for a few seconds then.
    ///
    /// # Errors
    /// When the identities do not hold together, or the service ends by itself.
    pub async fn serve(
        self,
        hub: Arc<Hub>,
        models: Arc<Models>,
        identity: DevIdentity,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), Error> {
        identity.validate().map_err(Error::Identity)?;
        let inside = Inside {
            callers: Callers::new(identity),
            catalogue: Catalogue::new(Arc::clone(&hub), models)?,
            statements: Statements::new(Questions::new(hub)),
        };
        let service = FlightServiceServer::new(DoorService(Arc::new(inside)))
            .max_decoding_message_size(MESSAGE_BYTES)
            .max_encoding_message_size(MESSAGE_BYTES);
        let (health, healthy) = tonic_health::server::health_reporter();
        health.set_serving::<FlightServiceServer<DoorService>>().await;
        let shutdown = shutdown.shared();
        let serving = server()
            .layer(GrpcWebLayer::new())
            .add_service(healthy)
            .add_service(service)
            .serve_with_incoming_shutdown(incoming(self.0.listener), shutdown.clone());
        tokio::select! {
            served = serving => Ok(served?),
            () = shutdown.then(|()| tokio::time::sleep(GRACE)) => Ok(()),
        }
    }
}

/// Browsers speak gRPC-web, over HTTP/1.1 as well.
fn server() -> Server {
    Server::builder()
        .accept_http1(true)
        .http2_keepalive_interval(Some(PING_EVERY))
        .http2_keepalive_timeout(Some(PING_TIMEOUT))
        .max_concurrent_streams(STREAMS)
        .http2_max_pending_accept_reset_streams(Some(64))
        .http2_max_local_error_reset_streams(Some(256))
        .http2_max_header_list_size(HEADER_BYTES)
        .timeout(CALL_TIMEOUT)
}

/// A connection that holds its place among all connections.
type Guest = Watched<TcpStream, OwnedSemaphorePermit>;

/// Connections as they come, as long as there is room.
fn incoming(listener: TcpListener) -> impl Stream<Item = Result<Guest, Infallible>> {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    stream::unfold((listener, room), |(listener, room)| async move {
        let permit = Arc::clone(&room).acquire_owned().await.ok()?;
        let stream = accept(&listener).await;
        Some((Ok(Watched::uncut(stream, SILENCE, permit)), (listener, room)))
    })
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Small answers should not wait for more bytes; a connection works without it as well.
                let _ = stream.set_nodelay(true);
                return stream;
            }
            // Out of file descriptors, or a connection that was gone before it was accepted.
            Err(error) => {
                tracing::warn!(%error, "cannot accept a client");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
