//! From text to tape, in one walk without recursion: nesting costs a frame of a bounded stack, not a call.

use super::{DEPTH, Entry, Fault, Kind, strings};

/// Appends the entries of `text`.
pub(super) fn parse(text: &str, entries: &mut Vec<Entry>) -> Result<(), Fault> {
    if u32::try_from(text.len()).is_err() {
        return Err(Fault::Long);
    }
    Parser { bytes: text.as_bytes(), at: 0, entries }.document()
}

struct Parser<'t> {
    bytes: &'t [u8],
    at: usize,
    entries: &'t mut Vec<Entry>,
}

/// An object or array that has not ended.
#[derive(Clone, Copy)]
struct Open {
    entry: usize,
    is_object: bool,
    /// One bit for each name, by a cheap hash: two names of one bit are compared at the end.
    names: u64,
    suspect: bool,
}

const NOTHING: Open = Open { entry: 0, is_object: false, names: 0, suspect: false };

/// What comes behind a value.
enum Next {
    Value,
    End,
}

impl Parser<'_> {
    fn document(&mut self) -> Result<(), Fault> {
        let mut open = [NOTHING; DEPTH];
        let mut depth = 0;
        loop {
            self.blank();
            let is_container = matches!(self.peek(), Some(b'{' | b'['));
            if is_container {
                let frame = open.get_mut(depth).ok_or(Fault::Deep(self.at))?;
                *frame = self.begin()?;
                depth += 1;
                if self.goes_on(frame)? {
                    continue;
                }
                depth -= 1;
            } else {
                self.scalar()?;
            }
            loop {
                let Some(frame) = depth.checked_sub(1).and_then(|top| open.get_mut(top)) else {
                    return self.end();
                };
                match self.after_value(frame)? {
                    Next::Value => break,
                    Next::End => depth -= 1,
                }
            }
        }
    }

    /// Opens an object or array.
    fn begin(&mut self) -> Result<Open, Fault> {
        let is_object = self.peek() == Some(b'{');
        let entry = self.push(if is_object { Kind::Object } else { Kind::Array }, self.at, 0)?;
        self.at += 1;
        Ok(Open { entry, is_object, ..NOTHING })
    }

    /// Whether a value follows in an object (its name was read) or array that was just opened.
    fn goes_on(&mut self, frame: &mut Open) -> Result<bool, Fault> {
        self.blank();
        let close = if frame.is_object { b'}' } else { b']' };
        if self.peek() == Some(close) {
            self.at += 1;
            self.close(frame)?;
            return Ok(false);
        }
        if frame.is_object {
            self.name(frame)?;
        }
        Ok(true)
    }

    fn after_value(&mut self, frame: &mut Open) -> Result<Next, Fault> {
        self.blank();
        match (self.peek(), frame.is_object) {
            (Some(b','), is_object) => {
                self.at += 1;
                if is_object {
                    self.blank();
                    self.name(frame)?;
                }
                Ok(Next::Value)
            }
            (Some(b'}'), true) | (Some(b']'), false) => {
                self.at += 1;
                self.close(frame)?;
                Ok(Next::End)
            }
            (Some(_), _) => Err(Fault::Unexpected(self.at)),
            (None, _) => Err(Fault::Cut),
        }
    }

    /// A name and its colon.
    fn name(&mut self, frame: &mut Open) -> Result<(), Fault> {
        self.expect(b'"')?;
        let entry = self.string()?;
        let bit = 1 << (self.entries.get(entry).map_or(0, |name| self.hash(name)) & 63);
        frame.suspect |= frame.names & bit != 0;
        frame.names |= bit;
        self.blank();
        self.expect(b':')
    }

    /// A few bits of a name: names of FHIR differ in length, first or last letter more often than not.
    fn hash(&self, name: &Entry) -> usize {
        // An escape may hide any name.
        if name.kind == Kind::Escaped {
            return 0;
        }
        let byte = |at: usize| self.bytes.get(at).copied().map_or(0, usize::from);
        let (start, len) = (name.start as usize, name.len as usize);
        byte(start) + 7 * byte(start + len / 2) + 3 * byte((start + len).saturating_sub(1)) + 11 * len
    }

    fn close(&mut self, frame: &Open) -> Result<(), Fault> {
        let next = offset(self.entries.len())?;
        let end = self.at;
        if let Some(entry) = self.entries.get_mut(frame.entry) {
            entry.next = next;
            entry.len = offset(end)? - entry.start;
        }
        let hidden = frame.names & 1 != 0;
        if (frame.suspect || hidden) && self.has_twins(frame.entry) { Err(Fault::Twice(end)) } else { Ok(()) }
    }

    /// Whether two names of an object are the same text.
    fn has_twins(&self, object: usize) -> bool {
        let mut names = Vec::new();
        let mut at = object + 1;
        while let (Some(name), Some(value)) = (self.entries.get(at), self.entries.get(at + 1)) {
            let raw =
                self.bytes.get(name.start as usize..(name.start + name.len) as usize).unwrap_or_default();
            let raw = std::str::from_utf8(raw).unwrap_or_default();
            names.push(if name.kind == Kind::Escaped { strings::unescaped(raw).into() } else { raw.into() });
            at = value.next as usize;
        }
        names.sort_unstable();
        names.windows(2).any(|pair: &[std::borrow::Cow<'_, str>]| pair.first() == pair.last())
    }

    fn scalar(&mut self) -> Result<(), Fault> {
        match self.peek() {
            Some(b'"') => {
                self.at += 1;
                self.string().map(drop)
            }
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word(b"true", Kind::True),
            Some(b'f') => self.word(b"false", Kind::False),
            Some(b'n') => self.word(b"null", Kind::Null),
            Some(_) => Err(Fault::Unexpected(self.at)),
            None => Err(Fault::Cut),
        }
    }

    /// A text whose quote was read.
    fn string(&mut self) -> Result<usize, Fault> {
        let (start, mut kind) = (self.at, Kind::Text);
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let plain = strings::plain(rest);
            self.at += plain;
            match rest.get(plain) {
                Some(b'"') => break,
                Some(b'\\') => {
                    kind = Kind::Escaped;
                    self.at += strings::escape(rest.get(plain..).unwrap_or_default(), self.at)?;
                }
                Some(_) => return Err(Fault::Control(self.at)),
                None => return Err(Fault::Cut),
            }
        }
        let entry = self.push(kind, start, self.at - start)?;
        self.at += 1;
        Ok(entry)
    }

    fn number(&mut self) -> Result<(), Fault> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        let leading = self.at;
        self.digits()?;
        if self.bytes.get(leading) == Some(&b'0') && self.at > leading + 1 {
            return Err(Fault::Unexpected(leading + 1));
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        self.push(Kind::Number, start, self.at - start).map(drop)
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += digits;
        match (digits, rest.is_empty()) {
            (0, true) => Err(Fault::Cut),
            (0, false) => Err(Fault::Unexpected(self.at)),
            (_, _) => Ok(()),
        }
    }

    fn word(&mut self, word: &[u8], kind: Kind) -> Result<(), Fault> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(if word.starts_with(rest) { Fault::Cut } else { Fault::Unexpected(self.at) });
        }
        self.push(kind, self.at, word.len())?;
        self.at += word.len();
        Ok(())
    }

    /// That nothing but blanks is left.
    fn end(&mut self) -> Result<(), Fault> {
        self.blank();
        if self.at < self.bytes.len() { Err(Fault::Unexpected(self.at)) } else { Ok(()) }
    }

    fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        match self.peek() {
            Some(found) if found == byte => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(Fault::Unexpected(self.at)),
            None => Err(Fault::Cut),
        }
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn push(&mut self, kind: Kind, start: usize, len: usize) -> Result<usize, Fault> {
        let entry = self.entries.len();
        let next = offset(entry + 1)?;
        self.entries.push(Entry { start: offset(start)?, len: offset(len)?, next, kind });
        Ok(entry)
    }
}

fn offset(number: usize) -> Result<u32, Fault> {
    u32::try_from(number).map_err(|_| Fault::Long)
}
