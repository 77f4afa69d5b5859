//! An OMOP database in PostgreSQL as a source: its tables at one moment, as files that nobody else can open.
//!
//! ```text
//! address     postgres://user@host/db?schema=cdm, and a password that is never shown
//! columns     which tables and columns the model knows, and how each type is fetched
//! fetch       one snapshot, several connections; tables by ranges of their key
//! copy        the binary form of COPY, row by row
//! spool       rows into unnamed Parquet files, and the hash of their content
//! ```
//!
//! From there on it is an OMOP source like any other. The transaction is read only. What tells one content of a table
//! from another is the sum of the hashes of its rows: their order in the database decides nothing.

mod address;
mod columns;
mod copy;
mod fetch;
mod passfile;
mod spool;

use std::path::Path;

use caim_ontology::Models;

use crate::source::Source;
use crate::{Format, IngestOptions, Progress, Result};
use address::Address;

/// The source at `path`, if that is the address of a database. At most `options.sample` rows of a table are fetched.
///
/// # Errors
/// When the database cannot be reached or read, has no OMOP table, or a column has a type that the model cannot hold.
pub(crate) fn open(
    path: &Path,
    models: &Models,
    options: &IngestOptions,
    progress: &dyn Progress,
) -> Result<Option<Source>> {
    let Some(text) = path.to_str().filter(|text| Address::is_one(text)) else { return Ok(None) };
    let address = Address::parse(text)?;
    options.reads_as(Format::Omop, "a database")?;
    // The client runs its connections on an executor of its own, which a thread that already has one cannot enter.
    std::thread::scope(|scope| {
        let fetched = scope.spawn(|| fetch::all(&address, models, options.sample, progress));
        fetched.join().unwrap_or_else(|_| Err(address.fault("its reader ended early")))
    })
    .map(Some)
}
