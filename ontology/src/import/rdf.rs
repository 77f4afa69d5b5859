//! OWL in RDF/XML and SKOS in Turtle: both are triples about classes, so one reading serves both.
//!
//! Read are `rdfs:subClassOf` and `skos:broader`/`narrower` between named classes (restrictions are no
//! parents; named members of an `owl:intersectionOf` are), `rdfs:label`, `skos:prefLabel`, `skos:altLabel`,
//! `skos:exactMatch`, `skos:definition`, `owl:deprecated`, and every annotation property that is named like a code system
//! (`SNOMEDCT`, `RadLex`, `OMOP_Concept_ID`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;

use oxrdf::{Literal, NamedOrBlankNode, Term, Triple};
use oxrdfxml::RdfXmlParser;
use oxttl::TurtleParser;

use super::{ImportError, read_text, tidy};
use crate::code::{CodeSystem, CrossCode};
use crate::source::{OntologySource, SourceConcept};

/// Longest XML entity, and how much all references to entities may unfold to.
const MAX_ENTITY: usize = 1024;
const MAX_UNFOLDED: usize = 256 << 20;
/// Triples of one file.
const MAX_TRIPLES: usize = 50_000_000;
/// Names that stand for no class of one's own.
const FOREIGN: [&str; 4] = [
    "http://www.w3.org/2002/07/owl#",
    "http://www.w3.org/2000/01/rdf-schema#",
    "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "http://www.w3.org/2004/02/skos/core#",
];

impl OntologySource {
    /// Reads OWL in RDF/XML, as EUCAIM publishes its hyperontology. `frame` gives prefix and namespaces
    /// ([`OntologySource::eucaim`]); the file gives version and concepts. Where most of its classes lie outside the
    /// namespaces of the frame, their codes are not that ontology's: the source comes without prefix.
    ///
    /// # Errors
    /// The file cannot be read, is no RDF/XML, is too large, or has no classes.
    pub fn from_owl(reader: impl Read, frame: Self) -> Result<Self, ImportError> {
        let text = read_text("OWL", reader)?;
        check_entities(&text)?;
        check_end(&text)?;
        let triples = RdfXmlParser::new().for_slice(&text).map(|t| t.map_err(|e| e.to_string()));
        Graph::read("OWL", triples)?.into_source("OWL", frame)
    }

    /// Reads SKOS (or OWL) in Turtle, as [`OntologySource::from_owl`] does.
    ///
    /// # Errors
    /// The file cannot be read, is no Turtle, is too large, or has no concepts.
    pub fn from_turtle(reader: impl Read, frame: Self) -> Result<Self, ImportError> {
        let text = read_text("Turtle", reader)?;
        let triples = TurtleParser::new().for_slice(&text).map(|t| t.map_err(|e| e.to_string()));
        Graph::read("Turtle", triples)?.into_source("Turtle", frame)
    }
}

/// Entities that name other entities can unfold a small file to any size: such files are refused.
fn check_entities(text: &str) -> Result<(), ImportError> {
    let faulty = |reason: &str| ImportError::Faulty { form: "OWL", reason: reason.into() };
    let mut longest = 0;
    for declaration in text.split("!ENTITY").skip(1) {
        let value = declaration.split('"').nth(1).unwrap_or_default();
        if value.contains('&') {
            return Err(faulty("an XML entity is defined by another entity; write its text out"));
        }
        longest = longest.max(value.len());
    }
    let references = if longest == 0 { 0 } else { text.bytes().filter(|b| *b == b'&').count() };
    if longest > MAX_ENTITY || references.saturating_mul(longest) > MAX_UNFOLDED {
        return Err(faulty("its XML entities unfold to too much text; write their text out"));
    }
    Ok(())
}

/// Half a download parses as well: the parser does not ask for the end of the root element.
fn check_end(text: &str) -> Result<(), ImportError> {
    let mut text = text.trim_end();
    while let Some(comment) = text.ends_with("-->").then(|| text.rfind("<!--")).flatten() {
        text = text[..comment].trim_end();
    }
    if text.ends_with("RDF>") {
        return Ok(());
    }
    let reason = "it does not end with the end of an rdf:RDF element; is it complete, and RDF/XML?";
    Err(ImportError::Faulty { form: "OWL", reason: reason.into() })
}

/// What the triples say, by subject.
#[derive(Default)]
struct Graph {
    /// Named classes and concepts, sorted for a result that does not depend on the order of the file.
    classes: BTreeMap<String, Node>,
    /// Lists and intersections of blank nodes.
    first: HashMap<String, String>,
    rest: HashMap<String, String>,
    intersections: HashMap<String, String>,
    /// Blank nodes above or equivalent to a class.
    above: Vec<(String, String)>,
    version: Option<String>,
    license: Option<String>,
}

#[derive(Default)]
struct Node {
    declared: bool,
    parents: BTreeSet<String>,
    labels: Vec<Literal>,
    preferred: Vec<Literal>,
    synonyms: Vec<String>,
    definitions: Vec<Literal>,
    cross_codes: BTreeSet<CrossCode>,
    searchable: bool,
    obsolete: bool,
}

impl Graph {
    fn read(
        form: &'static str,
        triples: impl Iterator<Item = Result<Triple, String>>,
    ) -> Result<Self, ImportError> {
        let mut graph = Self::default();
        for (number, triple) in triples.enumerate() {
            if number == MAX_TRIPLES {
                return Err(ImportError::TooLarge { form, limit: "at most 50 million triples are read" });
            }
            graph.add(triple.map_err(|reason| ImportError::Faulty { form, reason })?);
        }
        Ok(graph)
    }

    fn add(&mut self, triple: Triple) {
        let property = local_name(triple.predicate.as_str()).to_owned();
        match triple.subject {
            NamedOrBlankNode::NamedNode(subject) => {
                self.add_named(subject.into_string(), &property, triple.object)
            }
            NamedOrBlankNode::BlankNode(subject) => {
                let Some(object) = resource(&triple.object) else { return };
                let place = match property.as_str() {
                    "first" => &mut self.first,
                    "rest" => &mut self.rest,
                    "intersectionOf" => &mut self.intersections,
                    _ => return,
                };
                place.insert(subject.as_str().to_owned(), object);
            }
        }
    }

    fn add_named(&mut self, subject: String, property: &str, object: Term) {
        match (property, &object) {
            ("type", Term::NamedNode(class)) => match local_name(class.as_str()) {
                "Class" | "Concept" => self.node(subject).declared = true,
                _ => {}
            },
            ("subClassOf" | "broader" | "broaderGeneric" | "equivalentClass", Term::BlankNode(node)) => {
                self.above.push((subject, node.as_str().to_owned()));
            }
            ("subClassOf" | "broader" | "broaderGeneric", Term::NamedNode(parent)) => {
                if !is_foreign(parent.as_str()) {
                    self.node(subject).parents.insert(parent.as_str().to_owned());
                }
            }
            ("narrower" | "narrowerGeneric", Term::NamedNode(child)) => {
                self.node(child.as_str().to_owned()).parents.insert(subject);
            }
            ("versionInfo", Term::Literal(version)) => self.version = Some(tidy(version.value())),
            ("license", _) => self.license = value(&object),
            _ => self.node(subject).describe(property, object),
        }
    }

    fn node(&mut self, iri: String) -> &mut Node {
        self.classes.entry(iri).or_default()
    }

    /// Named members of the intersections above a class.
    fn link_intersections(&mut self) {
        for (subject, blank) in std::mem::take(&mut self.above) {
            let mut cell = self.intersections.get(&blank).cloned();
            let mut steps = 0;
            while let Some(list) = cell.take().filter(|_| steps < 1000) {
                steps += 1;
                if let Some(member) =
                    self.first.get(&list).filter(|m| m.contains(':') && !is_foreign(m)).cloned()
                {
                    self.node(subject.clone()).parents.insert(member);
                }
                cell = self.rest.get(&list).cloned();
            }
        }
    }

    fn into_source(
        mut self,
        form: &'static str,
        frame: OntologySource,
    ) -> Result<OntologySource, ImportError> {
        self.link_intersections();
        let own = |iri: &str| frame.own_code(iri).map_or_else(|| local_name(iri).to_owned(), str::to_owned);
        let classes = self.classes.into_iter().filter(|(iri, node)| node.declared && !is_foreign(iri));
        let classes: Vec<(String, Node)> = classes.collect();
        let at_home = classes.iter().filter(|(iri, _)| frame.own_code(iri).is_some()).count();
        let elsewhere = !frame.namespaces.is_empty() && at_home * 2 < classes.len();
        let concepts: Vec<SourceConcept> =
            classes.into_iter().map(|(iri, node)| node.into_concept(own(&iri), own)).collect();
        if concepts.is_empty() {
            return Err(ImportError::Empty { form });
        }
        let version = self.version.unwrap_or_else(|| frame.version.clone());
        let attribution = self.license.unwrap_or_else(|| frame.attribution.clone());
        let source = OntologySource { version, attribution, concepts, ..frame };
        let stranger = || OntologySource { prefix: String::new(), namespaces: Vec::new(), ..source.clone() };
        Ok(if elsewhere { stranger() } else { source })
    }
}

impl Node {
    fn describe(&mut self, property: &str, object: Term) {
        match (property.to_ascii_lowercase().as_str(), object) {
            ("label", Term::Literal(label)) => self.labels.push(label),
            ("preflabel", Term::Literal(label)) => self.preferred.push(label),
            ("altlabel" | "hiddenlabel" | "hasexactsynonym", Term::Literal(label)) => {
                self.synonyms.push(tidy(label.value()));
            }
            // IAO_0000115 is the definition in ontologies of the OBO family.
            ("definition" | "iao_0000115", Term::Literal(text)) => self.definitions.push(text),
            ("exactmatch", object) => {
                self.cross_codes.extend(value(&object).and_then(|text| CrossCode::parse(&text)));
            }
            ("deprecated", object) => self.obsolete |= is_true(&object),
            ("querycriteria" | "searchable", object) => self.searchable |= is_true(&object),
            (name, object) => {
                if let (Some(system), Some(codes)) = (CodeSystem::known(name), value(&object)) {
                    self.cross_codes.extend(annotated(&system, &codes));
                }
            }
        }
    }

    fn into_concept(self, code: String, own: impl Fn(&str) -> String) -> SourceConcept {
        let label = best(&self.preferred).or_else(|| best(&self.labels)).unwrap_or_default();
        let primary = if self.preferred.is_empty() { &self.labels } else { &self.preferred };
        let rival_labels = rivals(primary, &label);
        let others = self.preferred.iter().chain(&self.labels).map(|l| tidy(l.value()));
        let mut synonyms: Vec<String> = Vec::new();
        for synonym in self.synonyms.into_iter().chain(others) {
            if !synonym.is_empty() && synonym != label && !synonyms.contains(&synonym) {
                synonyms.push(synonym);
            }
        }
        SourceConcept {
            code,
            label,
            parents: self.parents.iter().map(|iri| own(iri)).collect(),
            cross_codes: self.cross_codes.into_iter().collect(),
            synonyms,
            rival_labels,
            definition: best(&self.definitions),
            domain: None,
            searchable: self.searchable,
            obsolete: self.obsolete,
        }
    }
}

/// The label to show: English first, then one without language, then any.
fn best(labels: &[Literal]) -> Option<String> {
    let rank = |label: &&Literal| match label.language() {
        Some(language) if language.starts_with("en") => 0,
        None => 1,
        Some(_) => 2,
    };
    labels.iter().min_by_key(rank).map(|label| tidy(label.value())).filter(|label| !label.is_empty())
}

/// Other labels in the language of the one to show: which of them is the name is left to chance.
fn rivals(labels: &[Literal], shown: &str) -> Vec<String> {
    let language = labels.iter().find(|l| tidy(l.value()) == shown).and_then(Literal::language);
    let mut others: Vec<String> =
        labels.iter().filter(|l| l.language() == language).map(|l| tidy(l.value())).collect();
    others.retain(|other| !other.is_empty() && other != shown);
    others.sort();
    others.dedup();
    others
}

/// The codes in the value of an annotation property; several stand with `;` or `|` between them.
fn annotated(system: &CodeSystem, codes: &str) -> Vec<CrossCode> {
    let one = |text: &str| match CrossCode::parse(text) {
        Some(code) if code.system == *system => code,
        Some(_) | None => CrossCode::new(system.clone(), text),
    };
    let whole = codes.contains("://");
    let parts = codes.split(|c| c == ';' || (c == '|' && !whole)).map(str::trim);
    parts.filter(|text| !text.is_empty()).map(one).collect()
}

fn is_true(object: &Term) -> bool {
    value(object).is_some_and(|text| matches!(text.to_ascii_lowercase().as_str(), "true" | "yes" | "1"))
}

/// The text of a literal or the IRI of a node.
fn value(object: &Term) -> Option<String> {
    match object {
        Term::Literal(literal) => Some(tidy(literal.value())),
        Term::NamedNode(node) => Some(node.as_str().to_owned()),
        Term::BlankNode(_) => None,
    }
}

fn resource(object: &Term) -> Option<String> {
    match object {
        Term::NamedNode(node) => Some(node.as_str().to_owned()),
        Term::BlankNode(node) => Some(node.as_str().to_owned()),
        Term::Literal(_) => None,
    }
}

fn local_name(iri: &str) -> &str {
    iri.trim_end_matches(['#', '/']).rsplit(['#', '/']).next().unwrap_or(iri)
}

fn is_foreign(iri: &str) -> bool {
    FOREIGN.iter().any(|namespace| iri.starts_with(namespace))
}

#[cfg(test)]
mod generated;
#[cfg(test)]
mod tests;
