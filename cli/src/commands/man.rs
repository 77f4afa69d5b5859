//! `caim man`: the manual pages, made from the same words as `--help`.

use std::path::PathBuf;

use anyhow::Context;
use clap::CommandFactory;

use super::{Cli, Outcome};
use crate::exit::Exit;

/// Flags of `caim man`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  caim man ~/.local/share/man/man1 && man caim-sql")]
pub struct Args {
    /// Folder for the pages; made if it is not there
    pub dir: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// When the pages cannot be written.
pub fn run(args: Args) -> Outcome {
    let dir = &args.dir;
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    clap_mangen::generate_to(Cli::command(), dir)
        .with_context(|| format!("cannot write pages into {}", dir.display()))?;
    Ok(Exit::Ok)
}
