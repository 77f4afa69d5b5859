//! `caim quality`: what is doubtful about a node's records, for its operator.

mod html;

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use caim_connectors::{Checked, Quality};
use caim_warehouse::Warehouse;

use super::Outcome;
use crate::config::{NodeConfig, Overrides};
use crate::exit::Exit;
use crate::output::{Alignment, Table, grouped};
use crate::vocabulary;

/// The file of the operator's own limits.
const LIMITS: &str = "quality.toml";

/// Flags of `caim quality`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Exit code 6 when a check fails. DIR/quality.toml sets other limits:
  [limits]
  patient_birth_date_known = 0.5

Counts are exact: the report is for the operator and nothing of it leaves the node.")]
pub struct Args {
    /// Folder of the node
    pub dir: PathBuf,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
    /// Write the report as a page, too
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// When the folder is no node, its tables cannot be read, or the page cannot be written.
pub fn run(args: Args) -> Outcome {
    let config = NodeConfig::load(&args.dir, &Overrides::new(Vec::new()))?;
    let (warehouse, models) = (Warehouse::open(&args.dir)?, vocabulary::models_of_node(&args.dir)?);
    let quality = caim_connectors::quality(&warehouse, &models, &args.dir.join(LIMITS))?;
    if let Some(path) = &args.html {
        let page = html::page(&config.node.name, &quality);
        std::fs::write(path, page).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&quality)?)?;
    } else {
        write_table(&mut out, &quality)?;
    }
    Ok(if quality.passed() { Exit::Ok } else { Exit::Quality })
}

fn write_table(out: &mut dyn Write, quality: &Quality) -> std::io::Result<()> {
    let left = ["", "category", "check"].map(|name| (name, Alignment::Left));
    let right = ["checked", "failed", "%", "limit %"].map(|name| (name, Alignment::Right));
    let mut table = Table::new(&[&left[..], &right[..]].concat());
    for check in quality.checks.iter().filter(|check| check.checked > 0) {
        table.row(line(check));
    }
    write!(out, "{table}")?;
    let silent = quality.checks.iter().filter(|check| check.checked == 0).count();
    let failed = quality.checks.iter().filter(|check| !check.passed()).count();
    writeln!(out, "epoch {}: {failed} checks failed, {silent} had nothing to look at", quality.epoch)
}

fn line(check: &Checked) -> [String; 7] {
    [
        if check.passed() { "ok" } else { "FAILED" }.to_owned(),
        check.category.clone(),
        check.name.clone(),
        grouped(&check.checked.to_string()),
        grouped(&check.failed.to_string()),
        percent(check.share()),
        percent(check.limit),
    ]
}

/// A share as a percentage with two decimals.
fn percent(share: f64) -> String {
    format!("{:.2}", share * 100.0)
}
