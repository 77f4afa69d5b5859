//! Records with one key and different content: which one stays is the operator's decision, never that of a disk's order.
//!
//! ```text
//! record -> Claim     when it was made, and the keyed hash of its content
//!        -> fate      kept, duplicate, rejected or superseded, by the record that is there already
//!        -> settle    after the last record: rows of those that gave way leave the tables, in the same commit
//! ```
//!
//! Only winners that came second are remembered, with the keys of their rows. What else a table holds of such a thing
//! leaves: rows of this source, and rows of other batches where sources share their keys.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::UInt64Type;
use caim_warehouse::{Among, Origin, TableName, layout};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::tally::{Settled, Tally};
use crate::target::Target;

/// Which of two records with one key and different content stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Duplicates {
    /// The one that is there; the other is rejected.
    #[default]
    Skip,
    /// The one that comes later, also over one of another source.
    Replace,
    /// The one that was made later by its own dates, whatever comes first. Without dates, and with the same ones, the
    /// keyed hash of the content decides.
    Newest,
}

/// What a record brings into a contest. The greater one is the newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Claim {
    /// When it was made, in microseconds since 1970; a record without is older than any with.
    pub(crate) time: Option<i64>,
    /// The keyed hash of its content.
    pub(crate) content: u64,
}

/// What is known of the thing that a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    /// Nothing.
    First,
    /// It is there with the same content.
    Same,
    /// It is there with this other content.
    Other(Claim),
}

/// What becomes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It comes in as the first of its key.
    Kept,
    /// It comes in, in the place of another.
    Won(Turn),
    /// The same is there already.
    Duplicate,
    /// Another one is there, which stays because it was first.
    Rejected,
    /// Another one is there, which is preferred.
    Superseded,
}

/// Which win it was: a later one about the same thing undoes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn(u64);

/// The things about which records disagree.
#[derive(Debug)]
pub(crate) struct Contest {
    pub(crate) policy: Duplicates,
    among: Among<'static>,
    winners: HashMap<u128, Winner>,
    turns: u64,
}

/// The record that stays.
#[derive(Debug)]
struct Winner {
    turn: Turn,
    content: u64,
    /// Its rows: the number of their table, and their keys.
    rows: Vec<(usize, u64)>,
}

/// A table with rows of contested things.
pub(crate) struct Arena<'a> {
    /// The table as it is stored.
    pub(crate) stored: &'a TableName,
    /// The table as the report calls it.
    pub(crate) told: String,
    /// The column that names the thing.
    pub(crate) identifier: &'a str,
    /// The thing of an identifier.
    pub(crate) thing: &'a dyn Fn(&str) -> u128,
}

impl Duplicates {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Skip, Self::Replace, Self::Newest];

    /// The name on the command line and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Replace => "replace",
            Self::Newest => "newest",
        }
    }
}

impl fmt::Display for Duplicates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Duplicates {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        let names = Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|policy| policy.name() == text);
        found.ok_or_else(|| format!("`{text}` is no rule: write one of {names}"))
    }
}

impl Contest {
    /// Among the records of all sources, which share their keys.
    pub(crate) fn of_all_sources(policy: Duplicates) -> Self {
        Self { policy, among: Among::All, winners: HashMap::new(), turns: 0 }
    }

    /// Among the records of one source.
    pub(crate) fn of_one_source(policy: Duplicates) -> Self {
        Self { among: Among::New, ..Self::of_all_sources(policy) }
    }

    /// What becomes of a record about `thing` with the claim `incoming`. Of one that won, whoever remembers what is
    /// there must remember the claim.
    pub(crate) fn fate(&mut self, thing: u128, incoming: Claim, sight: Sight, tally: &mut Tally) -> Fate {
        let present = match sight {
            Sight::First => return Fate::Kept,
            Sight::Same => return Fate::Duplicate,
            Sight::Other(present) => present,
        };
        let wins = match self.policy {
            Duplicates::Skip => false,
            Duplicates::Replace => true,
            Duplicates::Newest => incoming > present,
        };
        let (stays, gives_way) = if wins { (incoming, present) } else { (present, incoming) };
        tally.conflict(self.policy, stays.content, gives_way.content);
        match (wins, self.policy) {
            (true, _) => Fate::Won(self.win(thing, incoming.content)),
            (false, Duplicates::Skip) => Fate::Rejected,
            (false, Duplicates::Replace | Duplicates::Newest) => Fate::Superseded,
        }
    }

    fn win(&mut self, thing: u128, content: u64) -> Turn {
        self.turns += 1;
        let turn = Turn(self.turns);
        self.winners.insert(thing, Winner { turn, content, rows: Vec::new() });
        turn
    }

    /// Notes a row of the record that won in this turn, unless another has won since.
    pub(crate) fn row(&mut self, thing: u128, turn: Turn, table: usize, key: u64) {
        if let Some(winner) = self.winners.get_mut(&thing).filter(|winner| winner.turn == turn) {
            winner.rows.push((table, key));
        }
    }

    /// Takes the rows of those that gave way out of the tables, whose writers are finished. The first table has a row
    /// for each record.
    pub(crate) fn settle(
        mut self,
        target: &mut Target,
        arenas: &[Arena<'_>],
        tally: &mut Tally,
    ) -> Result<()> {
        let Target::Commit(commit, _) = target else { return Ok(()) };
        if self.winners.is_empty() {
            return Ok(());
        }
        for (number, arena) in arenas.iter().enumerate() {
            let mut settled = Settled::default();
            let columns = [arena.identifier, layout::ROW];
            commit.retain(arena.stored, &columns, self.among, &mut |origin, rows| {
                self.stays(number, arena, origin, rows, &mut settled)
            })?;
            tally.settled(&arena.told, &settled);
        }
        Ok(())
    }

    fn stays(
        &mut self,
        number: usize,
        arena: &Arena<'_>,
        origin: Origin,
        rows: &RecordBatch,
        settled: &mut Settled,
    ) -> BooleanArray {
        let names = rows.column_by_name(arena.identifier).and_then(|names| names.as_string_opt::<i32>());
        let keys = rows.column_by_name(layout::ROW).and_then(|keys| keys.as_primitive_opt::<UInt64Type>());
        let (Some(names), Some(keys)) = (names, keys) else {
            return BooleanArray::from(vec![true; rows.num_rows()]);
        };
        let stays = names.iter().zip(keys.values()).map(|(name, key)| {
            let Some(winner) = name.and_then(|name| self.winners.get_mut(&(arena.thing)(name))) else {
                return true;
            };
            let found = winner.rows.iter().position(|row| *row == (number, *key));
            match found {
                Some(found) => _ = winner.rows.swap_remove(found),
                None if origin == Origin::Earlier => settled.displaced += 1,
                None if winner.content == *key => settled.duplicates += 1,
                None => settled.superseded += 1,
            }
            found.is_some()
        });
        stays.map(Some).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Claim = Claim { time: Some(1), content: 9 };
    const NEW: Claim = Claim { time: Some(2), content: 1 };
    const UNDATED: Claim = Claim { time: None, content: 100 };

    fn fate(policy: Duplicates, incoming: Claim, present: Claim) -> Fate {
        let mut contest = Contest::of_all_sources(policy);
        contest.fate(7, incoming, Sight::Other(present), &mut Tally::default())
    }

    #[test]
    fn the_rule_decides_whether_the_incoming_record_wins() {
        for (policy, newer, older) in [
            (Duplicates::Skip, Fate::Rejected, Fate::Rejected),
            (Duplicates::Replace, Fate::Won(Turn(1)), Fate::Won(Turn(1))),
            (Duplicates::Newest, Fate::Won(Turn(1)), Fate::Superseded),
        ] {
            assert_eq!((fate(policy, NEW, OLD), fate(policy, OLD, NEW)), (newer, older), "{policy}");
        }
    }

    #[test]
    fn a_record_without_a_date_is_the_oldest_and_equal_dates_are_decided_by_content() {
        assert_eq!(fate(Duplicates::Newest, UNDATED, OLD), Fate::Superseded);
        assert_eq!(fate(Duplicates::Newest, OLD, UNDATED), Fate::Won(Turn(1)));
        let same = Claim { content: 10, ..OLD };
        assert_eq!(fate(Duplicates::Newest, same, OLD), Fate::Won(Turn(1)));
        assert_eq!(fate(Duplicates::Newest, OLD, same), Fate::Superseded);
    }

    #[test]
    fn rows_of_a_win_that_was_undone_are_not_noted() {
        let mut contest = Contest::of_all_sources(Duplicates::Replace);
        let (first, second) = (contest.win(7, 1), contest.win(7, 2));
        contest.row(7, first, 0, 1);
        contest.row(7, second, 0, 2);
        assert_eq!(contest.winners[&7].rows, [(0, 2)]);
    }

    #[test]
    fn every_rule_is_read_by_its_name() {
        for policy in Duplicates::ALL {
            assert_eq!(policy.to_string().parse(), Ok(policy));
        }
        assert!("first".parse::<Duplicates>().unwrap_err().contains("skip, replace, newest"));
    }
}
