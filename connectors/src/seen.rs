//! Which things are there already: from other batches of the warehouse, and from earlier rows of the source.
//!
//! Hashes of the identifier and of the row, not the identifier: 20 bytes a thing, so that a node with sixty million
//! instances needs two to three gigabytes. Where the newest record is to stay, the time of each takes as much again.

use std::collections::HashMap;
use std::path::Path;

use arrow::array::{Array, AsArray};
use arrow::datatypes::UInt64Type;
use caim_warehouse::{BatchId, Epoch, TableName, layout};

use crate::contest::{Claim, Sight};
use crate::ingest::Context;
use crate::moments::Moments;
use crate::row_key::NameKey;
use crate::stored;
use crate::{Duplicates, Result};

/// The things that were seen, each with the key of its row.
pub(crate) struct Seen {
    name: NameKey,
    rows: HashMap<Name, Key>,
    /// When the rows were made; none where that decides nothing.
    times: HashMap<Name, i64>,
}

/// 96 bits of the hash of an identifier: two of many millions are not alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Name([u32; 3]);

/// The key of a row, in halves: whole it would take four bytes more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key([u32; 2]);

impl Seen {
    /// The things that the column `identifier` of a table names in an epoch, without those of the batch that is
    /// about to leave.
    pub(crate) fn of(
        epoch: &Epoch,
        table: &TableName,
        identifier: &str,
        without: Option<&BatchId>,
        context: &Context<'_>,
    ) -> Result<Self> {
        let (rows, times) = (HashMap::new(), HashMap::new());
        let mut seen = Self { name: NameKey::new(context.secret), rows, times };
        for file in epoch.files(table).iter().filter(|file| Some(&file.batch) != without) {
            seen.add(&epoch.path(file)?, identifier, context.duplicates)?;
        }
        Ok(seen)
    }

    fn add(&mut self, path: &Path, identifier: &str, rule: Duplicates) -> Result<()> {
        // A file that was written before a column came into the model lacks it.
        let there = if rule == Duplicates::Newest { stored::columns(path)? } else { Vec::new() };
        let dates = Moments::columns(there.iter().map(String::as_str));
        let moments = Moments::among(dates.iter().copied());
        for batch in stored::read(path, &[&[identifier, layout::ROW], &dates[..]].concat())? {
            let batch = batch?;
            let names = batch.column(0).as_string::<i32>();
            let keys = batch.column(1).as_primitive::<UInt64Type>();
            let dates = batch.columns().get(2..).unwrap_or_default();
            for row in (0..batch.num_rows()).filter(|row| names.is_valid(*row)) {
                let claim = Claim { time: moments.at(dates, row), content: keys.value(row) };
                let thing = self.thing(names.value(row));
                self.look(thing, claim);
            }
        }
        Ok(())
    }

    /// The hash of an identifier.
    pub(crate) fn thing(&self, identifier: &str) -> u128 {
        self.name.hash(identifier)
    }

    /// Looks a thing up, and remembers it at its first sight.
    pub(crate) fn look(&mut self, thing: u128, claim: Claim) -> Sight {
        let name = Name::of(thing);
        let Some(content) = self.rows.get(&name).map(|key| key.whole()) else {
            self.put(thing, claim);
            return Sight::First;
        };
        if content == claim.content {
            return Sight::Same;
        }
        Sight::Other(Claim { time: self.times.get(&name).copied(), content })
    }

    /// Remembers another row of a thing.
    pub(crate) fn put(&mut self, thing: u128, claim: Claim) {
        let name = Name::of(thing);
        self.rows.insert(name, Key::of(claim.content));
        match claim.time {
            Some(time) => _ = self.times.insert(name, time),
            None => _ = self.times.remove(&name),
        }
    }
}

impl Key {
    fn of(key: u64) -> Self {
        Self([low(u128::from(key)), low(u128::from(key >> 32))])
    }

    fn whole(self) -> u64 {
        let Self([low, high]) = self;
        u64::from(high) << 32 | u64::from(low)
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
    use crate::Secret;

    #[test]
    fn a_thing_is_new_once_and_then_the_same_or_another() {
        let (rows, times) = (HashMap::new(), HashMap::new());
        let mut seen = Seen { name: NameKey::new(&Secret::from_bytes([1; 32])), rows, times };
        let claim = |content, time| Claim { time, content };
        let (one, two) = (seen.thing("1.2.3"), seen.thing("1.2.4"));
        let large = u64::MAX - 6;
        assert_eq!(seen.look(one, claim(large, None)), Sight::First);
        assert_eq!(seen.look(one, claim(large, None)), Sight::Same);
        assert_eq!(seen.look(one, claim(8, None)), Sight::Other(claim(large, None)));
        assert_eq!(seen.look(two, claim(large, None)), Sight::First);
        seen.put(one, claim(8, Some(5)));
        assert_eq!(seen.look(one, claim(large, None)), Sight::Other(claim(8, Some(5))));
        seen.put(one, claim(9, None));
        assert_eq!(seen.look(one, claim(8, None)), Sight::Other(claim(9, None)));
    }
}
