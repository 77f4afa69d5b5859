//! Many checks in one pass over one relation.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use caim_warehouse::TableName;

use super::rules::About;
use super::{Checked, Look};
use crate::Result;
use crate::build::session::{Session, fault};

/// A relation, and the conditions that its rows are counted by.
pub(super) struct Scan {
    /// Where one of these has no rows, there is nothing to look at.
    pub(super) needs: Vec<TableName>,
    /// What stands behind FROM.
    pub(super) from: String,
    pub(super) checks: Vec<Check>,
}

/// Two conditions on a row. NULL is false.
pub(super) struct Check {
    pub(super) about: About,
    /// Which rows are looked at; `None` for all.
    pub(super) of: Option<String>,
    /// Which of those fail.
    pub(super) fails: String,
}

impl Scan {
    /// Counts, by one statement.
    pub(super) async fn run(self, look: Look<'_>, session: &Session) -> Result<Vec<Checked>> {
        if self.checks.is_empty() || self.needs.iter().any(|table| look.rows(table) == 0) {
            return Ok(self.checks.into_iter().map(|check| check.about.counted(0, 0)).collect());
        }
        let rows = rows(session, &self.statement()).await?;
        let count = |column: usize| rows.first().map_or(0, |batch| number(batch, column, 0));
        let counted = |(i, check): (usize, Check)| check.about.counted(count(2 * i), count(2 * i + 1));
        Ok(self.checks.into_iter().enumerate().map(counted).collect())
    }

    /// Two counts a check, in the order of the checks.
    pub(super) fn statement(&self) -> String {
        let counts = |(i, check): (usize, &Check)| match &check.of {
            Some(of) => format!(
                "count(*) FILTER (WHERE {of}) AS c{i}, count(*) FILTER (WHERE ({of}) AND ({})) AS f{i}",
                check.fails
            ),
            None => format!("count(*) AS c{i}, count(*) FILTER (WHERE {}) AS f{i}", check.fails),
        };
        let counts: Vec<String> = self.checks.iter().enumerate().map(counts).collect();
        format!("SELECT {} FROM {}", counts.join(",\n"), self.from)
    }
}

/// The rows of a statement.
pub(super) async fn rows(session: &Session, statement: &str) -> Result<Vec<RecordBatch>> {
    let rows = session.select(statement).await?.collect().await.map_err(fault)?;
    Ok(rows.into_iter().filter(|batch| batch.num_rows() > 0).collect())
}

/// A count; 0 where there is none.
pub(super) fn number(batch: &RecordBatch, column: usize, row: usize) -> u64 {
    let counts = batch.column(column).as_primitive_opt::<Int64Type>();
    counts.and_then(|counts| u64::try_from(counts.value(row)).ok()).unwrap_or_default()
}

/// A name as SQL quotes it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

/// A text as SQL quotes it.
pub(super) fn text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A table as SQL quotes it.
pub(super) fn relation(name: &TableName) -> String {
    format!("\"{}\".\"{}\"", name.schema, name.table)
}
