//! A batch leaves again: what one ingest brought is taken out of every table in one commit.

use caim_ontology::Models;
use caim_warehouse::{BatchId, NewBatch, Warehouse};

use crate::build::{self, Builder, is_derived};
use crate::report::BuildReport;
use crate::{Code, Error, Format, Progress, Result, Secret};

/// Takes a batch out of a warehouse and makes the derived tables anew. The source itself may be ingested again. What
/// the batch had replaced does not come back. Sources that share their keys with it are read again when they are next
/// ingested: what they hold may have given way to it, or not have come in because it was there.
///
/// # Errors
/// When no ingest has this number; and every [`Error`] means that nothing was committed.
pub fn rollback(
    warehouse: &Warehouse,
    models: &Models,
    secret: &Secret,
    batch: u64,
    progress: &dyn Progress,
) -> Result<BuildReport> {
    let mut commit = warehouse.begin(NewBatch {
        source: "caim rollback".to_owned(),
        content: batch.to_string(),
        collection: None,
        format: "build".to_owned(),
    })?;
    let id = BatchId(batch);
    let brought = commit.base().batches().iter().find(|found| found.id == id);
    let brought = brought.filter(|found| found.rows.keys().any(|table| !is_derived(table)));
    let Some(format) = brought.map(|found| found.format.clone()) else {
        let reason = format!("no ingest of this node has the number {batch}");
        return Err(Error::new(Code::Option, "rollback", reason).with_fix("`caim batches DIR` lists them"));
    };
    commit.secret(&secret.id())?;
    commit.remove_batch(&id);
    if [Format::Dicom, Format::DicomTable].map(Format::name).contains(&format.as_str()) {
        commit.reread(&format);
    }
    let mut report = Builder { models, secret, progress }.derive(&mut commit)?;
    let epoch = commit.publish()?;
    report.epoch = epoch.number();
    build::made(warehouse, &epoch, models)?;
    Ok(report)
}
