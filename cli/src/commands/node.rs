//! `caim node`: runs a node until it is told to stop.

use std::path::PathBuf;

use super::Outcome;
use crate::config::{NodeConfig, Overrides};
use crate::exit::Exit;
use crate::service;

/// Flags of `caim node`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The node dials the hub named by node.hub and listens nowhere. It goes on through outages of the hub
and ends on SIGTERM or Ctrl-C. Policy and budgets are those of DIR/node.toml; no hub changes them.")]
pub struct Args {
    /// Folder of the node
    pub dir: PathBuf,
    /// Key over file and environment, e.g. --set node.hub=127.0.0.1:50052
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    pub set: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// When the configuration, secret or warehouse do not fit together.
pub fn run(args: Args) -> Outcome {
    let config = NodeConfig::load(&args.dir, &Overrides::new(args.set))?;
    service::runtime(config.limits.threads)?.block_on(async {
        let stop = service::told_to_stop()?;
        service::run_node(&args.dir, &config, stop).await
    })?;
    Ok(Exit::Ok)
}
