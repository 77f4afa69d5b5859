//! Where `caim sql` and `caim check` ask: at a hub over Flight SQL, or at the operator's own node.
//!
//! Both ways lead through the same gate. At a node, a hub over one channel in memory stands between: the operator
//! sees what any analyst would see, and is charged the same.

mod local;
mod remote;

use std::path::PathBuf;

use anyhow::Result;
use caim_engine::{Answer, Summary};

use local::Local;
use remote::Remote;

/// Where the demo and a hub by default listen.
const DEFAULT_HUB: &str = "grpc://127.0.0.1:50051";

/// Whom to ask, as whom.
#[derive(Debug, Clone, clap::Args)]
pub struct Whom {
    /// Hub to ask
    #[arg(long, value_name = "URL", default_value = DEFAULT_HUB, conflicts_with = "node")]
    pub hub: String,
    /// Ask the node of this folder instead, through the same gate
    #[arg(long, value_name = "DIR")]
    pub node: Option<PathBuf>,
    /// User; without one the hub decides who you are
    #[arg(long, env = "CAIM_USER", requires = "password")]
    pub user: Option<String>,
    /// Password of the user
    #[arg(long, env = "CAIM_PASSWORD", hide_env_values = true, requires = "user")]
    pub password: Option<String>,
    /// Project whose budget is charged
    #[arg(long, value_name = "NAME")]
    pub project: Option<String>,
}

/// A way to ask.
pub enum Asking {
    /// A hub.
    Remote(Box<Remote>),
    /// The operator's own node.
    Local(Box<Local>),
}

impl Asking {
    /// Connects.
    ///
    /// # Errors
    /// When nobody is there, the credentials are wrong, or the folder is no node.
    pub async fn open(whom: &Whom) -> Result<Self> {
        Ok(match &whom.node {
            Some(dir) => Self::Local(Box::new(Local::open(dir, whom)?)),
            None => Self::Remote(Box::new(Remote::connect(whom).await?)),
        })
    }

    /// Asks one statement.
    ///
    /// # Errors
    /// A refusal, or a failure.
    pub async fn ask(&mut self, sql: &str) -> Result<Answer> {
        match self {
            Self::Remote(remote) => remote.ask(sql).await,
            Self::Local(local) => local.ask(sql).await,
        }
    }

    /// What a statement would cost and push down.
    ///
    /// # Errors
    /// A refusal, or a failure.
    pub async fn check(&mut self, sql: &str) -> Result<String> {
        match self {
            Self::Remote(remote) => remote.check(sql).await,
            Self::Local(local) => local.check(sql).await,
        }
    }
}

/// The answer to a statement that only sets something.
fn nothing() -> Answer {
    use datafusion::arrow::datatypes::Schema;
    Answer { schema: Schema::empty().into(), batches: Vec::new(), summary: Summary::default() }
}
