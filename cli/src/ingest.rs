//! Takes a source, or what a listener received, into a node's warehouse, with what the node's folder says: secret, identity,
//! models.

use std::path::Path;

use anyhow::Result;
use caim_connectors::report::BuildReport;
use caim_connectors::{IngestOptions, ListenOptions, Listener, Progress, Received, Removed, Report, Visit};
use caim_warehouse::Warehouse;

use crate::config::{NodeConfig, Overrides};
use crate::{setup, vocabulary};

/// Ingests one source into the node of a folder.
///
/// # Errors
/// When the folder is no node, or the source as a whole cannot be taken in. Rejected rows are no error.
pub fn ingest(dir: &Path, source: &Path, options: &IngestOptions, progress: &dyn Progress) -> Result<Report> {
    let config = NodeConfig::load(dir, &Overrides::new(Vec::new()))?;
    let (warehouse, secret, models) =
        (Warehouse::open(dir)?, setup::secret(dir)?, vocabulary::models_of_node(dir)?);
    let options = IngestOptions { tables: Some(dir.join("tables")), ..options.clone() };
    Ok(caim_connectors::ingest(&warehouse, &models, &config.identity, &secret, source, &options, progress)?)
}

/// Opens the DICOM listener of the node of a folder; what it receives waits in `DIR/spool`.
///
/// # Errors
/// When the folder is no node, or it cannot listen.
pub fn listener(
    dir: &Path,
    options: ListenOptions,
    told: impl Fn(&Visit) + Send + Sync + 'static,
) -> Result<Listener> {
    NodeConfig::load(dir, &Overrides::new(Vec::new()))?;
    Ok(Listener::open(&dir.join("spool"), &vocabulary::models(dir)?, options, told)?)
}

/// Ingests headers that a listener received into the node of a folder, as one batch.
///
/// # Errors
/// When the folder is no node, or nothing could be committed: the headers are still in the spool.
pub fn ingest_received(
    dir: &Path,
    received: &Received,
    options: &IngestOptions,
    progress: &dyn Progress,
) -> Result<Report> {
    let config = NodeConfig::load(dir, &Overrides::new(Vec::new()))?;
    let (warehouse, secret, models) = (Warehouse::open(dir)?, setup::secret(dir)?, vocabulary::models(dir)?);
    let (identity, models) = (&config.identity, &models);
    Ok(caim_connectors::ingest_received(&warehouse, models, identity, &secret, received, options, progress)?)
}

/// Makes the derived tables of the node of a folder anew.
///
/// # Errors
/// When the folder is no node, or its tables cannot be read or written.
pub fn build(dir: &Path, progress: &dyn Progress) -> Result<BuildReport> {
    NodeConfig::load(dir, &Overrides::new(Vec::new()))?;
    let (warehouse, secret, models) = (Warehouse::open(dir)?, setup::secret(dir)?, vocabulary::models(dir)?);
    Ok(caim_connectors::build(&warehouse, &models, &secret, progress)?)
}

/// Takes a batch out of the node of a folder.
///
/// # Errors
/// When the folder is no node, or has no such batch.
pub fn rollback(dir: &Path, batch: u64, progress: &dyn Progress) -> Result<BuildReport> {
    NodeConfig::load(dir, &Overrides::new(Vec::new()))?;
    let (warehouse, secret, models) = (Warehouse::open(dir)?, setup::secret(dir)?, vocabulary::models(dir)?);
    Ok(caim_connectors::rollback(&warehouse, &models, &secret, batch, progress)?)
}

/// Forgets a patient, named by issuer (or the default one) and identifier, at the node of a folder.
///
/// # Errors
/// When the folder is no node, or its tables cannot be read or written.
pub fn forget(dir: &Path, patient: (Option<&str>, &str), progress: &dyn Progress) -> Result<Removed> {
    let config = NodeConfig::load(dir, &Overrides::new(Vec::new()))?;
    let (warehouse, secret, models) = (Warehouse::open(dir)?, setup::secret(dir)?, vocabulary::models(dir)?);
    Ok(caim_connectors::forget(&warehouse, &models, &config.identity, &secret, patient, progress)?)
}
