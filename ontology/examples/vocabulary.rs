//! Writes `vocabulary/hyperontology.tsv` from the published facts of EUCAIM's hyperontology.
//!
//! `cargo run -p caim-ontology --example vocabulary -- FOLDER > ontology/vocabulary/hyperontology.tsv`
//!
//! FOLDER holds `hyperontology_core.tsv` (classes with parents, cross-codes and synonyms) and
//! `eucaim_hyperontology_concepts.csv` (every code with its label and domain). A code of the list that has no
//! row in the core gets its label and domain only; so does a parent that only the list knows.

use std::collections::HashMap;
use std::path::Path;
use std::{env, fs};

use caim_ontology::{CrossCode, Ontology, OntologySource, SourceConcept};

type Failure = Box<dyn std::error::Error>;

const ATTRIBUTION: &str = "EUCAIM hyperontology v2.0, LIMICS / EUCAIM consortium, CC BY 4.0, \
                           https://doi.org/10.5281/zenodo.10777925";
const COMMENT: &str =
    "EUCAIM hyperontology v2.0, LIMICS / EUCAIM consortium, CC BY 4.0, doi 10.5281/zenodo.10777925.
Facts only (codes, labels, is-a parents, cross-codes, synonyms), in another form; no definitions.
Written by ontology/examples/vocabulary.rs: change that program or its sources, not this file.";

fn main() -> Result<(), Failure> {
    let folder = env::args().nth(1).ok_or("usage: vocabulary FOLDER")?;
    let mut concepts = listed(&Path::new(&folder).join("eucaim_hyperontology_concepts.csv"))?;
    let core = fs::read_to_string(Path::new(&folder).join("hyperontology_core.tsv"))?;
    for row in core.lines().filter(|row| !row.starts_with('#')).skip(1) {
        let concept = described(row)?;
        let listed = concepts.entry(concept.code.clone()).or_default();
        let label = if concept.label.is_empty() { listed.label.clone() } else { concept.label.clone() };
        *listed = SourceConcept { label, domain: listed.domain.clone(), ..concept };
    }
    let mut source = OntologySource::eucaim();
    source.version = "2.0".into();
    source.attribution = ATTRIBUTION.into();
    source.concepts = concepts.into_values().collect();
    source.concepts.sort_by(|a, b| a.code.cmp(&b.code));
    Ontology::build(source.clone())?;
    #[expect(clippy::print_stdout, reason = "the file goes to the standard output")]
    {
        print!("{}", source.to_text(COMMENT));
    }
    Ok(())
}

/// All codes with label and domain, from the code list.
fn listed(path: &Path) -> Result<HashMap<String, SourceConcept>, Failure> {
    let mut concepts = HashMap::new();
    for row in csv::Reader::from_path(path)?.records() {
        let row = row?;
        let field = |place: usize| row.get(place).unwrap_or_default().trim().to_owned();
        let concept = SourceConcept {
            code: field(0),
            label: field(2),
            domain: Some(field(3)).filter(|domain| !matches!(domain.as_str(), "" | "---")),
            ..SourceConcept::default()
        };
        concepts.insert(field(0), concept);
    }
    Ok(concepts)
}

/// One row of the core: code, label, parents, cross-codes, relations, searchable, synonyms.
fn described(row: &str) -> Result<SourceConcept, Failure> {
    let fields: Vec<&str> = row.split('\t').collect();
    let [code, label, parents, cross_codes, _relations, searchable, synonyms] = fields[..] else {
        return Err(format!("the core row of {:?} has {} fields", fields.first(), fields.len()).into());
    };
    let split = |list: &str, by: char| {
        list.split(by).map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect::<Vec<_>>()
    };
    let cross_code =
        |text: &String| CrossCode::parse(text).ok_or_else(|| format!("{code}: no code in '{text}'"));
    Ok(SourceConcept {
        code: code.into(),
        label: label.trim().into(),
        parents: split(parents, '|'),
        cross_codes: split(cross_codes, ';').iter().map(cross_code).collect::<Result<_, _>>()?,
        synonyms: split(synonyms, '|'),
        searchable: searchable == "true",
        ..SourceConcept::default()
    })
}
