//! What an ingest tells a watcher while it runs: names of tables and numbers of rows, never a value.

/// Hears of progress. Called from the thread that ingests.
pub trait Progress: Send + Sync {
    /// Work on `what` begins; `total` is the number of rows, where it is known.
    fn started(&self, what: &str, total: Option<u64>);

    /// So many rows more are done.
    fn advanced(&self, rows: u64);

    /// The work that was started last is done.
    fn finished(&self);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl Progress for Quiet {
    fn started(&self, _what: &str, _total: Option<u64>) {}

    fn advanced(&self, _rows: u64) {}

    fn finished(&self) {}
}
