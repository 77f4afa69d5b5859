//! `caim ontology import`: checks an ontology or mapping file and takes it into the folder of a node or hub.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail};
use caim_ontology::{MappingSet, Mappings, Models, Ontology, OntologySource, Severity, lint};

use super::lint::write_findings;
use crate::commands::Outcome;
use crate::config::NODE_FILE;
use crate::exit::Exit;
use crate::vocabulary::files::{Form, Vocabulary};
use crate::vocabulary::{self, MAPPINGS_FOLDER, SSSOM};

/// Flags of `caim ontology import`.
#[derive(Debug, clap::Args)]
// `--version` is the ontology's here, not the program's.
#[command(
    disable_version_flag = true,
    after_long_help = "\
Examples:
  caim ontology import EUCAIM.owl --dir /srv/caim
  caim ontology import oncotree.json --version 2025-10-03 --dir /srv/caim
  caim ontology import scanners.sssom.tsv --dir /srv/caim

An ontology with EUCAIM's codes takes the place of the bundled core; `caim ontology use` goes back.
A vocabulary with other codes never does: what its terms mean follows from their cross-codes and
their hierarchy, and is stored as mappings. Nothing is stored when there is an error (exit code 1)."
)]
pub struct Args {
    /// OWL, SKOS or OncoTree file, folder of an OMOP vocabulary, or SSSOM file
    pub file: PathBuf,
    /// Folder of the node or hub
    #[arg(long)]
    pub dir: PathBuf,
    /// Version, where the file does not say it
    #[arg(long)]
    pub version: Option<String>,
    /// What the file is
    #[arg(long, value_enum, default_value = "auto")]
    pub format: Form,
}

/// Runs the command.
///
/// # Errors
/// When the file cannot be read, or the folder cannot be written.
pub fn run(args: Args) -> Outcome {
    let dir = vocabulary::checked(&args.dir)?;
    let mut out = std::io::stdout().lock();
    let exit = match Vocabulary::read(&args.file, args.format, args.version.as_deref())? {
        Vocabulary::Ontology(source) => ontology(&mut out, dir, source)?,
        Vocabulary::Foreign(source) => foreign(&mut out, dir, source)?,
        Vocabulary::Mappings(set, text) => mappings(&mut out, dir, &args.file, &set, &text)?,
    };
    if exit == Exit::Ok {
        tell_next(&mut out, dir)?;
    }
    Ok(exit)
}

/// What has to be done until a change of the vocabulary counts.
pub(super) fn tell_next(out: &mut dyn Write, dir: &Path) -> Result<()> {
    let shown = dir.display();
    if dir.join(NODE_FILE).exists() {
        writeln!(out, "next: caim build {shown}, and start the node again if it is running")?;
    } else {
        writeln!(out, "next: start the hub again if it is running")?;
    }
    Ok(())
}

/// An ontology that takes the place of the core.
fn ontology(out: &mut dyn Write, dir: &Path, source: OntologySource) -> Result<Exit> {
    let version = version_of(&source)?;
    if is_faulty(out, &source, &[])? {
        return Ok(Exit::Error);
    }
    let concepts = source.concepts.len();
    let built = Arc::new(Ontology::build(source.clone())?);
    check_roots(&built)?;
    store(dir, &version, &source)?;
    vocabulary::choose(dir, &version)?;
    writeln!(out, "imported {} {version}: {concepts} concepts, now in use", source.prefix)?;
    tell_lost(out, &vocabulary::mappings_over(built, own_sets(dir)?)?)?;
    Ok(Exit::Ok)
}

fn own_sets(dir: &Path) -> Result<Vec<MappingSet>> {
    vocabulary::mapping_files(dir)?.iter().map(|path| vocabulary::files::mapping_set(path)).collect()
}

/// Mappings whose objects the new ontology does not have.
fn tell_lost(out: &mut dyn Write, mappings: &Mappings) -> Result<()> {
    let lost = mappings.unknown_objects();
    if let Some(first) = lost.first() {
        let line = format!("mapping set {}, line {}: {}", first.set, first.line, first.reason);
        writeln!(out, "{} mappings lead to nothing in it and have no effect; the first: {line}", lost.len())?;
    }
    Ok(())
}

/// A vocabulary with other codes: kept as it is, and carried over as mappings.
fn foreign(out: &mut dyn Write, dir: &Path, source: OntologySource) -> Result<Exit> {
    let version = version_of(&source)?;
    if is_faulty(out, &source, &[])? {
        return Ok(Exit::Error);
    }
    let prefix = source.prefix.clone();
    let name = format!("{}-{version}", prefix.to_lowercase());
    store(dir, &name, &source)?;
    let built = Ontology::build(source)?;
    let file = dir.join(MAPPINGS_FOLDER).join(format!("{}{SSSOM}", prefix.to_lowercase()));
    // An earlier carrying over decides on nothing when it is made anew.
    if file.exists() {
        fs::remove_file(&file)?;
    }
    let set = MappingSet::carried(&built, &vocabulary::models(dir)?.mappings());
    vocabulary::write(
        &file,
        &set.to_text(&format!("{prefix} {version}, carried over by cross-codes and hierarchy")),
    )?;
    let (mapped, all) = (set.mappings.len(), built.len());
    writeln!(
        out,
        "{prefix} {version} has codes of its own: it does not take the place of the ontology in use"
    )?;
    writeln!(out, "carried over {mapped} of {all} terms as mappings: {}", file.display())?;
    Ok(Exit::Ok)
}

fn mappings(out: &mut dyn Write, dir: &Path, file: &Path, set: &MappingSet, text: &str) -> Result<Exit> {
    if is_faulty(out, &vocabulary::source(dir)?, std::slice::from_ref(set))? {
        return Ok(Exit::Error);
    }
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = [SSSOM, ".tsv", ".csv"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
    vocabulary::check_name(stem)?;
    let target = dir.join(MAPPINGS_FOLDER).join(format!("{stem}{SSSOM}"));
    vocabulary::write(&target, text)?;
    writeln!(out, "imported {} mappings as {}", set.mappings.len(), target.display())?;
    if set.undecided > 0 {
        writeln!(out, "{} rows have no object_id yet and decide nothing", set.undecided)?;
    }
    Ok(Exit::Ok)
}

/// Tells the faults; whether there are errors among them, so that nothing is to be stored.
fn is_faulty(out: &mut dyn Write, source: &OntologySource, sets: &[MappingSet]) -> Result<bool> {
    let mut findings = lint(source, sets);
    // Of mappings onto an ontology that is in use already, only their own faults matter.
    if !sets.is_empty() {
        findings.retain(|finding| finding.place.contains(" line "));
    }
    let all = findings.len();
    findings.retain(|finding| finding.severity == Severity::Error);
    let errors = !findings.is_empty();
    if errors {
        write_findings(out, &findings)?;
        writeln!(out, "nothing was imported; mend the errors and import again")?;
    } else if all > 0 {
        writeln!(out, "{all} things are doubtful; `caim ontology lint FILE` lists them")?;
    }
    Ok(errors)
}

fn version_of(source: &OntologySource) -> Result<String> {
    if source.version.is_empty() {
        bail!("the file does not say its version: give one, for example --version 2.1");
    }
    let version = source.version.replace(' ', "-");
    vocabulary::check_name(&version)?;
    if version == vocabulary::BUNDLED {
        bail!("the version cannot be called {version}: that is the core that is compiled in");
    }
    Ok(version)
}

/// A version names one state: another text under the same name would change answers in silence.
fn store(dir: &Path, name: &str, source: &OntologySource) -> Result<()> {
    let path = vocabulary::ontology_file(dir, name);
    let text = source.to_text("Imported by `caim ontology import`.");
    match fs::read_to_string(&path) {
        Ok(old) if old == text => Ok(()),
        Ok(_) => {
            bail!("{} holds another state of this version; give this one its own: --version", path.display())
        }
        Err(_) => vocabulary::write(&path, &text),
    }
}

/// The coded columns of the models must find the concepts that theirs lie beneath.
fn check_roots(ontology: &Ontology) -> Result<()> {
    for model in Models::bundled()?.iter() {
        for (table, column) in model.tables.iter().flat_map(|t| t.columns.iter().map(move |c| (t, c))) {
            if let Some(root) = column.roots.iter().find(|root| ontology.find(root).is_none()) {
                bail!(
                    "it has no {root}, beneath which the concepts of {}.{}.{} lie: it cannot take the place of the core",
                    model.schema,
                    table.name,
                    column.name
                );
            }
        }
    }
    Ok(())
}
