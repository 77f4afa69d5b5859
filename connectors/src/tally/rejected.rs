//! Counting what does not come in: the first ones listed, all of them counted and, if asked for, written to a file.

use std::collections::BTreeMap;

use super::{Fault, Tally};
use crate::rejects::Rejects;
use crate::report::{Reject, Rejected};
use crate::source::Member;
use crate::{Code, Result};

/// So many rejected rows of each table are listed in the report; all are counted.
const LISTED_REJECTS: usize = 100;
/// So many are kept beside the batch.
const KEPT_REJECTS: u64 = 1000;

impl Tally {
    /// A row of `file` that does not come in.
    pub(crate) fn reject(&mut self, file: &str, fault: Fault) {
        self.add_reject(file, fault, None);
    }

    /// A whole file that does not come in.
    pub(crate) fn refuse(&mut self, member: &Member, code: Code, reason: &str) {
        self.add_reject(&member.name, Fault { line: 0, code, reason: reason.to_owned() }, Some(member));
    }

    fn add_reject(&mut self, file: &str, fault: Fault, refused: Option<&Member>) {
        let Some(table) = self.tables.get_mut(self.present) else { return };
        table.rejected += 1;
        let (kept, name) = (table.rejected <= KEPT_REJECTS, table.name.clone());
        *self.rejected.entry((name.clone(), fault.code)).or_default() += 1;
        if kept || self.all_rejects.is_some() {
            let reject = self.reject_of(name, file, fault);
            self.all_rejects.iter_mut().for_each(|all| all.add(&reject, refused));
            if kept {
                self.rejects.push(reject);
            }
        }
    }

    fn reject_of(&self, table: String, file: &str, Fault { line, code, reason }: Fault) -> Reject {
        Reject {
            table,
            file: self.told(file),
            line,
            stage: code.stage(),
            code,
            reason,
            fix: code.fix().to_owned(),
        }
    }

    /// The rejects that a report lists.
    pub(crate) fn listed_rejects(&self) -> Vec<Reject> {
        let mut listed = BTreeMap::<String, usize>::new();
        let is_listed = |reject: &&Reject| {
            let count = listed.entry(reject.table.clone()).or_default();
            *count += 1;
            *count <= LISTED_REJECTS
        };
        self.rejects.iter().filter(is_listed).cloned().collect()
    }

    /// How many rows each rule has rejected.
    pub(crate) fn rejected(&self) -> Vec<Rejected> {
        let counts = self.rejected.iter();
        counts
            .map(|((table, code), rows)| Rejected { table: table.clone(), code: *code, rows: *rows })
            .collect()
    }

    /// Ends the table of all rejects; says where it is, if there is one.
    ///
    /// # Errors
    /// When it could not be written as a whole.
    pub(crate) fn finish_rejects(&mut self) -> Result<Option<String>> {
        let finished = self.all_rejects.take().map(Rejects::finish).transpose()?.flatten();
        Ok(finished.map(|path| path.display().to_string()))
    }

    /// Lists a file that is no reject among all that did not come in.
    pub(super) fn left_aside(&mut self, path: &str, code: Code, reason: &str) {
        if self.all_rejects.is_some() {
            let reject =
                self.reject_of(String::new(), path, Fault { line: 0, code, reason: reason.to_owned() });
            self.all_rejects.iter_mut().for_each(|all| all.add(&reject, None));
        }
    }
}
