//! Releases of cubes in the ledger: once a window at most, never twice for the same data, whole after a crash.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use caim_ontology::Models;
use caim_warehouse::State;

use super::{Due, Edition, Publication, published_rho};
use crate::accounting::Accounting;
use crate::clock::{Clock, Wall};
use crate::cube;
use crate::ledger::{Ledger, LedgerError};
use crate::policy::Policy;

const WEEK: i64 = 7 * 86_400;

struct Desk {
    state: State,
    ledger: Ledger,
    clock: Arc<Wall>,
    accounting: Accounting,
    policy: Policy,
}

impl Desk {
    fn new(publish_rho: f64) -> Self {
        let clock = Arc::new(Wall(AtomicI64::new(1_000 * WEEK)));
        let state = State::in_memory().unwrap();
        let ledger = Ledger::open(&state, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        let models = Arc::new(Models::bundled().unwrap());
        let policy = Policy { publish_rho, ..Policy::default() };
        let cubes = cube::all(&[], &models).unwrap();
        let of_patients = cubes.iter().find(|cube| cube.name == "diagnosis_sex_age").unwrap();
        let accounting = Accounting::new(&of_patients.query, &models, &policy).unwrap();
        Self { state, ledger, clock, accounting, policy }
    }

    fn publish(&self, definition: u8, epoch: u64) -> Publication {
        let edition = Edition { cube: "c", definition: [definition; 32] };
        self.ledger.publish(&self.state, &self.policy, &self.accounting, edition, epoch).unwrap()
    }

    fn due(&self, definition: u8, epoch: u64) -> Due {
        match self.publish(definition, epoch) {
            Publication::Due(due) => due,
            Publication::Standing => panic!("it stands"),
            Publication::Dear { left } => panic!("{left} is left"),
        }
    }

    fn store(&self, due: &Due) -> bool {
        self.state.write(|tx| Ledger::store_published(tx, due, b"cells")).unwrap()
    }

    fn spent(&self) -> f64 {
        let window = self.ledger.window(&self.policy);
        self.state.read(|connection| Ok::<_, LedgerError>(published_rho(connection, window)?)).unwrap()
    }

    fn stands(&self, definition: u8, epoch: u64) -> bool {
        matches!(self.publish(definition, epoch), Publication::Standing)
    }
}

#[test]
fn a_newer_epoch_is_released_in_the_next_window_and_the_same_one_never_again() {
    let desk = Desk::new(1.0);
    assert!(desk.store(&desk.due(1, 5)));
    let once = desk.spent();
    assert!((once - 1.0 / 18.0).abs() < 1e-9, "{once}");
    assert!(desk.stands(1, 5) && desk.stands(1, 6));
    assert!((desk.spent() - once).abs() < 1e-12);
    desk.clock.0.fetch_add(WEEK, Ordering::Relaxed);
    assert!(desk.stands(1, 5), "a new window alone is no reason to pay");
    assert!(desk.spent() == 0.0);
    let second = desk.due(1, 6);
    assert!(desk.store(&second));
    assert!((desk.spent() - once).abs() < 1e-12);
}

#[test]
fn what_was_charged_and_never_answered_is_released_without_a_new_charge() {
    let desk = Desk::new(1.0);
    let first = desk.due(1, 5);
    let again = desk.due(1, 5);
    assert!(first.id == again.id && first.seed == again.seed, "a crash between charge and answer");
    let later = desk.due(1, 6);
    assert!(later.id == first.id && later.seed != first.seed, "other data never shares a draw");
    assert!((desk.spent() - 1.0 / 18.0).abs() < 1e-9);
    assert!(!desk.store(&first), "the slower process released other data, and drops it");
    assert!(desk.store(&later) && !desk.store(&later), "one answer stands");
}

#[test]
fn another_definition_is_charged_as_long_as_the_window_carries_it() {
    let desk = Desk::new(2.0 / 18.0);
    assert!(desk.store(&desk.due(1, 5)));
    assert!(desk.store(&desk.due(2, 5)));
    match desk.publish(3, 5) {
        Publication::Dear { left } => assert!(left.abs() < 1e-9, "{left}"),
        Publication::Due(_) | Publication::Standing => panic!("publish_rho is spent"),
    }
    assert!(desk.stands(1, 5), "the first definition, put back, costs nothing more");
    desk.clock.0.fetch_add(WEEK, Ordering::Relaxed);
    assert!(desk.store(&desk.due(3, 5)));
}

#[test]
fn only_what_was_answered_is_shown() {
    let desk = Desk::new(1.0);
    let edition = Edition { cube: "c", definition: [1; 32] };
    let newest = || Ledger::published(&desk.state, edition).unwrap().map(|found| (found.id, found.epoch));
    let first = desk.due(1, 5);
    assert_eq!(newest(), None);
    assert!(desk.store(&first));
    let shown = newest().unwrap();
    assert_eq!((shown.1, Ledger::published_answer(&desk.state, shown.0).unwrap()), (5, b"cells".to_vec()));
    desk.clock.0.fetch_add(WEEK, Ordering::Relaxed);
    let _pending = desk.due(1, 6);
    assert_eq!(newest(), Some(shown), "the older release is shown until the newer one is whole");
    let refused: Result<Vec<u8>, LedgerError> = Ledger::published_answer(&desk.state, 99);
    assert!(refused.is_err());
}
