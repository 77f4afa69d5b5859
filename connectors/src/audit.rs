//! What was left out of each batch at the door: kept beside the warehouse, for the operator alone. Keywords of
//! attributes and counts, no value.

use caim_warehouse::rusqlite::params;
use caim_warehouse::{State, Warehouse};

use crate::Result;
use crate::report::Removed;

const SCHEMA: &[&str] = &["CREATE TABLE removed (
    batch INTEGER NOT NULL, attribute TEXT NOT NULL, times INTEGER NOT NULL, PRIMARY KEY (batch, attribute)) STRICT;"];

/// Notes what a batch leaves out, before it is published: a batch that counts has its note. What was noted for a commit
/// of this number that came to nothing goes.
pub(crate) fn note(warehouse: &Warehouse, batch: u64, removed: &[Removed]) -> Result<()> {
    let state = prepared(warehouse)?;
    state.write(|transaction| {
        transaction.execute("DELETE FROM removed WHERE batch = ?1", params![batch.cast_signed()])?;
        let mut insert = transaction.prepare("INSERT INTO removed VALUES (?1, ?2, ?3)")?;
        for Removed { attribute, count } in removed {
            insert.execute(params![batch.cast_signed(), attribute, count.cast_signed()])?;
        }
        Ok::<_, caim_warehouse::Error>(())
    })?;
    Ok(())
}

/// The attributes of DICOM objects that a batch left out, the most frequent first; none for one without objects.
///
/// # Errors
/// When the state of the warehouse cannot be read.
pub fn removed(warehouse: &Warehouse, batch: u64) -> Result<Vec<Removed>> {
    let state = prepared(warehouse)?;
    let removed = state.read(|connection| {
        let sql = "SELECT attribute, times FROM removed WHERE batch = ?1 ORDER BY times DESC, attribute";
        let mut statement = connection.prepare(sql)?;
        let rows = statement.query_map(params![batch.cast_signed()], |row| {
            Ok(Removed { attribute: row.get(0)?, count: row.get::<_, i64>(1)?.cast_unsigned() })
        })?;
        rows.collect::<std::result::Result<Vec<_>, _>>().map_err(caim_warehouse::Error::from)
    })?;
    Ok(removed)
}

fn prepared(warehouse: &Warehouse) -> Result<&State> {
    warehouse.state().migrate("removed", SCHEMA)?;
    Ok(warehouse.state())
}
