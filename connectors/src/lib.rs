//! How data *enters*: files of a hospital become rows of the warehouse, as one batch of one epoch.
//!
//! ```text
//! path -> source      files of a folder or zip, tables of a database, bounded, with reasons for what is not read
//!         (listener)  or headers of objects that a PACS sent, from a spool
//!      -> detect      which connector: dicom, dicom-table, fhir, omop, table
//!      -> rows        batches of untyped columns with line numbers, from text or Parquet
//!      -> intake      columns matched to the model, values read, rows without keys rejected
//!      -> connector   patients by [identity], duplicates and contests
//!      -> landing     stored columns, `_patient`, `_row`
//!      -> build       the DICOM levels and the common data model, derived from all landing tables
//!      -> commit      all tables at once; the same content again is no change
//! ```
//!
//! Promises: `read = kept + duplicates + rejected + forgotten + superseded` for every table; whatever is not kept is named with file, line
//! and reason; no clear identifier of a patient is stored beside its records or written to a log; any bad input is
//! an [`Error`] with a [`Code`], and then nothing is committed. This crate never sees the gate, nor who asks.
//!
//! ```
//! use caim_connectors::{Identity, IngestOptions, Quiet, Secret, ingest};
//! use caim_ontology::Models;
//! use caim_warehouse::{TableName, Warehouse};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let dir = folder.path();
//! let series = dir.join("series.csv");
//! std::fs::write(&series, "PatientID,StudyInstanceUID,SeriesInstanceUID,Modality\nP1,1.2,1.2.1,CT\nP1,1.2,1.2.2,SEG\n")?;
//!
//! let warehouse = Warehouse::create(dir)?;
//! let secret = Secret::load_or_create(&dir.join("secret"))?;
//! let (models, identity, options) = (Models::bundled()?, Identity::default(), IngestOptions::default());
//! let report = ingest(&warehouse, &models, &identity, &secret, &series, &options, &Quiet)?;
//! assert_eq!((report.format.as_str(), report.kept()), ("dicom-table", 2));
//! assert_eq!(warehouse.current()?.rows(&TableName::new("dicom", "study")), 1);
//!
//! let again = ingest(&warehouse, &models, &identity, &secret, &series, &options, &Quiet)?;
//! assert!(again.unchanged);
//! # Ok(())
//! # }
//! ```

mod code;
mod error;
mod http;
mod identity;
mod options;
mod progress;
pub mod report;
mod secret;
mod stage;

mod database;
mod detect;
mod ingest;
mod source;

mod intake;
mod mapping;
mod rows;
mod values;

mod dicom;
mod dicom_table;
mod dicomweb;
mod fhir;
mod listener;
mod omop;
mod table;

mod audit;
mod build;
mod contest;
mod forget;
mod landing;
mod moments;
mod rejects;
mod rollback;
mod row_key;
mod seen;
mod since;
mod stored;
mod tally;
mod target;

pub use audit::{rejected, rejects, removed};
pub use build::{
    Checked, GapOptions, Gaps, Quality, Status, UnmappedValue, build, gaps, is_derived, quality,
};
pub use code::Code;
pub use contest::Duplicates;
pub use error::{Error, Result};
pub use fhir::with_views;
pub use forget::{Removed, forget};
pub use identity::{Identity, OmopColumn, Uids};
pub use ingest::{ingest, ingest_received};
pub use listener::{Limits, ListenOptions, Listener, Received, Stopper, Visit};
pub use options::{Collection, Format, IngestOptions};
pub use progress::{Progress, Quiet};
pub use report::Report;
pub use rollback::rollback;
pub use secret::Secret;
pub use since::Since;
pub use stage::Stage;
