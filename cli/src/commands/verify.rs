//! `caim verify`: reads every file of a warehouse and holds it against its hash.

use std::io::Write;
use std::path::PathBuf;

use caim_warehouse::Warehouse;

use super::Outcome;
use crate::exit::Exit;

/// Flags of `caim verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit code 1 when anything is damaged; each damage is named with its path.")]
pub struct Args {
    /// Folder of the node
    pub dir: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// When the folder is no node.
pub fn run(args: Args) -> Outcome {
    let warehouse = Warehouse::open(&args.dir)?;
    let damages = warehouse.verify()?;
    let mut out = std::io::stdout().lock();
    for damage in &damages {
        writeln!(out, "{}: {}", damage.path.display(), damage.reason)?;
    }
    if damages.is_empty() {
        let epoch = warehouse.current()?;
        writeln!(out, "epoch {}: every manifest and file is as it was written", epoch.number())?;
        return Ok(Exit::Ok);
    }
    writeln!(out, "{} damaged; restore them from a backup: a damaged file is never read", damages.len())?;
    Ok(Exit::Error)
}
