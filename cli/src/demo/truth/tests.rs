//! The truth against the files: independent readers find in every source exactly what the truth says.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use datafusion::arrow::array::{Array, AsArray};
use dicom_dictionary_std::tags;
use dicom_object::{DefaultDicomObject, open_file};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use super::{Facts, facts};
use crate::demo::records::Coding;
use crate::demo::{Kind, Plan, Population, generate};

const PLAN: Plan = Plan { seed: 9, patients: 150 };

/// What tells one series from another, in any source of images.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    series: String,
    study: String,
    patient: Option<String>,
    modality: String,
    body_part: Option<String>,
    manufacturer: String,
    date: String,
    instances: i64,
}

fn truth(position: usize) -> Vec<Facts> {
    facts(&Population::bundled().unwrap(), PLAN, position).unwrap().map(Result::unwrap).collect()
}

fn generated(position: usize) -> (tempfile::TempDir, BTreeMap<Kind, PathBuf>) {
    let dir = tempfile::tempdir().unwrap();
    let sources = generate(&Population::bundled().unwrap(), PLAN, position, dir.path()).unwrap();
    (dir, sources.into_iter().map(|source| (source.kind, source.path)).collect())
}

fn lines_of_truth(patients: &[Facts]) -> BTreeSet<Line> {
    let studies = patients.iter().flat_map(|patient| patient.studies().map(move |study| (patient, study)));
    let lines = studies.flat_map(|(patient, study)| {
        study.series.iter().map(|series| Line {
            series: series.uid.clone(),
            study: study.uid.clone(),
            patient: (!series.orphan).then(|| patient.patient_id.clone()),
            modality: series.modality.clone(),
            body_part: series.body_part.clone(),
            manufacturer: series.manufacturer.clone(),
            date: study.date.to_string(),
            instances: series.instances,
        })
    });
    lines.collect()
}

fn all_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { all_files(&path) } else { vec![path] }).collect()
}

fn value(object: &DefaultDicomObject, tag: dicom_core::Tag) -> Option<String> {
    let text = object.element(tag).ok()?.to_str().unwrap().trim().to_owned();
    (!text.is_empty()).then_some(text)
}

fn lines_of_files(folder: &Path) -> BTreeSet<Line> {
    let mut series: BTreeMap<String, Line> = BTreeMap::new();
    for path in all_files(folder) {
        let object = open_file(&path).unwrap();
        let text = |tag| value(&object, tag).unwrap();
        assert_eq!(text(tags::SOP_INSTANCE_UID), object.meta().media_storage_sop_instance_uid());
        let date = NaiveDate::parse_from_str(&text(tags::STUDY_DATE), "%Y%m%d").unwrap();
        let line = Line {
            series: text(tags::SERIES_INSTANCE_UID),
            study: text(tags::STUDY_INSTANCE_UID),
            patient: value(&object, tags::PATIENT_ID),
            modality: text(tags::MODALITY),
            body_part: value(&object, tags::BODY_PART_EXAMINED),
            manufacturer: text(tags::MANUFACTURER),
            date: date.to_string(),
            instances: 0,
        };
        series.entry(line.series.clone()).or_insert(line).instances += 1;
    }
    series.into_values().collect()
}

fn lines_of_table(path: &Path) -> BTreeSet<Line> {
    let file = std::fs::File::open(path).unwrap();
    let mut lines = BTreeSet::new();
    for batch in ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap() {
        let batch = batch.unwrap();
        let text = |name: &str, row: usize| {
            let column = batch.column_by_name(name).unwrap().as_string::<i32>();
            column.is_valid(row).then(|| column.value(row).to_owned())
        };
        let dates = batch
            .column_by_name("StudyDate")
            .unwrap()
            .as_primitive::<datafusion::arrow::datatypes::Date32Type>();
        let counts = batch
            .column_by_name("instanceCount")
            .unwrap()
            .as_primitive::<datafusion::arrow::datatypes::Int64Type>();
        for row in 0..batch.num_rows() {
            lines.insert(Line {
                series: text("SeriesInstanceUID", row).unwrap(),
                study: text("StudyInstanceUID", row).unwrap(),
                patient: text("PatientID", row),
                modality: text("Modality", row).unwrap(),
                body_part: text("BodyPartExamined", row),
                manufacturer: text("Manufacturer", row).unwrap(),
                date: dates.value_as_date(row).unwrap().to_string(),
                instances: counts.value(row),
            });
        }
    }
    lines
}

/// Every resource of a folder with lines or bundles.
fn resources(folder: &Path) -> Vec<Value> {
    let mut found = Vec::new();
    for path in all_files(folder) {
        let bytes = std::fs::read(&path).unwrap();
        let mut text = String::new();
        match path.extension().unwrap().to_str().unwrap() {
            "gz" => {
                flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).map(|_| ()).unwrap()
            }
            _ => text = String::from_utf8(bytes).unwrap(),
        }
        for line in text.lines() {
            let value: Value = serde_json::from_str(line).unwrap();
            match value["entry"].as_array() {
                Some(entries) => found.extend(entries.iter().map(|entry| entry["resource"].clone())),
                None => found.push(value),
            }
        }
    }
    found
}

fn of_kind<'a>(resources: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    resources.iter().filter(move |resource| resource["resourceType"] == kind)
}

/// The medical record number of a Patient.
fn record_number(patient: &Value) -> String {
    let numbers = patient["identifier"].as_array().unwrap();
    let number = numbers.iter().find(|number| number["type"]["coding"][0]["code"] == "MR").unwrap();
    number["value"].as_str().unwrap().to_owned()
}

#[test]
fn images_are_those_of_the_truth_in_every_form() {
    for position in 0..3 {
        let (_dir, sources) = generated(position);
        let read = match (sources.get(&Kind::DicomFiles), sources.get(&Kind::DicomTable)) {
            (Some(folder), None) => lines_of_files(folder),
            (None, Some(table)) => lines_of_table(table),
            _ => panic!("hospital {position} has images in one form"),
        };
        let truth = lines_of_truth(&truth(position));
        assert!(truth.len() > 300, "{} series", truth.len());
        assert!(read == truth, "hospital {position}");
    }
}

#[test]
fn resources_are_those_of_the_truth_in_both_forms() {
    for (position, kind) in [(1, Kind::FhirLines), (2, Kind::FhirBundles)] {
        let (_dir, sources) = generated(position);
        let resources = resources(&sources[&kind]);
        let truth = truth(position);
        let recorded: Vec<&Facts> = truth.iter().filter(|patient| patient.records.is_some()).collect();
        let known: BTreeSet<String> = of_kind(&resources, "Patient").map(record_number).collect();
        assert_eq!(known, recorded.iter().map(|patient| patient.patient_id.clone()).collect());

        let studies: BTreeSet<String> = of_kind(&resources, "ImagingStudy")
            .map(|study| study["identifier"][0]["value"].as_str().unwrap().replace("urn:oid:", ""))
            .collect();
        let of_truth = recorded.iter().flat_map(|patient| patient.studies()).map(|study| study.uid.clone());
        assert_eq!(studies, of_truth.collect());

        let coded = of_kind(&resources, "Condition").filter(|condition| {
            let codings = condition["code"]["coding"].as_array();
            codings.is_some_and(|codings| codings.iter().any(|coding| coding["code"] == "399068003"))
        });
        let prostate = recorded.iter().filter(|patient| {
            patient.diagnosis.snomed == "399068003"
                && patient.records.as_ref().unwrap().coding == Coding::Full
        });
        assert_eq!(coded.count(), prostate.count());
    }
}

#[test]
fn omop_records_are_those_of_the_truth() {
    let (_dir, sources) = generated(0);
    let rows = |table: &str| -> Vec<BTreeMap<String, String>> {
        let path = sources[&Kind::Omop].join(format!("{table}.csv"));
        csv::Reader::from_path(path).unwrap().deserialize().map(Result::unwrap).collect()
    };
    let truth = truth(0);
    let recorded: Vec<&Facts> = truth.iter().filter(|patient| patient.records.is_some()).collect();
    let ids: Vec<String> =
        rows("PERSON").into_iter().map(|mut row| row.remove("person_source_value").unwrap()).collect();
    assert_eq!(ids, recorded.iter().map(|patient| patient.patient_id.clone()).collect::<Vec<_>>());
    let results: usize = recorded.iter().map(|patient| patient.records.as_ref().unwrap().results.len()).sum();
    let findings = rows("MEASUREMENT").iter().filter(|row| row["measurement_event_id"].is_empty()).count();
    assert_eq!(findings, results);
    let treatments: usize =
        recorded.iter().map(|patient| patient.records.as_ref().unwrap().treatments.len()).sum();
    assert_eq!(rows("PROCEDURE_OCCURRENCE").len(), treatments);
}

#[test]
fn two_hospitals_that_know_the_same_person_agree() {
    let (alder, birch) = (truth(0), truth(1));
    let both: Vec<(&Facts, &Facts)> = alder
        .iter()
        .filter_map(|a| birch.iter().find(|b| a.patient_id == b.patient_id).map(|b| (a, b)))
        .collect();
    assert_eq!(both.len(), 6);
    for (a, b) in both {
        assert!(a.diagnosis == b.diagnosis && a.birth == b.birth && a.sex == b.sex && a.death == b.death);
        let uids = |of: &Facts| of.studies().map(|study| study.uid.clone()).collect::<BTreeSet<_>>();
        assert!(uids(a).is_disjoint(&uids(b)), "each hospital made images of its own");
    }
}

#[test]
fn first_imaging_counts_from_the_day_of_the_diagnosis() {
    let truth = truth(2);
    let days: Vec<i64> = truth.iter().filter_map(Facts::days_to_first_imaging).collect();
    assert!(days.len() > 80 && days.iter().all(|days| *days >= 0) && days.contains(&0));
    assert!(
        truth.iter().any(|patient| patient.studies().next().is_some_and(|s| s.date < patient.diagnosis.date))
    );
}
