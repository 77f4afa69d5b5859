//! How far the values of an answer may lie from the truth: the widest of the bounds that the merge computed.
//!
//! It goes with every answer, so that nobody reads a released count as an exact one.

use caim_ontology::Models;
use caim_sql::PrivateQuery;
use caim_sql::private_query::Aggregate;
use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{Float64Type, Int64Type};
use datafusion::arrow::record_batch::RecordBatch;

use super::check::describe;
use crate::accounting::Accounting;
use crate::federate::Precision;
use crate::policy::Policy;

/// One entry a measure of a merged table, in the schema of [`caim_sql::released::schema`]; none for exact ones.
pub(super) fn of_merged(
    query: &PrivateQuery,
    models: &Models,
    merged: &RecordBatch,
) -> Result<Vec<Precision>, String> {
    // The limits of a patient are the same under every policy.
    let limits = Accounting::new(query, models, &Policy::default())?;
    let entry = |(i, measure): (usize, &caim_sql::private_query::Measure)| {
        let (below, above) = widest(merged, i)?;
        let counts_patients = measure.of == Aggregate::Patients;
        let precision = Precision {
            measure: describe(&measure.of),
            below,
            above,
            cells_per_patient: limits.cells_per_patient,
            rows_per_patient: (!counts_patients).then_some(limits.rows_per_patient),
        };
        (below > 0.0 || above > 0.0).then_some(precision)
    };
    Ok(query.measures.iter().enumerate().filter_map(entry).collect())
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

    use caim_ontology::Models;
    use caim_sql::private_query::{
        Aggregate, BoolTree, ColumnRef, Dim, JoinTree, Measure, PrivateQuery, TableRef, VERSION,
    };
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
            per_patient: Vec::new(),
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
        let precision = of_merged(&patients(), &Models::bundled().unwrap(), &table).unwrap();
        assert_eq!(precision.len(), 1);
        assert_eq!((precision[0].below, precision[0].above), (10.0, 30.0));
        assert_eq!(precision[0].to_string(), "patients: between 10 less and 30 more (95 %)");
    }

    #[test]
    fn the_limits_of_a_patient_stand_beside_the_bounds() {
        let rows = Measure { of: Aggregate::Rows, filter: BoolTree::always() };
        let modality = Dim::Column(ColumnRef::new(0, "modality"));
        let from = JoinTree { tables: vec![TableRef::new("dicom", "series")], edges: vec![] };
        let query = PrivateQuery { from, dims: vec![modality], measures: vec![rows], ..patients() };
        let table = merged(&[Some(100)], &[90.0], &[110.0]);
        let precision = of_merged(&query, &Models::bundled().unwrap(), &table).unwrap();
        let text = "rows: ±10 (95 %), each patient in at most 3 groups and with at most 15 rows";
        assert_eq!(precision[0].to_string(), text);
    }

    #[test]
    fn exact_answers_say_nothing_of_bounds() {
        let models = Models::bundled().unwrap();
        for table in [merged(&[Some(7)], &[7.0], &[7.0]), merged(&[None], &[0.0], &[90.0])] {
            assert_eq!(of_merged(&patients(), &models, &table), Ok(Vec::new()));
        }
    }
}
