//! Values per patient against a slow reading of the warehouse's rows: exactly, and through the gate.

use std::collections::BTreeMap;
use std::sync::Arc;

use caim_engine::Policy;
use caim_engine::merge::merge;
use caim_ontology::Models;
use datafusion::arrow::array::RecordBatch;

use crate::questions::{ask, lowered, number, percentile, released_cell};
use crate::series::{self, Series};

type Cells = BTreeMap<Vec<Option<String>>, f64>;

/// A statement over `dicom.series`, and its cells as a slow reading of the rows of each patient gives them.
struct Case {
    sql: &'static str,
    slowly: fn(&[Vec<&Series>]) -> Cells,
}

const CASES: [Case; 5] = [
    Case {
        sql: "SELECT n, count(*) FROM (SELECT patient_id, count(*) AS n FROM dicom.series \
              WHERE Modality = 'CT' GROUP BY patient_id HAVING count(*) >= 2) t GROUP BY n",
        slowly: |patients| {
            let ct =
                |rows: &Vec<&Series>| rows.iter().filter(|r| r.modality.as_deref() == Some("CT")).count();
            counted(patients.iter().map(ct).filter(|n| *n >= 2).map(|n| vec![Some(n.to_string())]))
        },
    },
    Case {
        sql: "SELECT Modality, count(*) FROM (SELECT *, row_number() OVER (PARTITION BY PatientID ORDER BY StudyDate) \
              AS rn FROM dicom.series WHERE BodyPartExamined IS NOT NULL) t WHERE rn = 1 GROUP BY Modality",
        slowly: |patients| {
            let first = |rows: &Vec<&Series>| {
                let known = rows.iter().filter(|r| r.body_part.is_some());
                known.min_by_key(|r| (r.date.is_none(), r.date, r.key)).map(|r| vec![r.modality.clone()])
            };
            counted(patients.iter().filter_map(first))
        },
    },
    Case {
        sql: "SELECT PatientSex, count(*) FROM (SELECT patient_id, first_value(PatientSex ORDER BY StudyDate DESC) AS \
              PatientSex, max(StudyDate) AS last, min(PatientAge) AS age FROM dicom.series GROUP BY patient_id) t \
              WHERE last >= DATE '2020-01-01' AND age < 60 GROUP BY PatientSex",
        slowly: |patients| {
            let from = 18_262; // 2020-01-01
            let kept = |rows: &Vec<&Series>| {
                let last =
                    rows.iter().max_by_key(|r| (r.date.is_none(), r.date, std::cmp::Reverse(r.key)))?;
                let latest = rows.iter().filter_map(|r| r.date).max()?;
                let youngest = rows.iter().filter_map(|r| r.age).min()?;
                (latest >= from && youngest < 60).then(|| vec![last.sex.clone()])
            };
            counted(patients.iter().filter_map(kept))
        },
    },
    Case {
        sql: "SELECT median(n) FROM (SELECT StudyInstanceUID, count(DISTINCT Modality) AS n FROM dicom.series \
              GROUP BY StudyInstanceUID) t",
        slowly: |patients| {
            let mut studies: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for row in patients.iter().flatten() {
                studies.entry(&row.study).or_default().extend(row.modality.as_deref());
            }
            let different = studies.into_values().map(|mut modalities| {
                modalities.sort_unstable();
                modalities.dedup();
                modalities.len() as f64
            });
            BTreeMap::from([(vec![], percentile(&different.collect::<Vec<_>>(), 0.5).unwrap())])
        },
    },
    Case {
        sql: "SELECT count(DISTINCT PatientID) FROM dicom.series WHERE Modality = 'MR' AND PatientID IN \
              (SELECT PatientID FROM dicom.series GROUP BY PatientID HAVING sum(instanceCount) > 1000)",
        slowly: |patients| {
            let kept = |rows: &&Vec<&Series>| {
                let images: i64 = rows.iter().filter_map(|r| r.instances).sum();
                images > 1_000 && rows.iter().any(|r| r.modality.as_deref() == Some("MR"))
            };
            BTreeMap::from([(vec![], patients.iter().filter(kept).count() as f64)])
        },
    },
];

fn counted(cells: impl Iterator<Item = Vec<Option<String>>>) -> Cells {
    let mut counts = Cells::new();
    cells.for_each(|cell| *counts.entry(cell).or_default() += 1.0);
    counts
}

fn by_patient(rows: &[Series]) -> Vec<Vec<&Series>> {
    let mut patients: BTreeMap<u32, Vec<&Series>> = BTreeMap::new();
    for row in rows {
        if let Some(patient) = row.patient {
            patients.entry(patient).or_default().push(row);
        }
    }
    patients.into_values().collect()
}

async fn answers(policy: Policy, case: &Case) -> (caim_sql::PrivateQuery, RecordBatch, Cells) {
    let dir = tempfile::tempdir().unwrap();
    let warehouse = series::ingested(dir.path(), &series::table(11, 700));
    let rows = series::stored(&warehouse);
    let truth = (case.slowly)(&by_patient(&rows));
    let models = Arc::new(Models::bundled().unwrap());
    let node = series::node("a", warehouse, policy);
    let query = lowered(&models, case.sql);
    let reply = ask(&node, &query, &models).await;
    let merged = merge(&query, &models, &[(node.profile().unwrap().node, reply)]).unwrap();
    (query, merged, truth)
}

#[tokio::test(flavor = "multi_thread")]
async fn published_values_per_patient_equal_a_slow_reading() {
    for case in &CASES {
        let published = Policy { public_data: true, ..Policy::default() };
        let (query, merged, truth) = answers(published, case).await;
        let column = merged.column_by_name("m0").unwrap();
        let found: Cells = (0..merged.num_rows())
            .map(|row| (released_cell(&query, &merged, row), number(column, row).unwrap()))
            .collect();
        assert_eq!(found, truth, "{}", case.sql);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gated_values_per_patient_lie_within_their_bounds_and_rest_on_enough_patients() {
    let (mut cells, mut covered) = (0, 0);
    for case in &CASES {
        let (query, merged, truth) = answers(Policy::default(), case).await;
        let column = |end: &str| merged.column_by_name(&format!("m0{end}")).unwrap();
        for row in 0..merged.num_rows() {
            let Some(_) = number(column(""), row) else { continue };
            let cell = released_cell(&query, &merged, row);
            let true_value = truth[&cell];
            let counts = !query.dims.is_empty();
            assert!(!counts || true_value >= 10.0, "{}: {cell:?} of {true_value} left", case.sql);
            let within = number(column("_lower"), row).unwrap()..=number(column("_upper"), row).unwrap();
            cells += 1;
            covered += usize::from(within.contains(&true_value));
        }
    }
    // Each cell lies within its bounds with 95 %: five of about fifteen outside would be one run in a thousand.
    assert!(cells >= 12 && covered + 4 >= cells, "{covered} of {cells} cells lie within their bounds");
}
