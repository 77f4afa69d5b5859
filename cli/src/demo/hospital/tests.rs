//! Promises of the generated sources: repeatable to the byte, plausible, in standard form.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::File;
use std::path::Path;

use datafusion::arrow::array::{Array, AsArray};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{Kind, Source, generate};
use crate::demo::person::Plan;
use crate::demo::population::Population;

const SMALL: Plan = Plan { seed: 5, patients: 120 };

/// Positions of the hospitals in the population.
const ALDER: usize = 0;
const CEDAR: usize = 2;

fn sources(position: usize, plan: Plan) -> (tempfile::TempDir, [Source; 2]) {
    let dir = tempfile::tempdir().unwrap();
    let sources = generate(&Population::bundled().unwrap(), plan, position, dir.path()).unwrap();
    (dir, sources.try_into().unwrap())
}

/// Every file of a folder, by name, as bytes.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            files.extend(
                self::files(&path).into_iter().map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)),
            );
        } else {
            files.insert(name, std::fs::read(&path).unwrap());
        }
    }
    files
}

/// Columns of a Parquet table as text, by name.
fn columns(path: &Path, names: &[&str]) -> Vec<Vec<Option<String>>> {
    let reader =
        ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build().unwrap();
    let mut rows = Vec::new();
    for batch in reader {
        let batch = batch.unwrap();
        let columns: Vec<_> =
            names.iter().map(|name| batch.column_by_name(name).unwrap().as_string::<i32>().clone()).collect();
        for row in 0..batch.num_rows() {
            rows.push(columns.iter().map(|c| c.is_valid(row).then(|| c.value(row).to_owned())).collect());
        }
    }
    rows
}

fn csv_rows(path: &Path) -> Vec<BTreeMap<String, String>> {
    csv::Reader::from_path(path).unwrap().deserialize().map(Result::unwrap).collect()
}

#[test]
fn every_hospital_has_sources_of_its_own_kind() {
    let kinds: Vec<[Kind; 2]> =
        (0..3).map(|position| sources(position, SMALL).1.map(|source| source.kind)).collect();
    assert_eq!(
        kinds,
        [
            [Kind::DicomFiles, Kind::Omop],
            [Kind::DicomFiles, Kind::FhirLines],
            [Kind::DicomTable, Kind::FhirBundles]
        ]
    );
}

#[test]
fn the_same_plan_gives_the_same_bytes_and_another_seed_others() {
    for position in 0..3 {
        let (first, _) = sources(position, SMALL);
        let (second, _) = sources(position, SMALL);
        let (other, _) = sources(position, Plan { seed: 6, ..SMALL });
        assert!(files(first.path()) == files(second.path()), "hospital {position} repeats");
        assert!(files(first.path()) != files(other.path()), "hospital {position} depends on the seed");
    }
}

#[test]
fn nothing_is_left_of_another_plan_in_the_same_folder() {
    let population = Population::bundled().unwrap();
    for position in 0..3 {
        let (fresh, _) = sources(position, SMALL);
        let (used, _) = sources(position, Plan { seed: 6, patients: 150 });
        generate(&population, SMALL, position, used.path()).unwrap();
        assert!(files(fresh.path()) == files(used.path()), "hospital {position}");
    }
}

#[test]
fn series_have_unique_valid_identifiers_and_one_patient_a_study() {
    let (_dir, [table, _]) = sources(CEDAR, Plan { patients: 400, ..SMALL });
    let rows = columns(&table.path, &["SeriesInstanceUID", "StudyInstanceUID", "PatientID"]);
    assert!((4_000..14_000).contains(&rows.len()), "{} series of 400 patients", rows.len());
    let mut series = HashSet::new();
    let mut patients: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for row in &rows {
        let [Some(of), Some(study), patient] = row.as_slice() else { panic!("an identifier is missing") };
        assert!(series.insert(of), "a series identifier repeats");
        patients.entry(study).or_default().extend(patient.as_deref());
    }
    assert!(patients.values().all(|of| of.len() <= 1));
}

#[test]
fn real_life_leaves_its_dirt() {
    let (_dir, [table, _]) = sources(CEDAR, Plan { patients: 1_500, ..SMALL });
    let rows = columns(
        &table.path,
        &["PatientSex", "PatientAge", "BodyPartExamined", "PatientID", "Manufacturer", "Modality"],
    );
    let missing =
        |column: usize| rows.iter().filter(|row| row[column].is_none()).count() as f64 / rows.len() as f64;
    assert!((0.002..0.03).contains(&missing(0)), "sex {}", missing(0));
    assert!((0.02..0.07).contains(&missing(1)), "age {}", missing(1));
    assert!((0.04..0.08).contains(&missing(2)), "body part {}", missing(2));
    assert!((0.0002..0.003).contains(&missing(3)), "patient {}", missing(3));
    let spellings: BTreeSet<_> = rows
        .iter()
        .filter_map(|row| row[4].as_deref())
        .filter(|m| m.to_lowercase().contains("siemens"))
        .collect();
    assert!(spellings.len() >= 3, "{spellings:?}");
    assert!(rows.iter().all(|row| row[1].as_ref().is_none_or(|age| age.len() == 4 && age.ends_with('Y'))));
    let modalities: BTreeSet<_> = rows.iter().filter_map(|row| row[5].as_deref()).collect();
    assert_eq!(modalities, BTreeSet::from(["CT", "DX", "MG", "MR", "PT", "US"]));
}

#[test]
fn markers_have_plausible_values_in_their_units() {
    let (_dir, [_, omop]) = sources(ALDER, Plan { patients: 1_500, ..SMALL });
    let rows = csv_rows(&omop.path.join("MEASUREMENT.csv"));
    let mut psa: Vec<f64> = rows
        .iter()
        .filter(|row| row["measurement_concept_id"] == "3013603")
        .map(|row| {
            assert_eq!(
                (row["unit_concept_id"].as_str(), row["unit_source_value"].as_str()),
                ("8842", "ng/mL")
            );
            row["value_as_number"].parse().unwrap()
        })
        .collect();
    psa.sort_by(f64::total_cmp);
    let median = psa[psa.len() / 2];
    assert!((7.0..12.0).contains(&median) && psa[0] >= 0.9, "{median}");
    let her2: Vec<_> = rows.iter().filter(|row| row["measurement_concept_id"] == "36203114").collect();
    let positive = her2.iter().filter(|row| row["value_as_concept_id"] == "9191").count();
    let share = positive as f64 / her2.len() as f64;
    assert!((0.10..0.22).contains(&share), "{share}");
}

#[test]
fn stage_and_grade_are_measurements_about_the_condition_of_the_same_person() {
    let (_dir, [_, omop]) = sources(ALDER, SMALL);
    let whose: BTreeMap<String, String> = csv_rows(&omop.path.join("CONDITION_OCCURRENCE.csv"))
        .into_iter()
        .map(|row| (row["condition_occurrence_id"].clone(), row["person_id"].clone()))
        .collect();
    let rows = csv_rows(&omop.path.join("MEASUREMENT.csv"));
    let about: Vec<_> = rows.iter().filter(|row| !row["measurement_event_id"].is_empty()).collect();
    assert!(about.len() > whose.len(), "most are staged, many graded");
    for row in about {
        assert_eq!(row["meas_event_field_concept_id"], "1147127");
        assert_eq!(whose[&row["measurement_event_id"]], row["person_id"]);
    }
    let gleason: Vec<_> = rows.iter().filter(|row| row["measurement_concept_id"] == "4157602").collect();
    assert!(gleason.len() > 5);
    for row in gleason {
        let (score, group) = (row["value_as_number"].as_str(), row["value_as_concept_id"].as_str());
        assert!(matches!(
            (score, group),
            ("6", "3655244") | ("7", "3655245" | "3655246") | ("8", "3655247") | ("9", "3655248")
        ));
    }
}

#[test]
fn every_concept_of_an_omop_folder_is_in_its_vocabulary() {
    let (_dir, [_, omop]) = sources(ALDER, SMALL);
    let concepts: BTreeSet<String> = csv_rows(&omop.path.join("CONCEPT.csv"))
        .into_iter()
        .map(|mut row| row.remove("concept_id").unwrap())
        .collect();
    let mut used = 0;
    for table in
        ["PERSON", "VISIT_OCCURRENCE", "CONDITION_OCCURRENCE", "MEASUREMENT", "PROCEDURE_OCCURRENCE", "DEATH"]
    {
        for row in csv_rows(&omop.path.join(format!("{table}.csv"))) {
            let named = row.iter().filter(|(name, value)| name.ends_with("concept_id") && !value.is_empty());
            for (name, concept) in named {
                assert!(concepts.contains(concept), "{table}.{name} {concept}");
                used += 1;
            }
        }
    }
    assert!(used > 1_000);
}

#[test]
fn nothing_is_recorded_of_the_dead() {
    let (_dir, [_, omop]) = sources(ALDER, Plan { patients: 400, ..SMALL });
    let deaths: BTreeMap<_, _> = csv_rows(&omop.path.join("DEATH.csv"))
        .into_iter()
        .map(|row| (row["person_id"].clone(), row["death_date"].clone()))
        .collect();
    assert!((50..250).contains(&deaths.len()), "{} deaths of 400", deaths.len());
    for (table, date) in [("MEASUREMENT", "measurement_date"), ("PROCEDURE_OCCURRENCE", "procedure_date")] {
        for row in csv_rows(&omop.path.join(format!("{table}.csv"))) {
            let death = deaths.get(&row["person_id"]);
            assert!(death.is_none_or(|death| *death >= row[date]), "ISO dates compare as text");
        }
    }
}
