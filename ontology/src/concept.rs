//! One concept of the hyperontology, as a reader of the ontology sees it.

use std::fmt;

use crate::code::CrossCode;

/// The number of a concept inside one [`Ontology`](crate::Ontology). It is not a code: it changes with every
/// build.
///
/// Numbers follow the hierarchy (a concept comes right before what lies beneath it), so the descendants of a
/// concept are few ranges of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConceptId(u32);

impl ConceptId {
    pub(crate) fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number itself.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// A concept: one meaning, with its place in the hierarchy and its codes in other vocabularies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concept {
    /// Its own code, such as `CLIN1000075`.
    pub code: Box<str>,
    /// What people call it. Empty only if the source has no label.
    pub label: Box<str>,
    /// Other names, in the order of the source.
    pub synonyms: Box<[Box<str>]>,
    /// What it means, in a sentence, where the source says it.
    pub definition: Option<Box<str>>,
    /// The concepts right above it (is-a); several in a polyhierarchy, none for a root.
    pub parents: Box<[ConceptId]>,
    /// Codes of other vocabularies that mean the same.
    pub cross_codes: Box<[CrossCode]>,
    /// The OMOP domain the source files it under (`Condition`, `Spec Anatomic Site`), if any.
    pub domain: Option<Box<str>>,
    /// Whether the source marks it as a term to search data by.
    pub searchable: bool,
    /// Whether the source has retired it. It stays resolvable: old data bear it.
    pub obsolete: bool,
}

impl fmt::Display for Concept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.label)
    }
}
