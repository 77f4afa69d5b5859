//! `caim sql`: asks in SQL; answers to stdout, how complete they are and what they cost to stderr.

mod line;
mod spot;
mod terminal;
mod words;

use std::io::{IsTerminal, Read, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use caim_engine::Answer;
use caim_sql::text::statements;

use super::Outcome;
use super::asking::{Asking, Whom};
use crate::exit::Exit;
use crate::output::{self, Format};
use crate::service;

/// Flags of `caim sql`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  caim sql -c 'SELECT Modality, count(DISTINCT PatientID) FROM dicom.series GROUP BY Modality'
  caim sql -f questions.sql --format csv > answers.csv
  caim sql --user analyst --password analyst --project demo
  caim sql --node /srv/caim -c 'SELECT count(*) FROM omop.person'

Without -c and -f, statements come from stdin, each ended by ';'. A terminal has history, completion
and words such as \\d, \\dt and \\concept TEXT; \\? lists them. What can be asked:
  SELECT table_schema, table_name FROM information_schema.tables
  SET caim.noise_sd = 20      costs 25 times less than 4, and is less precise

Exit code 4: refused for privacy; the refusal says why, and what to ask instead.
Exit code 5: nobody is there to ask.")]
pub struct Args {
    /// Whom to ask.
    #[command(flatten)]
    pub whom: Whom,
    /// Statement; several are separated by ';'
    #[arg(short = 'c', long = "command", value_name = "SQL", conflicts_with = "file")]
    pub sql: Option<String>,
    /// File with statements, separated by ';'
    #[arg(short = 'f', long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Format of the answers
    #[arg(long, value_enum, default_value = "table")]
    pub format: Format,
}

/// Runs the command.
///
/// # Errors
/// The first refusal or failure ends it, but not a session at a terminal.
pub fn run(args: Args) -> Outcome {
    service::runtime(0)?.block_on(async {
        let stdin = std::io::stdin();
        let mut session = Session { asking: Asking::open(&args.whom).await?, format: args.format };
        match (&args.sql, &args.file) {
            (Some(sql), _) => session.all(sql).await,
            (None, Some(file)) => session.all(&read(file)?).await,
            (None, None) if stdin.is_terminal() => terminal::converse(&mut session).await,
            (None, None) => {
                let mut text = String::new();
                stdin.lock().read_to_string(&mut text).context("stdin")?;
                session.all(&text).await
            }
        }
    })
}

fn read(file: &PathBuf) -> Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

/// A connection and what is done with its answers.
struct Session {
    asking: Asking,
    format: Format,
}

impl Session {
    /// Asks statement after statement until one fails.
    async fn all(&mut self, text: &str) -> Outcome {
        for statement in statements::all(text) {
            self.one(&statement).await?;
        }
        Ok(Exit::Ok)
    }

    async fn one(&mut self, statement: &str) -> Result<()> {
        let answer = self.asking.ask(statement).await?;
        show(self.format, &answer)
    }
}

/// The answer to stdout, what is said beside it to stderr.
fn show(format: Format, answer: &Answer) -> Result<()> {
    if answer.schema.fields().is_empty() {
        return Ok(());
    }
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    output::write(format, &answer.schema, &answer.batches, &mut out)?;
    if !answer.summary.nodes.is_empty() {
        writeln!(std::io::stderr().lock(), "{}", answer.summary)?;
    }
    Ok(())
}
