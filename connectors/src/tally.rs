//! Counting while rows go by: the making of a [`Report`].

use std::collections::BTreeMap;

use crate::rejects::{Paths, Rejects};
use crate::report::{Conflict, LeftOut, Reject, Rejected, Removed, Skipped, TableReport, Warning};
use crate::source::Member;
use crate::{Code, Duplicates, IngestOptions, Result, Secret};

/// So many rejected rows of each table are listed in the report; all are counted.
const LISTED_REJECTS: usize = 100;
/// So many are kept beside the batch.
const KEPT_REJECTS: u64 = 1000;
/// So many files that were not read are listed; all are counted.
const LISTED_SKIPPED: usize = 1000;
/// So many conflicts are listed; all are counted.
const LISTED_CONFLICTS: usize = 100;
/// So many columns are listed; a table with more is not one that anybody meant.
const LISTED_COLUMNS: usize = 1000;
/// So many lines are listed for each warning.
const LISTED_LINES: usize = 10;

/// Everything that a report says about rows, files and columns.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) tables: Vec<TableReport>,
    /// The first of each table.
    pub(crate) rejects: Vec<Reject>,
    /// How many of each table there are by each rule.
    rejected: BTreeMap<(String, Code), u64>,
    /// Where all of them go, if the operator wants them.
    all_rejects: Option<Rejects>,
    paths: Paths,
    pub(crate) skipped: Vec<Skipped>,
    /// The first conflicts.
    pub(crate) conflicts: Vec<Conflict>,
    pub(crate) left_out: Vec<LeftOut>,
    /// How often attributes were left out, by keyword.
    removed: BTreeMap<&'static str, u64>,
    /// Which table is counted for.
    present: usize,
    warnings: BTreeMap<Matter, Count>,
}

/// What a warning is about.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Matter {
    table: String,
    code: Code,
    column: Option<String>,
}

/// How often, and on which lines at first.
#[derive(Debug, Default)]
struct Count {
    times: u64,
    lines: Vec<u64>,
}

/// What became of rows of a table when contests were settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Settled {
    /// Rows of the source that gave way.
    pub(crate) superseded: u64,
    /// Rows of the source that are the same as what stays.
    pub(crate) duplicates: u64,
    /// Rows of other sources that gave way.
    pub(crate) displaced: u64,
}

/// What is wrong with one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) line: u64,
    pub(crate) code: Code,
    pub(crate) reason: String,
}

impl Tally {
    /// Counts, and tells of rejects and paths as the operator asked for.
    pub(crate) fn new(options: &IngestOptions, secret: &Secret) -> Self {
        Self { all_rejects: Rejects::of(options), paths: Paths::of(options, secret), ..Self::default() }
    }

    /// A path of the source as it may be told.
    pub(crate) fn told(&self, path: &str) -> String {
        self.paths.told(path).into_owned()
    }

    /// Begins a table, or goes on with it; counts follow for it until the next.
    pub(crate) fn table(&mut self, name: &str) {
        self.present = self.tables.iter().position(|table| table.name == name).unwrap_or_else(|| {
            self.tables.push(TableReport::new(name));
            self.tables.len() - 1
        });
    }

    /// Rows that the source has.
    pub(crate) fn read(&mut self, rows: u64) {
        self.count(|table| table.read += rows);
    }

    /// Rows that came in.
    pub(crate) fn kept(&mut self, rows: u64) {
        self.count(|table| table.kept += rows);
    }

    /// A row that is there already.
    pub(crate) fn duplicate(&mut self, line: u64) {
        self.count(|table| table.duplicates += 1);
        self.warn(Code::Duplicate, None, 1, &[line]);
    }

    /// Rows that are there already and were warned of.
    pub(crate) fn duplicates(&mut self, rows: u64) {
        self.count(|table| table.duplicates += rows);
    }

    /// Rows that give way to what is there.
    pub(crate) fn superseded(&mut self, rows: u64) {
        self.count(|table| table.superseded += rows);
    }

    /// Two records with one key, by their content.
    pub(crate) fn conflict(&mut self, rule: Duplicates, stays: u64, gives_way: u64) {
        self.count(|table| table.conflicts += 1);
        if rule != Duplicates::Skip {
            self.warn(Code::Contested, None, 1, &[]);
        }
        let Some(table) = self.tables.get(self.present).filter(|_| self.conflicts.len() < LISTED_CONFLICTS)
        else {
            return;
        };
        let [stays, gives_way] = [stays, gives_way].map(|content| format!("{content:016x}"));
        tracing::info!(table = table.name, %rule, stays, gives_way, "two records have one key");
        self.conflicts.push(Conflict { table: table.name.clone(), stays, gives_way });
    }

    /// What became of rows of a table that had come in, when the last record was read.
    pub(crate) fn settled(&mut self, table: &str, settled: &Settled) {
        if *settled == Settled::default() {
            return;
        }
        let Settled { superseded, duplicates, displaced } = *settled;
        self.table(table);
        self.count(|table| {
            table.kept -= table.kept.min(superseded + duplicates);
            table.superseded += superseded;
            table.duplicates += duplicates;
            table.displaced += displaced;
        });
    }

    /// Rows of forgotten patients, which connectors took for kept.
    pub(crate) fn forgotten(&mut self, table: &str, rows: u64) {
        let table = table.rsplit('.').next().unwrap_or(table);
        let found = self.tables.iter_mut().find(|found| found.name.rsplit('.').next() == Some(table));
        if let Some(found) = found {
            found.kept -= rows.min(found.kept);
            found.forgotten += rows;
        }
        self.warn_about(table, Code::Forgotten, None, rows);
    }

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

    /// Files that the connector does not read.
    pub(crate) fn not_read(&mut self, skipped: impl IntoIterator<Item = Skipped>) {
        for Skipped { path, reason } in skipped {
            self.left_aside(&path, Code::NotRead, &reason);
            self.skipped.push(Skipped { path: self.told(&path), reason });
        }
    }

    /// Lists a file that is no reject among all that did not come in.
    fn left_aside(&mut self, path: &str, code: Code, reason: &str) {
        if self.all_rejects.is_some() {
            let reject =
                self.reject_of(String::new(), path, Fault { line: 0, code, reason: reason.to_owned() });
            self.all_rejects.iter_mut().for_each(|all| all.add(&reject, None));
        }
    }

    /// A file that holds no row, by the rule `code`.
    pub(crate) fn skip(&mut self, path: &str, code: Code, reason: &str) {
        if code != Code::Duplicate {
            self.left_aside(path, code, reason);
        }
        self.warn(code, None, 1, &[]);
        if self.skipped.len() < LISTED_SKIPPED {
            self.skipped.push(Skipped { path: self.told(path), reason: format!("{code}: {reason}") });
        }
    }

    /// A file whose row is there already.
    pub(crate) fn skip_duplicate(&mut self, path: &str, reason: &str) {
        self.count(|table| table.duplicates += 1);
        self.skip(path, Code::Duplicate, reason);
    }

    /// Something doubtful about the present table, `count` times.
    pub(crate) fn warn(&mut self, code: Code, column: Option<&str>, count: u64, lines: &[u64]) {
        // Nothing is the common case: it costs no name.
        if count > 0
            && let Some(table) = self.tables.get(self.present)
        {
            let name = table.name.clone();
            self.add_warning(name, code, column, count, lines);
        }
    }

    /// Something doubtful about a source, `count` times; `table` need not be one that is counted.
    pub(crate) fn warn_about(&mut self, table: &str, code: Code, column: Option<&str>, count: u64) {
        if count > 0 {
            self.add_warning(table.to_owned(), code, column, count, &[]);
        }
    }

    /// Attributes that are not stored, with how often.
    pub(crate) fn removed(&mut self, counts: impl Iterator<Item = (&'static str, u64)>) {
        for (attribute, count) in counts {
            *self.removed.entry(attribute).or_default() += count;
        }
    }

    /// The attributes that are not stored, those that were left out most often first.
    pub(crate) fn all_removed(&self) -> Vec<Removed> {
        let removed = self.removed.iter();
        let mut all: Vec<Removed> = removed
            .map(|(attribute, count)| Removed { attribute: (*attribute).to_owned(), count: *count })
            .collect();
        all.sort_by_key(|removed| std::cmp::Reverse(removed.count));
        all
    }

    /// A column of the present table that is not read.
    pub(crate) fn left_out(&mut self, column: &str) {
        let Some(table) = self.tables.get(self.present) else { return };
        let column = LeftOut { table: table.name.clone(), column: column.to_owned() };
        if self.left_out.len() < LISTED_COLUMNS && !self.left_out.contains(&column) {
            self.left_out.push(column);
        }
    }

    /// The warnings, by table and code.
    pub(crate) fn warnings(&self) -> Vec<Warning> {
        let warnings = self.warnings.iter();
        warnings
            .map(|(matter, count)| Warning {
                code: matter.code,
                table: matter.table.clone(),
                column: matter.column.clone(),
                count: count.times,
                lines: count.lines.clone(),
            })
            .collect()
    }

    fn add_warning(&mut self, table: String, code: Code, column: Option<&str>, count: u64, lines: &[u64]) {
        let matter = Matter { table, code, column: column.map(str::to_owned) };
        let present = self.warnings.entry(matter).or_default();
        present.times += count;
        present.lines.extend(lines.iter().take(LISTED_LINES.saturating_sub(present.lines.len())));
    }

    fn count(&mut self, add: impl FnOnce(&mut TableReport)) {
        if let Some(table) = self.tables.get_mut(self.present) {
            add(table);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_bounded_and_counts_are_not() {
        let mut tally = Tally::default();
        tally.table("omop.person");
        for line in 1..=1000 {
            tally.reject("a.csv", Fault { line, code: Code::BadKey, reason: "x".into() });
            tally.warn(Code::UnreadableValue, Some("x"), 2, &[line]);
        }
        assert_eq!((tally.tables[0].rejected, tally.listed_rejects().len()), (1000, 100));
        tally.reject("a.csv", Fault { line: 1001, code: Code::FieldCount, reason: "x".into() });
        assert_eq!(tally.rejects.len(), 1000);
        let counts: Vec<_> = tally.rejected().into_iter().map(|r| (r.code, r.rows)).collect();
        assert_eq!(counts, [(Code::FieldCount, 1), (Code::BadKey, 1000)]);
        let warnings = tally.warnings();
        assert_eq!((warnings[0].count, warnings[0].lines.len()), (2000, 10));
    }
}
