//! Which series are there already: from other batches of the warehouse, and from earlier rows of the source.
//!
//! Two hashes a series, not its UID: a node with three million series needs about 150 MB.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use arrow::array::{Array, AsArray};
use arrow::datatypes::UInt64Type;
use caim_warehouse::{BatchId, Epoch, TableName, layout};

use super::SERIES_UID;
use crate::row_key::NameKey;
use crate::stored;
use crate::{Result, Secret};

/// The series that were seen, each with the key of its row.
pub(super) struct Seen {
    name: NameKey,
    rows: HashMap<u128, u64>,
}

/// What is known of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// Nothing.
    First,
    /// It is there with the same values.
    Same,
    /// It is there with other values.
    Other,
}

impl Seen {
    /// The series in an epoch, without those of the batch that is about to leave.
    pub(super) fn of(
        epoch: &Epoch,
        table: &TableName,
        without: Option<&BatchId>,
        secret: &Secret,
    ) -> Result<Self> {
        let mut seen = Self { name: NameKey::new(secret), rows: HashMap::new() };
        for file in epoch.files(table).iter().filter(|file| Some(&file.batch) != without) {
            let path = epoch.path(file)?;
            for batch in stored::read(&path, &[SERIES_UID, layout::ROW])? {
                let batch = batch?;
                let uids = batch.column(0).as_string::<i32>();
                let keys = batch.column(1).as_primitive::<UInt64Type>();
                for row in (0..batch.num_rows()).filter(|row| uids.is_valid(*row)) {
                    seen.look(uids.value(row), keys.value(row));
                }
            }
        }
        Ok(seen)
    }

    /// Looks a series up, and remembers it at its first sight.
    pub(super) fn look(&mut self, uid: &str, key: u64) -> Sight {
        match self.rows.entry(self.name.hash(uid)) {
            Entry::Vacant(entry) => {
                entry.insert(key);
                Sight::First
            }
            Entry::Occupied(entry) if *entry.get() == key => Sight::Same,
            Entry::Occupied(_) => Sight::Other,
        }
    }
}
