//! Delimited text, row by row: what a CSV should be, and what exports make of it.
//!
//! Rows with too few or too many fields are faults with their line; empty fields beyond the last column are
//! dropped. After a quote that is never closed, reading goes on with the next line, so that one stray quote does
//! not cost the rest of a table.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryBuilder};
use csv::{ByteRecord, ReaderBuilder, Terminator};

use super::dialect::Dialect;
use super::marked::Marked;
use super::{BATCH_BYTES, BATCH_ROWS, Lines, RawBatch, Rows, damaged};
use crate::tally::Fault;
use crate::{Code, Result};

const BUFFER: usize = 256 << 10;
/// Bytes of one row, at most.
const ROW_BYTES: usize = 16 << 20;
/// Each costs as much as the longest row, so there is an end to them.
const MOST_RECOVERIES: usize = 100;

/// A text table behind its header.
pub(super) struct Delimited {
    name: String,
    dialect: Dialect,
    row_bytes: usize,
    reader: csv::Reader<Marked>,
    record: ByteRecord,
    width: usize,
    /// Where the reader began: after a recovery it counts bytes and lines anew.
    first_byte: u64,
    first_line: u64,
    recoveries: usize,
    positions: Vec<usize>,
}

/// What came next.
enum Step {
    Row { line: u64 },
    Fault(Fault),
    End,
}

impl Delimited {
    /// Reads the header; `name` is the file's in errors.
    pub(super) fn open(file: File, name: &str) -> Result<(Vec<String>, Self)> {
        Self::bounded(file, name, ROW_BYTES)
    }

    fn bounded(mut file: File, name: &str, row_bytes: usize) -> Result<(Vec<String>, Self)> {
        let unreadable = |e: io::Error| damaged(Code::Unreadable, name, e);
        let mut head = Vec::new();
        file.by_ref().take(64 << 10).read_to_end(&mut head).map_err(unreadable)?;
        let dialect = Dialect::of(&head, name)?;
        let reader = reader_at(file, dialect.skip, dialect, row_bytes).map_err(unreadable)?;
        let mut table = Self {
            name: name.to_owned(),
            dialect,
            row_bytes,
            reader,
            record: ByteRecord::new(),
            width: 0,
            first_byte: dialect.skip,
            first_line: 1,
            recoveries: 0,
            positions: Vec::new(),
        };
        match table.step()? {
            Step::Row { .. } => {}
            Step::Fault(fault) => return Err(damaged(Code::DamagedText, name, fault.reason)),
            Step::End => return Err(damaged(Code::DamagedText, name, "it has no header line")),
        }
        let header: Vec<String> = table.record.iter().map(column_name).collect();
        table.width = header.len();
        Ok((header, table))
    }

    pub(super) fn select(mut self, positions: &[usize]) -> Self {
        self.positions = positions.to_vec();
        self
    }

    /// Reads one record into `self.record`.
    fn step(&mut self) -> Result<Step> {
        loop {
            self.reader.get_mut().renew();
            let read = self.reader.read_byte_record(&mut self.record);
            match read {
                Ok(true) => {}
                // The mark is always the last record, so this is not reached; it would be the end.
                Ok(false) => return Ok(Step::End),
                Err(_) if self.reader.get_ref().is_exhausted() => {
                    let reason = format!("it has more than {} bytes", self.row_bytes);
                    return self.recover(Code::RowTooLong, reason);
                }
                Err(e) => return Err(damaged(Code::Unreadable, &self.name, e)),
            }
            if self.reader.get_ref().ends(self.record.as_slice()) {
                if self.record.as_slice() == self.reader.get_ref().text() {
                    return Ok(Step::End);
                }
                return self.recover(Code::UnclosedQuote, "a quote is opened and never closed".to_owned());
            }
            let blank = self.record.len() == 1 && self.record.as_slice().trim_ascii().is_empty();
            if !blank {
                return Ok(Step::Row { line: self.line() });
            }
        }
    }

    /// The line on which the present record begins. The reader counts line ends before the record as well,
    /// those of blank lines, so it is counted from the record's end.
    fn line(&self) -> u64 {
        let end = self.reader.position().line();
        let begin = self.record.position().map_or(0, csv::Position::line);
        let within = match end - begin {
            0 | 1 => 0,
            _ => self.record.as_slice().iter().filter(|byte| **byte == b'\n').count() as u64,
        };
        (self.first_line + end).saturating_sub(2 + within)
    }

    /// Goes on behind the first line of the present record, and says that this line is lost.
    fn recover(&mut self, code: Code, reason: String) -> Result<Step> {
        self.recoveries += 1;
        if self.recoveries > MOST_RECOVERIES {
            let reason = format!("more than {MOST_RECOVERIES} lines: {reason}");
            return Err(damaged(code, &self.name, reason));
        }
        let unreadable = |e: io::Error| damaged(Code::Unreadable, &self.name, e);
        let (byte, line) = self.record.position().map_or((0, 1), |p| (p.byte(), p.line()));
        let file = self.reader.get_ref().file().try_clone().map_err(unreadable)?;
        let mut at = Position { byte: self.first_byte + byte, line: self.first_line + line - 1 };
        let lost = at.skip_line(&file).map_err(unreadable)?;
        self.reader = reader_at(file, at.byte, self.dialect, self.row_bytes).map_err(unreadable)?;
        (self.first_byte, self.first_line) = (at.byte, at.line);
        Ok(Step::Fault(Fault { line: lost, code, reason }))
    }

    /// Whether the present record has a field for every column, and whether it has empty ones beyond.
    fn fit(&self, line: u64) -> std::result::Result<bool, Fault> {
        let surplus = self.record.iter().skip(self.width);
        if self.record.len() < self.width || surplus.clone().any(|field| !field.trim_ascii().is_empty()) {
            let reason = format!("{} fields instead of {}", self.record.len(), self.width);
            return Err(Fault { line, code: Code::FieldCount, reason });
        }
        Ok(surplus.len() > 0)
    }
}

impl Rows for Delimited {
    fn next_batch(&mut self) -> Result<Option<RawBatch>> {
        let mut builders: Vec<BinaryBuilder> = self.positions.iter().map(|_| BinaryBuilder::new()).collect();
        let (mut lines, mut faults, mut surplus) = (Vec::with_capacity(BATCH_ROWS), Vec::new(), Vec::new());
        let mut bytes = 0;
        while lines.len() + faults.len() < BATCH_ROWS && bytes < BATCH_BYTES {
            let line = match self.step()? {
                Step::Row { line } => line,
                Step::Fault(fault) => {
                    faults.push(fault);
                    continue;
                }
                Step::End => break,
            };
            match self.fit(line) {
                Ok(false) => {}
                Ok(true) => surplus.push(line),
                Err(fault) => {
                    faults.push(fault);
                    continue;
                }
            }
            let last = self.record.len() - 1;
            for (builder, position) in builders.iter_mut().zip(&self.positions) {
                append(builder, self.record.get(*position).unwrap_or_default(), *position == last);
            }
            bytes += self.record.as_slice().len();
            lines.push(line);
        }
        if lines.is_empty() && faults.is_empty() {
            return Ok(None);
        }
        let columns =
            builders.into_iter().map(|mut builder| Arc::new(builder.finish()) as ArrayRef).collect();
        Ok(Some(RawBatch { columns, lines: Lines::Each(lines), faults, surplus }))
    }
}

/// The last field of a line may carry the carriage return of its line end.
fn append(builder: &mut BinaryBuilder, field: &[u8], last: bool) {
    let field = if last { field.strip_suffix(b"\r").unwrap_or(field) } else { field };
    if field.is_empty() {
        builder.append_null();
    } else {
        builder.append_value(field);
    }
}

fn column_name(field: &[u8]) -> String {
    String::from_utf8_lossy(field).trim().trim_matches('"').trim().to_owned()
}

fn reader_at(file: File, start: u64, dialect: Dialect, row_bytes: usize) -> io::Result<csv::Reader<Marked>> {
    Ok(ReaderBuilder::new()
        .delimiter(dialect.delimiter)
        .quoting(dialect.quoting)
        // Only this one: a lone carriage return belongs to the text it stands in.
        .terminator(Terminator::Any(b'\n'))
        .has_headers(false)
        .flexible(true)
        .buffer_capacity(BUFFER)
        .from_reader(Marked::new(file, start, row_bytes)?))
}

/// A place in a file.
struct Position {
    byte: u64,
    line: u64,
}

impl Position {
    /// Moves behind the next line that is not empty; its number. Nothing is kept in memory, however long it is.
    fn skip_line(&mut self, file: &File) -> io::Result<u64> {
        let mut reader = BufReader::with_capacity(BUFFER, file);
        reader.seek(SeekFrom::Start(self.byte))?;
        loop {
            let skipped = reader.skip_until(b'\n')? as u64;
            let line = self.line;
            self.byte += skipped;
            self.line += 1;
            if skipped != 1 {
                return Ok(line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use arrow::array::AsArray;
    use proptest::prelude::*;

    use super::*;

    /// What a table reads as: rows with their lines, faults, surplus lines.
    #[derive(Debug, Default, PartialEq)]
    struct Read {
        rows: Vec<(u64, Vec<String>)>,
        faults: Vec<(u64, Code)>,
        surplus: Vec<u64>,
    }

    fn read(text: &[u8]) -> Result<Read> {
        read_bounded(text, ROW_BYTES)
    }

    fn read_bounded(text: &[u8], row_bytes: usize) -> Result<Read> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text).unwrap();
        file.rewind().unwrap();
        let (header, table) = Delimited::bounded(file, "t.csv", row_bytes)?;
        let mut table = table.select(&(0..header.len()).collect::<Vec<_>>());
        let mut read = Read::default();
        while let Some(batch) = table.next_batch()? {
            for row in 0..batch.lines.len() {
                let cell = |array: &ArrayRef| {
                    String::from_utf8_lossy(array.as_binary::<i32>().value(row)).into_owned()
                };
                read.rows.push((batch.lines.line(row), batch.columns.iter().map(cell).collect()));
            }
            read.faults.extend(batch.faults.into_iter().map(|fault| (fault.line, fault.code)));
            read.surplus.extend(batch.surplus);
        }
        Ok(read)
    }

    fn row(line: u64, fields: &[&str]) -> (u64, Vec<String>) {
        (line, fields.iter().map(|field| (*field).to_owned()).collect())
    }

    #[test]
    fn line_ends_of_both_kinds_blank_lines_and_a_missing_last_one_are_all_the_same() {
        let read = read(b"\xef\xbb\xbfa,b\r\n1,2\n\n\r\n3,4\r\n  \n5,6").unwrap();
        assert_eq!(read.rows, [row(2, &["1", "2"]), row(5, &["3", "4"]), row(7, &["5", "6"])]);
        assert_eq!((read.faults.len(), read.surplus.len()), (0, 0));
    }

    #[test]
    fn quoted_fields_hold_delimiters_quotes_and_lines_and_lines_count_on() {
        let read = read(b"a,b\n\"x\ny\nz\",\"1,\"\"2\"\"\"\n\n5,6\n").unwrap();
        assert_eq!(read.rows, [row(2, &["x\ny\nz", "1,\"2\""]), row(6, &["5", "6"])]);
    }

    #[test]
    fn ragged_rows_are_faults_with_their_line_and_empty_surplus_is_dropped() {
        let read = read(b"a\tb\n1\n1\t2\t3\n1\t2\t\t \n1\t2\n\n\t\n").unwrap();
        assert_eq!(read.rows, [row(4, &["1", "2"]), row(5, &["1", "2"]), row(7, &["", ""])]);
        assert_eq!(read.faults, [(2, Code::FieldCount), (3, Code::FieldCount)]);
        assert_eq!(read.surplus, [4]);
    }

    #[test]
    fn a_quote_in_a_tab_separated_file_is_an_inch() {
        let read = read(b"a\tb\n5\" nail\t\"x\n1\t2\n").unwrap();
        assert_eq!(read.rows, [row(2, &["5\" nail", "\"x"]), row(3, &["1", "2"])]);
    }

    #[test]
    fn after_a_quote_that_is_never_closed_reading_goes_on_with_the_next_line() {
        let read = read(b"a,b\n1,2\n\n\"3,4\n5,6\n7,8\n").unwrap();
        assert_eq!(read.rows, [row(2, &["1", "2"]), row(5, &["5", "6"]), row(6, &["7", "8"])]);
        assert_eq!(read.faults, [(4, Code::UnclosedQuote)]);
    }

    #[test]
    fn a_quote_that_is_never_closed_does_not_fill_the_memory() {
        let text = format!("a,b\n\"1,2\n{}", "1234567,1234567\n".repeat(1000));
        let read = read_bounded(text.as_bytes(), 1024).unwrap();
        assert_eq!(read.faults, [(2, Code::RowTooLong)]);
        assert_eq!(read.rows.len(), 1000);
        assert_eq!(read.rows[0].0, 3);
    }

    #[test]
    fn a_file_full_of_quotes_that_are_never_closed_is_refused() {
        let some = format!("\"1,2\n{}", "1234567,1234567\n".repeat(200));
        let text = format!("a,b\n{}", some.repeat(MOST_RECOVERIES));
        assert_eq!(read_bounded(text.as_bytes(), 1024).unwrap().faults.len(), MOST_RECOVERIES);
        let error = read_bounded((text + &some).as_bytes(), 1024).unwrap_err();
        assert_eq!(error.code(), Code::RowTooLong);
    }

    #[test]
    fn header_names_are_trimmed_and_bytes_beyond_utf_8_arrive_as_they_are() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"\" person_id \"; b ;c \n1;M\xfcller;3\n").unwrap();
        file.rewind().unwrap();
        let (header, table) = Delimited::open(file, "t.csv").unwrap();
        assert_eq!(header, ["person_id", "b", "c"]);
        let batch = table.select(&[1]).next_batch().unwrap().unwrap();
        assert_eq!(batch.columns[0].as_binary::<i32>().value(0), b"M\xfcller");
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic_and_every_line_is_accounted_for(
            text in proptest::collection::vec(prop_oneof![Just(b','), Just(b'"'), Just(b'\n'), Just(b'\r'), any::<u8>()], 0..200)
        ) {
            let mut all = b"a,b\n".to_vec();
            all.extend(text);
            if let Ok(read) = read(&all) {
                let lines: Vec<u64> = read.rows.iter().map(|r| r.0).collect();
                prop_assert!(lines.windows(2).all(|pair| pair[0] < pair[1]), "{lines:?}");
            }
        }

        #[test]
        fn what_a_csv_writer_writes_is_what_is_read(rows in proptest::collection::vec(
            proptest::collection::vec("[ -~\u{e4}\n]{0,12}", 3), 1..30)) {
            let mut writer = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
            writer.write_record(["a", "b", "c"]).unwrap();
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            let read = read(&writer.into_inner().unwrap()).unwrap();
            prop_assert_eq!(read.faults, []);
            prop_assert_eq!(read.rows.into_iter().map(|r| r.1).collect::<Vec<_>>(), rows);
        }
    }
}
