//! `caim quality`: what is doubtful about a node's records, for its operator.

mod html;
mod text;

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use caim_connectors::{GapOptions, Gaps, Quality, Status};
use caim_warehouse::Warehouse;

use super::Outcome;
use crate::config::{NodeConfig, Overrides};
use crate::exit::Exit;
use crate::vocabulary;

/// The file of the operator's own limits.
const LIMITS: &str = "quality.toml";
/// So many values without a concept are named of a column.
const VALUES: usize = 5;

/// Flags of `caim quality`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Exit code 6 when a check fails. DIR/quality.toml sets other limits, of a class of checks or of one:
  [limits]
  patient_birth_date_known = 0.5
  mapped = 0.3
  \"mapped:eucaim.patient.patient_race\" = 1.0

Counts are exact, and values of sources that at least privacy.threshold patients have are named:
the report is for the operator, and nothing of it leaves the node.")]
pub struct Args {
    /// Folder of the node
    pub dir: PathBuf,
    /// List every check, not only those that failed
    #[arg(long)]
    pub all: bool,
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
    let threshold = if config.privacy.public_data { 1 } else { config.privacy.threshold };
    let named = GapOptions { threshold, values: VALUES };
    let quality = caim_connectors::quality(&warehouse, &models, &args.dir.join(LIMITS), named)?;
    if let Some(path) = &args.html {
        let page = html::page(&config.node.name, &quality);
        std::fs::write(path, page).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&quality)?)?;
    } else {
        text::write(&mut out, &quality, args.all)?;
    }
    Ok(if quality.passed() { Exit::Ok } else { Exit::Quality })
}

/// How many checks ended so, of a category or of all.
fn count(quality: &Quality, category: Option<&str>, status: Status) -> usize {
    quality.ended(status).filter(|check| category.is_none_or(|category| check.category == category)).count()
}

/// A share as a percentage. What is not all is not called 100, and what is not nothing not 0.
fn percent(part: u64, whole: u64) -> String {
    let share = if whole == 0 { 0.0 } else { part as f64 / whole as f64 * 100.0 };
    match share {
        _ if part == 0 || part == whole => format!("{share:.0}"),
        share if share < 0.01 => "<0.01".to_owned(),
        share if share > 99.99 => ">99.99".to_owned(),
        share => format!("{share:.2}"),
    }
}

/// A limit as a percentage, without needless digits.
fn limit_percent(limit: f64) -> String {
    let text = format!("{:.4}", limit * 100.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A value of a source as one line of text.
fn one_line(value: &str) -> String {
    const LONGEST: usize = 60;
    let mut line: String =
        value.chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if value.chars().nth(LONGEST).is_some() {
        line.push('…');
    }
    line
}

/// The coded columns with rows that have no concept, those with most such rows first.
fn gaps(quality: &Quality) -> Vec<&Gaps> {
    let mut gaps: Vec<&Gaps> = quality.coverage.iter().filter(|gap| gap.rows_mapped < gap.rows).collect();
    gaps.sort_by_key(|gap| std::cmp::Reverse(gap.rows - gap.rows_mapped));
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_never_rounded_to_all_or_nothing() {
        let shown = [(0, 7), (7, 7), (1, 1_000_000), (999_999, 1_000_000), (1, 3), (0, 0)];
        let shown = shown.map(|(part, whole)| percent(part, whole));
        assert_eq!(shown, ["0", "100", "<0.01", ">99.99", "33.33", "0"]);
        assert_eq!([0.0, 0.05, 1.0, 0.001].map(limit_percent), ["0", "5", "100", "0.1"]);
    }

    #[test]
    fn a_value_is_one_short_line() {
        assert_eq!(one_line("a\nb\u{1b}[31m"), "a b [31m");
        assert_eq!(one_line(&"x".repeat(61)).chars().count(), 61);
    }
}
