//! The gate under its default policy, against truths computed slowly from the warehouse's rows: no released cell rests
//! on fewer patients than the threshold, bounds cover the truth, and the same question has one answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use caim_engine::accounting::Accounting;
use caim_engine::merge::merge;
use caim_engine::rehearsal::Rehearsal;
use caim_engine::{AskError, Policy};
use caim_ontology::Models;
use caim_sql::PrivateQuery;
use caim_sql::private_query::{Aggregate, Measure};
use datafusion::arrow::array::RecordBatch;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::questions::{
    Cell, adds, ask, cell_of, drawn, lowered, number, percentile, question, released_cell, statement,
    variance,
};
use crate::series::{self, Series};

const SEED: u64 = 20_261_123;
const THRESHOLD: usize = 10;

/// Budgets alone are raised, so that hundreds of questions can be asked.
fn generous() -> Policy {
    let budget = 1e6;
    Policy {
        budget_rho: budget,
        budget_delta: 1.0,
        project_lifetime_rho: budget,
        node_budget_rho: budget,
        ..Policy::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn patients_in_ranges_add_up_to_the_same_sums() {
    let models = Arc::new(Models::bundled().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let epoch = series::ingested(dir.path(), &series::table(SEED, 300)).current().unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let drawn = std::iter::repeat_with(|| statement(&mut random).0).filter_map(|sql| drawn(&models, &sql));
    let both = "SELECT PatientSex, count(DISTINCT PatientID), count(*) FROM dicom.series AS c WHERE EXISTS (SELECT 1 \
                FROM dicom.series AS m WHERE m.PatientID = c.PatientID AND m.Modality = 'MR') GROUP BY 1";
    let several = "SELECT n, count(*) FROM (SELECT PatientID, count(*) AS n FROM dicom.series GROUP BY PatientID) AS t \
                   GROUP BY n";
    let by_hand = [both, several].map(|sql| lowered(&models, sql));
    for query in by_hand.into_iter().chain(drawn.take(30)) {
        let sums = async |ranges| {
            let policy = Policy::default();
            Rehearsal::in_ranges(ranges, &epoch, &models, &policy, &query).await.unwrap().vectors()
        };
        let whole = sums(1).await;
        assert!(sums(2).await == whole && sums(7).await == whole, "{query:?}");
    }
}

/// A measure of a cell: all its patients, and the value after bounding contributions.
#[derive(Default, Clone)]
struct Truth {
    patients: BTreeSet<u32>,
    value: f64,
    rows: f64,
    /// The numbers that count.
    numbers: Vec<f64>,
}

/// Reads the rules of privacy.md §2 slowly: of each patient's rows in the order of their keys, the first of each of the
/// first L cells, then more of those cells up to c.
fn truths(
    query: &PrivateQuery,
    accounting: &Accounting,
    measure: &Measure,
    rows: &[&Series],
) -> BTreeMap<Cell, Truth> {
    let mut by_patient: BTreeMap<u32, Vec<&Series>> = BTreeMap::new();
    let mut truths: BTreeMap<Cell, Truth> = BTreeMap::new();
    for row in rows.iter().filter(|r| adds(measure, r).is_some()) {
        let Some(patient) = row.patient else { continue };
        by_patient.entry(patient).or_default().push(row);
        truths.entry(cell_of(query, row)).or_default().patients.insert(patient);
    }
    let (most_rows, most_cells) =
        (accounting.rows_per_patient as usize, accounting.cells_per_patient as usize);
    for (_, mut own) in by_patient {
        own.sort_by_key(|r| r.key);
        let mut firsts: Vec<&Series> = Vec::new();
        let mut later = Vec::new();
        for row in own {
            let known = firsts.iter().any(|f| cell_of(query, f) == cell_of(query, row));
            if known {
                later.push(row);
            } else if firsts.len() < most_cells {
                firsts.push(row);
            }
        }
        let kept: Vec<&Series> = firsts.into_iter().chain(later).take(most_rows).collect();
        let mut seen = BTreeSet::new();
        for row in kept {
            let cell = cell_of(query, row);
            let truth = truths.get_mut(&cell).unwrap();
            let new = match &measure.of {
                Aggregate::Patients => seen.insert((cell, String::new())),
                Aggregate::Distinct(_) => seen.insert((cell, row.study.clone())),
                Aggregate::Rows
                | Aggregate::Sum(_)
                | Aggregate::Avg(_)
                | Aggregate::Variance { .. }
                | Aggregate::Quantile { .. } => true,
            };
            if new {
                truth.value += adds(measure, row).unwrap();
                truth.rows += 1.0;
                truth.numbers.push(adds(measure, row).unwrap());
            }
        }
    }
    truths
}

#[derive(Default)]
struct Score {
    cells: usize,
    covered: usize,
    released: usize,
}

fn score(query: &PrivateQuery, models: &Models, merged: &RecordBatch, rows: &[&Series], score: &mut Score) {
    let accounting = Accounting::new(query, models, &generous()).unwrap();
    let cells: Vec<Cell> = (0..merged.num_rows()).map(|row| released_cell(query, merged, row)).collect();
    for (m, measure) in query.measures.iter().enumerate() {
        let truths = truths(query, &accounting, measure, rows);
        let noise = accounting.noise_of(m).unwrap();
        let column = |suffix: &str| merged.column_by_name(&format!("m{m}{suffix}")).unwrap();
        let shown: BTreeSet<&Cell> = cells.iter().collect();
        let absent = truths.keys().filter(|c| !shown.contains(c));
        for cell in cells.iter().chain(absent) {
            let truth = truths.get(cell).cloned().unwrap_or_default();
            let row = cells.iter().position(|c| c == cell);
            let value = row.and_then(|row| number(column(""), row));
            if value.is_some() {
                assert!(
                    truth.patients.len() >= THRESHOLD,
                    "a cell of {} patients left",
                    truth.patients.len()
                );
                score.released += 1;
            }
            let hidden = noise.effective_threshold + 1.65 * noise.patients_sd;
            let (each, exact) = match measure.of {
                Aggregate::Patients => (1.0, truth.value),
                Aggregate::Rows | Aggregate::Distinct(_) => (15.0, truth.value),
                Aggregate::Sum(_) => (15.0 * 5_000.0, truth.value),
                Aggregate::Avg(_) | Aggregate::Variance { .. } | Aggregate::Quantile { .. }
                    if truth.rows < 2.0 =>
                {
                    continue;
                }
                Aggregate::Avg(_) => (120.0, truth.value / truth.rows),
                Aggregate::Variance { over, .. } => (3_600.0, variance(&truth.numbers, over).unwrap()),
                Aggregate::Quantile { share, .. } => {
                    (5_000.0, percentile(&truth.numbers, share.get()).unwrap())
                }
            };
            let (lower, upper) = match row {
                Some(row) => (number(column("_lower"), row).unwrap(), number(column("_upper"), row).unwrap()),
                // Nothing is known of it beyond its public bounds.
                None if is_of_its_own(&measure.of) => (0.0, each),
                None => (0.0, hidden * each),
            };
            score.cells += 1;
            score.covered += usize::from((lower..=upper).contains(&exact));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_200_questions_no_small_cell_leaves_and_bounds_cover_the_truth() {
    println!("seed {SEED}");
    let dir = tempfile::tempdir().unwrap();
    let warehouse = series::ingested(dir.path(), &series::table(SEED, 1_500));
    let all = series::stored(&warehouse);
    let models = Arc::new(Models::bundled().unwrap());
    let node = series::node("a", warehouse, generous());
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let mut total = Score::default();
    for _ in 0..220 {
        let (sql, condition) = statement(&mut random);
        let Some(query) = drawn(&models, &sql) else { continue };
        let reply = ask(&node, &query, &models).await;
        let merged = merge(&query, &models, &[(node.profile().unwrap().node, reply)]).unwrap();
        let rows: Vec<&Series> = all.iter().filter(|r| condition.holds(r) == Some(true)).collect();
        score(&query, &models, &merged, &rows, &mut total);
    }
    let share = total.covered as f64 / total.cells as f64;
    println!("{} cells, {} released, {share:.4} covered", total.cells, total.released);
    assert!(total.released > 500, "the gate answers: {} cells released", total.released);
    assert!(share >= 0.95, "bounds cover {share} of all cells");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_question_is_free_and_has_one_answer_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let warehouse = series::ingested(dir.path(), &series::table(1, 400));
    let models = Arc::new(Models::bundled().unwrap());
    let query =
        lowered(&models, "SELECT Modality, count(DISTINCT PatientID) FROM dicom.series GROUP BY Modality");
    let node = series::node("a", warehouse, Policy::default());
    let first = ask(&node, &query, &models).await;
    let again = ask(&node, &query, &models).await;
    drop(node);
    let reopened = caim_warehouse::Warehouse::open(dir.path()).unwrap();
    let restarted = ask(&series::node("a", reopened, Policy::default()), &query, &models).await;
    assert_eq!((first.facts().rho, again.facts().rho, restarted.facts().rho), (1.0 / 32.0, 0.0, 0.0));
    assert_eq!(first.batch(), again.batch());
    assert_eq!(first.batch(), restarted.batch());
    assert!(first.batch().num_rows() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_budget_ends_after_exactly_thirty_two_patient_counts() {
    let dir = tempfile::tempdir().unwrap();
    let warehouse = series::ingested(dir.path(), &series::table(2, 50));
    let models = Arc::new(Models::bundled().unwrap());
    let node = series::node("a", warehouse, Policy::default());
    for age in 0..33 {
        let sql =
            format!("SELECT count(DISTINCT PatientID) FROM dicom.series WHERE PatientAge >= {}", 20 + age);
        let answer = node.answer(question(&lowered(&models, &sql), &models)).await;
        match answer {
            Ok(_) => assert!(age < 32, "question {age} is beyond the budget"),
            Err(AskError::Refused(refusal)) => {
                assert_eq!((age, refusal.code.id()), (32, "CAIM-P201"));
            }
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_patients_and_too_few_look_the_same_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let warehouse = series::ingested(dir.path(), &series::table(3, 300));
    let few = series::stored(&warehouse)
        .iter()
        .filter(|r| r.manufacturer.as_deref() == Some("Rare Co"))
        .filter_map(|r| r.patient)
        .collect::<BTreeSet<_>>();
    assert!((1..THRESHOLD).contains(&few.len()), "{} patients in the rare cell", few.len());
    let models = Arc::new(Models::bundled().unwrap());
    let node = series::node("a", warehouse, generous());
    for shape in [
        "SELECT count(DISTINCT PatientID), count(*) FROM dicom.series WHERE {}",
        "SELECT Modality, count(DISTINCT PatientID) FROM dicom.series WHERE {} GROUP BY Modality",
    ] {
        let mut answers = Vec::new();
        for maker in ["Rare Co", "Nobody"] {
            let sql = shape.replace("{}", &format!("Manufacturer = '{maker}'"));
            answers.push(ask(&node, &lowered(&models, &sql), &models).await);
        }
        assert_eq!(answers[0].batch(), answers[1].batch());
        assert_eq!(answers[0].facts().rho, answers[1].facts().rho);
    }
}

/// Whether what nobody released is bounded by public bounds alone.
fn is_of_its_own(of: &Aggregate) -> bool {
    matches!(of, Aggregate::Avg(_) | Aggregate::Variance { .. } | Aggregate::Quantile { .. })
}
