//! One ingest, from a path to an epoch: what is new is committed at once, what is known is left alone.
//!
//! A source has an identity (path, connector, collection) and a content. The same content again changes nothing;
//! other content takes the place of the old in one commit; another source is added. Until the commit is
//! published, readers see the old epoch.

use std::path::Path;

use caim_ontology::Models;
use caim_warehouse::{Batch, Commit, Epoch, NewBatch, Warehouse};

use crate::audit;
use crate::build::{self, Builder};
use crate::detect::Plan;
use crate::forget::Forgotten;
use crate::identity::{Identity, Pseudonyms};
use crate::listener::Received;
use crate::report::{BuildReport, Report};
use crate::source::{Evidence, Source};
use crate::tally::Tally;
use crate::target::Target;
use crate::{
    Code, Collection, Error, Format, IngestOptions, Progress, Result, Secret, database, dicom, dicom_table,
    dicomweb, fhir, omop, table,
};

/// Part of what decides how rows come out: to be raised when connectors begin to read the same bytes otherwise.
const READING: u32 = 2;

/// What connectors need besides the source.
pub(crate) struct Context<'c> {
    pub(crate) models: &'c Models,
    pub(crate) secret: &'c Secret,
    pub(crate) pseudonyms: &'c Pseudonyms,
    pub(crate) collection: &'c Collection,
    /// Rows of each table, at most.
    pub(crate) limit: u64,
    pub(crate) progress: &'c dyn Progress,
}

/// Reads `source`, a path or the address of a database, and commits its rows as one batch of a new epoch.
///
/// # Errors
/// Every [`Error`] means that nothing was committed and the last epoch still answers. Rows that cannot come in
/// are no error: the [`Report`] names them.
pub fn ingest(
    warehouse: &Warehouse,
    models: &Models,
    identity: &Identity,
    secret: &Secret,
    source: &Path,
    options: &IngestOptions,
    progress: &dyn Progress,
) -> Result<Report> {
    let source = opened(source, models, options, progress)?;
    take_in(warehouse, models, identity, secret, source, options, progress)
}

/// Commits the headers that a listener received as one batch. The same instance once more is left out as from any
/// source, so that a batch may be given again after a crash.
///
/// # Errors
/// Every [`Error`] means that nothing was committed; the headers stay where they are.
pub fn ingest_received(
    warehouse: &Warehouse,
    models: &Models,
    identity: &Identity,
    secret: &Secret,
    received: &Received,
    options: &IngestOptions,
    progress: &dyn Progress,
) -> Result<Report> {
    let options = IngestOptions { format: Format::Dicom, ..options.clone() };
    take_in(warehouse, models, identity, secret, received.gathered(), &options, progress)
}

fn take_in(
    warehouse: &Warehouse,
    models: &Models,
    identity: &Identity,
    secret: &Secret,
    mut source: Source,
    options: &IngestOptions,
    progress: &dyn Progress,
) -> Result<Report> {
    let pseudonyms = Pseudonyms::new(secret, identity)?;
    let current = warehouse.current()?;
    let mut tally = Tally::default();
    tally.skipped.extend(source.skipped.iter().cloned());
    let plan = plan(&source, models, options, &current, &mut tally)?;
    source.retain(&plan.names());
    let batch = new_batch(&source, plan.format(), options, &recipe(models, &pseudonyms, &plan)?)?;
    if options.commits() && known(&current, &batch).is_some_and(|old| old.content == batch.content) {
        return unchanged(&source, &batch, &current).with_derived(warehouse, models, secret, progress);
    }
    let context = Context {
        models,
        secret,
        pseudonyms: &pseudonyms,
        collection: &options.collection,
        limit: options.sample.unwrap_or(u64::MAX),
        progress,
    };
    Ingest { source: &source, plan: &plan, batch, options, context: &context }.run(warehouse, current, tally)
}

/// The source at a path, or what a database or a server sends.
fn opened(
    source: &Path,
    models: &Models,
    options: &IngestOptions,
    progress: &dyn Progress,
) -> Result<Source> {
    if let Some(fetched) = database::open(source, models, options, progress)? {
        return Ok(fetched);
    }
    if let Some(pulled) = dicomweb::open(source, options, progress)? {
        return Ok(pulled);
    }
    match fhir::exported(source, options, progress)? {
        Some(exported) => Ok(exported),
        None => Source::open(source),
    }
}

/// One ingest that is not known to be superfluous.
struct Ingest<'i> {
    source: &'i Source,
    plan: &'i Plan<'i>,
    batch: NewBatch,
    options: &'i IngestOptions,
    context: &'i Context<'i>,
}

impl Ingest<'_> {
    fn run(self, warehouse: &Warehouse, current: Epoch, mut tally: Tally) -> Result<Report> {
        let (mut target, base) = self.begin(warehouse, current)?;
        let old = known(&base, &self.batch);
        if let Some(old) = old.filter(|old| old.content == self.batch.content && self.options.commits()) {
            tracing::debug!(batch = %old.id, "another process has committed the same content meanwhile");
            return Ok(unchanged(self.source, &self.batch, &base));
        }
        if let (Target::Commit(commit, _), Some(old)) = (&mut target, old) {
            commit.remove_batch(&old.id);
        }
        self.read(&mut target, &base, old, &mut tally)?;
        self.source.check_unchanged()?;
        self.check_rows(old, &tally)?;
        if self.source.is_passing && old.is_none() && tally.tables.iter().all(|table| table.kept == 0) {
            return Ok(report(self.source, &self.batch, None, &base, tally));
        }
        match target {
            Target::Commit(mut commit, forgotten) => {
                forgotten.left_out().iter().for_each(|(table, rows)| tally.forgotten(&table.table, *rows));
                let number = commit.batch().0;
                let derived = self.builder().derive(&mut commit)?;
                audit::note(warehouse, number, &tally.all_removed())?;
                let before = commit.base().number();
                let epoch = commit.publish()?;
                build::made(warehouse, &epoch, self.context.models)?;
                let mut report = report(self.source, &self.batch, Some(number), &epoch, tally);
                report.warnings.extend(derived.warnings.iter().cloned());
                let unchanged = epoch.number() == before;
                Ok(Report { derived, unchanged, ..report })
            }
            Target::Nowhere => Ok(report(self.source, &self.batch, None, &base, tally)),
        }
    }

    fn builder(&self) -> Builder<'_> {
        let Context { models, secret, progress, .. } = *self.context;
        Builder { models, secret, progress }
    }

    /// Takes the writer's lock, unless nothing will be written. The epoch read under the lock is the one that counts.
    fn begin(&self, warehouse: &Warehouse, current: Epoch) -> Result<(Target, Epoch)> {
        if !self.options.commits() {
            return Ok((Target::Nowhere, current));
        }
        let mut commit: Commit = warehouse.begin(self.batch.clone())?;
        commit.secret(&self.context.secret.id())?;
        let base = commit.base().clone();
        let forgotten = Forgotten::load(warehouse)?;
        Ok((Target::Commit(Box::new(commit), forgotten), base))
    }

    fn read(&self, target: &mut Target, base: &Epoch, old: Option<&Batch>, tally: &mut Tally) -> Result<()> {
        let replaced = old.map(|old| &old.id);
        match self.plan {
            Plan::DicomTable(members) => {
                dicom_table::ingest(self.context, members, target, base, replaced, tally)
            }
            Plan::Dicom(members) => dicom::ingest(self.context, members, target, base, replaced, tally),
            Plan::Fhir(members) => fhir::ingest(self.context, members, target, tally),
            Plan::Omop(files) => omop::ingest(self.context, files, target, tally),
            Plan::Table(members) => table::ingest(self.context, members, target, tally),
        }
    }

    /// A source that has lost all its rows is more often a disk that is not mounted than a decision.
    fn check_rows(&self, old: Option<&Batch>, tally: &Tally) -> Result<()> {
        let had_rows = old
            .is_some_and(|old| old.rows.iter().any(|(table, rows)| *rows > 0 && !build::is_derived(table)));
        let has_rows = tally.tables.iter().any(|table| table.kept + table.duplicates > 0);
        if had_rows && !has_rows && !self.options.allow_empty {
            let reason = "no row of it came in, but the last time it had rows";
            return Err(Error::new(Code::WouldEmpty, self.source.path.display(), reason));
        }
        Ok(())
    }
}

fn plan<'m>(
    source: &Source,
    models: &'m Models,
    options: &IngestOptions,
    current: &Epoch,
    tally: &mut Tally,
) -> Result<Plan<'m>> {
    if source.members.is_empty() {
        return plan_for_nothing(source, options, current);
    }
    let (plan, skipped) = Plan::new(source, models, options)?;
    tally.skipped.extend(skipped);
    Ok(plan)
}

/// A source without files is what it was the last time, if the operator says that it may be empty.
fn plan_for_nothing<'m>(source: &Source, options: &IngestOptions, current: &Epoch) -> Result<Plan<'m>> {
    let mut before = Format::ALL.into_iter().filter(|format| {
        let asked = [Format::Auto, *format].contains(&options.format);
        let identity = identity_of(source, *format, &options.collection);
        asked && current.batches().iter().any(|batch| batch.source == identity)
    });
    let known = before.next().and_then(Plan::nothing);
    match known {
        Some(plan) if options.allow_empty => Ok(plan),
        Some(_) => Err(Error::new(
            Code::WouldEmpty,
            source.path.display(),
            "it holds no file that could be read any more",
        )),
        None => {
            let others = source.skipped.len();
            let reason = format!("it holds no DICOM, FHIR, CSV or Parquet file, and {others} others");
            Err(Error::new(Code::NothingFound, source.path.display(), reason))
        }
    }
}

fn new_batch(source: &Source, format: Format, options: &IngestOptions, recipe: &str) -> Result<NewBatch> {
    Ok(NewBatch {
        source: identity_of(source, format, &options.collection),
        content: source.digest(recipe, evidence(format))?,
        collection: options.collection.id().map(str::to_owned),
        format: format.name().to_owned(),
    })
}

fn evidence(format: Format) -> Evidence {
    match format {
        Format::Dicom => Evidence::Stamps,
        Format::Auto | Format::DicomTable | Format::Fhir | Format::Omop | Format::Table => Evidence::Bytes,
    }
}

/// Path, connector and collection, as a JSON array: no two sources have the same text.
fn identity_of(source: &Source, format: Format, collection: &Collection) -> String {
    let collection = match collection {
        Collection::Column(name) => ("column", name.as_str()),
        Collection::Id(_) | Collection::Default => ("id", collection.id().unwrap_or_default()),
    };
    serde_json::json!([source.path.to_string_lossy(), format.name(), collection]).to_string()
}

/// All that decides, besides the bytes of a source, what its landing rows become. What is derived from them follows
/// further rules: [`build::is_fresh`].
fn recipe(models: &Models, pseudonyms: &Pseudonyms, plan: &Plan<'_>) -> Result<String> {
    let mut rules = vec![models.version(), pseudonyms.fingerprint()?];
    rules.extend(plan.rules().into_iter().map(str::to_owned));
    Ok(serde_json::json!([READING, rules]).to_string())
}

fn known<'e>(epoch: &'e Epoch, batch: &NewBatch) -> Option<&'e Batch> {
    epoch.batches().iter().find(|old| old.source == batch.source)
}

fn unchanged(source: &Source, batch: &NewBatch, epoch: &Epoch) -> Report {
    let number = known(epoch, batch).map(|old| old.id.0);
    Report { unchanged: true, ..report(source, batch, number, epoch, Tally::default()) }
}

impl Report {
    /// A source that is known is not read again; but what is derived from it may follow other rules by now, as when the
    /// operator has mapped a value meanwhile.
    fn with_derived(
        self,
        warehouse: &Warehouse,
        models: &Models,
        secret: &Secret,
        progress: &dyn Progress,
    ) -> Result<Self> {
        if build::is_fresh(warehouse, &warehouse.current()?, models)? {
            return Ok(self);
        }
        let derived = build::build(warehouse, models, secret, progress)?;
        Ok(Self { unchanged: derived.epoch == self.epoch, epoch: derived.epoch, derived, ..self })
    }
}

fn report(source: &Source, batch: &NewBatch, number: Option<u64>, epoch: &Epoch, tally: Tally) -> Report {
    let (warnings, removed) = (tally.warnings(), tally.all_removed());
    Report {
        source: source.path.to_string_lossy().into_owned(),
        format: batch.format.clone(),
        collection: batch.collection.clone(),
        batch: number,
        epoch: epoch.number(),
        unchanged: false,
        tables: tally.tables,
        rejects: tally.rejects,
        skipped: tally.skipped,
        left_out: tally.left_out,
        warnings,
        removed,
        derived: BuildReport::default(),
    }
}
