//! What of objects is not stored: how often each attribute was left out, by its keyword.
//!
//! Only attributes with a value count. A sequence that is left out counts once, with all that is in it. What stands
//! behind the pixels, or behind so many elements that no object has them, is neither read nor counted.

use std::collections::{BTreeMap, HashMap};

use caim_ontology::Tag;
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_dictionary_std::StandardDataDictionary;

/// Elements of one object that are looked at behind the last wanted one, and counted in all.
pub(super) const MOST: usize = 4096;

/// Attributes below sequences that are read in part, of which so many count, each once an object.
const MOST_BELOW: usize = 128;

/// The entry of all private attributes.
const PRIVATE: &str = "private";
/// The entry of attributes that no dictionary has.
const UNKNOWN: &str = "unknown";
/// The entry of what stands before the object.
const PREAMBLE: &str = "preamble";

/// The attributes of one object that were left out.
#[derive(Debug, Default)]
pub(super) struct Passed {
    tags: Vec<Tag>,
    below: Vec<Tag>,
    private: u64,
    preamble: bool,
}

/// How often attributes were left out.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Removed {
    tags: HashMap<Tag, u64>,
    others: BTreeMap<&'static str, u64>,
}

impl Passed {
    /// Forgets an object.
    pub(super) fn clear(&mut self) {
        self.tags.clear();
        self.below.clear();
        (self.private, self.preamble) = (0, false);
    }

    /// An attribute with a value is left out.
    pub(super) fn add(&mut self, tag: Tag) {
        if tag.group % 2 == 1 {
            self.private += 1;
        } else if tag.element != 0 && self.tags.len() < MOST {
            self.tags.push(tag);
        }
    }

    /// An attribute below a sequence is left out, in one of its items or in many.
    pub(super) fn add_below(&mut self, tag: Tag) {
        if tag.element != 0 && self.below.len() < MOST_BELOW && !self.below.contains(&tag) {
            self.below.push(tag);
            self.add(tag);
        }
    }

    /// The preamble holds something.
    pub(super) fn preamble(&mut self) {
        self.preamble = true;
    }

    /// The attributes of the standard that were left out.
    #[cfg(test)]
    pub(super) fn tags(&self) -> &[Tag] {
        &self.tags
    }

    /// Whether as many were seen as are looked at.
    pub(super) fn is_full(&self) -> bool {
        self.tags.len() >= MOST
    }
}

impl Removed {
    /// Adds what was left out of an object.
    pub(super) fn add(&mut self, passed: &Passed) {
        for tag in &passed.tags {
            if self.tags.len() < MOST || self.tags.contains_key(tag) {
                *self.tags.entry(*tag).or_default() += 1;
            } else {
                *self.others.entry(UNKNOWN).or_default() += 1;
            }
        }
        if passed.private > 0 {
            *self.others.entry(PRIVATE).or_default() += passed.private;
        }
        if passed.preamble {
            *self.others.entry(PREAMBLE).or_default() += 1;
        }
    }

    /// By keyword.
    pub(super) fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let tags = self.tags.iter().map(|(tag, count)| (keyword(*tag), *count));
        tags.chain(self.others.iter().map(|(name, count)| (*name, *count)))
    }
}

/// The keyword of an attribute in the standard's dictionary (PS3.6).
fn keyword(tag: Tag) -> &'static str {
    let entry = StandardDataDictionary.by_tag(dicom_core::Tag(tag.group, tag.element));
    entry.map_or(UNKNOWN, |entry| entry.alias())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_count_by_keyword_private_ones_together_and_unknown_ones_too() {
        let mut removed = Removed::default();
        let mut passed = Passed::default();
        for _ in 0..2 {
            passed.clear();
            for tag in
                [(0x10, 0x10), (0x10, 0), (0x9, 0x10), (0x9, 0x1001), (0x0008, 0x4321), (0x6002, 0x3000)]
            {
                passed.add(Tag::new(tag.0, tag.1));
            }
            passed.preamble();
            removed.add(&passed);
        }
        let counts: BTreeMap<&str, u64> = removed.counts().collect();
        let wanted =
            [("OverlayData", 2), ("PatientName", 2), ("preamble", 2), ("private", 4), ("unknown", 2)];
        assert_eq!(counts.into_iter().collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn no_object_makes_the_list_long() {
        let (mut removed, mut passed) = (Removed::default(), Passed::default());
        for number in 1..=20_000_u16 {
            passed.add(Tag::new(0x0008, number));
            passed.add(Tag::new(0x0010, number));
        }
        assert!(passed.is_full());
        removed.add(&passed);
        assert!(removed.tags.len() <= MOST);
    }
}
