//! `caim completions`: what a shell needs to complete the command line.

use std::io::Write;

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, Outcome};
use crate::exit::Exit;

/// Flags of `caim completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  caim completions bash > ~/.local/share/bash-completion/completions/caim")]
pub struct Args {
    /// Shell to complete in
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Runs the command.
///
/// # Errors
/// When stdout is closed.
pub fn run(args: Args) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "caim", &mut script);
    std::io::stdout().lock().write_all(&script)?;
    Ok(Exit::Ok)
}
