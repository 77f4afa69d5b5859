//! The hyperontology: an immutable set of concepts that is built once and shared.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock, OnceLock};

use sha2::{Digest, Sha256};

use crate::code::CrossCode;
use crate::concept::{Concept, ConceptId};
use crate::equivalence::{Equivalence, Equivalents, Sameness};
use crate::hierarchy::{ConceptSet, Hierarchy, HierarchyFault};
use crate::search::TermIndex;
use crate::source::{OntologySource, SourceConcept};
use crate::text::shorten;

/// How many concepts an ontology may have: all of SNOMED CT fits several times.
const MAX_CONCEPTS: usize = 4_000_000;

/// Concepts with their is-a hierarchy, codes in other vocabularies and texts. Immutable; share it by `Arc`.
#[derive(Debug)]
pub struct Ontology {
    pub(crate) prefix: String,
    pub(crate) namespaces: Vec<String>,
    version: String,
    attribution: String,
    pub(crate) concepts: Vec<Concept>,
    hierarchy: Hierarchy,
    by_code: HashMap<Box<str>, ConceptId>,
    by_cross_code: HashMap<CrossCode, Bearers>,
    pub(crate) equivalents: Equivalents,
    terms: OnceLock<TermIndex>,
    hashes: Vec<OnceLock<ClosureHash>>,
}

/// The concepts that bear one cross-code: nearly always one, which then needs no memory of its own.
#[derive(Debug)]
enum Bearers {
    One([ConceptId; 1]),
    Several(Vec<ConceptId>),
}

/// The meaning of "a concept and everything beneath it": SHA-256 over the sorted codes, each with a line
/// feed.
///
/// Two ontologies that agree on the hash of a concept answer `is_a` of it alike.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClosureHash(pub [u8; 32]);

/// A source that is no ontology. [`lint`](crate::lint) lists all its faults; building stops at the first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// A concept without a code.
    #[error("concept number {place} (label \"{label}\") has no code")]
    NoCode {
        /// Its place in the source, from 1.
        place: usize,
        /// Its label.
        label: String,
    },
    /// Two concepts with one code; case does not tell codes apart.
    #[error("the code {0} is defined twice")]
    DuplicateCode(String),
    /// A parent that is not in the source.
    #[error("{child} is beneath {parent}, which does not exist")]
    DanglingParent {
        /// The concept.
        child: String,
        /// The parent it names.
        parent: String,
    },
    /// Concepts that lie above themselves.
    #[error("is-a runs in a circle: {}", .0.join(" -> "))]
    Cycle(Vec<String>),
    /// More than this crate holds.
    #[error("the ontology is too large: at most {MAX_CONCEPTS} concepts and a closure of 64 million ranges")]
    TooLarge,
}

static BUNDLED: LazyLock<Arc<Ontology>> = LazyLock::new(|| {
    Arc::new(Ontology::build(OntologySource::bundled()).unwrap_or_else(|_| Ontology::empty()))
});

impl Ontology {
    /// The core of EUCAIM's hyperontology that is compiled into this crate; built at the first call.
    #[must_use]
    pub fn bundled() -> Arc<Self> {
        Arc::clone(&BUNDLED)
    }

    /// Builds an ontology from its source.
    ///
    /// # Errors
    /// Names the first concept that does not fit: no code, a code twice, a parent that does not exist, a
    /// circle.
    pub fn build(source: OntologySource) -> Result<Self, BuildError> {
        if source.concepts.len() > MAX_CONCEPTS {
            return Err(BuildError::TooLarge);
        }
        let mut sources = source.concepts;
        sources.sort_by(|a, b| a.code.cmp(&b.code));
        let mut parents = parent_places(&sources)?;
        let pairs = merge_equals(&source.equivalences, &sources, &mut parents);
        let named = |fault| name_fault(fault, &sources);
        let order = Hierarchy::preorder(&parents).map_err(named)?;
        let mut number = vec![0; order.len()];
        for (new, old) in order.iter().enumerate() {
            number[*old as usize] = new as u32;
        }
        let renumber =
            |old: &u32| parents[*old as usize].iter().map(|p| number[*p as usize]).collect::<Vec<_>>();
        let parents: Vec<Vec<u32>> = order.iter().map(renumber).collect();
        let hierarchy = Hierarchy::build(&parents).map_err(named)?;
        let mut sources: Vec<Option<SourceConcept>> = sources.into_iter().map(Some).collect();
        let ordered = order.iter().filter_map(|old| sources[*old as usize].take());
        let concepts = ordered.zip(parents).map(|(source, parents)| concept(source, &parents)).collect();
        let mut ontology = Self { prefix: source.prefix, concepts, hierarchy, ..Self::empty() };
        ontology.namespaces = source.namespaces;
        ontology.version = source.version;
        ontology.attribution = source.attribution;
        ontology.index();
        for (canonical, other, sameness) in pairs {
            let id = |place: u32| ConceptId::new(number[place as usize]);
            ontology.equivalents.add(id(canonical), id(other), sameness);
        }
        Ok(ontology)
    }

    /// An ontology without concepts: every term is unknown to it.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            prefix: String::new(),
            namespaces: Vec::new(),
            version: String::new(),
            attribution: String::new(),
            concepts: Vec::new(),
            hierarchy: Hierarchy::default(),
            by_code: HashMap::new(),
            by_cross_code: HashMap::new(),
            equivalents: Equivalents::default(),
            terms: OnceLock::new(),
            hashes: Vec::new(),
        }
    }

    fn index(&mut self) {
        self.by_code.reserve(self.concepts.len());
        self.by_cross_code.reserve(self.concepts.iter().map(|c| c.cross_codes.len()).sum());
        self.hashes.resize_with(self.concepts.len(), OnceLock::new);
        for (number, concept) in self.concepts.iter().enumerate() {
            let id = ConceptId::new(number as u32);
            self.by_code.insert(concept.code.to_ascii_uppercase().into(), id);
            for cross_code in &concept.cross_codes {
                match self.by_cross_code.get_mut(cross_code) {
                    Some(bearers) => bearers.add(id),
                    None => {
                        self.by_cross_code.insert(cross_code.clone(), Bearers::One([id]));
                    }
                }
            }
        }
    }

    /// What the publisher calls this state of the ontology.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Who made it, under which licence.
    #[must_use]
    pub fn attribution(&self) -> &str {
        &self.attribution
    }

    /// The prefix of its own codes: `EUCAIM`.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// How many concepts it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.concepts.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.concepts.is_empty()
    }

    /// All concepts in the order of their numbers: each right before what lies beneath it.
    pub fn iter(&self) -> impl Iterator<Item = (ConceptId, &Concept)> {
        (0u32..).map(ConceptId::new).zip(&self.concepts)
    }

    /// A concept; `None` for a number of another ontology that is too high for this one.
    #[must_use]
    pub fn concept(&self, id: ConceptId) -> Option<&Concept> {
        self.concepts.get(id.index())
    }

    /// The label of a concept, or its code if it has none; empty for a number that is not of this ontology.
    #[must_use]
    pub fn label(&self, id: ConceptId) -> &str {
        self.concept(id).map_or("", |c| if c.label.is_empty() { &c.code } else { &c.label })
    }

    /// The code of a concept without prefix; empty for a number that is not of this ontology.
    #[must_use]
    pub fn code(&self, id: ConceptId) -> &str {
        self.concept(id).map_or("", |c| &c.code)
    }

    /// The code of a concept as data carry it: `EUCAIM:CLIN1000075`.
    #[must_use]
    pub fn curie(&self, id: ConceptId) -> String {
        format!("{}:{}", self.prefix, self.code(id))
    }

    /// The concept of an own code in any spelling: bare, as CURIE, with a namespace.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<ConceptId> {
        let code = crate::source::own_code(&self.prefix, &self.namespaces, text).unwrap_or(text.trim());
        self.by_code.get(&*upper_case(code)).copied()
    }

    /// The concepts that bear a code of another vocabulary, in the order of their numbers.
    #[must_use]
    pub fn bearers(&self, code: &CrossCode) -> &[ConceptId] {
        self.by_cross_code.get(code).map_or(&[], Bearers::ids)
    }

    /// All codes of other vocabularies that concepts bear, in no order.
    pub fn cross_codes(&self) -> impl Iterator<Item = (&CrossCode, &[ConceptId])> {
        self.by_cross_code.iter().map(|(code, bearers)| (code, bearers.ids()))
    }

    /// The concepts that mean the same as this one, with itself, the one that stands for all first; nothing if it is
    /// alone.
    #[must_use]
    pub fn equivalents(&self, concept: ConceptId) -> &[ConceptId] {
        self.equivalents.group(concept)
    }

    /// The concept that counts for this one beneath the roots `under` (none: anywhere): the one that it is once more, or
    /// where it lies outside the roots, one that means the same and lies inside. Else the concept itself.
    #[must_use]
    pub fn standing_for(&self, concept: ConceptId, under: &[ConceptId]) -> ConceptId {
        let inside = |c: ConceptId| under.is_empty() || under.iter().any(|root| self.is_a(c, *root));
        let canonical = self.equivalents.canonical(concept);
        if inside(canonical) {
            return canonical;
        }
        let others = self.equivalents.group(concept).iter().copied();
        std::iter::once(concept).chain(others).find(|c| inside(*c)).unwrap_or(concept)
    }

    /// A hash over all that decides on lookups: codes, parents, cross-codes, equivalences.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hasher = Sha256::new();
        for (id, concept) in self.iter() {
            let Concept { code, parents, cross_codes, obsolete, .. } = concept;
            let parents: Vec<u32> = parents.iter().map(|parent| parent.get()).collect();
            hasher.update(format!("{code}\t{parents:?}\t{cross_codes:?}\t{obsolete}"));
            hasher.update(format!("\t{:?}\n", (self.equivalents.canonical(id), self.equivalents(id))));
        }
        hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether `concept` is `ancestor` or lies beneath it.
    #[must_use]
    pub fn is_a(&self, concept: ConceptId, ancestor: ConceptId) -> bool {
        self.descendants(ancestor).contains(concept)
    }

    /// The concept and everything beneath it (as OMOP's `concept_ancestor` has it, with the concept itself).
    #[must_use]
    pub fn descendants(&self, concept: ConceptId) -> ConceptSet<'_> {
        self.hierarchy.descendants(concept)
    }

    /// The concept and everything above it, in the order of their numbers.
    #[must_use]
    pub fn ancestors(&self, concept: ConceptId) -> Vec<ConceptId> {
        let mut above = BTreeSet::new();
        let mut waiting = vec![concept];
        while let Some(id) = waiting.pop() {
            if let Some(concept) = self.concept(id)
                && above.insert(id)
            {
                waiting.extend(concept.parents.iter().copied());
            }
        }
        above.into_iter().collect()
    }

    /// The concepts right beneath a concept.
    pub fn children(&self, concept: ConceptId) -> impl Iterator<Item = ConceptId> + '_ {
        self.hierarchy.children(concept).iter().map(|c| ConceptId::new(*c))
    }

    /// The concepts without parents.
    pub fn roots(&self) -> impl Iterator<Item = ConceptId> + '_ {
        self.iter().filter(|(_, c)| c.parents.is_empty()).map(|(id, _)| id)
    }

    /// What `is_a` of this concept means here; computed at the first call. Of an unknown number: the hash of
    /// nothing.
    #[must_use]
    pub fn closure_hash(&self, concept: ConceptId) -> ClosureHash {
        let hash = || ClosureHash::of(self.descendants(concept).iter().map(|id| self.code(id)).collect());
        self.hashes.get(concept.index()).map_or_else(hash, |cell| *cell.get_or_init(hash))
    }

    /// How many ranges the closure takes, 8 bytes each: its memory beyond the concepts themselves.
    #[must_use]
    pub fn closure_ranges(&self) -> usize {
        self.hierarchy.ranges()
    }

    pub(crate) fn terms(&self) -> &TermIndex {
        self.terms.get_or_init(|| TermIndex::new(&self.concepts))
    }
}

impl Bearers {
    fn ids(&self) -> &[ConceptId] {
        match self {
            Bearers::One(one) => one,
            Bearers::Several(several) => several,
        }
    }

    /// Ids come in their order; one that is there already is not added.
    fn add(&mut self, id: ConceptId) {
        let mut ids = self.ids().to_vec();
        if ids.last() != Some(&id) {
            ids.push(id);
            *self = Bearers::Several(ids);
        }
    }
}

impl ClosureHash {
    /// The hash of codes, in any order.
    #[must_use]
    pub fn of_codes(codes: &[String]) -> Self {
        Self::of(codes.iter().map(String::as_str).collect())
    }

    fn of(mut codes: Vec<&str>) -> Self {
        codes.sort_unstable();
        let mut hasher = Sha256::new();
        for code in codes {
            hasher.update(code);
            hasher.update(b"\n");
        }
        Self(hasher.finalize().into())
    }
}

impl std::fmt::Display for ClosureHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for ClosureHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// The places of each concept's parents in the sorted source.
fn parent_places(sources: &[SourceConcept]) -> Result<Vec<Vec<u32>>, BuildError> {
    let mut places: HashMap<Cow<'_, str>, u32> = HashMap::with_capacity(sources.len());
    for (place, concept) in sources.iter().enumerate() {
        if concept.code.trim().is_empty() {
            return Err(BuildError::NoCode { place: place + 1, label: shorten(&concept.label, 80) });
        }
        if places.insert(upper_case(&concept.code), place as u32).is_some() {
            return Err(BuildError::DuplicateCode(shorten(&concept.code, 80)));
        }
    }
    let place_of = |child: &SourceConcept, parent: &String| {
        places.get(&upper_case(parent)).copied().ok_or_else(|| BuildError::DanglingParent {
            child: shorten(&child.code, 80),
            parent: shorten(parent, 80),
        })
    };
    let parents_of = |concept: &SourceConcept| {
        let mut of = concept.parents.iter().map(|p| place_of(concept, p)).collect::<Result<Vec<_>, _>>()?;
        of.sort_unstable();
        of.dedup();
        Ok(of)
    };
    sources.iter().map(parents_of).collect()
}

/// A pair by the places of its concepts.
type Pair = (u32, u32, Sameness);

/// Finds the pairs, and makes two concepts that are one share what lies above and beneath: the other is put beneath the
/// canonical one, and the canonical one beneath all that the other was beneath. Edges that would close a circle are
/// left out.
fn merge_equals(
    equivalences: &[Equivalence],
    sources: &[SourceConcept],
    parents: &mut [Vec<u32>],
) -> Vec<Pair> {
    if equivalences.is_empty() {
        return Vec::new();
    }
    let places: HashMap<Cow<'_, str>, u32> = sources.iter().map(|c| upper_case(&c.code)).zip(0..).collect();
    let place = |code: &str| places.get(&upper_case(code)).copied();
    let mut pairs = Vec::new();
    for Equivalence { canonical, other, sameness } in equivalences {
        let (Some(canonical), Some(other)) = (place(canonical), place(other)) else { continue };
        if canonical == other {
            continue;
        }
        pairs.push((canonical, other, *sameness));
        if *sameness == Sameness::Same {
            for above in parents[other as usize].clone() {
                link(parents, canonical, above);
            }
            link(parents, other, canonical);
        }
    }
    pairs
}

/// Puts a concept beneath another unless it is there already or lies above it.
fn link(parents: &mut [Vec<u32>], concept: u32, above: u32) {
    if !parents[concept as usize].contains(&above) && !lies_beneath(parents, above, concept) {
        parents[concept as usize].push(above);
        parents[concept as usize].sort_unstable();
    }
}

/// Whether a concept is another or lies beneath it.
fn lies_beneath(parents: &[Vec<u32>], concept: u32, above: u32) -> bool {
    let (mut waiting, mut seen) = (vec![concept], BTreeSet::new());
    while let Some(place) = waiting.pop() {
        if place == above {
            return true;
        }
        if seen.insert(place) {
            waiting.extend(&parents[place as usize]);
        }
    }
    false
}

/// Codes compare without regard to case; nearly all are written in upper case already.
fn upper_case(code: &str) -> Cow<'_, str> {
    if code.bytes().any(|b| b.is_ascii_lowercase()) { code.to_ascii_uppercase().into() } else { code.into() }
}

fn name_fault(fault: HierarchyFault, sources: &[SourceConcept]) -> BuildError {
    match fault {
        HierarchyFault::Tangled => BuildError::TooLarge,
        HierarchyFault::Cycle(places) => {
            BuildError::Cycle(places.iter().take(20).map(|p| sources[*p as usize].code.clone()).collect())
        }
    }
}

fn concept(source: SourceConcept, parents: &[u32]) -> Concept {
    Concept {
        code: source.code.into(),
        label: source.label.trim().into(),
        synonyms: source.synonyms.into_iter().map(Into::into).collect(),
        definition: source.definition.map(Into::into),
        parents: parents.iter().map(|p| ConceptId::new(*p)).collect(),
        cross_codes: source.cross_codes.into(),
        domain: source.domain.map(Into::into),
        searchable: source.searchable,
        obsolete: source.obsolete,
    }
}
