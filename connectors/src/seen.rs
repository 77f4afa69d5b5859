//! Which things are there already: from other batches of the warehouse, and from earlier rows of the source.
//!
//! Hashes of the identifier and of the row, not the identifier: 16 bytes a thing, so that a node with sixty million
//! instances needs about two gigabytes.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use arrow::array::{Array, AsArray};
use arrow::datatypes::UInt64Type;
use caim_warehouse::{BatchId, Epoch, TableName, layout};

use crate::row_key::NameKey;
use crate::stored;
use crate::{Result, Secret};

/// The things that were seen, each with the key of its row.
pub(crate) struct Seen {
    name: NameKey,
    rows: HashMap<Name, u32>,
}

/// 96 bits of the hash of an identifier: two of many millions are not alike.
#[derive(PartialEq, Eq, Hash)]
struct Name([u32; 3]);

/// What is known of a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    /// Nothing.
    First,
    /// It is there with the same values.
    Same,
    /// It is there with other values.
    Other,
}

impl Seen {
    /// The things that the column `identifier` of a table names in an epoch, without those of the batch that is
    /// about to leave.
    pub(crate) fn of(
        epoch: &Epoch,
        table: &TableName,
        identifier: &str,
        without: Option<&BatchId>,
        secret: &Secret,
    ) -> Result<Self> {
        let mut seen = Self { name: NameKey::new(secret), rows: HashMap::new() };
        for file in epoch.files(table).iter().filter(|file| Some(&file.batch) != without) {
            let path = epoch.path(file)?;
            for batch in stored::read(&path, &[identifier, layout::ROW])? {
                let batch = batch?;
                let names = batch.column(0).as_string::<i32>();
                let keys = batch.column(1).as_primitive::<UInt64Type>();
                for row in (0..batch.num_rows()).filter(|row| names.is_valid(*row)) {
                    seen.look(names.value(row), keys.value(row));
                }
            }
        }
        Ok(seen)
    }

    /// Looks a thing up, and remembers it at its first sight.
    pub(crate) fn look(&mut self, name: &str, key: u64) -> Sight {
        // Half of the key tells rows of one thing apart well enough.
        let half = low(u128::from(key));
        match self.rows.entry(Name::of(self.name.hash(name))) {
            Entry::Vacant(entry) => {
                entry.insert(half);
                Sight::First
            }
            Entry::Occupied(entry) if *entry.get() == half => Sight::Same,
            Entry::Occupied(_) => Sight::Other,
        }
    }
}

impl Name {
    fn of(hash: u128) -> Self {
        Self([low(hash), low(hash >> 32), low(hash >> 64)])
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is what is wanted")]
fn low(bits: u128) -> u32 {
    bits as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_new_once_and_then_the_same_or_another() {
        let mut seen = Seen { name: NameKey::new(&Secret::from_bytes([1; 32])), rows: HashMap::new() };
        assert_eq!(seen.look("1.2.3", 7), Sight::First);
        assert_eq!(seen.look("1.2.3", 7), Sight::Same);
        assert_eq!(seen.look("1.2.3", 8), Sight::Other);
        assert_eq!(seen.look("1.2.4", 7), Sight::First);
    }
}
