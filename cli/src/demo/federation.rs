//! The folders of the demo: a hub, and a node for every generated hospital with its sources taken in.

use std::path::{Path, PathBuf};

use anyhow::Result;
use caim_connectors::{Collection, Format, IngestOptions, Progress, Report};

use super::hospital::{Sources, generate};
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
    /// What was taken in: the DICOM table, then the OMOP folder.
    pub reports: [Report; 2],
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
    let hospital = population
        .hospitals()
        .get(position)
        .ok_or_else(|| anyhow::anyhow!("the population has no hospital {position}"))?;
    let dir = dir.join(&hospital.name);
    let sources = generate(population, plan, position, &dir.join("sources"))?;
    if !dir.join(NODE_FILE).exists() {
        setup::node(&dir, &new_node(hospital))?;
    }
    let reports = take_in(&dir, hospital, &sources, progress)?;
    Ok(Ready { name: hospital.name.clone(), dir, reports })
}

fn new_node(hospital: &Hospital) -> NewNode {
    let set = BUDGETS.map(|(key, value)| (key, value.to_owned())).to_vec();
    NewNode { name: hospital.name.clone(), hub: Some("127.0.0.1:50052".to_owned()), set }
}

fn take_in(
    dir: &Path,
    hospital: &Hospital,
    sources: &Sources,
    progress: &dyn Progress,
) -> Result<[Report; 2]> {
    let options = |format, collection| IngestOptions { format, collection, ..IngestOptions::default() };
    let dicom = options(Format::DicomTable, Collection::Column("collection_id".to_owned()));
    let omop = options(Format::Omop, Collection::Id(hospital.name.clone()));
    Ok([
        crate::ingest::ingest(dir, &sources.dicom, &dicom, progress)?,
        crate::ingest::ingest(dir, &sources.omop, &omop, progress)?,
    ])
}
