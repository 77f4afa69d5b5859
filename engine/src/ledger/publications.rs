//! What was published of every cube, from which epoch, and what that cost: an account of its own, beside the projects'.
//!
//! A release is charged and its seed committed before any data is touched; its answer is stored with the audit record
//! in one transaction. What was charged and never answered has not left the node: it is released once more without a
//! new charge, from a fresh seed if the data has changed since.

use caim_warehouse::rusqlite::{self, Connection, OptionalExtension, Transaction, params};
use caim_warehouse::{Error, State};

use super::{Ledger, LedgerError, SLACK, fresh_seed, mark};
use crate::accounting::Accounting;
use crate::policy::Policy;
use crate::release::Seed;

const SCHEMA: &[&str] = &["
    CREATE TABLE publication (
        id INTEGER PRIMARY KEY AUTOINCREMENT, cube TEXT NOT NULL, definition BLOB NOT NULL, epoch INTEGER NOT NULL,
        seed BLOB NOT NULL, at INTEGER NOT NULL, rho REAL NOT NULL, delta REAL NOT NULL, answer BLOB
    ) STRICT;
    CREATE INDEX publication_cube ON publication (cube, definition);
    CREATE INDEX publication_at ON publication (at);
"];

/// Names a cube and everything that its cells depend on, but the data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Edition<'a> {
    pub(crate) cube: &'a str,
    /// Hash of the question, its parameters, the models and the policy.
    pub(crate) definition: [u8; 32],
}

/// What is to be done about a cube.
pub(crate) enum Publication {
    /// Nothing: what is published stands, since the data is the same or the window not over.
    Standing,
    /// It is paid for and to be released now.
    Due(Due),
    /// What is left of `publish_rho` does not carry it before the next window.
    Dear {
        /// What is left.
        left: f64,
    },
}

/// A release that is paid for.
pub(crate) struct Due {
    /// Its number at this node.
    pub(crate) id: i64,
    /// Its randomness.
    pub(crate) seed: Seed,
}

/// The newest release of a cube that was answered.
pub(crate) struct Published {
    pub(crate) id: u64,
    pub(crate) epoch: u64,
}

struct Latest {
    id: i64,
    epoch: u64,
    seed: Seed,
    at: i64,
    answered: bool,
}

pub(super) fn open(state: &State) -> Result<(), Error> {
    state.migrate("publication", SCHEMA)
}

impl Ledger {
    /// Charges a cube's release from an epoch, if one is due. Committed to disk on return.
    pub(crate) fn publish(
        &self,
        state: &State,
        policy: &Policy,
        accounting: &Accounting,
        edition: Edition<'_>,
        epoch: u64,
    ) -> Result<Publication, LedgerError> {
        let now = self.clock.unix_seconds();
        let (publication, entries) = state.write(|tx| {
            let publication = self.publish_within(tx, policy, accounting, edition, epoch, now)?;
            Ok::<_, LedgerError>((publication, mark::entries(tx)?))
        })?;
        self.mark.raise(state, entries)?;
        Ok(publication)
    }

    fn publish_within(
        &self,
        tx: &Transaction<'_>,
        policy: &Policy,
        accounting: &Accounting,
        edition: Edition<'_>,
        epoch: u64,
        now: i64,
    ) -> Result<Publication, LedgerError> {
        let window = self.window(policy);
        match latest(tx, edition)? {
            Some(known) if known.answered && (known.epoch == epoch || known.at >= window) => {
                return Ok(Publication::Standing);
            }
            Some(known) if !known.answered && known.at >= window => {
                let Latest { id, seed, .. } = known;
                let seed = if known.epoch == epoch { seed } else { seeded_again(tx, id, epoch)? };
                return Ok(Publication::Due(Due { id, seed }));
            }
            Some(_) | None => {}
        }
        let left = policy.publish_rho - published_rho(tx, window)?;
        if accounting.rho > left + SLACK {
            return Ok(Publication::Dear { left });
        }
        let seed = fresh_seed()?;
        let Accounting { rho, delta, .. } = accounting;
        tx.execute(
            "INSERT INTO publication (cube, definition, epoch, seed, at, rho, delta)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![edition.cube, edition.definition, epoch as i64, seed.0, now, rho, delta],
        )?;
        Ok(Publication::Due(Due { id: tx.last_insert_rowid(), seed }))
    }

    /// Stores what was released; the caller writes its audit record in the same transaction. False when another process
    /// was faster: then its answer stands.
    pub(crate) fn store_published(
        tx: &Transaction<'_>,
        due: &Due,
        answer: &[u8],
    ) -> Result<bool, LedgerError> {
        let stored = tx.execute(
            "UPDATE publication SET answer = ?3 WHERE id = ?1 AND seed = ?2 AND answer IS NULL",
            params![due.id, due.seed.0, answer],
        )?;
        Ok(stored == 1)
    }

    /// The newest release of a cube.
    pub(crate) fn published(state: &State, edition: Edition<'_>) -> Result<Option<Published>, LedgerError> {
        state.read(|connection| Ok(newest(connection, edition)?))
    }

    /// The cells of a release.
    pub(crate) fn published_answer(state: &State, release: u64) -> Result<Vec<u8>, LedgerError> {
        state.read(|connection| {
            let answer = "SELECT answer FROM publication WHERE id = ?1";
            Ok(connection.query_row(answer, params![release as i64], |row| row.get(0))?)
        })
    }
}

fn latest(tx: &Connection, edition: Edition<'_>) -> Result<Option<Latest>, rusqlite::Error> {
    tx.query_row(
        "SELECT id, epoch, seed, at, answer IS NOT NULL FROM publication WHERE cube = ?1 AND definition = ?2
         ORDER BY id DESC LIMIT 1",
        params![edition.cube, edition.definition],
        |row| {
            Ok(Latest {
                id: row.get(0)?,
                epoch: row.get::<_, i64>(1)? as u64,
                seed: Seed(row.get(2)?),
                at: row.get(3)?,
                answered: row.get(4)?,
            })
        },
    )
    .optional()
}

fn newest(connection: &Connection, edition: Edition<'_>) -> Result<Option<Published>, rusqlite::Error> {
    connection
        .query_row(
            "SELECT id, epoch FROM publication WHERE cube = ?1 AND definition = ?2 AND answer IS NOT NULL
             ORDER BY id DESC LIMIT 1",
            params![edition.cube, edition.definition],
            |row| Ok(Published { id: row.get::<_, i64>(0)? as u64, epoch: row.get::<_, i64>(1)? as u64 }),
        )
        .optional()
}

/// No two truths share a draw: other data gets another seed. The first one has noised nothing that left.
fn seeded_again(tx: &Transaction<'_>, id: i64, epoch: u64) -> Result<Seed, LedgerError> {
    let seed = fresh_seed()?;
    tx.execute(
        "UPDATE publication SET seed = ?2, epoch = ?3 WHERE id = ?1",
        params![id, seed.0, epoch as i64],
    )?;
    Ok(seed)
}

fn published_rho(connection: &Connection, window: i64) -> Result<f64, rusqlite::Error> {
    connection.query_row(
        "SELECT coalesce(sum(rho), 0.0) FROM publication WHERE at >= ?1",
        params![window],
        |row| row.get(0),
    )
}

#[cfg(test)]
mod tests;
