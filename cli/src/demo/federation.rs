//! The folders of the demo: a hub, and a node for every generated hospital with its sources taken in.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use caim_connectors::{Collection, IngestOptions, Progress, Report};

use super::hospital::{Kind, Source, generate};
use super::person::Plan;
use super::population::{Hospital, Population};
use crate::config::{HUB_FILE, NODE_FILE};
use crate::setup::{self, NewHub, NewNode};

/// User, password and project of the demo.
pub const USER: &str = "analyst";
/// Password of the demo's user.
pub const PASSWORD: &str = "analyst";
/// Project of the demo's user.
pub const PROJECT: &str = "demo";

/// The demo's policy is the default one; its budgets alone are generous, so that it can be played with for long.
const BUDGETS: [(&str, &str); 4] = [
    ("privacy.budget_rho", "100.0"),
    ("privacy.budget_delta", "0.3"),
    ("privacy.project_lifetime_rho", "1000.0"),
    ("privacy.node_budget_rho", "400.0"),
];

/// A hospital with its node.
#[derive(Debug)]
pub struct Ready {
    /// Name of the node and the collection.
    pub name: String,
    /// Folder of the node.
    pub dir: PathBuf,
    /// What was taken in, source by source.
    pub taken: Vec<Taken>,
}

/// A source that was taken in.
#[derive(Debug)]
pub struct Taken {
    /// The source.
    pub source: Source,
    /// What came in.
    pub report: Report,
}

/// Makes the hub's folder below `dir`, unless it is there.
///
/// # Errors
/// When the folder cannot be written.
pub fn hub(dir: &Path) -> Result<PathBuf> {
    let dir = dir.join("hub");
    if !dir.join(HUB_FILE).exists() {
        let user = setup::user(USER, PASSWORD, PROJECT);
        let anonymous = format!("\"{USER}\"");
        setup::hub(
            &dir,
            &NewHub { set: vec![("dev_identity.users", user), ("dev_identity.anonymous", anonymous)] },
        )?;
    }
    Ok(dir)
}

/// Generates the hospital at `position`, makes its node below `dir` unless it is there, and takes its sources in.
///
/// # Errors
/// When files cannot be written, or a source is not taken in whole.
pub fn hospital(
    population: &Population,
    plan: Plan,
    position: usize,
    dir: &Path,
    progress: &dyn Progress,
) -> Result<Ready> {
    let hospital = population.at(position)?;
    let dir = dir.join(&hospital.name);
    let sources = generate(population, plan, position, &dir.join("sources"))?;
    if !dir.join(NODE_FILE).exists() {
        setup::node(&dir, &new_node(hospital))?;
    }
    let taken = sources.into_iter().map(|source| take_in(&dir, hospital, source, progress));
    Ok(Ready { name: hospital.name.clone(), taken: taken.collect::<Result<_>>()?, dir })
}

fn new_node(hospital: &Hospital) -> NewNode {
    let set = BUDGETS.map(|(key, value)| (key, value.to_owned())).to_vec();
    NewNode { name: hospital.name.clone(), hub: Some("127.0.0.1:50052".to_owned()), set }
}

/// All records of a hospital belong to one collection. Its table names that in a column, as real ones do.
fn take_in(dir: &Path, hospital: &Hospital, source: Source, progress: &dyn Progress) -> Result<Taken> {
    let collection = match source.kind {
        Kind::DicomTable => Collection::Column("collection_id".to_owned()),
        Kind::DicomFiles | Kind::Omop | Kind::FhirLines | Kind::FhirBundles => {
            Collection::Id(hospital.name.clone())
        }
    };
    let options = IngestOptions { format: source.kind.format(), collection, ..IngestOptions::default() };
    let report = crate::ingest::ingest(dir, &source.path, &options, progress)
        .with_context(|| format!("{} of {}", source.kind, hospital.name))?;
    Ok(Taken { source, report })
}

#[cfg(test)]
mod tests;
