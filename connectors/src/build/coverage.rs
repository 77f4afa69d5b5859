//! How much of what sources say has a concept: counted for every coded column while its rows go by.

use arrow::array::{Array, RecordBatch};
use caim_ontology::Table;

use crate::report::Coverage;

/// The end of the name of the column that keeps what the source said.
const ORIGINAL: &str = "_original";

/// Counts of one table.
pub(super) struct Counter {
    pairs: Vec<Pair>,
}

/// A coded column and its twin, by their names and places among the stored columns.
struct Pair {
    column: String,
    code: usize,
    original: usize,
    mapped: u64,
    unmapped: u64,
}

impl Counter {
    /// For the coded columns of a table: those that have a twin.
    pub(super) fn of(table: &Table) -> Self {
        let names: Vec<&str> = table.stored_columns().map(|column| column.stored.as_str()).collect();
        let place = |name: &str| names.iter().position(|found| *found == name);
        let pairs = names.iter().filter_map(|name| {
            let column = name.strip_suffix(ORIGINAL)?;
            Some(Pair {
                column: column.to_owned(),
                code: place(column)?,
                original: place(name)?,
                mapped: 0,
                unmapped: 0,
            })
        });
        Self { pairs: pairs.collect() }
    }

    /// Takes rows whose columns are the stored ones, in order.
    pub(super) fn count(&mut self, batch: &RecordBatch) {
        for pair in &mut self.pairs {
            let (code, original) = (batch.column(pair.code), batch.column(pair.original));
            let said = (0..batch.num_rows()).filter(|row| original.is_valid(*row));
            let (mapped, unmapped): (Vec<usize>, Vec<usize>) = said.partition(|row| code.is_valid(*row));
            pair.mapped += mapped.len() as u64;
            pair.unmapped += unmapped.len() as u64;
        }
    }

    /// The counts, column by column.
    pub(super) fn coverage(self, table: &str) -> impl Iterator<Item = Coverage> {
        let table = table.to_owned();
        self.pairs.into_iter().map(move |Pair { column, mapped, unmapped, .. }| Coverage {
            table: table.clone(),
            column,
            mapped,
            unmapped,
        })
    }
}
