//! Configuration of a node and a hub: flag over environment over file over default, and no key goes unread.
//!
//! `DIR/node.toml` and `DIR/hub.toml` are small files that an operator edits by hand, so mistakes must be cheap: an
//! unknown key is an error that names the nearest one, a wrong value names its key and the allowed range, and both
//! name where they stand ([`Error`]). A key `privacy.threshold` is the variable `CAIM__PRIVACY__THRESHOLD` and the
//! flag `--set privacy.threshold=12`. [`reference`](mod@reference) documents every key; the commented files of
//! `caim init` are made from it.

use std::net::SocketAddr;
use std::path::Path;

use caim_connectors::Identity;
use caim_engine::{NodeId, Policy};
use caim_flight_server::DevIdentity;
use serde::{Deserialize, Serialize};

pub mod error;
mod fields;
mod layers;
pub mod reference;

pub use error::Error;
use layers::Layers;
pub use layers::Overrides;

/// Name of a node's configuration file in its folder.
pub const NODE_FILE: &str = "node.toml";
/// Name of a hub's configuration file in its folder.
pub const HUB_FILE: &str = "hub.toml";

/// All of `node.toml`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NodeConfig {
    /// `[node]`.
    pub node: NodeSection,
    /// `[identity]`: which identifiers are the same person's.
    pub identity: Identity,
    /// `[limits]`.
    pub limits: NodeLimits,
    /// `[privacy]`: what the gate of this node applies. Nothing but this file decides on it.
    pub privacy: Policy,
}

/// `[node]`: who the node is and where its hub is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeSection {
    /// Name of the node in answers and audit records.
    pub name: String,
    /// Address of the hub's link port, which the node dials; none for a node that is asked by its operator alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hub: Option<String>,
    /// Address of the node's own pages. No pages are served yet; the node listens nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<SocketAddr>,
}

/// `[limits]` of a node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeLimits {
    /// Threads that answer questions; 0 means as many as the machine has cores.
    pub threads: usize,
}

/// All of `hub.toml`.
#[derive(Debug, Clone, Default)]
pub struct HubConfig {
    /// `[hub]`.
    pub hub: HubSection,
    /// `[limits]`.
    pub limits: HubLimits,
    /// `[dev_identity]`: users and projects, until an identity provider says who asks.
    pub dev_identity: DevIdentity,
}

/// `[hub]`: where the hub listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HubSection {
    /// Address of the Flight SQL door.
    pub flight: SocketAddr,
    /// Address of the PostgreSQL door; none unless it is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postgres: Option<SocketAddr>,
    /// Address of the hub's pages. No pages are served yet.
    pub http: SocketAddr,
    /// Address that nodes dial.
    pub nodes: SocketAddr,
}

impl Default for HubSection {
    fn default() -> Self {
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Self { flight: local(50051), postgres: None, http: local(8080), nodes: local(50052) }
    }
}

/// `[limits]` of a hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HubLimits {
    /// Threads that plan and merge; 0 means as many as the machine has cores.
    pub threads: usize,
    /// How long the hub waits for the nodes, in seconds.
    pub deadline_s: u64,
}

impl Default for HubLimits {
    fn default() -> Self {
        Self { threads: 0, deadline_s: 60 }
    }
}

impl NodeConfig {
    /// Reads `DIR/node.toml` with its overrides.
    ///
    /// # Errors
    /// When the file cannot be read, or a key or value is wrong: [`Error`] says which, where, and what is allowed.
    pub fn load(dir: &Path, overrides: &Overrides) -> Result<Self, Error> {
        let mut layers = Layers::read(&dir.join(NODE_FILE), &["hub", "dev_identity"], overrides)?;
        let config = Self {
            node: layers.section("node")?,
            identity: layers.section("identity")?,
            limits: layers.section("limits")?,
            privacy: layers.section("privacy")?,
        };
        layers.finish()?;
        NodeId::new(&config.node.name).map_err(|reason| layers.reject("node.name", &reason))?;
        config.privacy.validate().map_err(|reason| layers.reject_named(&reason))?;
        Ok(config)
    }
}

impl HubConfig {
    /// Reads `DIR/hub.toml` with its overrides.
    ///
    /// # Errors
    /// As [`NodeConfig::load`].
    pub fn load(dir: &Path, overrides: &Overrides) -> Result<Self, Error> {
        let others = ["node", "identity", "privacy"];
        let mut layers = Layers::read(&dir.join(HUB_FILE), &others, overrides)?;
        let config = Self {
            hub: layers.section("hub")?,
            limits: layers.section("limits")?,
            dev_identity: layers.section("dev_identity")?,
        };
        layers.finish()?;
        config.check(&layers)?;
        Ok(config)
    }

    /// Until links are encrypted, all ports stay on this machine.
    fn check(&self, layers: &Layers) -> Result<(), Error> {
        let HubSection { flight, nodes, postgres, .. } = self.hub;
        let ports = [("hub.flight", flight), ("hub.nodes", nodes)];
        for (key, address) in ports.into_iter().chain(postgres.map(|address| ("hub.postgres", address))) {
            if !address.ip().is_loopback() {
                let reason =
                    format!("{address} can be reached from other machines, and the port is not encrypted");
                return Err(layers.reject(key, &reason));
            }
        }
        if postgres.is_some() && cfg!(not(feature = "postgres")) {
            return Err(layers.reject("hub.postgres", "this program was built without the PostgreSQL door"));
        }
        if !(1..=3600).contains(&self.limits.deadline_s) {
            return Err(layers.reject("limits.deadline_s", "it lies outside the range"));
        }
        self.dev_identity.validate().map_err(|reason| layers.reject("dev_identity", &reason))
    }
}

#[cfg(test)]
mod tests;
