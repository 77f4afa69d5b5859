//! The vocabulary of a coded column: what a term means there, and which codes it covers.
//!
//! The hub reads terms by its ontology and sends [`ConceptRef`]s; a node takes them only where its own ontology covers
//! the same codes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use caim_ontology::{ClosureHash, Column, ConceptId, Models, Ontology, Unresolved};

use crate::private_query::ConceptRef;
use crate::refusal::{Code, Refusal};

/// Hexadecimal digits of a closure's hash that travel: 128 bits.
const CLOSURE_DIGITS: usize = 32;

/// Roots of a vocabulary that a message names.
const NAMED: usize = 5;

/// The concepts that may stand in a column: its roots and everything beneath them.
pub struct Vocabulary {
    ontology: Arc<Ontology>,
    /// The column, as messages name it.
    column: String,
    roots: Vec<ConceptId>,
}

impl Vocabulary {
    /// The vocabulary of a column; `name` is what messages call it.
    ///
    /// # Errors
    /// `NotCoded` for a column without concepts, `OntologyVersion` where the ontology lacks a root of it.
    pub fn of(column: &Column, name: &str, models: &Models) -> Result<Self, Refusal> {
        if column.roots.is_empty() {
            return Err(not_coded(name));
        }
        let ontology = models.ontology();
        let roots = column.root_concepts(&ontology).map_err(|missing| {
            let reason =
                format!("the concepts of {name} lie beneath one that this ontology lacks: {missing}");
            Refusal::new(Code::OntologyVersion, reason)
        })?;
        Ok(Self { ontology, column: name.to_owned(), roots })
    }

    /// The concept that a term means in this column.
    ///
    /// # Errors
    /// `UnknownConcept` with the nearest ones, `AmbiguousConcept` with the candidates, `OutsideVocabulary` for a concept
    /// that no code of the column lies beneath.
    pub fn resolve(&self, term: &str) -> Result<ConceptId, Refusal> {
        let concept = self.ontology.resolve(term, &self.roots).map_err(|e| self.unresolved(&e))?;
        if self.holds_some(concept) {
            return Ok(concept);
        }
        let roots: Vec<String> =
            self.roots.iter().take(NAMED).map(|r| self.ontology.suggestion(*r).to_string()).collect();
        let reason = format!(
            "{} covers no concept of {}: those lie beneath {}",
            self.ontology.suggestion(concept),
            self.column,
            roots.join(", ")
        );
        Err(Refusal::new(Code::OutsideVocabulary, reason))
    }

    /// The code, as the column holds it, of a term.
    ///
    /// # Errors
    /// As [`Vocabulary::resolve`].
    pub fn code(&self, term: &str) -> Result<String, Refusal> {
        Ok(self.ontology.curie(self.resolve(term)?))
    }

    /// The concept that an asker means.
    ///
    /// # Errors
    /// `OntologyVersion` where this ontology lacks it, or takes it to cover other codes.
    pub fn known(&self, concept: &ConceptRef) -> Result<ConceptId, Refusal> {
        let found = self.ontology.find(&concept.code).filter(|id| self.ontology.curie(*id) == concept.code);
        let other = |reason: String| Refusal::new(Code::OntologyVersion, reason);
        let code = crate::text::shortened(&concept.code);
        let id = found
            .ok_or_else(|| other(format!("ontology {} has no concept {code}", self.ontology.version())))?;
        if self.reference(id) == *concept {
            return Ok(id);
        }
        Err(other(format!("in ontology {} {code} covers other concepts", self.ontology.version())))
    }

    /// A concept as questions carry it.
    #[must_use]
    pub fn reference(&self, concept: ConceptId) -> ConceptRef {
        let mut closure = self.ontology.closure_hash(concept).to_string();
        closure.truncate(CLOSURE_DIGITS);
        ConceptRef { code: self.ontology.curie(concept), closure }
    }

    /// A hash of all codes of the column, as questions over the whole vocabulary carry it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut codes: Vec<String> = self.concepts().into_iter().map(|id| self.ontology.curie(id)).collect();
        codes.sort_unstable();
        let mut fingerprint = ClosureHash::of_codes(&codes).to_string();
        fingerprint.truncate(CLOSURE_DIGITS);
        fingerprint
    }

    /// The concepts of the column, each once, in the order of their numbers.
    #[must_use]
    pub fn concepts(&self) -> Vec<ConceptId> {
        let all: BTreeSet<ConceptId> = self.stored().into_iter().map(|id| self.standing(id)).collect();
        all.into_iter().collect()
    }

    /// All concepts whose codes rows may hold: also those that the ontology has twice, as rows that were derived by an
    /// older version of it do.
    #[must_use]
    pub fn stored(&self) -> Vec<ConceptId> {
        let mut all = BTreeSet::new();
        for root in &self.roots {
            all.extend(self.ontology.descendants(*root).iter());
        }
        all.into_iter().collect()
    }

    /// The codes of the column that a concept covers: its own, where the column can hold it, and those beneath it.
    #[must_use]
    pub fn covered(&self, concept: ConceptId) -> Vec<String> {
        let covers = self.ontology.descendants(concept);
        let own = self.stored().into_iter().filter(|id| covers.contains(*id));
        own.map(|id| self.ontology.curie(id)).collect()
    }

    /// For every code of the column that lies beneath one of these, the first that it lies beneath.
    #[must_use]
    pub fn rolled_up(&self, to: &[ConceptId]) -> Vec<(String, String)> {
        let first = |id: ConceptId| to.iter().find(|target| self.ontology.is_a(id, **target));
        let stored = self.stored().into_iter();
        stored.filter_map(|id| Some((self.ontology.curie(id), self.ontology.curie(*first(id)?)))).collect()
    }

    /// What `roll_up(column, concept)` groups by: the concepts right beneath it, and itself for what lies beneath none.
    #[must_use]
    pub fn beneath(&self, concept: ConceptId) -> Vec<ConceptId> {
        let mut children: Vec<ConceptId> =
            self.ontology.children(concept).map(|id| self.standing(id)).filter(|id| *id != concept).collect();
        children.sort_by_key(|id| self.ontology.curie(*id));
        children.dedup();
        children.push(concept);
        self.held(children)
    }

    /// What `roll_up(column, level)` groups by: the concepts that many steps beneath the roots, and the more general
    /// ones for what lies beneath none of them, the most specific first.
    #[must_use]
    pub fn at_level(&self, level: usize) -> Vec<ConceptId> {
        let mut steps: BTreeMap<ConceptId, usize> = BTreeMap::new();
        let mut row: Vec<ConceptId> = self.roots.iter().map(|id| self.standing(*id)).collect();
        for step in 0..=level {
            row.retain(|id| !steps.contains_key(id));
            if row.is_empty() {
                break;
            }
            steps.extend(row.iter().map(|id| (*id, step)));
            row = row.iter().flat_map(|id| self.ontology.children(*id)).map(|id| self.standing(id)).collect();
        }
        let mut found: Vec<(usize, String, ConceptId)> =
            steps.into_iter().map(|(id, step)| (level - step, self.ontology.curie(id), id)).collect();
        found.sort();
        found.into_iter().map(|(.., id)| id).collect()
    }

    /// The concept that counts for another which the ontology has twice.
    fn standing(&self, concept: ConceptId) -> ConceptId {
        self.ontology.standing_for(concept, &self.roots)
    }

    /// Those that cover a code of the column.
    fn held(&self, mut concepts: Vec<ConceptId>) -> Vec<ConceptId> {
        concepts.retain(|concept| self.holds_some(*concept));
        concepts
    }

    /// Whether the column can hold a concept or one beneath it.
    fn holds_some(&self, concept: ConceptId) -> bool {
        let held = |id| self.roots.iter().any(|root| self.ontology.is_a(id, *root));
        self.ontology.descendants(concept).iter().any(held)
    }

    /// The ontology.
    #[must_use]
    pub fn ontology(&self) -> &Arc<Ontology> {
        &self.ontology
    }

    fn unresolved(&self, reason: &Unresolved) -> Refusal {
        let code = match reason {
            Unresolved::Unknown { .. } | Unresolved::Malformed { .. } => Code::UnknownConcept,
            Unresolved::Ambiguous { .. } => Code::AmbiguousConcept,
        };
        Refusal::new(code, format!("{}: {reason}", self.column))
    }
}

fn not_coded(name: &str) -> Refusal {
    let refusal = Refusal::new(Code::NotCoded, format!("{name} holds no concepts"));
    match name.strip_suffix("_original") {
        Some(coded) => {
            refusal.with_rewrite(format!("use {coded}: it holds the concept of what the source says"))
        }
        None => refusal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary(table: &str, column: &str) -> Vocabulary {
        let models = Models::bundled().unwrap();
        let found = models.table("eucaim", table).unwrap().column(column).unwrap();
        Vocabulary::of(found, column, &models).unwrap()
    }

    #[test]
    fn a_concept_covers_itself_and_what_lies_beneath_it_and_no_code_of_other_columns() {
        let conditions = vocabulary("cancer_condition", "cancer_condition_code");
        let prostate = conditions.resolve("SNOMEDCT:399068003").unwrap();
        let covered = conditions.covered(prostate);
        assert!(covered.contains(&"EUCAIM:CLIN1000075".to_owned()));
        let all = conditions.covered(conditions.roots[0]);
        assert!(all.len() > covered.len() && covered.iter().all(|code| all.contains(code)));
    }

    #[test]
    fn a_term_of_another_column_is_outside_and_an_unknown_one_names_what_comes_near() {
        let modalities = vocabulary("image_series", "series_modality");
        assert_eq!(modalities.resolve("SNOMEDCT:399068003").unwrap_err().code, Code::OutsideVocabulary);
        let refusal = modalities.resolve("magnetic resonance imagin").unwrap_err();
        assert_eq!(refusal.code, Code::UnknownConcept);
        assert!(refusal.reason.contains("Magnetic resonance"), "{}", refusal.reason);
    }

    #[test]
    fn a_reference_is_known_only_where_it_covers_the_same() {
        let modalities = vocabulary("image_series", "series_modality");
        let root = modalities.roots[0];
        let reference = modalities.reference(root);
        assert_eq!(modalities.known(&reference), Ok(root));
        let other = ConceptRef { closure: "0".repeat(CLOSURE_DIGITS), ..reference.clone() };
        assert_eq!(modalities.known(&other).unwrap_err().code, Code::OntologyVersion);
        let unknown = ConceptRef { code: "EUCAIM:NOTHING".to_owned(), ..reference };
        assert_eq!(modalities.known(&unknown).unwrap_err().code, Code::OntologyVersion);
    }

    #[test]
    fn levels_come_with_the_most_specific_first_and_every_code_finds_one() {
        let modalities = vocabulary("image_series", "series_modality");
        for level in [0, 1, 2, usize::MAX] {
            let to = modalities.at_level(level);
            let rolled = modalities.rolled_up(&to);
            assert_eq!(rolled.len(), modalities.stored().len(), "level {level}");
            let root = modalities.ontology.curie(modalities.roots[0]);
            assert!(level > 0 || rolled.iter().all(|(_, target)| *target == root));
        }
    }

    #[test]
    fn rolling_up_to_a_concept_groups_by_its_children() {
        let conditions = vocabulary("cancer_condition", "cancer_condition_code");
        let male = conditions.resolve("EUCAIM:CLIN1000092").unwrap();
        let to = conditions.beneath(male);
        assert_eq!(to.last(), Some(&male));
        let rolled = conditions.rolled_up(&to);
        assert_eq!(rolled.len(), conditions.covered(male).len());
    }
}
