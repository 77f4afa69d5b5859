//! Generated DICOM series: a fixed seed gives the same table, ten series a patient on average.

use std::sync::Arc;

use anyhow::{Context, Result};
use caim_ontology::Models;
use caim_sql::released::arrow_type;
use caim_warehouse::layout::{PATIENT, ROW};
use caim_warehouse::{Epoch, NewBatch, TableName, Warehouse};
use datafusion::arrow::array::{
    ArrayRef, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray, UInt32Array, UInt64Array,
    new_null_array,
};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Patients whose series are made at once.
const CHUNK: u32 = 20_000;

const MODALITIES: [&str; 8] = ["CT", "CT", "CT", "MR", "MR", "MG", "PT", "US"];
const PARTS: [&str; 6] = ["CHEST", "BREAST", "PROSTATE", "ABDOMEN", "HEAD", "PELVIS"];
const MAKERS: [&str; 5] = ["SIEMENS", "GE MEDICAL SYSTEMS", "Philips", "TOSHIBA", "Hologic"];

/// What differs between series; the other columns of the table are NULL.
#[derive(Default)]
struct Columns {
    patient: Vec<u32>,
    row: Vec<u64>,
    study: Vec<String>,
    sex: Vec<Option<&'static str>>,
    age: Vec<Option<i64>>,
    date: Vec<i32>,
    modality: Vec<&'static str>,
    part: Vec<Option<&'static str>>,
    maker: Vec<&'static str>,
    thickness: Vec<Option<f64>>,
    instances: Vec<i64>,
}

/// Commits the series of so many patients as one epoch.
pub(crate) fn commit(warehouse: &Warehouse, models: &Models, patients: u32, seed: u64) -> Result<Epoch> {
    let mut commit = warehouse.begin(NewBatch {
        source: "generated".into(),
        content: format!("{patients} patients, seed {seed}"),
        collection: None,
        format: "generated".into(),
    })?;
    commit.secret("generated")?;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut writer = None;
    for first in (0..patients).step_by(CHUNK as usize) {
        let mut columns = Columns::default();
        for patient in first..patients.min(first + CHUNK) {
            let mut pseudonym = [0; 32];
            random.fill_bytes(&mut pseudonym);
            let ordinal = commit.ordinals()?.ordinal(&pseudonym);
            columns.add(patient, ordinal, &mut random);
        }
        let batch = columns.batch(models)?;
        let open = match writer.take() {
            Some(open) => open,
            None => commit.writer(TableName::new("dicom", "series"), batch.schema())?,
        };
        writer.insert(open).write(&batch)?;
    }
    writer.context("there are no patients")?.finish()?;
    Ok(commit.publish()?)
}

fn pick<T: Copy>(random: &mut impl Rng, values: &[T]) -> Option<T> {
    values.get(random.random_range(0..values.len())).copied()
}

impl Columns {
    fn add(&mut self, patient: u32, ordinal: u32, random: &mut impl Rng) {
        let sex = pick(random, &["F", "M", "M"]).filter(|_| random.random_bool(0.98));
        let age = random.random_range(18..90);
        for series in 0..random.random_range(1..20u64) {
            self.patient.push(ordinal);
            self.row.push(random.random());
            self.study.push(format!("2.25.{}.{}", patient, series / 5));
            self.sex.push(sex);
            self.age.push(random.random_bool(0.9).then_some(age));
            self.date.push(random.random_range(14_600..19_700));
            self.modality.push(pick(random, &MODALITIES).unwrap_or_default());
            self.part.push(pick(random, &PARTS).filter(|_| random.random_bool(0.8)));
            self.maker.push(pick(random, &MAKERS).unwrap_or_default());
            let thickness = f64::from(random.random_range(2..24)) * 0.25;
            self.thickness.push(random.random_bool(0.9).then_some(thickness));
            self.instances.push(random.random_range(1..600));
        }
    }

    /// The table's columns, in the order and the types of the model.
    fn batch(self, models: &Models) -> Result<RecordBatch> {
        let table = models.table("dicom", "series")?;
        let rows = self.patient.len();
        let mut made: Vec<(&str, ArrayRef)> = vec![
            ("studyinstanceuid", Arc::new(StringArray::from(self.study))),
            ("patientsex", Arc::new(StringArray::from(self.sex))),
            ("patientage", Arc::new(Int64Array::from(self.age))),
            ("studydate", Arc::new(Date32Array::from(self.date))),
            ("modality", Arc::new(StringArray::from(self.modality))),
            ("bodypartexamined", Arc::new(StringArray::from(self.part))),
            ("manufacturer", Arc::new(StringArray::from(self.maker))),
            ("slicethickness", Arc::new(Float64Array::from(self.thickness))),
            ("instancecount", Arc::new(Int64Array::from(self.instances))),
        ];
        let mut columns: Vec<(String, ArrayRef, bool)> = vec![
            (PATIENT.into(), Arc::new(UInt32Array::from(self.patient)), true),
            (ROW.into(), Arc::new(UInt64Array::from(self.row)), true),
        ];
        for column in table.stored_columns() {
            let found =
                made.iter().position(|(name, _)| *name == column.stored).map(|at| made.swap_remove(at).1);
            let array = found.unwrap_or_else(|| new_null_array(&arrow_type(column.ty), rows));
            columns.push((column.stored.clone(), array, true));
        }
        Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
    }
}
