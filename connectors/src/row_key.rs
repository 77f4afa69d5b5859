//! `_row`: a keyed 64-bit hash over a row's patient and values, the same wherever the row stands.
//!
//! The gate keeps the first few rows of a patient in this order, so it must depend on nothing but that patient's
//! own row. The key comes from the node's secret: nobody can craft rows that come first. One SipHash-1-3 a row;
//! an HMAC a row would cost more than reading it.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, PrimitiveArray, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use siphasher::sip::SipHasher13;
use siphasher::sip128;

use crate::Secret;
use crate::identity::Pseudonym;

/// The keyed hash of the rows of one table.
pub(crate) struct RowKey {
    hasher: SipHasher13,
    table: Vec<u8>,
}

/// The cells of a column.
enum Cells<'a> {
    Integers(&'a PrimitiveArray<Int64Type>),
    Floats(&'a PrimitiveArray<Float64Type>),
    Dates(&'a PrimitiveArray<Date32Type>),
    Times(&'a PrimitiveArray<TimestampMicrosecondType>),
    Truths(&'a BooleanArray),
    Texts(&'a StringArray),
}

impl RowKey {
    /// The key for a table, named `schema.table`.
    pub(crate) fn new(secret: &Secret, table: &str) -> Self {
        let mut encoded = Vec::new();
        push_text(&mut encoded, table.as_bytes());
        Self {
            hasher: SipHasher13::new_with_key(&first_half(&secret.mac("caim.row.1", &[]))),
            table: encoded,
        }
    }

    /// One hash a row. Columns of types that the warehouse does not store count as absent.
    pub(crate) fn hash(&self, patients: &[Option<Pseudonym>], columns: &[ArrayRef]) -> UInt64Array {
        let cells: Vec<Cells<'_>> = columns.iter().filter_map(Cells::of).collect();
        let mut row_bytes = Vec::with_capacity(512);
        let hashes = patients.iter().enumerate().map(|(row, patient)| {
            row_bytes.clear();
            row_bytes.extend_from_slice(&self.table);
            match patient {
                Some(Pseudonym(bytes)) => {
                    row_bytes.push(1);
                    row_bytes.extend_from_slice(bytes);
                }
                None => row_bytes.push(0),
            }
            cells.iter().for_each(|cells| cells.push(row, &mut row_bytes));
            self.hasher.hash(&row_bytes)
        });
        UInt64Array::from_iter_values(hashes)
    }
}

/// A keyed 128-bit hash of a name: wide enough to stand for it in a set.
pub(crate) struct NameKey(sip128::SipHasher13);

impl NameKey {
    pub(crate) fn new(secret: &Secret) -> Self {
        Self(sip128::SipHasher13::new_with_key(&first_half(&secret.mac("caim.name.1", &[]))))
    }

    pub(crate) fn hash(&self, name: &str) -> u128 {
        self.0.hash(name.as_bytes()).as_u128()
    }

    /// Half of it: among twenty million names two meet by chance once in a hundred thousand such sets.
    pub(crate) fn hash_short(&self, name: &str) -> u64 {
        self.0.hash(name.as_bytes()).h1
    }
}

impl<'a> Cells<'a> {
    fn of(column: &'a ArrayRef) -> Option<Self> {
        Some(match column.data_type() {
            DataType::Int64 => Self::Integers(column.as_primitive()),
            DataType::Float64 => Self::Floats(column.as_primitive()),
            DataType::Date32 => Self::Dates(column.as_primitive()),
            DataType::Timestamp(..) => Self::Times(column.as_primitive_opt()?),
            DataType::Boolean => Self::Truths(column.as_boolean()),
            DataType::Utf8 => Self::Texts(column.as_string()),
            _ => return None,
        })
    }

    /// Appends a cell: 0 for NULL, else 1 and the value, in a form that no other value has.
    fn push(&self, row: usize, bytes: &mut Vec<u8>) {
        if self.array().is_null(row) {
            bytes.push(0);
            return;
        }
        bytes.push(1);
        match self {
            Self::Integers(cells) => bytes.extend_from_slice(&cells.value(row).to_le_bytes()),
            // Adding zero makes the two zeros one: they are equal in SQL.
            Self::Floats(cells) => bytes.extend_from_slice(&(cells.value(row) + 0.0).to_bits().to_le_bytes()),
            Self::Dates(cells) => bytes.extend_from_slice(&cells.value(row).to_le_bytes()),
            Self::Times(cells) => bytes.extend_from_slice(&cells.value(row).to_le_bytes()),
            Self::Truths(cells) => bytes.push(u8::from(cells.value(row))),
            Self::Texts(cells) => push_text(bytes, cells.value(row).as_bytes()),
        }
    }

    fn array(&self) -> &dyn Array {
        match self {
            Self::Integers(cells) => cells,
            Self::Floats(cells) => cells,
            Self::Dates(cells) => cells,
            Self::Times(cells) => cells,
            Self::Truths(cells) => cells,
            Self::Texts(cells) => cells,
        }
    }
}

fn push_text(bytes: &mut Vec<u8>, text: &[u8]) {
    bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
    bytes.extend_from_slice(text);
}

fn first_half(key: &[u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    half
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, Int64Array};

    use super::*;

    const PATIENT: Option<Pseudonym> = Some(Pseudonym([7; 32]));

    fn key() -> RowKey {
        RowKey::new(&Secret::from_bytes([1; 32]), "omop.person")
    }

    fn columns(numbers: Vec<Option<i64>>, texts: Vec<Option<&str>>) -> Vec<ArrayRef> {
        vec![Arc::new(Int64Array::from(numbers)), Arc::new(StringArray::from(texts))]
    }

    #[test]
    fn a_row_has_the_same_key_wherever_it_stands() {
        let three = columns(vec![Some(1), None, Some(1)], vec![Some("a"), Some("a"), Some("a")]);
        let keys = key().hash(&[PATIENT; 3], &three);
        assert_eq!(keys.value(0), keys.value(2));
        assert_ne!(keys.value(0), keys.value(1));
        let alone = columns(vec![Some(1)], vec![Some("a")]);
        assert_eq!(key().hash(&[PATIENT], &alone).value(0), keys.value(0));
    }

    #[test]
    fn patient_values_table_and_secret_all_count() {
        let row = || columns(vec![Some(1)], vec![Some("a")]);
        let known = key().hash(&[PATIENT], &row()).value(0);
        let others = [
            key().hash(&[Some(Pseudonym([8; 32]))], &row()).value(0),
            key().hash(&[None], &row()).value(0),
            key().hash(&[PATIENT], &columns(vec![Some(2)], vec![Some("a")])).value(0),
            key().hash(&[PATIENT], &columns(vec![Some(1)], vec![None])).value(0),
            RowKey::new(&Secret::from_bytes([1; 32]), "omop.death").hash(&[PATIENT], &row()).value(0),
            RowKey::new(&Secret::from_bytes([2; 32]), "omop.person").hash(&[PATIENT], &row()).value(0),
        ];
        assert!(!others.contains(&known));
    }

    #[test]
    fn texts_cannot_be_shifted_into_each_other_and_the_two_zeros_are_one() {
        let texts = |a, b| {
            let columns: Vec<ArrayRef> =
                vec![Arc::new(StringArray::from(vec![a])), Arc::new(StringArray::from(vec![b]))];
            key().hash(&[PATIENT], &columns).value(0)
        };
        assert_ne!(texts("ab", "c"), texts("a", "bc"));
        let float =
            |value: f64| key().hash(&[PATIENT], &[Arc::new(Float64Array::from(vec![value]))]).value(0);
        assert_eq!(float(0.0), float(-0.0));
    }
}
