//! Files as their publishers give them, beside the workspace; tests skip, and say so, where they are absent.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use crate::{CrossCode, MappingSet, Ontology, OntologySource, Severity, lint};

/// A published file, or `None` after it was counted as a skip.
pub(crate) fn shared(path: &str) -> Option<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(path);
    if file.exists() {
        return Some(fs::read_to_string(file).unwrap());
    }
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let line = format!("{test}: ../shared/data/{path} is absent\n");
    eprint!("skipped: {line}");
    if let Some(skips) = std::env::var_os("CAIM_SKIPS") {
        let mut skips = OpenOptions::new().create(true).append(true).open(skips).unwrap();
        skips.write_all(line.as_bytes()).unwrap();
    }
    None
}

#[test]
fn oncotree_is_read_whole() {
    let Some(text) = shared("ontology/oncotree_2025_10_03.json") else { return };
    let source = OntologySource::from_oncotree(text.as_bytes(), "2025-10-03").unwrap();
    assert!(lint(&source, &[]).iter().all(|f| f.severity != Severity::Error));
    let ontology = Ontology::build(source).unwrap();
    assert_eq!(ontology.len(), text.matches("\"mainType\":").count());
    let prostate = ontology.resolve("ONCOTREE:PROSTATE", &[]).unwrap();
    let adenocarcinoma = ontology.resolve("ONCOTREE:PRAD", &[]).unwrap();
    assert!(ontology.is_a(adenocarcinoma, prostate));
}

#[test]
fn published_mapping_sets_are_read_whole() {
    for set in
        ["exactmatch_icd10cm", "exactmatch_ncit", "exactmatch_sctid", "hasdbxref_icdo", "hasdbxref_oncotree"]
    {
        let file = format!("ontology/mondo_{set}.sssom.tsv");
        let Some(text) = shared(&file) else { return };
        let set = MappingSet::parse(&file, &text).unwrap();
        let rows = text.lines().filter(|line| !line.starts_with('#')).count() - 1;
        assert_eq!(set.mappings.len(), rows, "{file}");
        assert!(set.version.contains("2026-08-04") && set.prefixes.contains_key("MONDO"), "{file}");
        assert_eq!(set.mappings.last().unwrap().line, text.lines().count(), "{file}");
    }
}

#[test]
fn the_bundled_core_says_what_the_published_facts_say() {
    let Some(core) = shared("ontology/hyperontology_core.tsv") else { return };
    let ontology = Ontology::bundled();
    for row in core.lines().filter(|row| !row.starts_with('#')).skip(1) {
        let fields: Vec<&str> = row.split('\t').collect();
        let concept = ontology.find(fields[0]).and_then(|id| ontology.concept(id)).unwrap();
        assert!(fields[1].is_empty() || *concept.label == *fields[1].trim(), "{row}");
        let parents: Vec<&str> = concept.parents.iter().map(|p| ontology.code(*p)).collect();
        let expected: Vec<&str> = fields[2].split('|').filter(|p| !p.is_empty()).collect();
        assert!(expected.iter().all(|parent| parents.contains(parent)), "{row}");
        // Concepts that are there twice share their parents.
        let twice = !ontology.equivalents(ontology.find(fields[0]).unwrap()).is_empty();
        assert!(twice || parents.len() == expected.len(), "{row}");
        for code in fields[3].split(';').filter(|code| !code.is_empty()) {
            let bearers = ontology.bearers(&CrossCode::parse(code).unwrap());
            assert!(bearers.contains(&ontology.find(fields[0]).unwrap()), "{code} of {row}");
        }
        assert_eq!(concept.searchable, fields[5] == "true", "{row}");
    }
}
