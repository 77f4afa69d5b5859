//! Derived tables: what the landing tables of all sources mean together, made anew in the same commit.
//!
//! ```text
//! dicom.instance, landing.series -> dicom.series -> dicom.study        levels: the DICOM information model
//! omop.*, fhir.*, dicom.*        -> staged.<table>                     mappings/<world>/<table>.sql
//! table.<table>                  -> staged.<table>                     as it is: sheets land in this shape
//! staged.<table>                 -> eucaim.<table>                     mappings/eucaim/<table>.sql, where there is one
//! ```
//!
//! A mapping is one SELECT in a file. It names the patient (`_patient`), the key of the row that decides (`_row`), and
//! any columns of the model by name; what it does not name is NULL. No row depends on another patient's: every join
//! of rows of patients is on the patient. SQL is run by DataFusion over the files of the commit, so that an ingest
//! moves landing tables and all that follows from them in one epoch. ADR 0004 says why.

mod concepts;
mod coverage;
mod distinct;
mod functions;
mod gaps;
mod levels;
mod made;
mod mappings;
mod quality;
mod session;
mod table;

use caim_ontology::{Models, Table};
use caim_warehouse::{Commit, Epoch, NewBatch, TableName, Warehouse};

use crate::audit;
use crate::report::BuildReport;
use crate::tally::Tally;
use crate::{Code, Error, Progress, Result, Secret};
pub(crate) use mappings::COMMON;
use session::Session;

pub use gaps::{GapOptions, Gaps, UnmappedValue, gaps};
pub use quality::{Checked, Quality, Status, quality};

/// The schema of landing tables that nobody asks: their rows are asked for in tables derived from them.
pub(crate) const LANDING: &str = "landing";

/// The schema of landing tables in the shape of the common model, which sheets fill by their mapping files.
pub(crate) const SHEETS: &str = "table";

/// What a build needs besides the commit.
#[derive(Clone, Copy)]
pub(crate) struct Builder<'b> {
    pub(crate) models: &'b Models,
    pub(crate) secret: &'b Secret,
    pub(crate) progress: &'b dyn Progress,
}

/// Rebuilds all derived tables of a warehouse from its landing tables. No source is read. Where they come out as they
/// were, the epoch stays; else there is a new one.
///
/// # Errors
/// Every [`Error`] means that nothing was committed and the last epoch still answers.
pub fn build(
    warehouse: &Warehouse,
    models: &Models,
    secret: &Secret,
    progress: &dyn Progress,
) -> Result<BuildReport> {
    let rules = rules(models);
    let mut commit = warehouse.begin(NewBatch {
        source: "caim build".to_owned(),
        content: rules.clone(),
        collection: None,
        format: "build".to_owned(),
    })?;
    commit.secret(&secret.id())?;
    let mut report = Builder { models, secret, progress }.derive(&mut commit)?;
    audit::note(warehouse, &commit, &Tally::default())?;
    report.epoch = commit.publish()?.number();
    made::note(warehouse, report.epoch, &rules)?;
    Ok(report)
}

/// All that decides, besides the landing tables, what derived tables hold.
pub(crate) fn rules(models: &Models) -> String {
    format!("{} {}", models.version(), mappings::fingerprint(models))
}

/// Whether the derived tables of an epoch are those that a build would make of its landing tables now.
pub(crate) fn is_fresh(warehouse: &Warehouse, epoch: &Epoch, models: &Models) -> Result<bool> {
    made::follows(warehouse, epoch.number(), &rules(models))
}

/// To be called when an epoch is published whose derived tables were made by these models.
pub(crate) fn made(warehouse: &Warehouse, epoch: &Epoch, models: &Models) -> Result<()> {
    made::note(warehouse, epoch.number(), &rules(models))
}

/// Waits for a query. The engine is asynchronous and a caller may be: a thread of its own can wait in either case.
fn on_runtime<T: Send>(work: impl Future<Output = Result<T>> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let done = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .build()
                .map_err(|e| Error::new(Code::Build, "the build", e))?;
            runtime.block_on(work)
        });
        done.join().unwrap_or_else(|_| Err(Error::new(Code::Build, "the build", "its thread ended early")))
    })
}

/// Whether a table is made from others: a source fills none of its rows.
#[must_use]
pub fn is_derived(name: &TableName) -> bool {
    match name.schema.as_str() {
        mappings::COMMON => true,
        levels::SCHEMA => [levels::SERIES, levels::STUDY].contains(&name.table.as_str()),
        _ => false,
    }
}

impl Builder<'_> {
    /// Replaces all derived tables in the next epoch.
    ///
    /// # Errors
    /// When stored rows cannot be read, or derived rows cannot be written.
    pub(crate) fn derive(self, commit: &mut Commit) -> Result<BuildReport> {
        let mut report = BuildReport::default();
        on_runtime(self.derive_all(commit, &mut report))?;
        Ok(report)
    }

    async fn derive_all(self, commit: &mut Commit, report: &mut BuildReport) -> Result<()> {
        let mut session = Session::new(self)?;
        session.register_landing(self, commit)?;
        // Models of a node's own may leave out a world; then nothing is derived from it.
        if self.models.model(levels::SCHEMA).is_some() {
            levels::derive(self, &mut session, commit, report).await?;
        }
        if self.models.model(mappings::COMMON).is_some() {
            mappings::derive(self, &mut session, commit, report).await?;
        }
        Ok(())
    }

    /// A table of the model.
    fn table(&self, schema: &str, table: &str) -> Result<&Table> {
        self.models.table(schema, table).map_err(|e| Error::new(Code::Model, schema, e))
    }
}
