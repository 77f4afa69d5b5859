//! Readers beside a writer: each answer rests on exactly one epoch.

use std::sync::atomic::{AtomicBool, Ordering};

use super::fixture::*;
use crate::{BatchId, Warehouse};

/// Epoch n has n rows in both tables, all of one batch.
fn publish_next(warehouse: &Warehouse) {
    let mut commit = warehouse.begin(source("grows")).unwrap();
    let number = commit.batch().0;
    commit.remove_batch(&BatchId(number - 1));
    let content: Vec<_> = (0..number).map(|row| (None, row, "x")).collect();
    write(&mut commit, series(), &rows(&content)).unwrap();
    write(&mut commit, study(), &rows(&content)).unwrap();
    assert_eq!(commit.publish().unwrap().number(), number);
}

#[test]
fn c07_every_reader_sees_exactly_one_committed_epoch_while_others_are_made() {
    let (folder, warehouse) = new_warehouse();
    publish_next(&warehouse);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let other = Warehouse::open(folder.path()).unwrap();
            let done = &done;
            scope.spawn(move || {
                let mut last = 0;
                while !done.load(Ordering::Relaxed) {
                    let epoch = other.current().unwrap();
                    assert!(epoch.number() >= last, "epochs do not go back");
                    last = epoch.number();
                    assert_eq!((epoch.rows(&series()), epoch.rows(&study())), (last, last));
                    content(&epoch).unwrap();
                }
            });
        }
        (0..30).for_each(|_| publish_next(&warehouse));
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(warehouse.current().unwrap().number(), 31);
}
