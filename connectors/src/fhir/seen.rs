//! Which resources of a source came before: by id, with a hash of all their rows.
//!
//! Two hashes of 64 bits a resource: twenty million need less than a gigabyte. An id means something only at its
//! server, so sources are not compared with each other.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::contest::{Claim, Sight};

/// The resources that were seen, by table.
pub(super) struct Seen {
    types: Vec<Known<u64>>,
    /// When they were updated; none where that decides nothing.
    times: Vec<Known<i64>>,
}

/// Something of resources, by the hash of their id.
type Known<T> = HashMap<u64, T, BuildHasherDefault<AsItIs>>;

impl Seen {
    /// Nothing yet, for so many tables.
    pub(super) fn new(tables: usize) -> Self {
        Self { types: vec![Known::default(); tables], times: vec![Known::default(); tables] }
    }

    /// Whether a resource came.
    pub(super) fn has(&self, table: usize, id: u64) -> bool {
        self.types.get(table).is_some_and(|known| known.contains_key(&id))
    }

    /// Looks a resource up, and remembers it at its first sight.
    pub(super) fn look(&mut self, table: usize, id: u64, claim: Claim) -> Sight {
        let Some(content) = self.types.get(table).and_then(|known| known.get(&id)).copied() else {
            self.put(table, id, claim);
            return Sight::First;
        };
        if content == claim.content {
            return Sight::Same;
        }
        let time = self.times.get(table).and_then(|known| known.get(&id)).copied();
        Sight::Other(Claim { time, content })
    }

    /// Remembers another version of a resource.
    pub(super) fn put(&mut self, table: usize, id: u64, claim: Claim) {
        let (Some(known), Some(times)) = (self.types.get_mut(table), self.times.get_mut(table)) else {
            return;
        };
        known.insert(id, claim.content);
        match claim.time {
            Some(time) => _ = times.insert(id, time),
            None => _ = times.remove(&id),
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
