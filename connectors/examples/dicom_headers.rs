//! Ingests a folder of DICOM objects into a new warehouse and says how long it took.
//!
//! `RAYON_NUM_THREADS=1 cargo run --profile demo -p caim-connectors --example dicom_headers -- FOLDER`

#![expect(clippy::print_stdout, reason = "the figures are its output")]

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use caim_connectors::{Format, Identity, IngestOptions, Quiet, Secret, ingest};
use caim_ontology::Models;
use caim_warehouse::Warehouse;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("which folder?")?);
    let node = tempfile::tempdir()?;
    let warehouse = Warehouse::create(node.path())?;
    let secret = Secret::load_or_create(&node.path().join("secret"))?;
    let (models, identity) = (Models::bundled()?, Identity::default());
    let options = IngestOptions { format: Format::Dicom, ..IngestOptions::default() };
    let start = Instant::now();
    let report = ingest(&warehouse, &models, &identity, &secret, &folder, &options, &Quiet)?;
    let seconds = start.elapsed().as_secs_f64();
    let rows = report.kept();
    println!("{{\"files\":{rows},\"seconds\":{seconds:.6}}}");
    Ok(())
}
