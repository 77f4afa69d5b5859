//! From what an analyst writes to the concept meant. Never a guess: a term that could mean two things, or
//! nothing, is an error that names what it could have been.

use std::fmt;

use crate::code::{CodeSystem, CrossCode};
use crate::concept::ConceptId;
use crate::ontology::Ontology;
use crate::text::shorten;

/// Longest text that may be resolved or searched, in bytes.
pub(crate) const MAX_TEXT: usize = 512;
/// How many candidates or suggestions an error names.
const NAMED: usize = 8;

/// A term that is no concept, or more than one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unresolved {
    /// No concept has this code.
    #[error("no concept is known as '{text}'{}", suggest(.nearest))]
    Unknown {
        /// The term, shortened.
        text: String,
        /// What comes closest by code, label or synonym; at most eight.
        nearest: Vec<Suggestion>,
    },
    /// Several concepts bear this code, and the place it stands in does not tell which is meant.
    #[error("'{text}' is borne by several concepts: {}; name one of them", list(.candidates))]
    Ambiguous {
        /// The term, shortened.
        text: String,
        /// The concepts; at most eight.
        candidates: Vec<Suggestion>,
    },
    /// Empty, or too long to be a code.
    #[error("'{text}' is no code: a code has 1 to {MAX_TEXT} bytes")]
    Malformed {
        /// The term, shortened.
        text: String,
    },
}

/// A concept to name in a message: `EUCAIM:BP1000021 (Prostate)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// The concept.
    pub concept: ConceptId,
    /// Its code with prefix.
    pub curie: String,
    /// Its label.
    pub label: String,
}

/// How an ICD-10 code led to its concept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Icd10Match {
    /// The concept.
    pub concept: ConceptId,
    /// Whether the concept bears the code itself or a category above it.
    pub relation: Icd10Relation,
    /// The code the concept bears: `ICD10:C61`, `ICD10:C15-C26.9`.
    pub matched: CrossCode,
}

/// The relation of a concept to the ICD-10 code that was looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Icd10Relation {
    /// The concept bears the code.
    Exact,
    /// The concept bears a category or range that contains the code.
    Broader,
}

impl fmt::Display for Suggestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.curie, self.label)
    }
}

fn list(of: &[Suggestion]) -> String {
    of.iter().map(Suggestion::to_string).collect::<Vec<_>>().join(", ")
}

fn suggest(nearest: &[Suggestion]) -> String {
    if nearest.is_empty() { String::new() } else { format!("; nearest: {}", list(nearest)) }
}

impl Ontology {
    /// The concept that a code means: an own code in any spelling, or a code of another vocabulary
    /// (`SNOMEDCT:399068003`, `http://snomed.info/sct|399068003`, `RID10312`).
    ///
    /// Where several concepts bear a code, those beneath the roots `under` count; no roots means anywhere. Of concepts
    /// that mean the same one is taken: [`Ontology::standing_for`].
    ///
    /// # Errors
    /// Unknown terms with what comes nearest, ambiguous ones with the candidates.
    pub fn resolve(&self, text: &str, under: &[ConceptId]) -> Result<ConceptId, Unresolved> {
        let text = checked(text)?;
        if let Some(concept) = self.find(text) {
            return Ok(self.standing_for(concept, under));
        }
        let bearers = CrossCode::parse(text).map(|code| self.bearers(&code)).unwrap_or_default();
        match self.one_of(text, bearers, under)? {
            Some(concept) => Ok(concept),
            None => Err(self.unknown(text)),
        }
    }

    /// The concept of an ICD-10 code, or of the closest category above it that a concept bears: `C61.9` leads
    /// to `C61`, and at last to a range such as `C15-C26.9`. With or without a prefix (`ICD-10:C61.9`).
    ///
    /// # Errors
    /// As [`Ontology::resolve`].
    pub fn resolve_icd10(&self, text: &str, under: &[ConceptId]) -> Result<Icd10Match, Unresolved> {
        let text = checked(text)?;
        let wanted = match CrossCode::parse(text) {
            Some(code) if code.system == CodeSystem::ICD10 => code,
            Some(_) => return Err(self.unknown(text)),
            None => CrossCode::new(CodeSystem::ICD10, text),
        };
        for code in categories(&wanted.code) {
            let relation = if *code == *wanted.code { Icd10Relation::Exact } else { Icd10Relation::Broader };
            let matched = CrossCode::new(CodeSystem::ICD10, code);
            if let Some(concept) = self.one_of(text, self.bearers(&matched), under)? {
                return Ok(Icd10Match { concept, relation, matched });
            }
        }
        let Some(matched) = self.narrowest_range(&wanted.code) else { return Err(self.unknown(text)) };
        match self.one_of(text, self.bearers(matched), under)? {
            Some(concept) => {
                Ok(Icd10Match { concept, relation: Icd10Relation::Broader, matched: matched.clone() })
            }
            None => Err(self.unknown(text)),
        }
    }

    /// A concept as messages name it.
    #[must_use]
    pub fn suggestion(&self, concept: ConceptId) -> Suggestion {
        Suggestion { concept, curie: self.curie(concept), label: self.label(concept).to_owned() }
    }

    /// The one bearer that counts; `None` if there is no bearer at all.
    fn one_of(
        &self,
        text: &str,
        bearers: &[ConceptId],
        under: &[ConceptId],
    ) -> Result<Option<ConceptId>, Unresolved> {
        if let [] | [_] = bearers {
            return Ok(bearers.first().map(|one| self.standing_for(*one, under)));
        }
        let mut left = bearers.to_vec();
        self.keep_if_any(&mut left, |c| under.iter().any(|root| self.is_a(c, *root)));
        self.keep_if_any(&mut left, |c| self.concept(c).is_some_and(|c| !c.obsolete));
        self.equivalents.reduce(&mut left);
        match left.as_slice() {
            [one] => Ok(Some(self.standing_for(*one, under))),
            several => Err(Unresolved::Ambiguous {
                text: shorten(text, 80),
                candidates: several.iter().take(NAMED).map(|c| self.suggestion(*c)).collect(),
            }),
        }
    }

    fn keep_if_any(&self, concepts: &mut Vec<ConceptId>, keep: impl Fn(ConceptId) -> bool) {
        if concepts.iter().any(|c| keep(*c)) {
            concepts.retain(|c| keep(*c));
        }
    }

    fn narrowest_range(&self, code: &str) -> Option<&CrossCode> {
        let width = |range: &CrossCode| range_width(&range.code, code);
        self.icd10_ranges().iter().filter_map(|r| Some((width(r)?, r))).min().map(|(_, range)| range)
    }

    fn unknown(&self, text: &str) -> Unresolved {
        let nearest = self.nearest(text, NAMED);
        Unresolved::Unknown {
            text: shorten(text, 80),
            nearest: nearest.into_iter().map(|c| self.suggestion(c)).collect(),
        }
    }
}

fn checked(text: &str) -> Result<&str, Unresolved> {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_TEXT {
        return Err(Unresolved::Malformed { text: shorten(text, 80) });
    }
    Ok(text)
}

/// The code and the categories above it, longest first: `C50.01`, `C50.0`, `C50`.
fn categories(code: &str) -> impl Iterator<Item = &str> {
    let shortest = if code.is_ascii() && !code.contains('-') { 3.min(code.len()) } else { code.len() };
    (shortest..=code.len()).rev().filter_map(|end| code.get(..end)).filter(|c| !c.ends_with('.'))
}

/// How many three-character categories a range such as `C15-C26.9` spans, if it contains the code.
fn range_width(range: &str, code: &str) -> Option<u32> {
    let (first, last) = range.split_once('-')?;
    let within = first <= code && (code <= last || code.starts_with(last));
    let category = |code: &str| {
        let letter = u32::from(*code.as_bytes().first()?);
        Some(letter * 100 + code.get(1..3)?.parse::<u32>().ok()?)
    };
    let width = category(last)?.checked_sub(category(first)?)?;
    within.then_some(width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn categories_lose_one_character_at_a_time() {
        assert_eq!(categories("C50.01").collect::<Vec<_>>(), ["C50.01", "C50.0", "C50"]);
        assert_eq!(categories("C61").collect::<Vec<_>>(), ["C61"]);
        assert_eq!(categories("C1").collect::<Vec<_>>(), ["C1"]);
        assert_eq!(categories("Cé1.9").collect::<Vec<_>>(), ["Cé1.9"]);
        assert_eq!(categories("C15-C26.9").collect::<Vec<_>>(), ["C15-C26.9"]);
    }

    #[test]
    fn a_range_contains_what_lies_between_its_ends() {
        assert_eq!(range_width("C15-C26.9", "C17.1"), Some(11));
        assert_eq!(range_width("C15-C26.9", "C26.9"), Some(11));
        assert_eq!(range_width("C51-C58", "C58.9"), Some(7));
        assert_eq!(range_width("C51-C58", "C59"), None);
        assert_eq!(range_width("C51-C58", "C50.9"), None);
        assert_eq!(range_width("C61", "C61"), None);
    }
}
