//! The PostgreSQL door: the same hub for tools that speak PostgreSQL's protocol (version 3).
//!
//! A statement goes through the same [questions](crate::questions) as at the Flight SQL door: same planner, same gate,
//! same identities, same refusals and settings. What tools ask of PostgreSQL's own catalogue is answered by
//! [`catalogue`], which holds names, types and comments and nothing of patients.

mod catalogue;
mod errors;
mod handlers;
mod parameters;
mod rows;
mod said;
mod session;
mod statements;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use caim_engine::hub::Hub;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::address::Bound;
use crate::questions::Questions;
use crate::{DevIdentity, Error};
use catalogue::Catalogue;
use handlers::{Door, Handlers};
use session::Session;

/// Connections at the same time; more wait to be accepted.
const CONNECTIONS: usize = 512;

/// A door that is bound to its address and not yet open.
pub struct PostgresDoor(Bound);

impl PostgresDoor {
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

    /// Serves until `shutdown` resolves; connections end with it.
    ///
    /// # Errors
    /// When the identities do not hold together.
    pub async fn serve(
        self,
        hub: Arc<Hub>,
        identity: DevIdentity,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), Error> {
        identity.validate().map_err(Error::Identity)?;
        let catalogue = Catalogue::new(Arc::clone(&hub));
        let door = Arc::new(Door::new(Questions::new(hub), catalogue, identity));
        tokio::select! {
            () = accept(self.0.listener, door) => {}
            () = shutdown => {}
        }
        Ok(())
    }
}

/// Takes in clients for ever; dropping the future ends their connections.
async fn accept(listener: TcpListener, door: Arc<Door>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut guests = JoinSet::new();
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        while guests.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let door = Arc::clone(&door);
                guests.spawn(async move {
                    serve(stream, door).await;
                    drop(permit);
                });
            }
            // Out of file descriptors, or a connection that was gone before it was accepted.
            Err(error) => {
                tracing::warn!(%error, "cannot accept a client");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, door: Arc<Door>) {
    // Small answers should not wait for more bytes; a connection works without it as well.
    let _ = stream.set_nodelay(true);
    let (stream, session) = match Session::of(stream) {
        Ok(both) => both,
        Err(error) => return tracing::warn!(%error, "cannot take in a client"),
    };
    let handlers = Arc::new(Handlers::new(door, Arc::new(session)));
    if let Err(error) = Box::pin(pgwire::tokio::process_socket(stream, None, handlers)).await {
        tracing::debug!(%error, "a client's connection ended");
    }
}

#[cfg(test)]
mod tests;
