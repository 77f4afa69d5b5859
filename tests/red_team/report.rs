//! What came out: a line a case while they run, tables at the end.

use std::cell::RefCell;

/// What became of a case.
pub(crate) enum Verdict {
    Passed(String),
    Failed(String),
    /// What it needs is not there yet: neither passed nor failed.
    Waits(String),
}

impl Verdict {
    pub(crate) fn of(holds: bool, says: impl Into<String>) -> Self {
        if holds { Self::Passed(says.into()) } else { Self::Failed(says.into()) }
    }
}

/// A game that was played, as a row of the table.
#[derive(Debug, Clone)]
pub(crate) struct Played {
    pub(crate) what: String,
    pub(crate) answers: usize,
    pub(crate) rho: f64,
    pub(crate) bound: f64,
    pub(crate) measured: String,
}

/// Collects verdicts.
#[derive(Default)]
pub(crate) struct Report {
    passed: RefCell<Vec<String>>,
    failed: RefCell<Vec<String>>,
    waits: RefCell<Vec<String>>,
    played: RefCell<Vec<Played>>,
    caught: RefCell<Vec<(String, String)>>,
}

impl Report {
    /// Notes and prints a verdict. `id` is the row of the table of attacks, or a name of our own.
    pub(crate) fn add(&self, id: &str, verdict: Verdict) {
        let (list, word, says) = match verdict {
            Verdict::Passed(says) => (&self.passed, "ok", says),
            Verdict::Failed(says) => (&self.failed, "FAILED", says),
            Verdict::Waits(says) => (&self.waits, "waits", says),
        };
        println!("{id} {word}: {says}");
        list.borrow_mut().push(format!("{id}: {says}"));
    }

    pub(crate) fn played(&self, played: Played) {
        self.played.borrow_mut().push(played);
    }

    /// A wrong gate that the harness found out.
    pub(crate) fn caught(&self, what: &str, measured: String) {
        self.caught.borrow_mut().push((what.to_owned(), measured));
    }

    /// Whether a row of the table of attacks has a case.
    pub(crate) fn has(&self, id: &str) -> bool {
        let start = format!("{id}:");
        [&self.passed, &self.failed, &self.waits]
            .iter()
            .any(|list| list.borrow().iter().any(|l| l.starts_with(&start)))
    }

    /// Prints the tables, and the sums as the last line. Says whether nothing failed.
    pub(crate) fn finish(&self) -> bool {
        println!(
            "\n| sequence | answers | rho spent | right at most | measured (99 %) |\n|---|---|---|---|---|"
        );
        for Played { what, answers, rho, bound, measured } in self.played.borrow().iter() {
            println!("| {what} | {answers} | {rho:.3} | {:.1} % | {measured} |", 100.0 * bound);
        }
        println!("\n| wrong gate | measured (99 %) |\n|---|---|");
        for (what, measured) in self.caught.borrow().iter() {
            println!("| {what} | {measured} |");
        }
        for (word, list) in [("waits", &self.waits), ("failed", &self.failed)] {
            println!();
            list.borrow().iter().for_each(|line| println!("{word}: {line}"));
        }
        let counts = [&self.passed, &self.failed, &self.waits].map(|list| list.borrow().len());
        println!("\n{} passed, {} failed, {} skipped", counts[0], counts[1], counts[2]);
        counts[1] == 0
    }
}
