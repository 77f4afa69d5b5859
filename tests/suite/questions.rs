//! Questions drawn by chance over `dicom.series`, with a slow meaning of their own: what the gate and the exact answers
//! are held against.

use std::collections::BTreeSet;
use std::sync::Arc;

use caim_engine::{Asker, Node, NodeQuery, Reply};
use caim_ontology::Models;
use caim_sql::catalogue::Catalogue;
use caim_sql::lower::{Settings, lower};
use caim_sql::plan::plan;
use caim_sql::private_query::{Aggregate, Bins, Dim, Divisor, Measure};
use caim_sql::text::{Statement, read};
use caim_sql::{PrivateQuery, Refusal};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{Float64Type, Int64Type};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::series::Series;

/// A condition with its SQL and its slow meaning.
#[derive(Clone)]
pub(crate) enum Condition {
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
            Self::Years(first, last) => {
                format!("StudyDate BETWEEN DATE '{first}-01-01' AND DATE '{last}-12-31'")
            }
            Self::AgeFrom(age) => format!("PatientAge >= {age}"),
            Self::Not(inner) => format!("NOT ({})", inner.sql()),
            Self::And(parts) => joined(parts, " AND "),
            Self::Or(parts) => joined(parts, " OR "),
        }
    }

    /// SQL's three-valued truth.
    pub(crate) fn holds(&self, row: &Series) -> Option<bool> {
        match self {
            Self::Modality(values) => row.modality.as_deref().map(|m| values.contains(&m)),
            Self::BodyPart(value) => row.body_part.as_deref().map(|b| b == *value),
            Self::NoBodyPart => Some(row.body_part.is_none()),
            Self::Years(first, last) => row.year().map(|y| (*first..=*last).contains(&y)),
            Self::AgeFrom(age) => row.age.map(|a| a >= *age),
            Self::Not(inner) => inner.holds(row).map(|b| !b),
            Self::And(parts) => {
                let all: Vec<_> = parts.iter().map(|p| p.holds(row)).collect();
                if all.contains(&Some(false)) {
                    Some(false)
                } else if all.contains(&None) {
                    None
                } else {
                    Some(true)
                }
            }
            Self::Or(parts) => {
                let all: Vec<_> = parts.iter().map(|p| p.holds(row)).collect();
                if all.contains(&Some(true)) {
                    Some(true)
                } else if all.contains(&None) {
                    None
                } else {
                    Some(false)
                }
            }
        }
    }
}

const DIMS: [&str; 7] = [
    "Modality",
    "BodyPartExamined",
    "Manufacturer",
    "PatientSex",
    "EXTRACT(YEAR FROM StudyDate)",
    "floor(PatientAge / 20) * 20",
    "CASE WHEN PatientAge < 50 THEN 'young' WHEN PatientAge < 70 THEN 'middle' ELSE 'old' END",
];
const MEASURES: [&str; 9] = [
    "count(DISTINCT PatientID)",
    "count(*)",
    "count(DISTINCT StudyInstanceUID)",
    "sum(instanceCount)",
    "avg(PatientAge)",
    "var_pop(PatientAge)",
    "var_samp(PatientAge)",
    "median(PatientAge)",
    "percentile_cont(instanceCount, 0.9)",
];

/// A question over `dicom.series` and the condition of its WHERE.
pub(crate) fn statement(random: &mut ChaCha8Rng) -> (String, Condition) {
    let condition = Condition::draw(random, 2);
    let dims: BTreeSet<_> =
        (0..random.random_range(0..3)).map(|_| DIMS[random.random_range(0..DIMS.len())]).collect();
    let measure = |random: &mut ChaCha8Rng| {
        let filter = if random.random_bool(0.3) { " FILTER (WHERE Modality IN ('CT'))" } else { "" };
        format!("{}{filter}", MEASURES[random.random_range(0..MEASURES.len())])
    };
    let measures: BTreeSet<_> = (0..random.random_range(1..4)).map(|_| measure(random)).collect();
    let columns: Vec<&str> = dims.iter().copied().chain(measures.iter().map(String::as_str)).collect();
    let mut sql = format!("SELECT {} FROM dicom.series WHERE {}", columns.join(", "), condition.sql());
    if !dims.is_empty() {
        sql += &format!(" GROUP BY {}", dims.iter().copied().collect::<Vec<_>>().join(", "));
    }
    (sql, condition)
}

/// The one private query of a statement; `None` when its condition can never hold and no node needs to be asked.
pub(crate) fn drawn(models: &Arc<Models>, sql: &str) -> Option<PrivateQuery> {
    lowering(models, sql).unwrap_or_else(|r| panic!("{sql}: {r}"))
}

/// The same, or why the statement is refused.
pub(crate) fn lowering(models: &Arc<Models>, sql: &str) -> Result<Option<PrivateQuery>, Refusal> {
    let catalogue = Catalogue::new(Arc::clone(models), Vec::new());
    let Statement::Query(query) = read(sql)? else { panic!("{sql} is a query") };
    let lowered = lower(&plan(&query, &catalogue)?, &catalogue, &Settings::default())?;
    Ok(lowered.queries.into_iter().next())
}

/// The one private query of a statement that asks something.
pub(crate) fn lowered(models: &Arc<Models>, sql: &str) -> PrivateQuery {
    drawn(models, sql).unwrap_or_else(|| panic!("{sql} asks nothing"))
}

/// A question as it reaches a node.
pub(crate) fn question(query: &PrivateQuery, models: &Models) -> NodeQuery {
    let asker = Asker { user: "u".into(), project: "p".into(), purpose: String::new() };
    NodeQuery {
        query: query.clone(),
        models: models.version(),
        asker,
        query_id: "q".into(),
        deadline_ms: 60_000,
    }
}

/// Asks a node and takes its answer in as a hub does.
pub(crate) async fn ask(node: &Arc<Node>, query: &PrivateQuery, models: &Models) -> Reply {
    let released = node.answer(question(query, models)).await.unwrap();
    Reply::check(query, models, &[released.batch().clone()], released.facts().clone()).unwrap()
}

/// The values of the dims; `None` is NULL.
pub(crate) type Cell = Vec<Option<String>>;

/// What the CASE of [`DIMS`] calls an age; SQL puts the unknown ones into ELSE.
fn age_group(age: Option<i64>) -> &'static str {
    match age {
        Some(..50) => "young",
        Some(50..70) => "middle",
        Some(70..) | None => "old",
    }
}

/// The cell that a row falls into.
pub(crate) fn cell_of(query: &PrivateQuery, row: &Series) -> Cell {
    let dim = |dim: &Dim| match dim {
        Dim::Column(column) => match column.column.as_str() {
            "modality" => row.modality.clone(),
            "bodypartexamined" => row.body_part.clone(),
            "manufacturer" => row.manufacturer.clone(),
            "patientsex" => row.sex.clone(),
            other => panic!("no truth for {other}"),
        },
        Dim::DatePart { .. } => row.year().map(|y| y.to_string()),
        Dim::Bin { by: Bins::Width(_), .. } => row.age.map(|age| (age.clamp(0, 120) / 20 * 20).to_string()),
        Dim::Bin { by: Bins::Labels(_), .. } => Some(age_group(row.age).to_owned()),
        Dim::Label(_) | Dim::RollUp { .. } | Dim::Recode { .. } => panic!("dicom.series holds no concepts"),
    };
    query.dims.iter().map(dim).collect()
}

/// Whether the row has what the measure needs, and the number it adds. The only filter drawn is on CT.
pub(crate) fn adds(measure: &Measure, row: &Series) -> Option<f64> {
    if !measure.filter.is_always() && row.modality.as_deref() != Some("CT") {
        return None;
    }
    match &measure.of {
        Aggregate::Patients | Aggregate::Rows | Aggregate::Distinct(_) => Some(1.0),
        Aggregate::Sum(_) => row.instances.map(|n| n as f64),
        Aggregate::Avg(_) | Aggregate::Variance { .. } => row.age.map(|n| n as f64),
        Aggregate::Quantile { share, .. } if share.get() > 0.5 => row.instances.map(|n| n as f64),
        Aggregate::Quantile { .. } => row.age.map(|n| n as f64),
    }
}

/// A released number.
pub(crate) fn number(column: &ArrayRef, row: usize) -> Option<f64> {
    if column.is_null(row) {
        return None;
    }
    match column.as_primitive_opt::<Int64Type>() {
        Some(whole) => Some(whole.value(row) as f64),
        None => Some(column.as_primitive::<Float64Type>().value(row)),
    }
}

/// The cell that a merged row stands for.
pub(crate) fn released_cell(query: &PrivateQuery, merged: &RecordBatch, row: usize) -> Cell {
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

/// The variance of numbers.
pub(crate) fn variance(numbers: &[f64], over: Divisor) -> Option<f64> {
    let count = numbers.len() as f64;
    let divisor = match over {
        Divisor::Population => count,
        Divisor::Sample => count - 1.0,
    };
    let mean = numbers.iter().sum::<f64>() / count;
    (divisor > 0.0).then(|| numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / divisor)
}

/// `percentile_cont` of numbers.
pub(crate) fn percentile(numbers: &[f64], share: f64) -> Option<f64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = share * (sorted.len().checked_sub(1)?) as f64;
    let (low, high) = (sorted[rank.floor() as usize], sorted[rank.ceil() as usize]);
    Some(low + (high - low) * rank.fract())
}
