//! Reads the wanted attributes of an object's header and nothing else.
//!
//! The promise to any file: bounded memory, no recursion, no pixel, and a reason where it cannot be read. Elements are in
//! ascending order (PS3.5 section 7.1), so pixels are never reached. What follows the last wanted attribute is only
//! counted, as far as it can be read.

mod below;

use std::borrow::Cow;
use std::io::{Read, Seek};

use caim_ontology::Tag;

use super::annotation::{Kind, Noted, Tree};
use super::cells::{Cells, Form};
use super::charset::{Charset, Decoded};
use super::element::{Coding, Head, UNDEFINED, Vr};
use super::nested;
use super::prolog::{self, DIRECTORY, META, Syntax};
use super::removed::Passed;
use super::unreadable::Unreadable;
use super::wanted::{
    CHARACTER_SET, FRAMES, Leaf, SOP_CLASS, SOP_CLASS_IN_META, TRANSFER_SYNTAX, Wanted, find,
};
use super::window::Window;
use below::Below;

/// The longest value that is read: no wanted attribute has a longer one.
pub(super) const LONGEST_VALUE: u32 = 1024;

/// SOP class of a DICOMDIR (PS3.4 annex B).
const MEDIA_STORAGE_DIRECTORY: &[u8] = b"1.2.840.10008.1.3.10";

/// Length of the meta group.
const GROUP_LENGTH: u16 = 0x0000;

/// Pixels and what follows them.
pub(super) const PIXELS: u16 = 0x7FE0;

/// Where what is read of objects goes.
pub(super) struct Sheet<'s> {
    pub(super) wanted: &'s Wanted,
    /// One more row for every object.
    pub(super) cells: &'s mut Cells,
    /// What was left out of the last object.
    pub(super) passed: &'s mut Passed,
}

/// Reads an object of `length` bytes as one more row of the sheet; a file that is none leaves no row. What the object
/// notes about others is given back.
pub(super) fn scan<R: Read + Seek>(
    source: R,
    length: u64,
    block: &mut [u8],
    sheet: &mut Sheet<'_>,
) -> Result<Option<Noted>, Unreadable> {
    sheet.cells.begin_row();
    sheet.passed.clear();
    let Sheet { wanted, cells, passed } = sheet;
    let mut row = Row { wanted, cells, passed, charset: Charset::default(), noted: None };
    let read = row.read(Window::new(source, length, block), length);
    let noted = row.noted.take();
    if read.is_err() {
        sheet.cells.drop_row();
    }
    read.map(|()| noted)
}

/// The row that is being read.
struct Row<'c> {
    wanted: &'c Wanted,
    cells: &'c mut Cells,
    passed: &'c mut Passed,
    charset: Charset,
    noted: Option<Noted>,
}

impl Row<'_> {
    fn read<R: Read + Seek>(&mut self, mut window: Window<'_, R>, length: u64) -> Result<(), Unreadable> {
        if prolog::skip_preamble(&mut window)? {
            self.passed.preamble();
        }
        self.meta(&mut window)?;
        match prolog::syntax(&mut window, self.text(TRANSFER_SYNTAX))? {
            Syntax::Plain(coding) => self.data_set(&mut window, coding),
            Syntax::Deflated => self.data_set(&mut window.inflated(length)?, Coding::Explicit),
        }
    }

    /// The file meta group, which is always explicit.
    fn meta<R: Read + Seek>(&mut self, window: &mut Window<'_, R>) -> Result<(), Unreadable> {
        while let Some([a, b, ..]) = window.peek::<8>()? {
            if u16::from_le_bytes([*a, *b]) != META {
                break;
            }
            let head = Head::read(window, Coding::Explicit)?;
            if head.tag.element == GROUP_LENGTH && head.length == 4 {
                // The group ends where its elements do; but a length beyond the file is no slip.
                let claimed = u32::from_le_bytes(*window.head::<4>()?);
                window.check_claim(head.tag, claimed)?;
            }
            self.element(window, head, Coding::Explicit)?;
        }
        let class = self.text(SOP_CLASS_IN_META).map(prolog::trimmed);
        if class == Some(MEDIA_STORAGE_DIRECTORY) { Err(Unreadable::Directory) } else { Ok(()) }
    }

    /// The data set up to the last wanted attribute, and what can be read of the rest.
    fn data_set<R: Read + Seek>(
        &mut self,
        window: &mut Window<'_, R>,
        coding: Coding,
    ) -> Result<(), Unreadable> {
        let mut is_behind = false;
        while let Some(head) = next(window, coding).or_else(|e| if is_behind { Ok(None) } else { Err(e) })? {
            if head.tag.group >= PIXELS {
                break;
            }
            is_behind |= head.tag > self.wanted.last_alone() && !self.has_more();
            if head.tag.group == DIRECTORY && !is_behind {
                return Err(Unreadable::Directory);
            }
            match self.element(window, head, coding) {
                // Nothing is wanted of the rest: what is wrong with it is no loss.
                Err(_) if is_behind => break,
                Ok(()) if is_behind && self.passed.is_full() => break,
                read => read?,
            }
        }
        Ok(())
    }

    /// Whether something is wanted behind the attributes that stand alone: of frames, or of what the object notes.
    fn has_more(&self) -> bool {
        self.noted.is_some() || self.cells.last(self.wanted.slot(FRAMES)).form != Form::Absent
    }

    fn element<R: Read + Seek>(
        &mut self,
        window: &mut Window<'_, R>,
        head: Head,
        coding: Coding,
    ) -> Result<(), Unreadable> {
        if self.noted.is_some() && nested::is_sequence(head) && Tree::wants(head.tag) {
            return self.note(window, head, coding);
        }
        let wanted = self.wanted;
        match find(wanted.top(), head.tag) {
            Some(node) if !node.items.is_empty() && nested::is_sequence(head) => {
                nested::walk(window, head, coding, &mut Below::new(self, node))
            }
            Some(node) if !node.leaves.is_empty() && head.length != UNDEFINED => {
                self.value(window, head, coding, &node.leaves, false)?;
                if head.tag == SOP_CLASS {
                    self.noted = self.text(SOP_CLASS).and_then(Kind::of).map(Noted::new);
                }
                Ok(())
            }
            Some(_) | None => self.pass(window, head, coding),
        }
    }

    /// Leaves an element out.
    fn pass<R: Read + Seek>(
        &mut self,
        window: &mut Window<'_, R>,
        head: Head,
        coding: Coding,
    ) -> Result<(), Unreadable> {
        if head.length == UNDEFINED {
            nested::skip(window, head, coding)?;
        } else {
            nested::skip_value(window, head)?;
        }
        if head.length > 0 {
            self.passed.add(head.tag);
        }
        Ok(())
    }

    /// A wanted value; below sequences one of several.
    fn value<R: Read + Seek>(
        &mut self,
        window: &mut Window<'_, R>,
        head: Head,
        coding: Coding,
        leaves: &[Leaf],
        is_nested: bool,
    ) -> Result<(), Unreadable> {
        window.check_claim(head.tag, head.length)?;
        if head.length > 0 && !leaves.iter().any(|leaf| leaf.stored) {
            self.passed.add(head.tag);
        }
        if head.length > LONGEST_VALUE {
            leaves.iter().for_each(|leaf| self.set(*leaf, Form::Broken, &[], coding, is_nested));
            return window.skip(head.length);
        }
        let value = window.need(head.length as usize)?;
        if head.tag == CHARACTER_SET && !is_nested {
            self.charset = Charset::of(value);
        }
        for leaf in leaves {
            let value = leaf.part.of(value);
            match Form::of(head.vr, leaf.vr) {
                Form::Text => {
                    let (form, text) = decoded(self.charset, leaf.vr, value);
                    self.set(*leaf, form, &text, Coding::Explicit, is_nested);
                }
                form => self.set(*leaf, form, value, coding, is_nested),
            }
        }
        window.advance(head.length as usize);
        Ok(())
    }

    fn set(&mut self, leaf: Leaf, form: Form, value: &[u8], coding: Coding, is_nested: bool) {
        if is_nested {
            self.cells.merge(leaf.slot, form, value, coding, leaf.largest);
        } else {
            self.cells.set(leaf.slot, form, value, coding);
        }
    }

    /// A sequence that says what the object notes.
    fn note<R: Read + Seek>(
        &mut self,
        window: &mut Window<'_, R>,
        head: Head,
        coding: Coding,
    ) -> Result<(), Unreadable> {
        let Some(noted) = &mut self.noted else { return Ok(()) };
        nested::walk(window, head, coding, &mut noted.growing(self.charset, self.passed))
    }

    /// What was read of an attribute of the meta group.
    fn text(&self, tag: Tag) -> Option<&[u8]> {
        let raw = self.cells.last(self.wanted.slot(tag));
        (raw.form == Form::Text).then_some(raw.bytes)
    }
}

/// The head of the next element. Less than a head at the end is padding.
pub(super) fn next<R: Read + Seek>(
    window: &mut Window<'_, R>,
    coding: Coding,
) -> Result<Option<Head>, Unreadable> {
    if window.is_at_end()? || window.peek::<8>()?.is_none() {
        return Ok(None);
    }
    Head::read(window, coding).map(Some)
}

/// Text in UTF-8. Only some value representations may use another character set than the default one.
pub(super) fn decoded(charset: Charset, vr: Vr, value: &[u8]) -> (Form, Cow<'_, [u8]>) {
    let is_plain = value.iter().all(|byte| byte.is_ascii() && *byte != Charset::ESCAPE);
    if is_plain || !Charset::concerns(vr) {
        return (Form::Text, Cow::Borrowed(value));
    }
    match charset.decode(value) {
        Decoded::Text(text) => (Form::Text, Cow::Owned(text.into_bytes())),
        Decoded::Guessed(text) => (Form::Guessed, Cow::Owned(text.into_bytes())),
        Decoded::Broken => (Form::Broken, Cow::Borrowed(&[])),
    }
}

#[cfg(test)]
mod tests;
