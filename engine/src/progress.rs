//! How far a question is: how many nodes were asked, and how many have answered or said no.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Seen by the one who asked while the nodes work. Numbers of nodes are public; what they answer is not in here.
#[derive(Debug, Default)]
pub struct Progress {
    asked: AtomicUsize,
    done: AtomicUsize,
}

impl Progress {
    /// More nodes are asked.
    pub(crate) fn ask(&self, nodes: usize) {
        self.asked.fetch_add(nodes, Ordering::Relaxed);
    }

    /// One of them is done.
    pub(crate) fn done(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    /// The share of asked nodes that are done, from 0 to 1; 0 before any is asked.
    #[must_use]
    pub fn share(&self) -> f64 {
        let asked = self.asked.load(Ordering::Relaxed);
        let done = self.done.load(Ordering::Relaxed).min(asked);
        if asked == 0 { 0.0 } else { done as f64 / asked as f64 }
    }
}
