//! How far the values of an answer may lie from the truth: the widest of the bounds that the merge computed.
//!
//! It goes with every answer, so that nobody reads a released count as an exact one.

use caim_sql::PrivateQuery;
use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{Float64Type, Int64Type};
use datafusion::arrow::record_batch::RecordBatch;

use super::check::describe;
use crate::federate::Precision;

/// One entry a measure of a merged table, in the schema of [`caim_sql::released::schema`]; none for exact ones.
pub(super) fn of_merged(query: &PrivateQuery, merged: &RecordBatch) -> Vec<Precision> {
    let entry = |(i, measure): (usize, &caim_sql::private_query::Measure)| {
        let (below, above) = widest(merged, i)?;
        let measure = describe(&measure.of);
        (below > 0.0 || above > 0.0).then_some(Precision { measure, below, above })
    };
    query.measures.iter().enumerate().filter_map(entry).collect()
}

/// The largest distances from a released value down and up to its bounds.
fn widest(merged: &RecordBatch, measure: usize) -> Option<(f64, f64)> {
    let bound =
        |end: &str| merged.column_by_name(&format!("m{measure}_{end}"))?.as_primitive_opt::<Float64Type>();
    let (values, lower, upper) =
        (merged.column_by_name(&format!("m{measure}"))?, bound("lower")?, bound("upper")?);
    let value = |row: usize| {
        let whole = values.as_primitive_opt::<Int64Type>().map(|whole| whole.value(row) as f64);
        whole.or_else(|| values.as_primitive_opt::<Float64Type>().map(|real| real.value(row)))
    };
    let released = (0..merged.num_rows()).filter(|row| values.is_valid(*row));
    released
        .filter_map(|row| Some((value(row)? - lower.value(row), upper.value(row) - value(row)?)))
        .reduce(|a, b| (a.0.max(b.0), a.1.max(b.1)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use caim_sql::private_query::{Aggregate, BoolTree, JoinTree, Measure, PrivateQuery, TableRef, VERSION};
    use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};

    use super::of_merged;

    fn merged(values: &[Option<i64>], lower: &[f64], upper: &[f64]) -> RecordBatch {
        let bound = |of: &[f64]| -> ArrayRef { Arc::new(Float64Array::from(of.to_vec())) };
        let values: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
        let columns = [("m0", values), ("m0_lower", bound(lower)), ("m0_upper", bound(upper))];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn patients() -> PrivateQuery {
        let from = JoinTree { tables: vec![TableRef::new("omop", "person")], edges: vec![] };
        let measures = vec![Measure { of: Aggregate::Patients, filter: BoolTree::always() }];
        let cohort = BoolTree::always();
        PrivateQuery {
            version: VERSION,
            from,
            cohort,
            dims: vec![],
            measures,
            noise_sd_milli: None,
            max_rows_per_patient: None,
        }
    }

    #[test]
    fn the_widest_released_cell_counts_and_unreleased_ones_do_not() {
        let table = merged(&[Some(100), Some(50), None], &[90.0, 45.0, 0.0], &[110.0, 80.0, 900.0]);
        let precision = of_merged(&patients(), &table);
        assert_eq!(precision.len(), 1);
        assert_eq!((precision[0].below, precision[0].above), (10.0, 30.0));
        assert_eq!(precision[0].to_string(), "patients: between 10 less and 30 more (95 %)");
    }

    #[test]
    fn exact_answers_say_nothing_of_bounds() {
        assert_eq!(of_merged(&patients(), &merged(&[Some(7)], &[7.0], &[7.0])), []);
        assert_eq!(of_merged(&patients(), &merged(&[None], &[0.0], &[90.0])), []);
    }
}
