//! How far the ledger had come, written beside it: an older copy of the ledger, put back in its place, is noticed.
//!
//! The mark is a file of its own, so that a restored state database does not bring its mark along. It is raised after a
//! charge is on the disk and before any data is touched; a crash in between leaves it lower, never higher.

use std::sync::{Mutex, PoisonError};

use caim_warehouse::State;
use caim_warehouse::rusqlite::{self, Connection};

use super::LedgerError;

const NAME: &str = "ledger.mark";

/// The mark of a ledger: what the file says.
pub(super) struct Mark(Mutex<u64>);

impl Mark {
    /// Reads the mark, and holds the ledger against it.
    pub(super) fn open(state: &State) -> Result<Self, LedgerError> {
        let marked = match state.read_beside(NAME)? {
            Some(text) => text.trim().parse().map_err(|_| LedgerError::Mark(place(state)))?,
            None => 0,
        };
        let entries = state.read(|connection| Ok::<_, LedgerError>(entries(connection)?))?;
        if marked > entries {
            return Err(LedgerError::RolledBack { entries, marked, mark: place(state) });
        }
        Ok(Self(Mutex::new(marked)))
    }

    /// Raises the mark to a number of entries. On the disk when it returns.
    pub(super) fn raise(&self, state: &State, entries: u64) -> Result<(), LedgerError> {
        let mut at = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries > *at {
            state.write_beside(NAME, &format!("{entries}\n"))?;
            *at = entries;
        }
        Ok(())
    }
}

fn place(state: &State) -> String {
    state.beside(NAME).map_or_else(|| NAME.to_owned(), |path| path.display().to_string())
}

/// How many charges the ledger knows; it only grows.
pub(super) fn entries(connection: &Connection) -> Result<u64, rusqlite::Error> {
    let count = "SELECT (SELECT count(*) FROM payment) + (SELECT coalesce(max(id), 0) FROM publication)";
    connection.query_row(count, [], |row| row.get::<_, i64>(0)).map(|n| n as u64)
}

#[cfg(test)]
mod tests {
    use caim_warehouse::State;

    use super::{Mark, NAME};
    use crate::ledger::{LedgerError, SCHEMA, publications};

    fn state(dir: &std::path::Path) -> State {
        let state = State::open(&dir.join("state.sqlite")).unwrap();
        state.migrate("ledger", SCHEMA).unwrap();
        publications::open(&state).unwrap();
        state
    }

    #[test]
    fn a_ledger_behind_its_mark_is_not_believed_until_the_mark_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = state(dir.path());
        let mark = Mark::open(&ledger).unwrap();
        mark.raise(&ledger, 0).unwrap();
        assert!(!dir.path().join(NAME).exists(), "nothing was charged");
        mark.raise(&ledger, 3).unwrap();
        mark.raise(&ledger, 2).unwrap();
        assert_eq!(std::fs::read_to_string(dir.path().join(NAME)).unwrap(), "3\n");
        let Err(LedgerError::RolledBack { entries: 0, marked: 3, .. }) = Mark::open(&ledger) else {
            panic!("three charges are missing")
        };
        std::fs::remove_file(dir.path().join(NAME)).unwrap();
        assert!(Mark::open(&ledger).is_ok());
    }

    #[test]
    fn a_mark_that_is_no_number_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(NAME), "many").unwrap();
        let Err(error) = Mark::open(&state(dir.path())) else { panic!("no number") };
        assert!(error.to_string().contains(NAME), "{error}");
    }
}
