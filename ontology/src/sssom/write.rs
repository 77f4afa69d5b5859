//! Mapping sets as text: what is made by a program, and files in which a curator fills in the objects.
//!
//! What is written here is read back by [`MappingSet::parse`] under the same subjects.

use std::collections::BTreeMap;

use super::{MappingSet, NO_TERM};
use crate::code::{CodeSystem, CrossCode};

const HEADING: &str = "subject_id\tsubject_label\tpredicate_id\tobject_id\tobject_label\tmapping_justification\t\
                       confidence\tcomment\tpredicate_modifier";

/// A value of a source that waits for its concept.
#[derive(Clone, PartialEq, Eq)]
pub struct Subject {
    /// The code system or source column, as a lookup names it: `DICOM.Manufacturer`, `http://snomed.info/sct`.
    pub source: String,
    /// The value.
    pub value: String,
    /// Where it stands, for the curator.
    pub note: String,
}

/// The value came from records.
impl std::fmt::Debug for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subject").field("source", &self.source).field("value", &"<redacted>").finish()
    }
}

impl MappingSet {
    /// Writes the set as SSSOM TSV.
    #[must_use]
    pub fn to_text(&self, title: &str) -> String {
        let mut text = header(&self.prefixes, &self.id, &self.version, &[("mapping_set_title", title)]);
        for mapping in &self.mappings {
            let object = mapping.object.as_deref().unwrap_or(NO_TERM);
            let confidence = mapping.confidence.map(|c| c.to_string()).unwrap_or_default();
            push_row(
                &mut text,
                [
                    &subject_id(&mapping.source, &mapping.value),
                    &mapping.label,
                    &mapping.predicate.to_string(),
                    object,
                    &mapping.object_label,
                    &mapping.justification,
                    &confidence,
                    "",
                    if mapping.negated { "Not" } else { "" },
                ],
            );
        }
        text
    }

    /// An SSSOM file for a curator: every subject with its label, and nothing about objects. A row counts once its
    /// `object_id` is filled in; without a `predicate_id` it then means `skos:exactMatch`.
    #[must_use]
    pub fn stub(id: &str, comment: &str, subjects: &[Subject]) -> String {
        let mut prefixes = BTreeMap::new();
        let mut rows = String::new();
        for subject in subjects {
            let (prefix, value) = named(subject, &mut prefixes);
            let subject_id = subject_id(&prefix, &value);
            push_row(&mut rows, [&subject_id, &subject.value, "", "", "", "", "", &subject.note, ""]);
        }
        header(&prefixes, id, "1", &[("comment", comment)]) + &rows
    }
}

/// The prefix under which a lookup finds a subject, and its value in the spelling that goes with it. A source that is an
/// address gets a prefix of its own.
fn named(subject: &Subject, prefixes: &mut BTreeMap<String, String>) -> (String, String) {
    let Subject { source, value, .. } = subject;
    if let Some(system) = CodeSystem::known(source) {
        let code = CrossCode::new(system, value);
        return (code.system.name().to_owned(), code.code.into());
    }
    if !source.contains(|c: char| c == ':' || c.is_whitespace()) {
        let made_up = format!("urn:caim:{}:", source.to_lowercase());
        prefixes.entry(source.clone()).or_insert(made_up);
        return (source.clone(), value.clone());
    }
    if let Some((prefix, _)) = prefixes.iter().find(|(_, uri)| *uri == source) {
        return (prefix.clone(), value.clone());
    }
    let last = source.trim_end_matches(['/', '#', '|']).rsplit(['/', '#', ':']).next().unwrap_or_default();
    let name: String = last.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(40).collect();
    let free = |n: &usize| !prefixes.contains_key(&format!("{name}.{n}"));
    let number = (1..).find(free).unwrap_or_default();
    let prefix = format!("{name}.{number}");
    prefixes.insert(prefix.clone(), source.clone());
    (prefix, value.clone())
}

fn header(prefixes: &BTreeMap<String, String>, id: &str, version: &str, further: &[(&str, &str)]) -> String {
    let usual = [
        ("EUCAIM", "https://cancerimage.eu/ontology/EUCAIM#"),
        ("semapv", "https://w3id.org/semapv/vocab/"),
        ("skos", "http://www.w3.org/2004/02/skos/core#"),
        ("sssom", "https://w3id.org/sssom/"),
    ];
    let mut all: BTreeMap<&str, &str> = prefixes.iter().map(|(p, uri)| (p.as_str(), uri.as_str())).collect();
    all.extend(usual);
    let mut text = String::from("#curie_map:\n");
    for (prefix, uri) in all {
        text.push_str(&format!("#  {prefix}: \"{}\"\n", plain(uri)));
    }
    for (key, value) in [("mapping_set_id", id), ("mapping_set_version", version)].iter().chain(further) {
        text.push_str(&format!("#{key}: \"{}\"\n", plain(value).replace('"', "'")));
    }
    text.push_str(HEADING);
    text.push('\n');
    text
}

fn push_row(text: &mut String, fields: [&str; 9]) {
    text.push_str(&fields.map(plain).join("\t"));
    text.push('\n');
}

/// A field or scalar on one line.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// `DICOM.Manufacturer:GE%20MEDICAL%20SYSTEMS`: CURIEs hold no spaces, and `%` stands for itself as `%25`.
fn subject_id(source: &str, value: &str) -> String {
    let mut id = format!("{source}:");
    for c in value.chars() {
        if c == '%' || c == '"' || c.is_whitespace() || c.is_control() {
            let mut bytes = [0; 4];
            c.encode_utf8(&mut bytes).bytes().for_each(|byte| id.push_str(&format!("%{byte:02X}")));
        } else {
            id.push(c);
        }
    }
    id
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Lookup, Mappings, Ontology};

    fn subject(source: &str, value: &str) -> Subject {
        Subject { source: source.into(), value: value.into(), note: "image_series".into() }
    }

    /// The stub with an object in every row.
    fn filled(stub: &str, object: &str) -> String {
        let rows = stub.lines().map(|row| match row.split('\t').collect::<Vec<_>>().as_slice() {
            [subject, label, "", "", rest @ ..] => {
                format!("{subject}\t{label}\t\t{object}\t{}\n", rest.join("\t"))
            }
            _ => format!("{row}\n"),
        });
        rows.collect()
    }

    #[test]
    fn a_stub_waits_until_it_is_filled_in() {
        let stub = MappingSet::stub("urn:x", "Save as \"x\"", &[subject("DICOM.Manufacturer", "ACME 5%")]);
        let set = MappingSet::parse("x", &stub).unwrap();
        assert_eq!((set.undecided, set.mappings.len(), set.id.as_str()), (1, 0, "urn:x"));
        assert!(stub.contains("DICOM.Manufacturer:ACME%205%25\tACME 5%\t\t\t"));
    }

    proptest! {
        #[test]
        fn a_filled_stub_maps_what_was_looked_up(
            source in prop::sample::select(vec![
                "DICOM.Manufacturer", "SNOMED", "http://snomed.info/sct", "urn:oid:9.9.9", "Gender",
                "http://hospital.example/fhir/CodeSystem/scanner", "http://other.example/scanner#", "OMOP.gender",
            ]),
            value in "[A-Za-z0-9%\":/é][A-Za-z0-9 %\":/é\t]{0,12}[A-Za-z0-9%\":/é]",
        ) {
            let stub = MappingSet::stub("s", "c", &[subject("http://first.example/scanner", "x"), subject(source, &value)]);
            let set = MappingSet::parse("s", &filled(&stub, "EUCAIM:IMG1000044")).unwrap();
            let mappings = Mappings::new(Ontology::bundled(), vec![set]);
            let found = mappings.concept(source, &value, &[]);
            prop_assert!(matches!(found, Lookup::Mapped(_)), "{stub}\n{found:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for set in MappingSet::bundled().unwrap() {
            let again = MappingSet::parse("again", &set.to_text("t")).unwrap();
            let key = |set: &MappingSet| -> Vec<String> {
                let of = |m: &crate::Mapping| {
                    format!("{:?}", (&m.source, &m.value, m.predicate, m.negated, &m.object, m.confidence))
                };
                set.mappings.iter().map(of).collect()
            };
            assert_eq!(key(&set), key(&again));
        }
    }

    #[test]
    fn no_value_is_shown_by_debug() {
        assert!(!format!("{:?}", subject("DICOM.Manufacturer", "ACME")).contains("ACME"));
    }
}
