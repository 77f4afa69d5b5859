//! `caim ingest`: takes sources into a node and says exactly what came in, what did not, and why.

use std::io::Write;
use std::path::PathBuf;

use caim_connectors::{Collection, Format, IngestOptions, Quiet};
use clap::builder::{PossibleValuesParser, TypedValueParser as _};

use super::Outcome;
use super::progress::Shown;
use crate::exit::Exit;

/// Flags of `caim ingest`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  caim ingest /srv/caim /archive/dicom exports/omop/ exports/fhir/
  caim ingest /srv/caim idc_index.parquet --collection-column collection_id
  caim ingest /srv/caim omop.zip --collection registry-2025 --dry-run
  caim ingest /srv/caim s3://archive/dicom/2020 images.tar.gz

A source that was taken in before is replaced when it changed and left alone when it did not.
Exit code 3: finished, but rows were rejected; the report names file, line, reason and fix.")]
pub struct Args {
    /// Folder of the node
    pub dir: PathBuf,
    /// Folders, files, zips, tars or s3://bucket/prefix: DICOM objects, FHIR R4 (bundles, NDJSON), OMOP tables, tables of DICOM keywords
    #[arg(required = true, value_name = "SOURCE")]
    pub sources: Vec<PathBuf>,
    /// Collection that the records belong to; by default one that is called `default`
    #[arg(long, value_name = "ID", conflicts_with = "collection_column")]
    pub collection: Option<String>,
    /// Column that names the collection of each record
    #[arg(long, value_name = "NAME")]
    pub collection_column: Option<String>,
    /// What the sources are
    #[arg(long, default_value = "auto", value_parser = formats())]
    pub format: Format,
    /// Read and check everything, keep nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Read at most so many rows of each table, keep nothing
    #[arg(long, value_name = "N")]
    pub sample: Option<u64>,
    /// A source without any row is no error
    #[arg(long)]
    pub allow_empty: bool,
    /// Print the report as JSON, one line a source
    #[arg(long)]
    pub json: bool,
}

/// The connectors by name, with `auto` for whichever fits.
fn formats() -> impl clap::builder::TypedValueParser<Value = Format> {
    let names = Format::ALL.map(Format::name);
    PossibleValuesParser::new(names).try_map(|name| name.parse::<Format>())
}

impl Args {
    fn options(&self) -> IngestOptions {
        let collection = match (&self.collection, &self.collection_column) {
            (Some(id), _) => Collection::Id(id.clone()),
            (None, Some(column)) => Collection::Column(column.clone()),
            (None, None) => Collection::Default,
        };
        let Self { format, dry_run, sample, allow_empty, .. } = *self;
        IngestOptions { format, collection, dry_run, sample, allow_empty }
    }
}

/// Runs the command.
///
/// # Errors
/// When the folder is no node, or a source as a whole cannot be taken in.
pub fn run(args: Args) -> Outcome {
    let options = args.options();
    let mut exit = Exit::Ok;
    for source in &args.sources {
        let report = if args.json {
            crate::ingest::ingest(&args.dir, source, &options, &Quiet)?
        } else {
            crate::ingest::ingest(&args.dir, source, &options, &Shown::new())?
        };
        let mut out = std::io::stdout().lock();
        if args.json {
            writeln!(out, "{}", serde_json::to_string(&report)?)?;
        } else {
            write!(out, "{report}")?;
        }
        if report.has_rejects() {
            exit = Exit::Rejects;
        }
    }
    Ok(exit)
}
