//! All tables of a database at one moment: one exported snapshot, a few connections that share it, parts by key.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use caim_ontology::Models;
use caim_warehouse::BatchId;
use postgres::{Client, IsolationLevel, Transaction};

use super::address::{Address, cause};
use super::columns::{Found, find, quote};
use super::spool::{Content, Spooled, write};
use crate::since::{Exported, Keys};
use crate::source::Source;
use crate::{Code, Error, Progress, Result};

/// Connections that fetch, at most.
const CONNECTIONS: usize = 4;
/// Rows of a part, by and large.
const PART_ROWS: u64 = 25_000;
/// Parts of a table, at most.
const PARTS: u64 = 256;

/// A range of a table's key.
struct Part<'t> {
    table: &'t Found,
    number: usize,
    condition: String,
}

/// Fetches every table that the model knows, or the first `sample` rows of each; where earlier batches told greatest
/// keys, only the rows above them.
pub(super) fn all(
    address: &Address,
    models: &Models,
    sample: Option<u64>,
    earlier: Option<(BatchId, Keys)>,
    progress: &dyn Progress,
) -> Result<Source> {
    let mut client = address.connect()?;
    let mut snapshot = begin(&mut client, address)?;
    let name: String =
        snapshot.query_one("SELECT pg_export_snapshot()", &[]).map_err(|e| address.fault(cause(&e)))?.get(0);
    let tables = find(&mut snapshot, address, models)?;
    let (mut parts, mut keys, mut whole) = (Vec::new(), Keys::new(), Vec::new());
    for table in &tables {
        let greatest = greatest(&mut snapshot, address, table)?;
        keys.extend(greatest.map(|key| (table.table.clone(), key)));
        let above = earlier.as_ref().and_then(|(_, keys)| keys.get(&table.table)).filter(|_| table.has_marks);
        match (sample, above, &table.key) {
            (Some(rows), ..) => {
                parts.push(Part { table, number: 0, condition: format!("true LIMIT {rows}") })
            }
            (None, Some(above), Some(key)) => {
                parts.push(Part { table, number: 0, condition: format!("{} > {above}", quote(key)) });
            }
            (None, ..) => {
                whole.push(table.table.clone());
                parts.extend(split(&mut snapshot, address, table)?);
            }
        }
    }
    progress.started(&address.name, Some(tables.iter().map(|table| table.rows).sum()));
    let fetched =
        Fetch { address, snapshot: &name, parts: &parts, next: AtomicUsize::new(0), progress }.run();
    progress.finished();
    let mut source = source(address, &tables, &parts, fetched?)?;
    let since = earlier.map(|(batch, _)| format!("batch {batch}"));
    let moment = Some(serde_json::json!(keys).to_string());
    source.exported = Some(Exported { since, moment, whole, ..Exported::default() });
    Ok(source)
}

/// The greatest key of a table whose rows are told by their key.
fn greatest(from: &mut Transaction<'_>, address: &Address, table: &Found) -> Result<Option<i64>> {
    let Some(key) = table.key.as_ref().filter(|_| table.has_marks) else { return Ok(None) };
    let select = format!("SELECT max({})::int8 FROM {}", quote(key), qualified(address, table));
    let row = from.query_one(&select, &[]).map_err(|e| unreadable(table, &cause(&e)))?;
    Ok(row.get(0))
}

/// A transaction that can only read, and sees one moment.
fn begin<'c>(client: &'c mut Client, address: &Address) -> Result<Transaction<'c>> {
    let transaction =
        client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
    transaction.start().map_err(|e| address.fault(cause(&e)))
}

/// The parts of a table: ranges of its key, the first with the rows that have none.
fn split<'t>(from: &mut Transaction<'_>, address: &Address, table: &'t Found) -> Result<Vec<Part<'t>>> {
    let wanted = (table.rows / PART_ROWS + 1).min(PARTS);
    let whole = || vec![Part { table, number: 0, condition: "true".to_owned() }];
    let Some(key) = table.key.as_ref().filter(|_| wanted > 1).map(|key| quote(key)) else {
        return Ok(whole());
    };
    let bounds = format!("SELECT min({key})::int8, max({key})::int8 FROM {}", qualified(address, table));
    let row = from.query_one(&bounds, &[]).map_err(|e| unreadable(table, &cause(&e)))?;
    let (Some(low), Some(high)) = (row.get::<_, Option<i64>>(0), row.get::<_, Option<i64>>(1)) else {
        return Ok(whole());
    };
    let cut = |number: u64| {
        let width = i128::from(high) - i128::from(low) + 1;
        i128::from(low) + width * i128::from(number) / i128::from(wanted)
    };
    let condition = |number: u64| match number {
        0 => format!("({key} < {} OR {key} IS NULL)", cut(1)),
        last if last == wanted - 1 => format!("{key} >= {}", cut(last)),
        _ => format!("{key} >= {} AND {key} < {}", cut(number), cut(number + 1)),
    };
    let parts = (0..wanted).zip(0..);
    Ok(parts.map(|(range, number)| Part { table, number, condition: condition(range) }).collect())
}

fn qualified(address: &Address, table: &Found) -> String {
    format!("{}.{}", quote(&address.schema), quote(&table.name))
}

fn unreadable(table: &Found, reason: &str) -> Error {
    Error::new(Code::Database, &table.name, reason)
        .with_fix("let the user read it (GRANT SELECT ON ALL TABLES IN SCHEMA ... TO ...); `psql` as this user shows more")
}

/// The work that connections share.
struct Fetch<'f> {
    address: &'f Address,
    snapshot: &'f str,
    parts: &'f [Part<'f>],
    next: AtomicUsize,
    progress: &'f dyn Progress,
}

impl Fetch<'_> {
    /// All parts, in their order.
    fn run(&self) -> Result<Vec<Spooled>> {
        let connections = thread::available_parallelism().map_or(1, usize::from).clamp(1, CONNECTIONS);
        let done = thread::scope(|scope| {
            let workers: Vec<_> =
                (0..connections.min(self.parts.len())).map(|_| scope.spawn(|| self.work())).collect();
            let failed = || Err(self.address.fault("its reader ended early"));
            workers
                .into_iter()
                .map(|worker| worker.join().unwrap_or_else(|_| failed()))
                .collect::<Result<Vec<_>>>()
        })?;
        let mut parts: Vec<(usize, Spooled)> = done.into_iter().flatten().collect();
        parts.sort_by_key(|(number, _)| *number);
        Ok(parts.into_iter().map(|(_, spooled)| spooled).collect())
    }

    /// Takes parts until there is none left. After a failure the others take no more.
    fn work(&self) -> Result<Vec<(usize, Spooled)>> {
        let mut done = Vec::new();
        let mut client = self.address.connect().inspect_err(|_| self.stop())?;
        let mut transaction = begin(&mut client, self.address)?;
        let share = format!("SET TRANSACTION SNAPSHOT '{}'", self.snapshot.replace('\'', ""));
        transaction
            .batch_execute(&share)
            .map_err(|e| self.address.fault(cause(&e)))
            .inspect_err(|_| self.stop())?;
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(part) = self.parts.get(number) else { return Ok(done) };
            let spooled = self.part(&mut transaction, part).inspect_err(|_| self.stop())?;
            done.push((number, spooled));
        }
    }

    fn stop(&self) {
        self.next.store(self.parts.len(), Ordering::Relaxed);
    }

    fn part(&self, from: &mut Transaction<'_>, part: &Part<'_>) -> Result<Spooled> {
        let columns: Vec<&str> = part.table.columns.iter().map(|column| column.select.as_str()).collect();
        let (columns, table) = (columns.join(", "), qualified(self.address, part.table));
        let copy = format!(
            "COPY (SELECT {columns} FROM {table} WHERE {}) TO STDOUT (FORMAT binary)",
            part.condition
        );
        let reader = from.copy_out(&copy).map_err(|e| unreadable(part.table, &cause(&e)))?;
        write(reader, part.table, |rows| self.progress.advanced(rows))
            .map_err(|e| unreadable(part.table, &told(&e)))
    }
}

/// What went wrong while rows came.
fn told(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<postgres::Error>());
    inner.map_or_else(|| error.to_string(), cause)
}

/// The parts as members of a source, and the content of each table.
fn source(address: &Address, tables: &[Found], parts: &[Part<'_>], fetched: Vec<Spooled>) -> Result<Source> {
    let mut members = Vec::new();
    let mut contents: Vec<Content> = tables.iter().map(|_| Content::default()).collect();
    for (part, spooled) in parts.iter().zip(fetched) {
        let place = tables.iter().position(|table| std::ptr::eq(table, part.table));
        if let Some(content) = place.and_then(|place| contents.get_mut(place)) {
            content.add(spooled.content);
        }
        tracing::debug!(table = part.table.name, part = part.number, rows = spooled.rows, "fetched");
        members.push((format!("{}/part-{}", part.table.name, part.number), spooled.file));
    }
    let content = tables.iter().zip(contents).map(|(table, content)| {
        let columns: Vec<(&str, String)> =
            table.columns.iter().map(|c| (c.name.as_str(), format!("{:?}", c.form))).collect();
        (table.name.clone(), [serde_json::json!(columns).to_string().into_bytes(), content.bytes()].concat())
    });
    Ok(Source::fetched(&address.name, members, content.collect()))
}
