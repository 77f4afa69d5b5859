//! From the rows of patients to sums of bounded contributions.
//!
//! The rows arrive patient by patient. Within a patient they are taken in the order of their row keys, which a keyed
//! hash of patient and row drew at ingest: which rows are kept never depends on anybody else. In each stream a patient
//! reaches at most `L` cells and adds at most `c` rows, the first row of each cell first. Nothing here is shown: sums
//! leave through the gate only.

mod columns;
mod patient;

use std::ops::Range;

use caim_sql::PrivateQuery;
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::Schema;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::HashMap;

use super::ExecuteError;
use crate::accounting::{Accounting, Vector};
use columns::{Encoding, Layout};
use patient::{Kept, Patient, Rows};

/// The label of a cell: its dims in Arrow's row format. Equal for equal values, in every epoch.
pub(crate) type Label = Box<[u8]>;

/// Sums over patients, cell by cell. Not to be shown: it has no `Debug`.
pub(crate) struct Sums {
    /// Labels of the cells; the position is the cell.
    pub(crate) labels: Vec<Label>,
    /// For each vector of the accounting, its sums cell by cell, as many a cell as it has slots.
    pub(crate) vectors: Vec<Vec<i64>>,
    converter: Option<RowConverter>,
}

impl Sums {
    /// The dims of some cells as columns.
    pub(crate) fn dims(&self, cells: &[usize]) -> Result<Vec<ArrayRef>, ExecuteError> {
        let Some(converter) = &self.converter else { return Ok(Vec::new()) };
        let parser = converter.parser();
        let labels = cells.iter().filter_map(|c| self.labels.get(*c));
        Ok(converter.convert_rows(labels.map(|l| parser.parse(l)))?)
    }

    /// The labels of some dims, row by row: the way back.
    pub(crate) fn labels_of(&self, dims: &[ArrayRef], rows: usize) -> Result<Vec<Vec<u8>>, ExecuteError> {
        let Some(converter) = &self.converter else { return Ok(vec![Vec::new(); rows]) };
        Ok(converter.convert_columns(dims)?.iter().map(|row| row.as_ref().to_vec()).collect())
    }
}

/// Takes rows in, patient by patient.
pub(crate) struct Walk {
    layout: Layout,
    cells: Cells,
    /// What is added up in each stream.
    streams: Vec<Stream>,
    /// Most cells that a patient reaches, and most rows that it adds, in one stream.
    most_cells: usize,
    most_rows: usize,
    vectors: Vec<Vec<i64>>,
    /// Integers of a cell in each vector.
    slots: Vec<usize>,
    patient: Option<u32>,
    /// The rows of that patient that came in earlier batches.
    rows: Rows,
    kept: Kept,
}

/// The vectors of one stream.
struct Stream {
    /// Position of each vector, what it is, and which of the value columns it adds up.
    vectors: Vec<(usize, Vector, usize)>,
    /// Whether only patients are counted, so that one row a cell is enough.
    once: bool,
}

/// The cells that were met, by their labels.
struct Cells {
    /// None without dims: then there is one cell.
    converter: Option<RowConverter>,
    places: HashMap<Label, u32>,
    labels: Vec<Label>,
}

impl Cells {
    fn new(schema: &Schema, dims: Range<usize>) -> Result<Self, ExecuteError> {
        let fields = schema.fields().get(dims).unwrap_or_default();
        let sorts: Vec<_> = fields.iter().map(|f| SortField::new(f.data_type().clone())).collect();
        let converter = if sorts.is_empty() { None } else { Some(RowConverter::new(sorts)?) };
        let mut cells = Self { converter, places: HashMap::new(), labels: Vec::new() };
        if cells.converter.is_none() {
            cells.place(&[]);
        }
        Ok(cells)
    }

    /// The cell of every row.
    fn of(&mut self, dims: &[ArrayRef], rows: usize) -> Result<Vec<u32>, ExecuteError> {
        let Some(converter) = &self.converter else { return Ok(vec![0; rows]) };
        let labels = converter.convert_columns(dims)?;
        let mut cells = Vec::with_capacity(rows);
        let mut last: Option<(&[u8], u32)> = None;
        for label in &labels {
            let label = label.data();
            let cell = match last {
                Some((same, cell)) if same == label => cell,
                Some(_) | None => self.place(label),
            };
            last = Some((label, cell));
            cells.push(cell);
        }
        Ok(cells)
    }

    fn place(&mut self, label: &[u8]) -> u32 {
        if let Some(place) = self.places.get(label) {
            return *place;
        }
        let place = self.labels.len() as u32;
        self.places.insert(label.into(), place);
        self.labels.push(label.into());
        place
    }
}

impl Walk {
    pub(crate) fn new(
        query: &PrivateQuery,
        accounting: &Accounting,
        schema: &Schema,
    ) -> Result<Self, ExecuteError> {
        let layout = Layout::new(query, accounting, schema)?;
        let mut streams: Vec<Stream> =
            accounting.streams.iter().map(|_| Stream { vectors: Vec::new(), once: true }).collect();
        let mut values = 0;
        for (vector, noised) in accounting.vectors.iter().enumerate() {
            if let Some(stream) = streams.get_mut(noised.stream) {
                stream.vectors.push((vector, noised.of, values));
                stream.once &= noised.of == Vector::Patients;
            }
            values += usize::from(Encoding::of(noised.of).is_some());
        }
        let most_rows = accounting.rows_per_patient as usize;
        Ok(Self {
            cells: Cells::new(schema, layout.dims.clone())?,
            layout,
            streams,
            most_cells: most_rows.min(accounting.cells_per_patient as usize),
            most_rows,
            vectors: vec![Vec::new(); accounting.vectors.len()],
            slots: accounting.vectors.iter().map(|noised| noised.of.slots()).collect(),
            patient: None,
            rows: Rows::default(),
            kept: Kept::default(),
        })
    }

    /// Takes the next rows. Rows of one patient may be spread over batches, but not over other patients.
    pub(crate) fn take(&mut self, batch: &RecordBatch) -> Result<(), ExecuteError> {
        let columns = self.layout.read(batch)?;
        let dims = batch.columns().get(self.layout.dims.clone()).unwrap_or_default();
        let cells = self.cells.of(dims, batch.num_rows())?;
        self.make_room();
        let patients = columns.patients.values();
        let rows = columns.rows(cells);
        let mut start = 0;
        while let Some(patient) = patients.get(start) {
            let run = patients.iter().skip(start).take_while(|other| *other == patient).count();
            let range = start..start + run;
            if self.patient != Some(*patient) {
                self.end_patient();
                self.patient = Some(*patient);
            }
            start = range.end;
            // The last of a batch may go on in the next one.
            if start == patients.len() || !self.rows.cells.is_empty() {
                self.rows.extend(&Patient { rows: &rows, range });
            } else {
                self.add(&Patient { rows: &rows, range });
            }
        }
        Ok(())
    }

    /// The sums, once all rows are taken.
    pub(crate) fn finish(mut self) -> Sums {
        self.make_room();
        self.end_patient();
        Sums { labels: self.cells.labels, vectors: self.vectors, converter: self.cells.converter }
    }

    /// Takes in what another walk found of other patients.
    pub(crate) fn take_sums(&mut self, others: &Sums) {
        let places: Vec<usize> = others.labels.iter().map(|label| self.cells.place(label) as usize).collect();
        self.make_room();
        for ((sums, slots), theirs) in self.vectors.iter_mut().zip(&self.slots).zip(&others.vectors) {
            for (place, found) in places.iter().zip(theirs.chunks(*slots)) {
                for (sum, adds) in sums.iter_mut().skip(place * slots).zip(found) {
                    *sum = sum.saturating_add(*adds);
                }
            }
        }
    }

    /// A place for every cell in every vector.
    fn make_room(&mut self) {
        for (sums, slots) in self.vectors.iter_mut().zip(&self.slots) {
            sums.resize(self.cells.labels.len() * slots, 0);
        }
    }

    fn end_patient(&mut self) {
        let mut rows = std::mem::take(&mut self.rows);
        self.add(&Patient { rows: &rows, range: 0..rows.cells.len() });
        rows.clear();
        self.rows = rows;
    }

    fn add(&mut self, patient: &Patient<'_>) {
        for (place, stream) in self.streams.iter().enumerate() {
            self.kept.choose(patient, place, stream.once, self.most_cells, self.most_rows);
            for (vector, of, value) in &stream.vectors {
                if let Some(sums) = self.vectors.get_mut(*vector) {
                    self.kept.add(patient, *of, *value, sums);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
