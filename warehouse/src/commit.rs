//! The way of new records into the next epoch: written aside, then put in place, then named by a manifest.
//!
//! The order of the steps of [`Commit::publish`] is the promise of the whole crate. Each is on the disk
//! before the next begins, so that a crash at any point leaves the old epoch whole and at most some garbage
//! beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use crate::layout::SYSTEM_SCHEMA;
use crate::manifest::Manifest;
use crate::staging::{StagedFile, Staging};
use crate::warehouse::now;
use crate::{
    Batch, BatchId, DataFile, Epoch, Error, NewBatch, Ordinals, Result, TableName, TableWriter, Warehouse,
    ordinals,
};

/// The one writer's work on the next epoch. Dropped without [`Commit::publish`] it leaves nothing behind but
/// files in `tmp`, which the next commit removes. The lock is held until the commit and its writers are gone.
#[derive(Debug)]
pub struct Commit {
    warehouse: Warehouse,
    base: Epoch,
    id: BatchId,
    source: NewBatch,
    pub(crate) staging: Arc<Staging>,
    removed: BTreeSet<BatchId>,
    /// Files that were written anew without some of their rows.
    pub(crate) rewritten: BTreeSet<(TableName, String)>,
    replaced: BTreeSet<TableName>,
    /// Formats whose sources are to be read again.
    reread: BTreeSet<String>,
    collections: BTreeSet<String>,
    secret_id: Option<String>,
    ordinals: Option<Ordinals>,
}

impl Commit {
    pub(crate) fn new(warehouse: Warehouse, base: Epoch, source: NewBatch, staging: Staging) -> Self {
        let (id, secret_id) = (staging.batch, base.secret_id().map(str::to_owned));
        let collections = source.collection.iter().cloned().collect();
        Self {
            warehouse,
            base,
            id,
            source,
            staging: Arc::new(staging),
            removed: BTreeSet::new(),
            rewritten: BTreeSet::new(),
            replaced: BTreeSet::new(),
            reread: BTreeSet::new(),
            collections,
            secret_id,
            ordinals: None,
        }
    }

    /// The epoch that the commit builds on.
    #[must_use]
    pub fn base(&self) -> &Epoch {
        &self.base
    }

    /// Notes a collection that a column of the source names.
    pub fn collection(&mut self, id: &str) {
        if !self.collections.contains(id) {
            self.collections.insert(id.to_owned());
        }
    }

    /// The collections that the next epoch's batches name, in order.
    pub fn collections(&self) -> impl Iterator<Item = &str> {
        let stay = self.base.batches().iter().filter(|batch| !self.removed.contains(&batch.id));
        let all: BTreeSet<&String> =
            stay.flat_map(|batch| &batch.collections).chain(&self.collections).collect();
        all.into_iter().map(String::as_str)
    }

    /// The batch that new files belong to.
    #[must_use]
    pub fn batch(&self) -> &BatchId {
        &self.id
    }

    /// Names the secret that makes the pseudonyms; to be called before [`Commit::ordinals`].
    ///
    /// # Errors
    /// [`Error::OtherSecret`] when the warehouse holds pseudonyms of another secret: the same person would be
    /// two patients.
    pub fn secret(&mut self, id: &str) -> Result<()> {
        match &self.secret_id {
            Some(stored) if stored != id => {
                Err(Error::OtherSecret { stored: stored.clone(), given: id.to_owned() })
            }
            _ => {
                self.secret_id = Some(id.to_owned());
                Ok(())
            }
        }
    }

    /// Starts new rows of a table. The schema has both physical columns of [`crate::layout`], or neither:
    /// then rows stay in the order in which they come. Several writers may be open at once, also for one
    /// table.
    ///
    /// # Errors
    /// [`Error::Shape`] when the schema cannot be stored, or is in the warehouse's own schema `system`.
    pub fn writer(&mut self, table: TableName, schema: SchemaRef) -> Result<TableWriter> {
        if table.schema == SYSTEM_SCHEMA {
            let reason = format!("the schema {SYSTEM_SCHEMA} belongs to the warehouse");
            return Err(Error::Shape { table, reason });
        }
        TableWriter::start(Arc::clone(&self.staging), table, &schema)
    }

    /// All files of a batch, in all tables, leave the next epoch; a batch that is not there is none. Ordinals
    /// that came with it stay given.
    pub fn remove_batch(&mut self, id: &BatchId) {
        self.removed.insert(*id);
    }

    /// The content of the sources of a format counts as unknown from now on: what they hold may not have come in because
    /// of rows that leave with this commit.
    pub fn reread(&mut self, format: &str) {
        self.reread.insert(format.to_owned());
    }

    /// All files that a table has in [`Commit::base`] leave the next epoch; new ones follow by
    /// [`Commit::writer`]. Without new ones the table is gone.
    pub fn replace(&mut self, table: &TableName) {
        self.replaced.insert(table.clone());
    }

    /// Where the files are that a table has so far in the next epoch: those that stay from [`Commit::base`],
    /// checked, and those of finished writers. For tables that are derived from others in the same commit.
    ///
    /// # Errors
    /// When a file of the base is not what was committed.
    pub fn paths(&self, table: &TableName) -> Result<Vec<PathBuf>> {
        let kept = self.base.files(table).iter().filter(|file| self.keeps(table, file));
        let kept = kept.map(|file| self.base.path(file));
        kept.chain(self.staging.paths(table).into_iter().map(Ok)).collect()
    }

    /// The ordinals of patients; read when first asked for. New ones are part of this commit.
    ///
    /// # Errors
    /// [`Error::NoSecret`] before [`Commit::secret`], [`Error::Damaged`] when the stored ordinals cannot be
    /// read.
    pub fn ordinals(&mut self) -> Result<&mut Ordinals> {
        if self.secret_id.is_none() {
            return Err(Error::NoSecret);
        }
        let ordinals = match self.ordinals.take() {
            Some(loaded) => loaded,
            None => Ordinals::load(&self.base)?,
        };
        Ok(self.ordinals.insert(ordinals))
    }

    /// Makes the next epoch and returns it once it would survive a power cut. A commit after which every table
    /// holds what it held returns the epoch it built on: one truth has one epoch.
    ///
    /// # Errors
    /// [`Error::Unfinished`] when a writer failed or was not finished, [`Error::TooManyPatients`],
    /// [`Error::Io`] when the disk fails: then the old epoch stays. [`Error::Unconfirmed`] when all is
    /// written but the disk did not confirm the last step.
    pub fn publish(mut self) -> Result<Epoch> {
        let patients = self.write_new_patients()?;
        let staged = self.staging.files()?;
        let manifest = self.next(&staged, patients);
        let old = self.base.manifest();
        if contents(&manifest.tables) == contents(&old.tables) && self.base_is_whole() {
            return Ok(self.base);
        }
        self.warehouse.place(&staged)?;
        self.warehouse.publish(manifest)
    }

    /// Stages the ordinals given in this commit; returns how many are given in all.
    fn write_new_patients(&mut self) -> Result<u32> {
        let Some(ordinals) = &self.ordinals else { return Ok(self.base.patients()) };
        if let Some(rows) = ordinals.given()? {
            let staging = Arc::clone(&self.staging);
            let mut writer = TableWriter::start(staging, ordinals::table(), &ordinals::schema())?;
            writer.write(&rows)?;
            writer.finish()?;
        }
        ordinals.count()
    }

    /// Whether every file of the base is there as it was committed: what is damaged is written again.
    fn base_is_whole(&self) -> bool {
        self.base.manifest().tables.values().flatten().all(|file| self.base.path(file).is_ok())
    }

    fn next(&self, staged: &[StagedFile], patients: u32) -> Manifest {
        let mut next = self.base.manifest().next(now());
        next.patients = patients;
        next.secret_id.clone_from(&self.secret_id);
        next.tables = self.kept();
        for StagedFile { table, file, .. } in staged {
            next.tables.entry(table.clone()).or_default().push(file.clone());
        }
        let unknown = next.batches.iter_mut().filter(|batch| self.reread.contains(&batch.format));
        unknown.for_each(|batch| batch.content.clear());
        next.batches.extend(self.new_batch(staged));
        self.count_rewritten(&mut next);
        let live: BTreeSet<BatchId> = owned_by_batches(&next.tables).map(|file| file.batch).collect();
        next.batches.retain(|batch| live.contains(&batch.id));
        next
    }

    /// What is left of the rows that batches brought, where their files were written anew.
    fn count_rewritten(&self, next: &mut Manifest) {
        let Manifest { batches, tables, .. } = next;
        let rewritten: BTreeSet<&TableName> = self.rewritten.iter().map(|(table, _)| table).collect();
        for batch in batches {
            let id = batch.id;
            for (table, rows) in batch.rows.iter_mut().filter(|(table, _)| rewritten.contains(table)) {
                let files = tables.get(table).into_iter().flatten();
                *rows = files.filter(|file| file.batch == id).map(|file| file.rows).sum();
            }
        }
    }

    /// The tables of the base without what was removed or replaced.
    fn kept(&self) -> BTreeMap<TableName, Vec<DataFile>> {
        let mut tables = self.base.manifest().tables.clone();
        tables.retain(|table, files| {
            files.retain(|file| self.keeps(table, file));
            !files.is_empty()
        });
        tables
    }

    /// Whether a file of the base is in the next epoch. Ordinals are, whatever batch they came with.
    pub(crate) fn keeps(&self, table: &TableName, file: &DataFile) -> bool {
        let rewritten = self.rewritten.contains(&(table.clone(), file.sha256.clone()));
        let gone = rewritten || self.removed.contains(&file.batch) || self.replaced.contains(table);
        table.schema == SYSTEM_SCHEMA || !gone
    }

    fn new_batch(&self, staged: &[StagedFile]) -> Option<Batch> {
        let mut rows = BTreeMap::new();
        for StagedFile { table, file, .. } in staged {
            if table.schema != SYSTEM_SCHEMA && file.batch == self.id {
                *rows.entry(table.clone()).or_default() += file.rows;
            }
        }
        let NewBatch { source, content, format, .. } = self.source.clone();
        (!rows.is_empty()).then(|| Batch {
            id: self.id,
            source,
            content,
            collections: self.collections.clone(),
            format,
            at: now(),
            rows,
        })
    }
}

/// What tables hold, whoever brought it.
fn contents(tables: &BTreeMap<TableName, Vec<DataFile>>) -> BTreeMap<&TableName, Vec<&str>> {
    tables.iter().map(|(table, files)| (table, hashes(files))).collect()
}

fn hashes(files: &[DataFile]) -> Vec<&str> {
    let mut hashes: Vec<&str> = files.iter().map(|file| file.sha256.as_str()).collect();
    hashes.sort_unstable();
    hashes
}

fn owned_by_batches(tables: &BTreeMap<TableName, Vec<DataFile>>) -> impl Iterator<Item = &DataFile> {
    tables.iter().filter(|(table, _)| table.schema != SYSTEM_SCHEMA).flat_map(|(_, files)| files)
}
