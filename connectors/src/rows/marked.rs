//! A file that hands out an end mark of its own and no more than so many bytes a row.
//!
//! A CSV reader does not tell a quoted field that the end of the file closed from one that a quote closed, and
//! would read gigabytes into one field after a stray quote. With a mark behind the last line, a row that
//! swallowed the mark is such a row; and a row's allowance bounds what is read before that is known.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// A file with an end mark.
pub(super) struct Marked {
    file: File,
    mark: Vec<u8>,
    handed_out: usize,
    row_bytes: usize,
    allowance: usize,
}

impl Marked {
    /// The file from byte `start` on, with so many bytes a row. The mark is random: no file can hold it.
    pub(super) fn new(mut file: File, start: u64, row_bytes: usize) -> io::Result<Self> {
        file.seek(SeekFrom::Start(start))?;
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let mark = format!("\nend-{}", hex::encode(random)).into_bytes();
        Ok(Self { file, mark, handed_out: 0, row_bytes, allowance: row_bytes })
    }

    /// The next row may take the full allowance again.
    pub(super) fn renew(&mut self) {
        self.allowance = self.row_bytes;
    }

    /// Whether the last row ran into its allowance.
    pub(super) fn is_exhausted(&self) -> bool {
        self.allowance == 0
    }

    /// Whether `row` ends with the mark: alone, it is the regular end; with something before it, it is a row
    /// that was never closed.
    pub(super) fn ends(&self, row: &[u8]) -> bool {
        // Most rows are read before the mark is handed out: one comparison each.
        self.handed_out == self.mark.len() && row.ends_with(self.text())
    }

    /// The mark without its line end.
    pub(super) fn text(&self) -> &[u8] {
        self.mark.get(1..).unwrap_or_default()
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }
}

impl Read for Marked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.allowance == 0 {
            return Err(io::Error::other("the row is too long"));
        }
        let wanted = buffer.len().min(self.allowance);
        let buffer = buffer.get_mut(..wanted).unwrap_or_default();
        let mut bytes = if self.handed_out == 0 { self.file.read(buffer)? } else { 0 };
        if bytes == 0 {
            bytes = self.mark.get(self.handed_out..).unwrap_or_default().read(buffer)?;
            self.handed_out += bytes;
        }
        self.allowance -= bytes;
        Ok(bytes)
    }
}
