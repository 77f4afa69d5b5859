//! The `caim` program: read the command line, do it, end with the right code. All else is in the library.

use std::process::ExitCode;

use caim::commands::{
    Cli, Command, audit, batches, build, check, completions, demo, forget, hub, ingest, init, man, node,
    ontology, quality, rollback, sql, verify,
};
use caim::{exit, logs};
use clap::Parser;

fn main() -> ExitCode {
    let cli = Cli::parse();
    logs::start(cli.command.verbosity());
    exit::finish(match cli.command {
        Command::Demo(args) => demo::run(args),
        Command::Init(args) => init::run(args),
        Command::Ingest(args) => ingest::run(args),
        Command::Build(args) => build::run(args),
        Command::Batches(args) => batches::run(args),
        Command::Quality(args) => quality::run(args),
        Command::Rollback(args) => rollback::run(args),
        Command::Forget(args) => forget::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Node(args) => node::run(args),
        Command::Hub(args) => hub::run(args),
        Command::Ontology(args) => ontology::run(args),
        Command::Sql(args) => sql::run(args),
        Command::Check(args) => check::run(args),
        Command::Audit(args) => audit::run(args),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(args),
    })
}
