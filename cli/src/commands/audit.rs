//! `caim audit DIR verify`: walks the hash chain over everything that was asked at a node.

use std::io::Write;
use std::path::PathBuf;

use caim_engine::audit;
use caim_warehouse::Warehouse;
use clap::Subcommand;

use super::Outcome;
use crate::exit::Exit;

/// Flags of `caim audit`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of the node
    pub dir: PathBuf,
    /// What to do with the record.
    #[command(subcommand)]
    pub what: What,
}

/// What can be done with the audit record.
#[derive(Debug, Subcommand)]
pub enum What {
    /// Check that no record was edited, removed or exchanged
    ///
    /// Keep the newest hash elsewhere: with it, a record that was cut off at its end is noticed as well.
    Verify,
}

/// Runs the command.
///
/// # Errors
/// When the folder is no node.
pub fn run(args: Args) -> Outcome {
    let What::Verify = args.what;
    let found = audit::verify(Warehouse::open(&args.dir)?.state())?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{} records, newest {}", found.records, found.newest)?;
    match found.broken_at {
        None => writeln!(out, "the chain is whole")?,
        Some(id) => writeln!(out, "the chain is broken at record {id}: it or one before it was changed")?,
    }
    Ok(if found.broken_at.is_none() { Exit::Ok } else { Exit::Error })
}
