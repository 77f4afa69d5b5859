//! The commands and their flags: a contract that scripts rely on.
//!
//! Each command is a file: what it takes, what it prints, how it ends. This file is the list.

pub mod asking;
pub mod audit;
pub mod batches;
pub mod build;
pub mod check;
pub mod completions;
pub mod demo;
pub mod forget;
pub mod hub;
pub mod ingest;
pub mod init;
pub mod man;
pub mod node;
pub mod ontology;
mod progress;
pub mod quality;
pub mod rollback;
pub mod sql;
pub mod verify;

use clap::{Parser, Subcommand};

use crate::exit::Exit;
use crate::logs::Verbosity;

/// Asks the cancer images of many hospitals one question, and never moves a patient.
///
/// A hospital runs a node: it ingests DICOM metadata and OMOP records into files that never leave the building. A hub
/// takes SQL, asks every node, and merges what they release: aggregates over enough patients, never rows.
#[derive(Debug, Parser)]
#[command(name = "caim", version, propagate_version = true, arg_required_else_help = true, after_long_help = FIRST)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const FIRST: &str = "\
First steps:
  caim demo                      three generated hospitals and a hub
  caim sql -c 'SELECT Modality, count(DISTINCT PatientID) FROM dicom.series GROUP BY Modality'

Your own node:
  caim init node /srv/caim --name my-hospital --hub 127.0.0.1:50052
  caim ingest /srv/caim exports/series.parquet exports/omop/
  caim node /srv/caim

Exit codes: 0 done, 1 error, 2 usage, 3 finished with rejected inputs, 4 refused for privacy,
5 node or hub unreachable, 6 quality below its limits. Data goes to stdout, logs to stderr
(CAIM_LOG=debug shows more).";

/// A command with its flags.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run three generated hospitals and a hub, and ask them
    Demo(demo::Args),
    /// Make the folder of a node or a hub
    Init(init::Args),
    /// Take DICOM, FHIR and OMOP sources into a node
    Ingest(ingest::Args),
    /// Make the common data model anew from what was taken in
    Build(build::Args),
    /// List what a node has taken in
    Batches(batches::Args),
    /// Say what is doubtful about a node's records
    Quality(quality::Args),
    /// Take out what one ingest brought
    Rollback(rollback::Args),
    /// Remove a patient from a node, for good
    Forget(forget::Args),
    /// Check every file of a node's warehouse against its hash
    Verify(verify::Args),
    /// Run a node: it dials its hub and listens nowhere
    Node(node::Args),
    /// Run a hub
    Hub(hub::Args),
    /// Import and check ontologies and mappings, and see what has no concept yet
    Ontology(ontology::Args),
    /// Ask in SQL
    Sql(sql::Args),
    /// Say what a statement would cost and push down, without touching data
    Check(check::Args),
    /// Check the record of everything that was asked at a node
    Audit(audit::Args),
    /// Print what a shell needs to complete the command line
    Completions(completions::Args),
    /// Write the manual pages
    Man(man::Args),
}

impl Command {
    /// How much the command logs.
    #[must_use]
    pub fn verbosity(&self) -> Verbosity {
        match self {
            Self::Node(_) | Self::Hub(_) => Verbosity::Service,
            Self::Demo(_) | Self::Init(_) | Self::Ingest(_) | Self::Build(_) => Verbosity::Quiet,
            Self::Rollback(_) | Self::Forget(_) | Self::Quality(_) => Verbosity::Quiet,
            Self::Batches(_) | Self::Verify(_) | Self::Ontology(_) => Verbosity::Quiet,
            Self::Sql(_) | Self::Check(_) | Self::Audit(_) => Verbosity::Quiet,
            Self::Completions(_) | Self::Man(_) => Verbosity::Quiet,
        }
    }
}

/// How a command ends.
pub type Outcome = anyhow::Result<Exit>;

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_command_line_is_sound_and_every_flag_is_explained() {
        let mut cli = Cli::command();
        cli.build();
        cli.clone().debug_assert();
        let mut commands: Vec<&clap::Command> = vec![&cli];
        while let Some(command) = commands.pop() {
            assert!(command.get_about().is_some(), "{} says nothing", command.get_name());
            for flag in command.get_arguments() {
                assert!(flag.get_help().is_some(), "{} {} says nothing", command.get_name(), flag.get_id());
            }
            commands.extend(command.get_subcommands().filter(|sub| sub.get_name() != "help"));
        }
    }

    #[test]
    fn no_written_help_is_wider_than_a_terminal() {
        let mut cli = Cli::command();
        cli.build();
        for command in cli.get_subcommands().chain([&cli]) {
            for text in [command.get_after_help(), command.get_after_long_help()].into_iter().flatten() {
                let text = text.to_string();
                let wide = text.lines().find(|line| line.chars().count() > 100);
                assert_eq!(wide, None, "{}", command.get_name());
            }
        }
    }
}
