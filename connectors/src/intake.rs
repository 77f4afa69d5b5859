//! From a file of a source to columns of the model: opened, matched, read, and freed of rows without keys.

use std::sync::mpsc::{SyncSender, sync_channel};

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter;
use arrow::error::ArrowError;
use caim_ontology::Table;

use crate::mapping::Mapping;
use crate::rows::{Lines, Opened, RawBatch, Rows};
use crate::source::Member;
use crate::tally::{Fault, Tally};
use crate::values::{self, Rules};
use crate::{Code, Error, Progress, Result};

/// Batches that are read ahead while others are worked on.
const AHEAD: usize = 4;

/// A file about to be read as a table.
pub(crate) struct Intake<'m> {
    form: Form<'m>,
    rows: Box<dyn Rows>,
    total: Option<u64>,
}

/// How the rows of a file become rows of a table.
struct Form<'m> {
    table: &'m Table,
    file: String,
    mapping: Mapping,
    rules: &'m Rules,
    keys: Vec<&'m str>,
}

/// Rows that have all their keys.
pub(crate) struct Chunk {
    /// For every column of the table, its values; `None` where the source lacks the column.
    pub(crate) columns: Vec<Option<ArrayRef>>,
    /// Where the rows came from.
    pub(crate) lines: Lines,
}

/// What a connector wants of a table.
pub(crate) struct Wanted<'m> {
    /// The table of the model.
    pub(crate) table: &'m Table,
    /// How values are read.
    pub(crate) rules: &'m Rules,
    /// Columns that must be there.
    pub(crate) required: Vec<&'m str>,
    /// Columns without whose value a row is rejected.
    pub(crate) keys: Vec<&'m str>,
}

impl<'m> Intake<'m> {
    /// Opens a file and matches its columns; names those that are left out.
    ///
    /// # Errors
    /// When the file is damaged or a required column is not there.
    pub(crate) fn open(
        member: &Member,
        wanted: Wanted<'m>,
        fixed: impl Fn(&[String], &str) -> Option<Option<usize>>,
        tally: &mut Tally,
    ) -> Result<Self> {
        let opened = Opened::open(member)?;
        let mapping = Mapping::new(wanted.table, &opened.header, |column| fixed(&opened.header, column));
        mapping.require(wanted.table, &wanted.required, &member.name)?;
        mapping.left_out.iter().for_each(|column| tally.left_out(column));
        let positions: Vec<usize> = mapping.positions.iter().flatten().copied().collect();
        let total = opened.total;
        let rows = opened.select(&positions)?;
        let Wanted { table, rules, keys, .. } = wanted;
        Ok(Self { form: Form { table, file: member.name.clone(), mapping, rules, keys }, rows, total })
    }

    /// Whether the source fills a column of the table.
    pub(crate) fn has(&self, column: &str) -> bool {
        let columns = self.form.table.columns.iter().zip(&self.form.mapping.positions);
        columns.into_iter().any(|(found, position)| found.stored == column && position.is_some())
    }

    /// Hands all rows, or the first `limit` of the table, to `take`. Reading runs ahead on its own thread.
    ///
    /// # Errors
    /// When the file turns out to be damaged, or `take` fails.
    pub(crate) fn each(
        self,
        limit: &mut u64,
        tally: &mut Tally,
        progress: &dyn Progress,
        mut take: impl FnMut(Chunk, &mut Tally) -> Result<()>,
    ) -> Result<()> {
        let Self { form, rows, total } = self;
        progress.started(&format!("{} from {}", form.table.name, tally.told(&form.file)), total);
        let done = std::thread::scope(|scope| {
            let (sender, receiver) = sync_channel(AHEAD);
            scope.spawn(move || send_all(rows, &sender));
            for batch in receiver {
                let batch = batch?.truncated(usize::try_from(*limit).unwrap_or(usize::MAX));
                let read = (batch.lines.len() + batch.faults.len()) as u64;
                *limit -= batch.lines.len() as u64;
                take(form.convert(batch, tally)?, tally)?;
                progress.advanced(read);
                if *limit == 0 {
                    break;
                }
            }
            Ok(())
        });
        progress.finished();
        done
    }
}

/// Reads until the end or a failure, or until the receiver hangs up because it has enough.
fn send_all(mut rows: Box<dyn Rows>, sender: &SyncSender<Result<RawBatch>>) {
    while let Some(batch) = rows.next_batch().transpose() {
        let failed = batch.is_err();
        if sender.send(batch).is_err() || failed {
            break;
        }
    }
}

impl Form<'_> {
    fn convert(&self, batch: RawBatch, tally: &mut Tally) -> Result<Chunk> {
        tally.read((batch.lines.len() + batch.faults.len()) as u64);
        batch.faults.into_iter().for_each(|fault| tally.reject(&self.file, fault));
        tally.warn(Code::SurplusFields, None, batch.surplus.len() as u64, &batch.surplus);
        let mut raw = batch.columns.iter();
        let mut columns = Vec::with_capacity(self.table.columns.len());
        for (column, position) in self.table.columns.iter().zip(&self.mapping.positions) {
            let Some(raw) = position.and_then(|_| raw.next()) else {
                columns.push(None);
                continue;
            };
            let read = values::read(column, raw, self.rules).map_err(|e| self.unfit(&column.name, &e))?;
            tally.warn(Code::Encoding, Some(&column.name), read.latin1, &[]);
            if read.unreadable > 0 && !self.keys.contains(&column.stored.as_str()) {
                let lines = newly_null(raw, &read.array).map(|row| batch.lines.line(row)).take(3);
                tally.warn(
                    Code::UnreadableValue,
                    Some(&column.name),
                    read.unreadable,
                    &lines.collect::<Vec<_>>(),
                );
            }
            columns.push(Some(read.array));
        }
        self.reject_without_keys(Chunk { columns, lines: batch.lines }, tally)
    }

    fn reject_without_keys(&self, chunk: Chunk, tally: &mut Tally) -> Result<Chunk> {
        let mut keep: Option<BooleanBuffer> = None;
        for (column, array) in self.table.columns.iter().zip(&chunk.columns) {
            let Some(array) = array.as_ref().filter(|_| self.keys.contains(&column.stored.as_str())) else {
                continue;
            };
            let Some(nulls) = array.logical_nulls().filter(|nulls| nulls.null_count() > 0) else { continue };
            for row in (0..array.len()).filter(|row| nulls.is_null(*row)) {
                if keep.as_ref().is_none_or(|keep| keep.value(row)) {
                    let reason = format!("{} is empty or cannot be read", column.name);
                    let fault = Fault { line: chunk.lines.line(row), code: Code::BadKey, reason };
                    tally.reject(&self.file, fault);
                }
            }
            keep = Some(keep.map_or_else(|| nulls.inner().clone(), |keep| &keep & nulls.inner()));
        }
        match keep {
            None => Ok(chunk),
            Some(keep) => chunk.filtered(&BooleanArray::new(keep, None)).map_err(|e| self.unfit("a key", &e)),
        }
    }

    fn unfit(&self, column: &str, source: &ArrowError) -> Error {
        Error::new(Code::DamagedParquet, &self.file, format!("column {column} cannot be read: {source}"))
            .with_fix("write the column with one plain value a row")
    }
}

impl Chunk {
    /// The rows that `mask` keeps.
    pub(crate) fn filtered(&self, mask: &BooleanArray) -> std::result::Result<Self, ArrowError> {
        let kept = |array: &Option<ArrayRef>| array.as_ref().map(|array| filter(array, mask)).transpose();
        let columns = self.columns.iter().map(kept).collect::<std::result::Result<_, _>>()?;
        Ok(Self { columns, lines: self.lines.filter(mask) })
    }

    /// The values of a column of `table`, if the source has it.
    pub(crate) fn column(&self, table: &Table, name: &str) -> Option<&ArrayRef> {
        let position = table.columns.iter().position(|column| column.stored == name)?;
        self.columns.get(position)?.as_ref()
    }

    /// Sets a column of `table`, if the table has it.
    pub(crate) fn set(&mut self, table: &Table, name: &str, values: ArrayRef) {
        let position = table.columns.iter().position(|column| column.stored == name);
        if let Some(column) = position.and_then(|position| self.columns.get_mut(position)) {
            *column = Some(values);
        }
    }
}

/// Rows that had a value before and have none now. An empty text is no value that was lost.
fn newly_null<'a>(before: &'a ArrayRef, after: &'a ArrayRef) -> impl Iterator<Item = usize> + 'a {
    let nulls = before.logical_nulls();
    (0..after.len()).filter(move |row| after.is_null(*row) && nulls.as_ref().is_none_or(|n| n.is_valid(*row)))
}

/// The array of a column that must be there.
pub(crate) fn required<'c>(chunk: &'c Chunk, table: &Table, name: &str) -> Result<&'c ArrayRef> {
    chunk.column(table, name).ok_or_else(|| {
        Error::new(Code::Model, &table.name, format!("the data model has no column {name} here"))
    })
}
