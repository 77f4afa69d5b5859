//! Writes a hospital's DICOM table: Parquet with one row a series, columns named by DICOM keyword.
//!
//! Rows are written in batches as they come; a hospital of any size needs the memory of one batch.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use chrono::NaiveDate;
use datafusion::arrow::array::{ArrayRef, Date32Array, Float64Array, Int64Array, StringArray};
use datafusion::arrow::datatypes::Date32Type;
use datafusion::arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::care::Care;
use super::imaging::{Imaging, Series, Study};

/// Rows held before they are written.
const BATCH: usize = 8_192;

/// A table that is being written.
pub(super) struct DicomTable<'a> {
    collection: &'a str,
    rows: Vec<Row<'a>>,
    writer: ArrowWriter<File>,
}

struct Row<'a> {
    patient: Option<String>,
    sex: Option<&'static str>,
    birth: NaiveDate,
    age: Option<String>,
    study: String,
    date: NaiveDate,
    series: Series<'a>,
}

impl<'a> DicomTable<'a> {
    /// Starts a table at `path`, over any that is there.
    pub(super) fn create(path: &Path, collection: &'a str) -> Result<Self> {
        let file = File::create(path).with_context(|| path.display().to_string())?;
        let zstd = Compression::ZSTD(ZstdLevel::default());
        let properties = WriterProperties::builder().set_compression(zstd).build();
        let writer = ArrowWriter::try_new(file, batch(&[], "")?.schema(), Some(properties))?;
        Ok(Self { collection, rows: Vec::new(), writer })
    }

    /// Adds all series of a patient.
    pub(super) fn write(&mut self, care: &Care<'a>) -> Result<()> {
        let Some(Imaging { sex, studies }) = &care.imaging else { return Ok(()) };
        for study in studies {
            self.rows.extend(study.series.iter().map(|series| Row {
                patient: (!series.orphan).then(|| care.person.id()),
                sex: *sex,
                birth: care.person.birth,
                age: age(study),
                study: study.uid.clone(),
                date: study.date,
                series: series.clone(),
            }));
        }
        if self.rows.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    /// Writes what is left and closes the file.
    pub(super) fn close(mut self) -> Result<()> {
        self.flush()?;
        self.writer.close()?;
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let batch = batch(&self.rows, self.collection)?;
        self.rows.clear();
        Ok(self.writer.write(&batch)?)
    }
}

/// PS3.5 section 6.2: an age string is three digits and a unit.
pub(super) fn age(study: &Study<'_>) -> Option<String> {
    study.age.map(|years| format!("{years:03}Y"))
}

/// The rows as columns. `StationName` and the like are not in the data model: an ingest names and leaves out such.
fn batch(rows: &[Row<'_>], collection: &str) -> Result<RecordBatch> {
    let text = |of: fn(&Row<'_>) -> Option<String>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<StringArray>())
    };
    let date = |of: fn(&Row<'_>) -> NaiveDate| -> ArrayRef {
        Arc::new(rows.iter().map(|row| Some(Date32Type::from_naive_date(of(row)))).collect::<Date32Array>())
    };
    let number = |of: fn(&Row<'_>) -> i64| -> ArrayRef {
        Arc::new(rows.iter().map(|row| Some(of(row))).collect::<Int64Array>())
    };
    let float = |of: fn(&Row<'_>) -> Option<f64>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<Float64Array>())
    };
    let owned = |text: &str| Some(text.to_owned());
    let collection: ArrayRef = Arc::new(rows.iter().map(|_| owned(collection)).collect::<StringArray>());
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("PatientID", text(|row| row.patient.clone()), true),
        ("PatientSex", text(|row| row.sex.map(str::to_owned)), true),
        ("PatientAge", text(|row| row.age.clone()), true),
        ("PatientBirthDate", date(|row| row.birth), true),
        ("collection_id", collection, true),
        ("StudyInstanceUID", text(|row| Some(row.study.clone())), true),
        ("StudyDate", date(|row| row.date), true),
        ("SeriesInstanceUID", text(|row| Some(row.series.uid.clone())), true),
        ("SeriesNumber", number(|row| row.series.number), true),
        ("SeriesDate", date(|row| row.date), true),
        ("Modality", text(|row| Some(row.series.modality.to_owned())), true),
        ("SOPClassUID", text(|row| Some(row.series.sop_class.to_owned())), true),
        ("BodyPartExamined", text(|row| row.series.body_part.map(str::to_owned)), true),
        ("Laterality", text(|row| row.series.laterality.map(str::to_owned)), true),
        ("Manufacturer", text(|row| Some(row.series.manufacturer.to_owned())), true),
        ("ManufacturerModelName", text(|row| Some(row.series.model.to_owned())), true),
        ("MagneticFieldStrength", float(|row| row.series.tesla), true),
        ("KVP", float(|row| row.series.kvp), true),
        ("SliceThickness", float(|row| row.series.slice_mm), true),
        ("instanceCount", number(|row| row.series.instances), true),
        ("series_size_MB", float(|row| Some(row.series.megabytes)), true),
    ];
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}
