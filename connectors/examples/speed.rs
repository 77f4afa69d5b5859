//! Ingests a source into an empty warehouse beside it, removes that again, and says how fast it went.
//!
//! ```text
//! cargo run --profile demo -p caim-connectors --example speed -- PATH [TIMES]
//! ```

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use caim_connectors::{Identity, IngestOptions, Quiet, Secret, ingest};
use caim_ontology::Models;
use caim_warehouse::Warehouse;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let source = PathBuf::from(arguments.next().ok_or("usage: speed PATH [TIMES]")?);
    let times = arguments.next().map_or(Ok(1), |times| times.parse::<u32>())?;
    let bytes = bytes_below(&source)?;
    for _ in 0..times {
        let folder = tempfile::tempdir()?;
        let warehouse = Warehouse::create(folder.path())?;
        let secret = Secret::load_or_create(&folder.path().join("secret"))?;
        let (models, identity) = (Models::bundled()?, Identity::default());
        let started = Instant::now();
        let report =
            ingest(&warehouse, &models, &identity, &secret, &source, &IngestOptions::default(), &Quiet)?;
        let seconds = started.elapsed().as_secs_f64();
        let (rows, gigabytes) = (report.kept(), bytes as f64 / 1e9);
        println!("{rows} rows, {gigabytes:.3} GB in {seconds:.2} s: {:.3} GB/s", gigabytes / seconds);
    }
    Ok(())
}

fn bytes_below(path: &Path) -> std::io::Result<u64> {
    if path.is_file() {
        return Ok(path.metadata()?.len());
    }
    fs::read_dir(path)?.map(|entry| bytes_below(&entry?.path())).sum()
}
