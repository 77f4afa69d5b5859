//! The report of `caim quality` for a terminal: a summary, what failed, what has no concept.

use std::io::{Result, Write};

use caim_connectors::{Checked, Quality, Status};

use super::{count, gaps, limit_percent, one_line, percent};
use crate::output::{Alignment, Table, grouped};

/// Writes the report; every check and column with `all`.
pub(super) fn write(out: &mut dyn Write, quality: &Quality, all: bool) -> Result<()> {
    summary(out, quality)?;
    let listed: Vec<&Checked> =
        if all { quality.checks.iter().collect() } else { quality.ended(Status::Failed).collect() };
    if !listed.is_empty() {
        checks(out, &listed)?;
    }
    coverage(out, quality, all)?;
    let failed = count(quality, None, Status::Failed);
    let silent = count(quality, None, Status::Silent);
    writeln!(
        out,
        "\nepoch {}: {failed} of {} checks failed, {silent} had nothing to look at",
        quality.epoch,
        quality.checks.len()
    )
}

fn summary(out: &mut dyn Write, quality: &Quality) -> Result<()> {
    let right = ["failed", "passed", "nothing there"].map(|name| (name, Alignment::Right));
    let mut table = Table::new(&[&[("category", Alignment::Left)][..], &right].concat());
    for category in Quality::categories() {
        let counts = [Status::Failed, Status::Passed, Status::Silent];
        let [failed, passed, silent] =
            counts.map(|status| count(quality, Some(category), status).to_string());
        table.row([(*category).to_owned(), failed, passed, silent]);
    }
    write!(out, "{table}")
}

/// Two lines a check: how it ended, and what should hold.
fn checks(out: &mut dyn Write, checks: &[&Checked]) -> Result<()> {
    let mut category = "";
    for check in checks {
        if check.category != category {
            category = &check.category;
            writeln!(out, "\n{category}")?;
        }
        let status = match check.status() {
            Status::Failed => "FAILED",
            Status::Passed => "ok",
            Status::Silent => "-",
        };
        let [failed, checked] = [check.failed, check.checked].map(|n| grouped(&n.to_string()));
        let (share, limit) = (percent(check.failed, check.checked), limit_percent(check.limit));
        writeln!(out, "{status:<6}  {failed} of {checked}: {share} %, limit {limit} %  {}", check.name)?;
        writeln!(out, "        {}", check.says)?;
    }
    Ok(())
}

fn coverage(out: &mut dyn Write, quality: &Quality, all: bool) -> Result<()> {
    let gaps = gaps(quality);
    let whole = quality.coverage.iter().filter(|gap| all && gap.rows_mapped == gap.rows);
    let right = ["rows", "with a concept", "%"].map(|name| (name, Alignment::Right));
    let mut columns = Table::new(&[&[("coded column", Alignment::Left)][..], &right].concat());
    for gap in gaps.iter().copied().chain(whole) {
        let [rows, mapped] = [gap.rows, gap.rows_mapped].map(|n| grouped(&n.to_string()));
        let share = percent(gap.rows_mapped, gap.rows);
        columns.row([format!("{}.{}", gap.table, gap.column), rows, mapped, share]);
    }
    let right = ["rows", "patients"].map(|name| (name, Alignment::Right));
    let left = ["coded column", "value without a concept"].map(|name| (name, Alignment::Left));
    let mut values = Table::new(&[&left[..], &right].concat());
    for gap in &gaps {
        for value in &gap.unmapped {
            let [rows, patients] = [value.rows, value.patients].map(|n| grouped(&n.to_string()));
            values.row([format!("{}.{}", gap.table, gap.column), one_line(&value.value), rows, patients]);
        }
    }
    if all || !gaps.is_empty() {
        write!(out, "\n{columns}")?;
    }
    if gaps.iter().any(|gap| !gap.unmapped.is_empty()) {
        write!(out, "\n{values}")?;
        writeln!(out, "named are values that at least {} patients have", quality.threshold)?;
    }
    Ok(())
}
