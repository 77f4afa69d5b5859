//! Puts hub and node together from their folders and runs them until they are told to stop.
//!
//! The composition root: here, and only here, configuration meets warehouse, engine and wire. `caim hub`,
//! `caim node`, the demo and the integration tests start the same parts.

mod cubes;
mod seen;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use caim_engine::{Hub, Node, NodeId, Nodes};
use caim_flight_server::DevIdentity;
use caim_flight_server::address::HubAddress;
use caim_flight_server::flight_sql::Door;
use caim_flight_server::link;
use caim_flight_server::link::hub::Links;
use caim_ontology::Models;
use caim_warehouse::Warehouse;
use futures::FutureExt;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::config::{HubConfig, HubSection, NodeConfig};
use crate::{setup, vocabulary};
use seen::SeenInState;

/// How often a node looks whether cubes are due: a new epoch shows after this time.
const CUBES_EVERY: Duration = Duration::from_secs(10);

/// How long a node that starts waits for its cubes before it links: a hub then sees them at once.
const CUBES_FIRST: Duration = Duration::from_secs(10);

/// A service on its own task. Dropping it stops it without waiting.
struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<()>>,
}

impl Running {
    fn spawn<F>(service: impl FnOnce(futures::future::BoxFuture<'static, ()>) -> F) -> Self
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(service(stopped.map(drop).boxed()));
        Self { stop, task }
    }

    /// Ends the service in good order and waits for it.
    async fn stop(self) -> Result<()> {
        drop(self.stop);
        self.task.await.context("the service ended with a fault")?
    }
}

/// A hub that listens for analysts and nodes.
pub struct RunningHub {
    hub: Arc<Hub>,
    links: Arc<Links>,
    flight: SocketAddr,
    door: Running,
    postgres: Option<(SocketAddr, Running)>,
}

impl RunningHub {
    /// Starts the hub of a folder.
    ///
    /// # Errors
    /// When a port is taken (the key is named), or the state database cannot be opened.
    pub async fn start(dir: &Path, config: HubConfig) -> Result<Self> {
        let HubSection { flight, nodes, postgres, .. } = config.hub;
        let models = Arc::new(vocabulary::models(dir)?);
        let seen = Arc::new(SeenInState::open(dir)?);
        let door = Door::bind(flight).await.context("hub.flight")?;
        let links = Links::listen(nodes, seen, Arc::clone(&models)).await.context("hub.nodes")?;
        let links = Arc::new(links);
        let deadline = Duration::from_secs(config.limits.deadline_s);
        let hub = Arc::new(Hub::new(Arc::clone(&models), Arc::clone(&links) as Arc<dyn Nodes>, deadline));
        let postgres = match postgres {
            Some(address) => Some(open_postgres(address, &hub, &config.dev_identity).await?),
            None => None,
        };
        let (flight, serving) = (door.address(), Arc::clone(&hub));
        let door = Running::spawn(move |stopped| async move {
            Ok(door.serve(serving, models, config.dev_identity, stopped).await?)
        });
        Ok(Self { hub, links, flight, door, postgres })
    }

    /// The hub itself.
    #[must_use]
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// The nodes that are linked now, and all that ever were.
    #[must_use]
    pub fn nodes(&self) -> &dyn Nodes {
        self.links.as_ref()
    }

    /// Where analysts connect.
    #[must_use]
    pub fn flight(&self) -> SocketAddr {
        self.flight
    }

    /// Where tools that speak PostgreSQL's protocol connect, if they may.
    #[must_use]
    pub fn postgres(&self) -> Option<SocketAddr> {
        self.postgres.as_ref().map(|(address, _)| *address)
    }

    /// Where nodes dial.
    #[must_use]
    pub fn links(&self) -> SocketAddr {
        self.links.address()
    }

    /// Ends the hub: calls that are under way get a few seconds.
    ///
    /// # Errors
    /// When the door had failed before.
    pub async fn stop(self) -> Result<()> {
        if let Some((_, door)) = self.postgres {
            door.stop().await?;
        }
        self.door.stop().await
    }

    /// Runs until the door fails by itself.
    async fn failed(&mut self) -> Result<()> {
        (&mut self.door.task).await.context("the service ended with a fault")?
    }
}

/// Opens the PostgreSQL door over a hub.
#[cfg(feature = "postgres")]
async fn open_postgres(
    address: SocketAddr,
    hub: &Arc<Hub>,
    identity: &DevIdentity,
) -> Result<(SocketAddr, Running)> {
    use caim_flight_server::postgres::PostgresDoor;

    let door = PostgresDoor::bind(address).await.context("hub.postgres")?;
    let (address, hub, identity) = (door.address(), Arc::clone(hub), identity.clone());
    let serving = Running::spawn(move |stopped| async move { Ok(door.serve(hub, identity, stopped).await?) });
    Ok((address, serving))
}

/// Says that there is no such door.
#[cfg(not(feature = "postgres"))]
async fn open_postgres(_: SocketAddr, _: &Arc<Hub>, _: &DevIdentity) -> Result<(SocketAddr, Running)> {
    anyhow::bail!("hub.postgres: this program was built without the PostgreSQL door")
}

/// Opens the node of a folder: configuration, secret, vocabulary, cubes and warehouse must fit together.
///
/// # Errors
/// When one of them is missing, damaged or open to others, or the cubes cost more than may be published.
pub fn open_node(dir: &Path, config: &NodeConfig) -> Result<Arc<Node>> {
    open_node_with(dir, config, Arc::new(vocabulary::models(dir)?))
}

/// The same over other models, as those with the tables of its operator's views.
///
/// # Errors
/// As [`open_node`].
pub fn open_node_with(dir: &Path, config: &NodeConfig, models: Arc<Models>) -> Result<Arc<Node>> {
    setup::secret(dir)?;
    let id = NodeId::new(&config.node.name).map_err(anyhow::Error::msg)?;
    let cubes = cubes::of_node(dir, &config.privacy, &models)?;
    let node = Node::open(id, Warehouse::open(dir)?, models, config.privacy)?;
    Ok(Arc::new(node.publishing(cubes)?))
}

/// A node that keeps itself linked to its hub.
pub struct RunningNode {
    node: Arc<Node>,
    link: Running,
}

impl RunningNode {
    /// Starts publishing and dialling. It goes on through outages of the hub.
    #[must_use]
    pub fn start(node: Arc<Node>, hub: HubAddress) -> Self {
        let serving = Arc::clone(&node);
        let link = Running::spawn(move |stopped| async move {
            let (first, published) = oneshot::channel();
            let publishing = tokio::spawn(publish(Arc::clone(&serving), first));
            let stopped = stopped.shared();
            tokio::select! {
                _ = tokio::time::timeout(CUBES_FIRST, published) => {}
                () = stopped.clone() => {}
            }
            link::node::run(serving, hub, stopped).await;
            publishing.abort();
            Ok(())
        });
        Self { node, link }
    }

    /// The node itself.
    #[must_use]
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// Ends the link: questions that are under way get a few seconds.
    ///
    /// # Errors
    /// When the link had ended with a fault.
    pub async fn stop(self) -> Result<()> {
        self.link.stop().await
    }
}

/// Publishes what is due, now and whenever the data or the window has changed; says when it did so first.
async fn publish(node: Arc<Node>, first: oneshot::Sender<()>) {
    let mut first = Some(first);
    let mut often = tokio::time::interval(CUBES_EVERY);
    loop {
        often.tick().await;
        if let Err(error) = node.publish_cubes().await {
            tracing::error!(%error, "the cubes cannot be published");
        }
        // Nobody may be waiting any more.
        drop(first.take());
    }
}

/// Runs a hub until it is told to stop by `stop`.
///
/// # Errors
/// When it cannot start, or fails by itself.
pub async fn run_hub(dir: &Path, config: HubConfig, stop: impl Future<Output = ()>) -> Result<()> {
    let mut running = RunningHub::start(dir, config).await?;
    tracing::info!("listening for analysts on grpc://{}, for nodes on {}", running.flight(), running.links());
    if let Some(address) = running.postgres() {
        tracing::info!("listening for PostgreSQL clients on {address}");
    }
    tokio::select! {
        failed = running.failed() => return failed,
        () = stop => {}
    }
    tracing::info!("stopping");
    running.stop().await
}

/// Runs a node until it is told to stop by `stop`.
///
/// # Errors
/// When it cannot start.
pub async fn run_node(dir: &Path, config: &NodeConfig, stop: impl Future<Output = ()>) -> Result<()> {
    let hub = config.node.hub.as_deref().with_context(|| {
        format!(
            "node.hub is not set in {}: a node without a hub is asked by `caim sql --node`",
            dir.display()
        )
    })?;
    let hub = HubAddress::parse(hub).context("node.hub")?;
    let running = RunningNode::start(open_node(dir, config)?, hub);
    tracing::info!("node {} dials the hub at {hub}", config.node.name);
    stop.await;
    tracing::info!("stopping");
    running.stop().await
}

/// Resolves when the operator or the system asks the program to end.
///
/// # Errors
/// When signals cannot be received.
pub fn told_to_stop() -> Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// The runtime of a service; 0 threads means as many as the machine has cores.
///
/// # Errors
/// When the system gives no threads.
pub fn runtime(threads: usize) -> Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if threads > 0 {
        builder.worker_threads(threads);
    }
    builder.enable_all().build().context("cannot start threads")
}
