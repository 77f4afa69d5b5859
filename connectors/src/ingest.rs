//! One ingest, from a path to an epoch: what is new is committed at once, what is known is left alone.
//!
//! A source has an identity (path, connector, collection) and a content. The same content again changes nothing;
//! other content takes the place of the old in one commit; another source is added. Until the commit is
//! published, readers see the old epoch.

use std::collections::BTreeSet;
use std::path::Path;

use arrow::array::{BooleanArray, RecordBatch};
use caim_ontology::Models;
use caim_warehouse::{Among, Batch, BatchId, Commit, Epoch, NewBatch, TableName, Warehouse};
use sha2::{Digest, Sha256};

use crate::audit;
use crate::build::{self, Builder};
use crate::detect::Plan;
use crate::fhir::Earlier;
use crate::forget::Forgotten;
use crate::identity::{Identity, Pseudonyms};
use crate::landing::shown;
use crate::listener::Received;
use crate::rejects::{Paths, Rejects};
use crate::report::{BuildReport, Report};
use crate::since::{self, Chains};
use crate::source::{Evidence, Source};
use crate::tally::Tally;
use crate::target::Target;
use crate::{
    Code, Collection, Duplicates, Error, Format, IngestOptions, Progress, Result, Secret, database, dicom,
    dicom_table, dicomweb, fhir, omop, table,
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
    /// Which of two records with one key stays.
    pub(crate) duplicates: Duplicates,
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
    let place = Place { warehouse, models, identity, secret, options, progress };
    place.told(|standing| standing.take_in(standing.opened(source)?))
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
    let options = &IngestOptions { format: Format::Dicom, ..options.clone() };
    let place = Place { warehouse, models, identity, secret, options, progress };
    place.told(|standing| standing.take_in(received.gathered()))
}

/// Where a source is to come in, and how.
#[derive(Clone, Copy)]
struct Place<'p> {
    warehouse: &'p Warehouse,
    models: &'p Models,
    identity: &'p Identity,
    secret: &'p Secret,
    options: &'p IngestOptions,
    progress: &'p dyn Progress,
}

/// A place as it stands before the source is read.
struct Standing<'p> {
    place: Place<'p>,
    pseudonyms: Pseudonyms,
    current: Epoch,
}

impl<'p> Place<'p> {
    /// Takes a source in; errors tell no path that is not to be told.
    fn told(self, take: impl FnOnce(&Standing<'p>) -> Result<Report>) -> Result<Report> {
        let taken = self.standing().and_then(|standing| take(&standing));
        taken.map_err(|error| Paths::of(self.options, self.secret).hide(error))
    }

    fn standing(self) -> Result<Standing<'p>> {
        let pseudonyms = Pseudonyms::new(self.secret, self.identity)?;
        Ok(Standing { place: self, pseudonyms, current: self.warehouse.current()? })
    }
}

impl Standing<'_> {
    /// The source at a path, or what a database or a server sends.
    fn opened(&self, source: &Path) -> Result<Source> {
        let Place { warehouse, models, options, progress, .. } = self.place;
        let tells_changes = |text: &str| fhir::is_export(text) || database::is_one(text);
        if options.since.is_some() && !source.to_str().is_some_and(tells_changes) {
            let reason = "only the export of a FHIR server and a database tell what has changed";
            return Err(Error::new(Code::Since, "--since", reason).with_fix("leave --since out"));
        }
        let rules = |format| self.rules(format);
        let chains = Chains { warehouse, epoch: &self.current, rules: &rules };
        if let Some(fetched) = database::open(source, models, options, &chains, progress)? {
            return Ok(fetched);
        }
        if let Some(pulled) = dicomweb::open(source, options, progress)? {
            return Ok(pulled);
        }
        match fhir::exported(source, models, options, &chains, progress)? {
            Some(exported) => Ok(exported),
            None => Source::open(source),
        }
    }

    /// All that decides, besides the bytes of a source of this format, how its rows come in.
    fn rules(&self, format: Format) -> Result<String> {
        let Place { models, options, .. } = self.place;
        let recipe = Plan::nothing(format).map(|plan| recipe(models, &self.pseudonyms, &plan, options));
        Ok(hex::encode(Sha256::digest(recipe.transpose()?.unwrap_or_default())))
    }

    /// Reads a source and commits its rows, unless they are there.
    fn take_in(&self, mut source: Source) -> Result<Report> {
        let Self { place: Place { warehouse, models, secret, options, progress, .. }, pseudonyms, current } =
            self;
        Rejects::check_apart(options, &source.path)?;
        let mut tally = Tally::new(options, secret);
        tally.not_read(source.skipped.iter().cloned());
        let plan = plan(&source, models, options, current, &mut tally)?;
        source.retain(&plan.names());
        options.compares(plan.format())?;
        let rules = self.rules(plan.format())?;
        let batch = new_batch(&source, plan.format(), options, &recipe(models, pseudonyms, &plan, options)?)?;
        if options.commits() && (is_known(current, &batch) || tells_nothing(&source)) {
            // What is there tells up to the present moment as well.
            if let (Some(old), Some(exported)) = (known(current, &batch), &source.exported) {
                since::note(warehouse, old.id, Some(exported), &rules)?;
            }
            let told = tally.told(&source.path.to_string_lossy());
            return unchanged(told, &batch, current).with_derived(warehouse, models, secret, *progress);
        }
        let context = Context {
            models,
            secret,
            pseudonyms,
            collection: &options.collection,
            limit: options.sample.unwrap_or(u64::MAX),
            duplicates: options.duplicates,
            progress: *progress,
        };
        let whole = whole_identity(&source.path.to_string_lossy(), plan.format(), &options.collection);
        let earlier = source.since().map(|_| since::numbers(current, &whole));
        let ingest =
            Ingest { source: &source, plan: &plan, batch, earlier, rules, options, context: &context };
        ingest.run(warehouse, current.clone(), tally)
    }
}

/// One ingest that is not known to be superfluous.
struct Ingest<'i> {
    source: &'i Source,
    plan: &'i Plan<'i>,
    batch: NewBatch,
    /// The batches of the same server, where the source tells what has changed since.
    earlier: Option<BTreeSet<BatchId>>,
    /// By which rules resources are read.
    rules: String,
    options: &'i IngestOptions,
    context: &'i Context<'i>,
}

impl Ingest<'_> {
    fn run(self, warehouse: &Warehouse, current: Epoch, mut tally: Tally) -> Result<Report> {
        let (mut target, base) = self.begin(warehouse, current)?;
        let old = known(&base, &self.batch);
        if is_known(&base, &self.batch) && self.options.commits() {
            tracing::debug!("another process has committed the same content meanwhile");
            return Ok(unchanged(self.told(&tally), &self.batch, &base));
        }
        self.check_earlier(&base)?;
        if let Target::Commit(commit, _) = &mut target {
            // A whole export takes the place of the one before and of the changes since.
            since::numbers(&base, &self.batch.source).iter().for_each(|batch| commit.remove_batch(batch));
        }
        self.read(&mut target, &base, old, &mut tally)?;
        self.source.check_unchanged()?;
        self.check_rows(old, &tally)?;
        let (told, rejects_file) = (self.told(&tally), tally.finish_rejects()?);
        if self.source.is_passing && old.is_none() && tally.tables.iter().all(|table| table.kept == 0) {
            return Ok(Report { rejects_file, ..report(told, &self.batch, None, &base, tally) });
        }
        match target {
            Target::Commit(mut commit, forgotten) => {
                forgotten.left_out().iter().for_each(|(table, rows)| tally.forgotten(&shown(table), *rows));
                let number = commit.batch().0;
                let derived = self.builder().derive(&mut commit)?;
                audit::note(warehouse, &commit, &tally)?;
                since::note(warehouse, *commit.batch(), self.source.exported.as_ref(), &self.rules)?;
                let before = commit.base().number();
                let epoch = commit.publish()?;
                build::made(warehouse, &epoch, self.context.models)?;
                let mut report = report(told, &self.batch, Some(number), &epoch, tally);
                report.warnings.extend(derived.warnings.iter().cloned());
                let unchanged = epoch.number() == before;
                Ok(Report { derived, unchanged, rejects_file, ..report })
            }
            Target::Nowhere => Ok(Report { rejects_file, ..report(told, &self.batch, None, &base, tally) }),
        }
    }

    /// The source as it may be told.
    fn told(&self, tally: &Tally) -> String {
        tally.told(&self.source.path.to_string_lossy())
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
            Plan::Fhir(members) => {
                let exported = self.source.exported.as_ref();
                let deleted = exported.map_or(&[][..], |exported| &exported.deleted);
                let batches = self.earlier.clone();
                let earlier = batches.map(|batches| Earlier { epoch: base, batches, deleted });
                fhir::ingest(self.context, members, earlier.as_ref(), target, tally)
            }
            Plan::Omop(files) => {
                self.leave_whole_tables(target)?;
                omop::ingest(self.context, files, target, tally)
            }
            Plan::Table(members) => table::ingest(self.context, members, target, tally),
        }
    }

    /// Of a database that tells changes some tables come whole: what earlier batches brought to them leaves.
    fn leave_whole_tables(&self, target: &mut Target) -> Result<()> {
        let (Target::Commit(commit, _), Some(earlier)) = (target, &self.earlier) else { return Ok(()) };
        let whole = self.source.exported.iter().flat_map(|exported| &exported.whole);
        for table in whole {
            let name = TableName::new(Format::Omop.name(), table);
            let mut none = |_, rows: &RecordBatch| BooleanArray::from(vec![false; rows.num_rows()]);
            commit.retain(&name, &[], Among::Batches(earlier), &mut none)?;
        }
        Ok(())
    }

    /// Changes are those since batches that are still there.
    fn check_earlier(&self, base: &Epoch) -> Result<()> {
        let Some(earlier) = &self.earlier else { return Ok(()) };
        let place = self.source.path.to_string_lossy();
        if *earlier
            == since::numbers(base, &whole_identity(&place, self.plan.format(), &self.options.collection))
        {
            return Ok(());
        }
        Err(Error::new(Code::Changed, place, "another process has taken in the same server meanwhile"))
    }

    /// A source that has lost all its rows is more often a disk that is not mounted than a decision.
    fn check_rows(&self, old: Option<&Batch>, tally: &Tally) -> Result<()> {
        let had_rows = old
            .is_some_and(|old| old.rows.iter().any(|(table, rows)| *rows > 0 && !build::is_derived(table)));
        let has_rows = tally.tables.iter().any(|table| table.kept + table.duplicates + table.superseded > 0);
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
    if source.since().is_some() && source.members.is_empty() {
        return Ok(Plan::Fhir(Vec::new()));
    }
    if source.members.is_empty() {
        return plan_for_nothing(source, options, current);
    }
    let (plan, skipped) = Plan::new(source, models, options)?;
    tally.not_read(skipped);
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

/// What tells a source from others.
fn identity_of(source: &Source, format: Format, collection: &Collection) -> String {
    let whole = whole_identity(&source.path.to_string_lossy(), format, collection);
    source.since().map_or(whole.clone(), |since| since::identity(&whole, since))
}

/// Path, connector and collection, as a JSON array: no two sources have the same text.
pub(crate) fn whole_identity(path: &str, format: Format, collection: &Collection) -> String {
    let collection = match collection {
        Collection::Column(name) => ("column", name.as_str()),
        Collection::Id(_) | Collection::Default => ("id", collection.id().unwrap_or_default()),
    };
    serde_json::json!([path, format.name(), collection]).to_string()
}

/// All that decides, besides the bytes of a source, what its landing rows become. What is derived from them follows
/// further rules: [`build::is_fresh`].
fn recipe(
    models: &Models,
    pseudonyms: &Pseudonyms,
    plan: &Plan<'_>,
    options: &IngestOptions,
) -> Result<String> {
    let mut rules = vec![models.version(), pseudonyms.fingerprint()?];
    rules.extend(plan.rules().into_iter().map(str::to_owned));
    if plan.format() == Format::Fhir {
        rules.extend(fhir::rules(models).map(str::to_owned));
    }
    if options.duplicates != Duplicates::Skip {
        rules.push(options.duplicates.to_string());
    }
    Ok(serde_json::json!([READING, rules]).to_string())
}

fn known<'e>(epoch: &'e Epoch, batch: &NewBatch) -> Option<&'e Batch> {
    epoch.batches().iter().find(|old| old.source == batch.source)
}

/// Whether a batch is there as it would become: a whole export after which there were changes is not.
fn is_known(epoch: &Epoch, batch: &NewBatch) -> bool {
    since::chain(epoch, &batch.source).map(|old| &old.content).eq([&batch.content])
}

/// Whether nothing has changed since the moment from which on a source tells changes.
fn tells_nothing(source: &Source) -> bool {
    let nothing = source.exported.as_ref().is_some_and(|exported| exported.deleted.is_empty());
    source.since().is_some() && source.members.is_empty() && nothing
}

fn unchanged(source: String, batch: &NewBatch, epoch: &Epoch) -> Report {
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

fn report(source: String, batch: &NewBatch, number: Option<u64>, epoch: &Epoch, tally: Tally) -> Report {
    let (warnings, removed, rejects) = (tally.warnings(), tally.all_removed(), tally.listed_rejects());
    Report {
        source,
        format: batch.format.clone(),
        collection: batch.collection.clone(),
        batch: number,
        epoch: epoch.number(),
        unchanged: false,
        tables: tally.tables,
        rejects,
        rejects_file: None,
        conflicts: tally.conflicts,
        skipped: tally.skipped,
        left_out: tally.left_out,
        warnings,
        removed,
        derived: BuildReport::default(),
    }
}
