//! What interrupted commits and dropped epochs left behind: removed by the next writer, under its lock.
//!
//! Only files that no manifest names are removed, and none at all while a manifest cannot be read.

use std::collections::HashSet;

use crate::files::DataFiles;
use crate::warehouse::Inner;
use crate::{Epoch, Error, Result, newest};

/// Removes everything in `tmp`, and data files that no manifest names.
pub(crate) fn remove(warehouse: &Inner, current: &Epoch) -> Result<()> {
    clear_tmp(warehouse)?;
    let oldest = newest::oldest(warehouse.state())?.min(current.number());
    remove_manifests(warehouse, oldest)?;
    let folder = &warehouse.folders.data;
    for name in unnamed(warehouse, oldest, current)? {
        let path = folder.join(name);
        warehouse.storage.remove(&path).map_err(Error::io("remove", &path))?;
    }
    Ok(())
}

/// Removes everything in `tmp`.
pub(crate) fn clear_tmp(warehouse: &Inner) -> Result<()> {
    let folder = &warehouse.folders.tmp;
    for name in warehouse.list(folder)? {
        let path = folder.join(name);
        warehouse.storage.remove(&path).map_err(Error::io("remove", &path))?;
    }
    Ok(())
}

/// Removes the manifests of epochs that are no longer kept.
fn remove_manifests(warehouse: &Inner, oldest: u64) -> Result<()> {
    for name in warehouse.list(&warehouse.folders.manifests)? {
        let number = name.strip_suffix(".json").and_then(|number| number.parse::<u64>().ok());
        if number.is_some_and(|number| number < oldest) {
            let path = warehouse.folders.manifests.join(name);
            warehouse.storage.remove(&path).map_err(Error::io("remove", &path))?;
        }
    }
    Ok(())
}

/// Data files that no manifest names. Older manifests are read only while files are left to explain.
fn unnamed(warehouse: &Inner, oldest: u64, newest: &Epoch) -> Result<HashSet<String>> {
    let names = warehouse.list(&warehouse.folders.data)?;
    let mut left: HashSet<String> = names.into_iter().filter(|name| is_data_file(name)).collect();
    newest.manifest().files().for_each(|file| _ = left.remove(&DataFiles::name(&file.sha256)));
    for epoch in (oldest..newest.number()).rev() {
        if left.is_empty() {
            break;
        }
        // `verify` reports a manifest that cannot be read; what it named must not be lost as well.
        let Ok(older) = warehouse.manifest(epoch) else { return Ok(HashSet::new()) };
        older.files().for_each(|file| _ = left.remove(&DataFiles::name(&file.sha256)));
    }
    Ok(left)
}

/// A file of that form was made by a commit; others are somebody else's and are left alone.
fn is_data_file(name: &str) -> bool {
    let hash = name.strip_suffix(".parquet").unwrap_or_default();
    hash.len() == 64 && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
