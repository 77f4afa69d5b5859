//! `caim demo`: three generated hospitals and a hub, to try Caim on.

use std::path::{Path, PathBuf};

use anyhow::Context;

use super::Outcome;
use crate::demo::Plan;
use crate::demo::tour::{self, Stay, Tour};
use crate::exit::Exit;
use crate::service;

/// Flags of `caim demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  caim demo --dir /tmp/caim-demo --patients 1000

The patients are generated from a fixed seed: the same number gives the same hospitals. The nodes
have the default privacy policy with generous budgets.")]
pub struct Args {
    /// End after the questions, on any free ports
    #[arg(long)]
    pub once: bool,
    /// Folder of hub, nodes and sources; kept, and used again by the next demo (default: a temporary one)
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// Patients of each hospital
    #[arg(long, value_name = "N", default_value_t = Plan::default().patients,
          value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    pub patients: u32,
}

/// Runs the command.
///
/// # Errors
/// When files cannot be written, a port is taken, or a question is not answered as it should be.
pub fn run(args: Args) -> Outcome {
    let stay = if args.once { Stay::Once } else { Stay::UntilStopped };
    let tour = Tour { plan: Plan { patients: args.patients, ..Plan::default() }, stay };
    let temporary = tempfile::Builder::new().prefix("caim-demo-").tempdir().context("no temporary folder")?;
    let dir: &Path = args.dir.as_deref().unwrap_or(temporary.path());
    let runtime = service::runtime(0)?;
    let outcome = runtime.block_on(async {
        let (stop, mut out) = (service::told_to_stop()?, std::io::stdout());
        tokio::select! {
            shown = tour::run(tour, dir, &mut out) => shown,
            () = stop => Ok(()),
        }
    });
    // A hospital that is being generated is not waited for: its folder is temporary, or made again the next time.
    runtime.shutdown_background();
    outcome.map(|()| Exit::Ok)
}
