//! From the rows of a query to a stored table: columns by name, keys from the row that decides, counts on the way.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, UInt64Type};
use caim_ontology::{Table, TableKind};
use caim_warehouse::{Commit, TableName, layout};
use datafusion::dataframe::DataFrame;
use datafusion::logical_expr::{Expr, cast, lit};
use datafusion::prelude::ident;
use datafusion::scalar::ScalarValue;
use futures::StreamExt;

use super::coverage::Counter;
use super::session::fault;
use super::{Builder, Session};
use crate::forget::Forgotten;
use crate::landing::{Landing, stored_schema};
use crate::report::{BuildReport, TableReport};
use crate::target::Writer;
use crate::values::stored_type;
use crate::{Code, Error, Result};

/// Runs a query and stores its rows as a derived table, in place of the table's old ones; then it can be read.
pub(super) async fn store(
    builder: Builder<'_>,
    session: &mut Session,
    commit: &mut Commit,
    name: &TableName,
    query: DataFrame,
    report: &mut BuildReport,
) -> Result<()> {
    let table = builder.table(&name.schema, &name.table)?;
    builder.progress.started(&name.to_string(), None);
    let query = shaped(table, query)?;
    commit.replace(name);
    let landing = Landing::new(&name.schema, table, builder.secret);
    let writer = commit.writer(name.clone(), Arc::clone(&landing.schema))?;
    let mut making = Making {
        landing,
        writer: Writer::Table(writer, Forgotten::default()),
        counter: Counter::of(table),
        rows: 0,
    };
    let mut batches = query.execute_stream().await.map_err(fault)?;
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(fault)?;
        making.take(&batch)?;
        builder.progress.advanced(batch.num_rows() as u64);
    }
    making.finish(name, report)?;
    builder.progress.finished();
    session.register(name, stored_schema(table), commit)
}

/// Leaves a derived table without rows.
pub(super) fn store_nothing(
    builder: Builder<'_>,
    session: &mut Session,
    commit: &mut Commit,
    name: &TableName,
    report: &mut BuildReport,
) -> Result<()> {
    let table = builder.table(&name.schema, &name.table)?;
    commit.replace(name);
    report.tables.push(TableReport::new(&name.to_string()));
    session.register(name, stored_schema(table), commit)
}

/// The stored columns of a table in the order of its model, then the physical ones. A column that the query lacks is
/// NULL; one that the table lacks is a fault of the mapping.
pub(super) fn shaped(table: &Table, query: DataFrame) -> Result<DataFrame> {
    let physical: &[&str] = match table.kind {
        TableKind::Patient => &[layout::PATIENT, layout::ROW],
        TableKind::Public | TableKind::Hidden => &[],
    };
    let names: Vec<String> = query.schema().fields().iter().map(|field| field.name().clone()).collect();
    let known = |name: &String| table.column(name).is_some() || physical.contains(&name.as_str());
    if let Some(stranger) = names.iter().find(|name| !known(name)) {
        let reason = format!("its mapping makes a column {stranger}, which the model does not have");
        return Err(Error::new(Code::Build, &table.name, reason));
    }
    let mut columns: Vec<Expr> = table
        .stored_columns()
        .map(|column| {
            let ty = stored_type(column.ty);
            let value =
                if names.contains(&column.stored) { ident(&column.stored) } else { lit(ScalarValue::Null) };
            cast(value, ty).alias(&column.stored)
        })
        .collect();
    if !physical.is_empty() {
        columns.push(cast(ident(layout::PATIENT), DataType::UInt32).alias(layout::PATIENT));
        columns.push(cast(ident(layout::ROW), DataType::UInt64).alias(layout::ROW));
    }
    query.select(columns).map_err(fault)
}

/// A table that is being made.
struct Making<'m> {
    landing: Landing<'m>,
    writer: Writer,
    counter: Counter,
    rows: u64,
}

impl Making<'_> {
    fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        self.counter.count(batch);
        if self.landing.table.kind == TableKind::Patient {
            let keyed = self.keyed(batch)?;
            self.writer.write(&keyed)
        } else {
            let rows = self.landing.batch(batch.columns().to_vec())?;
            self.writer.write(&rows)
        }
    }

    /// The pseudonym is not stored with rows, but the key of every landing row depends on it and on nothing of
    /// another patient: so does a key made from the deciding row's key and the derived row's own values.
    fn keyed(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let missing = || Error::new(Code::Build, &self.landing.name, "a mapping makes rows without a key");
        let (keys, columns) = batch.columns().split_last().ok_or_else(missing)?;
        let (patients, columns) = columns.split_last().ok_or_else(missing)?;
        let first = keys.as_primitive::<UInt64Type>();
        if first.null_count() > 0 {
            return Err(missing());
        }
        let first: ArrayRef =
            Arc::new(Int64Array::from_iter_values(first.values().iter().map(|k| k.cast_signed())));
        let hashed: Vec<ArrayRef> = std::iter::once(first).chain(columns.iter().map(Arc::clone)).collect();
        let keys = self.landing.keys(&vec![None; batch.num_rows()], &hashed);
        let mut stored = columns.to_vec();
        stored.extend([Arc::clone(patients), Arc::new(keys) as ArrayRef]);
        self.landing.batch(stored)
    }

    fn finish(self, name: &TableName, report: &mut BuildReport) -> Result<()> {
        self.writer.finish()?;
        let rows = self.rows;
        report.tables.push(TableReport { read: rows, kept: rows, ..TableReport::new(&name.to_string()) });
        report.coverage.extend(self.counter.coverage(&name.to_string()));
        Ok(())
    }
}
