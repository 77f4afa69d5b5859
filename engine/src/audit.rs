//! The audit record: who asked what, what it cost, how many cells left. Never a value.
//!
//! Records form a hash chain, so that an edited, removed or exchanged one is found by [`verify`]. (A tail that was cut
//! off is found only against a checkpoint kept elsewhere: the newest hash, which [`verify`] returns.)

use caim_warehouse::State;
use caim_warehouse::rusqlite::{self, OptionalExtension, Transaction, params};
use sha2::{Digest, Sha256};

use crate::channel::Asker;

const SCHEMA: &[&str] = &["
    CREATE TABLE audit (
        id INTEGER PRIMARY KEY, at INTEGER NOT NULL, user TEXT NOT NULL, project TEXT NOT NULL,
        purpose TEXT NOT NULL, query_id TEXT NOT NULL, query TEXT NOT NULL, epoch INTEGER NOT NULL,
        decision TEXT NOT NULL, rho REAL NOT NULL, delta REAL NOT NULL, cells INTEGER NOT NULL, hash BLOB NOT NULL
    ) STRICT;
"];

/// One decision of the gate.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record<'a> {
    pub(crate) at: i64,
    pub(crate) asker: &'a Asker,
    pub(crate) query_id: &'a str,
    /// Canonical SQL.
    pub(crate) query: &'a str,
    pub(crate) epoch: u64,
    /// `released`, `repeated`, `published`, `published cube`, or the code of a refusal.
    pub(crate) decision: &'a str,
    pub(crate) rho: f64,
    pub(crate) delta: f64,
    /// Cells that left the node.
    pub(crate) cells: usize,
}

/// What a check of the chain found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Number of records.
    pub records: u64,
    /// Hash of the newest record, in hexadecimal: keep it elsewhere to notice a tail that was cut off.
    pub newest: String,
    /// Number of the first record that does not fit the chain, if any.
    pub broken_at: Option<i64>,
}

pub(crate) fn open(state: &State) -> Result<(), caim_warehouse::Error> {
    state.migrate("audit", SCHEMA)
}

pub(crate) fn append(tx: &Transaction<'_>, record: &Record<'_>) -> Result<(), rusqlite::Error> {
    let last: Option<(i64, [u8; 32])> = tx
        .query_row("SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1", [], |r| Ok((r.get(0)?, r.get(1)?)))
        .optional()?;
    let (id, previous) = last.map_or((1, [0; 32]), |(id, hash)| (id + 1, hash));
    let Record { at, asker, query_id, query, epoch, decision, rho, delta, cells } = record;
    let hash = hash(&previous, id, record);
    tx.execute(
        "INSERT INTO audit (id, at, user, project, purpose, query_id, query, epoch, decision, rho, delta, cells, hash)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        params![
            id,
            at,
            asker.user,
            asker.project,
            asker.purpose,
            query_id,
            query,
            *epoch as i64,
            decision,
            rho,
            delta,
            *cells as i64,
            hash
        ],
    )?;
    Ok(())
}

/// Walks the chain of audit records.
///
/// # Errors
/// When the state database cannot be read.
pub fn verify(state: &State) -> Result<Verified, caim_warehouse::Error> {
    open(state)?;
    state.read(|connection| {
        let mut statement = connection.prepare(
            "SELECT id, at, user, project, purpose, query_id, query, epoch, decision, rho, delta, cells, hash
             FROM audit ORDER BY id",
        )?;
        let mut rows = statement.query([])?;
        let mut found = Verified { records: 0, newest: hex::encode([0u8; 32]), broken_at: None };
        let mut previous = [0u8; 32];
        while let Some(row) = rows.next()? {
            let (id, expected, stored) = read(row, &previous)?;
            let follows = id == found.records as i64 + 1 && expected == stored;
            if !follows && found.broken_at.is_none() {
                found.broken_at = Some(id);
            }
            previous = stored;
            found.records += 1;
        }
        found.newest = hex::encode(previous);
        Ok(found)
    })
}

fn read(row: &rusqlite::Row<'_>, previous: &[u8; 32]) -> Result<(i64, [u8; 32], [u8; 32]), rusqlite::Error> {
    let asker = Asker { user: row.get(2)?, project: row.get(3)?, purpose: row.get(4)? };
    let (query_id, query, decision): (String, String, String) = (row.get(5)?, row.get(6)?, row.get(8)?);
    let record = Record {
        at: row.get(1)?,
        asker: &asker,
        query_id: &query_id,
        query: &query,
        epoch: row.get::<_, i64>(7)? as u64,
        decision: &decision,
        rho: row.get(9)?,
        delta: row.get(10)?,
        cells: row.get::<_, i64>(11)? as usize,
    };
    let id = row.get(0)?;
    Ok((id, hash(previous, id, &record), row.get(12)?))
}

fn hash(previous: &[u8; 32], id: i64, record: &Record<'_>) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(previous);
    let Record { at, asker, query_id, query, epoch, decision, rho, delta, cells } = record;
    for number in [id as u64, *at as u64, *epoch, rho.to_bits(), delta.to_bits(), *cells as u64] {
        hash.update(number.to_le_bytes());
    }
    for text in [&asker.user, &asker.project, &asker.purpose] {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    for text in [query_id, query, decision] {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use caim_warehouse::State;

    use super::{Record, append, open, verify};
    use crate::channel::Asker;

    fn chain(records: usize) -> State {
        let state = State::in_memory().unwrap();
        open(&state).unwrap();
        let asker = Asker { user: "u".into(), project: "p".into(), purpose: String::new() };
        for i in 0..records {
            let query_id = i.to_string();
            let record = Record {
                at: 7,
                asker: &asker,
                query_id: &query_id,
                query: "SELECT",
                epoch: 1,
                decision: "released",
                rho: 0.5,
                delta: 0.0,
                cells: 3,
            };
            state.write::<_, caim_warehouse::Error>(|tx| Ok(append(tx, &record)?)).unwrap();
        }
        state
    }

    #[test]
    fn an_untouched_chain_holds() {
        let found = verify(&chain(5)).unwrap();
        assert_eq!((found.records, found.broken_at), (5, None));
    }

    #[test]
    fn an_edited_a_removed_and_an_exchanged_record_are_found() {
        for (edit, at) in [
            ("UPDATE audit SET user = 'x' WHERE id = 3", 3),
            ("UPDATE audit SET rho = 0.25 WHERE id = 2", 2),
            ("DELETE FROM audit WHERE id = 2", 3),
            ("UPDATE audit SET query_id = CASE id WHEN 3 THEN '3' ELSE '2' END WHERE id IN (3, 4)", 3),
        ] {
            let state = chain(5);
            state.write::<_, caim_warehouse::Error>(|tx| Ok(tx.execute(edit, [])?)).unwrap();
            assert_eq!(verify(&state).unwrap().broken_at, Some(at), "{edit}");
        }
    }
}
