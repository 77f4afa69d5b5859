//! Concepts of one ontology that mean the same: which of them stands for the others, and where.
//!
//! A published ontology says some things twice. Without this, a code of both would be refused as ambiguous, and
//! records coded with one would be missed by a question about the other. Pairs are data
//! (`vocabulary/equivalents.tsv`), decided one by one: nothing is concluded from a shared code alone.

use std::collections::HashMap;

use crate::concept::ConceptId;

/// The pairs of the bundled core.
const BUNDLED: &str = include_str!("../vocabulary/equivalents.tsv");

/// Two concepts that mean the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Equivalence {
    /// The own code of the one that stands for both.
    pub canonical: String,
    /// The own code of the other.
    pub other: String,
    /// How much they are one.
    pub sameness: Sameness,
}

/// How much two concepts are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sameness {
    /// One concept that is there twice: the other counts as the canonical one everywhere, with what lies beneath it.
    Same,
    /// One thing seen from two sides, as a procedure and its modality: both stay, and each stands for the other where
    /// only it fits.
    Aspect,
}

impl Equivalence {
    /// The pairs of the bundled core.
    pub(crate) fn bundled() -> Vec<Self> {
        let rows = BUNDLED.lines().filter(|row| !row.starts_with('#')).skip(1);
        rows.filter_map(Self::read).collect()
    }

    fn read(row: &str) -> Option<Self> {
        let mut fields = row.split('\t').map(str::to_owned);
        let (canonical, other) = (fields.next()?, fields.next()?);
        let sameness = match fields.next()?.as_str() {
            "same" => Sameness::Same,
            "aspect" => Sameness::Aspect,
            _ => return None,
        };
        Some(Self { canonical, other, sameness })
    }
}

/// The pairs of an ontology, by concept.
#[derive(Debug, Default)]
pub(crate) struct Equivalents {
    /// Canonical first.
    groups: Vec<Vec<ConceptId>>,
    group_of: HashMap<ConceptId, usize>,
    canonical: HashMap<ConceptId, ConceptId>,
}

impl Equivalents {
    /// Adds a pair; groups that share a concept become one.
    pub(crate) fn add(&mut self, canonical: ConceptId, other: ConceptId, sameness: Sameness) {
        if sameness == Sameness::Same {
            self.canonical.insert(other, canonical);
        }
        let group = *self.group_of.entry(canonical).or_insert_with(|| {
            self.groups.push(vec![canonical]);
            self.groups.len() - 1
        });
        if self.group_of.get(&other) == Some(&group) {
            return;
        }
        let joining = match self.group_of.get(&other) {
            Some(former) => std::mem::take(&mut self.groups[*former]),
            None => vec![other],
        };
        for concept in joining {
            self.group_of.insert(concept, group);
            self.groups[group].push(concept);
        }
    }

    /// The concept that this one is once more; itself if it is none.
    pub(crate) fn canonical(&self, concept: ConceptId) -> ConceptId {
        self.canonical.get(&concept).copied().unwrap_or(concept)
    }

    /// All that mean the same as a concept, with itself, canonical first; nothing if it is alone.
    pub(crate) fn group(&self, concept: ConceptId) -> &[ConceptId] {
        self.group_of.get(&concept).map_or(&[], |group| &self.groups[*group])
    }

    /// Leaves one of each group, the most canonical that is there.
    pub(crate) fn reduce(&self, concepts: &mut Vec<ConceptId>) {
        let all = concepts.clone();
        concepts.retain(|concept| {
            let group = self.group(*concept);
            let mut before = group.iter().take_while(|member| *member != concept);
            !before.any(|better| all.contains(better))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ontology, Unresolved};

    #[test]
    fn every_pair_of_the_bundled_file_is_read_and_both_are_concepts() {
        let ontology = Ontology::bundled();
        let pairs = Equivalence::bundled();
        let rows = BUNDLED.lines().filter(|row| !row.starts_with('#')).count() - 1;
        assert_eq!(pairs.len(), rows);
        for pair in pairs {
            let canonical = ontology.find(&pair.canonical).expect(&pair.canonical);
            let other = ontology.find(&pair.other).expect(&pair.other);
            assert_eq!(ontology.equivalents(other).first(), Some(&canonical), "{pair:?}");
            if pair.sameness == Sameness::Same {
                assert!(ontology.is_a(other, canonical), "{pair:?}");
                assert!(
                    ontology.ancestors(other).into_iter().all(|above| ontology.is_a(canonical, above)
                        || above == other
                        || ontology.is_a(above, canonical)),
                    "{pair:?}"
                );
            }
        }
    }

    #[test]
    fn a_concept_that_is_there_twice_counts_as_one() {
        let ontology = Ontology::bundled();
        let curie = |code: &str| ontology.resolve(code, &[]).map(|c| ontology.curie(c)).unwrap();
        for code in ["SNOMEDCT:32713005", "ICDO3:C18.0", "RADLEX:RID154", "CLIN1063731", "CLIN1063321"] {
            assert_eq!(curie(code), "EUCAIM:CLIN1063321", "{code}");
        }
        let (breast, nipple) = (ontology.resolve("ICDO3:C50", &[]).unwrap(), "ICDO3:C50.0");
        assert!(ontology.is_a(ontology.resolve(nipple, &[]).unwrap(), breast));
    }

    #[test]
    fn of_two_sides_of_a_thing_the_one_that_fits_the_column_is_meant() {
        let ontology = Ontology::bundled();
        let root = |code: &str| [ontology.find(code).unwrap()];
        let curie =
            |code: &str, under: &[ConceptId]| ontology.resolve(code, under).map(|c| ontology.curie(c));
        let (sex, gender, modality) = (root("COM1001396"), root("COM1000175"), root("IMG1000009"));
        assert_eq!(curie("COM1000176", &sex).as_deref(), Ok("EUCAIM:COM1001366"));
        assert_eq!(curie("COM1001366", &gender).as_deref(), Ok("EUCAIM:COM1000176"));
        assert_eq!(curie("SNOMEDCT:113091000", &modality).as_deref(), Ok("EUCAIM:IMG1000038"));
        assert_eq!(curie("RID10312", &[]).as_deref(), Ok("EUCAIM:IMG1000038"));
        assert_eq!(curie("COM1000176", &[]).as_deref(), Ok("EUCAIM:COM1000176"));
    }

    #[test]
    fn codes_that_slipped_onto_two_meanings_stay_ambiguous() {
        let ontology = Ontology::bundled();
        for code in ["SNOMEDCT:1229897000", "UMLS:C5702849", "NAACCR:950_c2"] {
            assert!(matches!(ontology.resolve(code, &[]), Err(Unresolved::Ambiguous { .. })), "{code}");
        }
    }
}
