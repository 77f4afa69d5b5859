//! The link between node and hub, with its roles reversed: the node dials, and then *serves* Flight on that stream;
//! the hub accepts, and is the client. So hospitals open no port.
//!
//! A profile (`do_action("profile")`) says who is there; a question (`do_get` of a `NodeQuery`) brings what the
//! node's gate released, a name of the profile the published cube, and nothing else can come back. Plain TCP over loopback until enrolment; a name is then
//! what the node says it is.

mod backoff;
mod channel;
#[cfg(test)]
mod contract;
pub mod hub;
pub mod node;
mod registry;
pub mod seen;
mod service;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::wire::Limits;

/// Action that asks a node who it is.
const PROFILE: &str = "profile";

/// How the ticket of a cube begins; its name follows. A question is JSON, which begins otherwise.
const CUBE: &[u8] = b"cube:";

/// How often each end shows that it is alive.
const PING_EVERY: Duration = Duration::from_secs(1);

/// How long a ping may stay unanswered.
const PING_TIMEOUT: Duration = Duration::from_secs(3);

/// The times by which links live and die. Tests take shorter ones.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// Longest silence of a link. With pings every second, silence means that nobody is there.
    silence: Duration,
    /// A link that lasted this long was one: the next outage starts with short pauses again.
    lived: Duration,
    /// How often the hub asks a node again who it is and what it holds.
    profile: Duration,
}

impl Pace {
    const USUAL: Self = Self {
        silence: Duration::from_secs(4),
        lived: Duration::from_secs(5),
        profile: Duration::from_secs(10),
    };
}

/// How long linking may take: the connection, and the profile.
const LINK_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest gRPC message of a link; batches are sent in pieces of 2 MiB.
const MESSAGE_BYTES: usize = 4 << 20;

/// Longest question that a node reads.
const QUESTION_BYTES: usize = 1 << 20;

/// Longest profile that a hub reads.
const PROFILE_BYTES: usize = 256 << 10;

/// Longest list of headers, in bytes: a status has at most 2 KiB text and 2 KiB details.
const HEADER_BYTES: u32 = 16 << 10;

/// Questions at the same time on one link.
const STREAMS: u32 = 64;

/// What one node's answer may hold.
const REPLY: Limits = Limits { rows: caim_engine::reply::MAX_CELLS as u64, bytes: 256 << 20 };

/// What one published cube may hold.
const CUBE_REPLY: Limits = Limits { rows: caim_engine::cube::MAX_CUBE_CELLS as u64, bytes: 64 << 20 };

/// How long a cube may take on its way.
const CUBE_TIMEOUT: Duration = Duration::from_secs(5);

/// How much may be under way unacknowledged, in bytes.
const WINDOW_BYTES: u32 = 4 << 20;
