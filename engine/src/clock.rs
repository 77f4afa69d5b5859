//! The time, as something that tests can set: windows of the ledger end by it.

use std::time::{SystemTime, UNIX_EPOCH};

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Seconds since 1970-01-01 UTC.
    fn unix_seconds(&self) -> i64;
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn unix_seconds(&self) -> i64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64)
    }
}

/// A clock that a test sets.
#[cfg(test)]
pub(crate) struct Wall(pub(crate) std::sync::atomic::AtomicI64);

#[cfg(test)]
impl Clock for Wall {
    fn unix_seconds(&self) -> i64 {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
}
