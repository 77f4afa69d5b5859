//! From the sequences of an object to its notes: one a segment, region, group or coded finding.

use std::collections::HashMap;

use caim_ontology::Tag;

use super::Kind;
use super::tree::{self, Item, Tree};

/// Longest code of a coding scheme (PS3.3 section 8.1).
const LONGEST_SCHEME: usize = 16;

/// Something that an object notes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::dicom) struct Note {
    pub(super) number: Option<i64>,
    pub(super) algorithm: Option<String>,
    pub(super) roi_type: Option<String>,
    pub(super) category: Code,
    pub(super) ty: Code,
    pub(super) site: Code,
    /// As somebody typed it.
    pub(super) label: Option<String>,
}

/// A coded entry (PS3.3 section 8).
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(in crate::dicom) struct Code {
    value: Option<String>,
    scheme: Option<String>,
    meaning: Option<String>,
}

impl Code {
    /// The first code of a sequence.
    fn of(item: &Item, sequence: Tag) -> Self {
        let Some(code) = item.items(sequence).next() else { return Self::default() };
        let text = |tag| code.text(tag).map(str::to_owned);
        let scheme = text(tree::CODE_SCHEME).filter(|scheme| scheme.len() <= LONGEST_SCHEME);
        // Codes and schemes are no text; what else stands there was typed.
        let value = text(tree::CODE_VALUE).or_else(|| text(tree::LONG_CODE_VALUE));
        let value = value.filter(|value| !value.contains(char::is_whitespace) && scheme.is_some());
        let is_public = scheme.as_deref().is_some_and(|scheme| !is_private(scheme));
        let meaning = text(tree::CODE_MEANING).filter(|_| is_public && value.is_some());
        Self { value, scheme, meaning }
    }

    pub(super) fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }

    pub(super) fn scheme(&self) -> Option<&str> {
        self.scheme.as_deref()
    }

    pub(super) fn meaning(&self) -> Option<&str> {
        self.meaning.as_deref()
    }
}

/// Whether a coding scheme is somebody's own (PS3.3 section 8.2).
fn is_private(scheme: &str) -> bool {
    scheme.starts_with("99") || scheme == "L"
}

/// What an object notes, in its order.
pub(super) fn of(kind: Kind, tree: &Tree) -> Vec<Note> {
    let top = tree.top();
    match kind {
        Kind::Segmentation => top.items(tree::SEGMENTS).map(segment).collect(),
        Kind::Microscopy => top.items(tree::GROUPS).map(group).collect(),
        Kind::StructureSet => regions(top),
        Kind::Report => findings(top),
    }
}

fn segment(item: &Item) -> Note {
    Note {
        number: number(item, tree::SEGMENT_NUMBER),
        algorithm: owned(item, tree::SEGMENT_ALGORITHM),
        category: Code::of(item, tree::SEGMENT_CATEGORY),
        ty: Code::of(item, tree::SEGMENT_TYPE),
        site: Code::of(item, tree::REGION),
        label: owned(item, tree::SEGMENT_LABEL),
        roi_type: None,
    }
}

fn group(item: &Item) -> Note {
    Note {
        number: number(item, tree::GROUP_NUMBER),
        algorithm: owned(item, tree::GROUP_ALGORITHM),
        category: Code::of(item, tree::GROUP_CATEGORY),
        ty: Code::of(item, tree::GROUP_TYPE),
        site: Code::of(item, tree::REGION),
        label: owned(item, tree::GROUP_LABEL),
        roi_type: None,
    }
}

/// Regions, with what is observed of them: the first observation counts.
fn regions(top: &Item) -> Vec<Note> {
    let mut observed: HashMap<&str, &Item> = HashMap::new();
    for item in top.items(tree::OBSERVATIONS) {
        if let Some(of) = item.text(tree::OBSERVED_NUMBER) {
            observed.entry(of).or_insert(item);
        }
    }
    let region = |item: &Item| {
        let observation = item.text(tree::REGION_NUMBER).and_then(|number| observed.get(number));
        Note {
            number: number(item, tree::REGION_NUMBER),
            algorithm: owned(item, tree::REGION_ALGORITHM),
            roi_type: observation.and_then(|of| owned(of, tree::INTERPRETED_TYPE)),
            ty: observation.map(|of| Code::of(of, tree::REGION_CODE)).unwrap_or_default(),
            label: owned(item, tree::REGION_NAME),
            ..Note::default()
        }
    };
    top.items(tree::REGIONS).map(region).collect()
}

/// The coded values of a report (PS3.3 section C.17.3), without what only qualifies others or names its observer.
fn findings(top: &Item) -> Vec<Note> {
    let mut found = Vec::new();
    let mut ahead: Vec<&Item> = reversed(top);
    let mut place = 0;
    while let Some(item) = ahead.pop() {
        place += 1;
        let relation = item.text(tree::RELATIONSHIP).unwrap_or_default();
        if ["HAS CONCEPT MOD", "HAS OBS CONTEXT", "HAS ACQ CONTEXT"].contains(&relation) {
            continue;
        }
        let ty = Code::of(item, tree::CONCEPT_CODE);
        if item.text(tree::VALUE_TYPE) == Some("CODE") && ty.value.is_some() {
            let category = Code::of(item, tree::CONCEPT_NAME);
            found.push(Note { number: Some(place), category, ty, ..Note::default() });
        }
        ahead.extend(reversed(item));
    }
    found
}

/// The content items below one, the first last.
fn reversed(item: &Item) -> Vec<&Item> {
    let mut items: Vec<&Item> = item.items(tree::CONTENT).collect();
    items.reverse();
    items
}

fn owned(item: &Item, tag: Tag) -> Option<String> {
    item.text(tag).map(str::to_owned)
}

fn number(item: &Item, tag: Tag) -> Option<i64> {
    item.text(tag)?.parse().ok()
}
