//! What every project has spent at this node, and what it got for it.
//!
//! A question is charged before any data is touched, all or nothing, together with a fresh seed; its answer is stored
//! with the audit record in one transaction. So a crash between the two costs the asker nothing more, and gives the
//! same answer afterwards. Nothing here is ever rolled back by a new epoch.

mod mark;
mod publications;

use std::sync::Arc;

use caim_sql::{Code, Refusal};
use caim_warehouse::rusqlite::{self, OptionalExtension, Transaction, params};
use caim_warehouse::{State, rusqlite::Connection};

use crate::accounting::Accounting;
use crate::clock::Clock;
use crate::policy::Policy;
use crate::release::Seed;
use mark::Mark;

pub(crate) use publications::{Due, Edition, Publication, Published};

const SCHEMA: &[&str] = &["
    CREATE TABLE question (
        key BLOB PRIMARY KEY, seed BLOB NOT NULL, at INTEGER NOT NULL, rho REAL NOT NULL, answer BLOB
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX question_at ON question (at);
    CREATE TABLE payment (
        project TEXT NOT NULL, key BLOB NOT NULL, at INTEGER NOT NULL, rho REAL NOT NULL, delta REAL NOT NULL,
        PRIMARY KEY (project, key)
    ) STRICT, WITHOUT ROWID;
"];

/// Sums of costs are compared with budgets up to rounding of floating point.
pub(crate) const SLACK: f64 = 1e-9;

const DAY_SECONDS: i64 = 86_400;

/// Hash of everything an answer depends on: names a question at this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct QuestionKey(pub(crate) [u8; 32]);

/// What a project may do now.
pub(crate) struct Charged {
    /// The randomness of this question.
    pub(crate) seed: Seed,
    /// The stored answer, if there is one.
    pub(crate) answer: Option<Vec<u8>>,
    /// What was paid just now: zero for a repeated question.
    pub(crate) rho: f64,
    /// The chance that was paid just now.
    pub(crate) delta: f64,
    /// Left of the project's budget in this window.
    pub(crate) rho_left: f64,
}

/// The node's ledger.
#[derive(Clone)]
pub(crate) struct Ledger {
    clock: Arc<dyn Clock>,
    mark: Arc<Mark>,
}

/// The ledger said no, or could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LedgerError {
    #[error("{0}")]
    Refused(Refusal),
    #[error("the ledger cannot be used: {0}")]
    State(#[from] caim_warehouse::Error),
    #[error("the ledger cannot be used: {0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("the operating system gave no randomness")]
    Randomness,
    #[error("the ledger's mark cannot be used: {0} holds no number")]
    Mark(String),
    #[error(
        "the ledger knows {entries} charges, but {marked} were made: an older copy was put in its place, and would \
         give back what was spent since. Put the newest state database back; or, if it is lost and all budgets may begin \
         anew, remove {mark}"
    )]
    RolledBack { entries: u64, marked: u64, mark: String },
}

/// A question that somebody has paid for.
struct Known {
    seed: Seed,
    answer: Option<Vec<u8>>,
}

/// What was spent, by whom, since when.
struct Spent {
    rho: f64,
    delta: f64,
    life_rho: f64,
    node_rho: f64,
}

impl Ledger {
    pub(crate) fn open(state: &State, clock: Arc<dyn Clock>) -> Result<Self, LedgerError> {
        state.migrate("ledger", SCHEMA)?;
        publications::open(state)?;
        Ok(Self { clock, mark: Arc::new(Mark::open(state)?) })
    }

    /// Charges a project for a question, unless it has paid for it before. Committed to disk on return.
    pub(crate) fn charge(
        &self,
        state: &State,
        policy: &Policy,
        accounting: &Accounting,
        project: &str,
        key: QuestionKey,
    ) -> Result<Charged, LedgerError> {
        let now = self.clock.unix_seconds();
        let (charged, entries) = state.write(|tx| {
            let charged = Self::charge_within(tx, policy, accounting, project, key, now)?;
            Ok::<_, LedgerError>((charged, mark::entries(tx)?))
        })?;
        self.mark.raise(state, entries)?;
        Ok(charged)
    }

    fn charge_within(
        tx: &Transaction<'_>,
        policy: &Policy,
        accounting: &Accounting,
        project: &str,
        key: QuestionKey,
        now: i64,
    ) -> Result<Charged, LedgerError> {
        let window = window_start(now, policy);
        let spent = spent(tx, project, window)?;
        let known = known(tx, key)?;
        let paid = has_paid(tx, project, key)?;
        if paid && let Some(Known { seed, answer }) = known {
            let rho_left = policy.budget_rho - spent.rho;
            return Ok(Charged { seed, answer, rho: 0.0, delta: 0.0, rho_left });
        }
        let node_rho = if known.is_some() { 0.0 } else { accounting.rho };
        affordable(policy, accounting, &spent, node_rho, window)?;
        let Known { seed, answer } = match known {
            Some(known) => known,
            None => Known { seed: new_question(tx, key, accounting, now)?, answer: None },
        };
        tx.execute(
            "INSERT OR REPLACE INTO payment (project, key, at, rho, delta) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![project, key.0, now, accounting.rho, accounting.delta],
        )?;
        let rho_left = policy.budget_rho - spent.rho - accounting.rho;
        Ok(Charged { seed, answer, rho: accounting.rho, delta: accounting.delta, rho_left })
    }

    /// When the window that we are in began.
    pub(crate) fn window(&self, policy: &Policy) -> i64 {
        window_start(self.clock.unix_seconds(), policy)
    }

    /// Stores an answer; the caller writes its audit record in the same transaction.
    pub(crate) fn store(tx: &Transaction<'_>, key: QuestionKey, answer: &[u8]) -> Result<(), LedgerError> {
        tx.execute(
            "UPDATE question SET answer = ?2 WHERE key = ?1 AND answer IS NULL",
            params![key.0, answer],
        )?;
        Ok(())
    }
}

/// Windows are fixed: the first begins on 1970-01-01.
fn window_start(now: i64, policy: &Policy) -> i64 {
    let length = i64::from(policy.window_days.max(1)) * DAY_SECONDS;
    now.div_euclid(length) * length
}

fn spent(tx: &Connection, project: &str, window: i64) -> Result<Spent, rusqlite::Error> {
    let (rho, delta) = tx.query_row(
        "SELECT coalesce(sum(rho), 0.0), coalesce(sum(delta), 0.0) FROM payment WHERE project = ?1 AND at >= ?2",
        params![project, window],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let life_rho = tx.query_row(
        "SELECT coalesce(sum(rho), 0.0) FROM payment WHERE project = ?1",
        params![project],
        |row| row.get(0),
    )?;
    let node_rho = tx.query_row(
        "SELECT coalesce(sum(rho), 0.0) FROM question WHERE at >= ?1",
        params![window],
        |row| row.get(0),
    )?;
    Ok(Spent { rho, delta, life_rho, node_rho })
}

fn known(tx: &Connection, key: QuestionKey) -> Result<Option<Known>, rusqlite::Error> {
    tx.query_row("SELECT seed, answer FROM question WHERE key = ?1", params![key.0], |row| {
        Ok(Known { seed: Seed(row.get(0)?), answer: row.get(1)? })
    })
    .optional()
}

fn has_paid(tx: &Connection, project: &str, key: QuestionKey) -> Result<bool, rusqlite::Error> {
    let mut found = tx.prepare_cached("SELECT 1 FROM payment WHERE project = ?1 AND key = ?2")?;
    found.exists(params![project, key.0])
}

fn new_question(
    tx: &Transaction<'_>,
    key: QuestionKey,
    accounting: &Accounting,
    now: i64,
) -> Result<Seed, LedgerError> {
    let seed = fresh_seed()?;
    tx.execute(
        "INSERT INTO question (key, seed, at, rho) VALUES (?1, ?2, ?3, ?4)",
        params![key.0, seed.0, now, accounting.rho],
    )?;
    Ok(seed)
}

fn fresh_seed() -> Result<Seed, LedgerError> {
    let mut seed = [0u8; 32];
    getrandom::fill(&mut seed).map_err(|_| LedgerError::Randomness)?;
    Ok(Seed(seed))
}

fn affordable(
    policy: &Policy,
    accounting: &Accounting,
    spent: &Spent,
    node_rho: f64,
    window: i64,
) -> Result<(), LedgerError> {
    let limits = [
        ("the project's budget of this window", spent.rho, accounting.rho, policy.budget_rho),
        ("the project's delta of this window", spent.delta, accounting.delta, policy.budget_delta),
        ("the project's budget for its life", spent.life_rho, accounting.rho, policy.project_lifetime_rho),
        (
            "what all projects together may learn in this window",
            spent.node_rho,
            node_rho,
            policy.node_budget_rho,
        ),
    ];
    for (name, spent, cost, limit) in limits {
        if spent + cost > limit + SLACK {
            return Err(LedgerError::Refused(too_dear(
                policy,
                accounting,
                name,
                cost,
                limit - spent,
                window,
            )));
        }
    }
    Ok(())
}

fn too_dear(
    policy: &Policy,
    accounting: &Accounting,
    name: &str,
    cost: f64,
    left: f64,
    window: i64,
) -> Refusal {
    let next = window + i64::from(policy.window_days.max(1)) * DAY_SECONDS;
    let reason = format!(
        "the question costs {cost:.6} and {left:.6} is left of {name}; the next window begins on {}",
        date(next)
    );
    let cheapest = crate::policy::NOISE_SD_RANGE.end();
    let factor = (cheapest / accounting.noise_sd).powi(2);
    let refusal = Refusal::new(Code::BudgetExceeded, reason);
    if factor > 1.0 {
        refusal.with_rewrite(format!(
            "SET caim.noise_sd = {cheapest}: the question then costs {:.6}; repeated questions are free",
            accounting.rho / factor
        ))
    } else {
        refusal
            .with_rewrite("wait for the next window, or ask for fewer measures; repeated questions are free")
    }
}

/// The calendar date of a time, in UTC.
fn date(unix_seconds: i64) -> String {
    chrono::DateTime::from_timestamp(unix_seconds, 0).map_or_else(String::new, |t| t.date_naive().to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use caim_ontology::Models;
    use caim_sql::private_query::{Aggregate, BoolTree, JoinTree, Measure, PrivateQuery, TableRef, VERSION};
    use caim_warehouse::State;

    use super::{Charged, Ledger, LedgerError, QuestionKey};
    use crate::accounting::Accounting;
    use crate::clock::{Clock, Wall};
    use crate::policy::Policy;

    struct Desk {
        state: State,
        ledger: Ledger,
        clock: Arc<Wall>,
        accounting: Accounting,
        policy: Policy,
    }

    impl Desk {
        fn new(policy: Policy) -> Self {
            let clock = Arc::new(Wall(AtomicI64::new(1_000_000)));
            let state = State::in_memory().unwrap();
            let ledger = Ledger::open(&state, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
            let query = PrivateQuery {
                version: VERSION,
                per_patient: Vec::new(),
                from: JoinTree { tables: vec![TableRef::new("omop", "person")], edges: vec![] },
                cohort: BoolTree::always(),
                dims: vec![],
                measures: vec![Measure { of: Aggregate::Patients, filter: BoolTree::always() }],
                noise_sd_milli: None,
                max_rows_per_patient: None,
            };
            let accounting = Accounting::new(&query, &Models::bundled().unwrap(), &policy).unwrap();
            Self { state, ledger, clock, accounting, policy }
        }

        fn ask(&self, project: &str, question: u8) -> Result<Charged, LedgerError> {
            let key = QuestionKey([question; 32]);
            self.ledger.charge(&self.state, &self.policy, &self.accounting, project, key)
        }
    }

    #[test]
    fn the_budget_refuses_at_exactly_its_limit() {
        let desk = Desk::new(Policy::default());
        for question in 0..32 {
            assert!(desk.ask("a", question).is_ok(), "question {question} of 32 at 1/32 each");
        }
        let Err(LedgerError::Refused(refusal)) = desk.ask("a", 32) else { panic!("the budget is spent") };
        assert_eq!(refusal.code.id(), "CAIM-P201");
        assert!(
            refusal.reason.contains("0.031250") && refusal.reason.contains("0.000000 is left"),
            "{refusal}"
        );
        assert!(refusal.rewrite.contains("noise_sd = 20"), "{refusal}");
    }

    #[test]
    fn a_repeated_question_is_free_and_has_the_same_randomness() {
        let desk = Desk::new(Policy::default());
        let first = desk.ask("a", 1).unwrap();
        let again = desk.ask("a", 1).unwrap();
        assert_eq!((first.rho, again.rho), (1.0 / 32.0, 0.0));
        assert!(first.seed == again.seed);
        assert!(desk.ask("a", 2).unwrap().seed != first.seed);
    }

    #[test]
    fn another_project_pays_itself_but_the_node_only_once() {
        let desk = Desk::new(Policy { node_budget_rho: 1.0 / 32.0, ..Policy::default() });
        let first = desk.ask("a", 1).unwrap();
        let second = desk.ask("b", 1).unwrap();
        assert!(second.rho > 0.0 && second.seed == first.seed);
        assert!(desk.ask("b", 2).is_err(), "the node's budget is spent");
    }

    #[test]
    fn a_new_window_renews_the_budget_but_not_that_of_the_project_s_life() {
        let desk = Desk::new(Policy { project_lifetime_rho: 33.0 / 32.0, ..Policy::default() });
        for question in 0..32 {
            desk.ask("a", question).unwrap();
        }
        desk.clock.0.fetch_add(7 * 86_400, Ordering::Relaxed);
        assert!(desk.ask("a", 40).is_ok());
        let Err(LedgerError::Refused(refusal)) = desk.ask("a", 41) else { panic!("the life is spent") };
        assert!(refusal.reason.contains("life"), "{refusal}");
    }

    #[test]
    fn delta_is_a_budget_too() {
        let desk = Desk::new(Policy { budget_delta: 1e-7, ..Policy::default() });
        let Err(LedgerError::Refused(refusal)) = desk.ask("a", 1) else { panic!("delta is too small") };
        assert!(refusal.reason.contains("delta"), "{refusal}");
    }

    #[test]
    fn what_is_refused_is_not_charged() {
        let desk = Desk::new(Policy { budget_rho: 1.0 / 32.0, ..Policy::default() });
        desk.ask("a", 1).unwrap();
        assert!(desk.ask("a", 2).is_err());
        assert!(desk.ask("b", 2).unwrap().rho > 0.0, "nobody has paid for the second question");
    }
}
