//! Which attributes are read of an object: the tagged columns of a table, and a few that are looked at and not kept.

use caim_ontology::{Table, Tag};

use super::element::Vr;

pub(super) const SOP_CLASS_IN_META: Tag = Tag::new(0x0002, 0x0002);
pub(super) const TRANSFER_SYNTAX: Tag = Tag::new(0x0002, 0x0010);
pub(super) const CHARACTER_SET: Tag = Tag::new(0x0008, 0x0005);
pub(super) const SOP_INSTANCE: Tag = Tag::new(0x0008, 0x0018);
pub(super) const PATIENT: Tag = Tag::new(0x0010, 0x0020);
pub(super) const ISSUER: Tag = Tag::new(0x0010, 0x0021);

/// Attributes that decide on others, besides those of the table.
const ALWAYS: [(Tag, &[u8; 2]); 6] = [
    (SOP_CLASS_IN_META, b"UI"),
    (TRANSFER_SYNTAX, b"UI"),
    (CHARACTER_SET, b"CS"),
    (SOP_INSTANCE, b"UI"),
    (PATIENT, b"LO"),
    (ISSUER, b"LO"),
];

/// Wanted attributes in the order of their tags. The position of one is its slot.
#[derive(Debug)]
pub(super) struct Wanted {
    attributes: Vec<Attribute>,
}

/// An attribute as the standard's dictionary has it.
#[derive(Debug, Clone, Copy)]
struct Attribute {
    tag: Tag,
    vr: Vr,
}

impl Wanted {
    /// The attributes of the tagged columns of a table, and those that are always looked at.
    pub(super) fn of(table: &Table) -> Self {
        let tagged = table.columns.iter().filter_map(|column| {
            let vr = column.vr.as_deref().and_then(|vr| vr.as_bytes().first_chunk().copied());
            Some((column.tag?, Vr(vr.unwrap_or(*b"UN"))))
        });
        Self::new(tagged)
    }

    /// These attributes, and those that are always looked at.
    pub(super) fn new(tagged: impl Iterator<Item = (Tag, Vr)>) -> Self {
        let always = ALWAYS.iter().map(|(tag, vr)| (*tag, Vr(**vr)));
        let mut attributes: Vec<Attribute> =
            tagged.chain(always).map(|(tag, vr)| Attribute { tag, vr }).collect();
        attributes.sort_by_key(|attribute| attribute.tag);
        attributes.dedup_by_key(|attribute| attribute.tag);
        Self { attributes }
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.attributes.len()
    }

    /// The slot of an attribute, and its value representation in the dictionary.
    pub(super) fn find(&self, tag: Tag) -> Option<(usize, Vr)> {
        let slot = self.attributes.binary_search_by_key(&tag, |attribute| attribute.tag).ok()?;
        self.attributes.get(slot).map(|attribute| (slot, attribute.vr))
    }

    /// The slot of an attribute; one that no object has where it is not wanted.
    pub(super) fn slot(&self, tag: Tag) -> usize {
        self.find(tag).map_or(usize::MAX, |(slot, _)| slot)
    }

    /// Behind it nothing is wanted.
    pub(super) fn last(&self) -> Tag {
        self.attributes.last().map_or(ISSUER, |attribute| attribute.tag)
    }
}
