//! Search by label and synonym, for people who do not know the code.

use std::collections::HashSet;

use crate::code::{CodeSystem, CrossCode};
use crate::concept::{Concept, ConceptId};
use crate::ontology::Ontology;
use crate::resolve::MAX_TEXT;
use crate::text::fold;

/// Most results of one search.
const MAX_HITS: usize = 500;
/// Ontologies above this size are not compared letter by letter: suggestions are a courtesy, not worth a
/// second.
const MAX_COMPARED: usize = 200_000;

/// A concept that a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The concept.
    pub concept: ConceptId,
    /// How its text fits; the smaller the better.
    pub fit: Fit,
    /// The label or synonym that fits, as folded for comparison.
    pub term: String,
}

/// How a text fits what was searched. The order is the ranking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// The search is a code of the concept.
    Code,
    /// The text is the search.
    Whole,
    /// The text begins with the search.
    Start,
    /// Every searched word begins a word of the text.
    Words,
    /// Every searched word occurs in the text.
    Parts,
}

/// Labels and synonyms of all concepts, folded.
#[derive(Debug)]
pub(crate) struct TermIndex {
    text: String,
    terms: Vec<Term>,
    icd10_ranges: Vec<CrossCode>,
}

#[derive(Debug)]
struct Term {
    concept: ConceptId,
    start: u32,
    end: u32,
    synonym: bool,
}

impl TermIndex {
    pub(crate) fn new(concepts: &[Concept]) -> Self {
        let mut index = Self { text: String::new(), terms: Vec::new(), icd10_ranges: Vec::new() };
        for (number, concept) in concepts.iter().enumerate() {
            let id = ConceptId::new(number as u32);
            index.add(id, &concept.label, false);
            concept.synonyms.iter().for_each(|synonym| index.add(id, synonym, true));
            let codes = concept.cross_codes.iter();
            let ranges = codes.filter(|c| c.system == CodeSystem::ICD10 && c.code.contains('-'));
            index.icd10_ranges.extend(ranges.cloned());
        }
        index
    }

    fn add(&mut self, concept: ConceptId, term: &str, synonym: bool) {
        let start = self.text.len() as u32;
        self.text.push_str(&fold(term));
        let end = self.text.len() as u32;
        if end > start {
            self.terms.push(Term { concept, start, end, synonym });
        }
    }

    fn text(&self, term: &Term) -> &str {
        &self.text[term.start as usize..term.end as usize]
    }
}

impl Ontology {
    /// Concepts whose label, synonym or code fits a text, best first; case and accents do not matter.
    ///
    /// Only concepts beneath the roots `under` are found (no roots: all). At most `limit`, and never more
    /// than 500.
    #[must_use]
    pub fn search(&self, text: &str, under: &[ConceptId], limit: usize) -> Vec<Hit> {
        if text.len() > MAX_TEXT {
            return Vec::new();
        }
        let wanted = fold(text);
        let inside = |c: ConceptId| under.is_empty() || under.iter().any(|root| self.is_a(c, *root));
        let mut hits: Vec<(bool, Hit)> = self.by_code(text).into_iter().map(|hit| (false, hit)).collect();
        if !wanted.is_empty() {
            hits.extend(self.by_term(&wanted));
        }
        hits.retain(|(_, hit)| inside(hit.concept));
        hits.sort_by(|(a_synonym, a), (b_synonym, b)| {
            let key = |synonym: &bool, hit: &Hit| (hit.fit, *synonym, hit.term.len());
            key(a_synonym, a)
                .cmp(&key(b_synonym, b))
                .then_with(|| self.code(a.concept).cmp(self.code(b.concept)))
        });
        let mut seen = HashSet::new();
        hits.retain(|(_, hit)| seen.insert(hit.concept));
        hits.into_iter().take(limit.min(MAX_HITS)).map(|(_, hit)| hit).collect()
    }

    fn by_code(&self, text: &str) -> Vec<Hit> {
        let own = self.find(text).into_iter();
        let cross = CrossCode::parse(text).map(|code| self.bearers(&code)).unwrap_or_default();
        let hit = |concept| Hit { concept, fit: Fit::Code, term: fold(self.label(concept)) };
        own.chain(cross.iter().copied()).map(hit).collect()
    }

    fn by_term<'a>(&'a self, wanted: &'a str) -> impl Iterator<Item = (bool, Hit)> + 'a {
        let index = self.terms();
        let words: Vec<&str> = wanted.split(' ').collect();
        index.terms.iter().filter_map(move |term| {
            let text = index.text(term);
            let fit = fit(text, wanted, &words)?;
            Some((term.synonym, Hit { concept: term.concept, fit, term: text.to_owned() }))
        })
    }

    /// What comes closest to a term nobody knows: by all its words, by letters of labels and codes, by single
    /// words.
    pub(crate) fn nearest(&self, text: &str, limit: usize) -> Vec<ConceptId> {
        let found = |text: &str| self.search(text, &[], limit).into_iter().map(|hit| hit.concept);
        let mut near: Vec<ConceptId> = found(text).collect();
        if near.len() < limit && self.len() <= MAX_COMPARED {
            near.extend(self.alike(text));
        }
        if near.len() < limit {
            near.extend(text.split_whitespace().filter(|word| word.len() > 2).take(8).flat_map(found));
        }
        let mut seen = HashSet::new();
        near.retain(|concept| seen.insert(*concept));
        near.truncate(limit);
        near
    }

    /// Concepts whose own code, cross-code or text differs from a term by few letters, closest first.
    fn alike(&self, text: &str) -> Vec<ConceptId> {
        let code = crate::source::own_code(&self.prefix, &self.namespaces, text).unwrap_or(text);
        let code = code.to_ascii_uppercase();
        let cross = CrossCode::parse(text).map(|c| c.to_string());
        let folded = fold(text);
        let index = self.terms();
        let mut scored: Vec<(f64, ConceptId)> = Vec::new();
        for (id, concept) in self.iter() {
            let own = strsim::jaro_winkler(&code, &concept.code);
            let other = concept.cross_codes.iter().map(|c| cross.as_ref().map_or(0.0, |w| near_code(w, c)));
            scored.push((other.fold(own, f64::max), id));
        }
        let terms = index.terms.iter().map(|t| (strsim::jaro_winkler(&folded, index.text(t)), t.concept));
        scored.extend(terms);
        scored.retain(|(score, _)| *score > 0.88);
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut seen = HashSet::new();
        scored.into_iter().filter(|(_, id)| seen.insert(*id)).map(|(_, id)| id).take(16).collect()
    }

    pub(crate) fn icd10_ranges(&self) -> &[CrossCode] {
        &self.terms().icd10_ranges
    }
}

/// Likeness of two cross-codes of one system, 0 for others.
fn near_code(wanted: &str, code: &CrossCode) -> f64 {
    match wanted.split_once(':') {
        Some((system, wanted)) if system == code.system.name() => strsim::jaro_winkler(wanted, &code.code),
        Some(_) | None => 0.0,
    }
}

fn fit(text: &str, wanted: &str, words: &[&str]) -> Option<Fit> {
    if !words.iter().all(|word| text.contains(word)) {
        return None;
    }
    if text == wanted {
        return Some(Fit::Whole);
    }
    if text.starts_with(wanted) {
        return Some(Fit::Start);
    }
    let begins = |word: &&str| text.split(|c: char| !c.is_alphanumeric()).any(|w| w.starts_with(*word));
    Some(if words.iter().all(begins) { Fit::Words } else { Fit::Parts })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str, under: &[ConceptId], limit: usize) -> Vec<String> {
        let ontology = Ontology::bundled();
        ontology.search(text, under, limit).iter().map(|h| ontology.curie(h.concept)).collect()
    }

    #[test]
    fn whole_labels_come_before_beginnings_and_parts() {
        assert_eq!(labels("PROSTATE", &[], 3)[0], "EUCAIM:BP1000021");
        assert_eq!(labels("prostata", &[], 3)[0], "EUCAIM:BP1000021");
        assert_eq!(labels("schadel", &[], 3)[0], "EUCAIM:BP1000135");
        assert_eq!(labels("prostate Malignant neoplasm", &[], 1), ["EUCAIM:CLIN1000075"]);
    }

    #[test]
    fn codes_are_found_too_and_roots_confine() {
        let ontology = Ontology::bundled();
        assert_eq!(labels("SNOMEDCT:399068003", &[], 5), ["EUCAIM:CLIN1000075"]);
        let modality = ontology.find("IMG1000009").unwrap();
        assert_eq!(labels("magnetic resonance imaging", &[modality], 1), ["EUCAIM:IMG1000038"]);
        assert!(labels("prostate", &[modality], 5).is_empty());
    }

    #[test]
    fn results_are_bounded() {
        assert_eq!(labels("a", &[], 7).len(), 7);
        assert_eq!(labels("a", &[], usize::MAX).len(), MAX_HITS);
        assert!(labels(&"a".repeat(MAX_TEXT + 1), &[], 7).is_empty());
        assert!(labels(" ", &[], 7).is_empty());
    }
}
