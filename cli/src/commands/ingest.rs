//! `caim ingest`: takes sources into a node and says exactly what came in, what did not, and why.

mod listen;
mod watch;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use caim_connectors::{Collection, Duplicates, Format, IngestOptions, Progress, Report, Since};
use clap::builder::{PossibleValuesParser, TypedValueParser as _};

use super::Outcome;
use super::progress;
use crate::exit::{self, Exit};
use crate::service;

/// Flags of `caim ingest`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  caim ingest /srv/caim /archive/dicom exports/omop/ exports/fhir/
  caim ingest /srv/caim idc_index.parquet --collection-column collection_id
  caim ingest /srv/caim omop.zip --collection registry-2025 --dry-run
  caim ingest /srv/caim s3://archive/dicom/2020 images.tar.gz
  caim ingest /srv/caim 'postgres://reader@localhost/omop?schema=cdm'
  caim ingest /srv/caim 'https://pacs/dicom-web/studies?StudyDate=2024*' --token-file token
  caim ingest /srv/caim 'https://ehr/fhir/Group/oncology/$export' --token-file token
  caim ingest /srv/caim /archive/dicom --rejects /srv/rejects --copy-refused
  caim ingest /srv/caim 'https://ehr/fhir/$export' --since last
  caim ingest /srv/caim /srv/drop --watch
  caim ingest /srv/caim --listen 127.0.0.1:11112 --ae-title CAIM --caller PACS

A source that was taken in before is replaced when it changed and left alone when it did not.
Exit code 3: finished, but rows were rejected; the report names file, line, reason and fix.")]
pub struct Args {
    /// Folder of the node
    pub dir: PathBuf,
    /// Folders, files, zips, tars or s3://bucket/prefix: DICOM objects, FHIR R4 (bundles, NDJSON), OMOP tables, tables of
    /// DICOM keywords, clinical tables with a mapping file; postgres://user@host/db?schema=cdm;
    /// a DICOMweb server, https://host/dicom-web/studies?...; or a FHIR server's export, https://host/fhir/$export
    #[arg(required_unless_present = "listen", value_name = "SOURCE")]
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
    /// Which of two records with one key and different content stays: what is there (skip), what comes later (replace),
    /// or what was made later (newest); for DICOM objects and tables also across sources, for FHIR within one
    #[arg(long, value_name = "RULE", default_value = "skip", value_parser = rules())]
    pub duplicates: Duplicates,
    /// Read and check everything, keep nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Read at most so many rows of each table, keep nothing
    #[arg(long, value_name = "N")]
    pub sample: Option<u64>,
    /// File with the bearer token of a DICOMweb or FHIR server
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Take in only what has changed: of a FHIR server's export since a moment or the last one, of a database (`last`)
    /// rows above the greatest key so far, which sees no changed and no deleted rows
    #[arg(long, value_name = "TIME|last", conflicts_with = "watch")]
    pub since: Option<Since>,
    /// A source without any row is no error
    #[arg(long)]
    pub allow_empty: bool,
    /// Write all that is rejected to a CSV file in this folder: path, line, table, stage, code, reason and fix
    #[arg(long, value_name = "FOLDER")]
    pub rejects: Option<PathBuf>,
    /// Copy DICOM files that are refused to the folder of rejects
    #[arg(long, requires = "rejects")]
    pub copy_refused: bool,
    /// Show a keyed hash in the place of each path of the source: in reports, events, errors and rejects
    #[arg(long)]
    pub hash_paths: bool,
    /// Stay, and take in each source whenever it has changed and then stopped changing
    #[arg(long, conflicts_with_all = ["dry_run", "sample"])]
    pub watch: bool,
    /// A source that is not looked at, but listened to
    #[command(flatten)]
    pub listen: listen::Flags,
    /// Print the report as JSON, one line a source, and events of progress on stderr
    #[arg(long)]
    pub json: bool,
}

/// The connectors by name, with `auto` for whichever fits.
fn formats() -> impl clap::builder::TypedValueParser<Value = Format> {
    let names = Format::ALL.map(Format::name);
    PossibleValuesParser::new(names).try_map(|name| name.parse::<Format>())
}

/// The rules for duplicates by name.
fn rules() -> impl clap::builder::TypedValueParser<Value = Duplicates> {
    let names = Duplicates::ALL.map(Duplicates::name);
    PossibleValuesParser::new(names).try_map(|name| name.parse::<Duplicates>())
}

impl Args {
    fn options(&self) -> IngestOptions {
        let collection = match (&self.collection, &self.collection_column) {
            (Some(id), _) => Collection::Id(id.clone()),
            (None, Some(column)) => Collection::Column(column.clone()),
            (None, None) => Collection::Default,
        };
        let Self { format, duplicates, dry_run, sample, allow_empty, copy_refused, hash_paths, .. } = *self;
        let (token_file, rejects) = (self.token_file.clone(), self.rejects.clone());
        IngestOptions {
            format,
            collection,
            duplicates,
            dry_run,
            sample,
            allow_empty,
            copy_refused,
            hash_paths,
            rejects,
            token_file,
            since: self.since.clone(),
            ..IngestOptions::default()
        }
    }
}

/// Runs the command until it is done, or told to stop: what is not committed then is not there.
///
/// # Errors
/// When the folder is no node, or a source as a whole cannot be taken in.
pub fn run(args: Args) -> Outcome {
    if let Some(options) = args.listen.options() {
        return listen::run(args, options);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = service::told_to_stop()?;
        let (done, outcome) = tokio::sync::oneshot::channel();
        // The process ends with this thread, whatever the other one does: a commit is whole or absent at any moment.
        std::thread::Builder::new().name("ingest".into()).spawn(move || done.send(take_all(&args)))?;
        tokio::select! {
            outcome = outcome => outcome.context("the ingest ended with a fault")?,
            () = stop => {
                writeln!(std::io::stderr(), "stopped: what was not committed is not there; run the same command again")?;
                Ok(Exit::Ok)
            }
        }
    })
}

fn take_all(args: &Args) -> Outcome {
    if args.watch {
        let is_path = |source: &&PathBuf| !source.to_string_lossy().contains("://");
        if let Some(source) = args.sources.iter().find(|source| !is_path(source)) {
            let named = source.to_string_lossy();
            let scheme = named.split("://").next().unwrap_or_default();
            anyhow::bail!(
                "--watch looks at files, not at {scheme}: run `caim ingest` again instead, as from cron"
            );
        }
        watch::watch(&args.sources, |source| {
            // What is wrong with one source is said, and the others are still watched.
            if let Err(error) = take(args, source) {
                exit::tell(&error);
            }
        });
    }
    let mut exit = Exit::Ok;
    for source in &args.sources {
        if take(args, source)?.has_rejects() {
            exit = Exit::Rejects;
        }
    }
    Ok(exit)
}

/// Takes in one source and prints the report.
fn take(args: &Args, source: &Path) -> anyhow::Result<Report> {
    let report = crate::ingest::ingest(&args.dir, source, &args.options(), shown(args).as_ref())?;
    print(args, &report)?;
    Ok(report)
}

/// Who hears of progress.
fn shown(args: &Args) -> Box<dyn Progress> {
    if args.json { progress::events() } else { progress::shown() }
}

fn print(args: &Args, report: &Report) -> anyhow::Result<()> {
    let text = if args.json { format!("{}\n", serde_json::to_string(report)?) } else { report.to_string() };
    // In one go: a listener's other lines may go to the same place.
    Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
}
