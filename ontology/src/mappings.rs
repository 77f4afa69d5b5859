//! From values of sources to concepts: layers of mapping sets over one ontology. A value that no layer
//! translates is unmapped, with the reason; it is never given to the nearest concept.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use sha2::{Digest, Sha256};

use crate::code::{CodeSystem, CrossCode};
use crate::concept::ConceptId;
use crate::ontology::Ontology;
use crate::resolve::Unresolved;
use crate::sssom::{Mapping, MappingSet, Predicate};
use crate::text::fold;

/// Mapping sets over an ontology, ready to look values up. Immutable; share it by `Arc`.
#[derive(Debug)]
pub struct Mappings {
    ontology: Arc<Ontology>,
    sets: Vec<MappingSet>,
    by_subject: HashMap<(String, String), Vec<Entry>>,
    /// URIs of prefixes in the sets' headers, folded, to the folded prefix.
    aliases: HashMap<String, String>,
    unknown_objects: Vec<UnknownObject>,
}

#[derive(Debug)]
struct Entry {
    layer: usize,
    row: usize,
    /// Empty: the object is not in the ontology, or the row says that there is none.
    objects: Vec<ConceptId>,
}

/// What a value translates to.
#[derive(Debug, Clone, PartialEq)]
pub enum Lookup {
    /// A concept.
    Mapped(Mapped),
    /// No concept, and why.
    Unmapped(Unmapped),
}

/// A value's concept, and who says so.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapped {
    /// The concept.
    pub concept: ConceptId,
    /// How the concept relates to the value: exact, close or broad.
    pub predicate: Predicate,
    /// The confidence of the mapping; 1 where the source gives none.
    pub confidence: f64,
    /// Who says so.
    pub by: MappedBy,
}

/// Who says that a value means a concept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MappedBy {
    /// A line of a mapping set.
    Line {
        /// The set's id.
        set: String,
        /// The line, from 1.
        line: usize,
    },
    /// The concept bears the code, or is the code.
    Code,
    /// The value means this concept, which lies outside the roots and means the same as the one taken.
    Equivalent(ConceptId),
}

/// Why a value has no concept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unmapped {
    /// No layer knows the value.
    Unknown,
    /// A layer says that there is no concept for it.
    NoTerm {
        /// The set's id.
        set: String,
        /// The line, from 1.
        line: usize,
    },
    /// The deciding line maps it to something that is not in this ontology.
    UnknownObject {
        /// The set's id.
        set: String,
        /// The line, from 1.
        line: usize,
    },
    /// Several concepts are possible.
    Ambiguous(Vec<ConceptId>),
    /// It has a concept, which is not beneath the roots of the column.
    Outside(ConceptId),
}

/// A line whose object is not in the ontology, or not one concept of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownObject {
    /// The set's id.
    pub set: String,
    /// The line, from 1.
    pub line: usize,
    /// Why the object does not resolve.
    pub reason: Unresolved,
}

static BUNDLED: LazyLock<Arc<Mappings>> = LazyLock::new(|| {
    // The tests read the files that are compiled in. Without them values stay unmapped: nothing is given a
    // meaning.
    Arc::new(Mappings::new(Ontology::bundled(), MappingSet::bundled().unwrap_or_default()))
});

impl Mappings {
    /// The bundled sets over the bundled ontology; built at the first call.
    #[must_use]
    pub fn bundled() -> Arc<Self> {
        Arc::clone(&BUNDLED)
    }

    /// Layers of sets over an ontology; a later set overrides what an earlier one says of the same value.
    ///
    /// Lines whose object is not in the ontology are kept as such: see [`Mappings::unknown_objects`].
    #[must_use]
    pub fn new(ontology: Arc<Ontology>, sets: Vec<MappingSet>) -> Self {
        let mut mappings = Self {
            ontology,
            sets: Vec::new(),
            by_subject: HashMap::new(),
            aliases: HashMap::new(),
            unknown_objects: Vec::new(),
        };
        for (layer, set) in sets.iter().enumerate() {
            for (prefix, uri) in &set.prefixes {
                mappings.aliases.insert(fold(uri.trim_end_matches(['/', '#', '|'])), fold(prefix));
            }
            for (row, mapping) in set.mappings.iter().enumerate() {
                mappings.add(layer, row, set, mapping);
            }
        }
        mappings.sets = sets;
        mappings
    }

    fn add(&mut self, layer: usize, row: usize, set: &MappingSet, mapping: &Mapping) {
        let objects = match mapping.object.as_deref().map(|object| self.ontology.resolve(object, &[])) {
            None => Vec::new(),
            Some(Ok(concept)) => vec![concept],
            Some(Err(Unresolved::Ambiguous { .. })) => {
                self.all_of(mapping.object.as_deref().unwrap_or_default())
            }
            Some(Err(reason)) => {
                let (set, line) = (set.id.clone(), mapping.line);
                self.unknown_objects.push(UnknownObject { set, line, reason });
                Vec::new()
            }
        };
        let source = match set.prefixes.get(&mapping.source) {
            Some(uri) if CodeSystem::known(uri).is_some() => uri,
            Some(_) | None => &mapping.source,
        };
        let key = self.key(source, &mapping.value);
        self.by_subject.entry(key).or_default().push(Entry { layer, row, objects });
    }

    fn all_of(&self, code: &str) -> Vec<ConceptId> {
        CrossCode::parse(code).map(|code| self.ontology.bearers(&code).to_vec()).unwrap_or_default()
    }

    /// The concept that a value of a code system or source column means.
    ///
    /// `source` is a code system by any of its names (`SNOMEDCT`, `http://snomed.info/sct`), or a column as
    /// the sets call it (`DICOM.Modality`). `under` are the roots of the column that the concept is for; no
    /// roots means anywhere. Concepts outside the roots do not count, so one value may mean different
    /// concepts in two columns.
    ///
    /// The last set that decides on the value wins; within a set the better predicate, then the higher
    /// confidence, then the later line. Narrow and related matches decide nothing. What no set decides, codes
    /// of the ontology do.
    #[must_use]
    pub fn concept(&self, source: &str, value: &str, under: &[ConceptId]) -> Lookup {
        let found = self.look_up(source, value, under);
        let entries = self.entries(source, value);
        let denied = |c: &ConceptId| entries.iter().any(|e| self.mapping(e).negated && e.objects.contains(c));
        match found {
            Lookup::Mapped(mapped) => {
                let concept = self.ontology.standing_for(mapped.concept, under);
                Lookup::Mapped(Mapped { concept, ..mapped })
            }
            Lookup::Unmapped(Unmapped::Outside(outside)) => {
                let concept = self.ontology.standing_for(outside, under);
                if concept == outside || denied(&concept) {
                    return Lookup::Unmapped(Unmapped::Outside(outside));
                }
                let (predicate, by) = (Predicate::Close, MappedBy::Equivalent(outside));
                Lookup::Mapped(Mapped { concept, predicate, confidence: 1.0, by })
            }
            Lookup::Unmapped(reason) => Lookup::Unmapped(reason),
        }
    }

    fn entries(&self, source: &str, value: &str) -> &[Entry] {
        self.by_subject.get(&self.key(source, value)).map_or(&[][..], Vec::as_slice)
    }

    fn look_up(&self, source: &str, value: &str, under: &[ConceptId]) -> Lookup {
        let inside = |c: ConceptId| under.is_empty() || under.iter().any(|root| self.ontology.is_a(c, *root));
        let entries = self.entries(source, value);
        let mut outside = None;
        for layer in (0..self.sets.len()).rev() {
            match self.decide(entries, layer, &inside) {
                Some(Lookup::Unmapped(Unmapped::Outside(concept))) => outside = outside.or(Some(concept)),
                Some(decided) => return decided,
                None => {}
            }
        }
        let denied = |c: &ConceptId| entries.iter().any(|e| self.mapping(e).negated && e.objects.contains(c));
        let by_code = self.by_code(source, value, &|c| inside(c) && !denied(&c));
        match (&by_code, outside) {
            (Lookup::Unmapped(Unmapped::Unknown), Some(concept)) => {
                Lookup::Unmapped(Unmapped::Outside(concept))
            }
            _ => by_code,
        }
    }

    /// What one layer says of a value.
    fn decide(&self, entries: &[Entry], layer: usize, inside: &impl Fn(ConceptId) -> bool) -> Option<Lookup> {
        let denied = |e: &Entry, c: &ConceptId| {
            entries.iter().any(|d| d.layer >= e.layer && self.mapping(d).negated && d.objects.contains(c))
        };
        let deciding = |e: &&Entry| {
            let mapping = self.mapping(e);
            e.layer == layer
                && !mapping.negated
                && (mapping.object.is_none() || mapping.predicate.translates())
        };
        let mut candidates: Vec<&Entry> = entries.iter().filter(deciding).collect();
        candidates.sort_by(|a, b| self.preference(a).total_cmp(&self.preference(b)).then(b.row.cmp(&a.row)));
        let mut outside = None;
        for entry in candidates {
            let at = (self.sets[layer].id.clone(), self.mapping(entry).line);
            if entry.objects.is_empty() {
                return Some(Lookup::Unmapped(self.no_object(entry, at)));
            }
            let mut left: Vec<ConceptId> =
                entry.objects.iter().copied().filter(|c| inside(*c) && !denied(entry, c)).collect();
            self.ontology.equivalents.reduce(&mut left);
            match left.as_slice() {
                [] => outside = outside.or(entry.objects.iter().find(|c| !denied(entry, c)).copied()),
                [concept] => return Some(Lookup::Mapped(self.mapped(entry, *concept, at))),
                several => return Some(Lookup::Unmapped(Unmapped::Ambiguous(several.to_vec()))),
            }
        }
        outside.map(|concept| Lookup::Unmapped(Unmapped::Outside(concept)))
    }

    fn no_object(&self, entry: &Entry, (set, line): (String, usize)) -> Unmapped {
        match self.mapping(entry).object {
            None => Unmapped::NoTerm { set, line },
            Some(_) => Unmapped::UnknownObject { set, line },
        }
    }

    fn mapped(&self, entry: &Entry, concept: ConceptId, (set, line): (String, usize)) -> Mapped {
        let mapping = self.mapping(entry);
        let confidence = mapping.confidence.unwrap_or(1.0);
        Mapped { concept, predicate: mapping.predicate, confidence, by: MappedBy::Line { set, line } }
    }

    /// Smaller is better: predicate first, confidence second. A row without a term comes last.
    fn preference(&self, entry: &Entry) -> f64 {
        let mapping = self.mapping(entry);
        let predicate = if mapping.object.is_none() { 9.0 } else { f64::from(mapping.predicate as u8) };
        2.0 * predicate - mapping.confidence.unwrap_or(1.0)
    }

    fn mapping(&self, entry: &Entry) -> &Mapping {
        &self.sets[entry.layer].mappings[entry.row]
    }

    /// Codes need no mapping where a concept bears them.
    fn by_code(&self, source: &str, value: &str, inside: &impl Fn(ConceptId) -> bool) -> Lookup {
        let own = (fold(source) == fold(self.ontology.prefix())).then(|| self.ontology.find(value)).flatten();
        let bearers = match (own, CodeSystem::known(source)) {
            (Some(concept), _) => vec![concept],
            (None, Some(system)) => self.ontology.bearers(&CrossCode::new(system, value)).to_vec(),
            (None, None) => Vec::new(),
        };
        let mut left: Vec<ConceptId> = bearers.iter().copied().filter(|c| inside(*c)).collect();
        self.ontology.equivalents.reduce(&mut left);
        match (left.as_slice(), bearers.first()) {
            ([concept], _) => Lookup::Mapped(Mapped {
                concept: *concept,
                predicate: Predicate::Exact,
                confidence: 1.0,
                by: MappedBy::Code,
            }),
            ([], Some(outside)) => Lookup::Unmapped(Unmapped::Outside(*outside)),
            ([], None) => Lookup::Unmapped(Unmapped::Unknown),
            (several, _) => Lookup::Unmapped(Unmapped::Ambiguous(several.to_vec())),
        }
    }

    /// One key a subject: codes in their system's normal spelling, values of columns folded.
    fn key(&self, source: &str, value: &str) -> (String, String) {
        if let Some(system) = CodeSystem::known(source) {
            let code = CrossCode::new(system, value.trim_matches(['\0', ' ']));
            return (code.system.name().to_owned(), code.code.into());
        }
        let source = fold(source.trim_end_matches(['/', '#', '|']));
        let source = self.aliases.get(&source).cloned().unwrap_or(source);
        (source, fold(value))
    }

    /// The ontology that values translate into.
    #[must_use]
    pub fn ontology(&self) -> &Arc<Ontology> {
        &self.ontology
    }

    /// The layers, lowest first.
    #[must_use]
    pub fn sets(&self) -> &[MappingSet] {
        &self.sets
    }

    /// Lines that map to something the ontology does not have; their values stay unmapped.
    #[must_use]
    pub fn unknown_objects(&self) -> &[UnknownObject] {
        &self.unknown_objects
    }

    /// One text that changes whenever a translation may change: versions of ontology and sets, and a hash over both.
    #[must_use]
    pub fn version(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update(self.ontology.fingerprint());
        for set in &self.sets {
            hasher.update(format!("{:?}\n", set.prefixes));
            for m in &set.mappings {
                let line = (&m.source, &m.value, m.predicate, m.negated, &m.object, m.confidence);
                hasher.update(format!("{line:?}\n"));
            }
        }
        let hash: String = hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let names: Vec<String> = self.sets.iter().map(|s| format!("{}@{}", s.id, s.version)).collect();
        format!("{}@{},{}#{hash}", self.ontology.prefix(), self.ontology.version(), names.join(","))
    }
}
