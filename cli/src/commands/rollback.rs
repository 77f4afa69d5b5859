//! `caim rollback`: takes a batch out again.

use std::io::Write;
use std::path::PathBuf;

use super::Outcome;
use super::progress;
use crate::exit::Exit;

/// Flags of `caim rollback`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
What the batch had replaced does not come back; ingest its source again instead.")]
pub struct Args {
    /// Folder of the node
    pub dir: PathBuf,
    /// Number of the batch, as `caim batches` lists it
    pub batch: u64,
}

/// Runs the command.
///
/// # Errors
/// When the folder is no node, or has no such batch.
pub fn run(args: Args) -> Outcome {
    let report = crate::ingest::rollback(&args.dir, args.batch, progress::shown().as_ref())?;
    writeln!(std::io::stdout().lock(), "batch {} is out; epoch {} answers", args.batch, report.epoch)?;
    Ok(Exit::Ok)
}
