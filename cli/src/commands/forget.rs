//! `caim forget`: removes a patient, for good.

use std::io::Write;
use std::path::PathBuf;

use super::Outcome;
use super::progress;
use crate::exit::Exit;
use crate::output::grouped;

/// Flags of `caim forget`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
The patient's rows leave every table, as a new epoch; earlier epochs and their files are removed. A
mark that nobody can read without the node's secret keeps the patient out of later ingests. What was
released before stays released. The identifier itself is kept nowhere.")]
pub struct Args {
    /// Folder of the node
    pub dir: PathBuf,
    /// Identifier of the patient, as sources write it
    #[arg(long, value_name = "ID")]
    pub patient: String,
    /// Who issued it; by default the issuer of [identity]
    #[arg(long, value_name = "NAME")]
    pub issuer: Option<String>,
    /// Print what was removed as JSON
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
///
/// # Errors
/// When the folder is no node, or cannot be written to.
pub fn run(args: Args) -> Outcome {
    let patient = (args.issuer.as_deref(), args.patient.as_str());
    let removed = crate::ingest::forget(&args.dir, patient, progress::shown().as_ref())?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&removed)?)?;
        return Ok(Exit::Ok);
    }
    for (table, rows) in &removed.rows {
        writeln!(out, "{table}: {} rows removed", grouped(&rows.to_string()))?;
    }
    if removed.rows.is_empty() {
        writeln!(out, "no table had rows of this patient; none will come in")?;
    }
    if !removed.not_searched.is_empty() {
        writeln!(out, "rows that name no patient were not searched: {}", removed.not_searched.join(", "))?;
    }
    writeln!(out, "epoch {} answers; earlier ones are gone", removed.epoch)?;
    Ok(Exit::Ok)
}
