//! The state of a node in SQLite: what was spent, answered and written down about it.
//!
//! One connection behind a lock, write-ahead log, and every commit on the disk before it returns: a budget
//! that forgets at a power cut is no budget. Each part of Caim keeps its own tables and migrates them itself.

use std::fmt;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::files::lock;
use crate::storage::{LocalStorage, Storage};
use crate::{Error, Result};

/// Stands for the path of a database without a file.
const IN_MEMORY: &str = ":memory:";

/// How long a statement waits for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The state database of a node. Shared between threads; statements run one after the other.
pub struct State {
    connection: Mutex<Connection>,
    path: PathBuf,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("path", &self.path).finish_non_exhaustive()
    }
}

impl State {
    /// Opens the database, making it if it is not there.
    ///
    /// # Errors
    /// [`Error::State`] when the file cannot be opened and written, or is no database.
    pub fn open(path: &Path) -> Result<Self> {
        Self::prepare(Connection::open(path), path)
    }

    /// A database that ends with its owner, for tests.
    ///
    /// # Errors
    /// [`Error::State`] when SQLite cannot make one.
    pub fn in_memory() -> Result<Self> {
        Self::prepare(Connection::open_in_memory(), Path::new(IN_MEMORY))
    }

    /// Where a file beside the database is; `None` for a database without a file.
    #[must_use]
    pub fn beside(&self, name: &str) -> Option<PathBuf> {
        (self.path != Path::new(IN_MEMORY)).then(|| self.path.with_file_name(name))
    }

    /// The text of a file beside the database; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read.
    pub fn read_beside(&self, name: &str) -> Result<Option<String>> {
        let Some(path) = self.beside(name) else { return Ok(None) };
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("read", &path)(e)),
        }
    }

    /// Writes a file beside the database, whole or not at all. On the disk when it returns.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be written; then the old file is still there.
    pub fn write_beside(&self, name: &str, text: &str) -> Result<()> {
        let Some(path) = self.beside(name) else { return Ok(()) };
        let new = path.with_file_name(format!("{name}.new"));
        let write = || {
            let mut file = File::create(&new)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        write().map_err(Error::io("write", &new))?;
        LocalStorage.rename(&new, &path).map_err(Error::io("rename into place", &path))?;
        let folder = path.parent().unwrap_or(&path);
        LocalStorage.sync_folder(folder).map_err(Error::io("sync the folder", folder))
    }

    fn prepare(opened: rusqlite::Result<Connection>, path: &Path) -> Result<Self> {
        let configured = opened.and_then(|connection| configure(&connection).map(|()| connection));
        let connection = Mutex::new(configured.map_err(failed(path))?);
        Ok(Self { connection, path: path.to_path_buf() })
    }

    /// Runs the steps of `name` that were not yet run on this database, in order, once each. A step that was
    /// released is never changed: a change is a new step at the end.
    ///
    /// # Errors
    /// [`Error::Sqlite`] when a step fails: then no step of this call is kept. [`Error::NewerState`] when the
    /// database knows more steps than `steps`.
    pub fn migrate(&self, name: &str, steps: &[&str]) -> Result<()> {
        self.write(|db| {
            let found = usize::try_from(db.query_one(
                "SELECT count(*) FROM migration WHERE name = ?1",
                [name],
                |row| row.get::<_, i64>(0),
            )?)
            .unwrap_or(0);
            let new = steps.get(found..).ok_or_else(|| Error::NewerState {
                name: name.to_owned(),
                found,
                known: steps.len(),
            })?;
            for (step, sql) in (found..).zip(new) {
                db.execute_batch(sql)?;
                db.execute("INSERT INTO migration VALUES (?1, ?2)", (name, step.to_string()))?;
            }
            Ok(())
        })
    }

    /// Runs `f` in a transaction that may write. It is kept when `f` succeeds, and then on the disk;
    /// otherwise nothing of it remains. `f` must not use this `State` again: it would wait for itself.
    ///
    /// # Errors
    /// What `f` returned; [`Error::State`] when SQLite cannot begin or commit.
    pub fn write<T, E: From<Error>>(&self, f: impl FnOnce(&Transaction<'_>) -> Result<T, E>) -> Result<T, E> {
        self.within(TransactionBehavior::Immediate, f)
    }

    /// Runs `f` on one consistent state of the database. `f` must not use this `State` again.
    ///
    /// # Errors
    /// What `f` returned; [`Error::State`] when SQLite cannot begin.
    pub fn read<T, E: From<Error>>(&self, f: impl FnOnce(&Connection) -> Result<T, E>) -> Result<T, E> {
        self.within(TransactionBehavior::Deferred, |transaction| f(transaction))
    }

    fn within<T, E: From<Error>>(
        &self,
        behavior: TransactionBehavior,
        f: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        // A panic in `f` dropped its transaction, which rolled it back: the connection is as before.
        let mut connection = lock(&self.connection);
        let transaction = connection.transaction_with_behavior(behavior).map_err(failed(&self.path))?;
        let outcome = f(&transaction)?;
        transaction.commit().map_err(failed(&self.path))?;
        Ok(outcome)
    }
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS migration (
             name TEXT NOT NULL, step INTEGER NOT NULL, PRIMARY KEY (name, step)
         ) STRICT",
    )
}

fn failed(path: &Path) -> impl FnOnce(rusqlite::Error) -> Error {
    let path = path.to_path_buf();
    move |source| Error::State { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTES: &str = "CREATE TABLE note (text TEXT NOT NULL) STRICT";

    fn add(state: &State, text: &str) -> Result<()> {
        state.write(|db| Ok(db.execute("INSERT INTO note VALUES (?1)", [text]).map(drop)?))
    }

    fn notes(state: &State) -> i64 {
        state
            .read(|db| Ok::<_, Error>(db.query_one("SELECT count(*) FROM note", [], |row| row.get(0))?))
            .unwrap()
    }

    #[test]
    fn what_was_written_is_there_after_opening_again_and_steps_run_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.sqlite");
        let state = State::open(&path).unwrap();
        state.migrate("notes", &[NOTES]).unwrap();
        add(&state, "a").unwrap();
        drop(state);
        let state = State::open(&path).unwrap();
        state.migrate("notes", &[NOTES, "ALTER TABLE note ADD COLUMN at INTEGER"]).unwrap();
        state.migrate("others", &["CREATE TABLE other (a INTEGER)"]).unwrap();
        assert_eq!(notes(&state), 1);
    }

    #[test]
    fn a_failed_step_keeps_none_of_its_call_and_can_be_tried_again() {
        let state = State::in_memory().unwrap();
        assert!(state.migrate("notes", &[NOTES, "CREATE NONSENSE"]).is_err());
        state.migrate("notes", &[NOTES]).unwrap();
        assert_eq!(notes(&state), 0);
    }

    #[test]
    fn a_database_of_a_newer_version_is_refused() {
        let state = State::in_memory().unwrap();
        state.migrate("notes", &[NOTES, "CREATE TABLE more (a INTEGER)"]).unwrap();
        let refused = state.migrate("notes", &[NOTES]).unwrap_err();
        assert!(matches!(refused, Error::NewerState { found: 2, known: 1, .. }), "{refused}");
    }

    #[test]
    fn a_write_that_fails_or_panics_leaves_nothing() {
        let state = State::in_memory().unwrap();
        state.migrate("notes", &[NOTES]).unwrap();
        let failed: Result<()> = state.write(|db| {
            db.execute("INSERT INTO note VALUES ('a')", [])?;
            Err(Error::NoSecret)
        });
        assert!(matches!(failed, Err(Error::NoSecret)));
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            state.write(|db| -> Result<()> {
                db.execute("INSERT INTO note VALUES ('b')", [])?;
                panic!("in the middle")
            })
        }));
        assert!(panicked.is_err());
        assert_eq!(notes(&state), 0);
        add(&state, "c").unwrap();
        assert_eq!(notes(&state), 1);
    }

    #[test]
    fn two_connections_take_turns() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.sqlite");
        let states = [State::open(&path).unwrap(), State::open(&path).unwrap()];
        states[0].migrate("notes", &[NOTES]).unwrap();
        std::thread::scope(|scope| {
            for state in &states {
                scope.spawn(|| (0..20).for_each(|_| add(state, "x").unwrap()));
            }
        });
        assert_eq!(notes(&states[0]), 40);
    }

    #[test]
    fn commits_are_synced_and_foreign_keys_hold() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.sqlite")).unwrap();
        let pragma = |name: &str| {
            state
                .read(|db| Ok::<_, Error>(db.pragma_query_value(None, name, |row| row.get::<_, i64>(0))?))
                .unwrap()
        };
        assert_eq!((pragma("synchronous"), pragma("foreign_keys")), (2, 1));
    }

    #[test]
    fn a_file_that_is_no_database_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.sqlite");
        std::fs::write(&path, "not a database, but long enough to be taken for one".repeat(40)).unwrap();
        let refused = State::open(&path).unwrap_err().to_string();
        assert!(refused.contains(path.to_str().unwrap()), "{refused}");
    }
}
