//! A hub and its nodes in one process, over real TCP on loopback: the demo runs on it, and the integration tests.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use caim_engine::{Hub, Node};
use caim_flight_server::address::HubAddress;

use crate::config::{HubConfig, NodeConfig, Overrides};
use crate::service::{self, RunningHub, RunningNode};

/// How long the nodes may take to link.
const LINKING: Duration = Duration::from_secs(30);

/// Which ports the hub takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ports {
    /// Any free ones, so that several clusters can run.
    #[default]
    Ephemeral,
    /// Those of hub.toml.
    Configured,
}

/// What to start.
#[derive(Debug, Clone, Default)]
pub struct ClusterOptions {
    /// Folder of the hub.
    pub hub: PathBuf,
    /// Folders of the nodes. Whatever hub they name, they dial this one.
    pub nodes: Vec<PathBuf>,
    /// Ports of the hub.
    pub ports: Ports,
}

/// A hub with its nodes. Dropping it stops them all without waiting.
pub struct Cluster {
    hub: RunningHub,
    nodes: BTreeMap<String, RunningNode>,
}

impl Cluster {
    /// Starts everything and waits until all nodes are linked.
    ///
    /// # Errors
    /// When a folder is no hub or node, a port is taken, or a node does not link in time.
    pub async fn start(options: &ClusterOptions) -> Result<Self> {
        let mut config = HubConfig::load(&options.hub, &Overrides::new(Vec::new()))?;
        if options.ports == Ports::Ephemeral {
            let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            (config.hub.flight, config.hub.nodes) = (free, free);
            config.hub.postgres = config.hub.postgres.map(|_| free);
        }
        let hub = RunningHub::start(&options.hub, config).await?;
        let mut cluster = Self { hub, nodes: BTreeMap::new() };
        for dir in &options.nodes {
            cluster.start_node(dir)?;
        }
        cluster.wait_until_linked().await?;
        Ok(cluster)
    }

    /// Starts one more node; it links in the background.
    ///
    /// # Errors
    /// When the folder is no node.
    pub fn start_node(&mut self, dir: &Path) -> Result<()> {
        let config = NodeConfig::load(dir, &Overrides::new(Vec::new()))?;
        let node = service::open_node(dir, &config)?;
        let hub = HubAddress::parse(&self.hub.links().to_string())?;
        self.nodes.insert(config.node.name.clone(), RunningNode::start(node, hub));
        Ok(())
    }

    /// Stops a node in good order; the hub knows it still.
    ///
    /// # Errors
    /// When no such node runs, or its link had failed.
    pub async fn stop_node(&mut self, name: &str) -> Result<()> {
        self.nodes.remove(name).with_context(|| format!("no node {name} runs"))?.stop().await
    }

    /// Waits until exactly the nodes that run are linked.
    ///
    /// # Errors
    /// When that does not happen in time.
    pub async fn wait_until_linked(&self) -> Result<()> {
        let mut often = tokio::time::interval(Duration::from_millis(10));
        let linked = async {
            while self.linked() != self.nodes.keys().cloned().collect::<Vec<_>>() {
                often.tick().await;
            }
        };
        if tokio::time::timeout(LINKING, linked).await.is_err() {
            bail!("of the nodes {:?}, only {:?} are linked", self.nodes.keys(), self.linked());
        }
        Ok(())
    }

    /// The names of the nodes that are linked now, sorted.
    #[must_use]
    pub fn linked(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.hub.nodes().linked().iter().map(|node| node.profile().node.to_string()).collect();
        names.sort();
        names
    }

    /// The hub.
    #[must_use]
    pub fn hub(&self) -> &Arc<Hub> {
        self.hub.hub()
    }

    /// A node that runs.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&Arc<Node>> {
        self.nodes.get(name).map(RunningNode::node)
    }

    /// Where analysts connect, as clients want it.
    #[must_use]
    pub fn flight_url(&self) -> String {
        format!("grpc://{}", self.hub.flight())
    }

    /// Where nodes dial.
    #[must_use]
    pub fn links(&self) -> SocketAddr {
        self.hub.links()
    }

    /// Stops nodes, then the hub, in good order.
    ///
    /// # Errors
    /// When one of them had failed.
    pub async fn stop(self) -> Result<()> {
        for node in self.nodes.into_values() {
            node.stop().await?;
        }
        self.hub.stop().await
    }
}

#[cfg(test)]
mod tests;
