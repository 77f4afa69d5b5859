//! The vocabulary tables of OMOP as the Athena download has them: CONCEPT, CONCEPT_RELATIONSHIP,
//! CONCEPT_ANCESTOR.

use std::collections::{BTreeSet, HashMap};
use std::io::{BufRead, BufReader, Read};

use csv::{Reader, ReaderBuilder, StringRecord};

use super::{ImportError, tidy};
use crate::code::{CodeSystem, CrossCode};
use crate::source::{OntologySource, SourceConcept};

/// Concepts that are kept; rows that are read.
const MAX_CONCEPTS: usize = 4_000_000;
const MAX_ROWS: usize = 200_000_000;

/// The tables to read, each comma- or tab-separated with its heading.
pub struct OmopVocabulary<'a> {
    /// CONCEPT.
    pub concept: &'a mut dyn Read,
    /// CONCEPT_RELATIONSHIP: its valid `Is a` and `Subsumes` rows are the hierarchy.
    pub relationship: Option<&'a mut dyn Read>,
    /// CONCEPT_ANCESTOR: its rows with one level of separation are the hierarchy, too.
    pub ancestor: Option<&'a mut dyn Read>,
    /// The `vocabulary_id`s to keep; none means all.
    pub vocabularies: &'a [&'a str],
}

impl OntologySource {
    /// Reads OMOP vocabulary tables. The own code of a concept is its `concept_id`, with the prefix OMOP; the
    /// code of its vocabulary is a cross-code. Edges to concepts that are not kept are left out.
    ///
    /// # Errors
    /// A table cannot be read, has no such columns, is too large, or no concept is kept.
    pub fn from_omop(tables: OmopVocabulary<'_>) -> Result<Self, ImportError> {
        let mut concepts = read_concepts(tables.concept, tables.vocabularies)?;
        if concepts.is_empty() {
            return Err(ImportError::Empty { form: "OMOP CONCEPT" });
        }
        let mut edges = BTreeSet::new();
        if let Some(reader) = tables.relationship {
            read_relationships(reader, &concepts, &mut edges)?;
        }
        if let Some(reader) = tables.ancestor {
            read_ancestors(reader, &concepts, &mut edges)?;
        }
        for (child, parent) in edges {
            if let Some(concept) = concepts.get_mut(&child) {
                concept.parents.push(parent.to_string());
            }
        }
        let mut concepts: Vec<(u64, SourceConcept)> = concepts.into_iter().collect();
        concepts.sort_by_key(|(id, _)| *id);
        Ok(Self {
            prefix: "OMOP".into(),
            namespaces: vec!["https://athena.ohdsi.org/search-terms/terms/".into()],
            concepts: concepts.into_iter().map(|(_, concept)| concept).collect(),
            ..Self::default()
        })
    }
}

type Concepts = HashMap<u64, SourceConcept>;
type Edges = BTreeSet<(u64, u64)>;

fn read_concepts(reader: &mut dyn Read, vocabularies: &[&str]) -> Result<Concepts, ImportError> {
    let mut concepts = Concepts::new();
    let columns =
        ["concept_id", "concept_name", "domain_id", "vocabulary_id", "concept_code", "invalid_reason"];
    each_row("OMOP CONCEPT", reader, columns, |[id, name, domain, vocabulary, code, invalid]| {
        if !vocabularies.is_empty() && !vocabularies.iter().any(|v| v.eq_ignore_ascii_case(vocabulary)) {
            return Ok(());
        }
        if concepts.len() == MAX_CONCEPTS {
            return Err("more than 4,000,000 concepts are kept; name the vocabularies to keep".into());
        }
        let number = number(id)?;
        let cross_code = (!code.is_empty()).then(|| CrossCode::new(CodeSystem::new(vocabulary), code));
        let concept = SourceConcept {
            code: number.to_string(),
            label: tidy(name),
            cross_codes: cross_code.into_iter().collect(),
            domain: Some(domain.to_owned()).filter(|d| !d.is_empty()),
            obsolete: !invalid.is_empty(),
            ..SourceConcept::default()
        };
        match concepts.insert(number, concept) {
            None => Ok(()),
            Some(_) => Err(format!("concept_id {number} stands there twice")),
        }
    })?;
    Ok(concepts)
}

fn read_relationships(
    reader: &mut dyn Read,
    concepts: &Concepts,
    edges: &mut Edges,
) -> Result<(), ImportError> {
    let columns = ["concept_id_1", "concept_id_2", "relationship_id", "invalid_reason"];
    each_row("OMOP CONCEPT_RELATIONSHIP", reader, columns, |[one, two, relationship, invalid]| {
        let is_a = relationship.eq_ignore_ascii_case("Is a");
        if invalid.is_empty() && (is_a || relationship.eq_ignore_ascii_case("Subsumes")) {
            let (one, two) = (number(one)?, number(two)?);
            let (child, parent) = if is_a { (one, two) } else { (two, one) };
            add_edge(child, parent, concepts, edges);
        }
        Ok(())
    })
}

fn read_ancestors(reader: &mut dyn Read, concepts: &Concepts, edges: &mut Edges) -> Result<(), ImportError> {
    let columns = ["ancestor_concept_id", "descendant_concept_id", "min_levels_of_separation"];
    each_row("OMOP CONCEPT_ANCESTOR", reader, columns, |[ancestor, descendant, levels]| {
        if levels == "1" {
            add_edge(number(descendant)?, number(ancestor)?, concepts, edges);
        }
        Ok(())
    })
}

fn add_edge(child: u64, parent: u64, concepts: &Concepts, edges: &mut Edges) {
    if child != parent && concepts.contains_key(&child) && concepts.contains_key(&parent) {
        edges.insert((child, parent));
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "a concept id is no whole number".to_owned())
}

/// Calls `take` with the named columns of each row; what it finds wrong becomes an error with the line.
fn each_row<const N: usize>(
    form: &'static str,
    reader: &mut dyn Read,
    columns: [&str; N],
    mut take: impl FnMut([&str; N]) -> Result<(), String>,
) -> Result<(), ImportError> {
    let faulty = |reason: String| ImportError::Faulty { form, reason };
    let mut reader = open(form, reader)?;
    let headers = reader.headers().map_err(|e| faulty(e.to_string()))?.clone();
    let mut places = [0; N];
    for (place, column) in places.iter_mut().zip(columns) {
        let found =
            headers.iter().position(|h| h.trim().trim_start_matches('\u{feff}').eq_ignore_ascii_case(column));
        *place = found.ok_or_else(|| faulty(format!("the heading has no column {column}")))?;
    }
    let mut row = StringRecord::new();
    let mut rows = 0;
    while reader.read_record(&mut row).map_err(|e| faulty(e.to_string()))? {
        rows += 1;
        if rows > MAX_ROWS {
            return Err(ImportError::TooLarge { form, limit: "at most 200 million rows are read" });
        }
        let line = row.position().map_or(0, csv::Position::line);
        let fields = places.map(|place| row.get(place).unwrap_or_default().trim());
        take(fields).map_err(|reason| faulty(format!("line {line}: {reason}")))?;
    }
    Ok(())
}

/// A reader with the delimiter of the heading: Athena writes tabs and no quotes, exports of databases commas.
fn open<'a>(form: &'static str, reader: &'a mut dyn Read) -> Result<Reader<Box<dyn Read + 'a>>, ImportError> {
    let mut reader = BufReader::new(reader);
    let tabs = reader.fill_buf().map_err(|reason| ImportError::Read { form, reason })?.contains(&b'\t');
    let mut builder = ReaderBuilder::new();
    builder.delimiter(if tabs { b'\t' } else { b',' }).quoting(!tabs).flexible(true);
    Ok(builder.from_reader(Box::new(reader)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Ontology;

    const CONCEPT: &str = "concept_id\tconcept_name\tdomain_id\tvocabulary_id\tconcept_code\tinvalid_reason\n\
        1\tNeoplasm \"x\tCondition\tSNOMED\t108369006\t\n\
        2\tCancer of prostate\tCondition\tSNOMED\t399068003\t\n\
        3\tProstate\tSpec Anatomic Site\tICDO3\tC61.9\t\n4\tOld\tCondition\tSNOMED\t77\tD\n";

    fn read(
        concept: &str,
        relationship: &str,
        ancestor: &str,
        keep: &[&str],
    ) -> Result<OntologySource, ImportError> {
        OntologySource::from_omop(OmopVocabulary {
            concept: &mut concept.as_bytes(),
            relationship: Some(&mut relationship.as_bytes()),
            ancestor: Some(&mut ancestor.as_bytes()),
            vocabularies: keep,
        })
    }

    const RELATIONSHIP: &str = "concept_id_1,concept_id_2,relationship_id,invalid_reason\n\
        2,1,Is a,\n1,2,Subsumes,\n2,4,Is a,D\n2,99,Is a,\n2,3,Has finding site,\n";
    const ANCESTOR: &str = "ancestor_concept_id,descendant_concept_id,min_levels_of_separation\n\
        1,1,0\n1,2,1\n1,4,1\n1,3,2\n";

    #[test]
    fn athena_tables_become_a_hierarchy() {
        let source = read(CONCEPT, RELATIONSHIP, ANCESTOR, &[]).unwrap();
        let ontology = Ontology::build(source).unwrap();
        let cancer = ontology.resolve("SNOMEDCT:399068003", &[]).unwrap();
        assert_eq!(ontology.curie(cancer), "OMOP:2");
        assert!(ontology.is_a(cancer, ontology.resolve("OMOP:1", &[]).unwrap()));
        assert_eq!(ontology.ancestors(cancer).len(), 2);
        let old = ontology.concept(ontology.find("4").unwrap()).unwrap().clone();
        assert!(old.obsolete && !old.parents.is_empty());
        assert_eq!(ontology.label(ontology.find("1").unwrap()), "Neoplasm \"x");
    }

    #[test]
    fn only_the_named_vocabularies_are_kept() {
        let codes = |keep: &[&str]| -> Vec<String> {
            let source = read(CONCEPT, RELATIONSHIP, ANCESTOR, keep).unwrap();
            source.concepts.into_iter().map(|c| c.code).collect()
        };
        assert_eq!(codes(&["icdo3"]), ["3"]);
        assert_eq!(codes(&["SNOMED", "ICDO3"]).len(), 4);
        assert!(matches!(read(CONCEPT, RELATIONSHIP, ANCESTOR, &["X"]), Err(ImportError::Empty { .. })));
    }

    #[test]
    fn faults_name_table_line_and_reason() {
        let fault = |concept: &str| read(concept, RELATIONSHIP, ANCESTOR, &[]).unwrap_err().to_string();
        let twice = format!("{CONCEPT}2\tagain\tCondition\tSNOMED\t1\t\n");
        assert_eq!(fault(&twice), "the OMOP CONCEPT file is faulty: line 6: concept_id 2 stands there twice");
        assert!(fault("concept_id,concept_name\n").contains("the heading has no column domain_id"));
        let bad = format!("{CONCEPT}-5\tx\tCondition\tSNOMED\t1\t\n");
        assert!(fault(&bad).contains("line 6: a concept id is no whole number"));
    }
}
