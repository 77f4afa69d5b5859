//! The vocabulary of a folder: its ontology and its own mappings, read in this one place for every command.
//!
//! ```text
//! DIR/ontology/<version>.tsv      imported states of EUCAIM's hyperontology, in our own form
//! DIR/ontology/current            names the one in use; without it the core that is compiled in is used
//! DIR/mappings/*.sssom.tsv        own mappings, over those that are compiled in; later names win
//! ```
//!
//! The choice of an ontology stands in a file of its own, not in node.toml or hub.toml: an import moves it in one step
//! with the text it names, and a program never rewrites a file that a person edits. `caim ontology use` goes back.
//!
//! What replaces the core: an ontology with EUCAIM's own codes, since coded columns hold them. A vocabulary with other
//! codes (OncoTree, OMOP, SKOS of a hospital) never does; it is carried over as mappings.

pub mod files;

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use caim_ontology::{MappingSet, Mappings, Models, Ontology, OntologySource};

use crate::config::{HUB_FILE, NODE_FILE};

/// Folder of imported ontologies in the folder of a node or hub.
pub const ONTOLOGY_FOLDER: &str = "ontology";
/// Folder of own mappings in the folder of a node or hub.
pub const MAPPINGS_FOLDER: &str = "mappings";
/// Folder of an operator's views in the folder of a node.
pub const VIEWS_FOLDER: &str = "views";
/// File that names the ontology in use.
const CURRENT: &str = "current";
/// The name of the core that is compiled in.
pub const BUNDLED: &str = "bundled";
/// The end of the name of a mapping file.
pub const SSSOM: &str = ".sssom.tsv";
/// How many lines with unknown objects are told one by one.
const TOLD: usize = 5;

/// The data models with the vocabulary of a folder: what ingest, build, node and hub mean by a code.
///
/// # Errors
/// When an ontology or a mapping file cannot be used: names file, line, reason and fix.
pub fn models(dir: &Path) -> Result<Models> {
    let models = Models::bundled()?;
    let (version, own) = (current(dir)?, own_sets(dir)?);
    if version.is_none() && own.is_empty() {
        return Ok(models);
    }
    let mappings = mappings_over(Arc::new(ontology(dir)?), own)?;
    tell_unknown_objects(&mappings);
    Ok(models.with_mappings(Arc::new(mappings)))
}

/// The same for a node alone, with the tables of its operator's views (`DIR/views`): for what fills and checks them, and
/// the operator who asks on the spot. Hub and node use [`models`] between each other: they share no such table. So do
/// commands that need none of their columns: a faulty view must not keep a patient from being forgotten.
///
/// # Errors
/// As [`models`], and when a view cannot be used.
pub fn models_of_node(dir: &Path) -> Result<Models> {
    Ok(caim_connectors::with_views(&models(dir)?, &dir.join(VIEWS_FOLDER))?)
}

/// The mappings of a folder; without a folder, those that are compiled in.
///
/// # Errors
/// As [`models`].
pub fn mappings(dir: Option<&Path>) -> Result<Arc<Mappings>> {
    match dir {
        Some(dir) => Ok(models(checked(dir)?)?.mappings()),
        None => Ok(Mappings::bundled()),
    }
}

/// The bundled sets with further ones over them, onto an ontology.
///
/// # Errors
/// When a bundled set is faulty, which tests exclude.
pub fn mappings_over(ontology: Arc<Ontology>, own: Vec<MappingSet>) -> Result<Mappings> {
    let mut sets = MappingSet::bundled()?;
    sets.extend(own);
    Ok(Mappings::new(ontology, sets))
}

/// The ontology of a folder, not yet built.
///
/// # Errors
/// When the file that `current` names cannot be read.
pub fn source(dir: &Path) -> Result<OntologySource> {
    let Some(version) = current(dir)? else { return Ok(OntologySource::bundled()) };
    let path = ontology_file(dir, &version);
    let text = fs::read_to_string(&path).with_context(|| {
        format!("{}; go back with `caim ontology use {BUNDLED} --dir {}`", path.display(), dir.display())
    })?;
    let read = OntologySource::parse(&text)
        .map_err(|e| anyhow!("{}: {e}; import the ontology again", path.display()))?;
    Ok(read.with_known_equivalences())
}

fn ontology(dir: &Path) -> Result<Ontology> {
    Ontology::build(source(dir)?).map_err(|e| {
        anyhow!(
            "the ontology of {}: {e}; `caim ontology lint {}` lists all faults",
            dir.display(),
            dir.display()
        )
    })
}

/// The version that a folder uses; `None` for the core that is compiled in.
///
/// # Errors
/// When the file `current` cannot be read or names no version.
pub fn current(dir: &Path) -> Result<Option<String>> {
    let path = dir.join(ONTOLOGY_FOLDER).join(CURRENT);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    let version = text.trim();
    if version == BUNDLED {
        return Ok(None);
    }
    check_name(version).with_context(|| path.display().to_string())?;
    Ok(Some(version.to_owned()))
}

/// Makes a version the one that a folder uses, or the core that is compiled in.
///
/// # Errors
/// When it was never imported, or the folder cannot be written.
pub fn choose(dir: &Path, version: &str) -> Result<()> {
    check_name(version)?;
    if version != BUNDLED && !ontology_file(dir, version).exists() {
        let known = versions(dir)?.join(", ");
        bail!(
            "{} has no ontology {version}; it has {BUNDLED}{}{known}",
            dir.display(),
            if known.is_empty() { "" } else { ", " }
        );
    }
    write(&dir.join(ONTOLOGY_FOLDER).join(CURRENT), &format!("{version}\n"))
}

fn versions(dir: &Path) -> Result<Vec<String>> {
    let folder = dir.join(ONTOLOGY_FOLDER);
    let names = names(&folder)?.into_iter();
    Ok(names.filter_map(|name| name.strip_suffix(".tsv").map(str::to_owned)).collect())
}

/// Where a version of the ontology lies in a folder.
#[must_use]
pub fn ontology_file(dir: &Path, version: &str) -> PathBuf {
    dir.join(ONTOLOGY_FOLDER).join(format!("{version}.tsv"))
}

/// A name that can be a file's, wherever that is.
///
/// # Errors
/// Says what a name may be.
pub fn check_name(name: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.chars().all(plain) {
        bail!(
            "{name:?} is no version: write 1 to 64 letters, digits, '-', '_' or '.', for example --version 2.1"
        );
    }
    Ok(())
}

/// The folder, if it is that of a node or hub.
///
/// # Errors
/// When it is none.
pub fn checked(dir: &Path) -> Result<&Path> {
    if [NODE_FILE, HUB_FILE].iter().any(|file| dir.join(file).exists()) {
        return Ok(dir);
    }
    bail!("{} is neither a node nor a hub; make one with `caim init`", dir.display())
}

/// The mapping files of a folder, in the order of their names.
///
/// # Errors
/// When the folder cannot be read.
pub fn mapping_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let folder = dir.join(MAPPINGS_FOLDER);
    let mut files = Vec::new();
    for name in names(&folder)? {
        if name.ends_with(SSSOM) {
            files.push(folder.join(name));
        } else if !name.starts_with('.') {
            tracing::warn!("{}: not read; mapping files end in {SSSOM}", folder.join(name).display());
        }
    }
    Ok(files)
}

fn own_sets(dir: &Path) -> Result<Vec<MappingSet>> {
    mapping_files(dir)?.iter().map(|path| files::mapping_set(path)).collect()
}

/// The names of the files of a folder, sorted; none where there is no folder.
fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| folder.display().to_string()),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.with_context(|| folder.display().to_string())?.file_name();
        names.push(name.to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// A line that maps to nothing is no reason not to start, but patients go uncounted: the operator must know.
fn tell_unknown_objects(mappings: &Mappings) {
    let unknown = mappings.unknown_objects();
    for fault in unknown.iter().take(TOLD) {
        tracing::warn!(
            "mapping set {}, line {}: {}; its value stays without a concept",
            fault.set,
            fault.line,
            fault.reason
        );
    }
    if unknown.len() > TOLD {
        tracing::warn!(
            "{} further mappings lead to nothing; `caim ontology lint DIR` lists them",
            unknown.len() - TOLD
        );
    }
}

/// Puts a file in place: whole or not at all, whatever happens meanwhile.
///
/// # Errors
/// When the folder cannot be written.
pub fn write(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let place = || format!("cannot write {}", path.display());
    fs::create_dir_all(folder).with_context(place)?;
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(place)?;
    file.write_all(text.as_bytes()).with_context(place)?;
    file.as_file().sync_all().with_context(place)?;
    file.persist(path).with_context(place)?;
    File::open(folder).and_then(|folder| folder.sync_all()).with_context(place)
}

#[cfg(test)]
mod tests {
    use caim_ontology::{Lookup, Unmapped};

    use super::*;
    use crate::setup::{self, NewNode};

    const HEADING: &str = "subject_id\tpredicate_id\tobject_id\n";

    fn node() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        setup::node(dir.path(), &NewNode { name: "alder".into(), ..NewNode::default() }).unwrap();
        dir
    }

    fn add(dir: &Path, name: &str, rows: &str) {
        write(&dir.join(MAPPINGS_FOLDER).join(name), &format!("{HEADING}{rows}")).unwrap();
    }

    fn manufacturer(dir: &Path, value: &str) -> String {
        let mappings = models(dir).unwrap().mappings();
        match mappings.concept("DICOM.Manufacturer", value, &[]) {
            Lookup::Mapped(mapped) => mappings.ontology().curie(mapped.concept),
            Lookup::Unmapped(Unmapped::NoTerm { .. }) => "none".to_owned(),
            Lookup::Unmapped(_) => String::new(),
        }
    }

    #[test]
    fn own_mappings_stand_over_the_bundled_ones_and_later_names_over_earlier() {
        let dir = node();
        assert_eq!(manufacturer(dir.path(), "ACME"), "");
        add(dir.path(), "a.sssom.tsv", "DICOM.Manufacturer:ACME\t\tEUCAIM:IMG1000044\n");
        assert_eq!(manufacturer(dir.path(), "acme"), "EUCAIM:IMG1000044");
        add(
            dir.path(),
            "b.sssom.tsv",
            "DICOM.Manufacturer:ACME\t\tEUCAIM:IMG1000047\nDICOM.Manufacturer:X\t\t\n",
        );
        assert_eq!(manufacturer(dir.path(), "ACME"), "EUCAIM:IMG1000047");
        add(dir.path(), "c.sssom.tsv", "DICOM.Manufacturer:SIEMENS\t\tsssom:NoTermFound\n");
        assert_eq!(manufacturer(dir.path(), "Siemens"), "none");
        assert_eq!(manufacturer(dir.path(), "GE MEDICAL SYSTEMS"), "EUCAIM:IMG1000047");
    }

    #[test]
    fn a_faulty_file_is_an_error_that_names_file_line_reason_and_fix() {
        let dir = node();
        add(dir.path(), "a.sssom.tsv", "DICOM.Manufacturer:ACME\t\tsiemens\n");
        let error = models(dir.path()).unwrap_err().to_string();
        for part in ["mappings/a.sssom.tsv", "line 2", "'siemens' is no CURIE", "mend the line"] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn a_folder_without_a_vocabulary_shares_the_bundled_one() {
        let dir = node();
        assert!(Arc::ptr_eq(&models(dir.path()).unwrap().mappings(), &Mappings::bundled()));
        assert!(checked(dir.path()).is_ok() && checked(&dir.path().join("warehouse")).is_err());
    }

    #[test]
    fn an_ontology_is_chosen_by_name_and_the_core_comes_back() {
        let dir = node();
        let mut source = OntologySource::bundled();
        source.version = "9.9".into();
        write(&ontology_file(dir.path(), "9.9"), &source.to_text("test")).unwrap();
        choose(dir.path(), "9.9").unwrap();
        assert_eq!(models(dir.path()).unwrap().ontology().version(), "9.9");
        choose(dir.path(), BUNDLED).unwrap();
        assert_eq!(models(dir.path()).unwrap().ontology().version(), "2.0");
        let error = choose(dir.path(), "9.8").unwrap_err().to_string();
        assert!(error.contains("bundled, 9.9"), "{error}");
        assert!(choose(dir.path(), "../x").unwrap_err().to_string().contains("letters"));
    }
}
