//! PostgreSQL's own catalogue, for tools that look around before they ask: names, types, comments and keys, as the hub
//! lists them to anybody. No patient and no released value is in it.
//!
//! Tools ask it in PostgreSQL's full dialect, with its functions, operators and casts. [`dialect`] puts that into
//! plain SQL, and an SQLite database in memory answers: it takes nearly any query, and these tables are small. It
//! is filled anew when the hub lists other tables.

mod contents;
mod dialect;
mod functions;
mod series;
mod shape;
mod tables;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use caim_engine::hub::Hub;
use datafusion::common::ScalarValue;
use futures::stream;
use pgwire::api::Type;
use pgwire::api::portal::Format;
use pgwire::api::results::{FieldFormat, FieldInfo, QueryResponse};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::data::DataRow;
use prost::bytes::{BufMut, BytesMut};
use rusqlite::types::{Value, ValueRef};

use super::errors::error;
use super::rows;
use contents::Contents;

/// Longest time and most rows of one answer.
const PATIENCE: Duration = Duration::from_secs(5);
const MAX_ROWS: usize = 200_000;

/// The catalogue, filled from what the hub lists.
pub(super) struct Catalogue {
    hub: Arc<Hub>,
    contents: tokio::sync::Mutex<Option<Arc<Contents>>>,
    filled: Arc<Mutex<Option<Filled>>>,
}

struct Filled {
    contents: Arc<Contents>,
    database: rusqlite::Connection,
}

/// A query of the catalogue that was understood.
pub(super) struct Query {
    /// In the dialect of SQLite.
    sql: String,
    columns: Vec<(String, Type)>,
    pub(super) parameters: usize,
}

impl Query {
    /// The columns as they are announced.
    pub(super) fn fields(&self, format: &Format) -> Vec<FieldInfo> {
        let columns = self.columns.iter().enumerate();
        columns.map(|(i, (name, ty))| rows::field(name, ty.clone(), rows::format_for(format, i))).collect()
    }
}

impl Catalogue {
    pub(super) fn new(hub: Arc<Hub>) -> Self {
        Self { hub, contents: tokio::sync::Mutex::default(), filled: Arc::default() }
    }

    /// Understands a statement, if it is one about the catalogue.
    pub(super) async fn read(&self, sql: &str, user: &str) -> PgWireResult<Option<Query>> {
        let Some(mut statement) = dialect::read(sql) else { return Ok(None) };
        let (shape, parameters) = (shape::of(&statement), dialect::parameters(&statement));
        dialect::rewrite(&mut statement, user).map_err(|why| unanswered(&why))?;
        let sql = statement.to_string();
        self.with(move |database| {
            let statement = database.prepare(&sql).map_err(|why| unanswered(&why.to_string()))?;
            let columns = statement.columns();
            let columns = columns.iter().enumerate();
            let columns =
                columns.map(|(i, c)| (c.name().to_owned(), shape.column(i, c.decl_type()))).collect();
            drop(statement);
            Ok(Some(Query { sql, columns, parameters }))
        })
        .await
    }

    /// Answers a query.
    pub(super) async fn run(
        &self,
        query: &Query,
        values: Vec<ScalarValue>,
        format: &Format,
    ) -> PgWireResult<QueryResponse> {
        let fields = Arc::new(query.fields(format));
        let (sql, columns) = (query.sql.clone(), Arc::clone(&fields));
        let found = self.with(move |database| answer(database, &sql, values, &columns)).await?;
        Ok(QueryResponse::new(fields, stream::iter(found.into_iter().map(Ok))))
    }

    /// What the hub lists now.
    async fn contents(&self) -> PgWireResult<Arc<Contents>> {
        let mut kept = self.contents.lock().await;
        self.hub.refresh().await;
        let tables = contents::tables(&self.hub);
        let contents = match kept.take().filter(|kept| kept.tables == tables) {
            Some(current) => current,
            None => Arc::new(Contents::of(&self.hub, tables).await?),
        };
        Ok(Arc::clone(kept.insert(contents)))
    }

    /// Works with the database on a thread of its own, and not for ever.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Connection) -> PgWireResult<T> + Send + 'static,
    ) -> PgWireResult<T> {
        let contents = self.contents().await?;
        let filled = Arc::clone(&self.filled);
        let (handle, mut handed) = tokio::sync::oneshot::channel();
        let mut working = tokio::task::spawn_blocking(move || {
            let mut filled = filled.lock().unwrap_or_else(PoisonError::into_inner);
            let filled = refilled(&mut filled, contents).map_err(|why| {
                tracing::error!(%why, "the catalogue of the PostgreSQL door cannot be filled");
                error("XX000", "the catalogue cannot be filled")
            })?;
            // Whoever gave up waiting wants no interruption any more.
            let _ = handle.send(filled.database.get_interrupt_handle());
            work(&filled.database)
        });
        let ended = match tokio::time::timeout(PATIENCE, &mut working).await {
            Ok(ended) => ended,
            Err(_) => {
                if let Ok(handle) = handed.try_recv() {
                    handle.interrupt();
                }
                working.await
            }
        };
        ended.unwrap_or_else(|_| Err(error("XX000", "the catalogue failed")))
    }
}

/// The database for these contents, filled anew if they have changed.
fn refilled(filled: &mut Option<Filled>, contents: Arc<Contents>) -> rusqlite::Result<&Filled> {
    let current = filled.take().filter(|filled| Arc::ptr_eq(&filled.contents, &contents));
    let current = match current {
        Some(current) => current,
        None => {
            let database = rusqlite::Connection::open_in_memory()?;
            functions::add(&database, &contents)?;
            tables::fill(&database, &contents)?;
            Filled { contents, database }
        }
    };
    Ok(filled.insert(current))
}

fn answer(
    database: &rusqlite::Connection,
    sql: &str,
    values: Vec<ScalarValue>,
    fields: &[FieldInfo],
) -> PgWireResult<Vec<DataRow>> {
    let failed = |why: rusqlite::Error| unanswered(&why.to_string());
    let mut statement = database.prepare(sql).map_err(failed)?;
    // What does not matter to the answer is left out of the query, and may have been the last parameter.
    let values: Vec<Value> = values.into_iter().map(value).take(statement.parameter_count()).collect();
    let mut found = statement.query(rusqlite::params_from_iter(values)).map_err(failed)?;
    let mut rows = Vec::new();
    while let Some(row) = found.next().map_err(failed)? {
        if rows.len() == MAX_ROWS {
            return Err(error("54000", "the answer has too many rows"));
        }
        let mut bytes = BytesMut::new();
        for (i, field) in fields.iter().enumerate() {
            put(&mut bytes, row.get_ref(i).map_err(failed)?, field)?;
        }
        rows.push(DataRow::new(bytes, fields.len() as i16));
    }
    Ok(rows)
}

fn value(value: ScalarValue) -> Value {
    match value {
        ScalarValue::Int64(Some(n)) => Value::Integer(n),
        ScalarValue::Float64(Some(x)) => Value::Real(x),
        ScalarValue::Boolean(Some(b)) => Value::Integer(b.into()),
        other if other.is_null() => Value::Null,
        other => Value::Text(other.to_string()),
    }
}

/// Writes a value in the type and format that were announced.
fn put(bytes: &mut BytesMut, value: ValueRef<'_>, field: &FieldInfo) -> PgWireResult<()> {
    let text = match value {
        ValueRef::Null => {
            bytes.put_i32(-1);
            return Ok(());
        }
        ValueRef::Integer(n) if *field.datatype() == Type::BOOL => if n == 0 { "f" } else { "t" }.to_owned(),
        ValueRef::Integer(n) => n.to_string(),
        ValueRef::Real(x) => x.to_string(),
        ValueRef::Text(text) | ValueRef::Blob(text) => String::from_utf8_lossy(text).into_owned(),
    };
    rows::put(bytes, |out| {
        if field.format() == FieldFormat::Text {
            out.put_slice(text.as_bytes());
            return Ok(());
        }
        let number = || text.parse::<i64>().map_err(|_| unanswered("a number was expected"));
        match *field.datatype() {
            Type::BOOL => out.put_u8((text == "t" || text == "true").into()),
            Type::INT2 => out.put_i16(number()? as i16),
            Type::INT4 => out.put_i32(number()? as i32),
            Type::OID => out.put_u32(number()? as u32),
            Type::INT8 => out.put_i64(number()?),
            Type::FLOAT4 => out.put_f32(text.parse().unwrap_or(f32::NAN)),
            Type::FLOAT8 => out.put_f64(text.parse().unwrap_or(f64::NAN)),
            _ => out.put_slice(text.as_bytes()),
        }
        Ok(())
    })
}

/// A question about the catalogue that goes beyond it.
fn unanswered(why: &str) -> PgWireError {
    let why: String = why.chars().take(200).collect();
    error("0A000", &format!("this question about the catalogue of PostgreSQL is not answered: {why}"))
}

#[cfg(test)]
mod tests;
