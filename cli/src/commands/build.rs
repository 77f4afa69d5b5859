//! `caim build`: makes the derived tables of a node anew, from what its sources landed.

use std::io::Write;
use std::path::PathBuf;

use caim_connectors::Quiet;

use super::Outcome;
use super::progress;
use crate::exit::Exit;

/// Flags of `caim build`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Series, studies and the common data model are made from what sources landed, as a new epoch. Every
ingest does so by itself; this is for a program that has changed since. No source is read.")]
pub struct Args {
    /// Folder of the node
    pub dir: PathBuf,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
///
/// # Errors
/// When the folder is no node, or its tables cannot be read or written.
pub fn run(args: Args) -> Outcome {
    let report = if args.json {
        crate::ingest::build(&args.dir, &Quiet)?
    } else {
        crate::ingest::build(&args.dir, progress::shown().as_ref())?
    };
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    } else {
        writeln!(out, "epoch {} answers", report.epoch)?;
        write!(out, "{report}")?;
    }
    Ok(Exit::Ok)
}
