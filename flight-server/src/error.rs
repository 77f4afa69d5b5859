//! What can go wrong when a service starts. Later faults are answers (refusals, states of a link), not errors.

use std::net::SocketAddr;

/// Why a door or a link cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Plain TCP beyond this machine.
    #[error(
        "{address} is not on this machine: plain TCP goes over loopback only, mutual TLS comes with enrolment; \
         use 127.0.0.1, [::1] or localhost"
    )]
    NotLoopback {
        /// The address as it was given.
        address: String,
    },
    /// Not an address.
    #[error("{address} is no address: write HOST:PORT, for example 127.0.0.1:50052")]
    Address {
        /// The address as it was given.
        address: String,
    },
    /// The port cannot be had.
    #[error("cannot listen on {address}: {source}; is another hub running?")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The section `[dev_identity]` does not hold together.
    #[error("[dev_identity]: {0}")]
    Identity(String),
    /// The service ended by itself.
    #[error("the service ended: {0}")]
    Service(#[from] tonic::transport::Error),
    /// A published table cannot be described in Arrow.
    #[error("the catalogue cannot be announced: {0}")]
    Catalogue(String),
}
