//! `caim ontology`: what codes mean at a node or hub, and which values of its sources have no meaning yet.

pub mod coverage;
pub mod import;
pub mod lint;
pub mod search;
pub mod show;

use std::io::Write;
use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

use super::Outcome;
use crate::exit::Exit;
use crate::vocabulary;

/// Flags of `caim ontology`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub what: What,
}

/// What can be done with ontologies and mappings.
#[derive(Debug, Subcommand)]
pub enum What {
    /// Take an ontology or mappings into a node or hub
    Import(import::Args),
    /// Go to an ontology that was imported before, or back to the bundled core
    Use(UseArgs),
    /// Find faults of ontologies and mappings
    Lint(lint::Args),
    /// Show a concept
    Show(show::Args),
    /// Find concepts by name or code
    Search(search::Args),
    /// Show how much of a node's records has concepts, and which values have none
    Coverage(coverage::Args),
}

/// Flags of `caim ontology use`.
#[derive(Debug, clap::Args)]
#[command(disable_version_flag = true)]
pub struct UseArgs {
    /// Version that was imported, or `bundled`
    pub version: String,
    /// Folder of the node or hub
    #[arg(long)]
    pub dir: PathBuf,
}

/// A format of what is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Shape {
    /// For people
    #[default]
    Table,
    /// For programs
    Json,
}

/// Runs the command.
///
/// # Errors
/// When a file or code is not what it should be: says what, why and what to do.
pub fn run(args: Args) -> Outcome {
    match args.what {
        What::Import(args) => import::run(args),
        What::Use(args) => choose(&args),
        What::Lint(args) => lint::run(args),
        What::Show(args) => show::run(args),
        What::Search(args) => search::run(args),
        What::Coverage(args) => coverage::run(args),
    }
}

fn choose(args: &UseArgs) -> Outcome {
    let dir = vocabulary::checked(&args.dir)?;
    vocabulary::choose(dir, &args.version)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{} uses ontology {}", dir.display(), args.version)?;
    import::tell_next(&mut out, dir)?;
    Ok(Exit::Ok)
}
