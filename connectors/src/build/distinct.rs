//! Functions of a batch that are called once for each different list of arguments: codes are few, rows are many.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::compute::take;
use arrow::error::ArrowError;
use arrow::row::{Row, RowConverter, SortField};
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::ColumnarValue;

/// The values of `body`, which must depend on nothing but the arguments of a row, for all rows.
///
/// # Errors
/// Those of `body`.
pub(super) fn each_once(
    arguments: &[ColumnarValue],
    body: &dyn Fn(&[ArrayRef]) -> DfResult<ArrayRef>,
) -> DfResult<ArrayRef> {
    let columns = arguments.iter().filter_map(|argument| match argument {
        ColumnarValue::Array(column) => Some(ArrayRef::clone(column)),
        ColumnarValue::Scalar(_) => None,
    });
    let columns: Vec<ArrayRef> = columns.collect();
    if columns.is_empty() {
        return body(&ColumnarValue::values_to_arrays(arguments)?);
    }
    let distinct = Distinct::of(&columns)?;
    let fewer = arguments.iter().map(|argument| match argument {
        ColumnarValue::Array(column) => Ok(take(column, &distinct.first, None)?),
        ColumnarValue::Scalar(value) => value.to_array_of_size(distinct.first.len()),
    });
    Ok(take(&body(&fewer.collect::<DfResult<Vec<_>>>()?)?, &distinct.of_row, None)?)
}

/// The different rows of some columns.
struct Distinct {
    /// Where each of them stands first.
    first: UInt32Array,
    /// Which of them each row is.
    of_row: UInt32Array,
}

impl Distinct {
    fn of(columns: &[ArrayRef]) -> Result<Self, ArrowError> {
        let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
        let rows = RowConverter::new(fields)?.convert_columns(columns)?;
        let mut known: HashMap<Row<'_>, u32> = HashMap::new();
        let (mut first, mut of_row) = (Vec::new(), Vec::with_capacity(rows.num_rows()));
        let mut numbers = 0_u32..;
        for (place, row) in (0_u32..).zip(&rows) {
            of_row.push(match known.entry(row) {
                Entry::Occupied(found) => *found.get(),
                Entry::Vacant(new) => {
                    first.push(place);
                    *new.insert(numbers.next().unwrap_or(u32::MAX))
                }
            });
        }
        Ok(Self { first: first.into(), of_row: of_row.into() })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use arrow::array::{AsArray, Int64Array, StringArray};
    use arrow::datatypes::Int64Type;
    use datafusion::scalar::ScalarValue;

    use super::*;

    fn sums(arguments: &[ColumnarValue]) -> (Vec<Option<i64>>, usize) {
        let called = Cell::new(0);
        let body = |columns: &[ArrayRef]| -> DfResult<ArrayRef> {
            called.set(columns[0].len());
            let (a, b) = (columns[0].as_primitive::<Int64Type>(), columns[1].as_primitive::<Int64Type>());
            Ok(Arc::new(a.iter().zip(b).map(|(a, b)| Some(a? + b.unwrap_or(1000))).collect::<Int64Array>()))
        };
        let made = each_once(arguments, &body).unwrap();
        (made.as_primitive::<Int64Type>().iter().collect(), called.get())
    }

    fn numbers(values: &[Option<i64>]) -> ColumnarValue {
        ColumnarValue::Array(Arc::new(Int64Array::from(values.to_vec())))
    }

    #[test]
    fn every_row_gets_the_value_of_its_own_arguments_and_equal_rows_are_computed_once() {
        let a = numbers(&[Some(1), None, Some(1), Some(2), None, Some(1)]);
        let b = numbers(&[Some(5), Some(5), Some(5), None, Some(5), Some(6)]);
        let made = sums(&[a, b]);
        assert_eq!(made, (vec![Some(6), None, Some(6), Some(1002), None, Some(7)], 4));
    }

    #[test]
    fn constants_are_arguments_of_every_row() {
        let ten = ColumnarValue::Scalar(ScalarValue::Int64(Some(10)));
        assert_eq!(
            sums(&[numbers(&[Some(1), Some(2), Some(1)]), ten.clone()]),
            (vec![Some(11), Some(12), Some(11)], 2)
        );
        assert_eq!(sums(&[ten.clone(), ten]), (vec![Some(20)], 1));
    }

    #[test]
    fn a_batch_without_rows_has_no_values() {
        assert_eq!(sums(&[numbers(&[]), numbers(&[])]), (vec![], 0));
    }

    #[test]
    fn an_empty_text_is_not_a_missing_one() {
        let column: ArrayRef = Arc::new(StringArray::from(vec![Some(""), None, Some("")]));
        let distinct = Distinct::of(&[column]).unwrap();
        assert_eq!(
            (distinct.first.values().to_vec(), distinct.of_row.values().to_vec()),
            (vec![0, 1], vec![0, 1, 0])
        );
    }
}
