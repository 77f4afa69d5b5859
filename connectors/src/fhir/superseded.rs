//! An export of changes meets what earlier ones brought: patients are known from there, and rows of resources that are
//! told anew, or are gone, leave.

use std::collections::{BTreeSet, HashMap, HashSet};

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::UInt32Type;
use caim_warehouse::{Among, BatchId, DataFile, Epoch, TableName, layout};

use super::SCHEMA;
use super::bundled::Views;
use super::own;
use super::seen::Seen;
use crate::landing::shown;
use crate::row_key::NameKey;
use crate::stored;
use crate::tally::Tally;
use crate::target::Target;
use crate::{Code, Result};

/// What is there of the same server.
pub(crate) struct Earlier<'e> {
    pub(crate) epoch: &'e Epoch,
    pub(crate) batches: BTreeSet<BatchId>,
    /// Type and id of resources that are gone.
    pub(crate) deleted: &'e [(String, String)],
}

impl Earlier<'_> {
    /// The ordinals of patients by the ids of their resources.
    pub(super) fn patients(&self) -> Result<Vec<(String, u32)>> {
        let name = TableName::new(SCHEMA, "patient");
        let mut patients = Vec::new();
        for file in self.files(&name) {
            for rows in stored::read(&self.epoch.path(file)?, &["id", layout::PATIENT])? {
                let rows = rows?;
                let (ids, ordinals) =
                    (rows.column(0).as_string::<i32>(), rows.column(1).as_primitive::<UInt32Type>());
                let pairs = ids.iter().zip(ordinals.iter());
                patients.extend(pairs.filter_map(|(id, ordinal)| Some((id?.to_owned(), ordinal?))));
            }
        }
        Ok(patients)
    }

    /// Takes out the rows of every resource that came in now, or is gone.
    pub(super) fn leave(
        &self,
        views: &Views<'_>,
        seen: &Seen,
        name: &NameKey,
        target: &mut Target,
        tally: &mut Tally,
    ) -> Result<()> {
        let Target::Commit(commit, _) = target else { return Ok(()) };
        let mut gone: HashMap<&str, HashSet<u64>> = HashMap::new();
        for (ty, id) in self.deleted {
            gone.entry(ty.as_str()).or_default().insert(name.hash_short(id));
        }
        for table in &views.tables {
            let ty = table.view.resource.as_str();
            let Some(key) = own::key_column(&table.view).and_then(|key| table.view.columns.get(key)) else {
                continue;
            };
            let (key, first) = (key.name.to_lowercase(), views.of_type(ty).first().copied());
            let changed = |id: u64| {
                gone.get(ty).is_some_and(|ids| ids.contains(&id))
                    || first.is_some_and(|first| seen.has(first, id))
            };
            let stays = |rows: &RecordBatch| -> BooleanArray {
                let ids = rows.column_by_name(&key).and_then(|ids| ids.as_string_opt::<i32>());
                let stays =
                    |row| ids.is_none_or(|ids| ids.is_null(row) || !changed(name.hash_short(ids.value(row))));
                (0..rows.num_rows()).map(|row| Some(stays(row))).collect()
            };
            let among = Among::Batches(&self.batches);
            let left = commit.retain(&table.landing.name, &[&key], among, &mut |_, rows| stays(rows))?;
            tally.warn_about(&shown(&table.landing.name), Code::Superseded, None, left);
        }
        Ok(())
    }

    fn files(&self, table: &TableName) -> impl Iterator<Item = &DataFile> {
        self.epoch.files(table).iter().filter(|file| self.batches.contains(&file.batch))
    }
}
