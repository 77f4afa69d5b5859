//! The names of nodes that a hub has seen, kept through restarts: an answer says who is missing.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use caim_engine::NodeId;
use caim_flight_server::link::seen::SeenNodes;
use caim_warehouse::rusqlite::params;
use caim_warehouse::{Error, State};

/// Name of the hub's state database in its folder.
const FILE: &str = "state.sqlite";

const SCHEMA: &[&str] = &["CREATE TABLE seen_node (name TEXT PRIMARY KEY) STRICT;"];

/// Names in the hub's state database, with a copy in memory: every question asks for them.
pub(super) struct SeenInState {
    state: State,
    names: Mutex<Vec<NodeId>>,
}

impl SeenInState {
    /// Opens the state database of a hub, or makes it.
    pub(super) fn open(dir: &Path) -> Result<Self> {
        let state = State::open(&dir.join(FILE))?;
        state.migrate("seen_node", SCHEMA)?;
        let names = Mutex::new(stored(&state)?);
        Ok(Self { state, names })
    }
}

impl SeenNodes for SeenInState {
    fn seen(&self, node: &NodeId) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let Err(place) = names.binary_search(node) else { return };
        names.insert(place, node.clone());
        let stored = self.state.write(|tx| -> Result<(), Error> {
            tx.execute("INSERT OR IGNORE INTO seen_node (name) VALUES (?1)", params![node.as_str()])?;
            Ok(())
        });
        if let Err(error) = stored {
            tracing::error!(%error, %node, "the name of a node cannot be kept; after a restart it is not missed");
        }
    }

    fn all(&self) -> Vec<NodeId> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn stored(state: &State) -> Result<Vec<NodeId>, Error> {
    state.read(|connection| {
        let mut statement = connection.prepare("SELECT name FROM seen_node ORDER BY name")?;
        let names = statement.query_map([], |row| row.get::<_, String>(0))?;
        let names = names.collect::<Result<Vec<_>, _>>()?;
        Ok(names.iter().filter_map(|name| NodeId::new(name).ok()).collect())
    })
}

#[cfg(test)]
mod tests {
    use caim_engine::NodeId;
    use caim_flight_server::link::seen::SeenNodes;

    use super::SeenInState;

    #[test]
    fn names_are_kept_through_restarts_sorted_and_once() {
        let dir = tempfile::tempdir().unwrap();
        let node = |name| NodeId::new(name).unwrap();
        let seen = SeenInState::open(dir.path()).unwrap();
        for name in ["cedar", "alder", "cedar"] {
            seen.seen(&node(name));
        }
        assert_eq!(seen.all(), [node("alder"), node("cedar")]);
        drop(seen);
        assert_eq!(SeenInState::open(dir.path()).unwrap().all(), [node("alder"), node("cedar")]);
    }
}
