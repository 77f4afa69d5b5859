//! `caim ontology search`: concepts by name, synonym or code, best first.

use std::io::Write;
use std::path::PathBuf;

use super::Shape;
use crate::commands::Outcome;
use crate::exit::Exit;
use crate::output::{Alignment, Table};
use crate::vocabulary;

/// Flags of `caim ontology search`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Case, accents and the order of words do not matter. Exit code 1 when nothing is found.")]
pub struct Args {
    /// Words of a label or synonym, or a code in any spelling
    #[arg(required = true)]
    pub text: Vec<String>,
    /// Folder of the node or hub whose ontology is searched, instead of the bundled core
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// Only concepts beneath this one
    #[arg(long, value_name = "CODE")]
    pub under: Option<String>,
    /// How many, at most
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=500))]
    pub limit: u16,
    /// Format of the hits
    #[arg(long, value_enum, default_value = "table")]
    pub format: Shape,
}

/// Runs the command.
///
/// # Errors
/// When the ontology cannot be read, or the root is no concept.
pub fn run(args: Args) -> Outcome {
    let mappings = vocabulary::mappings(args.dir.as_deref())?;
    let ontology = mappings.ontology();
    let under = args.under.iter().map(|code| ontology.resolve(code, &[])).collect::<Result<Vec<_>, _>>()?;
    let hits = ontology.search(&args.text.join(" "), &under, args.limit.into());
    let mut out = std::io::stdout().lock();
    match args.format {
        Shape::Table => {
            let columns =
                [("code", Alignment::Left), ("label", Alignment::Left), ("found by", Alignment::Left)];
            let mut table = Table::new(&columns);
            for hit in &hits {
                let label = ontology.label(hit.concept).to_owned();
                table.row([ontology.curie(hit.concept), label, hit.term.clone()]);
            }
            write!(out, "{table}")?;
        }
        Shape::Json => {
            let all: Vec<serde_json::Value> = hits
                .iter()
                .map(|hit| {
                    let (code, label) = (ontology.curie(hit.concept), ontology.label(hit.concept));
                    serde_json::json!({ "code": code, "label": label, "matched": hit.term })
                })
                .collect();
            writeln!(out, "{}", serde_json::Value::Array(all))?;
        }
    }
    Ok(if hits.is_empty() { Exit::Error } else { Exit::Ok })
}
