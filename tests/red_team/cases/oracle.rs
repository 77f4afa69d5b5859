//! Adversarial questions against a slow count: no released cell rests on fewer than `k` patients.

use std::collections::{BTreeMap, BTreeSet};

use caim_sql::PrivateQuery;
use caim_sql::catalogue::Catalogue;
use caim_sql::lower::{Settings, lower};
use caim_sql::plan::plan;
use caim_sql::text::{Statement, read};
use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::lab::{Lab, rehearse};
use crate::report::Verdict;
use crate::site::{Site, models, policy};
use crate::world::{Row, Value, World};

/// A table, its texts with values, and its numbers with points of their grid.
type Columns =
    (&'static str, &'static [(&'static str, &'static [&'static str])], &'static [(&'static str, i64)]);

const TABLES: &[Columns] = &[
    (
        "patient",
        &[
            ("sex", &["female", "male"]),
            ("zip3", &["100", "200", "300", "999"]),
            ("topography", &["C34", "C18"]),
            ("modality_any", &["MR", "XA", "CT"]),
        ],
        &[("birth_year", 1955), ("weight_kg", 75), ("tumour_mm", 20)],
    ),
    (
        "condition",
        &[
            ("icdo3_topography", &["C34.1", "C99.9", "C77.9"]),
            ("icdo3_morphology", &["8100/3", "8110/3", "8999/3"]),
        ],
        &[],
    ),
    (
        "imaging_study",
        &[("collection", &["c1", "edge", "dose"]), ("modality", &["CT", "X1", "X2", "RF"])],
        &[("dose_mgy", 2), ("weight_kg", 70)],
    ),
    (
        "imaging_series",
        &[
            ("body_part", &["CHEST", "BREAST", "HEART"]),
            ("modality", &["MR", "CT"]),
            ("manufacturer", &["GE", "1"]),
        ],
        &[],
    ),
];

/// A condition with SQL's three-valued meaning.
enum Condition {
    Equals(&'static str, &'static str),
    Below(&'static str, i64),
    Not(Box<Condition>),
    Both(Box<Condition>, Box<Condition>),
    Either(Box<Condition>, Box<Condition>),
}

impl Condition {
    fn draw(random: &mut ChaCha8Rng, (_, texts, numbers): &Columns, depth: u32) -> Self {
        let inner =
            |random: &mut ChaCha8Rng| Box::new(Self::draw(random, &(TABLES[0].0, texts, numbers), depth - 1));
        match random.random_range(0..if depth == 0 { 4 } else { 8 }) {
            0 if !numbers.is_empty() => {
                let (column, value) = numbers[random.random_range(0..numbers.len())];
                Self::Below(column, value)
            }
            4 | 5 => Self::Not(inner(random)),
            6 => Self::Both(inner(random), inner(random)),
            7 => Self::Either(inner(random), inner(random)),
            _ => {
                let (column, values) = texts[random.random_range(0..texts.len())];
                Self::Equals(column, values[random.random_range(0..values.len())])
            }
        }
    }

    fn sql(&self) -> String {
        match self {
            Self::Equals(column, value) => format!("{column} = '{value}'"),
            Self::Below(column, value) => format!("{column} < {value}"),
            Self::Not(inner) => format!("NOT ({})", inner.sql()),
            Self::Both(a, b) => format!("({}) AND ({})", a.sql(), b.sql()),
            Self::Either(a, b) => format!("({}) OR ({})", a.sql(), b.sql()),
        }
    }

    fn holds(&self, row: &Row) -> Option<bool> {
        match self {
            Self::Equals(column, value) => row.get(column).map(|v| *v == Value::Text((*value).to_owned())),
            Self::Below(column, value) => number(row, column).map(|n| n < *value as f64),
            Self::Not(inner) => inner.holds(row).map(|b| !b),
            Self::Both(a, b) => match (a.holds(row), b.holds(row)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            Self::Either(a, b) => match (a.holds(row), b.holds(row)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
        }
    }
}

fn number(row: &Row, column: &str) -> Option<f64> {
    match row.get(column)? {
        Value::Whole(n) => Some(*n as f64),
        Value::Number(x) => Some(*x),
        Value::Text(_) | Value::Flag(_) | Value::Day(_) => None,
    }
}

/// A question and its slow meaning.
struct Question {
    table: &'static str,
    dims: BTreeSet<&'static str>,
    cohort: Condition,
    /// The column that must be filled, if any, the filter, and the SQL.
    measures: Vec<(Option<&'static str>, Option<Condition>, String)>,
}

impl Question {
    fn draw(random: &mut ChaCha8Rng) -> Self {
        let columns = &TABLES[random.random_range(0..TABLES.len())];
        let (table, texts, numbers) = columns;
        let dims =
            (0..random.random_range(0..3)).map(|_| texts[random.random_range(0..texts.len())].0).collect();
        let measure = |random: &mut ChaCha8Rng| {
            let filter = random.random_bool(0.4).then(|| Condition::draw(random, columns, 1));
            let (needs, call) = match random.random_range(0..4) {
                2 | 3 if !numbers.is_empty() => {
                    let column = numbers[random.random_range(0..numbers.len())].0;
                    (Some(column), format!("{}({column})", ["sum", "avg"][random.random_range(0..2)]))
                }
                0 => (None, "count(*)".to_owned()),
                _ => (None, "count(DISTINCT patient_id)".to_owned()),
            };
            let filtered = filter.as_ref().map_or(String::new(), |f| format!(" FILTER (WHERE {})", f.sql()));
            (needs, filter, format!("{call}{filtered}"))
        };
        let measures = (0..random.random_range(1..4)).map(|_| measure(random)).collect();
        Self { table, dims, cohort: Condition::draw(random, columns, 2), measures }
    }

    fn sql(&self) -> String {
        let measures = self.measures.iter().enumerate().map(|(i, m)| format!("{} AS c{i}", m.2));
        let dims: Vec<String> = self.dims.iter().map(|d| (*d).to_owned()).collect();
        let columns: Vec<String> = dims.iter().cloned().chain(measures).collect();
        let groups = if dims.is_empty() { String::new() } else { format!(" GROUP BY {}", dims.join(", ")) };
        format!("SELECT {} FROM {} WHERE {}{groups}", columns.join(", "), self.table, self.cohort.sql())
    }

    /// The fewest patients that stand behind each cell of any measure that shows something; by the measure of the
    /// closed form, which may stand in another order or be shared: so the most patients of any measure count.
    fn patients(&self, world: &World) -> BTreeMap<Vec<String>, usize> {
        let mut cells: BTreeMap<Vec<String>, Vec<BTreeSet<&str>>> = BTreeMap::new();
        let rows = world.rows.iter().filter(|r| r.table == self.table);
        for row in rows.filter(|r| self.cohort.holds(r) == Some(true)) {
            let label = self.dims.iter().map(|d| text(row.get(d))).collect();
            let sets = cells.entry(label).or_insert_with(|| vec![BTreeSet::new(); self.measures.len()]);
            for ((needs, filter, _), patients) in self.measures.iter().zip(sets) {
                let filled = needs.is_none_or(|column| number(row, column).is_some_and(f64::is_finite));
                if filled && filter.as_ref().is_none_or(|f| f.holds(row) == Some(true)) {
                    patients.insert(&row.person);
                }
            }
        }
        let most = |sets: Vec<BTreeSet<&str>>| sets.iter().map(BTreeSet::len).max().unwrap_or(0);
        cells.into_iter().map(|(label, sets)| (label, most(sets))).collect()
    }
}

fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::Text(text)) => text.clone(),
        _ => String::new(),
    }
}

/// Asks, releases under several seeds, and compares.
pub(crate) fn run(lab: &Lab) {
    let world = lab.world.small();
    let site = Site::new(&world, policy());
    let mut random = ChaCha8Rng::seed_from_u64(lab.seed);
    let (questions, mut released, mut small, mut unasked) = (lab.so_many(800, 10_000), 0, 0, 0);
    for _ in 0..questions {
        let question = Question::draw(&mut random);
        let Some(query) = lowered(&question.sql()) else {
            unasked += 1;
            continue;
        };
        let rehearsal = rehearse(&site, &policy(), &query);
        let truth = question.patients(&world);
        for _ in 0..2 {
            let answer = rehearsal.release(random.random()).unwrap();
            for row in 0..answer.num_rows() {
                if shows(&answer, row, query.dims.len()) {
                    released += 1;
                    small += usize::from(
                        truth.get(&label(&answer, row, query.dims.len())).copied().unwrap_or(0) < 10,
                    );
                }
            }
        }
    }
    let says =
        format!("{questions} questions ({unasked} ask nobody), {released} cells released, {small} below k");
    lab.report.add("oracle", Verdict::of(small == 0 && released > questions / 4, says));
}

fn lowered(sql: &str) -> Option<PrivateQuery> {
    let catalogue = Catalogue::new(models(), Vec::new());
    let settings = Settings { noise_sd_milli: Some(2_000), ..Settings::default() };
    let Statement::Query(query) = read(sql).unwrap() else { panic!("{sql} is a query") };
    let planned = plan(&query, &catalogue).unwrap_or_else(|r| panic!("{sql}: {r}"));
    lower(&planned, &catalogue, &settings).unwrap_or_else(|r| panic!("{sql}: {r}")).queries.pop()
}

fn shows(answer: &RecordBatch, row: usize, dims: usize) -> bool {
    answer.columns().iter().skip(dims).any(|column| column.is_valid(row))
}

fn label(answer: &RecordBatch, row: usize, dims: usize) -> Vec<String> {
    let of = |column: &datafusion::arrow::array::ArrayRef| {
        let texts = column.as_string::<i32>();
        if texts.is_null(row) { String::new() } else { texts.value(row).to_owned() }
    };
    answer.columns().iter().take(dims).map(of).collect()
}
