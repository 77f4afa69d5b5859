//! Damaged files never answer, and `verify` finds them.

use std::fs;
use std::path::{Path, PathBuf};

use super::fixture::*;
use crate::{Error, Warehouse};

/// A node folder with two epochs, nobody has it open.
fn two_epochs() -> tempfile::TempDir {
    let (folder, warehouse) = new_warehouse();
    ingest(&warehouse, "a", &[1, 2]).unwrap();
    ingest(&warehouse, "b", &[3]).unwrap();
    folder
}

fn manifest(dir: &Path, epoch: u64) -> PathBuf {
    dir.join(format!("warehouse/manifests/{epoch}.json"))
}

fn data_files(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir.join("warehouse/data")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Opens afresh, as a process does that starts on a damaged folder, and expects a refusal that names `path`.
fn assert_refused(dir: &Path, path: &Path) {
    let warehouse = Warehouse::open(dir).unwrap();
    let refused = warehouse.current().and_then(|epoch| read_all(&epoch)).unwrap_err().to_string();
    assert!(refused.contains(path.to_str().unwrap()), "{refused}");
    let listed = warehouse.verify().unwrap();
    assert_eq!(listed.iter().filter(|damage| damage.path == path).count(), 1, "{listed:?}");
}

/// Reads all tables, and the pseudonyms as the next writer would.
fn read_all(epoch: &crate::Epoch) -> crate::Result<()> {
    content(epoch)?;
    crate::Ordinals::load(epoch).map(drop)
}

#[test]
fn c05_a_damaged_newest_manifest_is_named_and_no_older_one_answers() {
    let folder = two_epochs();
    let path = manifest(folder.path(), 2);
    let whole = fs::read(&path).unwrap();
    for length in (0..whole.len()).step_by(97) {
        fs::write(&path, &whole[..length]).unwrap();
        assert_refused(folder.path(), &path);
    }
    for position in (0..whole.len()).step_by(61) {
        let mut flipped = whole.clone();
        flipped[position] ^= 4;
        fs::write(&path, &flipped).unwrap();
        assert_refused(folder.path(), &path);
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(Warehouse::open(folder.path()).unwrap().verify().unwrap(), []);
}

#[test]
fn a_lost_newest_manifest_is_noticed_by_this_process_and_the_next() {
    let (folder, warehouse) = new_warehouse();
    ingest(&warehouse, "a", &[1]).unwrap();
    ingest(&warehouse, "b", &[2]).unwrap();
    let path = manifest(folder.path(), 2);
    fs::remove_file(&path).unwrap();
    assert!(matches!(warehouse.current(), Err(Error::Damaged { path: named, .. }) if named == path));
    drop(warehouse);
    assert_refused(folder.path(), &path);
    assert!(Warehouse::open(folder.path()).unwrap().begin(source("c")).is_err());
}

#[test]
fn records_without_any_manifest_are_not_an_empty_warehouse() {
    let folder = two_epochs();
    for epoch in 0..=2 {
        fs::remove_file(manifest(folder.path(), epoch)).unwrap();
    }
    assert!(matches!(Warehouse::create(folder.path()), Err(Error::Damaged { .. })));
    // Not even when the state database was lost as well.
    fs::remove_file(folder.path().join("warehouse/state.sqlite")).unwrap();
    assert!(matches!(Warehouse::open(folder.path()), Err(Error::NoWarehouse { .. })));
    assert!(matches!(Warehouse::create(folder.path()), Err(Error::Damaged { .. })));
}

#[test]
fn damage_of_an_older_manifest_is_listed_while_the_newest_answers_and_nothing_is_collected() {
    let folder = two_epochs();
    let path = manifest(folder.path(), 1);
    fs::write(&path, "{}").unwrap();
    let orphan = folder.path().join(format!("warehouse/data/{}.parquet", "0".repeat(64)));
    fs::write(&orphan, "may belong to epoch 1").unwrap();
    let warehouse = Warehouse::open(folder.path()).unwrap();
    assert_eq!(warehouse.current().unwrap().number(), 2);
    assert_eq!(warehouse.verify().unwrap().iter().map(|d| &d.path).collect::<Vec<_>>(), [&path]);
    ingest(&warehouse, "c", &[4]).unwrap();
    assert!(orphan.exists());
}

#[test]
fn a_manifest_from_another_history_is_listed() {
    let (folder, other) = (two_epochs(), two_epochs());
    ingest(&Warehouse::open(other.path()).unwrap(), "c", &[9]).unwrap();
    fs::copy(manifest(other.path(), 1), manifest(folder.path(), 1)).unwrap();
    fs::remove_file(manifest(folder.path(), 1)).unwrap();
    let mut foreign = crate::manifest::Manifest::first(77).next(78);
    foreign.patients = 2;
    fs::write(manifest(folder.path(), 1), foreign.encode()).unwrap();
    let listed = Warehouse::open(folder.path()).unwrap().verify().unwrap();
    let paths: Vec<_> = listed.iter().map(|damage| damage.path.clone()).collect();
    assert_eq!(paths, [manifest(folder.path(), 1), manifest(folder.path(), 2)]);
}

#[test]
fn q04_a_flipped_bit_in_any_data_file_is_refused_and_listed() {
    let folder = two_epochs();
    let files = data_files(folder.path());
    assert_eq!(files.len(), 6, "series, study and patients of two batches");
    for path in files {
        let whole = fs::read(&path).unwrap();
        for position in (0..whole.len()).step_by(whole.len() / 5) {
            let mut flipped = whole.clone();
            flipped[position] ^= 1;
            fs::write(&path, &flipped).unwrap();
            assert_refused(folder.path(), &path);
        }
        fs::write(&path, &whole).unwrap();
    }
}

#[test]
fn q05_a_truncated_or_deleted_data_file_is_refused_and_listed() {
    let folder = two_epochs();
    for path in data_files(folder.path()) {
        let whole = fs::read(&path).unwrap();
        for length in [0, 1, whole.len() / 2, whole.len() - 1] {
            fs::write(&path, &whole[..length]).unwrap();
            assert_refused(folder.path(), &path);
        }
        fs::remove_file(&path).unwrap();
        assert_refused(folder.path(), &path);
        fs::write(&path, &whole).unwrap();
    }
}

#[test]
fn a_file_that_changes_under_a_running_process_is_refused_and_accepted_again_when_restored() {
    let (_folder, warehouse) = new_warehouse();
    let epoch = ingest(&warehouse, "a", &[1]).unwrap();
    let file = epoch.files(&series())[0].clone();
    let path = epoch.path(&file).unwrap();
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[1..]).unwrap();
    assert!(epoch.path(&file).is_err());
    fs::write(&path, &whole).unwrap();
    assert!(epoch.path(&file).is_ok());
}

#[test]
fn a_damaged_file_is_healed_by_ingesting_the_same_content_again() {
    let (folder, warehouse) = new_warehouse();
    let content = rows(&[(Some(0), 1, "x")]);
    let mut commit = warehouse.begin(source("a")).unwrap();
    write(&mut commit, series(), &content).unwrap();
    commit.publish().unwrap();
    let [path] = data_files(folder.path()).try_into().unwrap();
    fs::write(&path, "damaged").unwrap();
    let mut commit = warehouse.begin(source("a")).unwrap();
    commit.replace(&series());
    write(&mut commit, series(), &content).unwrap();
    let epoch = commit.publish().unwrap();
    assert!(epoch.path(&epoch.files(&series())[0]).is_ok());
}

#[test]
fn c11_a_newer_format_is_refused_and_nothing_is_written() {
    let folder = two_epochs();
    let path = manifest(folder.path(), 3);
    fs::write(&path, r#"{"format": 2, "epoch": 3}"#).unwrap();
    let before = on_disk(folder.path());
    let warehouse = Warehouse::open(folder.path()).unwrap();
    for refused in [warehouse.current().map(drop), warehouse.begin(source("c")).map(drop)] {
        assert!(matches!(refused, Err(Error::NewerFormat { found: 2, known: 1, .. })), "{refused:?}");
    }
    assert_eq!(on_disk(folder.path()), before);
}
