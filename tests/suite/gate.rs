//! The gate under its default policy, against truths computed slowly from the warehouse's rows: no released cell rests
//! on fewer patients than the threshold, bounds cover the truth, and the same question has one answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use caim_engine::accounting::Accounting;
use caim_engine::merge::merge;
use caim_engine::{AskError, Asker, Node, NodeQuery, Policy, Reply};
use caim_ontology::Models;
use caim_sql::PrivateQuery;
use caim_sql::catalogue::Catalogue;
use caim_sql::lower::{Settings, lower};
use caim_sql::plan::plan;
use caim_sql::private_query::{Aggregate, Dim};
use caim_sql::text::{Statement, read};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{Float64Type, Int64Type};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

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

/// A condition with its SQL and its slow meaning.
#[derive(Clone)]
enum Condition {
    Modality(Vec<&'static str>),
    BodyPart(&'static str),
    NoBodyPart,
    Years(i64, i64),
    AgeFrom(i64),
    Not(Box<Condition>),
    And(Vec<Condition>),
    Or(Vec<Condition>),
}

impl Condition {
    fn draw(random: &mut ChaCha8Rng, depth: u32) -> Self {
        let parts = |random: &mut ChaCha8Rng| (0..2).map(|_| Self::draw(random, depth - 1)).collect();
        match random.random_range(0..if depth == 0 { 5 } else { 8 }) {
            0 => Self::Modality(vec!["CT", "PT"]),
            1 => Self::BodyPart(["CHEST", "HEART", "BREAST"][random.random_range(0..3)]),
            2 => Self::NoBodyPart,
            3 => {
                let first = random.random_range(2010..2023);
                Self::Years(first, first + random.random_range(0..4))
            }
            4 => Self::AgeFrom(random.random_range(20..90)),
            5 => Self::Not(Box::new(Self::draw(random, depth - 1))),
            6 => Self::And(parts(random)),
            _ => Self::Or(parts(random)),
        }
    }

    fn sql(&self) -> String {
        let joined = |parts: &[Condition], word: &str| {
            parts.iter().map(|p| format!("({})", p.sql())).collect::<Vec<_>>().join(word)
        };
        match self {
            Self::Modality(values) => format!("Modality IN ('{}')", values.join("', '")),
            Self::BodyPart(value) => format!("BodyPartExamined = '{value}'"),
            Self::NoBodyPart => "BodyPartExamined IS NULL".into(),
            Self::Years(first, last) => format!("StudyDate BETWEEN DATE '{first}-01-01' AND DATE '{last}-12-31'"),
            Self::AgeFrom(age) => format!("PatientAge >= {age}"),
            Self::Not(inner) => format!("NOT ({})", inner.sql()),
            Self::And(parts) => joined(parts, " AND "),
            Self::Or(parts) => joined(parts, " OR "),
        }
    }

    /// SQL's three-valued truth.
    fn holds(&self, row: &Series) -> Option<bool> {
        match self {
            Self::Modality(values) => row.modality.as_deref().map(|m| values.contains(&m)),
            Self::BodyPart(value) => row.body_part.as_deref().map(|b| b == *value),
            Self::NoBodyPart => Some(row.body_part.is_none()),
            Self::Years(first, last) => row.year().map(|y| (*first..=*last).contains(&y)),
            Self::AgeFrom(age) => row.age.map(|a| a >= *age),
            Self::Not(inner) => inner.holds(row).map(|b| !b),
            Self::And(parts) => {
                let all: Vec<_> = parts.iter().map(|p| p.holds(row)).collect();
                if all.contains(&Some(false)) { Some(false) } else if all.contains(&None) { None } else { Some(true) }
            }
            Self::Or(parts) => {
                let all: Vec<_> = parts.iter().map(|p| p.holds(row)).collect();
                if all.contains(&Some(true)) { Some(true) } else if all.contains(&None) { None } else { Some(false) }
            }
        }
    }
}

const DIMS: [&str; 5] =
    ["Modality", "BodyPartExamined", "Manufacturer", "PatientSex", "EXTRACT(YEAR FROM StudyDate)"];
const MEASURES: [&str; 5] = [
    "count(DISTINCT PatientID)",
    "count(*)",
    "count(DISTINCT StudyInstanceUID)",
    "sum(instanceCount)",
    "avg(PatientAge)",
];

fn statement(random: &mut ChaCha8Rng) -> (String, Condition) {
    let condition = Condition::draw(random, 2);
    let dims: BTreeSet<_> =
        (0..random.random_range(0..3)).map(|_| DIMS[random.random_range(0..DIMS.len())]).collect();
    let measures: BTreeSet<_> =
        (0..random.random_range(1..4)).map(|_| MEASURES[random.random_range(0..MEASURES.len())]).collect();
    let columns: Vec<&str> = dims.iter().chain(&measures).copied().collect();
    let mut sql = format!("SELECT {} FROM dicom.series WHERE {}", columns.join(", "), condition.sql());
    if !dims.is_empty() {
        sql += &format!(" GROUP BY {}", dims.iter().copied().collect::<Vec<_>>().join(", "));
    }
    (sql, condition)
}

fn lowered(models: &Arc<Models>, sql: &str) -> PrivateQuery {
    let catalogue = Catalogue::new(Arc::clone(models), Vec::new());
    let Statement::Query(query) = read(sql).unwrap() else { panic!("{sql} is a query") };
    let planned = plan(&query, &catalogue).unwrap_or_else(|r| panic!("{sql}: {r}"));
    let lowered = lower(&planned, &catalogue, &Settings::default()).unwrap_or_else(|r| panic!("{sql}: {r}"));
    lowered.queries.into_iter().next().unwrap()
}

fn question(query: &PrivateQuery, models: &Models) -> NodeQuery {
    let asker = Asker { user: "u".into(), project: "p".into(), purpose: String::new() };
    NodeQuery {
        query: query.clone(),
        models: models.version(),
        asker,
        query_id: "q".into(),
        deadline_ms: 60_000,
    }
}

async fn ask(node: &Arc<Node>, query: &PrivateQuery, models: &Models) -> Reply {
    let released = node.answer(question(query, models)).await.unwrap();
    Reply::check(query, models, &[released.batch().clone()], released.facts().clone()).unwrap()
}

type Cell = Vec<Option<String>>;

fn cell_of(query: &PrivateQuery, row: &Series) -> Cell {
    let dim = |dim: &Dim| match dim {
        Dim::Column(column) => match column.column.as_str() {
            "modality" => row.modality.clone(),
            "bodypartexamined" => row.body_part.clone(),
            "manufacturer" => row.manufacturer.clone(),
            "patientsex" => row.sex.clone(),
            other => panic!("no truth for {other}"),
        },
        Dim::DatePart { .. } => row.year().map(|y| y.to_string()),
    };
    query.dims.iter().map(dim).collect()
}

/// Whether the row has what the measure needs, and the number it adds.
fn adds(of: &Aggregate, row: &Series) -> Option<f64> {
    match of {
        Aggregate::Patients | Aggregate::Rows | Aggregate::Distinct(_) => Some(1.0),
        Aggregate::Sum(_) => row.instances.map(|n| n as f64),
        Aggregate::Avg(_) => row.age.map(|n| n as f64),
    }
}

/// A measure of a cell: all its patients, and the value after bounding contributions.
#[derive(Default, Clone)]
struct Truth {
    patients: BTreeSet<u32>,
    value: f64,
    rows: f64,
}

/// Reads the rules of privacy.md §2 slowly: of each patient's rows in the order of their keys, the first of each of the
/// first L cells, then more of those cells up to c.
fn truths(
    query: &PrivateQuery,
    accounting: &Accounting,
    of: &Aggregate,
    rows: &[&Series],
) -> BTreeMap<Cell, Truth> {
    let mut by_patient: BTreeMap<u32, Vec<&Series>> = BTreeMap::new();
    let mut truths: BTreeMap<Cell, Truth> = BTreeMap::new();
    for row in rows.iter().filter(|r| adds(of, r).is_some()) {
        let Some(patient) = row.patient else { continue };
        by_patient.entry(patient).or_default().push(row);
        truths.entry(cell_of(query, row)).or_default().patients.insert(patient);
    }
    let (most_rows, most_cells) = (accounting.rows_per_patient as usize, accounting.cells_per_patient as usize);
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
            let new = match of {
                Aggregate::Patients => seen.insert((cell, String::new())),
                Aggregate::Distinct(_) => seen.insert((cell, row.study.clone())),
                Aggregate::Rows | Aggregate::Sum(_) | Aggregate::Avg(_) => true,
            };
            if new {
                truth.value += adds(of, row).unwrap();
                truth.rows += 1.0;
            }
        }
    }
    truths
}

fn number(column: &ArrayRef, row: usize) -> Option<f64> {
    if column.is_null(row) {
        return None;
    }
    match column.as_primitive_opt::<Int64Type>() {
        Some(whole) => Some(whole.value(row) as f64),
        None => Some(column.as_primitive::<Float64Type>().value(row)),
    }
}

fn released_cell(query: &PrivateQuery, merged: &RecordBatch, row: usize) -> Cell {
    let text = |i: usize| {
        let column = merged.column(i);
        if column.is_null(row) {
            return None;
        }
        Some(match column.as_string_opt::<i32>() {
            Some(text) => text.value(row).to_owned(),
            None => column.as_primitive::<Int64Type>().value(row).to_string(),
        })
    };
    (0..query.dims.len()).map(text).collect()
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
        let truths = truths(query, &accounting, &measure.of, rows);
        let noise = accounting.noise_of(m).unwrap();
        let column = |suffix: &str| merged.column_by_name(&format!("m{m}{suffix}")).unwrap();
        let shown: BTreeSet<&Cell> = cells.iter().collect();
        let absent = truths.keys().filter(|c| !shown.contains(c));
        for cell in cells.iter().chain(absent) {
            let truth = truths.get(cell).cloned().unwrap_or_default();
            let row = cells.iter().position(|c| c == cell);
            let value = row.and_then(|row| number(column(""), row));
            if value.is_some() {
                assert!(truth.patients.len() >= THRESHOLD, "a cell of {} patients left", truth.patients.len());
                score.released += 1;
            }
            let hidden = noise.effective_threshold + 1.65 * noise.patients_sd;
            let (each, exact) = match measure.of {
                Aggregate::Patients => (1.0, truth.value),
                Aggregate::Rows | Aggregate::Distinct(_) => (15.0, truth.value),
                Aggregate::Sum(_) => (15.0 * 5_000.0, truth.value),
                Aggregate::Avg(_) if truth.rows == 0.0 => continue,
                Aggregate::Avg(_) => (120.0, truth.value / truth.rows),
            };
            let (lower, upper) = match row {
                Some(row) => (number(column("_lower"), row).unwrap(), number(column("_upper"), row).unwrap()),
                None if matches!(measure.of, Aggregate::Avg(_)) => (0.0, 120.0),
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
        let query = lowered(&models, &sql);
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
    let query = lowered(&models, "SELECT Modality, count(DISTINCT PatientID) FROM dicom.series GROUP BY Modality");
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
        let sql = format!("SELECT count(DISTINCT PatientID) FROM dicom.series WHERE PatientAge >= {}", 20 + age);
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
    for shape in ["SELECT count(DISTINCT PatientID), count(*) FROM dicom.series WHERE {}",
        "SELECT Modality, count(DISTINCT PatientID) FROM dicom.series WHERE {} GROUP BY Modality"]
    {
        let mut answers = Vec::new();
        for maker in ["Rare Co", "Nobody"] {
            let sql = shape.replace("{}", &format!("Manufacturer = '{maker}'"));
            answers.push(ask(&node, &lowered(&models, &sql), &models).await);
        }
        assert_eq!(answers[0].batch(), answers[1].batch());
        assert_eq!(answers[0].facts().rho, answers[1].facts().rho);
    }
}
