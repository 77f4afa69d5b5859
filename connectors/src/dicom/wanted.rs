//! Which attributes are read of an object: the tagged columns of a table wherever they may stand, and a few that are
//! looked at and not kept.

use caim_ontology::{Column, Place, Table, Tag};

use super::element::Vr;

pub(super) const SOP_CLASS_IN_META: Tag = Tag::new(0x0002, 0x0002);
pub(super) const TRANSFER_SYNTAX: Tag = Tag::new(0x0002, 0x0010);
pub(super) const CHARACTER_SET: Tag = Tag::new(0x0008, 0x0005);
pub(super) const SOP_CLASS: Tag = Tag::new(0x0008, 0x0016);
pub(super) const SOP_INSTANCE: Tag = Tag::new(0x0008, 0x0018);
/// NumberOfFrames, which all objects with functional groups have.
pub(super) const FRAMES: Tag = Tag::new(0x0028, 0x0008);
pub(super) const PATIENT: Tag = Tag::new(0x0010, 0x0020);
pub(super) const ISSUER: Tag = Tag::new(0x0010, 0x0021);

/// Attributes that decide on others, besides those of the table.
const ALWAYS: [(Tag, &[u8; 2]); 7] = [
    (SOP_CLASS_IN_META, b"UI"),
    (TRANSFER_SYNTAX, b"UI"),
    (CHARACTER_SET, b"CS"),
    (SOP_CLASS, b"UI"),
    (SOP_INSTANCE, b"UI"),
    (PATIENT, b"LO"),
    (ISSUER, b"LO"),
];

/// Wanted attributes and the sequences that lead to them.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    top: Vec<Node>,
    slots: usize,
}

/// An attribute that is wanted, a sequence with wanted attributes in its items, or both.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) tag: Tag,
    /// What is wanted of its value; of a date and time it may be both parts.
    pub(super) leaves: Vec<Leaf>,
    /// What is wanted of the items, in the order of tags.
    pub(super) items: Vec<Node>,
}

/// A wanted attribute at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) slot: usize,
    /// The value representation in the standard's dictionary.
    pub(super) vr: Vr,
    /// Which part of a date and time is wanted.
    pub(super) part: Part,
    /// Of several values the largest is kept, as against the one on which all agree.
    pub(super) largest: bool,
    /// Whether the value, or something that follows from it, is stored.
    pub(super) stored: bool,
}

/// What is wanted of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    /// The date of a date and time.
    Date,
    /// The time of a date and time.
    Time,
}

impl Wanted {
    /// The attributes of a table, and those that are always looked at.
    pub(super) fn of(table: &Table) -> Self {
        let mut wanted = Self::default();
        for column in &table.columns {
            for place in places(column) {
                wanted.add(&place, column);
            }
        }
        wanted.with_always()
    }

    fn with_always(mut self) -> Self {
        for (tag, vr) in ALWAYS {
            self.insert(&[tag], Leaf { vr: Vr(*vr), ..Leaf::LOOKED_AT });
        }
        self
    }

    fn add(&mut self, place: &Place, column: &Column) {
        let vr = Vr::parse(&place.vr);
        let part = Part::of_column(place, column);
        self.insert(&place.path, Leaf { vr, part, largest: column.largest, stored: true, slot: 0 });
    }

    /// Wants the attribute at the end of a path; what is wanted there already stays.
    fn insert(&mut self, path: &[Tag], leaf: Leaf) {
        let Some((last, sequences)) = path.split_last() else { return };
        let mut nodes = &mut self.top;
        for tag in sequences {
            nodes = &mut node(nodes, *tag).items;
        }
        let node = node(nodes, *last);
        if !node.leaves.iter().any(|known| known.part == leaf.part) {
            node.leaves.push(Leaf { slot: self.slots, ..leaf });
            self.slots += 1;
        }
    }

    /// How many values a row has.
    pub(super) fn len(&self) -> usize {
        self.slots
    }

    /// What is wanted at the top of an object.
    pub(super) fn top(&self) -> &[Node] {
        &self.top
    }

    /// The slot of an attribute at the top; one that no object has where it is not wanted.
    pub(super) fn slot(&self, tag: Tag) -> usize {
        find(&self.top, tag).and_then(|node| node.leaves.first()).map_or(usize::MAX, |leaf| leaf.slot)
    }

    /// The slots that fill a column, the first first.
    pub(super) fn slots(&self, column: &Column) -> Vec<usize> {
        places(column).filter_map(|place| self.leaf(&place.path, Part::of_column(&place, column))).collect()
    }

    /// The slot of a part of the attribute at the end of a path.
    fn leaf(&self, path: &[Tag], part: Part) -> Option<usize> {
        let (last, sequences) = path.split_last()?;
        let mut nodes = self.top.as_slice();
        for tag in sequences {
            nodes = &find(nodes, *tag)?.items;
        }
        find(nodes, *last)?.leaves.iter().find(|leaf| leaf.part == part).map(|leaf| leaf.slot)
    }

    /// Behind it nothing is wanted that stands alone, in no sequence.
    pub(super) fn last_alone(&self) -> Tag {
        self.top.iter().rfind(|node| !node.leaves.is_empty()).map_or(ISSUER, |node| node.tag)
    }
}

impl Leaf {
    const LOOKED_AT: Self = Self { slot: 0, vr: Vr::UN, part: Part::Whole, largest: false, stored: false };
}

impl Part {
    /// The part of the value at a place that a column holds.
    fn of_column(place: &Place, column: &Column) -> Self {
        match (place.vr.as_str(), column.vr.as_deref()) {
            ("DT", Some("DA")) => Self::Date,
            ("DT", Some("TM")) => Self::Time,
            _ => Self::Whole,
        }
    }

    /// The part of a date and time (PS3.5 section 6.2).
    pub(super) fn of(self, value: &[u8]) -> &[u8] {
        const DATE: usize = 8;
        match self {
            Self::Whole => value,
            Self::Date => value.get(..DATE).unwrap_or(value),
            Self::Time => {
                let time = value.get(DATE..).unwrap_or_default();
                let end = time.iter().position(|byte| matches!(byte, b'+' | b'-' | b'\\'));
                time.get(..end.unwrap_or(time.len())).unwrap_or_default()
            }
        }
    }
}

/// The node of a tag among nodes in the order of tags.
pub(super) fn find(nodes: &[Node], tag: Tag) -> Option<&Node> {
    let at = nodes.binary_search_by_key(&tag, |node| node.tag).ok()?;
    nodes.get(at)
}

/// The node of a tag, made where there is none.
fn node(nodes: &mut Vec<Node>, tag: Tag) -> &mut Node {
    let at = nodes.partition_point(|node| node.tag < tag);
    if nodes.get(at).is_none_or(|node| node.tag != tag) {
        nodes.insert(at, Node { tag, leaves: Vec::new(), items: Vec::new() });
    }
    &mut nodes[at]
}

/// All places of a column's attribute: at the top, then the others.
fn places(column: &Column) -> impl Iterator<Item = Place> {
    let top = column.tag.map(|tag| Place { path: vec![tag], vr: column.vr.clone().unwrap_or_default() });
    top.into_iter().chain(column.also_at.iter().cloned())
}
