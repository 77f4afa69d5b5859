//! The columns of the contribution plan: where they stand, and how their values become integers.

use std::ops::Range;

use caim_sql::PrivateQuery;
use caim_sql::bounds::EvenBins;
use datafusion::arrow::array::{
    Array, AsArray, BooleanArray, Float64Array, StringArray, UInt32Array, UInt64Array,
};
use datafusion::arrow::datatypes::{Float64Type, Schema, UInt32Type, UInt64Type};
use datafusion::arrow::record_batch::RecordBatch;

use super::super::ExecuteError;
use super::patient::Rows;
use crate::accounting::{Accounting, FixedPoint, Squares, Vector};

/// Where the contribution plan's columns stand.
pub(super) struct Layout {
    row_keys: Range<usize>,
    pub(super) dims: Range<usize>,
    flags: Range<usize>,
    /// How the columns of values become integers.
    values: Vec<Encoding>,
}

#[derive(Clone, Copy)]
pub(super) enum Encoding {
    Number(FixedPoint),
    Square(Squares),
    Bin(EvenBins),
    Identity,
}

/// The columns of a batch, typed.
pub(super) struct Columns<'b> {
    pub(super) patients: &'b UInt32Array,
    row_keys: Vec<&'b UInt64Array>,
    flags: Vec<&'b BooleanArray>,
    values: Vec<Values<'b>>,
}

pub(super) enum Values<'b> {
    Number(&'b Float64Array, Encoding),
    Identity(&'b StringArray),
}

impl Layout {
    pub(super) fn new(
        query: &PrivateQuery,
        accounting: &Accounting,
        schema: &Schema,
    ) -> Result<Self, ExecuteError> {
        let row_keys = schema.fields().iter().skip(1).take_while(|f| f.name().starts_with('r')).count();
        let dims = 1 + row_keys..1 + row_keys + query.dims.len();
        let flags = dims.end..dims.end + accounting.streams.len();
        if accounting.streams.len() > u32::BITS as usize {
            return Err(ExecuteError::Model("too many different filters".into()));
        }
        let values = accounting.vectors.iter().filter_map(|noised| Encoding::of(noised.of));
        Ok(Self { row_keys: 1..1 + row_keys, dims, flags, values: values.collect() })
    }

    pub(super) fn read<'b>(&self, batch: &'b RecordBatch) -> Result<Columns<'b>, ExecuteError> {
        let wrong = || ExecuteError::Model("the contribution plan has other columns".into());
        let columns = batch.columns();
        let range = |r: &std::ops::Range<usize>| columns.get(r.clone()).ok_or_else(wrong);
        let patients = columns.first().and_then(|c| c.as_primitive_opt::<UInt32Type>()).ok_or_else(wrong)?;
        let row_keys: Option<_> =
            range(&self.row_keys)?.iter().map(|c| c.as_primitive_opt::<UInt64Type>()).collect();
        let flags: Option<Vec<_>> = range(&self.flags)?.iter().map(|c| c.as_boolean_opt()).collect();
        let flags = flags.ok_or_else(wrong)?;
        let mut values = Vec::new();
        for (column, encoding) in columns.iter().skip(self.flags.end).zip(&self.values) {
            let typed = match encoding {
                Encoding::Number(_) | Encoding::Square(_) | Encoding::Bin(_) => {
                    Values::Number(column.as_primitive_opt::<Float64Type>().ok_or_else(wrong)?, *encoding)
                }
                Encoding::Identity => Values::Identity(column.as_string_opt::<i32>().ok_or_else(wrong)?),
            };
            values.push(typed);
        }
        Ok(Columns { patients, row_keys: row_keys.ok_or_else(wrong)?, flags, values })
    }
}

impl Columns<'_> {
    /// The rows of the batch, whose cells are known.
    pub(super) fn rows(&self, cells: Vec<u32>) -> Rows {
        let mut counts = vec![0u32; cells.len()];
        for (stream, flag) in self.flags.iter().enumerate() {
            for (bits, row) in counts.iter_mut().zip(0..) {
                *bits |= u32::from(flag.value(row)) << stream;
            }
        }
        Rows {
            keys: joined_keys(&self.row_keys),
            counts,
            values: self.values.iter().map(|values| values.integers(cells.len())).collect(),
            cells,
        }
    }
}

impl Values<'_> {
    /// What each row is worth; 0 where there is no value.
    fn integers(&self, rows: usize) -> Vec<i64> {
        let integer = |row: usize| match self {
            Values::Number(numbers, encoding) if numbers.is_valid(row) => {
                encoding.integer(numbers.value(row))
            }
            Values::Identity(names) if names.is_valid(row) => fingerprint(names.value(row)),
            Values::Number(..) | Values::Identity(_) => 0,
        };
        (0..rows).map(integer).collect()
    }
}

impl Encoding {
    /// How the values of a vector become integers, if it has values.
    pub(super) fn of(vector: Vector) -> Option<Self> {
        match vector {
            Vector::Sum(fixed) => Some(Self::Number(fixed)),
            Vector::Squares(squares) => Some(Self::Square(squares)),
            Vector::Bins(bins) => Some(Self::Bin(bins)),
            Vector::Distinct => Some(Self::Identity),
            Vector::Patients | Vector::Rows => None,
        }
    }

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

/// The keys of joined rows: each that of its one row, or all of them mixed.
fn joined_keys(keys: &[&UInt64Array]) -> Vec<u64> {
    match keys {
        [] => Vec::new(),
        [only] => only.values().to_vec(),
        [first, ..] => (0..first.len())
            .map(|row| keys.iter().fold(0, |key, column| mixed(key ^ column.value(row))))
            .collect(),
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): a bijection that spreads every bit.
fn mixed(key: u64) -> u64 {
    let key = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let key = (key ^ key >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let key = (key ^ key >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    key ^ key >> 31
}
