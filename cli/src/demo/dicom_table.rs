//! Writes a hospital's DICOM table: one row a series, columns named by DICOM keyword, Parquet or CSV.
//!
//! Rows are written in batches as they come; a hospital of any size needs the memory of one batch.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use chrono::NaiveDate;
use datafusion::arrow::array::{ArrayRef, Date32Array, Float64Array, Int64Array, StringArray};
use datafusion::arrow::csv;
use datafusion::arrow::datatypes::Date32Type;
use datafusion::arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::imaging::{Series, Study};
use super::person::Person;
use super::population::TableForm;

/// Rows held before they are written.
const BATCH: usize = 8_192;

/// A table that is being written.
pub(super) struct DicomTable<'a> {
    collection: &'a str,
    rows: Vec<Row<'a>>,
    sink: Sink,
}

struct Row<'a> {
    patient: Option<String>,
    sex: Option<&'static str>,
    birth: NaiveDate,
    age: Option<String>,
    study: String,
    date: NaiveDate,
    number: i64,
    series: Series<'a>,
}

enum Sink {
    Parquet(ArrowWriter<File>),
    Csv(csv::Writer<File>),
}

impl TableForm {
    /// The name of a hospital's table.
    pub(super) fn file_name(self) -> &'static str {
        match self {
            TableForm::Parquet => "series.parquet",
            TableForm::Csv => "series.csv",
        }
    }
}

impl<'a> DicomTable<'a> {
    /// Starts a table at `path`, over any that is there.
    pub(super) fn create(path: &Path, form: TableForm, collection: &'a str) -> Result<Self> {
        let file = File::create(path).with_context(|| path.display().to_string())?;
        Ok(Self { collection, rows: Vec::new(), sink: Sink::open(form, file)? })
    }

    /// Adds all series of one study.
    pub(super) fn write(
        &mut self,
        person: &Person<'_>,
        sex: Option<&'static str>,
        study: Study<'a>,
    ) -> Result<()> {
        // PS3.5 section 6.2: an age string is three digits and a unit.
        let age = study.age.map(|years| format!("{years:03}Y"));
        for (number, series) in (1..).zip(study.series) {
            self.rows.push(Row {
                patient: (!series.orphan).then(|| person.id()),
                sex,
                birth: person.birth,
                age: age.clone(),
                study: study.uid.clone(),
                date: study.date,
                number,
                series,
            });
        }
        if self.rows.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    /// Writes what is left and closes the file.
    pub(super) fn close(mut self) -> Result<()> {
        self.flush()?;
        if let Sink::Parquet(writer) = self.sink {
            writer.close()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let batch = batch(&self.rows, self.collection)?;
        self.rows.clear();
        match &mut self.sink {
            Sink::Parquet(writer) => writer.write(&batch)?,
            Sink::Csv(writer) => writer.write(&batch)?,
        }
        Ok(())
    }
}

impl Sink {
    fn open(form: TableForm, file: File) -> Result<Self> {
        Ok(match form {
            TableForm::Parquet => {
                let zstd = Compression::ZSTD(ZstdLevel::default());
                let properties = WriterProperties::builder().set_compression(zstd).build();
                Sink::Parquet(ArrowWriter::try_new(file, batch(&[], "")?.schema(), Some(properties))?)
            }
            // PS3.5 section 6.2: a date is eight digits.
            TableForm::Csv => {
                Sink::Csv(csv::WriterBuilder::new().with_date_format("%Y%m%d".to_owned()).build(file))
            }
        })
    }
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
        ("SeriesNumber", number(|row| row.number), true),
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
