//! From a file to pieces of text: blocks of whole lines (NDJSON), or one document (a Bundle, an array).
//!
//! ```text
//! bytes -> inflate     gzip, known by its first bytes; bounded
//!       -> shape       lines or one document, by what stands at the beginning
//!       -> pieces      a few megabytes each, read ahead on a thread of their own
//! ```
//!
//! A line may be as long as 16 MiB and a document 128 MiB. What is longer is skipped without being held, and named.

mod inflate;
mod shape;

use std::io::{self, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rayon::prelude::*;

use crate::source::Member;
use crate::tally::Fault;
use crate::{Code, Error, Result};
use inflate::Input;
use shape::Shape;

/// Bytes of a block, by and large.
const BLOCK: usize = 4 << 20;
/// Bytes of a line, at most.
const LONGEST_LINE: usize = 16 << 20;
/// Bytes of a document, at most.
const LONGEST_DOCUMENT: usize = 128 << 20;
/// Pieces, and what was made of them, that wait.
const AHEAD: usize = 4;

/// Some of the text of a file. Not to be shown: it holds records.
pub(super) enum Piece {
    /// Whole lines, the first of which has this number.
    Lines { first: u64, text: Vec<u8> },
    /// All of the text, as one value.
    Document(Vec<u8>),
    /// Something that was skipped.
    Skipped(Fault),
}

/// Whether the receiver of pieces wants more of a file.
pub(super) enum More {
    Wanted,
    Enough,
}

/// Reads files piece by piece: `work` makes something of each, on other threads, and `take` gets that in order. Both
/// get the number of the file.
///
/// # Errors
/// When a file cannot be read or inflated, or `take` fails.
pub(super) fn each<T: Send>(
    members: &[Member],
    work: impl Fn(usize, Piece) -> T + Sync,
    mut take: impl FnMut(usize, T) -> Result<More>,
) -> Result<()> {
    // How many files, from the first, need not be read on.
    let done = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let (piece_sender, pieces) = sync_channel(AHEAD);
        let (sender, made) = sync_channel(AHEAD);
        scope.spawn(|| {
            let piece_sender = piece_sender;
            let _ = members
                .iter()
                .enumerate()
                .try_for_each(|(number, member)| send_all(number, member, &done, &piece_sender));
        });
        scope.spawn(|| {
            // Both ends move here, so that they hang up when this thread is done.
            let (pieces, sender) = (pieces, sender);
            while let Some(batch) = next_batch(&pieces) {
                let made: Vec<Result<(usize, T)>> = batch
                    .into_par_iter()
                    .map(|piece| piece.map(|(number, piece)| (number, work(number, piece))))
                    .collect();
                if made.into_iter().any(|made| sender.send(made).is_err()) {
                    break;
                }
            }
        });
        for made in made {
            let (number, made) = made?;
            if let More::Enough = take(number, made)? {
                done.fetch_max(number + 1, Ordering::Relaxed);
            }
        }
        Ok(())
    })
}

/// A piece and the number of its file.
type Numbered = Result<(usize, Piece)>;

/// Nobody wants more pieces.
struct HungUp;

/// Sends the pieces of one file, until nobody wants more of it.
fn send_all(
    number: usize,
    member: &Member,
    done: &AtomicUsize,
    sender: &SyncSender<Numbered>,
) -> Result<(), HungUp> {
    let mut pieces = match Pieces::open(member) {
        Ok(pieces) => pieces,
        Err(error) => return sender.send(Err(error)).map_err(|_| HungUp),
    };
    while let Some(piece) = pieces.next().transpose() {
        let failed = piece.is_err();
        sender.send(piece.map(|piece| (number, piece))).map_err(|_| HungUp)?;
        if failed {
            return Err(HungUp);
        }
        if done.load(Ordering::Relaxed) > number {
            break;
        }
    }
    Ok(())
}

/// The next piece, and those that wait behind it as long as they are small: many files are small.
fn next_batch(pieces: &Receiver<Numbered>) -> Option<Vec<Numbered>> {
    let bytes = |piece: &Numbered| piece.as_ref().map_or(0, |(_, piece)| piece.bytes());
    let first = pieces.recv().ok()?;
    let mut sum = bytes(&first);
    let mut batch = vec![first];
    while sum < BLOCK
        && let Ok(next) = pieces.try_recv()
    {
        sum += bytes(&next);
        batch.push(next);
    }
    Some(batch)
}

impl Piece {
    fn bytes(&self) -> usize {
        match self {
            Self::Lines { text, .. } | Self::Document(text) => text.len(),
            Self::Skipped(_) => 0,
        }
    }
}

/// The first bytes of a member, inflated.
pub(super) fn head(member: &Member, bytes: u64) -> Result<Vec<u8>> {
    let mut head = Vec::new();
    match Input::open(member)?.take(bytes).read_to_end(&mut head) {
        // A damaged file shows as much as can be read of it.
        Ok(_) | Err(_) => Ok(head),
    }
}

struct Pieces {
    input: Input,
    name: String,
    /// Bytes that were read and not handed on.
    buffer: Vec<u8>,
    /// The number of the first line in the buffer.
    line: u64,
    state: State,
}

enum State {
    Start,
    Lines,
    /// Inside a line that is too long.
    Skipping,
    End,
}

impl Pieces {
    fn open(member: &Member) -> Result<Self> {
        let input = Input::open(member)?;
        Ok(Self { input, name: member.name.clone(), buffer: Vec::new(), line: 1, state: State::Start })
    }

    fn next(&mut self) -> Result<Option<Piece>> {
        loop {
            match self.state {
                State::End => return Ok(None),
                State::Start => match self.start()? {
                    Shape::Lines => self.state = State::Lines,
                    Shape::Document => return self.document().map(Some),
                },
                State::Lines => return self.lines(),
                State::Skipping => self.skip()?,
            }
        }
    }

    fn start(&mut self) -> Result<Shape> {
        let at_end = self.fill(BLOCK)?;
        let mark = self.buffer.strip_prefix(b"\xef\xbb\xbf").map(<[u8]>::len);
        if let Some(rest) = mark {
            self.buffer.drain(..self.buffer.len() - rest);
        }
        Ok(Shape::of(&self.buffer, at_end))
    }

    fn document(&mut self) -> Result<Piece> {
        self.state = State::End;
        self.fill(LONGEST_DOCUMENT + 1)?;
        let text = std::mem::take(&mut self.buffer);
        Ok(if text.len() > LONGEST_DOCUMENT {
            let reason = "the document is longer than 128 MiB; as NDJSON it would be read".to_owned();
            Piece::Skipped(Fault { line: 1, code: Code::LineLimit, reason })
        } else {
            Piece::Document(text)
        })
    }

    /// The next whole lines.
    fn lines(&mut self) -> Result<Option<Piece>> {
        let mut wanted = BLOCK;
        loop {
            let at_end = self.fill(wanted)?;
            if at_end {
                self.state = State::End;
                let text = std::mem::take(&mut self.buffer);
                return Ok((!text.is_empty()).then_some(Piece::Lines { first: self.line, text }));
            }
            if let Some(last) = self.buffer.iter().rposition(|byte| *byte == b'\n') {
                let rest = self.buffer.split_off(last + 1);
                let text = std::mem::replace(&mut self.buffer, rest);
                let first = self.line;
                self.line += count_lines(&text);
                return Ok(Some(Piece::Lines { first, text }));
            }
            if self.buffer.len() > LONGEST_LINE {
                self.state = State::Skipping;
                self.buffer = Vec::new();
                let reason = "the line is longer than 16 MiB".to_owned();
                return Ok(Some(Piece::Skipped(Fault { line: self.line, code: Code::LineLimit, reason })));
            }
            wanted = LONGEST_LINE + 1;
        }
    }

    /// Goes on behind the end of the line.
    fn skip(&mut self) -> Result<()> {
        let at_end = self.fill(BLOCK)?;
        match self.buffer.iter().position(|byte| *byte == b'\n') {
            Some(end) => {
                self.buffer.drain(..=end);
                self.line += 1;
                self.state = State::Lines;
            }
            None => {
                self.buffer.clear();
                if at_end {
                    self.state = State::End;
                }
            }
        }
        Ok(())
    }

    /// Reads until the buffer holds so much; whether the file ends there.
    fn fill(&mut self, wanted: usize) -> Result<bool> {
        let missing = wanted.saturating_sub(self.buffer.len());
        self.buffer.reserve(missing.min(BLOCK));
        let read = self.input.by_ref().take(missing as u64).read_to_end(&mut self.buffer);
        read.map(|read| read < missing).map_err(|e| refused(&self.name, &e))
    }
}

/// How many lines end in a text.
pub(super) fn count_lines(text: &[u8]) -> u64 {
    // Sums of bytes are counted many at a time; a byte holds 255 of them.
    let counts = text.chunks(255).map(|some| some.iter().map(|byte| u8::from(*byte == b'\n')).sum::<u8>());
    counts.map(u64::from).sum()
}

fn refused(name: &str, source: &io::Error) -> Error {
    match inflate::limit_of(source) {
        Some(reason) => Error::new(Code::GzipLimit, name, reason),
        None => match source.kind() {
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                Error::new(Code::DamagedGzip, name, source)
            }
            _ => Error::new(Code::Unreadable, name, source),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Source;

    fn pieces(content: &[u8]) -> Vec<Piece> {
        let file = tempfile::NamedTempFile::with_suffix(".ndjson").unwrap();
        std::fs::write(file.path(), content).unwrap();
        let source = Source::open(file.path()).unwrap();
        let mut pieces = Pieces::open(&source.members[0]).unwrap();
        std::iter::from_fn(|| pieces.next().unwrap()).collect()
    }

    #[test]
    fn blocks_hold_whole_lines_and_together_all_of_them() {
        let lines: Vec<String> = (1..=300_000).map(|line| format!("{{\"line\":{line}}}")).collect();
        let text = lines.join("\n");
        let (mut joined, mut next) = (Vec::new(), 1);
        let pieces = pieces(text.as_bytes());
        assert!(pieces.len() > 1);
        for piece in pieces {
            let Piece::Lines { first, text } = piece else { panic!("these are lines") };
            assert_eq!(first, next);
            next += count_lines(&text);
            joined.extend(text);
        }
        assert!(joined == text.as_bytes());
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_and_those_around_it_are_read() {
        let long = "x".repeat(LONGEST_LINE + BLOCK);
        let text = format!("{{\"a\":1}}\n{long}\n{{\"b\":2}}\n");
        let found: Vec<(u64, usize)> = pieces(text.as_bytes())
            .into_iter()
            .map(|piece| match piece {
                Piece::Lines { first, text } => (first, text.len()),
                Piece::Skipped(fault) => (fault.line, 0),
                Piece::Document(_) => panic!("these are lines"),
            })
            .collect();
        assert_eq!(found, [(1, 8), (2, 0), (3, 8)]);
    }

    #[test]
    fn a_document_is_read_whole_and_a_mark_before_it_is_no_part_of_it() {
        let [Piece::Document(text)] = &pieces(b"\xef\xbb\xbf{\n  \"a\": 1\n}\n")[..] else {
            panic!("one document")
        };
        assert_eq!(text, b"{\n  \"a\": 1\n}\n");
        assert!(pieces(b"").is_empty());
    }

    #[test]
    fn lines_are_counted_in_any_number() {
        for lines in [0, 1, 254, 255, 256, 1000] {
            assert_eq!(count_lines("\n".repeat(lines).as_bytes()), lines as u64);
        }
    }
}
