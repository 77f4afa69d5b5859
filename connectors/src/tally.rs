//! Counting while rows go by: the making of a [`Report`].

mod rejected;

use std::collections::BTreeMap;

use crate::rejects::{Paths, Rejects};
use crate::report::{Conflict, LeftOut, Reject, Removed, Skipped, TableReport, Warning};
use crate::{Code, Duplicates, IngestOptions, Secret};

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

    /// Files that the connector does not read.
    pub(crate) fn not_read(&mut self, skipped: impl IntoIterator<Item = Skipped>) {
        for Skipped { path, reason } in skipped {
            self.left_aside(&path, Code::NotRead, &reason);
            self.skipped.push(Skipped { path: self.told(&path), reason });
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
