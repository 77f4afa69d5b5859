//! JSON as FHIR needs it: a flat tape of spans over the text, read in place.
//!
//! Parsers in libraries turn numbers into floats and keep one of two members with the same name. In FHIR the
//! digits of a decimal are part of its value (1.0 is less exact than 1.00, R4 section 2.24.0.1), and a record that
//! says a thing twice is ambiguous. Here numbers stay text, and a name that occurs twice is a fault. A tape is used
//! again for the next text: parsing allocates nothing once it has grown.

mod fault;
mod parser;
mod strings;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

pub(crate) use fault::Fault;

/// Deeper nesting is a fault: FHIR itself needs about 20.
pub(crate) const DEPTH: usize = 128;

/// The values of one text, in the order of the text.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    entries: Vec<Entry>,
}

/// One value, or the name of a member, as a span of the text.
#[derive(Debug, Clone, Copy)]
struct Entry {
    start: u32,
    len: u32,
    /// The entry behind this value and all that it holds.
    next: u32,
    kind: Kind,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Members: name, value, name, value...
    Object,
    /// Items.
    Array,
    /// Text that reads as it is written.
    Text,
    /// Text with escapes.
    Escaped,
    /// A number, as it is written.
    Number,
    /// `true`.
    True,
    /// `false`.
    False,
    /// `null`.
    Null,
}

/// A text and its tape. Not to be shown: it is a record.
pub(crate) struct Document<'t> {
    text: &'t str,
    entries: &'t [Entry],
}

/// One value of a document.
#[derive(Clone, Copy)]
pub(crate) struct Value<'d> {
    document: &'d Document<'d>,
    at: usize,
}

impl std::fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} <redacted>", self.kind())
    }
}

impl Tape {
    /// Reads a text that is one JSON value.
    ///
    /// # Errors
    /// Says what is wrong and at which byte, never what stands there.
    pub(crate) fn read<'t>(&'t mut self, text: &'t str) -> Result<Document<'t>, Fault> {
        self.entries.clear();
        parser::parse(text, &mut self.entries)?;
        Ok(Document { text, entries: &self.entries })
    }
}

impl<'d> Document<'d> {
    /// The value that the text is.
    pub(crate) fn root(&'d self) -> Value<'d> {
        Value { document: self, at: 0 }
    }
}

impl<'d> Value<'d> {
    /// What it is.
    pub(crate) fn kind(self) -> Kind {
        self.entry().map_or(Kind::Null, |entry| entry.kind)
    }

    /// The member of an object by name.
    pub(crate) fn get(self, name: &str) -> Option<Self> {
        let entry = self.entry().filter(|entry| entry.kind == Kind::Object)?;
        let (entries, text) = (self.document.entries, self.document.text.as_bytes());
        let mut at = self.at + 1;
        while at < entry.next as usize {
            let key = entries.get(at)?;
            let value = at + 1;
            let is_plain = key.len as usize == name.len() && key.kind == Kind::Text;
            if is_plain && span(text, key) == name.as_bytes()
                || key.kind == Kind::Escaped && self.is(at, name)
            {
                return Some(Value { document: self.document, at: value });
            }
            at = entries.get(value)?.next as usize;
        }
        None
    }

    /// Names and values of an object's members.
    pub(crate) fn members(self) -> impl Iterator<Item = (Cow<'d, str>, Self)> {
        let end = self.end_of(Kind::Object);
        let mut at = self.at + 1;
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let (key, value) = (Value { at, ..self }, Value { at: at + 1, ..self });
            at = value.entry()?.next as usize;
            Some((key.text()?, value))
        })
    }

    /// The items of an array; of any other value itself alone.
    pub(crate) fn items(self) -> impl Iterator<Item = Self> {
        let is_array = self.kind() == Kind::Array;
        let (mut at, end) =
            if is_array { (self.at + 1, self.end_of(Kind::Array)) } else { (self.at, self.at + 1) };
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let item = Value { at, ..self };
            at = item.entry()?.next as usize;
            Some(item)
        })
    }

    /// The content of a text.
    pub(crate) fn text(self) -> Option<Cow<'d, str>> {
        let entry = self.entry()?;
        match entry.kind {
            Kind::Text => Some(Cow::Borrowed(self.raw())),
            Kind::Escaped => Some(Cow::Owned(strings::unescaped(self.raw()))),
            Kind::Object | Kind::Array | Kind::Number | Kind::True | Kind::False | Kind::Null => None,
        }
    }

    /// The digits of a number as they are written.
    pub(crate) fn number(self) -> Option<&'d str> {
        (self.kind() == Kind::Number).then(|| self.raw())
    }

    /// True or false.
    pub(crate) fn truth(self) -> Option<bool> {
        match self.kind() {
            Kind::True => Some(true),
            Kind::False => Some(false),
            Kind::Object | Kind::Array | Kind::Text | Kind::Escaped | Kind::Number | Kind::Null => None,
        }
    }

    /// The content of the text that is the member of this name.
    pub(crate) fn text_of(self, name: &str) -> Option<Cow<'d, str>> {
        self.get(name)?.text()
    }

    /// The span of the value in the text.
    fn raw(self) -> &'d str {
        let Some(entry) = self.entry() else { return "" };
        let start = entry.start as usize;
        self.document.text.get(start..start + entry.len as usize).unwrap_or_default()
    }

    fn is(self, at: usize, name: &str) -> bool {
        Value { at, ..self }.text().is_some_and(|text| text == name)
    }

    fn entry(self) -> Option<&'d Entry> {
        self.document.entries.get(self.at)
    }

    fn end_of(self, kind: Kind) -> usize {
        self.entry().filter(|entry| entry.kind == kind).map_or(0, |entry| entry.next as usize)
    }
}

fn span<'t>(text: &'t [u8], entry: &Entry) -> &'t [u8] {
    let start = entry.start as usize;
    text.get(start..start + entry.len as usize).unwrap_or_default()
}
