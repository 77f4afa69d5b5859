//! `caim check`: what a statement would cost, push down and protect. It touches no data and costs nothing.

use std::io::Write;

use caim_sql::text::statements;

use super::Outcome;
use super::asking::{Asking, Whom};
use crate::exit::Exit;
use crate::service;

/// Flags of `caim check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  caim check -c 'SELECT Modality, count(DISTINCT PatientID) FROM dicom.series GROUP BY Modality'

Exit code 4 when the statement would be refused for privacy.")]
pub struct Args {
    /// Whom to ask.
    #[command(flatten)]
    pub whom: Whom,
    /// Statement; several are separated by ';'
    #[arg(short = 'c', long = "command", value_name = "SQL")]
    pub sql: String,
}

/// Runs the command.
///
/// # Errors
/// When a statement would be refused, or nobody is there to ask.
pub fn run(args: Args) -> Outcome {
    service::runtime(0)?.block_on(async {
        let mut asking = Asking::open(&args.whom).await?;
        for statement in statements::all(&args.sql) {
            let text = asking.check(&statement).await?;
            writeln!(std::io::stdout().lock(), "{text}")?;
        }
        Ok(Exit::Ok)
    })
}
