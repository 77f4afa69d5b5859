//! Which rules made the derived tables of an epoch: kept beside the warehouse, so that a source that is known is not
//! read again only because a mapping has changed since, and its derived tables are made anew all the same.

use caim_warehouse::rusqlite::{OptionalExtension, params};
use caim_warehouse::{State, Warehouse};

use crate::Result;

const SCHEMA: &[&str] = &["CREATE TABLE derived (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1), epoch INTEGER NOT NULL, rules TEXT NOT NULL) STRICT;"];

/// Notes that the derived tables of an epoch follow these rules.
pub(super) fn note(warehouse: &Warehouse, epoch: u64, rules: &str) -> Result<()> {
    let state = prepared(warehouse)?;
    state.write(|transaction| {
        let sql = "INSERT OR REPLACE INTO derived VALUES (1, ?1, ?2)";
        transaction.execute(sql, params![epoch.cast_signed(), rules])?;
        Ok::<_, caim_warehouse::Error>(())
    })?;
    Ok(())
}

/// Whether the derived tables of an epoch follow these rules. No note, as after a crash, means no.
pub(super) fn follows(warehouse: &Warehouse, epoch: u64, rules: &str) -> Result<bool> {
    let state = prepared(warehouse)?;
    let noted: Option<(i64, String)> = state.read(|connection| {
        let sql = "SELECT epoch, rules FROM derived";
        Ok::<_, caim_warehouse::Error>(
            connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()?,
        )
    })?;
    Ok(noted.is_some_and(|(of, by)| of == epoch.cast_signed() && by == rules))
}

fn prepared(warehouse: &Warehouse) -> Result<&State> {
    warehouse.state().migrate("derived", SCHEMA)?;
    Ok(warehouse.state())
}
