//! From the rows of patients to sums of bounded contributions.
//!
//! The rows arrive patient by patient. Within a patient they are taken in the order of their row keys, which a keyed
//! hash of patient and row drew at ingest: which rows are kept never depends on anybody else. In each stream a patient
//! reaches at most `L` cells and adds at most `c` rows, the first row of each cell first. Nothing here is shown: sums
//! leave through the gate only.

use std::collections::HashMap;

use caim_sql::PrivateQuery;
use caim_sql::bounds::EvenBins;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringArray};
use datafusion::arrow::datatypes::{Float64Type, Schema, UInt32Type, UInt64Type};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::row::{RowConverter, SortField};

use super::ExecuteError;
use crate::accounting::{Accounting, FixedPoint, Squares, Vector};

/// Joined rows of one patient that are looked at; more come only from joins that multiply, and are passed over in the
/// order of the row keys.
const MAX_ROWS_OF_A_PATIENT: usize = 1 << 20;

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
pub(crate) struct Walk<'a> {
    accounting: &'a Accounting,
    layout: Layout,
    converter: Option<RowConverter>,
    cells: HashMap<Label, u32>,
    labels: Vec<Label>,
    vectors: Vec<Vec<i64>>,
    patient: Option<u32>,
    rows: Rows,
}

/// Where the contribution plan's columns stand.
struct Layout {
    row_keys: std::ops::Range<usize>,
    dims: std::ops::Range<usize>,
    flags: std::ops::Range<usize>,
    /// Vector and how its column becomes integers.
    values: Vec<(usize, Encoding)>,
}

#[derive(Clone, Copy)]
enum Encoding {
    Number(FixedPoint),
    Square(Squares),
    Bin(EvenBins),
    Identity,
}

/// The rows of the current patient.
#[derive(Default)]
struct Rows {
    keys: Vec<u64>,
    cells: Vec<u32>,
    /// One bit a stream.
    counts: Vec<u32>,
    /// One integer a value column, row by row.
    values: Vec<i64>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(
        query: &PrivateQuery,
        accounting: &'a Accounting,
        schema: &Schema,
    ) -> Result<Self, ExecuteError> {
        let layout = Layout::new(query, accounting, schema)?;
        let fields = schema.fields().get(layout.dims.clone()).unwrap_or_default();
        let sorts: Vec<_> = fields.iter().map(|f| SortField::new(f.data_type().clone())).collect();
        let converter = if sorts.is_empty() { None } else { Some(RowConverter::new(sorts)?) };
        let mut walk = Self {
            accounting,
            layout,
            converter,
            cells: HashMap::new(),
            labels: Vec::new(),
            vectors: vec![Vec::new(); accounting.vectors.len()],
            patient: None,
            rows: Rows::default(),
        };
        if walk.converter.is_none() {
            walk.cell(&[]);
        }
        Ok(walk)
    }

    /// Takes the next rows. Rows of one patient may be spread over batches, but not over other patients.
    pub(crate) fn take(&mut self, batch: &RecordBatch) -> Result<(), ExecuteError> {
        let columns = self.layout.read(batch)?;
        let cells = self.batch_cells(batch)?;
        for row in 0..batch.num_rows() {
            let patient = columns.patients.value(row);
            if self.patient != Some(patient) {
                self.end_patient();
                self.patient = Some(patient);
            }
            if self.rows.keys.len() < MAX_ROWS_OF_A_PATIENT {
                columns.push(row, cells.get(row).copied().unwrap_or(0), &mut self.rows);
            }
        }
        Ok(())
    }

    /// The sums, once all rows are taken.
    pub(crate) fn finish(mut self) -> Sums {
        self.end_patient();
        Sums { labels: self.labels, vectors: self.vectors, converter: self.converter }
    }

    fn batch_cells(&mut self, batch: &RecordBatch) -> Result<Vec<u32>, ExecuteError> {
        let Some(converter) = &self.converter else { return Ok(Vec::new()) };
        let dims = batch.columns().get(self.layout.dims.clone()).unwrap_or_default();
        let rows = converter.convert_columns(dims)?;
        Ok(rows.iter().map(|row| self.cell(row.as_ref())).collect())
    }

    fn cell(&mut self, label: &[u8]) -> u32 {
        if let Some(cell) = self.cells.get(label) {
            return *cell;
        }
        let cell = self.labels.len() as u32;
        self.cells.insert(label.into(), cell);
        self.labels.push(label.into());
        for (sums, noised) in self.vectors.iter_mut().zip(&self.accounting.vectors) {
            sums.resize(sums.len() + noised.of.slots(), 0);
        }
        cell
    }

    fn end_patient(&mut self) {
        let order = self.rows.order();
        for stream in 0..self.accounting.streams.len() {
            let kept = self.keep(stream, &order);
            for (vector, noised) in self.accounting.vectors.iter().enumerate() {
                if noised.stream == stream {
                    self.add(vector, noised.of, &kept);
                }
            }
        }
        self.rows.clear();
    }

    /// The rows of the patient that count in a stream: at most `L` cells, at most `c` rows, the first of each cell first.
    fn keep(&self, stream: usize, order: &[u32]) -> Vec<u32> {
        let limit = self.accounting.rows_per_patient as usize;
        let most_cells = limit.min(self.accounting.cells_per_patient as usize);
        let counting = order.iter().copied().filter(|row| self.rows.counts_in(*row, stream));
        let (mut cells, mut kept, mut later) = (Vec::new(), Vec::new(), Vec::new());
        for row in counting {
            let cell = self.rows.cell(row);
            if cells.contains(&cell) {
                if later.len() < limit {
                    later.push(row);
                }
            } else if cells.len() < most_cells {
                cells.push(cell);
                kept.push(row);
            }
        }
        let room = limit.saturating_sub(kept.len());
        kept.extend(later.into_iter().take(room));
        kept
    }

    fn add(&mut self, vector: usize, of: Vector, kept: &[u32]) {
        let value = self.layout.values.iter().position(|(v, _)| *v == vector);
        let Some(sums) = self.vectors.get_mut(vector) else { return };
        let mut seen: Vec<(u32, i64)> = Vec::new();
        for row in kept {
            let cell = self.rows.cell(*row);
            let worth = value.map_or(0, |v| self.rows.value(*row, v, self.layout.values.len()));
            let adds = match of {
                Vector::Rows | Vector::Bins(_) => 1,
                Vector::Sum(_) | Vector::Squares(_) => worth,
                Vector::Patients => i64::from(!seen.contains(&(cell, 0))),
                Vector::Distinct => i64::from(!seen.contains(&(cell, worth))),
            };
            let slot = match of {
                Vector::Patients => {
                    seen.push((cell, 0));
                    0
                }
                Vector::Distinct => {
                    seen.push((cell, worth));
                    0
                }
                Vector::Rows | Vector::Sum(_) | Vector::Squares(_) => 0,
                // The worth of a row is its bin.
                Vector::Bins(_) => worth as usize,
            };
            if let Some(sum) = sums.get_mut(cell as usize * of.slots() + slot) {
                *sum = sum.saturating_add(adds);
            }
        }
    }
}

impl Rows {
    /// Positions in the order of the row keys.
    fn order(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.keys.len() as u32).collect();
        if !self.keys.is_sorted() {
            order.sort_unstable_by_key(|row| (self.keys.get(*row as usize).copied(), *row));
        }
        order
    }

    fn counts_in(&self, row: u32, stream: usize) -> bool {
        self.counts.get(row as usize).is_some_and(|bits| bits >> stream & 1 == 1)
    }

    fn cell(&self, row: u32) -> u32 {
        self.cells.get(row as usize).copied().unwrap_or(0)
    }

    fn value(&self, row: u32, value: usize, width: usize) -> i64 {
        self.values.get(row as usize * width + value).copied().unwrap_or(0)
    }

    fn clear(&mut self) {
        self.keys.clear();
        self.cells.clear();
        self.counts.clear();
        self.values.clear();
    }
}

/// The columns of a batch, typed.
struct Columns<'b> {
    patients: &'b datafusion::arrow::array::UInt32Array,
    row_keys: Vec<&'b datafusion::arrow::array::UInt64Array>,
    flags: Vec<&'b BooleanArray>,
    values: Vec<(usize, Values<'b>)>,
}

enum Values<'b> {
    Number(&'b datafusion::arrow::array::Float64Array, Encoding),
    Identity(&'b StringArray),
}

impl Layout {
    fn new(query: &PrivateQuery, accounting: &Accounting, schema: &Schema) -> Result<Self, ExecuteError> {
        let row_keys = schema.fields().iter().skip(1).take_while(|f| f.name().starts_with('r')).count();
        let dims = 1 + row_keys..1 + row_keys + query.dims.len();
        let flags = dims.end..dims.end + accounting.streams.len();
        if accounting.streams.len() > u32::BITS as usize {
            return Err(ExecuteError::Model("too many different filters".into()));
        }
        let values = accounting.vectors.iter().enumerate().filter_map(|(i, v)| match v.of {
            Vector::Sum(fixed) => Some((i, Encoding::Number(fixed))),
            Vector::Squares(squares) => Some((i, Encoding::Square(squares))),
            Vector::Bins(bins) => Some((i, Encoding::Bin(bins))),
            Vector::Distinct => Some((i, Encoding::Identity)),
            Vector::Patients | Vector::Rows => None,
        });
        Ok(Self { row_keys: 1..1 + row_keys, dims, flags, values: values.collect() })
    }

    fn read<'b>(&self, batch: &'b RecordBatch) -> Result<Columns<'b>, ExecuteError> {
        let wrong = || ExecuteError::Model("the contribution plan has other columns".into());
        let columns = batch.columns();
        let range = |r: &std::ops::Range<usize>| columns.get(r.clone()).ok_or_else(wrong);
        let patients = columns.first().and_then(|c| c.as_primitive_opt::<UInt32Type>()).ok_or_else(wrong)?;
        let row_keys: Option<_> =
            range(&self.row_keys)?.iter().map(|c| c.as_primitive_opt::<UInt64Type>()).collect();
        let flags: Option<Vec<_>> = range(&self.flags)?.iter().map(|c| c.as_boolean_opt()).collect();
        let flags = flags.ok_or_else(wrong)?;
        let mut values = Vec::new();
        for (column, (vector, encoding)) in columns.iter().skip(self.flags.end).zip(&self.values) {
            let typed = match encoding {
                Encoding::Number(_) | Encoding::Square(_) | Encoding::Bin(_) => {
                    Values::Number(column.as_primitive_opt::<Float64Type>().ok_or_else(wrong)?, *encoding)
                }
                Encoding::Identity => Values::Identity(column.as_string_opt::<i32>().ok_or_else(wrong)?),
            };
            values.push((*vector, typed));
        }
        Ok(Columns { patients, row_keys: row_keys.ok_or_else(wrong)?, flags, values })
    }
}

impl Columns<'_> {
    fn push(&self, row: usize, cell: u32, rows: &mut Rows) {
        let mut counts = 0u32;
        for (stream, flag) in self.flags.iter().enumerate() {
            counts |= u32::from(flag.value(row)) << stream;
        }
        for (_, values) in &self.values {
            rows.values.push(values.integer(row));
        }
        rows.keys.push(joined_key(&self.row_keys, row));
        rows.cells.push(cell);
        rows.counts.push(counts);
    }
}

impl Values<'_> {
    fn integer(&self, row: usize) -> i64 {
        match self {
            Values::Number(numbers, encoding) if numbers.is_valid(row) => {
                encoding.integer(numbers.value(row))
            }
            Values::Identity(names) if names.is_valid(row) => fingerprint(names.value(row)),
            Values::Number(..) | Values::Identity(_) => 0,
        }
    }
}

impl Encoding {
    fn integer(self, value: f64) -> i64 {
        match self {
            Encoding::Number(fixed) => fixed.encode(value),
            Encoding::Square(squares) => squares.encode(value),
            Encoding::Bin(bins) => bins.bin(value) as i64,
            Encoding::Identity => 0,
        }
    }
}

/// 64 bits of an identifier, to tell a patient's own few apart.
fn fingerprint(name: &str) -> i64 {
    let hash =
        name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    mixed(hash) as i64
}

/// The key of a joined row: that of its one row, or all of them mixed.
fn joined_key(keys: &[&datafusion::arrow::array::UInt64Array], row: usize) -> u64 {
    match keys {
        [only] => only.value(row),
        several => several.iter().fold(0, |key, column| mixed(key ^ column.value(row))),
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): a bijection that spreads every bit.
fn mixed(key: u64) -> u64 {
    let key = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let key = (key ^ key >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let key = (key ^ key >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    key ^ key >> 31
}

#[cfg(test)]
mod tests;
