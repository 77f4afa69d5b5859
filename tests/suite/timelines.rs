//! Diagnoses and studies on one time line: days between dates, bins of them and of ages. Exact answers by one node and
//! by three equal a plain computation over the records; gated ones stay within their bounds and above the threshold.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use caim_connectors::{Collection, Format, Identity, IngestOptions, Quiet, Secret, ingest};
use caim_engine::merge::merge;
use caim_engine::{Node, NodeId, Policy, Reply};
use caim_ontology::Models;
use caim_sql::PrivateQuery;
use caim_warehouse::Warehouse;
use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::temporal_conversions::date32_to_datetime;
use datafusion::arrow::util::display::array_value_to_string;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::questions::{ask, lowered, number};
use crate::series;

const SEED: u64 = 90;
/// 2015-01-01.
const BEGIN: i32 = 16_436;

struct Diagnosis {
    start: i32,
    end: Option<i32>,
}

struct Study {
    date: Option<i32>,
    age: Option<i64>,
}

struct Patient {
    number: usize,
    diagnoses: Vec<Diagnosis>,
    studies: Vec<Study>,
}

/// At most two diagnoses and two studies each, so that no row is one too many for the gate.
fn population(patients: usize) -> Vec<Patient> {
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let one = |number| {
        let start = BEGIN + random.random_range(0..2_000);
        let diagnoses = (0..random.random_range(0..3)).map(|i| {
            let start = start + i * 30;
            let end = random.random_bool(0.7).then(|| start + random.random_range(-20..400));
            Diagnosis { start, end }
        });
        let diagnoses = diagnoses.collect();
        let studies = (0..random.random_range(0..3)).map(|_| Study {
            date: random.random_bool(0.95).then(|| start + days_apart(&mut random)),
            age: random.random_bool(0.9).then(|| random.random_range(0..110)),
        });
        Patient { number, diagnoses, studies: studies.collect() }
    };
    (0..patients).map(one).collect()
}

/// Days that lie on the ends of ranges and bins more often than chance would have it.
fn days_apart(random: &mut ChaCha8Rng) -> i32 {
    const ENDS: [i32; 12] = [-101, -100, -1, 0, 29, 30, 89, 90, 91, 100, 101, 300];
    if random.random_bool(0.4) { ENDS[random.random_range(0..12)] } else { random.random_range(-300..700) }
}

fn date(days: Option<i32>) -> String {
    let day = days.and_then(date32_to_datetime);
    day.map_or_else(String::new, |day| day.format("%Y-%m-%d").to_string())
}

/// A node folder's warehouse with the records of some patients, from a dicom-table and a folder of OMOP tables.
fn ingested(dir: &Path, patients: &[&Patient]) -> Warehouse {
    let (imaging, records) = (dir.join("series.csv"), dir.join("omop"));
    let mut series =
        "PatientID,StudyInstanceUID,SeriesInstanceUID,StudyDate,PatientAge,Modality\n".to_owned();
    let mut persons = "person_id,year_of_birth,person_source_value\n".to_owned();
    let mut conditions =
        "condition_occurrence_id,person_id,condition_concept_id,condition_start_date,condition_end_date\n"
            .to_owned();
    for patient in patients {
        let Patient { number, diagnoses, studies } = patient;
        let _ = writeln!(persons, "{},1950,P{number:05}", number + 1);
        for (i, Diagnosis { start, end }) in diagnoses.iter().enumerate() {
            let (start, end) = (date(Some(*start)), date(*end));
            let _ = writeln!(conditions, "{},{},4112853,{start},{end}", number * 10 + i + 1, number + 1);
        }
        for (i, study) in studies.iter().enumerate() {
            let uid = number * 10 + i + 1;
            let age = study.age.map_or_else(String::new, |age| format!("{age:03}Y"));
            let _ = writeln!(series, "P{number:05},2.25.9{uid},2.25.8{uid},{},{age},MR", date(study.date));
        }
    }
    std::fs::create_dir_all(&records).unwrap();
    std::fs::write(&imaging, series).unwrap();
    std::fs::write(records.join("person.csv"), persons).unwrap();
    std::fs::write(records.join("condition_occurrence.csv"), conditions).unwrap();
    let warehouse = Warehouse::create(&dir.join("node")).unwrap();
    let secret = Secret::load_or_create(&dir.join("secret")).unwrap();
    let models = Models::bundled().unwrap();
    for (format, source) in [(Format::DicomTable, &imaging), (Format::Omop, &records)] {
        let options =
            IngestOptions { format, collection: Collection::Id("test".into()), ..IngestOptions::default() };
        ingest(&warehouse, &models, &Identity::default(), &secret, source, &options, &Quiet).unwrap();
    }
    warehouse
}

/// A diagnosis with a study of the same patient.
#[derive(Clone, Copy)]
struct Pair<'a> {
    patient: &'a Patient,
    diagnosis: &'a Diagnosis,
    study: &'a Study,
}

impl Pair<'_> {
    /// Days from the diagnosis to the study.
    fn days(&self) -> Option<i64> {
        self.study.date.map(|date| i64::from(date - self.diagnosis.start))
    }
}

fn pairs<'a>(patients: &[&'a Patient]) -> Vec<Pair<'a>> {
    let of = |patient: &'a Patient| {
        let studies =
            move |diagnosis| patient.studies.iter().map(move |study| Pair { patient, diagnosis, study });
        patient.diagnoses.iter().flat_map(studies)
    };
    patients.iter().flat_map(|patient| of(patient)).collect()
}

/// A group by its label and the first measure in it.
type Answer = BTreeMap<String, Option<f64>>;
type Truth = fn(&[&Patient]) -> Answer;

const ALL: &str = "";
const NULL: &str = "NULL";

fn one(value: f64) -> Answer {
    BTreeMap::from([(ALL.to_owned(), Some(value))])
}

/// Rows counted by a label.
fn counted(labels: impl Iterator<Item = String>) -> Answer {
    let mut counts: BTreeMap<String, f64> = BTreeMap::new();
    labels.for_each(|label| *counts.entry(label).or_default() += 1.0);
    counts.into_iter().map(|(label, n)| (label, Some(n))).collect()
}

fn named(number: Option<i64>) -> String {
    number.map_or_else(|| NULL.to_owned(), |n| n.to_string())
}

/// Patients with a diagnosis that has a study so many days after it.
fn followed(patients: &[&Patient], within: impl Fn(i64) -> bool) -> BTreeSet<usize> {
    let found = pairs(patients).into_iter().filter(|pair| pair.days().is_some_and(&within));
    found.map(|pair| pair.patient.number).collect()
}

const DAYS: &str = "date_diff('day', c.condition_start_date, s.StudyDate)";

const JOINED: &str = "FROM omop.condition_occurrence c JOIN dicom.study s ON s.patient_id = c.patient_id";

/// Questions and their plain meaning.
fn questions() -> Vec<(String, Truth)> {
    [conditions(), sums_and_bins_of_days(), bins_of_ages()].concat()
}

fn conditions() -> Vec<(String, Truth)> {
    let diagnoses = "FROM omop.condition_occurrence c";
    let soon = "EXISTS (SELECT 1 FROM dicom.study s WHERE s.patient_id = c.patient_id AND s.StudyDate BETWEEN \
                c.condition_start_date AND c.condition_start_date + INTERVAL '90' DAY)";
    let count = |rest: String| format!("SELECT count(*) {rest}");
    vec![
        (format!("SELECT count(DISTINCT c.person_id) {diagnoses} WHERE {soon}"), |patients| {
            one(followed(patients, |days| (0..=90).contains(&days)).len() as f64)
        }),
        (count(format!("{diagnoses} WHERE NOT {soon}")), |patients| {
            let all = patients.iter().flat_map(|p| p.diagnoses.iter().map(move |d| (p, d)));
            let alone = all.filter(|(patient, diagnosis)| {
                let near =
                    |study: &Study| study.date.is_some_and(|s| (0..=90).contains(&(s - diagnosis.start)));
                !patient.studies.iter().any(near)
            });
            one(alone.count() as f64)
        }),
        (count(format!("{diagnoses} WHERE {soon} OR c.condition_end_date IS NULL")), |patients| {
            let all = patients.iter().flat_map(|p| p.diagnoses.iter().map(move |d| (p, d)));
            let counted = all.filter(|(patient, diagnosis)| {
                let near =
                    |study: &Study| study.date.is_some_and(|s| (0..=90).contains(&(s - diagnosis.start)));
                diagnosis.end.is_none() || patient.studies.iter().any(near)
            });
            one(counted.count() as f64)
        }),
        (count(format!("{diagnoses} WHERE condition_end_date < condition_start_date")), |patients| {
            let all = patients.iter().flat_map(|p| &p.diagnoses);
            one(all.filter(|d| d.end.is_some_and(|end| end < d.start)).count() as f64)
        }),
        (count(format!("{JOINED} WHERE NOT {DAYS} BETWEEN -100 AND 100")), |patients| {
            let far = |pair: &Pair<'_>| pair.days().is_some_and(|days| !(-100..=100).contains(&days));
            one(pairs(patients).iter().filter(|pair| far(pair)).count() as f64)
        }),
    ]
}

fn sums_and_bins_of_days() -> Vec<(String, Truth)> {
    vec![
        (format!("SELECT sum({DAYS}) {JOINED}"), |patients| {
            one(pairs(patients).iter().filter_map(Pair::days).sum::<i64>() as f64)
        }),
        (format!("SELECT avg({DAYS}) FILTER (WHERE {DAYS} >= 0) {JOINED}"), |patients| {
            let days: Vec<i64> = pairs(patients).iter().filter_map(Pair::days).filter(|d| *d >= 0).collect();
            one(days.iter().sum::<i64>() as f64 / days.len() as f64)
        }),
        (format!("SELECT floor({DAYS} / 30) * 30 AS month, count(*) {JOINED} GROUP BY 1"), |patients| {
            let month = |pair: &Pair<'_>| pair.days().map(|days| days.div_euclid(30) * 30);
            counted(pairs(patients).iter().map(|pair| named(month(pair))))
        }),
        (
            format!(
                "SELECT {DAYS} / 100 * 100 AS span, count(*) {JOINED} WHERE {DAYS} BETWEEN 0 AND 299 GROUP BY 1"
            ),
            |patients| {
                let pairs = pairs(patients);
                let days = pairs.iter().filter_map(Pair::days).filter(|days| (0..300).contains(days));
                counted(days.map(|days| (days / 100 * 100).to_string()))
            },
        ),
        (
            format!(
                "SELECT CASE WHEN {DAYS} < 0 THEN 'before' WHEN {DAYS} <= 90 THEN 'soon' WHEN {DAYS} > 90 THEN 'late' \
                 ELSE 'unknown' END AS phase, count(*) {JOINED} GROUP BY 1"
            ),
            |patients| {
                let phase = |pair: &Pair<'_>| match pair.days() {
                    Some(..0) => "before",
                    Some(0..=90) => "soon",
                    Some(91..) => "late",
                    None => "unknown",
                };
                counted(pairs(patients).iter().map(|pair| phase(pair).to_owned()))
            },
        ),
    ]
}

fn bins_of_ages() -> Vec<(String, Truth)> {
    vec![
        (
            "SELECT floor(PatientAge / 10) * 10 AS age, count(*) FROM dicom.study GROUP BY 1".to_owned(),
            |patients| {
                let studies = patients.iter().flat_map(|p| &p.studies);
                counted(studies.map(|study| named(study.age.map(|age| age / 10 * 10))))
            },
        ),
        (
            "SELECT CASE WHEN PatientAge < 18 THEN 0 WHEN PatientAge < 65 THEN 1 ELSE 2 END AS age, count(*) \
             FROM dicom.study GROUP BY 1"
                .to_owned(),
            |patients| {
                let group = |study: &Study| match study.age {
                    Some(..18) => 0,
                    Some(18..65) => 1,
                    Some(65..) | None => 2,
                };
                counted(patients.iter().flat_map(|p| &p.studies).map(|study| group(study).to_string()))
            },
        ),
    ]
}

fn answer(query: &PrivateQuery, merged: &RecordBatch) -> Answer {
    let label = |row| match query.dims.len() {
        0 => ALL.to_owned(),
        _ if merged.column(0).is_null(row) => NULL.to_owned(),
        _ => array_value_to_string(merged.column(0), row).unwrap(),
    };
    let value = merged.column_by_name("m0").unwrap();
    (0..merged.num_rows()).map(|row| (label(row), number(value, row))).collect()
}

async fn asked(nodes: &[Arc<Node>], query: &PrivateQuery, models: &Models) -> RecordBatch {
    let mut replies: Vec<(NodeId, Reply)> = Vec::new();
    for node in nodes {
        replies.push((node.profile().unwrap().node, ask(node, query, models).await));
    }
    merge(query, models, &replies).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn days_and_bins_are_answered_exactly_by_one_node_and_by_three() {
    let population = population(240);
    let all: Vec<&Patient> = population.iter().collect();
    let published = || Policy { public_data: true, ..Policy::default() };
    let dirs: Vec<_> = (0..4).map(|_| tempfile::tempdir().unwrap()).collect();
    let part = |i: usize| all.iter().copied().filter(|p| p.number % 3 == i).collect::<Vec<_>>();
    let three: Vec<_> = (0..3)
        .map(|i| series::node(&format!("n{i}"), ingested(dirs[i].path(), &part(i)), published()))
        .collect();
    let whole = [series::node("whole", ingested(dirs[3].path(), &all), published())];
    let models = Arc::new(Models::bundled().unwrap());
    for (sql, truth) in questions() {
        let (query, wanted) = (lowered(&models, &sql), truth(&all));
        assert!(wanted.values().any(|n| n.is_some_and(|n| n > 0.0)), "{sql}: nothing is asked");
        let close = |found: &Answer| {
            let near = |(a, b): (&Option<f64>, &Option<f64>)| match (a, b) {
                (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * b.abs().max(1.0),
                (a, b) => a == b,
            };
            found.keys().eq(wanted.keys()) && found.values().zip(wanted.values()).all(near)
        };
        for nodes in [&whole[..], &three[..]] {
            let found = answer(&query, &asked(nodes, &query, &models).await);
            assert!(close(&found), "{sql}: by {} nodes\n{found:?}\n{wanted:?}", nodes.len());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gate_bounds_days_and_releases_no_small_bin() {
    let mut population = population(900);
    // A study of 20 years later counts as ten years.
    for patient in population.iter_mut().filter(|p| p.number % 90 == 0) {
        patient.studies = vec![Study { date: patient.diagnoses.first().map(|d| d.start + 7_300), age: None }];
    }
    let all: Vec<&Patient> = population.iter().collect();
    let budget = 1e6;
    let generous = Policy {
        budget_rho: budget,
        budget_delta: 1.0,
        project_lifetime_rho: budget,
        node_budget_rho: budget,
        ..Policy::default()
    };
    let dir = tempfile::tempdir().unwrap();
    let node = [series::node("a", ingested(dir.path(), &all), generous)];
    let models = Arc::new(Models::bundled().unwrap());

    let bins = format!(
        "SELECT floor(date_diff('day', c.condition_start_date, s.StudyDate) / 100) * 100 AS span, \
         count(DISTINCT s.patient_id) {JOINED} GROUP BY 1"
    );
    let query = lowered(&models, &bins);
    let mut truth: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    for pair in pairs(&all) {
        // 64 bins are kept, from 3,200 days before on to 3,100 after.
        let span = pair.days().map(|days| days.div_euclid(100).clamp(-32, 31) * 100);
        truth.entry(named(span)).or_default().insert(pair.patient.number);
    }
    let found = answer(&query, &asked(&node, &query, &models).await);
    assert!(found.len() >= 5, "{} bins released", found.len());
    for (span, patients) in &found {
        let known = truth.get(span).map_or(0, BTreeSet::len);
        assert!(known >= 10, "{span}: a bin of {known} patients left");
        assert!((patients.unwrap() - known as f64).abs() <= 45.0, "{span}: {patients:?} of {known}");
    }

    let mean = format!("SELECT avg(date_diff('day', c.condition_start_date, s.StudyDate)) {JOINED}");
    let query = lowered(&models, &mean);
    let merged = asked(&node, &query, &models).await;
    let days: Vec<f64> =
        pairs(&all).iter().filter_map(Pair::days).map(|days| days.clamp(-3_650, 3_650) as f64).collect();
    let truth = days.iter().sum::<f64>() / days.len() as f64;
    let column = |name: &str| number(merged.column_by_name(name).unwrap(), 0).unwrap();
    let (lower, upper) = (column("m0_lower"), column("m0_upper"));
    // The bounds hold 95 of 100 truths; three times as wide, all but one in a hundred million.
    let width = upper - lower;
    assert!((lower - width..=upper + width).contains(&truth), "{truth} lies far beyond {lower} and {upper}");
    assert!(lower > -3_650.0 && upper < 3_650.0, "{lower} and {upper} say nothing");
}
