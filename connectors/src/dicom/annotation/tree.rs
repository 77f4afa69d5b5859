//! The sequences of an object that say what it notes, with the few attributes that count, in bounded memory.

use std::collections::HashSet;
use std::io::{Read, Seek};
use std::sync::Arc;

use caim_ontology::Tag;

use crate::dicom::cells::{Cells, Form};
use crate::dicom::charset::Charset;
use crate::dicom::columns::{self, Repertoire};
use crate::dicom::element::{Coding, Head, Vr};
use crate::dicom::nested::{self, Items};
use crate::dicom::removed::Passed;
use crate::dicom::scan::{LONGEST_VALUE, decoded};
use crate::dicom::unreadable::Unreadable;
use crate::dicom::window::Window;
use crate::values::Reading;

/// Bytes that the notes of one object may take in memory.
const MOST_BYTES: usize = 2 << 20;
/// What an item takes besides its values.
const ITEM_BYTES: usize = 64;

pub(super) const REFERENCED_SERIES: Tag = Tag::new(0x0008, 0x1115);
pub(super) const REGION: Tag = Tag::new(0x0008, 0x2218);
pub(super) const EVIDENCE: Tag = Tag::new(0x0040, 0xA375);
pub(super) const CONTENT: Tag = Tag::new(0x0040, 0xA730);
pub(super) const CONCEPT_NAME: Tag = Tag::new(0x0040, 0xA043);
pub(super) const CONCEPT_CODE: Tag = Tag::new(0x0040, 0xA168);
pub(super) const SEGMENTS: Tag = Tag::new(0x0062, 0x0002);
pub(super) const SEGMENT_CATEGORY: Tag = Tag::new(0x0062, 0x0003);
pub(super) const SEGMENT_TYPE: Tag = Tag::new(0x0062, 0x000F);
pub(super) const GROUPS: Tag = Tag::new(0x006A, 0x0002);
pub(super) const GROUP_CATEGORY: Tag = Tag::new(0x006A, 0x0009);
pub(super) const GROUP_TYPE: Tag = Tag::new(0x006A, 0x000A);
const FRAMES_OF_REFERENCE: Tag = Tag::new(0x3006, 0x0010);
const RT_STUDIES: Tag = Tag::new(0x3006, 0x0012);
const RT_SERIES: Tag = Tag::new(0x3006, 0x0014);
pub(super) const REGIONS: Tag = Tag::new(0x3006, 0x0020);
pub(super) const OBSERVATIONS: Tag = Tag::new(0x3006, 0x0080);
pub(super) const REGION_CODE: Tag = Tag::new(0x3006, 0x0086);

/// The sequences that are read, wherever they stand.
const SEQUENCES: [Tag; 18] = [
    REFERENCED_SERIES,
    REGION,
    CONCEPT_NAME,
    CONCEPT_CODE,
    EVIDENCE,
    CONTENT,
    SEGMENTS,
    SEGMENT_CATEGORY,
    SEGMENT_TYPE,
    GROUPS,
    GROUP_CATEGORY,
    GROUP_TYPE,
    FRAMES_OF_REFERENCE,
    RT_STUDIES,
    RT_SERIES,
    REGIONS,
    OBSERVATIONS,
    REGION_CODE,
];

pub(super) const CODE_VALUE: Tag = Tag::new(0x0008, 0x0100);
pub(super) const CODE_SCHEME: Tag = Tag::new(0x0008, 0x0102);
pub(super) const CODE_MEANING: Tag = Tag::new(0x0008, 0x0104);
pub(super) const LONG_CODE_VALUE: Tag = Tag::new(0x0008, 0x0119);
const SERIES_UID: Tag = Tag::new(0x0020, 0x000E);
pub(super) const RELATIONSHIP: Tag = Tag::new(0x0040, 0xA010);
pub(super) const VALUE_TYPE: Tag = Tag::new(0x0040, 0xA040);
pub(super) const GROUP_NUMBER: Tag = Tag::new(0x0040, 0xA180);
pub(super) const SEGMENT_NUMBER: Tag = Tag::new(0x0062, 0x0004);
pub(super) const SEGMENT_LABEL: Tag = Tag::new(0x0062, 0x0005);
pub(super) const SEGMENT_ALGORITHM: Tag = Tag::new(0x0062, 0x0008);
pub(super) const GROUP_LABEL: Tag = Tag::new(0x006A, 0x0005);
pub(super) const GROUP_ALGORITHM: Tag = Tag::new(0x006A, 0x0007);
pub(super) const REGION_NUMBER: Tag = Tag::new(0x3006, 0x0022);
pub(super) const REGION_NAME: Tag = Tag::new(0x3006, 0x0026);
pub(super) const REGION_ALGORITHM: Tag = Tag::new(0x3006, 0x0036);
pub(super) const OBSERVED_NUMBER: Tag = Tag::new(0x3006, 0x0084);
pub(super) const INTERPRETED_TYPE: Tag = Tag::new(0x3006, 0x00A4);

/// The attributes that are read in their items, in the order of tags.
const ATTRIBUTES: [(Tag, &[u8; 2]); 18] = [
    (CODE_VALUE, b"SH"),
    (CODE_SCHEME, b"SH"),
    (CODE_MEANING, b"LO"),
    (LONG_CODE_VALUE, b"UC"),
    (SERIES_UID, b"UI"),
    (RELATIONSHIP, b"CS"),
    (VALUE_TYPE, b"CS"),
    (GROUP_NUMBER, b"US"),
    (SEGMENT_NUMBER, b"US"),
    (SEGMENT_LABEL, b"LO"),
    (SEGMENT_ALGORITHM, b"CS"),
    (GROUP_LABEL, b"LO"),
    (GROUP_ALGORITHM, b"CS"),
    (REGION_NUMBER, b"IS"),
    (REGION_NAME, b"LO"),
    (REGION_ALGORITHM, b"CS"),
    (OBSERVED_NUMBER, b"IS"),
    (INTERPRETED_TYPE, b"CS"),
];

/// The items of an object's sequences.
#[derive(Debug, Default)]
pub(in crate::dicom) struct Tree {
    top: Item,
    bytes: usize,
}

/// An item: the values and sequences of it that count.
#[derive(Debug, Default)]
pub(super) struct Item {
    values: Vec<(Tag, String)>,
    sequences: Vec<(Tag, Vec<Item>)>,
}

impl Tree {
    /// Whether a sequence says what an object notes.
    pub(in crate::dicom) fn wants(tag: Tag) -> bool {
        SEQUENCES.contains(&tag)
    }

    /// Receives the items of a sequence at the top.
    pub(super) fn growing<'t>(&'t mut self, charset: Charset, passed: &'t mut Passed) -> Growing<'t> {
        Growing { tree: self, charset, passed, open: Vec::new(), value: Cells::new(1) }
    }

    /// The object itself, as an item.
    pub(super) fn top(&self) -> &Item {
        &self.top
    }

    /// The series that the object refers to, each once, in the order of the object.
    pub(super) fn series(&self) -> Vec<Arc<str>> {
        let top = &self.top;
        let evidence = top.items(EVIDENCE).flat_map(|study| study.items(REFERENCED_SERIES));
        let frames = top.items(FRAMES_OF_REFERENCE).flat_map(|frame| frame.items(RT_STUDIES));
        let regions = frames.flat_map(|study| study.items(RT_SERIES));
        let (mut found, mut known): (Vec<Arc<str>>, HashSet<&str>) = Default::default();
        for item in top.items(REFERENCED_SERIES).chain(evidence).chain(regions) {
            if let Some(uid) = item.text(SERIES_UID)
                && known.insert(uid)
            {
                found.push(uid.into());
            }
        }
        found
    }
}

impl Item {
    /// The items of a sequence in it.
    pub(super) fn items(&self, sequence: Tag) -> impl Iterator<Item = &Item> {
        self.sequences.iter().filter(move |(tag, _)| *tag == sequence).flat_map(|(_, items)| items)
    }

    /// A value of it.
    pub(super) fn text(&self, tag: Tag) -> Option<&str> {
        self.values.iter().find(|(found, _)| *found == tag).map(|(_, text)| text.as_str())
    }
}

/// A tree that grows while its object is read.
pub(in crate::dicom) struct Growing<'t> {
    tree: &'t mut Tree,
    charset: Charset,
    passed: &'t mut Passed,
    /// The sequences around, the innermost last, each with its items; elements belong to the last item.
    open: Vec<(Tag, Vec<Item>)>,
    /// The value that is being read.
    value: Cells,
}

impl Growing<'_> {
    fn take(&mut self, bytes: usize) -> Result<(), Unreadable> {
        self.tree.bytes += bytes;
        if self.tree.bytes > MOST_BYTES { Err(Unreadable::NotesLimit) } else { Ok(()) }
    }

    /// A value as text, if all its characters are in the repertoire of its value representation.
    fn read(&mut self, head: Head, usual: Vr, value: &[u8], coding: Coding) -> Option<String> {
        self.value.begin_row();
        match Form::of(head.vr, usual) {
            Form::Text => {
                let (form, text) = decoded(self.charset, usual, value);
                self.value.set(0, form, &text, Coding::Explicit);
            }
            form => self.value.set(0, form, value, coding),
        }
        let text = match columns::text(self.value.last(0), Repertoire::of(usual)) {
            Reading::Value(text) => Some(text.into_owned()),
            Reading::Missing | Reading::Unreadable => None,
        };
        self.value.drop_row();
        text
    }

    fn keep(&mut self, tag: Tag, text: String) -> Result<(), Unreadable> {
        self.take(text.len() + ITEM_BYTES)?;
        if let Some(item) = self.open.last_mut().and_then(|(_, items)| items.last_mut()) {
            item.values.push((tag, text));
        }
        Ok(())
    }
}

impl Items for Growing<'_> {
    fn wants(&self, sequence: Tag) -> bool {
        Tree::wants(sequence)
    }

    fn enter(&mut self, sequence: Tag) {
        self.open.push((sequence, Vec::new()));
    }

    fn leave(&mut self) {
        let Some(left) = self.open.pop() else { return };
        let around = self.open.last_mut().map(|(_, items)| items.last_mut());
        if let Some(item) = around.unwrap_or(Some(&mut self.tree.top)) {
            item.sequences.push(left);
        }
    }

    fn begin(&mut self) -> Result<(), Unreadable> {
        self.take(ITEM_BYTES)?;
        if let Some((_, items)) = self.open.last_mut() {
            items.push(Item::default());
        }
        Ok(())
    }

    fn element<R: Read + Seek>(
        &mut self,
        window: &mut Window<'_, R>,
        head: Head,
        coding: Coding,
    ) -> Result<(), Unreadable> {
        let wanted = ATTRIBUTES.iter().find(|(tag, _)| *tag == head.tag);
        let Some((_, usual)) = wanted.filter(|_| head.length <= LONGEST_VALUE) else {
            self.passed.add_below(head.tag);
            return nested::skip_value(window, head);
        };
        window.check_claim(head.tag, head.length)?;
        let value = window.need(head.length as usize)?;
        let text = self.read(head, Vr(**usual), value, coding);
        window.advance(head.length as usize);
        text.map_or(Ok(()), |text| self.keep(head.tag, text))
    }

    fn passed(&mut self, sequence: Tag) {
        self.passed.add_below(sequence);
    }
}
