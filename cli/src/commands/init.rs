//! `caim init`: makes the folder of a node or a hub, with a configuration that explains itself.

use std::io::Write;
use std::path::PathBuf;

use clap::Subcommand;

use super::Outcome;
use crate::exit::Exit;
use crate::setup::{self, NewHub, NewNode, SECRET_FILE};

/// What to make.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Node or hub.
    #[command(subcommand)]
    pub what: What,
}

/// What can be made.
#[derive(Debug, Subcommand)]
pub enum What {
    /// A node: node.toml, its secret and an empty warehouse
    ///
    /// The secret makes pseudonyms. Back it up apart from the data: without it, nothing more can be ingested.
    #[command(after_help = "Example:\n  caim init node /srv/caim --name my-hospital --hub 127.0.0.1:50052")]
    Node {
        /// Folder of the node
        dir: PathBuf,
        /// Name of the node in answers and audit records
        #[arg(long)]
        name: String,
        /// Link port of the hub, host:port; node.hub in node.toml
        #[arg(long, value_name = "URL")]
        hub: Option<String>,
    },
    /// A hub: hub.toml with one user and a random password
    #[command(after_help = "Example:\n  caim init hub /srv/caim-hub && caim hub /srv/caim-hub")]
    Hub {
        /// Folder of the hub
        dir: PathBuf,
    },
}

/// Runs the command.
///
/// # Errors
/// When there is one already, or the folder cannot be written.
pub fn run(args: Args) -> Outcome {
    let mut out = std::io::stdout().lock();
    match args.what {
        What::Node { dir, name, hub } => {
            let linked = hub.is_some();
            setup::node(&dir, &NewNode { name, hub, set: Vec::new() })?;
            let dir = dir.display();
            writeln!(out, "made {dir}/node.toml, {dir}/{SECRET_FILE} (back it up) and {dir}/warehouse")?;
            writeln!(out, "next: caim ingest {dir} SOURCE")?;
            if linked {
                writeln!(out, "then: caim node {dir}")?;
            }
        }
        What::Hub { dir } => {
            setup::hub(&dir, &NewHub::default())?;
            let dir = dir.display();
            writeln!(out, "made {dir}/hub.toml: user analyst, project research, its password in the file")?;
            writeln!(out, "next: caim hub {dir}")?;
        }
    }
    Ok(Exit::Ok)
}
