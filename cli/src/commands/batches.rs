//! `caim batches`: what a node has taken in, one line a batch.

use std::io::Write;
use std::path::PathBuf;

use caim_warehouse::{Batch, Warehouse};
use chrono::DateTime;

use super::Outcome;
use crate::exit::Exit;
use crate::output::{Alignment, Table};

/// Flags of `caim batches`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of the node
    pub dir: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// When the folder is no node, or its newest manifest is damaged.
pub fn run(args: Args) -> Outcome {
    let epoch = Warehouse::open(&args.dir)?.current()?;
    let columns = [("batch", Alignment::Right), ("taken in (UTC)", Alignment::Left), ("format", Alignment::Left)];
    let rest = [("collection", Alignment::Left), ("rows", Alignment::Right), ("source", Alignment::Left)];
    let mut table = Table::new(&[&columns[..], &rest[..]].concat());
    for batch in epoch.batches() {
        table.row(line(batch));
    }
    let mut out = std::io::stdout().lock();
    write!(out, "{table}")?;
    writeln!(out, "epoch {}, {} patients", epoch.number(), epoch.patients())?;
    Ok(Exit::Ok)
}

fn line(batch: &Batch) -> [String; 6] {
    let at = i64::try_from(batch.at).ok().and_then(|at| DateTime::from_timestamp(at, 0));
    [
        batch.id.to_string(),
        at.map(|at| at.format("%Y-%m-%d %H:%M:%S").to_string()).unwrap_or_default(),
        batch.format.clone(),
        batch.collection.clone().unwrap_or_else(|| "by column".to_owned()),
        batch.rows.values().sum::<u64>().to_string(),
        batch.source.clone(),
    ]
}
