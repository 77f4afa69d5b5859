//! `caim batches`: what a node has taken in, one line a batch.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use caim_connectors::report::Rejected;
use caim_warehouse::{Batch, Warehouse};
use chrono::DateTime;

use super::Outcome;
use crate::exit::Exit;
use crate::output::{Alignment, Table, grouped};

/// Flags of `caim batches`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of the node
    pub dir: PathBuf,
    /// Show what the DICOM objects of this batch had that is not stored: attributes and how often
    #[arg(long, value_name = "BATCH")]
    pub removed: Option<u64>,
    /// Show what this batch rejected: how many rows by which rule, and the first ones with path, line and reason
    #[arg(long, value_name = "BATCH", conflicts_with = "removed")]
    pub rejects: Option<u64>,
}

/// Runs the command.
///
/// # Errors
/// When the folder is no node, or its newest manifest is damaged.
pub fn run(args: Args) -> Outcome {
    let warehouse = Warehouse::open(&args.dir)?;
    if let Some(batch) = args.removed {
        return show_removed(&warehouse, batch);
    }
    if let Some(batch) = args.rejects {
        return show_rejects(&warehouse, batch);
    }
    let epoch = warehouse.current()?;
    let columns =
        [("batch", Alignment::Right), ("taken in (UTC)", Alignment::Left), ("format", Alignment::Left)];
    let rows = [("collection", Alignment::Left), ("rows", Alignment::Right), ("rejected", Alignment::Right)];
    let mut table = Table::new(&[&columns[..], &rows[..], &[("source", Alignment::Left)]].concat());
    for batch in epoch.batches() {
        let rejected = caim_connectors::rejected(&warehouse, batch.id.0)?;
        table.row(line(batch, rejected.iter().map(|rejected| rejected.rows).sum()));
    }
    let mut out = std::io::stdout().lock();
    write!(out, "{table}")?;
    writeln!(out, "epoch {}, {} patients", epoch.number(), epoch.patients())?;
    Ok(Exit::Ok)
}

/// What a batch rejected: counts of all rows, then the first of each table.
fn show_rejects(warehouse: &Warehouse, batch: u64) -> Outcome {
    let left = |name| (name, Alignment::Left);
    let mut counts =
        Table::new(&[left("table"), left("stage"), left("code"), ("rows", Alignment::Right), left("rule")]);
    for Rejected { table, code, rows } in caim_connectors::rejected(warehouse, batch)? {
        let [stage, id, rule] = [code.stage().name(), code.id(), code.rule()].map(str::to_owned);
        counts.row([table, stage, id, grouped(&rows.to_string()), rule]);
    }
    let mut rows =
        Table::new(&[left("path"), ("line", Alignment::Right), left("code"), left("reason"), left("fix")]);
    for reject in caim_connectors::rejects(warehouse, batch)? {
        let line = if reject.line > 0 { reject.line.to_string() } else { String::new() };
        let cells = [reject.file, line, reject.code.id().to_owned(), reject.reason, reject.fix];
        // The name of a file cannot forge a line.
        rows.row(cells.map(|cell| cell.replace(char::is_control, "\u{fffd}")));
    }
    write!(std::io::stdout().lock(), "{counts}\n{rows}")?;
    Ok(Exit::Ok)
}

fn show_removed(warehouse: &Warehouse, batch: u64) -> Outcome {
    let mut table = Table::new(&[("attribute", Alignment::Left), ("times", Alignment::Right)]);
    for removed in caim_connectors::removed(warehouse, batch)? {
        table.row([removed.attribute, grouped(&removed.count.to_string())]);
    }
    write!(std::io::stdout().lock(), "{table}")?;
    Ok(Exit::Ok)
}

fn line(batch: &Batch, rejected: u64) -> [String; 7] {
    let landed = batch.rows.iter().filter(|(table, _)| !caim_connectors::is_derived(table));
    let rows: u64 = landed.map(|(_, rows)| rows).sum();
    let at = i64::try_from(batch.at).ok().and_then(|at| DateTime::from_timestamp(at, 0));
    [
        batch.id.to_string(),
        at.map(|at| at.format("%Y-%m-%d %H:%M:%S").to_string()).unwrap_or_default(),
        batch.format.clone(),
        collections(&batch.collections),
        grouped(&rows.to_string()),
        grouped(&rejected.to_string()),
        path(&batch.source),
    ]
}

/// The collection, or how many.
fn collections(ids: &BTreeSet<String>) -> String {
    match ids.first() {
        Some(only) if ids.len() == 1 => only.clone(),
        _ => format!("{} collections", ids.len()),
    }
}

/// The path in a source's identity, which holds more: connector and collection. Changes are told by their moment.
fn path(identity: &str) -> String {
    let parts: Option<Vec<serde_json::Value>> = serde_json::from_str(identity).ok();
    let part = |number: usize| parts.as_ref().and_then(|parts| parts.get(number));
    let path = part(0).and_then(serde_json::Value::as_str).unwrap_or(identity);
    match part(3).and_then(|more| more.get("since")?.as_str()) {
        Some(since) => format!("{path} since {since}"),
        None => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn a_source_is_shown_by_its_path() {
        assert_eq!(
            path(r#"["/data/series.csv","dicom-table",["column","collection_id"]]"#),
            "/data/series.csv"
        );
        let changes = r#"["https://h/$export","fhir",["id","c"],{"since":"2026-01-01T00:00:00Z"}]"#;
        assert_eq!(path(changes), "https://h/$export since 2026-01-01T00:00:00Z");
        assert_eq!(path("an export"), "an export");
    }
}
