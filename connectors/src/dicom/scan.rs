//! Reads the wanted attributes of an object's header and nothing else.
//!
//! The promise to any file: bounded memory, no recursion, no byte behind the last wanted attribute, and a reason
//! where it cannot be read. Elements are in ascending order (PS3.5 section 7.1), so pixels are never reached.

use std::io::{Read, Seek};

use super::cells::{Cells, Form};
use super::charset::{Charset, Decoded};
use super::element::{Coding, Head, UNDEFINED, Vr};
use super::nested;
use super::prolog::{self, DIRECTORY, META, Syntax};
use super::unreadable::Unreadable;
use super::wanted::{CHARACTER_SET, SOP_CLASS_IN_META, TRANSFER_SYNTAX, Wanted};
use super::window::Window;

/// The longest value that is read: no wanted attribute has a longer one.
pub(super) const LONGEST_VALUE: u32 = 1024;

/// SOP class of a DICOMDIR (PS3.4 annex B).
const MEDIA_STORAGE_DIRECTORY: &[u8] = b"1.2.840.10008.1.3.10";

/// Length of the meta group.
const GROUP_LENGTH: u16 = 0x0000;

/// Reads an object of `length` bytes as one more row of `cells`; a file that is none leaves no row.
pub(super) fn scan<R: Read + Seek>(
    source: R,
    length: u64,
    wanted: &Wanted,
    block: &mut [u8],
    cells: &mut Cells,
) -> Result<(), Unreadable> {
    cells.begin_row();
    let mut row = Row { wanted, cells, charset: Charset::default() };
    let read = row.read(Window::new(source, length, block), length);
    if read.is_err() {
        cells.drop_row();
    }
    read
}

/// The row that is being read.
struct Row<'c> {
    wanted: &'c Wanted,
    cells: &'c mut Cells,
    charset: Charset,
}

impl Row<'_> {
    fn read<R: Read + Seek>(&mut self, mut window: Window<'_, R>, length: u64) -> Result<(), Unreadable> {
        prolog::skip_preamble(&mut window)?;
        self.meta(&mut window)?;
        match prolog::syntax(&mut window, self.text(TRANSFER_SYNTAX))? {
            Syntax::Plain(coding) => self.elements(&mut window, coding),
            Syntax::Deflated => self.elements(&mut window.inflated(length)?, Coding::Explicit),
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

    /// The data set, as far as something is wanted of it. Less than the head of an element is padding.
    fn elements<R: Read + Seek>(
        &mut self,
        window: &mut Window<'_, R>,
        coding: Coding,
    ) -> Result<(), Unreadable> {
        while !window.is_at_end()? && window.peek::<8>()?.is_some() {
            let head = Head::read(window, coding)?;
            if head.tag.group == DIRECTORY {
                return Err(Unreadable::Directory);
            }
            if head.tag > self.wanted.last() {
                break;
            }
            self.element(window, head, coding)?;
        }
        Ok(())
    }

    fn element<R: Read + Seek>(
        &mut self,
        window: &mut Window<'_, R>,
        head: Head,
        coding: Coding,
    ) -> Result<(), Unreadable> {
        if head.length == UNDEFINED {
            return nested::skip(window, head, coding);
        }
        window.check_claim(head.tag, head.length)?;
        match self.wanted.find(head.tag) {
            None => window.skip(head.length),
            Some((slot, _)) if head.length > LONGEST_VALUE => {
                self.cells.set(slot, Form::Broken, &[], coding);
                window.skip(head.length)
            }
            Some((slot, usual)) => {
                let value = window.need(head.length as usize)?;
                match Form::of(head.vr, usual) {
                    Form::Text => self.set_text(slot, head, usual, value),
                    form => self.cells.set(slot, form, value, coding),
                }
                window.advance(head.length as usize);
                Ok(())
            }
        }
    }

    /// Text in UTF-8. Only some value representations may use another character set than the default one.
    fn set_text(&mut self, slot: usize, head: Head, usual: Vr, value: &[u8]) {
        let coding = Coding::Explicit;
        if head.tag == CHARACTER_SET {
            self.charset = Charset::of(value);
        }
        let is_plain = value.iter().all(|byte| byte.is_ascii() && *byte != Charset::ESCAPE);
        if is_plain || !Charset::concerns(usual) {
            return self.cells.set(slot, Form::Text, value, coding);
        }
        match self.charset.decode(value) {
            Decoded::Text(text) => self.cells.set(slot, Form::Text, text.as_bytes(), coding),
            Decoded::Guessed(text) => self.cells.set(slot, Form::Guessed, text.as_bytes(), coding),
            Decoded::Broken => self.cells.set(slot, Form::Broken, &[], coding),
        }
    }

    /// What was read of an attribute of the meta group.
    fn text(&self, tag: caim_ontology::Tag) -> Option<&[u8]> {
        let raw = self.cells.last(self.wanted.slot(tag));
        (raw.form == Form::Text).then_some(raw.bytes)
    }
}

#[cfg(test)]
mod tests;
