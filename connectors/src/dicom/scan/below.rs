//! Wanted attributes of the items of a sequence: merged into the row while they go by.

use std::io::{Read, Seek};

use caim_ontology::Tag;

use super::Row;
use crate::dicom::element::{Coding, Head};
use crate::dicom::nested::{self, Items};
use crate::dicom::unreadable::Unreadable;
use crate::dicom::wanted::{Node, find};
use crate::dicom::window::Window;

/// Reads wanted attributes of the items of a sequence.
pub(super) struct Below<'r, 'c> {
    row: &'r mut Row<'c>,
    top: &'c Node,
    /// The sequences around the present item, the innermost last.
    around: Vec<&'c Node>,
}

impl<'r, 'c> Below<'r, 'c> {
    pub(super) fn new(row: &'r mut Row<'c>, top: &'c Node) -> Self {
        Self { row, top, around: Vec::new() }
    }

    fn find(&self, tag: Tag) -> Option<&Node> {
        self.around.last().and_then(|node| find(&node.items, tag))
    }
}

impl Items for Below<'_, '_> {
    fn wants(&self, sequence: Tag) -> bool {
        self.find(sequence).is_some_and(|node| !node.items.is_empty())
    }

    fn enter(&mut self, sequence: Tag) {
        let inner = self.around.last().map_or(Some(self.top), |node| find(&node.items, sequence));
        self.around.extend(inner);
    }

    fn leave(&mut self) {
        self.around.pop();
    }

    fn element<R: Read + Seek>(
        &mut self,
        window: &mut Window<'_, R>,
        head: Head,
        coding: Coding,
    ) -> Result<(), Unreadable> {
        let wanted = self.around.last().and_then(|node| find(&node.items, head.tag));
        if let Some(node) = wanted.filter(|node| !node.leaves.is_empty()) {
            return self.row.value(window, head, coding, &node.leaves, true);
        }
        self.row.passed.add_below(head.tag);
        nested::skip_value(window, head)
    }

    fn passed(&mut self, sequence: Tag) {
        self.row.passed.add_below(sequence);
    }
}
