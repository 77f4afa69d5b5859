//! What was left out of each batch at the door: kept beside the warehouse, for the operator alone. Keywords of
//! attributes, paths, reasons and counts, no value of a record.

use caim_warehouse::rusqlite::params;
use caim_warehouse::{Commit, State, Warehouse};

use crate::report::{Reject, Rejected, Removed};
use crate::tally::Tally;
use crate::{Code, Result};

const SCHEMA: &[&str] = &["CREATE TABLE removed (
    batch INTEGER NOT NULL, attribute TEXT NOT NULL, times INTEGER NOT NULL, PRIMARY KEY (batch, attribute)) STRICT;"];

const REJECTS: &[&str] = &["
    CREATE TABLE rejected (
        batch INTEGER NOT NULL, tab TEXT NOT NULL, code TEXT NOT NULL, times INTEGER NOT NULL,
        PRIMARY KEY (batch, tab, code)) STRICT;
    CREATE TABLE reject (
        batch INTEGER NOT NULL, number INTEGER NOT NULL, tab TEXT NOT NULL, path TEXT NOT NULL,
        line INTEGER NOT NULL, code TEXT NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (batch, number)) STRICT;"];

/// Notes what a batch leaves out, before it is published: a batch that counts has its note. What was noted for a commit
/// of this number that came to nothing goes, and what was rejected of batches that are gone.
pub(crate) fn note(warehouse: &Warehouse, commit: &Commit, tally: &Tally) -> Result<()> {
    let live: Vec<u64> = commit.base().batches().iter().map(|batch| batch.id.0).collect();
    note_removed(warehouse, commit.batch().0, &tally.all_removed())?;
    note_rejects(warehouse, commit.batch().0, tally, &live)
}

fn note_removed(warehouse: &Warehouse, batch: u64, removed: &[Removed]) -> Result<()> {
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

fn note_rejects(warehouse: &Warehouse, batch: u64, tally: &Tally, live: &[u64]) -> Result<()> {
    let live = serde_json::json!(live).to_string();
    with_rejects(warehouse)?.write(|transaction| {
        for table in ["reject", "rejected"] {
            let sql = format!(
                "DELETE FROM {table} WHERE batch = ?1 OR batch NOT IN (SELECT value FROM json_each(?2))"
            );
            transaction.execute(&sql, params![batch.cast_signed(), live])?;
        }
        let mut insert = transaction.prepare("INSERT INTO rejected VALUES (?1, ?2, ?3, ?4)")?;
        for Rejected { table, code, rows } in tally.rejected() {
            insert.execute(params![batch.cast_signed(), table, code.id(), rows.cast_signed()])?;
        }
        let mut insert = transaction.prepare("INSERT INTO reject VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
        for (number, reject) in (1_i64..).zip(&tally.rejects) {
            let Reject { table, file, line, code, reason, .. } = reject;
            let row =
                params![batch.cast_signed(), number, table, file, line.cast_signed(), code.id(), reason];
            insert.execute(row)?;
        }
        Ok::<_, caim_warehouse::Error>(())
    })?;
    Ok(())
}

/// How many rows of a batch each rule has rejected, by table.
///
/// # Errors
/// When the state of the warehouse cannot be read.
pub fn rejected(warehouse: &Warehouse, batch: u64) -> Result<Vec<Rejected>> {
    let rejected = with_rejects(warehouse)?.read(|connection| {
        let sql = "SELECT tab, code, times FROM rejected WHERE batch = ?1 ORDER BY tab, code";
        let mut statement = connection.prepare(sql)?;
        let rows = statement.query_map(params![batch.cast_signed()], |row| {
            let (table, rows) = (row.get(0)?, row.get::<_, i64>(2)?.cast_unsigned());
            Ok(Code::of(&row.get::<_, String>(1)?).map(|code| Rejected { table, code, rows }))
        })?;
        let rows = rows.collect::<std::result::Result<Vec<_>, _>>()?;
        Ok::<_, caim_warehouse::Error>(rows.into_iter().flatten().collect())
    })?;
    Ok(rejected)
}

/// The first rows of each table that a batch has rejected, in the order in which they were found.
///
/// # Errors
/// When the state of the warehouse cannot be read.
pub fn rejects(warehouse: &Warehouse, batch: u64) -> Result<Vec<Reject>> {
    let rejects = with_rejects(warehouse)?.read(|connection| {
        let sql = "SELECT tab, path, line, code, reason FROM reject WHERE batch = ?1 ORDER BY number";
        let mut statement = connection.prepare(sql)?;
        let rows = statement.query_map(params![batch.cast_signed()], |row| {
            let (table, file, reason) = (row.get(0)?, row.get(1)?, row.get(4)?);
            let line = row.get::<_, i64>(2)?.cast_unsigned();
            let code = Code::of(&row.get::<_, String>(3)?);
            let of = |code: Code| {
                let (stage, fix) = (code.stage(), code.fix().to_owned());
                Reject { table, file, line, stage, code, reason, fix }
            };
            Ok(code.map(of))
        })?;
        let rows = rows.collect::<std::result::Result<Vec<_>, _>>()?;
        Ok::<_, caim_warehouse::Error>(rows.into_iter().flatten().collect())
    })?;
    Ok(rejects)
}

/// Removes every list of rejects, as a path may name a patient. The counts stay.
pub(crate) fn drop_lists(warehouse: &Warehouse) -> Result<()> {
    with_rejects(warehouse)?.write(|transaction| {
        Ok::<_, caim_warehouse::Error>(transaction.execute("DELETE FROM reject", [])?)
    })?;
    Ok(())
}

fn with_rejects(warehouse: &Warehouse) -> Result<&State> {
    warehouse.state().migrate("rejects", REJECTS)?;
    Ok(warehouse.state())
}

fn prepared(warehouse: &Warehouse) -> Result<&State> {
    warehouse.state().migrate("removed", SCHEMA)?;
    Ok(warehouse.state())
}
