//! `caim hub`: runs a hub until it is told to stop.

use std::path::PathBuf;

use super::Outcome;
use crate::config::{HubConfig, Overrides};
use crate::exit::Exit;
use crate::service;

/// Flags of `caim hub`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Analysts connect with Flight SQL to hub.flight (127.0.0.1:50051), nodes dial hub.nodes
(127.0.0.1:50052). The hub holds no patient. It ends on SIGTERM or Ctrl-C.")]
pub struct Args {
    /// Folder of the hub
    pub dir: PathBuf,
    /// Key over file and environment, e.g. --set hub.flight=127.0.0.1:60051
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    pub set: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// When the configuration is wrong, or a port is taken.
pub fn run(args: Args) -> Outcome {
    let config = HubConfig::load(&args.dir, &Overrides::new(args.set))?;
    service::runtime(config.limits.threads)?.block_on(async {
        let stop = service::told_to_stop()?;
        service::run_hub(&args.dir, config, stop).await
    })?;
    Ok(Exit::Ok)
}
