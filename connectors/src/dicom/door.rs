//! The header of an object that arrives as a stream: cut off before its pixels, and written without what nobody wants.
//!
//! What is written is an object that the scanner reads as it would read the whole one: the same cells, the same counts of
//! what is left out. Of an attribute that no column has only its tag is written; of a value longer than any column has,
//! the beginning. Sequences in which something is wanted are written whole. Pixels are not reached.

use std::io::{self, Read, Seek, SeekFrom, Write};

use caim_ontology::{Models, Tag};
use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::annotation::Tree;
use super::cells::Cells;
use super::columns::{self, Repertoire};
use super::element::{Coding, Head, UNDEFINED, Vr};
use super::nested;
use super::prolog::{self, META, Syntax};
use super::removed::Passed;
use super::scan::{LONGEST_VALUE, PIXELS, Sheet, next, scan};
use super::unreadable::Unreadable;
use super::wanted::{SOP_CLASS, SOP_INSTANCE, TRANSFER_SYNTAX, Wanted, find};
use super::window::{BLOCK_BYTES, Window};
use super::{INSTANCE, SCHEMA};
use crate::source::Header;
use crate::values::Reading;
use crate::{Code, Error};

const SEQUENCE_END: Tag = Tag::new(0xFFFE, 0xE0DD);
/// A stream does not say how long it is.
const ENDLESS: u64 = u64::MAX >> 2;
/// What is written of a value that is longer than any that is read: enough to show that it is.
const SHORTENED: u32 = LONGEST_VALUE + 2;

/// Cuts headers for one table of instances.
pub(crate) struct Door {
    wanted: Wanted,
}

impl Door {
    /// For the instances of the models.
    pub(crate) fn new(models: &Models) -> crate::Result<Self> {
        let table = models.table(SCHEMA, INSTANCE).map_err(|e| Error::new(Code::Model, SCHEMA, e))?;
        Ok(Self { wanted: Wanted::of(table) })
    }

    /// Writes the header of the data set that `stream` begins with, as a file in the same transfer syntax. The rest of the
    /// stream is left in it.
    pub(crate) fn cut(&self, stream: impl Read, syntax: &str, out: &mut dyn Write) -> Result<(), Unreadable> {
        begin(syntax, out)?;
        let (mut block, stream) = ([0; BLOCK_BYTES], Forward { stream, at: 0 });
        let window = Window::new(stream, ENDLESS, &mut block);
        if prolog::is_deflated(syntax) {
            let mut deflated = DeflateEncoder::new(out, Compression::fast());
            let mut window = window.copying(&mut deflated).inflated(ENDLESS)?;
            self.data_set(&mut window, Coding::Explicit)?;
            deflated.finish()?;
            return Ok(());
        }
        let mut window = window.copying(out);
        match prolog::syntax(&mut window, Some(syntax.as_bytes()))? {
            Syntax::Plain(coding) => self.data_set(&mut window, coding),
            Syntax::Deflated => Err(Unreadable::TransferSyntax),
        }
    }

    /// The SOP class and instance of an object that was cut, if it would come in as a file.
    pub(crate) fn check(&self, object: Header) -> Result<(String, String), Unreadable> {
        let (mut cells, mut passed) = (Cells::new(self.wanted.len()), Passed::default());
        let (length, mut block) = (object.length()?, [0; BLOCK_BYTES]);
        let mut sheet = Sheet { wanted: &self.wanted, cells: &mut cells, passed: &mut passed };
        let noted = scan(object, length, &mut block, &mut sheet)?;
        noted.map(|noted| noted.rows(0)).transpose()?;
        let uid = |tag| match columns::text(cells.last(self.wanted.slot(tag)), Repertoire::Uid) {
            Reading::Value(uid) => Some(uid.into_owned()),
            Reading::Missing | Reading::Unreadable => None,
        };
        let instance = uid(SOP_INSTANCE).ok_or(Unreadable::NoInstanceUid)?;
        Ok((uid(SOP_CLASS).unwrap_or_default(), instance))
    }

    /// The elements before the pixels.
    fn data_set<R: Read + Seek>(&self, window: &mut Window<'_, R>, coding: Coding) -> Result<(), Unreadable> {
        let mut is_behind = false;
        while let Some(head) = next(window, coding).or_else(|e| if is_behind { Ok(None) } else { Err(e) })? {
            if head.tag.group >= PIXELS {
                break;
            }
            is_behind = head.tag > self.wanted.last_alone();
            let part = self.part(head);
            match part.write(window, head, coding) {
                // As in a file: what is wrong behind all that is wanted is no loss.
                Err(_) if is_behind && part == Part::Tag => break,
                written => written?,
            }
        }
        window.put(&[])
    }

    /// How much of an element is written.
    fn part(&self, head: Head) -> Part {
        let node = find(self.wanted.top(), head.tag);
        let leads_on = node.is_some_and(|node| !node.items.is_empty()) || Tree::wants(head.tag);
        if head.tag.group <= META {
            Part::Nothing
        } else if leads_on && nested::is_sequence(head) {
            Part::Whole
        } else if head.length != UNDEFINED && node.is_some_and(|node| !node.leaves.is_empty()) {
            Part::Value
        } else {
            Part::Tag
        }
    }
}

/// How much of an element is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Nothing: messages and files have groups of their own.
    Nothing,
    /// That it has a value.
    Tag,
    /// The value, unless it is longer than any that is read.
    Value,
    /// The sequence with all that is in it.
    Whole,
}

impl Part {
    fn write<R: Read + Seek>(
        self,
        window: &mut Window<'_, R>,
        head: Head,
        coding: Coding,
    ) -> Result<(), Unreadable> {
        match self {
            Self::Nothing => skip(window, head, coding),
            Self::Tag => {
                skip(window, head, coding)?;
                window.put(&stub(head, coding))
            }
            Self::Value => {
                let length = head.length.min(SHORTENED);
                window.put(&Head { length, ..head }.bytes(coding))?;
                window.keep(true);
                let kept = window.skip(length);
                window.keep(false);
                kept?;
                window.skip(head.length - length)
            }
            Self::Whole => {
                window.put(&head.bytes(coding))?;
                window.keep(true);
                let kept = skip(window, head, coding);
                window.keep(false);
                kept?;
                window.put(&[])
            }
        }
    }
}

fn skip<R: Read + Seek>(window: &mut Window<'_, R>, head: Head, coding: Coding) -> Result<(), Unreadable> {
    if head.length == UNDEFINED {
        nested::skip(window, head, coding)
    } else {
        nested::skip_value(window, head)
    }
}

/// An element that has a value if the other one has: a sequence without items, or two spaces.
fn stub(head: Head, coding: Coding) -> Vec<u8> {
    if head.length == 0 {
        return head.bytes(coding);
    }
    if head.length == UNDEFINED || head.vr == Vr(*b"SQ") {
        let end = Head { tag: SEQUENCE_END, vr: Vr::NONE, length: 0 };
        // The items of UN are implicit (PS3.5 section 6.2.2).
        let inner = if head.vr == Vr::UN { Coding::Implicit } else { coding };
        return [Head { length: UNDEFINED, ..head }.bytes(coding), end.bytes(inner)].concat();
    }
    [Head { length: 2, ..head }.bytes(coding), b"  ".to_vec()].concat()
}

/// Preamble and what is read of the meta group (PS3.10 section 7.1).
fn begin(syntax: &str, out: &mut dyn Write) -> io::Result<()> {
    let padded = syntax.len().next_multiple_of(2);
    let length = u32::try_from(padded).map_err(|_| io::ErrorKind::InvalidInput)?;
    out.write_all(&[0; prolog::PREAMBLE_BYTES])?;
    out.write_all(prolog::MAGIC)?;
    out.write_all(&Head { tag: TRANSFER_SYNTAX, vr: Vr(*b"UI"), length }.bytes(Coding::Explicit))?;
    out.write_all(syntax.as_bytes())?;
    out.write_all(&[0][..padded - syntax.len()])
}

/// A stream whose bytes are skipped by reading them.
struct Forward<S> {
    stream: S,
    at: u64,
}

impl<S: Read> Read for Forward<S> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(room)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl<S: Read> Seek for Forward<S> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(to) => Some(to),
            SeekFrom::Current(step) => self.at.checked_add_signed(step),
            SeekFrom::End(_) => None,
        };
        let ahead = to.and_then(|to| to.checked_sub(self.at)).ok_or(io::ErrorKind::Unsupported)?;
        if io::copy(&mut self.by_ref().take(ahead), &mut io::sink())? < ahead {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests;
