//! An ontology as files give it: codes, texts and edges, not yet checked. Every loader ends here, and
//! [`Ontology::build`](crate::Ontology::build) and [`lint`](crate::lint) begin here.

use std::collections::HashSet;

use crate::code::CrossCode;
use crate::equivalence::Equivalence;
use crate::ontology::Ontology;

/// The concepts of one ontology, as read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OntologySource {
    /// The prefix of its own codes in CURIEs: `EUCAIM`.
    pub prefix: String,
    /// Other beginnings of its own codes: namespace URIs with their `#`, or names such as
    /// `EUCAIM_Hyper-Ontology_V` (one that ends in `_V` is followed by a version number and a dot).
    pub namespaces: Vec<String>,
    /// What the publisher calls this state of the ontology: `2.0`.
    pub version: String,
    /// Who made it, under which licence, where it is.
    pub attribution: String,
    /// The concepts, in the order of the file.
    pub concepts: Vec<SourceConcept>,
    /// Which of them mean the same; pairs with a code that is not there have no effect.
    pub equivalences: Vec<Equivalence>,
}

/// A concept as read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceConcept {
    /// Its own code, without prefix.
    pub code: String,
    /// Its preferred label.
    pub label: String,
    /// The own codes of its parents.
    pub parents: Vec<String>,
    /// Codes of other vocabularies.
    pub cross_codes: Vec<CrossCode>,
    /// Other names.
    pub synonyms: Vec<String>,
    /// Further preferred labels in the language of `label`: a fault of the file, which
    /// [`lint`](crate::lint()) reports.
    pub rival_labels: Vec<String>,
    /// What it means, in a sentence.
    pub definition: Option<String>,
    /// OMOP domain.
    pub domain: Option<String>,
    /// Whether it is a term to search data by.
    pub searchable: bool,
    /// Whether it has been retired.
    pub obsolete: bool,
}

impl OntologySource {
    /// A source with EUCAIM's prefix and the spellings in which EUCAIM writes its codes.
    #[must_use]
    pub fn eucaim() -> Self {
        let namespaces = [
            "https://cancerimage.eu/ontology/EUCAIM#",
            "https://hyperontology.eucaim.cancerimage.eu/#",
            "https://hyperontology.eucaim.cancerimage.eu#",
            "EUCAIM_Hyper-Ontology_V",
        ];
        Self { prefix: "EUCAIM".into(), namespaces: namespaces.map(String::from).into(), ..Self::default() }
    }

    /// Adds the pairs of concepts that are known to mean the same, if this is EUCAIM's ontology.
    #[must_use]
    pub fn with_known_equivalences(mut self) -> Self {
        if self.prefix == "EUCAIM" {
            self.equivalences.extend(Equivalence::bundled());
        }
        self
    }

    /// Adds what the file leaves to a code list: a parent that is missing here and that `list`, an ontology
    /// with the same prefix, knows. It comes with code, label and domain, and is a root.
    #[must_use]
    pub fn with_listed_parents(mut self, list: &Ontology) -> Self {
        if list.prefix() != self.prefix {
            return self;
        }
        let mut known: HashSet<String> = self.concepts.iter().map(|c| c.code.to_ascii_uppercase()).collect();
        let parents: Vec<String> = self.concepts.iter().flat_map(|c| c.parents.iter().cloned()).collect();
        for parent in parents.iter().filter(|parent| known.insert(parent.to_ascii_uppercase())) {
            if let Some(listed) = list.find(parent).and_then(|id| list.concept(id)) {
                self.concepts.push(SourceConcept {
                    code: listed.code.to_string(),
                    label: listed.label.to_string(),
                    domain: listed.domain.as_deref().map(str::to_owned),
                    ..SourceConcept::default()
                });
            }
        }
        self
    }

    /// The core of EUCAIM's hyperontology that is compiled into this crate, with the pairs that mean the same.
    #[must_use]
    pub fn bundled() -> Self {
        // The tests build the file that is compiled in. An empty ontology would refuse every term: never a wider answer.
        let read = Self::parse(include_str!("../vocabulary/hyperontology.tsv")).unwrap_or_default();
        read.with_known_equivalences()
    }

    /// Whether the text is a code of this ontology with its prefix or namespace: then, the code alone.
    #[must_use]
    pub fn own_code<'a>(&self, text: &'a str) -> Option<&'a str> {
        own_code(&self.prefix, &self.namespaces, text)
    }
}

/// Takes the prefix or namespace off an own code. `http` and `https` are the same here.
pub(crate) fn own_code<'a>(prefix: &str, namespaces: &[String], text: &'a str) -> Option<&'a str> {
    let text = text.trim();
    let strip = crate::code::strip_prefix_any_case;
    if let Some(code) = strip(text, prefix).and_then(|rest| rest.trim_start().strip_prefix(':')) {
        return Some(code.trim());
    }
    let schemeless = |t: &'a str| strip(t, "https://").or_else(|| strip(t, "http://"));
    namespaces.iter().find_map(|namespace| match namespace.split_once("://") {
        Some((_, base)) => strip(schemeless(text)?, base),
        None => strip(text, namespace).map(|code| after_version(namespace, code)),
    })
}

/// Skips `1.0.` of `EUCAIM_Hyper-Ontology_V1.0.CLIN1045815`.
fn after_version<'a>(namespace: &str, code: &'a str) -> &'a str {
    if namespace.ends_with("_V") {
        code.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.')
    } else {
        code
    }
}
