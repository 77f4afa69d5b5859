//! What is doubtful about the records of a node as a whole: checks that are data, each one SELECT over the newest epoch.
//!
//! The counts are exact, so the report is the operator's. No value of a record is in it.

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use caim_ontology::Models;
use caim_warehouse::Warehouse;
use serde::{Deserialize, Serialize};

use super::session::{Session, fault};
use super::{GapOptions, gaps, on_runtime};
use crate::{Code, Error, Result};

const CHECKS: &str = include_str!("../../mappings/quality.toml");
/// The share of rows without a concept that a coded column may have.
const UNMAPPED: f64 = 0.2;

/// The outcome of all checks on one epoch.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quality {
    /// The version of the checks.
    pub version: u32,
    /// The epoch that was looked at.
    pub epoch: u64,
    /// The checks, by category.
    pub checks: Vec<Checked>,
}

/// The outcome of one check.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Checked {
    /// Its name, by which `quality.toml` sets its limit.
    pub name: String,
    /// What kind of check it is.
    pub category: String,
    /// What holds where it passes.
    pub says: String,
    /// What was looked at: rows, or series.
    pub checked: u64,
    /// Those for which it does not hold.
    pub failed: u64,
    /// The share of those that may fail.
    pub limit: f64,
}

/// The file of checks.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Checks {
    version: u32,
    check: Vec<Check>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {
    name: String,
    category: String,
    limit: f64,
    says: String,
    select: String,
}

/// The operator's own limits: `DIR/quality.toml`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Limits {
    limits: BTreeMap<String, f64>,
}

impl Checked {
    /// The share that failed; 0 where nothing was checked.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more digits than a float has")]
    pub fn share(&self) -> f64 {
        if self.checked == 0 { 0.0 } else { self.failed as f64 / self.checked as f64 }
    }

    /// Whether no more failed than may.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.share() <= self.limit
    }
}

impl Quality {
    /// Whether every check passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.checks.iter().all(Checked::passed)
    }
}

/// Runs all checks on the newest epoch, with the limits of a file, where there is one.
///
/// # Errors
/// When stored rows cannot be read, or the file of limits names no check.
pub fn quality(warehouse: &Warehouse, models: &Models, limits: &Path) -> Result<Quality> {
    let Checks { version, check: checks } = bundled()?;
    let epoch = warehouse.current()?;
    let mut session = Session::plain()?;
    session.register_epoch(&epoch, models)?;
    let mut done = on_runtime(async {
        let mut done = Vec::new();
        for check in checks {
            done.push(run(&session, check).await?);
        }
        Ok(done)
    })?;
    done.extend(coverage(warehouse, models)?);
    set_limits(&mut done, limits)?;
    Ok(Quality { version, epoch: epoch.number(), checks: done })
}

fn bundled() -> Result<Checks> {
    toml::from_str(CHECKS).map_err(|e| Error::new(Code::Build, "the checks of quality", e))
}

async fn run(session: &Session, check: Check) -> Result<Checked> {
    let rows = session.select(&check.select).await?.collect().await.map_err(fault)?;
    let count = |column: &str| -> Option<u64> {
        let batch = rows.iter().find(|batch| batch.num_rows() > 0)?;
        let counts = cast(batch.column_by_name(column)?, &DataType::Int64).ok()?;
        counts.as_primitive::<Int64Type>().values().first().and_then(|count| u64::try_from(*count).ok())
    };
    let Check { name, category, limit, says, .. } = check;
    let (Some(checked), Some(failed)) = (count("checked"), count("failed")) else {
        return Err(Error::new(Code::Build, name, "it gives no row of `checked` and `failed`"));
    };
    Ok(Checked { name, category, says, checked, failed, limit })
}

/// One check a coded column of which sources say something.
fn coverage(warehouse: &Warehouse, models: &Models) -> Result<Vec<Checked>> {
    // No value is named, so none is asked for.
    let options = GapOptions { threshold: u32::MAX, values: 1 };
    let columns = gaps(warehouse, models, options)?.into_iter();
    Ok(columns
        .map(|gap| Checked {
            name: format!("mapped_{}", gap.column),
            category: "mapping coverage".to_owned(),
            says: format!("Rows of {} have a concept in {}.", gap.table, gap.column),
            checked: gap.rows,
            failed: gap.rows - gap.rows_mapped,
            limit: UNMAPPED,
        })
        .collect())
}

fn set_limits(checks: &mut [Checked], path: &Path) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, &e))?;
    let fault = |reason: String| Error::new(Code::Option, path.display(), reason);
    let Limits { limits } = toml::from_str(&text).map_err(|e| fault(e.to_string()))?;
    for (name, limit) in limits {
        if !(0.0..=1.0).contains(&limit) {
            return Err(fault(format!("the limit of {name} is a share from 0 to 1")));
        }
        match checks.iter_mut().find(|check| check.name == name) {
            Some(check) => check.limit = limit,
            // A column that no source fills today is no error.
            None if name.starts_with("mapped_") => {}
            None => {
                let likeness = |check: &&Checked| strsim::jaro_winkler(&check.name, &name);
                let nearest = checks.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
                let nearest = nearest.map(|check| check.name.as_str()).unwrap_or_default();
                let fix = format!("the nearest is {nearest}");
                return Err(fault(format!("there is no check {name}")).with_fix(fix));
            }
        }
    }
    Ok(())
}
