//! The numbers of the newest epoch and of the oldest that is kept, noted in the state database.
//!
//! Manifests prove their own content but not that none is missing after them. The note does: it is never
//! above the newest epoch, so an epoch below it means that a manifest was lost.

use crate::{Error, Result, State};

pub(crate) fn migrate(state: &State) -> Result<()> {
    let newest =
        "CREATE TABLE newest_epoch (one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL) STRICT";
    let oldest =
        "CREATE TABLE oldest_epoch (one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL) STRICT";
    state.migrate("warehouse", &[newest, oldest])
}

/// The highest epoch that was noted; 0 before the first note.
pub(crate) fn published(state: &State) -> Result<u64> {
    state.read(|db| {
        let epoch: i64 =
            db.query_one("SELECT coalesce(max(epoch), 0) FROM newest_epoch", [], |row| row.get(0))?;
        Ok::<_, Error>(epoch.unsigned_abs())
    })
}

pub(crate) fn note(state: &State, epoch: u64) -> Result<()> {
    let epoch = i64::try_from(epoch).unwrap_or(i64::MAX);
    state.write(|db| {
        db.execute(
            "INSERT INTO newest_epoch VALUES (1, ?1)
             ON CONFLICT DO UPDATE SET epoch = max(epoch, excluded.epoch)",
            [epoch],
        )?;
        Ok::<_, Error>(())
    })
}

/// The first epoch that is kept; those before were removed on purpose, or are about to be.
pub(crate) fn oldest(state: &State) -> Result<u64> {
    state.read(|db| {
        let epoch: i64 =
            db.query_one("SELECT coalesce(max(epoch), 0) FROM oldest_epoch", [], |row| row.get(0))?;
        Ok::<_, Error>(epoch.unsigned_abs())
    })
}

/// Notes that epochs before this one are no longer kept.
pub(crate) fn keep_from(state: &State, epoch: u64) -> Result<()> {
    let epoch = i64::try_from(epoch).unwrap_or(i64::MAX);
    state.write(|db| {
        db.execute(
            "INSERT INTO oldest_epoch VALUES (1, ?1)
             ON CONFLICT DO UPDATE SET epoch = max(epoch, excluded.epoch)",
            [epoch],
        )?;
        Ok::<_, Error>(())
    })
}
