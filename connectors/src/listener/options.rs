//! What an operator says about a listener, and what is bounded.

use std::net::SocketAddr;
use std::time::Duration;

use super::negotiation::is_title;
use crate::{Code, Error, Result};

/// How a listener listens.
#[derive(Debug, Clone)]
pub struct ListenOptions {
    /// Where; port 0 is any free one.
    pub address: SocketAddr,
    /// The title by which it must be called.
    pub ae_title: String,
    /// Who may call; anybody if it is empty. A title is a name, no proof.
    pub callers: Vec<String>,
    /// It may listen beyond this machine, where nothing is encrypted.
    pub unencrypted: bool,
    /// What is bounded.
    pub limits: Limits,
}

/// What is bounded, whatever peers do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Associations at once; another one is rejected for the time being.
    pub associations: usize,
    /// Bytes of the header of one object.
    pub header_bytes: u64,
    /// Bytes of all headers that wait.
    pub spool_bytes: u64,
    /// How long an association may be silent between two messages.
    pub idle: Duration,
    /// How long it may be silent within one, and before the first.
    pub stall: Duration,
    /// Headers come in when no other has come for so long,
    pub quiet: Duration,
    /// when the first has waited for so long,
    pub longest: Duration,
    /// or when so many wait.
    pub objects: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            associations: 16,
            header_bytes: 64 << 20,
            spool_bytes: 2 << 30,
            idle: Duration::from_secs(300),
            stall: Duration::from_secs(60),
            quiet: Duration::from_secs(2),
            longest: Duration::from_secs(20),
            objects: 10_000,
        }
    }
}

impl ListenOptions {
    /// That it may be listened so.
    pub(super) fn check(&self) -> Result<()> {
        let Self { address, ae_title, callers, unencrypted, .. } = self;
        for title in std::iter::once(ae_title).chain(callers) {
            if !is_title(title) {
                let reason = "an AE title has 1 to 16 printable ASCII characters, no backslash, and no space at an end";
                return Err(Error::new(Code::Listener, title, reason));
            }
        }
        if !address.ip().is_loopback() && !unencrypted {
            let reason = "it is more than this machine, and associations are not encrypted";
            return Err(Error::new(Code::Listener, address, reason).with_fix(
            "listen on 127.0.0.1 behind a TLS tunnel, or say --unencrypted if the network to the PACS is trusted",
        ));
        }
        Ok(())
    }
}
