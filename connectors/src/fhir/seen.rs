//! Which resources of a source came before: by id, with a hash of all their rows.
//!
//! Two hashes of 64 bits a resource: twenty million need less than a gigabyte. An id means something only at its
//! server, so sources are not compared with each other.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

/// The resources that were seen, by table.
pub(super) struct Seen {
    types: Vec<HashMap<u64, u64, BuildHasherDefault<AsItIs>>>,
}

/// What is known of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// Nothing.
    First,
    /// It came with the same rows.
    Same,
    /// It came with other rows.
    Other,
}

impl Seen {
    /// Nothing yet, for so many tables.
    pub(super) fn new(tables: usize) -> Self {
        Self { types: (0..tables).map(|_| HashMap::default()).collect() }
    }

    /// Whether a resource came.
    pub(super) fn has(&self, table: usize, id: u64) -> bool {
        self.types.get(table).is_some_and(|known| known.contains_key(&id))
    }

    /// Looks a resource up, and remembers it at its first sight.
    pub(super) fn look(&mut self, table: usize, id: u64, content: u64) -> Sight {
        let Some(known) = self.types.get_mut(table) else { return Sight::First };
        match known.entry(id) {
            Entry::Vacant(entry) => {
                entry.insert(content);
                Sight::First
            }
            Entry::Occupied(entry) if *entry.get() == content => Sight::Same,
            Entry::Occupied(_) => Sight::Other,
        }
    }
}

/// Keyed hashes need no second hash.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}
