//! What was read of objects: for every row and wanted attribute the bytes of its value, in one buffer.

use super::element::{Coding, Vr};

/// How the bytes of a value are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The object does not have the attribute.
    Absent,
    /// It has, but in a form that is not read: too long, or in another character set than it says.
    Broken,
    /// UTF-8, or bytes of the default repertoire.
    Text,
    /// UTF-8 that had to be guessed at.
    Guessed,
    /// Numbers of this kind, least byte first.
    Binary(Number),
}

/// Kinds of binary numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
}

/// A value as it stands in an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Raw<'a> {
    pub(super) form: Form,
    pub(super) bytes: &'a [u8],
}

/// Rows of wanted attributes.
#[derive(Debug)]
pub(super) struct Cells {
    width: usize,
    cells: Vec<Cell>,
    bytes: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Cell {
    form: Form,
    start: u32,
    length: u32,
}

impl Cell {
    const ABSENT: Self = Self { form: Form::Absent, start: 0, length: 0 };
}

impl Form {
    /// The form of a value with this value representation, which is `usual` where the object says nothing useful.
    pub(super) fn of(vr: Vr, usual: Vr) -> Self {
        match &vr.0 {
            b"US" => Self::Binary(Number::U16),
            b"SS" => Self::Binary(Number::I16),
            b"UL" => Self::Binary(Number::U32),
            b"SL" => Self::Binary(Number::I32),
            b"UV" => Self::Binary(Number::U64),
            b"SV" => Self::Binary(Number::I64),
            b"FL" => Self::Binary(Number::F32),
            b"FD" => Self::Binary(Number::F64),
            b"SQ" | b"AT" | b"OD" | b"OF" | b"OL" | b"OV" => Self::Broken,
            _ if vr != usual && !is_text(vr) => Self::of(usual, usual),
            _ => Self::Text,
        }
    }
}

/// Whether values of this value representation are characters.
fn is_text(vr: Vr) -> bool {
    const TEXT: &[u8] = b"AE AS CS DA DS DT IS LO LT PN SH ST TM UC UI UR UT ";
    TEXT.chunks_exact(3).any(|known| known.starts_with(&vr.0))
}

impl Number {
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }
}

impl Cells {
    /// No rows of so many attributes.
    pub(super) fn new(width: usize) -> Self {
        Self { width, cells: Vec::new(), bytes: Vec::new() }
    }

    pub(super) fn rows(&self) -> usize {
        self.cells.len() / self.width.max(1)
    }

    /// Begins a row, to which values are added.
    pub(super) fn begin_row(&mut self) {
        self.cells.resize(self.cells.len() + self.width, Cell::ABSENT);
    }

    /// Takes the last row away.
    pub(super) fn drop_row(&mut self) {
        let kept = self.cells.len().saturating_sub(self.width);
        let first = self.cells.drain(kept..).filter(|cell| cell.length > 0).map(|cell| cell.start).min();
        if let Some(first) = first {
            self.bytes.truncate(first as usize);
        }
    }

    /// Sets a value of the last row; the first one stays.
    pub(super) fn set(&mut self, slot: usize, form: Form, value: &[u8], coding: Coding) {
        let start = self.bytes.len();
        match form {
            Form::Absent | Form::Broken => {}
            Form::Binary(number) if coding == Coding::ExplicitBig => {
                let numbers = value.chunks(number.bytes());
                numbers.for_each(|number| self.bytes.extend(number.iter().rev()));
            }
            Form::Binary(_) | Form::Text | Form::Guessed => self.bytes.extend_from_slice(value),
        }
        let length = self.bytes.len() - start;
        let row = self.cells.len().saturating_sub(self.width);
        let place = (u32::try_from(start), u32::try_from(length));
        match (self.cells.get_mut(row + slot), place) {
            (Some(cell), (Ok(start), Ok(length))) if cell.form == Form::Absent => {
                *cell = Cell { form, start, length };
            }
            _ => self.bytes.truncate(start),
        }
    }

    /// A value of the last row.
    pub(super) fn last(&self, slot: usize) -> Raw<'_> {
        self.get(self.rows().saturating_sub(1), slot)
    }

    /// A value.
    pub(super) fn get(&self, row: usize, slot: usize) -> Raw<'_> {
        let cell = self.cells.get((row * self.width).saturating_add(slot)).copied().unwrap_or(Cell::ABSENT);
        let bytes = self.bytes.get(cell.start as usize..).and_then(|bytes| bytes.get(..cell.length as usize));
        Raw { form: cell.form, bytes: bytes.unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(raw: Raw<'_>) -> (Form, &str) {
        (raw.form, std::str::from_utf8(raw.bytes).unwrap())
    }

    #[test]
    fn rows_keep_their_values_apart_and_a_dropped_row_leaves_nothing() {
        let mut cells = Cells::new(2);
        for value in ["a", "dropped", "c"] {
            cells.begin_row();
            cells.set(1, Form::Text, value.as_bytes(), Coding::Explicit);
            cells.set(1, Form::Text, b"second", Coding::Explicit);
            if value == "dropped" {
                cells.drop_row();
            }
        }
        assert_eq!(cells.rows(), 2);
        assert_eq!(text(cells.get(0, 1)), (Form::Text, "a"));
        assert_eq!(text(cells.get(1, 1)), (Form::Text, "c"));
        assert_eq!(text(cells.last(0)), (Form::Absent, ""));
        assert_eq!(cells.bytes, b"ac");
    }

    #[test]
    fn binary_numbers_are_kept_with_the_least_byte_first() {
        let mut cells = Cells::new(1);
        cells.begin_row();
        cells.set(0, Form::Binary(Number::U16), &[1, 2, 3, 4], Coding::ExplicitBig);
        assert_eq!(cells.last(0).bytes, [2, 1, 4, 3]);
    }

    #[test]
    fn what_the_object_does_not_say_the_dictionary_says() {
        let of = |vr: &[u8; 2], usual: &[u8; 2]| Form::of(Vr(*vr), Vr(*usual));
        assert_eq!(of(b"\0\0", b"US"), Form::Binary(Number::U16));
        assert_eq!(of(b"UN", b"FD"), Form::Binary(Number::F64));
        assert_eq!(of(b"ZZ", b"LO"), Form::Text);
        assert_eq!(of(b"IS", b"US"), Form::Text);
        assert_eq!(of(b"FL", b"DS"), Form::Binary(Number::F32));
        assert_eq!(of(b"SQ", b"LO"), Form::Broken);
    }
}
