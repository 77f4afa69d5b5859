//! `caim ontology lint`: all faults of an ontology and of mappings onto it, with their severity.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use caim_ontology::{Finding, MappingSet, OntologySource, Severity, lint};

use super::Shape;
use crate::commands::Outcome;
use crate::exit::Exit;
use crate::vocabulary;
use crate::vocabulary::files::{Form, Vocabulary, mapping_set};

/// So many findings of a severity are shown; JSON has all.
const SHOWN: usize = 200;

/// Flags of `caim ontology lint`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without FILE, the bundled core and its mappings are checked. Mapping files are checked against the
ontology that is given with them, or else against the bundled core; a folder of a node or hub is
checked with its own ontology and mappings. Exit code 1 when there are errors.")]
pub struct Args {
    /// Files of any form that can be imported, or the folder of a node or hub
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// What the files are
    #[arg(long, value_enum, default_value = "auto")]
    pub format: Form,
    /// Format of the findings
    #[arg(long = "output", value_enum, default_value = "table")]
    pub output: Shape,
}

/// Runs the command.
///
/// # Errors
/// When a file cannot be read.
pub fn run(args: Args) -> Outcome {
    let mut findings = Vec::new();
    if args.files.is_empty() {
        findings.extend(lint(&OntologySource::bundled(), &MappingSet::bundled()?));
    }
    let (mut ontologies, mut sets) = (Vec::new(), Vec::new());
    for file in &args.files {
        if vocabulary::checked(file).is_ok() {
            findings.extend(of_folder(file)?);
            continue;
        }
        match Vocabulary::read(file, args.format, None)? {
            Vocabulary::Ontology(source) | Vocabulary::Foreign(source) => ontologies.push(source),
            Vocabulary::Mappings(set, _) => sets.push(set),
        }
    }
    if ontologies.is_empty() && !sets.is_empty() {
        findings.extend(lint(&OntologySource::bundled(), &sets).into_iter().filter(of_mappings));
    }
    for source in &ontologies {
        findings.extend(lint(source, &sets));
    }
    let mut out = std::io::stdout().lock();
    match args.output {
        Shape::Table => write_findings(&mut out, &findings)?,
        Shape::Json => write_json(&mut out, &findings)?,
    }
    let faulty = findings.iter().any(|finding| finding.severity == Severity::Error);
    Ok(if faulty { Exit::Error } else { Exit::Ok })
}

fn of_mappings(finding: &Finding) -> bool {
    finding.place.contains(" line ")
}

/// The ontology in use with all mappings; what the bundled core has to be told of is told without FILE.
fn of_folder(dir: &Path) -> Result<Vec<Finding>> {
    let own =
        vocabulary::mapping_files(dir)?.iter().map(|path| mapping_set(path)).collect::<Result<Vec<_>>>()?;
    let mut sets = MappingSet::bundled()?;
    sets.extend(own);
    let findings = lint(&vocabulary::source(dir)?, &sets);
    let bundled = vocabulary::current(dir)?.is_none();
    Ok(findings.into_iter().filter(|finding| !bundled || of_mappings(finding)).collect())
}

/// Findings for people: a line each, then how many there are.
pub(super) fn write_findings(out: &mut dyn Write, findings: &[Finding]) -> Result<()> {
    let mut counts = Vec::new();
    for severity in [Severity::Error, Severity::Warning, Severity::Info] {
        let of: Vec<&Finding> = findings.iter().filter(|finding| finding.severity == severity).collect();
        for finding in of.iter().take(SHOWN) {
            writeln!(out, "{}", finding.to_string().replace(|c: char| c.is_control(), " "))?;
        }
        if of.len() > SHOWN {
            writeln!(out, "{severity}: {} more", of.len() - SHOWN)?;
        }
        counts.push(format!("{} {severity}{}", of.len(), if of.len() == 1 { "" } else { "s" }));
    }
    if !findings.is_empty() {
        writeln!(out, "{}", counts.join(", ").replace("infos", "notes").replace("info", "note"))?;
    } else {
        writeln!(out, "no faults")?;
    }
    Ok(())
}

fn write_json(out: &mut dyn Write, findings: &[Finding]) -> Result<()> {
    let all: Vec<serde_json::Value> = findings
        .iter()
        .map(|finding| {
            serde_json::json!({
                "severity": finding.severity.to_string(),
                "rule": finding.rule.name(),
                "place": finding.place,
                "message": finding.message,
            })
        })
        .collect();
    Ok(writeln!(out, "{}", serde_json::Value::Array(all))?)
}
