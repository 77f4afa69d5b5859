//! Files of vocabularies in the forms in which others publish them: what a file is, and what it says.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use caim_ontology::{MappingSet, OmopVocabulary, Ontology, OntologySource};
use clap::ValueEnum;

/// Largest mapping file or ontology in our own form, in bytes.
const MAX_BYTES: u64 = 512 << 20;
/// What is looked at to tell what a file is.
const BEGINNING: u64 = 4096;

/// A form of a vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Form {
    /// Whichever fits
    #[default]
    Auto,
    /// OWL in RDF/XML
    Owl,
    /// SKOS or OWL in Turtle
    Skos,
    /// Folder with the OMOP tables CONCEPT, CONCEPT_RELATIONSHIP and CONCEPT_ANCESTOR
    Omop,
    /// OncoTree as JSON
    Oncotree,
    /// Mappings: SSSOM as TSV
    Sssom,
    /// Caim's own form, as stored in DIR/ontology
    Caim,
}

/// What a file holds.
#[derive(Debug)]
pub enum Vocabulary {
    /// An ontology with EUCAIM's codes.
    Ontology(OntologySource),
    /// A vocabulary with codes of its own.
    Foreign(OntologySource),
    /// Mappings, with the text they were read from.
    Mappings(MappingSet, String),
}

impl Vocabulary {
    /// Reads a file or folder. `version` stands over what it says of its version.
    ///
    /// # Errors
    /// When it cannot be read, or is none of the forms.
    pub fn read(path: &Path, form: Form, version: Option<&str>) -> Result<Self> {
        let open = || File::open(path).map(BufReader::new).with_context(|| path.display().to_string());
        let named = |reason: caim_ontology::ImportError| anyhow!(reason).context(path.display().to_string());
        let mut source = match if form == Form::Auto { recognised(path)? } else { form } {
            Form::Sssom => return Ok(Self::Mappings(mapping_set(path)?, text(path)?)),
            Form::Owl => OntologySource::from_owl(open()?, OntologySource::eucaim()).map_err(named)?,
            Form::Skos => OntologySource::from_turtle(open()?, OntologySource::eucaim()).map_err(named)?,
            Form::Oncotree => OntologySource::from_oncotree(open()?, "").map_err(named)?,
            Form::Omop => omop(path).with_context(|| path.display().to_string())?,
            Form::Caim | Form::Auto => {
                OntologySource::parse(&text(path)?).map_err(|e| anyhow!("{}: {e}", path.display()))?
            }
        };
        if let Some(version) = version {
            source.version = version.to_owned();
        }
        if source.prefix == OntologySource::eucaim().prefix {
            return Ok(Self::Ontology(
                source.with_listed_parents(&Ontology::bundled()).with_known_equivalences(),
            ));
        }
        if source.prefix.is_empty() {
            source.prefix = prefix_of(path);
        }
        Ok(Self::Foreign(source))
    }
}

/// A mapping file.
///
/// # Errors
/// Names the file, the line, what is wrong there, and what to do.
pub fn mapping_set(path: &Path) -> Result<MappingSet> {
    let name = path.display().to_string();
    MappingSet::parse(&name, &text(path)?)
        .map_err(|e| anyhow!("{e}; mend the line, or take the file out of its folder"))
}

fn text(path: &Path) -> Result<String> {
    let mut text = String::new();
    let file = File::open(path).with_context(|| path.display().to_string())?;
    file.take(MAX_BYTES + 1).read_to_string(&mut text).with_context(|| path.display().to_string())?;
    if text.len() as u64 > MAX_BYTES {
        bail!("{}: it is larger than 512 MiB", path.display());
    }
    Ok(text)
}

/// What a file is, by its name and its first lines.
fn recognised(path: &Path) -> Result<Form> {
    if path.is_dir() {
        return match table(path, "CONCEPT") {
            Some(_) => Ok(Form::Omop),
            None => {
                bail!("{}: a folder is read as an OMOP vocabulary, and it has no CONCEPT.csv", path.display())
            }
        };
    }
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let ending = name.rsplit('.').next().unwrap_or_default();
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(|| path.display().to_string())?;
    file.take(BEGINNING).read_to_end(&mut bytes).with_context(|| path.display().to_string())?;
    let beginning = String::from_utf8_lossy(&bytes);
    let beginning = beginning.trim_start_matches('\u{feff}').trim_start();
    Ok(match ending {
        _ if beginning.starts_with("caim-vocabulary") => Form::Caim,
        _ if beginning.contains("subject_id") || name.contains(".sssom.") => Form::Sssom,
        "ttl" | "turtle" | "nt" => Form::Skos,
        "owl" | "rdf" | "xml" => Form::Owl,
        _ if ["<?xml", "<rdf:RDF", "<!DOCTYPE", "<!--"].iter().any(|start| beginning.starts_with(start)) => {
            Form::Owl
        }
        _ if ["@prefix", "@base", "PREFIX", "prefix"].iter().any(|start| beginning.starts_with(start)) => {
            Form::Skos
        }
        _ if beginning.starts_with('{') => Form::Oncotree,
        _ => bail!(
            "{}: not recognised; --format says what it is: owl (RDF/XML), skos (Turtle), omop (a folder), oncotree \
             (JSON) or sssom (TSV)",
            path.display()
        ),
    })
}

/// A table of a folder, by its name in any case.
fn table(folder: &Path, name: &str) -> Option<PathBuf> {
    let fits = |path: &PathBuf| {
        let stem = path.file_stem().is_some_and(|stem| stem.eq_ignore_ascii_case(name));
        stem && path
            .extension()
            .is_some_and(|e| ["csv", "tsv", "txt"].iter().any(|known| e.eq_ignore_ascii_case(known)))
    };
    fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path())).find(fits)
}

fn omop(folder: &Path) -> Result<OntologySource> {
    let open = |name: &str| -> Result<Option<BufReader<File>>> {
        match table(folder, name) {
            Some(path) => {
                Ok(Some(BufReader::new(File::open(&path).with_context(|| path.display().to_string())?)))
            }
            None => Ok(None),
        }
    };
    let mut concept = open("CONCEPT")?.context("it has no CONCEPT.csv")?;
    let (mut relationship, mut ancestor) = (open("CONCEPT_RELATIONSHIP")?, open("CONCEPT_ANCESTOR")?);
    let mut source = OntologySource::from_omop(OmopVocabulary {
        concept: &mut concept,
        relationship: relationship.as_mut().map(|reader| reader as &mut dyn std::io::Read),
        ancestor: ancestor.as_mut().map(|reader| reader as &mut dyn std::io::Read),
        vocabularies: &[],
    })?;
    if let Some(version) = omop_version(folder) {
        source.version = version;
    }
    Ok(source)
}

/// The release that VOCABULARY names: its row `None` holds that of the whole download.
fn omop_version(folder: &Path) -> Option<String> {
    let file = File::open(table(folder, "VOCABULARY")?).ok()?;
    let lines = BufReader::new(file).lines().map_while(std::result::Result::ok);
    let row = lines.take(1000).find(|line| line.starts_with("None"))?;
    let version = row.split([',', '\t']).nth(3)?.trim().replace(' ', "-");
    Some(version.trim_matches('"').to_owned()).filter(|version| !version.is_empty())
}

/// A prefix for codes of a file that has none of its own: its name.
fn prefix_of(path: &Path) -> String {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().to_uppercase()).unwrap_or_default();
    let plain: String = stem.chars().filter(char::is_ascii_alphanumeric).take(32).collect();
    if plain.is_empty() { "FOREIGN".to_owned() } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_recognised_by_what_they_hold() {
        let dir = tempfile::tempdir().unwrap();
        let form = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            recognised(&path).map_err(|e| e.to_string())
        };
        for (name, text, expect) in [
            ("a.owl", "<rdf:RDF/>", Form::Owl),
            ("a.dat", "\u{feff}<?xml version='1.0'?>", Form::Owl),
            ("a.ttl", "<http://x> a <y> .", Form::Skos),
            ("b.dat", "@prefix skos: <x> .", Form::Skos),
            ("c.json", "{\"TISSUE\": {}}", Form::Oncotree),
            ("d.tsv", "#curie_map:\nsubject_id\tpredicate_id\tobject_id\n", Form::Sssom),
            ("e.tsv", "caim-vocabulary\t1\n", Form::Caim),
        ] {
            assert_eq!(form(name, text), Ok(expect), "{name}");
        }
        assert!(form("f.txt", "prostate").unwrap_err().contains("--format says what it is"));
        assert!(recognised(dir.path()).unwrap_err().to_string().contains("no CONCEPT.csv"));
    }

    #[test]
    fn an_ontology_with_other_codes_is_foreign_and_named_by_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("our-sites.ttl");
        let head =
            "@prefix skos: <http://www.w3.org/2004/02/skos/core#> .\n@prefix : <https://x.example/s/> .\n";
        fs::write(&path, format!("{head}:eye a skos:Concept ; skos:prefLabel \"eye\"@en .\n")).unwrap();
        let Vocabulary::Foreign(source) = Vocabulary::read(&path, Form::Auto, Some("1")).unwrap() else {
            panic!("taken for EUCAIM's")
        };
        assert_eq!((source.prefix.as_str(), source.version.as_str()), ("OURSITES", "1"));
    }
}
