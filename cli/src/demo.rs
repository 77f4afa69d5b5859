//! The demo: three generated hospitals, their nodes and a hub in one process, and questions worth asking.
//!
//! It is the first thing anybody sees of Caim, and the ground that the integration tests stand on: [`generate`] makes
//! the sources of hospitals of any size from a fixed seed, [`federation`] takes them into nodes, [`Cluster`] runs any
//! nodes and a hub over loopback, [`tour`] is what `caim demo` prints.

mod care;
mod cluster;
mod concepts;
pub mod cookbook;
mod dice;
mod dicom_files;
mod dicom_table;
pub mod federation;
mod fhir;
mod hospital;
mod imaging;
mod omop;
mod person;
mod population;
mod records;
pub mod tour;
pub mod truth;

pub use cluster::{Cluster, ClusterOptions, Ports};
pub use hospital::{Kind, Source, generate};
pub use person::{Plan, Sex};
pub use population::{Hospital, Population};
pub use records::Coding;
