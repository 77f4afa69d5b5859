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
//! With `--since last` of each table of patients' records but PERSON only rows above the greatest key of earlier batches
//! come; rows that were changed or deleted are not seen. Other tables come whole, in the place of what was there.
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

use crate::ingest::whole_identity;
use crate::since::{Chains, Since};
use crate::source::Source;
use crate::{Code, Error, Format, IngestOptions, Progress, Result};
use address::Address;

/// Whether a text is the address of a database.
pub(crate) fn is_one(text: &str) -> bool {
    Address::is_one(text)
}

/// The source at `path`, if that is the address of a database. At most `options.sample` rows of a table are fetched.
///
/// # Errors
/// When the database cannot be reached or read, has no OMOP table, or a column has a type that the model cannot hold.
pub(crate) fn open(
    path: &Path,
    models: &Models,
    options: &IngestOptions,
    chains: &Chains<'_>,
    progress: &dyn Progress,
) -> Result<Option<Source>> {
    let Some(text) = path.to_str().filter(|text| Address::is_one(text)) else { return Ok(None) };
    let address = Address::parse(text)?;
    options.reads_as(Format::Omop, "a database")?;
    let whole = whole_identity(&address.name, Format::Omop, &options.collection);
    let earlier = match &options.since {
        None => None,
        Some(Since::Last) => Some(chains.keys(&whole, &address.name)?),
        Some(Since::Time(_)) => {
            let reason = "rows of a database are told apart by their keys, not by when they changed";
            return Err(Error::new(Code::Since, &address.name, reason).with_fix("say --since last"));
        }
    };
    // The client runs its connections on an executor of its own, which a thread that already has one cannot enter.
    std::thread::scope(|scope| {
        let fetched = scope.spawn(|| fetch::all(&address, models, options.sample, earlier, progress));
        fetched.join().unwrap_or_else(|_| Err(address.fault("its reader ended early")))
    })
    .map(Some)
}
