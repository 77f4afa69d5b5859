//! Texts drawn by chance: sensible statements, the attacks themselves, and what becomes of either when tokens are lost,
//! doubled, swapped or replaced. The planner answers each in time, without a fault, by a plan or a known refusal.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use caim_sql::lower::Settings;
use caim_sql::refusal::Family;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::refused;
use crate::lab::{Lab, Who};
use crate::report::Verdict;

/// No text may take longer to plan.
const PATIENCE: Duration = Duration::from_secs(3);

const COLUMNS: &[&str] = &[
    "sex",
    "birth_year",
    "zip3",
    "smoker",
    "weight_kg",
    "tumour_mm",
    "patient_id",
    "modality",
    "body_part",
    "note",
    "study_time",
    "dose_mgy",
    "icdo3_topography",
    "nothing",
    "*",
    "1",
    "NULL",
];
const TABLES: &[&str] = &[
    "patient",
    "condition",
    "imaging_study",
    "imaging_series",
    "world.patient p",
    "nowhere",
    "patient JOIN imaging_study USING (patient_id)",
    "(SELECT * FROM patient) t",
    "information_schema.tables",
];
const CALLS: &[&str] = &[
    "count(*)",
    "count(DISTINCT patient_id)",
    "sum(weight_kg)",
    "avg(tumour_mm)",
    "min(birth_year)",
    "stddev(weight_kg)",
    "array_agg(sex)",
    "count(*) OVER ()",
    "sum(weight_kg) FILTER (WHERE sex = 'male')",
];
const TESTS: &[&str] = &[
    "sex = 'female'",
    "birth_year BETWEEN 1940 AND 1950",
    "weight_kg < 70.5",
    "zip3 IN ('100', '999')",
    "note IS NULL",
    "NOT smoker",
    "EXISTS (SELECT 1 FROM condition c WHERE c.patient_id = patient.patient_id)",
    "study_time > DATE '2020-01-15'",
    "1/0 = 1",
    "random() < 0.5",
    "sex LIKE '%m%'",
];
const TOKENS: &[&str] = &[
    "(",
    ")",
    ",",
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "NOT",
    "AND",
    "NULL",
    "''",
    "'",
    "\"",
    "--",
    "/*",
    ";",
    "1e308",
    "-9223372036854775808",
    "INTERVAL '1 month'",
    "\u{202e}",
    "\u{0}",
    "é\u{301}",
    "😀",
    "$1",
    "?",
    "::int",
    "OVER ()",
    "UNION ALL SELECT 1",
    "CASE WHEN",
    "END",
    "ROLLUP",
    "LATERAL",
    "UNNEST(ARRAY[1])",
];

/// Plans them all.
pub(crate) fn run(lab: &Lab) {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    let standard = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {
        PANICS.fetch_add(1, Ordering::Relaxed);
    }));
    let site = lab.site(Who::Everybody);
    let mut random = ChaCha8Rng::seed_from_u64(lab.seed);
    let (texts, mut planned, mut slowest, mut strange) =
        (lab.so_many(20_000, 100_000), 0, Duration::ZERO, Vec::new());
    for _ in 0..texts {
        let sql = draw(&mut random);
        let (started, before) = (Instant::now(), PANICS.load(Ordering::Relaxed));
        let outcome = site.hub.prepare(&sql, &Settings::default());
        slowest = slowest.max(started.elapsed());
        planned += usize::from(outcome.is_ok());
        let known = outcome.err().is_none_or(|r| {
            matches!(r.code.family(), Family::Privacy | Family::Sql | Family::Ontology)
                && r.to_string().len() <= 4_096
        });
        if !known || PANICS.load(Ordering::Relaxed) > before || started.elapsed() > PATIENCE {
            strange.push(sql.chars().take(300).collect::<String>());
        }
    }
    std::panic::set_hook(standard);
    let says = format!(
        "{texts} texts, {planned} planned, slowest {slowest:?}, {} strange: {strange:?}",
        strange.len()
    );
    lab.report.add("texts", Verdict::of(strange.is_empty() && planned > texts / 50, says));
}

fn draw(random: &mut ChaCha8Rng) -> String {
    let mut sql = if random.random_bool(0.7) { statement(random, 2) } else { attack(random) };
    for _ in 0..[0, 0, 1, 1, 2, 4][random.random_range(0..6)] {
        sql = mutated(random, &sql);
    }
    if random.random_bool(0.01) {
        let depth = random.random_range(10..400);
        sql = format!(
            "SELECT count(*) FROM patient WHERE {}sex = 'm'{}",
            "(NOT ".repeat(depth),
            ")".repeat(depth)
        );
    }
    sql
}

fn attack(random: &mut ChaCha8Rng) -> String {
    let all: Vec<&str> = refused::statements().collect();
    all[random.random_range(0..all.len())].to_owned()
}

fn pick<'a>(random: &mut ChaCha8Rng, values: &[&'a str]) -> &'a str {
    values[random.random_range(0..values.len())]
}

fn statement(random: &mut ChaCha8Rng, depth: u32) -> String {
    let call = pick(random, CALLS);
    let column = pick(random, COLUMNS);
    let table = if depth > 0 && random.random_bool(0.1) {
        format!("({}) AS q", statement(random, depth - 1))
    } else {
        pick(random, TABLES).to_owned()
    };
    let mut sql = match random.random_range(0..4) {
        0 => format!("SELECT {call} FROM {table}"),
        1 => format!("SELECT {column}, {call} FROM {table} WHERE {} GROUP BY {column}", pick(random, TESTS)),
        2 => format!("SELECT {call}, {} FROM {table} WHERE {}", pick(random, CALLS), pick(random, TESTS)),
        _ => format!("WITH w AS (SELECT {call} AS n FROM {table}) SELECT n FROM w"),
    };
    if random.random_bool(0.1) {
        sql += " HAVING count(*) > 10 ORDER BY 1 LIMIT 5";
    }
    sql
}

fn mutated(random: &mut ChaCha8Rng, sql: &str) -> String {
    let mut tokens: Vec<&str> = sql.split(' ').collect();
    let at = random.random_range(0..tokens.len());
    match random.random_range(0..5) {
        0 => drop(tokens.remove(at)),
        1 => tokens.insert(at, tokens[at]),
        2 => tokens[at] = pick(random, TOKENS),
        3 => tokens.insert(at, pick(random, TOKENS)),
        _ => {
            let other = random.random_range(0..tokens.len());
            tokens.swap(at, other);
        }
    }
    tokens.join(" ")
}
