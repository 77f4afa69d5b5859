//! What is doubtful about the records of a node as a whole: conformance, completeness, plausibility, images.
//!
//! ```text
//! mappings/quality.toml   -> rules      classes with their limits and texts, written checks, domains, ranges
//! data models             -> tables     keys, references, required columns, values, bounds, dates: one scan a table
//! omop.concept, ontology  -> concepts   what stands in coded columns, each column read once
//! rules                   -> ranges     numbers that cannot be
//! coverage of sources     -> mapped     what has a concept, and which values have none
//! ```
//!
//! All of it reads one epoch and writes nothing. Counts are exact and the coverage names values of sources, so the report is
//! the operator's: nothing of it is stored, and no door of a node knows of it.

mod concepts;
mod life;
mod limits;
mod ranges;
mod rules;
mod scan;
mod tables;
#[cfg(test)]
mod tests;

use std::path::Path;

use caim_ontology::Models;
use caim_warehouse::{Epoch, TableName, Warehouse};
use serde::{Serialize, Serializer};

use super::gaps::{self, GapOptions, Gaps};
use super::on_runtime;
use super::session::Session;
use crate::Result;
use limits::Limits;
use rules::{Place, Rules};
use scan::Scan;

/// The categories, in the order of a report.
const CATEGORIES: [&str; 4] = ["conformance", "completeness", "plausibility", "images"];
/// The class of the checks of mapping coverage.
const MAPPED: &str = "mapped";

/// The outcome of all checks on one epoch.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quality {
    /// The version of the checks.
    pub version: u32,
    /// The epoch that was looked at.
    pub epoch: u64,
    /// So many patients must have a value of a source for the coverage to name it.
    pub threshold: u32,
    /// The checks, by category.
    pub checks: Vec<Checked>,
    /// How much of each coded column has a concept, and the values of sources that most patients have and that have none.
    pub coverage: Vec<Gaps>,
}

/// The outcome of one check.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// Its name: its class, and where it is one of many, the table and column.
    pub name: String,
    /// Its class, by which `quality.toml` sets the limits of all checks of a kind.
    pub class: String,
    /// One of [`Quality::categories`].
    pub category: String,
    /// What holds where it passes.
    pub says: String,
    /// What was looked at: rows, keys, studies or series.
    pub checked: u64,
    /// Those for which it does not hold.
    pub failed: u64,
    /// The share of those that may fail.
    pub limit: f64,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// More failed than may.
    Failed,
    /// No more failed than may.
    Passed,
    /// There was nothing to look at.
    Silent,
}

impl Checked {
    /// The share that failed; 0 where nothing was checked.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more digits than a float has")]
    pub fn share(&self) -> f64 {
        if self.checked == 0 { 0.0 } else { self.failed as f64 / self.checked as f64 }
    }

    /// How it ended.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self { checked: 0, .. } => Status::Silent,
            _ if self.share() <= self.limit => Status::Passed,
            _ => Status::Failed,
        }
    }
}

impl Serialize for Checked {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Line<'c> {
            name: &'c str,
            class: &'c str,
            category: &'c str,
            says: &'c str,
            status: Status,
            checked: u64,
            failed: u64,
            share: f64,
            limit: f64,
        }
        let Self { name, class, category, says, checked, failed, limit } = self;
        let (status, share, checked, failed, limit) =
            (self.status(), self.share(), *checked, *failed, *limit);
        Line { name, class, category, says, status, checked, failed, share, limit }.serialize(serializer)
    }
}

impl Quality {
    /// The categories of checks, in the order in which they stand.
    #[must_use]
    pub fn categories() -> &'static [&'static str] {
        &CATEGORIES
    }

    /// The checks that ended so.
    pub fn ended(&self, status: Status) -> impl Iterator<Item = &Checked> {
        self.checks.iter().filter(move |check| check.status() == status)
    }

    /// Whether no check failed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.ended(Status::Failed).next().is_none()
    }
}

/// Runs all checks on the newest epoch, with the limits of a file, where there is one; the coverage names values as the
/// options say.
///
/// # Errors
/// When stored rows cannot be read, or the file of limits names no check.
pub fn quality(warehouse: &Warehouse, models: &Models, limits: &Path, named: GapOptions) -> Result<Quality> {
    let limits = Limits::load(limits)?;
    let rules = Rules::bundled()?;
    let epoch = warehouse.current()?;
    let look = Look { epoch: &epoch, models, rules: &rules };
    let (mut checks, coverage) = on_runtime(async {
        let session = look.session().await?;
        let mut checks = look.at(&session, |_| true).await?;
        let coverage = gaps::of_all(&session, models, named).await?;
        checks.extend(look.mapped(&coverage)?);
        Ok((checks, coverage))
    })?;
    limits.set(&mut checks)?;
    let place = |check: &Checked| CATEGORIES.iter().position(|category| *category == check.category);
    checks.sort_by_key(place);
    Ok(Quality {
        version: rules.version,
        epoch: epoch.number(),
        threshold: named.threshold,
        checks,
        coverage,
    })
}

/// An epoch, and by what it is judged.
#[derive(Clone, Copy)]
struct Look<'l> {
    epoch: &'l Epoch,
    models: &'l Models,
    rules: &'l Rules,
}

impl Look<'_> {
    /// All tables of the epoch, and what is known of the life of each patient.
    async fn session(self) -> Result<Session> {
        let mut session = Session::plain()?;
        session.register_epoch(self.epoch, self.models)?;
        life::stage(&mut session, self.models).await?;
        Ok(session)
    }

    /// The checks of the classes that are wanted, but for those of coverage.
    async fn at(self, session: &Session, wanted: impl Fn(&str) -> bool) -> Result<Vec<Checked>> {
        let mut scans: Vec<Scan> = tables::scans(self)?;
        scans.extend(self.rules.written(self.models)?);
        let mut done = Vec::new();
        for mut scan in scans {
            scan.checks.retain(|check| wanted(&check.about.class));
            done.extend(scan.run(self, session).await?);
        }
        done.extend(concepts::in_vocabulary(self, session, &wanted).await?);
        if wanted(concepts::BELOW_ROOTS) {
            done.extend(concepts::below_roots(self, session).await?);
        }
        if wanted(ranges::CLASS) {
            done.extend(ranges::plausible(self, session).await?);
        }
        Ok(done)
    }

    /// The rows of a table of the models; 0 if they lack it.
    fn rows(self, name: &TableName) -> u64 {
        let table = self.models.table(&name.schema, &name.table);
        table.map_or(0, |table| self.epoch.rows(&TableName::new(&name.schema, &table.stored)))
    }

    /// One check a coded column of which sources say something.
    fn mapped(self, coverage: &[Gaps]) -> Result<Vec<Checked>> {
        let class = self.rules.class(MAPPED)?;
        let check = |gap: &Gaps| {
            let about = class.about(&Place::column(&gap.table, &gap.column));
            about.counted(gap.rows, gap.rows - gap.rows_mapped)
        };
        Ok(coverage.iter().map(check).collect())
    }
}
