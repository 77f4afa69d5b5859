//! The scanner against objects made to kill it, against real objects and their mutations, and against dicom-rs.

mod hostile;
mod objects;
mod real;

use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::sync::LazyLock;

use caim_ontology::{Models, Tag};

use super::super::annotation::Noted;
use super::super::cells::{Cells, Form};
use super::super::removed::Passed;
use super::super::unreadable::Unreadable;
use super::super::wanted::Wanted;
use super::super::window::BLOCK_BYTES;

/// A source that counts the bytes it hands out.
struct Counted<'b> {
    bytes: Cursor<&'b [u8]>,
    read: usize,
}

impl Read for Counted<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(room)?;
        self.read += read;
        Ok(read)
    }
}

impl Seek for Counted<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(to)
    }
}

/// What the scanner made of an object.
struct Scanned {
    wanted: &'static Wanted,
    cells: Cells,
    outcome: Result<(), Unreadable>,
    noted: Option<Noted>,
    passed: Passed,
    /// Bytes of the file that were read.
    read: usize,
}

static WANTED: LazyLock<Wanted> =
    LazyLock::new(|| Wanted::of(Models::bundled().unwrap().table("dicom", "instance").unwrap()));

fn scan(bytes: &[u8]) -> Scanned {
    let wanted = &*WANTED;
    let mut cells = Cells::new(wanted.len());
    let mut source = Counted { bytes: Cursor::new(bytes), read: 0 };
    let mut passed = Passed::default();
    let mut sheet = super::Sheet { wanted, cells: &mut cells, passed: &mut passed };
    let read = super::scan(&mut source, bytes.len() as u64, &mut [0; BLOCK_BYTES], &mut sheet);
    let (noted, outcome) = match read {
        Ok(noted) => (noted, Ok(())),
        Err(reason) => (None, Err(reason)),
    };
    assert_eq!(cells.rows(), usize::from(outcome.is_ok()), "a row for every object and no half one");
    Scanned { read: source.read, wanted, cells, outcome, noted, passed }
}

impl Scanned {
    /// The text of an attribute.
    #[track_caller]
    fn text(&self, tag: Tag) -> &str {
        let raw = self.cells.last(self.wanted.slot(tag));
        assert!(matches!(raw.form, Form::Text | Form::Guessed), "{tag} is {:?}", raw.form);
        std::str::from_utf8(raw.bytes).unwrap().trim_end_matches(['\0', ' '])
    }

    fn form(&self, tag: Tag) -> Form {
        self.cells.last(self.wanted.slot(tag)).form
    }
}

/// The stable word of a reason.
fn word(outcome: &Result<(), Unreadable>) -> String {
    match outcome {
        Ok(()) => "ok".to_owned(),
        Err(reason) => reason.to_string().split(':').next().unwrap().to_owned(),
    }
}
