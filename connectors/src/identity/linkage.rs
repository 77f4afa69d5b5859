//! The linkage table: pairs of identifiers that are one person's, closed under "and so is".
//!
//! Each group of linked identifiers is named by its smallest one, whatever the order of the file.

use std::collections::HashMap;
use std::path::Path;

use crate::{Code, Error, Result};

/// An identifier: issuer, id.
pub(super) type Id = (String, String);

/// Linked identifiers, each with the one that stands for its group.
#[derive(Default)]
pub(super) struct Linkage {
    numbers: HashMap<Id, usize>,
    ids: Vec<Id>,
    parents: Vec<usize>,
}

impl Linkage {
    /// Reads `issuer,id,issuer,id` lines; a header line of these words is skipped. `clean` brings issuer and id
    /// into the form in which sources are looked up.
    pub(super) fn read(path: &Path, clean: impl Fn(&str, &str) -> Option<Id>) -> Result<Self> {
        let fault = |reason: String| Error::new(Code::Identity, path.display(), reason);
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_path(path)
            .map_err(|e| fault(format!("the linkage table cannot be read: {e}")))?;
        let mut linkage = Self::default();
        for (number, record) in reader.records().enumerate() {
            let line = number + 1;
            let record = record.map_err(|_| fault(format!("line {line} is not text in UTF-8")))?;
            let fields: Vec<&str> = record.iter().map(str::trim).collect();
            let [issuer, id, other_issuer, other_id] = fields[..] else {
                return Err(fault(format!(
                    "line {line} has {} fields instead of issuer,id,issuer,id",
                    fields.len()
                )));
            };
            if line == 1 && [issuer, id, other_issuer, other_id] == ["issuer", "id", "issuer", "id"] {
                continue;
            }
            match (clean(issuer, id), clean(other_issuer, other_id)) {
                (Some(one), Some(other)) => linkage.link(one, other),
                _ => return Err(fault(format!("line {line} has an empty identifier"))),
            }
        }
        Ok(linkage)
    }

    /// The identifier that stands for the group of `id`, if it is linked at all.
    pub(super) fn group(&self, id: &Id) -> Option<&Id> {
        self.numbers.get(id).and_then(|number| self.ids.get(self.root(*number)))
    }

    /// All links in an order and form that depend on nothing but what they say.
    pub(super) fn canonical(&self) -> Vec<u8> {
        let mut ids: Vec<&Id> = self.ids.iter().collect();
        ids.sort();
        let mut bytes = Vec::new();
        for id in ids {
            let group = self.group(id).unwrap_or(id);
            for part in [&id.0, &id.1, &group.0, &group.1] {
                bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
                bytes.extend_from_slice(part.as_bytes());
            }
        }
        bytes
    }

    fn link(&mut self, one: Id, other: Id) {
        let (one, other) = (self.number(one), self.number(other));
        let (one, other) = (self.root(one), self.root(other));
        let (smaller, larger) =
            if self.ids.get(one) <= self.ids.get(other) { (one, other) } else { (other, one) };
        if let Some(parent) = self.parents.get_mut(larger) {
            *parent = smaller;
        }
    }

    fn number(&mut self, id: Id) -> usize {
        if let Some(number) = self.numbers.get(&id) {
            return *number;
        }
        let number = self.ids.len();
        self.numbers.insert(id.clone(), number);
        self.ids.push(id);
        self.parents.push(number);
        number
    }

    fn root(&self, mut number: usize) -> usize {
        while let Some(parent) = self.parents.get(number).filter(|parent| **parent != number) {
            number = *parent;
        }
        number
    }
}
