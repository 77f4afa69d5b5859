//! Every step of a commit fails once, in every way: a reader sees the old epoch or the new one, whole.

use std::path::Path;
use std::sync::Arc;

use super::fixture::*;
use crate::storage::LocalStorage;
use crate::testing::{Fault, FaultyStorage};
use crate::{BatchId, Epoch, Error, Result, Storage, Warehouse};

const FAULTS: [Fault; 8] = [
    Fault::Os(5),
    Fault::Os(28),
    Fault::Os(13),
    Fault::Os(30),
    Fault::ShortWrite,
    Fault::TornWrite,
    Fault::Abort,
    Fault::PowerCut,
];

/// One commit that does everything: removes, replaces, adds, an empty table, known and new patients.
fn change(warehouse: &Warehouse) -> Result<Epoch> {
    let mut commit = warehouse.begin(source("b"))?;
    commit.secret(SECRET)?;
    commit.remove_batch(&BatchId(1));
    commit.replace(&study());
    let known = commit.ordinals()?.ordinal(&pseudonym(1));
    let new = commit.ordinals()?.ordinal(&pseudonym(77));
    write(&mut commit, series(), &rows(&[(Some(new), 5, "b"), (Some(known), 6, "b"), (None, 7, "b")]))?;
    write(&mut commit, study(), &rows(&[(Some(known), 8, "b")]))?;
    write(&mut commit, crate::TableName::new("omop", "death"), &rows(&[]))?;
    commit.publish()
}

/// A node folder in which two batches were committed, and garbage lies about.
fn before() -> tempfile::TempDir {
    let (folder, warehouse) = new_warehouse();
    ingest(&warehouse, "a", &[1, 2]).unwrap();
    ingest(&warehouse, "kept", &[3]).unwrap();
    std::fs::write(folder.path().join("warehouse/tmp/3-1.parquet"), "of a crash").unwrap();
    let orphan = format!("warehouse/data/{}.parquet", "e".repeat(64));
    std::fs::write(folder.path().join(orphan), "of a crash").unwrap();
    folder
}

fn faulty(at: usize, fault: Fault) -> FaultyStorage {
    FaultyStorage::failing(Arc::new(LocalStorage), at, fault)
}

fn open(dir: &Path, storage: &FaultyStorage) -> Result<Warehouse> {
    Warehouse::with_storage(dir, Arc::new(storage.clone()) as Arc<dyn Storage>)
}

/// What the two epochs hold, from a run in which nothing fails; and the number of its operations.
fn expected(template: &Path) -> (Content, Content, usize) {
    let folder = copy(template);
    let storage = FaultyStorage::counting(Arc::new(LocalStorage));
    let warehouse = open(folder.path(), &storage).unwrap();
    let old = content(&warehouse.current().unwrap()).unwrap();
    let uncounted = storage.operations();
    let new = content(&change(&warehouse).unwrap()).unwrap();
    assert_ne!(old, new);
    (old, new, storage.operations() - uncounted + 20)
}

#[test]
fn c02_c04_whatever_step_of_a_commit_fails_a_reader_sees_the_old_or_the_new_epoch_and_the_next_commit_works()
{
    let template = before();
    let (old, new, operations) = expected(template.path());
    for fault in FAULTS {
        let mut failed = 0;
        for at in 0..operations {
            let folder = copy(template.path());
            let storage = faulty(at, fault);
            let outcome = open(folder.path(), &storage).and_then(|warehouse| {
                let outcome = change(&warehouse);
                // So that the first operation after a commit fails as well: what was published must stay.
                let _ = warehouse.current();
                outcome
            });
            let case = format!("{fault:?} at operation {at}: {:?}", outcome.as_ref().err());
            failed += usize::from(outcome.is_err());
            check(folder.path(), outcome, &old, &new, &case);
            assert_eq!(storage.repeated_syncs(), 0, "{case}");
        }
        assert_eq!(failed == 0, fault == Fault::ShortWrite, "{fault:?} failed {failed} of {operations}");
    }
}

fn check(dir: &Path, outcome: Result<Epoch>, old: &Content, new: &Content, case: &str) {
    let warehouse = Warehouse::open(dir).unwrap();
    let seen = warehouse.current().unwrap();
    let found = content(&seen).unwrap();
    match outcome {
        Ok(_) => assert_eq!((seen.number(), &found), (3, new), "{case}"),
        Err(Error::Unconfirmed { epoch: 3, .. }) => assert!(found == *old || found == *new, "{case}"),
        Err(error) => {
            assert_eq!((seen.number(), &found), (2, old), "{case}");
            assert!(error.to_string().contains(dir.to_str().unwrap()), "{case} names no path");
        }
    }
    assert_eq!(warehouse.verify().unwrap(), [], "{case}");
    if seen.number() == 2 {
        assert_eq!(content(&change(&warehouse).unwrap()).unwrap(), *new, "{case}");
    }
    let after = ingest(&warehouse, "c", &[77, 78]).unwrap();
    assert_eq!((after.number(), after.patients(), after.rows(&series())), (4, 5, 6), "{case}");
    assert_eq!(warehouse.verify().unwrap(), [], "{case}");
    // Files of the four epochs and nothing else: 6 of the two at first, 4 and 3 of the changes after.
    drop(warehouse.begin(source("look")).unwrap());
    assert_eq!(on_disk(dir), (vec![], 13), "{case}");
}

#[test]
fn an_epoch_that_the_disk_did_not_confirm_is_confirmed_before_the_next_commit_relies_on_it() {
    let template = before();
    let (_, new, operations) = expected(template.path());
    let mut unconfirmed = 0;
    for at in 0..operations {
        let folder = copy(template.path());
        let storage = faulty(at, Fault::Os(5));
        let Ok(warehouse) = open(folder.path(), &storage) else { continue };
        let Err(Error::Unconfirmed { .. }) = change(&warehouse) else { continue };
        unconfirmed += 1;
        // The same source again: nothing to do, and the caller takes the epoch for granted.
        assert_eq!(warehouse.begin(source("b")).unwrap().publish().unwrap().number(), 3);
        storage.fail(storage.operations(), Fault::PowerCut);
        assert!(warehouse.current().is_err());
        drop(warehouse);
        let epoch = Warehouse::open(folder.path()).unwrap().current().unwrap();
        assert_eq!((epoch.number(), content(&epoch).unwrap()), (3, new.clone()));
    }
    assert_eq!(unconfirmed, 1);
}

#[test]
fn a_process_whose_commit_failed_goes_on_reading_and_commits_later() {
    let template = before();
    let (old, new, operations) = expected(template.path());
    for at in 8..operations {
        let folder = copy(template.path());
        let Ok(warehouse) = open(folder.path(), &faulty(at, Fault::Os(28))) else { continue };
        let failed = change(&warehouse).is_err();
        // The fault may not have come yet: then reading meets it, once.
        let seen = warehouse.current().or_else(|_| warehouse.current()).unwrap();
        let found = content(&seen).or_else(|_| content(&seen)).unwrap();
        assert_eq!(&found, if seen.number() == 2 { &old } else { &new }, "operation {at}");
        if failed && seen.number() == 2 {
            assert_eq!(content(&change(&warehouse).unwrap()).unwrap(), new, "operation {at}");
        }
    }
}

#[test]
fn whatever_step_of_making_a_warehouse_fails_making_it_again_works() {
    let count = FaultyStorage::counting(Arc::new(LocalStorage));
    let folder = tempfile::tempdir().unwrap();
    Warehouse::create_in(folder.path(), Arc::new(count.clone())).unwrap();
    for fault in FAULTS {
        for at in 0..count.operations() {
            let folder = tempfile::tempdir().unwrap();
            let outcome = Warehouse::create_in(folder.path(), Arc::new(faulty(at, fault)));
            assert_eq!(outcome.is_ok(), fault == Fault::ShortWrite, "{fault:?} at operation {at}");
            drop(outcome);
            let warehouse = Warehouse::create(folder.path()).unwrap();
            assert_eq!(warehouse.current().unwrap().number(), 0, "{fault:?} at operation {at}");
            assert_eq!(ingest(&warehouse, "a", &[1]).unwrap().number(), 1);
        }
    }
}

#[test]
fn c03_a_full_disk_and_a_missing_permission_are_said_with_their_cure() {
    let template = before();
    let (_, _, operations) = expected(template.path());
    for (code, cure) in [(28, "The disk is full: free space"), (13, "permission"), (30, "mount it writable")]
    {
        for at in 0..operations {
            let folder = copy(template.path());
            let outcome = open(folder.path(), &faulty(at, Fault::Os(code))).and_then(|w| change(&w));
            match outcome {
                Ok(_) | Err(Error::Unconfirmed { .. }) => {}
                Err(error) => assert!(error.to_string().contains(cure), "{error}"),
            }
        }
    }
}
