//! Faults of an ontology and of mappings onto it, all of them at once, before anyone builds or publishes
//! them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use crate::code::CrossCode;
use crate::hierarchy::{Hierarchy, HierarchyFault};
use crate::source::{OntologySource, SourceConcept};
use crate::sssom::{Mapping, MappingSet};
use crate::text::{fold, shorten};

/// How many circles are listed: one wrong edge can close thousands.
const MAX_CYCLES: usize = 20;

/// One fault, with the place to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it means for use.
    pub severity: Severity,
    /// Which rule found it.
    pub rule: Rule,
    /// The code of the concept, or the set and line of the mapping.
    pub place: String,
    /// What is wrong, naming the other side.
    pub message: String,
}

/// What a finding means for use. The order is that of urgency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The ontology does not build, or a mapping has no effect.
    Error,
    /// It works, and is probably not what was meant.
    Warning,
    /// Worth knowing: some terms will be refused as ambiguous.
    Info,
}

/// The rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// A concept has no code.
    NoCode,
    /// Two concepts have one code.
    DuplicateCode,
    /// A concept is its own parent.
    SelfParent,
    /// A parent does not exist.
    DanglingParent,
    /// Concepts lie above themselves.
    Cycle,
    /// A concept has no label.
    EmptyLabel,
    /// Several concepts have one label.
    SharedLabel,
    /// A retired concept is used: as a parent of a living one, or as the object of a mapping.
    ObsoleteUsed,
    /// A concept has several preferred labels in one language.
    RivalLabels,
    /// Several concepts, none of which lies above the others, bear one cross-code and are not known to mean the same.
    SharedCrossCode,
    /// A concept and some beneath it bear one cross-code.
    NestedCrossCode,
    /// A mapping's object is not in the ontology.
    UnknownObject,
    /// A mapping's object is a cross-code of several concepts.
    AmbiguousObject,
    /// One set maps one subject to different objects with equal right.
    ConflictingMappings,
}

impl Rule {
    /// The rule's name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Rule::NoCode => "no-code",
            Rule::DuplicateCode => "duplicate-code",
            Rule::SelfParent => "self-parent",
            Rule::DanglingParent => "dangling-parent",
            Rule::Cycle => "cycle",
            Rule::EmptyLabel => "empty-label",
            Rule::SharedLabel => "shared-label",
            Rule::ObsoleteUsed => "obsolete-used",
            Rule::RivalLabels => "rival-labels",
            Rule::SharedCrossCode => "shared-cross-code",
            Rule::NestedCrossCode => "nested-cross-code",
            Rule::UnknownObject => "unknown-object",
            Rule::AmbiguousObject => "ambiguous-object",
            Rule::ConflictingMappings => "conflicting-mappings",
        }
    }

    /// What a breach means.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Rule::NoCode
            | Rule::DuplicateCode
            | Rule::SelfParent
            | Rule::DanglingParent
            | Rule::Cycle
            | Rule::UnknownObject => Severity::Error,
            Rule::EmptyLabel
            | Rule::SharedLabel
            | Rule::ObsoleteUsed
            | Rule::AmbiguousObject
            | Rule::ConflictingMappings
            | Rule::RivalLabels
            | Rule::SharedCrossCode => Severity::Warning,
            Rule::NestedCrossCode => Severity::Info,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "info",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}] {}: {}", self.severity, self.rule.name(), self.place, self.message)
    }
}

/// All faults of a source and of mapping sets onto it: errors first, then warnings, then what is worth
/// knowing.
///
/// A source without errors builds, and every mapping without errors has an effect.
#[must_use]
pub fn lint(source: &OntologySource, sets: &[MappingSet]) -> Vec<Finding> {
    let mut linter = Linter::new(source);
    linter.codes();
    linter.parents();
    linter.cycles();
    linter.labels();
    linter.cross_codes();
    sets.iter().for_each(|set| linter.mappings(set));
    linter.findings.sort_by_key(|finding| (finding.severity, finding.rule));
    linter.findings
}

struct Linter<'a> {
    source: &'a OntologySource,
    by_code: HashMap<String, usize>,
    by_cross_code: BTreeMap<&'a CrossCode, Vec<&'a SourceConcept>>,
    findings: Vec<Finding>,
}

impl<'a> Linter<'a> {
    fn new(source: &'a OntologySource) -> Self {
        let mut by_code = HashMap::new();
        let mut by_cross_code: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (place, concept) in source.concepts.iter().enumerate() {
            by_code.entry(concept.code.to_ascii_uppercase()).or_insert(place);
            for code in &concept.cross_codes {
                let bearers: &mut Vec<&SourceConcept> = by_cross_code.entry(code).or_default();
                if bearers.last().is_none_or(|last| last.code != concept.code) {
                    bearers.push(concept);
                }
            }
        }
        Self { source, by_code, by_cross_code, findings: Vec::new() }
    }

    fn find(&self, code: &str) -> Option<usize> {
        self.by_code.get(&code.to_ascii_uppercase()).copied()
    }

    fn report(&mut self, rule: Rule, place: &str, message: String) {
        let place = shorten(place, 120);
        self.findings.push(Finding { severity: rule.severity(), rule, place, message });
    }

    fn codes(&mut self) {
        for (place, concept) in self.source.concepts.iter().enumerate() {
            if concept.code.trim().is_empty() {
                let message = format!("the concept labelled '{}' has no code", shorten(&concept.label, 80));
                self.report(Rule::NoCode, &format!("concept {}", place + 1), message);
            } else if self.find(&concept.code).is_some_and(|first| first != place) {
                let message =
                    format!("the code is defined again with label '{}'", shorten(&concept.label, 80));
                self.report(Rule::DuplicateCode, &concept.code, message);
            }
        }
    }

    fn parents(&mut self) {
        for concept in &self.source.concepts {
            for parent in &concept.parents {
                if parent.eq_ignore_ascii_case(&concept.code) {
                    self.report(Rule::SelfParent, &concept.code, "the concept is its own parent".into());
                    continue;
                }
                let Some(place) = self.find(parent) else {
                    let message = format!("the parent {} does not exist", shorten(parent, 80));
                    self.report(Rule::DanglingParent, &concept.code, message);
                    continue;
                };
                if self.source.concepts[place].obsolete && !concept.obsolete {
                    self.report(Rule::ObsoleteUsed, &concept.code, format!("the parent {parent} is retired"));
                }
            }
        }
    }

    fn cycles(&mut self) {
        let place = |code: &String| self.find(code).map(|p| p as u32);
        let parents = self.source.concepts.iter().enumerate().map(|(own, concept)| {
            let mut of: Vec<u32> =
                concept.parents.iter().filter_map(place).filter(|p| *p as usize != own).collect();
            of.sort_unstable();
            of.dedup();
            of
        });
        let mut parents: Vec<Vec<u32>> = parents.collect();
        for _ in 0..MAX_CYCLES {
            let circle = match Hierarchy::preorder(&parents) {
                Err(HierarchyFault::Cycle(circle)) => circle,
                Ok(_) | Err(HierarchyFault::Tangled) => return,
            };
            let codes: Vec<&str> =
                circle.iter().take(20).map(|p| self.source.concepts[*p as usize].code.as_str()).collect();
            let [first, ..] = codes[..] else { return };
            let message = format!("is-a runs in a circle: {} -> {first}", codes.join(" -> "));
            self.report(Rule::Cycle, first, message);
            // Without this edge the next round finds the next circle.
            let next = circle.get(1).unwrap_or(&circle[0]);
            parents[circle[0] as usize].retain(|p| p != next);
        }
    }

    fn labels(&mut self) {
        let mut by_label: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for concept in &self.source.concepts {
            if concept.label.trim().is_empty() {
                self.report(Rule::EmptyLabel, &concept.code, "the concept has no label".into());
            } else if let [rival, ..] = concept.rival_labels.as_slice() {
                let message = format!(
                    "both '{}' and '{}' are its name",
                    shorten(&concept.label, 80),
                    shorten(rival, 80)
                );
                self.report(Rule::RivalLabels, &concept.code, message);
            }
            if !concept.obsolete && !concept.label.trim().is_empty() {
                by_label.entry(fold(&concept.label)).or_default().push(&concept.code);
            }
        }
        for (label, codes) in by_label {
            if let [first, others @ ..] = codes.as_slice()
                && others.iter().any(|other| other != first)
            {
                let message = format!("the label '{}' is also that of {}", shorten(&label, 80), some(others));
                self.report(Rule::SharedLabel, first, message);
            }
        }
    }

    fn cross_codes(&mut self) {
        let shared: Vec<(String, Vec<&SourceConcept>)> = self
            .by_cross_code
            .iter()
            .map(|(code, bearers)| (code.to_string(), self.different(bearers)))
            .filter(|(_, bearers)| bearers.len() > 1)
            .collect();
        for (code, bearers) in shared {
            let nested = bearers.iter().any(|top| bearers.iter().all(|one| self.lies_beneath(one, top)));
            let rule = if nested { Rule::NestedCrossCode } else { Rule::SharedCrossCode };
            let codes: Vec<&str> = bearers.iter().map(|bearer| bearer.code.as_str()).collect();
            self.report(rule, &code, format!("is borne by {}", some(&codes)));
        }
    }

    /// The bearers without those that are known to mean the same as one before them.
    fn different(&self, bearers: &[&'a SourceConcept]) -> Vec<&'a SourceConcept> {
        let same = |a: &SourceConcept, b: &SourceConcept| {
            let pair = [a.code.as_str(), b.code.as_str()];
            self.source.equivalences.iter().any(|e| {
                let known = [e.canonical.as_str(), e.other.as_str()];
                known == pair || [known[1], known[0]] == pair
            })
        };
        let mut different: Vec<&SourceConcept> = Vec::new();
        for bearer in bearers {
            if !different.iter().any(|known| same(known, bearer)) {
                different.push(bearer);
            }
        }
        different
    }

    /// Whether a concept is another or lies beneath it, in a hierarchy that may have faults.
    fn lies_beneath(&self, concept: &SourceConcept, above: &SourceConcept) -> bool {
        let (mut waiting, mut seen) =
            (self.find(&concept.code).into_iter().collect::<Vec<_>>(), HashSet::new());
        while let Some(place) = waiting.pop() {
            let here = &self.source.concepts[place];
            if here.code == above.code {
                return true;
            }
            if seen.insert(place) {
                waiting.extend(here.parents.iter().filter_map(|parent| self.find(parent)));
            }
        }
        false
    }

    fn mappings(&mut self, set: &MappingSet) {
        for mapping in &set.mappings {
            let Some(object) = &mapping.object else { continue };
            let place = format!("{} line {}", set.id, mapping.line);
            let concepts = self.objects(object);
            match concepts.as_slice() {
                [] => self.report(
                    Rule::UnknownObject,
                    &place,
                    format!("{} does not exist", shorten(object, 80)),
                ),
                [one] if one.obsolete => {
                    self.report(Rule::ObsoleteUsed, &place, format!("{} is retired", one.code));
                }
                [_] => {}
                several => {
                    let codes: Vec<&str> = several.iter().map(|c| c.code.as_str()).collect();
                    self.report(
                        Rule::AmbiguousObject,
                        &place,
                        format!("{object} is borne by {}", some(&codes)),
                    );
                }
            }
        }
        self.conflicts(set);
    }

    fn objects(&self, object: &str) -> Vec<&'a SourceConcept> {
        let own = self.source.own_code(object).and_then(|code| self.find(code));
        if let Some(place) = own {
            return vec![&self.source.concepts[place]];
        }
        CrossCode::parse(object).and_then(|code| self.by_cross_code.get(&code).cloned()).unwrap_or_default()
    }

    fn conflicts(&mut self, set: &MappingSet) {
        let right = |m: &Mapping| (m.predicate, m.negated, m.confidence.unwrap_or(1.0).to_bits());
        let mut seen: HashMap<_, &Mapping> = HashMap::new();
        for mapping in set.mappings.iter().filter(|m| !m.negated && m.predicate.translates()) {
            let subject = (fold(&mapping.source), fold(&mapping.value), right(mapping));
            let earlier = *seen.entry(subject).or_insert(mapping);
            if earlier.object != mapping.object {
                let message =
                    format!("maps the subject of line {} to another object; the later wins", earlier.line);
                self.report(Rule::ConflictingMappings, &format!("{} line {}", set.id, mapping.line), message);
            }
        }
    }
}

fn some(codes: &[&str]) -> String {
    let named = codes.iter().take(8).copied().collect::<Vec<_>>().join(", ");
    if codes.len() > 8 { format!("{named} and {} more", codes.len() - 8) } else { named }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Equivalence, Sameness};

    fn concept(code: &str, label: &str, parents: &[&str], cross: &str) -> SourceConcept {
        SourceConcept {
            code: code.into(),
            label: label.into(),
            parents: parents.iter().map(|p| (*p).into()).collect(),
            cross_codes: CrossCode::parse(cross).into_iter().collect(),
            ..SourceConcept::default()
        }
    }

    #[test]
    fn planted_faults_are_all_found_and_nothing_else() {
        let mut source = OntologySource::eucaim();
        source.concepts = vec![
            concept("A", "alpha", &[], "SNOMEDCT:1"),
            concept("A", "alpha again", &[], ""),
            concept("B", "beta", &["B"], "SNOMEDCT:3"),
            concept("C", "gamma", &["Z"], "SNOMEDCT:1"),
            concept("D", "delta", &["E"], ""),
            concept("E", "epsilon", &["F"], ""),
            concept("F", "phi", &["D"], ""),
            concept("G", " ", &[], ""),
            concept("H", "Alpha", &[], "SNOMEDCT:3"),
            concept("", "nameless", &[], ""),
            concept("I", "old", &[], "SNOMEDCT:2"),
            concept("J", "young", &["I"], "SNOMEDCT:2"),
        ];
        source.concepts[10].obsolete = true;
        source.concepts[5].rival_labels = vec!["epsilon2".into()];
        let same = |canonical: &str, other: &str| Equivalence {
            canonical: canonical.into(),
            other: other.into(),
            sameness: Sameness::Same,
        };
        source.equivalences = vec![same("H", "B")];
        let rows = "subject_id\tpredicate_id\tobject_id\n\
                    S:1\tskos:exactMatch\tEUCAIM:Q\nS:2\tskos:exactMatch\tEUCAIM:I\n\
                    S:3\tskos:exactMatch\tSNOMEDCT:1\nS:4\tskos:exactMatch\tEUCAIM:A\n\
                    S:4\tskos:exactMatch\tEUCAIM:B\nS:5\tskos:exactMatch\tsssom:NoTermFound\n";
        let set = MappingSet::parse("set", rows).unwrap();
        let found: Vec<(Rule, String)> =
            lint(&source, &[set]).into_iter().map(|f| (f.rule, f.place)).collect();
        let expected = [
            (Rule::NoCode, "concept 10"),
            (Rule::DuplicateCode, "A"),
            (Rule::SelfParent, "B"),
            (Rule::DanglingParent, "C"),
            (Rule::Cycle, "D"),
            (Rule::UnknownObject, "set line 2"),
            (Rule::EmptyLabel, "G"),
            (Rule::SharedLabel, "A"),
            (Rule::ObsoleteUsed, "J"),
            (Rule::ObsoleteUsed, "set line 3"),
            (Rule::RivalLabels, "E"),
            (Rule::SharedCrossCode, "SNOMEDCT:1"),
            (Rule::AmbiguousObject, "set line 4"),
            (Rule::ConflictingMappings, "set line 6"),
            (Rule::NestedCrossCode, "SNOMEDCT:2"),
        ];
        assert_eq!(found, expected.map(|(rule, place)| (rule, place.to_owned())));
    }

    #[test]
    fn every_circle_is_listed() {
        let mut source = OntologySource::eucaim();
        for (code, parent) in [("A", "B"), ("B", "A"), ("C", "D"), ("D", "C"), ("E", "C")] {
            source.concepts.push(concept(code, code, &[parent], ""));
        }
        let findings = lint(&source, &[]);
        let messages: Vec<&str> = findings.iter().map(|f| f.message.as_str()).collect();
        assert_eq!(messages, ["is-a runs in a circle: A -> B -> A", "is-a runs in a circle: C -> D -> C"]);
    }

    #[test]
    fn the_bundled_core_and_mappings_have_no_errors() {
        let source = OntologySource::bundled();
        let findings = lint(&source, &MappingSet::bundled().unwrap());
        let errors: Vec<String> =
            findings.iter().filter(|f| f.severity == Severity::Error).map(Finding::to_string).collect();
        assert_eq!(errors, Vec::<String>::new());
        let mapping = |f: &&Finding| f.place.contains(" line ");
        assert_eq!(findings.iter().find(mapping), None);
        let shared: Vec<&str> =
            findings.iter().filter(|f| f.rule == Rule::SharedCrossCode).map(|f| f.place.as_str()).collect();
        assert!(
            shared.contains(&"SNOMEDCT:1229897000") && !shared.contains(&"RADLEX:RID10312"),
            "{shared:?}"
        );
    }
}
