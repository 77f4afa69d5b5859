//! Vocabularies with codes of their own, carried over to the concepts of an ontology.
//!
//! OncoTree or a set of OMOP concepts cannot stand in coded columns: their codes are others. But their cross-codes say
//! what their terms mean, and their hierarchy what those lie beneath. From both follow mappings, as a set like any
//! other, which a curator can read and overrule.

use std::collections::{BTreeMap, BTreeSet};

use crate::concept::{Concept, ConceptId};
use crate::mappings::{Lookup, Mappings, Unmapped};
use crate::ontology::Ontology;
use crate::sssom::{Mapping, MappingSet, Predicate};

/// How far up the vocabulary's hierarchy a broader term is looked for.
const MAX_LEVELS: usize = 12;

impl MappingSet {
    /// A mapping for every term of `vocabulary` whose meaning follows from its cross-codes: the same where they lead to
    /// one concept, broader where those of the nearest terms above it do. A term that could mean two concepts gets none,
    /// and so does one that `mappings` decide on already.
    #[must_use]
    pub fn carried(vocabulary: &Ontology, mappings: &Mappings) -> Self {
        let carrier = Carrier { vocabulary, mappings };
        let prefix = vocabulary.prefix();
        let mut set = Self {
            id: format!("urn:caim:carried:{}", prefix.to_lowercase()),
            version: vocabulary.version().to_owned(),
            prefixes: BTreeMap::new(),
            ..Self::default()
        };
        for (id, concept) in vocabulary.iter() {
            let known = mappings.concept(prefix, &concept.code, &[]);
            if known != Lookup::Unmapped(Unmapped::Unknown) {
                continue;
            }
            if let Some((object, predicate)) = carrier.meaning(id) {
                set.mappings.push(carrier.mapping(concept, object, predicate));
            }
        }
        set
    }
}

struct Carrier<'a> {
    vocabulary: &'a Ontology,
    mappings: &'a Mappings,
}

impl Carrier<'_> {
    /// The concept that a term means, or the nearest broader one.
    fn meaning(&self, term: ConceptId) -> Option<(ConceptId, Predicate)> {
        let mut level = BTreeSet::from([term]);
        for height in 0..MAX_LEVELS {
            let found: BTreeSet<(ConceptId, Predicate)> = level.iter().flat_map(|t| self.borne(*t)).collect();
            let concepts: BTreeSet<ConceptId> = found.iter().map(|(concept, _)| *concept).collect();
            match concepts.len() {
                0 => {}
                1 if height == 0 => return found.first().copied(),
                1 => return concepts.first().map(|concept| (*concept, Predicate::Broad)),
                _ => return None,
            }
            let above = |t: &ConceptId| self.vocabulary.concept(*t).map(|c| c.parents.to_vec());
            level = level.iter().filter_map(above).flatten().collect();
        }
        None
    }

    /// The concepts that the cross-codes of a term lead to.
    fn borne(&self, term: ConceptId) -> Vec<(ConceptId, Predicate)> {
        let codes = self.vocabulary.concept(term).map(|c| c.cross_codes.iter()).into_iter().flatten();
        let look_up =
            |code: &crate::CrossCode| match self.mappings.concept(code.system.name(), &code.code, &[]) {
                Lookup::Mapped(mapped) => Some((mapped.concept, mapped.predicate)),
                Lookup::Unmapped(_) => None,
            };
        codes.filter_map(look_up).collect()
    }

    fn mapping(&self, term: &Concept, object: ConceptId, predicate: Predicate) -> Mapping {
        let ontology = self.mappings.ontology();
        Mapping {
            line: 0,
            source: self.vocabulary.prefix().to_owned(),
            value: term.code.to_string(),
            label: term.label.to_string(),
            predicate,
            negated: false,
            object: Some(ontology.curie(object)),
            object_label: ontology.label(object).to_owned(),
            justification: "semapv:MappingChaining".to_owned(),
            confidence: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CrossCode;
    use crate::{OntologySource, SourceConcept};

    #[test]
    fn terms_mean_what_their_cross_codes_or_those_above_them_mean() {
        let term = |code: &str, parent: &str, cross: &[&str]| SourceConcept {
            code: code.into(),
            parents: Some(parent.to_owned()).filter(|p| !p.is_empty()).into_iter().collect(),
            cross_codes: cross.iter().filter_map(|c| CrossCode::parse(c)).collect(),
            ..SourceConcept::default()
        };
        let source = OntologySource {
            prefix: "SITE".into(),
            concepts: vec![
                term("top", "", &[]),
                term("prostate", "top", &["NCIT:C12410", "SNOMEDCT:41216001"]),
                term("zone", "prostate", &["NCIT:C0"]),
                term("torn", "top", &["NCIT:C12410", "NCIT:C12439"]),
            ],
            ..OntologySource::default()
        };
        let set = MappingSet::carried(&Ontology::build(source).unwrap(), &Mappings::bundled());
        let got: Vec<(&str, Predicate, &str)> = set
            .mappings
            .iter()
            .map(|m| (m.value.as_str(), m.predicate, m.object.as_deref().unwrap_or_default()))
            .collect();
        let prostate = "EUCAIM:BP1000021";
        assert_eq!(got, [("prostate", Predicate::Exact, prostate), ("zone", Predicate::Broad, prostate)]);
    }
}
