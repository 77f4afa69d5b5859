//! How a question *travels*: the Flight SQL and PostgreSQL doors for analysts, the link between node and hub, identity.
//!
//! In the order of a question's way: a [`client`] calls the [`flight_sql`] door, or a tool the `postgres` door. The door
//! finds out who asks by [`identity`] and lets the engine's hub answer; the hub asks its nodes over the [`link`]. A
//! node dials the hub and then *serves* on that stream, so it listens nowhere. [`address`] says where plain TCP may go:
//! nowhere but loopback, until enrolment brings mutual TLS. Nothing here decides what may be released; the engine's
//! gate does, and its `Released` is all that the node's service can send.
//!
//! ```
//! use caim_flight_server::address::HubAddress;
//!
//! assert!(HubAddress::parse("127.0.0.1:50052").is_ok());
//! let refused = HubAddress::parse("hub.example.org:50052").unwrap_err();
//! assert!(refused.to_string().contains("mutual TLS"));
//! ```

pub mod address;
pub mod client;
mod connection;
mod error;
pub mod flight_sql;
pub mod identity;
pub mod link;
mod options;
#[cfg(feature = "postgres")]
pub mod postgres;
mod questions;
mod status;
#[cfg(test)]
mod testing;
mod wire;

pub use error::Error;
pub use identity::DevIdentity;
