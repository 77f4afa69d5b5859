//! How much of what sources say has a concept: counted for every coded column while its rows go by.

use arrow::array::{Array, RecordBatch};
use arrow::buffer::NullBuffer;
use caim_ontology::Table;

use crate::report::Coverage;

/// The end of the name of the column that keeps what the source said.
const ORIGINAL: &str = "_original";

/// The coded columns of a table, each with its twin: by their stored names.
pub(super) fn pairs(table: &Table) -> impl Iterator<Item = (&str, &str)> {
    table.stored_columns().filter_map(|original| {
        let column = original.stored.strip_suffix(ORIGINAL)?;
        table.column(column).map(|column| (column.stored.as_str(), original.stored.as_str()))
    })
}

/// The concept columns of an OMOP table, each with the column that keeps what the source said.
pub(super) fn omop_pairs(table: &Table) -> impl Iterator<Item = (&str, &str)> {
    table.stored_columns().filter_map(|column| {
        let original =
            table.column(&format!("{}_source_value", column.stored.strip_suffix("_concept_id")?))?;
        Some((column.stored.as_str(), original.stored.as_str()))
    })
}

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
        let place = |name: &str| table.stored_columns().position(|column| column.stored == name);
        let pairs = pairs(table).filter_map(|(column, original)| {
            Some(Pair {
                column: column.to_owned(),
                code: place(column)?,
                original: place(original)?,
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
            let (code, original) = (code.logical_nulls(), original.logical_nulls());
            let nulls = |nulls: Option<NullBuffer>| nulls.map_or(0, |nulls| nulls.null_count());
            let mapped = batch.num_rows() - nulls(NullBuffer::union(code.as_ref(), original.as_ref()));
            let said = batch.num_rows() - nulls(original);
            pair.mapped += mapped as u64;
            pair.unmapped += (said - mapped) as u64;
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
