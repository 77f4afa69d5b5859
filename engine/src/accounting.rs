//! What a question costs and how far one patient can move its answer: functions of the question and public bounds.
//!
//! The one place where sensitivities are computed. A question has *streams*, one for each distinct pair of a filter
//! and a number or identifier that must not be NULL; a stream has a hidden vector of patient counts, for the threshold, and the
//! vectors its measures need. Every vector is noised once and paid for once, however many measures use it.

use caim_ontology::{Bounds, Models, Table};
use caim_sql::PrivateQuery;
use caim_sql::bounds::{self, EvenBins};
use caim_sql::private_query::{Aggregate, BoolTree, ColumnRef, Dim, Measure, Number};

use crate::policy::Policy;

/// `L` of the gate: cells one patient may be in, where a dimension can differ within a patient.
pub const CELLS_PER_PATIENT: u32 = 3;

/// Standard deviations of noise between the threshold of released cells and `k`.
pub const THRESHOLD_SDS: f64 = 5.0;

/// Noise scales are rounded up to multiples of 1/1024, which the exact sampler takes as a rational.
pub(crate) const SD_DENOMINATOR: u64 = 1024;

/// Fixed point has this many steps between 0 and a column's largest magnitude.
const FIXED_POINT_STEPS: f64 = (1u64 << 24) as f64;

/// Rows of one patient that go into an answer under one filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stream {
    /// The rows that count.
    pub(crate) filter: BoolTree,
    /// The number (or identifier) that must not be NULL, if any.
    pub(crate) needs: Option<Number>,
}

/// What is summed over patients, cell by cell, and noised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vector {
    /// 1 a patient. The threshold rests on it.
    Patients,
    /// Rows of a patient.
    Rows,
    /// Different values of the stream's column within a patient.
    Distinct,
    /// Clamped values in steps of `unit`.
    Sum(FixedPoint),
    /// Squares of clamped values.
    Squares(Squares),
    /// Rows of a patient by bins of the stream's number: several slots a cell.
    Bins(EvenBins),
}

impl Vector {
    /// Integers that a cell has in this vector.
    pub(crate) fn slots(self) -> usize {
        match self {
            Self::Patients | Self::Rows | Self::Distinct | Self::Sum(_) | Self::Squares(_) => 1,
            Self::Bins(bins) => bins.count as usize,
        }
    }

    /// What one of its integers is worth, in the unit of the measure.
    fn unit(self) -> f64 {
        match self {
            Self::Patients | Self::Rows | Self::Distinct | Self::Bins(_) => 1.0,
            Self::Sum(fixed) => fixed.unit,
            Self::Squares(squares) => squares.unit,
        }
    }
}

/// How squares become integers: of the centred, clamped value, in steps of `unit`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Squares {
    centred: FixedPoint,
    pub(crate) unit: f64,
}

impl Eq for Squares {}

/// How values become integers: clamped to the bounds, shifted by `origin`, in steps of `unit`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct FixedPoint {
    pub(crate) lo: f64,
    pub(crate) hi: f64,
    pub(crate) origin: f64,
    pub(crate) unit: f64,
}

impl Eq for FixedPoint {}

/// A vector of a stream with its noise.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NoisedVector {
    /// Position in [`Accounting::streams`].
    pub(crate) stream: usize,
    pub(crate) of: Vector,
    /// Standard deviation of the noise, in 1/1024 of the vector's integers.
    pub(crate) sd_1024: u64,
}

impl NoisedVector {
    /// Standard deviation of the noise, in the unit of the measure.
    pub(crate) fn sd(&self) -> f64 {
        self.sd_1024 as f64 / SD_DENOMINATOR as f64 * self.of.unit()
    }
}

/// Where a measure's value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// A count vector.
    Count(usize),
    /// A sum vector.
    Sum(usize),
    /// A centred sum and the count of its rows.
    Mean {
        /// Vector of the centred sum.
        sum: usize,
        /// Vector of the row count.
        rows: usize,
    },
    /// A centred sum, centred squares, and the count of their rows.
    Spread {
        /// Vector of the centred sum.
        sum: usize,
        /// Vector of the squares.
        squares: usize,
        /// Vector of the row count.
        rows: usize,
    },
    /// Counts of rows by bins.
    Bins(usize),
}

/// How one measure is noised. Public.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeasureNoise {
    /// Standard deviation of the count or sum, in the unit of the measure: of the centred sum, for a mean or variance; of
    /// the count in each bin, for a percentile.
    pub sd: f64,
    /// Standard deviation of the row count of a mean or variance; 0 for other measures.
    pub count_sd: f64,
    /// Standard deviation of the centred squares of a variance; 0 for other measures.
    pub squares_sd: f64,
    /// Standard deviation of the hidden patient count that the threshold rests on.
    pub patients_sd: f64,
    /// `k + 5 sd`: a cell of so many patients is released as often as not.
    pub effective_threshold: f64,
}

/// What one question costs and how much noise it gets. Public.
#[derive(Debug, Clone, PartialEq)]
pub struct Accounting {
    pub(crate) streams: Vec<Stream>,
    pub(crate) vectors: Vec<NoisedVector>,
    /// For each stream, its hidden patient vector.
    pub(crate) patients: Vec<usize>,
    /// For each measure, its stream and source.
    pub(crate) measures: Vec<(usize, Source)>,
    /// `c`: rows one patient may add.
    pub rows_per_patient: u32,
    /// `L`: cells one patient may be in.
    pub cells_per_patient: u32,
    /// The noise multiplier that applies.
    pub noise_sd: f64,
    /// Cost in zero-concentrated differential privacy.
    pub rho: f64,
    /// The chance that a cell is released only because of one patient.
    pub delta: f64,
    threshold: u32,
}

impl Accounting {
    /// Computes vectors, noise and cost of a validated question under a policy.
    ///
    /// # Errors
    /// When the question names what the models do not have (validation excludes that).
    pub fn new(query: &PrivateQuery, models: &Models, policy: &Policy) -> Result<Self, String> {
        let noise_sd = query.noise_sd_milli.map_or(policy.noise_sd, |milli| f64::from(milli) / 1000.0);
        let mut accounting = Self {
            streams: Vec::new(),
            vectors: Vec::new(),
            patients: Vec::new(),
            measures: Vec::new(),
            rows_per_patient: rows_of_patient(query, models)?,
            cells_per_patient: cells_of_patient(query, models)?,
            noise_sd,
            rho: 0.0,
            delta: 0.0,
            threshold: policy.threshold,
        };
        for measure in &query.measures {
            let entry = accounting.add_measure(measure, query, models)?;
            accounting.measures.push(entry);
        }
        if query.measures.is_empty() {
            accounting.stream(&BoolTree::always(), None);
        }
        accounting.rho = accounting.vectors.len() as f64 / (2.0 * noise_sd * noise_sd);
        accounting.delta = accounting
            .patients
            .iter()
            .filter_map(|v| accounting.vectors.get(*v))
            .map(|v| f64::from(accounting.cells_per_patient) * tail(v.sd_1024))
            .sum();
        Ok(accounting)
    }

    fn effective_threshold(&self, stream: usize) -> Option<f64> {
        let vector = self.vectors.get(*self.patients.get(stream)?)?;
        Some(f64::from(self.threshold) + THRESHOLD_SDS * vector.sd())
    }

    /// The noise of a measure. `None` for no such measure.
    #[must_use]
    pub fn noise_of(&self, measure: usize) -> Option<MeasureNoise> {
        let (stream, source) = *self.measures.get(measure)?;
        let sd = |vector: usize| self.vectors.get(vector).map(NoisedVector::sd);
        let (value, rows, squares) = match source {
            Source::Count(vector) | Source::Sum(vector) | Source::Bins(vector) => (sd(vector)?, 0.0, 0.0),
            Source::Mean { sum, rows } => (sd(sum)?, sd(rows)?, 0.0),
            Source::Spread { sum, squares, rows } => (sd(sum)?, sd(rows)?, sd(squares)?),
        };
        Some(MeasureNoise {
            sd: value,
            count_sd: rows,
            squares_sd: squares,
            patients_sd: sd(*self.patients.get(stream)?)?,
            effective_threshold: self.effective_threshold(stream)?,
        })
    }

    fn add_measure(
        &mut self,
        Measure { of, filter }: &Measure,
        query: &PrivateQuery,
        models: &Models,
    ) -> Result<(usize, Source), String> {
        let bounds =
            |number: &Number| bounds::of(number, query, filter, models).map_err(|refusal| refusal.reason);
        Ok(match of {
            Aggregate::Patients => {
                let stream = self.stream(filter, None);
                (stream, Source::Count(self.vector(stream, Vector::Patients)))
            }
            Aggregate::Rows => {
                let stream = self.stream(filter, None);
                (stream, Source::Count(self.vector(stream, Vector::Rows)))
            }
            Aggregate::Distinct(column) => {
                let stream = self.stream(filter, Some(&Number::Column(column.clone())));
                (stream, Source::Count(self.vector(stream, Vector::Distinct)))
            }
            Aggregate::Sum(number) => {
                let fixed = FixedPoint::sum(bounds(number)?);
                let stream = self.stream(filter, Some(number));
                (stream, Source::Sum(self.vector(stream, Vector::Sum(fixed))))
            }
            Aggregate::Avg(number) => {
                let fixed = FixedPoint::centred(bounds(number)?);
                let stream = self.stream(filter, Some(number));
                let sum = self.vector(stream, Vector::Sum(fixed));
                (stream, Source::Mean { sum, rows: self.vector(stream, Vector::Rows) })
            }
            Aggregate::Variance { of, .. } => {
                let fixed = FixedPoint::centred(bounds(of)?);
                let stream = self.stream(filter, Some(of));
                let sum = self.vector(stream, Vector::Sum(fixed));
                let squares = self.vector(stream, Vector::Squares(Squares::new(fixed)));
                (stream, Source::Spread { sum, squares, rows: self.vector(stream, Vector::Rows) })
            }
            Aggregate::Quantile { of, .. } => {
                let bins = bounds::quantile_bins(of, query, filter, models);
                let bins = bins.map_err(|refusal| refusal.reason)?;
                let stream = self.stream(filter, Some(of));
                (stream, Source::Bins(self.vector(stream, Vector::Bins(bins))))
            }
        })
    }

    fn stream(&mut self, filter: &BoolTree, needs: Option<&Number>) -> usize {
        let wanted = Stream { filter: filter.clone(), needs: needs.cloned() };
        if let Some(found) = self.streams.iter().position(|s| *s == wanted) {
            return found;
        }
        self.streams.push(wanted);
        let stream = self.streams.len() - 1;
        let patients = self.vector(stream, Vector::Patients);
        self.patients.push(patients);
        stream
    }

    fn vector(&mut self, stream: usize, of: Vector) -> usize {
        if let Some(found) = self.vectors.iter().position(|v| v.stream == stream && v.of == of) {
            return found;
        }
        let sd = self.noise_sd * self.sensitivity(of);
        let sd_1024 = (sd * SD_DENOMINATOR as f64).ceil() as u64;
        self.vectors.push(NoisedVector { stream, of, sd_1024 });
        self.vectors.len() - 1
    }

    /// L2 distance, in the vector's integers, that one patient can move it.
    fn sensitivity(&self, of: Vector) -> f64 {
        let rows = f64::from(self.rows_per_patient);
        match of {
            Vector::Patients => f64::from(self.cells_per_patient).sqrt(),
            // Rows of one bin of one cell, at the worst.
            Vector::Rows | Vector::Distinct | Vector::Bins(_) => rows,
            Vector::Sum(fixed) => rows * fixed.largest() as f64,
            Vector::Squares(squares) => rows * squares.largest() as f64,
        }
    }
}

impl FixedPoint {
    fn sum(bounds: Bounds) -> Self {
        Self::with_origin(bounds, 0.0)
    }

    fn centred(bounds: Bounds) -> Self {
        Self::with_origin(bounds, f64::midpoint(bounds.lo, bounds.hi))
    }

    fn with_origin(Bounds { lo, hi, .. }: Bounds, origin: f64) -> Self {
        let unit = step((lo - origin).abs().max((hi - origin).abs()));
        Self { lo, hi, origin, unit }
    }

    /// The integer of a value: clamped, shifted, in steps.
    pub(crate) fn encode(&self, value: f64) -> i64 {
        ((value.clamp(self.lo, self.hi) - self.origin) / self.unit).round() as i64
    }

    /// The largest magnitude that [`encode`](Self::encode) gives.
    pub(crate) fn largest(&self) -> i64 {
        self.encode(self.lo).abs().max(self.encode(self.hi).abs())
    }
}

impl Squares {
    fn new(centred: FixedPoint) -> Self {
        let reach = (centred.lo - centred.origin).abs().max((centred.hi - centred.origin).abs());
        Self { centred, unit: step(reach * reach) }
    }

    /// The integer of a value: clamped, centred, squared, in steps.
    pub(crate) fn encode(&self, value: f64) -> i64 {
        let FixedPoint { lo, hi, origin, .. } = self.centred;
        ((value.clamp(lo, hi) - origin).powi(2) / self.unit).round() as i64
    }

    /// The largest that [`encode`](Self::encode) gives.
    fn largest(&self) -> i64 {
        self.encode(self.centred.lo).max(self.encode(self.centred.hi))
    }
}

/// The step of fixed point for values up to a magnitude: a power of two.
fn step(magnitude: f64) -> f64 {
    2f64.powi((magnitude / FIXED_POINT_STEPS).log2().ceil() as i32)
}

fn tables<'m>(query: &PrivateQuery, models: &'m Models) -> Result<Vec<&'m Table>, String> {
    let find = |t: &caim_sql::private_query::TableRef| models.table(&t.schema, &t.table);
    query.from.tables.iter().map(find).collect::<Result<_, _>>().map_err(|e| e.to_string())
}

/// `c`: how many rows one patient may add to an answer.
pub(crate) fn rows_of_patient(query: &PrivateQuery, models: &Models) -> Result<u32, String> {
    let models = query.over(models).map_err(|refusal| refusal.reason)?;
    let largest = tables(query, &models)?.iter().map(|t| t.rows_per_patient).max().unwrap_or(1);
    Ok(query.max_rows_per_patient.unwrap_or(largest))
}

/// `L`: one cell a patient when every dimension stands in a table of one row a patient; else [`CELLS_PER_PATIENT`].
pub(crate) fn cells_of_patient(query: &PrivateQuery, models: &Models) -> Result<u32, String> {
    let models = query.over(models).map_err(|refusal| refusal.reason)?;
    let tables = tables(query, &models)?;
    let fixed = |column: &ColumnRef| {
        tables
            .get(column.table)
            .is_some_and(|t| t.rows_per_patient == 1 && t.kind == caim_ontology::TableKind::Patient)
    };
    Ok(if query.dims.iter().flat_map(Dim::columns).all(fixed) { 1 } else { CELLS_PER_PATIENT })
}

/// P(X >= 5 sd) of the discrete Gaussian with standard deviation `sd_1024 / 1024`.
fn tail(sd_1024: u64) -> f64 {
    let sd = sd_1024 as f64 / SD_DENOMINATOR as f64;
    let density = |x: f64| (-x * x / (2.0 * sd * sd)).exp();
    let first = (THRESHOLD_SDS * sd).ceil();
    let terms = (12.0 * sd).ceil() as u64;
    let above: f64 = (0..terms).map(|i| density(first + i as f64)).sum();
    let half: f64 = (1..terms).map(|i| density(i as f64)).sum();
    above / (1.0 + 2.0 * half)
}

#[cfg(test)]
mod tests {
    use caim_ontology::{Bounds, Models};
    use caim_sql::PrivateQuery;
    use caim_sql::private_query::{
        Aggregate, Atom, Bins, BoolTree, ColumnRef, DateOf, Days, Dim, JoinTree, Measure, Number, TableRef,
        VERSION, Value,
    };

    use super::{Accounting, FixedPoint, tail};
    use crate::policy::Policy;

    fn query(table: (&str, &str), dims: &[&str], measures: Vec<Aggregate>) -> PrivateQuery {
        let measures = measures.into_iter().map(|of| Measure { of, filter: BoolTree::always() }).collect();
        PrivateQuery {
            version: VERSION,
            per_patient: Vec::new(),
            from: JoinTree { tables: vec![TableRef::new(table.0, table.1)], edges: vec![] },
            cohort: BoolTree::always(),
            dims: dims.iter().map(|d| Dim::Column(ColumnRef::new(0, d))).collect(),
            measures,
            noise_sd_milli: None,
            max_rows_per_patient: None,
        }
    }

    fn account(query: &PrivateQuery) -> Accounting {
        Accounting::new(query, &Models::bundled().unwrap(), &Policy::default()).unwrap()
    }

    #[test]
    fn one_patient_count_costs_one_thirty_second_at_the_defaults() {
        let grouped = account(&query(("dicom", "series"), &["modality"], vec![Aggregate::Patients]));
        let plain = account(&query(("dicom", "series"), &[], vec![Aggregate::Patients]));
        assert_eq!((grouped.rho, plain.rho), (1.0 / 32.0, 1.0 / 32.0));
        assert_eq!((grouped.cells_per_patient, plain.cells_per_patient), (3, 1));
    }

    #[test]
    fn hidden_vectors_are_paid_for_and_shared_ones_once() {
        let rows = account(&query(("dicom", "series"), &[], vec![Aggregate::Rows]));
        assert_eq!(rows.vectors.len(), 2, "rows and the hidden patients");
        let size = Number::Column(ColumnRef::new(0, "series_size_mb"));
        let mean = vec![Aggregate::Avg(size.clone()), Aggregate::Sum(size)];
        let mean = account(&query(("dicom", "series"), &[], mean));
        assert_eq!(mean.vectors.len(), 4, "centred sum, its rows, plain sum, one hidden patients");
    }

    #[test]
    fn dimensions_of_one_row_a_patient_need_one_cell() {
        let sex = account(&query(("omop", "person"), &["gender_concept_id"], vec![Aggregate::Patients]));
        assert_eq!(sex.cells_per_patient, 1);
    }

    #[test]
    fn noise_scales_with_what_one_patient_can_add() {
        let rows = account(&query(("dicom", "series"), &[], vec![Aggregate::Rows]));
        let sds: Vec<f64> = rows.vectors.iter().map(super::NoisedVector::sd).collect();
        assert_eq!(sds, [4.0, 60.0]);
    }

    #[test]
    fn days_cost_as_any_sum_and_a_narrower_range_of_them_less_noise() {
        let column = |name| ColumnRef::new(0, name);
        let (from, to) = (column("condition_start_date"), column("condition_end_date"));
        let days = Number::Days(Days { from: from.clone(), to: to.clone() });
        let mut mean = query(("omop", "condition_occurrence"), &[], vec![Aggregate::Avg(days.clone())]);
        let wide = account(&mean);
        let rows = f64::from(wide.rows_per_patient);
        // A centred sum reaches half the width of the bounds a row: ten years either way, or 45 days.
        assert_eq!(wide.noise_of(0).unwrap().sd, 4.0 * rows * 3_650.0);
        mean.cohort = BoolTree::Is(Atom::DateDiff {
            from: DateOf::Own(from),
            to: DateOf::Own(to),
            lo: Some(0),
            hi: Some(91),
        });
        let narrow = account(&mean);
        assert_eq!(narrow.noise_of(0).unwrap().sd, 4.0 * rows * 45.0);
        assert_eq!((narrow.rho, narrow.vectors.len()), (3.0 / 32.0, 3));
        mean.dims = vec![Dim::Bin { of: days, by: Bins::Width(Value::Integer(30)) }];
        assert_eq!((account(&mean).cells_per_patient, account(&mean).rho), (3, 3.0 / 32.0));
    }

    #[test]
    fn fixed_point_never_exceeds_the_sensitivity_it_declares() {
        for (lo, hi) in [(0.0, 5000.0), (-3.0, 7.0), (0.0, 0.001), (-1e9, 1e9)] {
            let bounds = Bounds { lo, hi, grid: 1.0 };
            for fixed in [FixedPoint::sum(bounds), FixedPoint::centred(bounds)] {
                for value in [lo, hi, lo - 1.0, hi * 2.0, f64::midpoint(lo, hi), hi / 3.0] {
                    assert!(fixed.encode(value).abs() <= fixed.largest(), "{value} in {lo}..{hi}");
                }
            }
        }
    }

    #[test]
    fn the_tail_is_that_of_a_gaussian() {
        assert!((tail(1024 * 64) / 2.87e-7 - 1.0).abs() < 0.1, "{}", tail(1024 * 64));
        assert!(tail(1024 * 2) > 2.87e-7, "coarse steps have a heavier tail");
    }
}
