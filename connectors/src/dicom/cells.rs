//! What was read of objects: for every row and wanted attribute the bytes of its value, in one buffer.

use super::element::{Coding, Vr};

/// How the bytes of a value are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The object does not have the attribute.
    Absent,
    /// It has, but in a form that is not read: too long, or in another character set than it says.
    Broken,
    /// It has several, one a frame or item, which differ.
    Differing,
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
            Form::Absent | Form::Broken | Form::Differing => {}
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

    /// Adds what an item or frame says to a value of the last row. Where they differ, the largest number stands if
    /// that is wanted, else none.
    pub(super) fn merge(&mut self, slot: usize, form: Form, value: &[u8], coding: Coding, largest: bool) {
        let known = self.last(slot).form;
        if known == Form::Absent {
            return self.set(slot, form, value, coding);
        }
        // Of rows that are being read only the last value can be taken away again.
        let (start, first) = (self.bytes.len(), self.rows().saturating_sub(1) * self.width);
        let kept = self.cells.get(first + slot).copied();
        self.set_cell(first + slot, Cell::ABSENT);
        self.set(slot, form, value, coding);
        let (Some(kept), Some(new)) = (kept, self.cells.get(first + slot).copied()) else { return };
        let same = known == form && self.value(kept) == self.value(new);
        let is_larger = largest && known == form && larger(form, self.value(new), self.value(kept));
        if is_larger && kept.length == new.length {
            let (from, to) = (new.start as usize, kept.start as usize);
            self.bytes.copy_within(from..from + new.length as usize, to);
        }
        self.bytes.truncate(start);
        let stands = same || (largest && known == form && kept.length == new.length);
        self.set_cell(
            first + slot,
            if stands { kept } else { Cell { form: Form::Differing, ..Cell::ABSENT } },
        );
    }

    fn set_cell(&mut self, at: usize, cell: Cell) {
        if let Some(place) = self.cells.get_mut(at) {
            *place = cell;
        }
    }

    fn value(&self, cell: Cell) -> &[u8] {
        let bytes = self.bytes.get(cell.start as usize..).and_then(|bytes| bytes.get(..cell.length as usize));
        bytes.unwrap_or_default()
    }

    /// A value of the last row.
    pub(super) fn last(&self, slot: usize) -> Raw<'_> {
        self.get(self.rows().saturating_sub(1), slot)
    }

    /// A value.
    pub(super) fn get(&self, row: usize, slot: usize) -> Raw<'_> {
        let cell = self.cells.get((row * self.width).saturating_add(slot)).copied().unwrap_or(Cell::ABSENT);
        Raw { form: cell.form, bytes: self.value(cell) }
    }
}

/// Whether the first number of one value is larger than that of another.
fn larger(form: Form, value: &[u8], than: &[u8]) -> bool {
    let number = |bytes: &[u8]| match form {
        Form::Binary(Number::F64) => bytes.first_chunk().map(|bytes| f64::from_le_bytes(*bytes)),
        Form::Binary(Number::F32) => bytes.first_chunk().map(|bytes| f64::from(f32::from_le_bytes(*bytes))),
        _ => None,
    };
    matches!((number(value), number(than)), (Some(value), Some(than)) if value > than)
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
    fn frames_agree_on_a_value_or_the_largest_stands_or_none_does() {
        let mut cells = Cells::new(3);
        cells.begin_row();
        let float = Form::Binary(Number::F64);
        for (agreed, b) in [("1.5", 0.0_f64), ("1.5", 800.0), ("1.5", 50.0)] {
            cells.merge(0, Form::Text, agreed.as_bytes(), Coding::Explicit, false);
            cells.merge(1, float, &b.to_be_bytes(), Coding::ExplicitBig, true);
            cells.merge(2, float, &b.to_le_bytes(), Coding::Explicit, false);
        }
        assert_eq!(text(cells.last(0)), (Form::Text, "1.5"));
        assert_eq!(cells.last(1).bytes, 800.0_f64.to_le_bytes());
        assert_eq!(cells.last(2), Raw { form: Form::Differing, bytes: b"" });
        assert_eq!(cells.bytes.len(), 3 + 8 + 8, "what is compared leaves nothing");
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
