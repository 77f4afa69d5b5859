//! The binary form of `COPY ... TO STDOUT`, row by row (PostgreSQL documentation, SQL commands, COPY, file formats).

use std::io::{self, BufRead, Read};
use std::ops::Range;

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Bytes of a row, at most.
const ROW_BYTES: usize = 16 << 20;

/// The rows of a COPY.
pub(super) struct Tuples<R> {
    reader: R,
    fields: usize,
    /// The row as it came: lengths and values.
    row: Vec<u8>,
    places: Vec<Option<Range<usize>>>,
}

impl<R: BufRead> Tuples<R> {
    /// Reads what stands before the first row; each row has `fields` values.
    pub(super) fn new(mut reader: R, fields: usize) -> io::Result<Self> {
        let mut head = [0; 19];
        reader.read_exact(&mut head)?;
        let (signature, rest) = head.split_at(SIGNATURE.len());
        if signature != SIGNATURE || rest[..4] != [0; 4] {
            return Err(fault("it does not answer in the binary form of COPY"));
        }
        let extension = u32::from_be_bytes([rest[4], rest[5], rest[6], rest[7]]);
        io::copy(&mut reader.by_ref().take(u64::from(extension)), &mut io::sink())?;
        Ok(Self { reader, fields, row: Vec::new(), places: Vec::new() })
    }

    /// Steps to the next row; false at the end.
    pub(super) fn step(&mut self) -> io::Result<bool> {
        let mut count = [0; 2];
        self.reader.read_exact(&mut count)?;
        let count = i16::from_be_bytes(count);
        if count == -1 {
            return Ok(false);
        }
        if usize::try_from(count) != Ok(self.fields) {
            return Err(fault("a row has another number of values than was asked for"));
        }
        self.row.clear();
        self.places.clear();
        for _ in 0..self.fields {
            let place = self.field()?;
            self.places.push(place);
        }
        Ok(true)
    }

    /// The row as it came, which is all that decides its content.
    pub(super) fn row(&self) -> &[u8] {
        &self.row
    }

    /// A value of the row; `None` is NULL.
    pub(super) fn value(&self, field: usize) -> Option<&[u8]> {
        let place = self.places.get(field)?.clone()?;
        self.row.get(place)
    }

    fn field(&mut self) -> io::Result<Option<Range<usize>>> {
        let mut length = [0; 4];
        self.reader.read_exact(&mut length)?;
        self.row.extend_from_slice(&length);
        let Ok(bytes) = usize::try_from(i32::from_be_bytes(length)) else { return Ok(None) };
        let from = self.row.len();
        if from + bytes > ROW_BYTES {
            return Err(fault("a row has more than 16 MiB"));
        }
        self.row.resize(from + bytes, 0);
        self.reader.read_exact(self.row.get_mut(from..).unwrap_or_default())?;
        Ok(Some(from..from + bytes))
    }
}

fn fault(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(rows: &[u8]) -> Vec<u8> {
        [&SIGNATURE[..], &[0; 8], rows].concat()
    }

    #[test]
    fn rows_come_with_their_values_until_the_trailer() {
        let bytes = stream(&[0, 2, 0, 0, 0, 1, b'x', 255, 255, 255, 255, 255, 255]);
        let mut tuples = Tuples::new(&bytes[..], 2).unwrap();
        assert!(tuples.step().unwrap());
        assert_eq!((tuples.value(0), tuples.value(1), tuples.value(2)), (Some(&b"x"[..]), None, None));
        assert!(!tuples.step().unwrap());
    }

    #[test]
    fn a_stream_that_is_cut_or_lies_is_an_error_at_every_byte() {
        let bytes = stream(&[0, 1, 0, 0, 0, 2, b'x', b'y', 255, 255]);
        for length in 0..bytes.len() {
            let read = || -> io::Result<()> {
                let mut tuples = Tuples::new(&bytes[..length], 1)?;
                while tuples.step()? {}
                Ok(())
            };
            assert!(read().is_err(), "{length} bytes");
        }
        let huge = stream(&[0, 1, 127, 255, 255, 255]);
        assert!(Tuples::new(&huge[..], 1).unwrap().step().unwrap_err().to_string().contains("16 MiB"));
    }
}
