//! The rows of one patient, and which of them count.

use std::ops::Range;

use crate::accounting::Vector;

/// Joined rows of one patient that are looked at: those with the smallest row keys. More come only from joins that
/// multiply.
const MAX_ROWS_OF_A_PATIENT: usize = 1 << 20;

/// Some rows, column by column.
#[derive(Default)]
pub(super) struct Rows {
    /// Empty where the order of a patient's rows does not matter.
    pub(super) keys: Vec<u64>,
    pub(super) cells: Vec<u32>,
    /// One bit a stream.
    pub(super) counts: Vec<u32>,
    /// Value column by value column.
    pub(super) values: Vec<Vec<i64>>,
}

/// The rows of one patient.
#[derive(Clone)]
pub(super) struct Patient<'r> {
    pub(super) rows: &'r Rows,
    pub(super) range: Range<usize>,
}

/// The rows of a patient that count in a stream, and the cells that they reach.
#[derive(Default)]
pub(super) struct Kept {
    rows: Vec<usize>,
    cells: Vec<u32>,
    seen: Vec<(u32, i64)>,
}

impl Kept {
    /// The rows that count in a stream: those of at most so many cells, at most so many rows, the first row of each cell
    /// first. Where only patients are counted, one row a cell is enough.
    pub(super) fn choose(
        &mut self,
        patient: &Patient<'_>,
        stream: usize,
        once: bool,
        most_cells: usize,
        most_rows: usize,
    ) {
        self.rows.clear();
        self.cells.clear();
        // Nearly always all of them are few enough, and their order makes no difference.
        for row in patient.range.clone().filter(|row| patient.counts_in(*row, stream)) {
            let cell = patient.cell(row);
            let known = self.cells.contains(&cell);
            let too_many_cells = !known && self.cells.len() == most_cells;
            if too_many_cells || !once && self.rows.len() == most_rows {
                return self.choose_in_order(patient, stream, most_cells, most_rows);
            }
            if !known {
                self.cells.push(cell);
            }
            if !known || !once {
                self.rows.push(row);
            }
        }
    }

    fn choose_in_order(&mut self, patient: &Patient<'_>, stream: usize, most_cells: usize, most_rows: usize) {
        self.rows.clear();
        self.cells.clear();
        let mut later = Vec::new();
        for row in patient.in_order().into_iter().filter(|row| patient.counts_in(*row, stream)) {
            let cell = patient.cell(row);
            if self.cells.contains(&cell) {
                if later.len() < most_rows {
                    later.push(row);
                }
            } else if self.cells.len() < most_cells {
                self.cells.push(cell);
                self.rows.push(row);
            }
        }
        let room = most_rows.saturating_sub(self.rows.len());
        self.rows.extend(later.into_iter().take(room));
    }

    /// Adds what was chosen to one vector.
    pub(super) fn add(&mut self, patient: &Patient<'_>, of: Vector, value: usize, sums: &mut [i64]) {
        let mut add = |place: usize, adds: i64| {
            if let Some(sum) = sums.get_mut(place) {
                *sum = sum.saturating_add(adds);
            }
        };
        match of {
            Vector::Patients => self.cells.iter().for_each(|cell| add(*cell as usize, 1)),
            Vector::Rows => self.rows.iter().for_each(|row| add(patient.cell(*row) as usize, 1)),
            Vector::Sum(_) | Vector::Squares(_) => {
                self.rows.iter().for_each(|row| add(patient.cell(*row) as usize, patient.value(*row, value)));
            }
            // The worth of a row is its bin.
            Vector::Bins(_) => self.rows.iter().for_each(|row| {
                add(patient.cell(*row) as usize * of.slots() + patient.value(*row, value) as usize, 1);
            }),
            Vector::Distinct => {
                self.seen.clear();
                for row in &self.rows {
                    let seen = (patient.cell(*row), patient.value(*row, value));
                    if !self.seen.contains(&seen) {
                        self.seen.push(seen);
                        add(seen.0 as usize, 1);
                    }
                }
            }
        }
    }
}

impl Patient<'_> {
    fn counts_in(&self, row: usize, stream: usize) -> bool {
        self.rows.counts.get(row).is_some_and(|bits| bits >> stream & 1 == 1)
    }

    fn cell(&self, row: usize) -> u32 {
        self.rows.cells.get(row).copied().unwrap_or(0)
    }

    fn value(&self, row: usize, column: usize) -> i64 {
        self.rows.values.get(column).and_then(|values| values.get(row)).copied().unwrap_or(0)
    }

    /// Positions in the order of the row keys.
    fn in_order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = self.range.clone().collect();
        if !self.rows.keys.get(self.range.clone()).is_none_or(<[u64]>::is_sorted) {
            order.sort_unstable_by_key(|row| (self.rows.keys.get(*row), *row));
        }
        order
    }
}

impl Rows {
    pub(super) fn extend(&mut self, more: &Patient<'_>) {
        let Patient { rows, range } = more;
        self.values.resize_with(rows.values.len(), Vec::new);
        self.keys.extend(rows.keys.get(range.clone()).unwrap_or_default());
        self.cells.extend(rows.cells.get(range.clone()).unwrap_or_default());
        self.counts.extend(rows.counts.get(range.clone()).unwrap_or_default());
        for (own, theirs) in self.values.iter_mut().zip(&rows.values) {
            own.extend(theirs.get(range.clone()).unwrap_or_default());
        }
        if self.cells.len() > 2 * MAX_ROWS_OF_A_PATIENT {
            self.keep_first(MAX_ROWS_OF_A_PATIENT);
        }
    }

    /// Keeps the rows with the smallest keys.
    fn keep_first(&mut self, most: usize) {
        let mut order = Patient { rows: self, range: 0..self.cells.len() }.in_order();
        order.truncate(most);
        fn chosen<T: Copy>(values: &[T], order: &[usize]) -> Vec<T> {
            order.iter().filter_map(|row| values.get(*row).copied()).collect()
        }
        self.keys = chosen(&self.keys, &order);
        self.cells = chosen(&self.cells, &order);
        self.counts = chosen(&self.counts, &order);
        for values in &mut self.values {
            *values = chosen(values, &order);
        }
    }

    pub(super) fn clear(&mut self) {
        self.keys.clear();
        self.cells.clear();
        self.counts.clear();
        self.values.iter_mut().for_each(Vec::clear);
    }
}
