//! Ordinals are given once and for ever, under one secret.

use std::collections::HashSet;

use super::fixture::*;
use crate::{BatchId, Error, Warehouse};

fn ordinals(warehouse: &Warehouse, people: &[u32]) -> Vec<u32> {
    let mut commit = warehouse.begin(source("look")).unwrap();
    commit.secret(SECRET).unwrap();
    let ordinals = commit.ordinals().unwrap();
    people.iter().map(|person| ordinals.ordinal(&pseudonym(*person))).collect()
}

#[test]
fn ordinals_count_up_from_0_and_stay_over_commits_and_removals() {
    let (folder, warehouse) = new_warehouse();
    ingest(&warehouse, "a", &[7, 5, 7]).unwrap();
    ingest(&warehouse, "b", &[5, 9]).unwrap();
    assert_eq!(ordinals(&warehouse, &[7, 5, 9, 1]), [0, 1, 2, 3]);
    let mut commit = warehouse.begin(source("rollback")).unwrap();
    commit.remove_batch(&BatchId(1));
    commit.remove_batch(&BatchId(2));
    commit.replace(&crate::ordinals::table());
    commit.publish().unwrap();
    let reopened = Warehouse::open(folder.path()).unwrap();
    assert_eq!(ordinals(&reopened, &[9, 5, 7, 2]), [2, 1, 0, 3]);
}

#[test]
fn what_a_dropped_commit_gave_was_never_given() {
    let (_folder, warehouse) = new_warehouse();
    ingest(&warehouse, "a", &[1]).unwrap();
    assert_eq!(ordinals(&warehouse, &[2, 3]), [1, 2]);
    assert_eq!(ordinals(&warehouse, &[3]), [1]);
    assert_eq!(warehouse.current().unwrap().patients(), 1);
}

#[test]
fn many_patients_get_distinct_ordinals() {
    let (_folder, warehouse) = new_warehouse();
    let people: Vec<u32> = (0..40_000).collect();
    ingest(&warehouse, "a", &people[..25_000]).unwrap();
    let epoch = ingest(&warehouse, "b", &people[20_000..]).unwrap();
    assert_eq!(epoch.patients(), 40_000);
    let given = ordinals(&warehouse, &people);
    assert_eq!(given.iter().collect::<HashSet<_>>().len(), 40_000);
    assert!(given.iter().all(|ordinal| *ordinal < 40_000));
}

#[test]
fn another_secret_is_refused_and_the_error_says_what_to_do() {
    let (folder, warehouse) = new_warehouse();
    ingest(&warehouse, "a", &[1]).unwrap();
    let reopened = Warehouse::open(folder.path()).unwrap();
    let mut commit = reopened.begin(source("b")).unwrap();
    let refused = commit.secret("0ther").unwrap_err();
    assert!(matches!(refused, Error::OtherSecret { .. }));
    let text = refused.to_string();
    assert!(
        text.contains(SECRET) && text.contains("0ther") && text.contains("old secret file back"),
        "{text}"
    );
    assert_eq!(reopened.current().unwrap().secret_id(), Some(SECRET));
}

#[test]
fn ordinals_are_not_given_before_the_secret_is_named() {
    let (_folder, warehouse) = new_warehouse();
    let mut commit = warehouse.begin(source("a")).unwrap();
    assert!(matches!(commit.ordinals(), Err(Error::NoSecret)));
}

#[test]
fn the_table_of_pseudonyms_is_not_listed_and_no_pseudonym_or_value_is_shown_by_debug() {
    let (_folder, warehouse) = new_warehouse();
    let epoch = ingest(&warehouse, "a", &[1]).unwrap();
    assert_eq!(epoch.tables().collect::<Vec<_>>(), [&series(), &study()]);
    let mut commit = warehouse.begin(source("b")).unwrap();
    commit.secret(SECRET).unwrap();
    commit.ordinals().unwrap().ordinal(&pseudonym(2));
    let mut writer = commit.writer(series(), rows(&[]).schema()).unwrap();
    writer.write(&rows(&[(Some(0), 1, "a value")])).unwrap();
    let shown = format!("{commit:?} {writer:?}");
    assert!(shown.contains("Ordinals(<redacted>)") && shown.contains("1 rows <redacted>"), "{shown}");
    assert!(!shown.contains("165, 165") && !shown.contains("a value"), "{shown}");
}
