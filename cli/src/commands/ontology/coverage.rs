//! `caim ontology coverage`: how much of a node's records has concepts, and which values wait for one.
//!
//! It is the operator's: counts here are exact, and nothing of it leaves the node.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use caim_connectors::{GapOptions, Gaps};
use caim_ontology::{MappingSet, Subject};
use caim_warehouse::Warehouse;
use clap::ValueEnum;

use crate::commands::Outcome;
use crate::config::{NodeConfig, Overrides};
use crate::exit::Exit;
use crate::output::{Alignment, Table, grouped};
use crate::vocabulary::{self, MAPPINGS_FOLDER, SSSOM};

/// So many values of a column are shown in the table.
const SHOWN: usize = 10;
/// So many values of a column are listed in files.
const LISTED: usize = 1000;

/// Flags of `caim ontology coverage`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
To map what is missing:
  caim ontology coverage /srv/caim --format sssom > own-1.sssom.tsv
  (fill in object_id where you know the concept, `caim ontology search` finds it; leave the others)
  caim ontology import own-1.sssom.tsv --dir /srv/caim
  caim build /srv/caim

Values that fewer patients have than --threshold are not named. What is printed is for the operator:
it names values of records, and its counts are exact.")]
pub struct Args {
    /// Folder of the node
    pub dir: PathBuf,
    /// What to print
    #[arg(long, value_enum, default_value = "table")]
    pub format: Shape,
    /// Name values that at least so many patients have; by default privacy.threshold, 1 for public data
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    pub threshold: Option<u32>,
}

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Shape {
    /// Shares of each coded column, then the most frequent values without a concept
    #[default]
    Table,
    /// A line a column, and a line a value without a concept
    Csv,
    /// A mapping file that waits for its objects
    Sssom,
}

/// Runs the command.
///
/// # Errors
/// When the folder is no node, or its tables cannot be read.
pub fn run(args: Args) -> Outcome {
    let config = NodeConfig::load(&args.dir, &Overrides::new(Vec::new()))?;
    let usual = if config.privacy.public_data { 1 } else { config.privacy.threshold };
    let threshold = args.threshold.unwrap_or(usual);
    let values = if args.format == Shape::Table { SHOWN } else { LISTED };
    let (warehouse, models) = (Warehouse::open(&args.dir)?, vocabulary::models(&args.dir)?);
    let gaps = caim_connectors::gaps(&warehouse, &models, GapOptions { threshold, values })?;
    let mut out = std::io::stdout().lock();
    match args.format {
        Shape::Table => write_table(&mut out, &gaps, threshold)?,
        Shape::Csv => write_csv(&mut out, &gaps)?,
        Shape::Sssom => write!(out, "{}", stub(&args.dir, &gaps))?,
    }
    Ok(Exit::Ok)
}

fn write_table(out: &mut dyn Write, gaps: &[Gaps], threshold: u32) -> Result<()> {
    let right = ["rows", "mapped", "%", "patients", "mapped", "%"].map(|name| (name, Alignment::Right));
    let mut table = Table::new(&[&[("column", Alignment::Left)][..], &right].concat());
    for gap in gaps {
        let count = |n: u64| grouped(&n.to_string());
        table.row([
            format!("{}.{}", gap.table, gap.column),
            count(gap.rows),
            count(gap.rows_mapped),
            share(gap.rows_mapped, gap.rows),
            count(gap.patients),
            count(gap.patients_mapped),
            share(gap.patients_mapped, gap.patients),
        ]);
    }
    write!(out, "{table}")?;
    let mut values = Table::new(&[
        ("column", Alignment::Left),
        ("value without a concept", Alignment::Left),
        ("rows", Alignment::Right),
        ("patients", Alignment::Right),
    ]);
    for (gap, value) in gaps.iter().flat_map(|gap| gap.unmapped.iter().map(move |value| (gap, value))) {
        let said: String =
            value.value.chars().take(60).map(|c| if c.is_control() { ' ' } else { c }).collect();
        let counts = [value.rows, value.patients].map(|n| grouped(&n.to_string()));
        let [rows, patients] = counts;
        values.row([format!("{}.{}", gap.table, gap.column), said, rows, patients]);
    }
    if gaps.iter().any(|gap| !gap.unmapped.is_empty()) {
        write!(out, "\n{values}")?;
    }
    Ok(writeln!(out, "\nnamed are values that at least {threshold} patients have, {SHOWN} a column")?)
}

fn share(part: u64, whole: u64) -> String {
    if whole == 0 { String::new() } else { format!("{:.1}", part as f64 * 100.0 / whole as f64) }
}

fn write_csv(out: &mut dyn Write, gaps: &[Gaps]) -> Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record([
        "table",
        "column",
        "unmapped_value",
        "rows",
        "rows_mapped",
        "patients",
        "patients_mapped",
    ])?;
    for gap in gaps {
        let counts = [gap.rows, gap.rows_mapped, gap.patients, gap.patients_mapped].map(|n| n.to_string());
        writer
            .write_record([&[gap.table.clone(), gap.column.clone(), String::new()][..], &counts].concat())?;
        for value in &gap.unmapped {
            let counts = [value.rows.to_string(), "0".into(), value.patients.to_string(), "0".into()];
            let place = [gap.table.clone(), gap.column.clone(), value.value.clone()];
            writer.write_record([&place[..], &counts].concat())?;
        }
    }
    Ok(writer.flush()?)
}

/// The values as subjects of mappings, for a file that is not there yet; one that stands in several columns is there
/// once. No counts: such a file is
/// passed on to people who know the values, and need not know more.
fn stub(dir: &Path, gaps: &[Gaps]) -> String {
    let mut subjects: Vec<Subject> = Vec::new();
    for (gap, value) in gaps.iter().flat_map(|gap| gap.unmapped.iter().map(move |value| (gap, value))) {
        for subject in &value.subjects {
            if subjects.iter().any(|known| known.source == subject.source && known.value == subject.value) {
                continue;
            }
            let note = format!("{}, beneath {}", subject.note, gap.roots.join(" or "));
            subjects.push(Subject { note, ..subject.clone() });
        }
    }
    let name = |number: &u32| dir.join(MAPPINGS_FOLDER).join(format!("own-{number}{SSSOM}"));
    let number = (1..).find(|number| !name(number).exists()).unwrap_or_default();
    let file = name(&number);
    let comment = format!(
        "Save as {}, fill in object_id (EUCAIM:...), then: caim build {}. Empty rows decide nothing; \
         sssom:NoTermFound says that there is no concept.",
        file.display(),
        dir.display()
    );
    MappingSet::stub(&format!("urn:caim:mappings:own-{number}"), &comment, &subjects)
}
