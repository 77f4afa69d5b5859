//! From the series of one patient to its studies.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, UInt32Array, UInt64Array, new_null_array,
};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, Int64Type, UInt64Type};
use arrow::error::ArrowError;
use caim_ontology::Table;
use caim_warehouse::layout;

use super::super::{SERIES_UID, STUDY_UID};
use crate::Result;
use crate::landing::Landing;
use crate::values::stored_type;

const RELATED_SERIES: &str = "numberofstudyrelatedseries";
const RELATED_INSTANCES: &str = "numberofstudyrelatedinstances";
const INSTANCES: &str = "instancecount";

/// Columns that are read of every series, before its attributes.
const FIRST: [&str; 5] = [layout::PATIENT, layout::ROW, SERIES_UID, STUDY_UID, INSTANCES];

/// Where the columns of a study come from.
pub(super) struct Fields {
    /// For every stored column of a study, in the order of its model.
    sources: Vec<Source>,
    /// Columns that a study takes over from its series.
    attributes: Vec<String>,
}

/// Where one column of a study comes from.
enum Source {
    StudyUid,
    CountOfSeries,
    SumOfInstances,
    /// The attribute of that number.
    Attribute(usize, DataType),
    /// Nowhere: series do not have it.
    Nothing(DataType),
}

/// The studies of one patient, by StudyInstanceUID.
#[derive(Default)]
pub(super) struct Studies(BTreeMap<String, Study>);

/// What the series of one study add up to.
struct Study {
    /// The smallest SeriesInstanceUID, and the key of its row.
    first: (String, u64),
    series: i64,
    /// `None` as soon as one series does not say how many it has.
    instances: Option<i64>,
    /// For each attribute, its value in the smallest series that has one.
    cells: Vec<Option<Cell>>,
}

/// A value where it was found.
struct Cell {
    series: String,
    array: ArrayRef,
    row: usize,
}

/// A study and whose it is.
pub(super) struct Derived {
    patient: Option<u32>,
    uid: String,
    study: Study,
}

impl Fields {
    /// A column of a study is taken from the column of that name in its series.
    pub(super) fn of(study: &Table, series: &Table) -> Self {
        let mut attributes = Vec::new();
        let sources = study.stored_columns().map(|column| match column.stored.as_str() {
            STUDY_UID => Source::StudyUid,
            RELATED_SERIES => Source::CountOfSeries,
            RELATED_INSTANCES => Source::SumOfInstances,
            name if series.column(name).is_some_and(|found| found.ty == column.ty) => {
                attributes.push(name.to_owned());
                Source::Attribute(attributes.len() - 1, stored_type(column.ty))
            }
            _ => Source::Nothing(stored_type(column.ty)),
        });
        Self { sources: sources.collect(), attributes }
    }

    /// The columns of a series that are needed; the patient is the first.
    pub(super) fn columns(&self) -> Vec<&str> {
        FIRST.into_iter().chain(self.attributes.iter().map(String::as_str)).collect()
    }

    /// Stored rows of studies.
    pub(super) fn rows(&self, studies: &[Derived], landing: &Landing<'_>) -> Result<RecordBatch> {
        let columns = self.sources.iter().map(|source| source.column(studies));
        let mut columns: Vec<ArrayRef> =
            columns.collect::<std::result::Result<_, _>>().map_err(|e| landing.fault(&e))?;
        let keys = keys(studies, &columns, landing);
        columns.push(Arc::new(studies.iter().map(|derived| derived.patient).collect::<UInt32Array>()));
        columns.push(Arc::new(keys));
        landing.batch(columns)
    }
}

impl Source {
    fn column(&self, studies: &[Derived]) -> std::result::Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::StudyUid => Arc::new(StringArray::from_iter_values(studies.iter().map(Derived::uid))),
            Self::CountOfSeries => {
                Arc::new(Int64Array::from_iter_values(studies.iter().map(|derived| derived.study.series)))
            }
            Self::SumOfInstances => {
                Arc::new(studies.iter().map(|derived| derived.study.instances).collect::<Int64Array>())
            }
            Self::Attribute(attribute, ty) => gather(studies, *attribute, ty)?,
            Self::Nothing(ty) => new_null_array(ty, studies.len()),
        })
    }
}

impl Studies {
    /// Takes series of the patient. Those without a StudyInstanceUID are in no study.
    pub(super) fn add(&mut self, fields: &Fields, rows: &RecordBatch) {
        let [keys, series, study, instances] = [1, 2, 3, 4].map(|place| rows.column(place));
        let keys = keys.as_primitive::<UInt64Type>();
        let (series, study) = (series.as_string::<i32>(), study.as_string::<i32>());
        let instances = instances.as_primitive::<Int64Type>();
        for row in (0..rows.num_rows()).filter(|row| study.is_valid(*row)) {
            let instances = instances.is_valid(row).then(|| instances.value(row));
            let attributes =
                (FIRST.len()..).take(fields.attributes.len()).map(|place| (rows.column(place), row));
            let found =
                self.0.entry(study.value(row).to_owned()).or_insert_with(|| Study::new(&fields.attributes));
            found.add(series.value(row), keys.value(row), instances);
            found.cells.iter_mut().zip(attributes).for_each(|(cell, (array, row))| {
                if array.is_valid(row) {
                    prefer(cell, series.value(row), array, row);
                }
            });
        }
    }

    /// The studies, as those of `patient`.
    pub(super) fn of(self, patient: Option<u32>) -> impl Iterator<Item = Derived> {
        self.0.into_iter().map(move |(uid, study)| Derived { patient, uid, study })
    }
}

impl Study {
    fn new(attributes: &[String]) -> Self {
        let cells = attributes.iter().map(|_| None).collect();
        Self { first: (String::new(), 0), series: 0, instances: Some(0), cells }
    }

    fn add(&mut self, series: &str, key: u64, instances: Option<i64>) {
        if self.series == 0 || series < self.first.0.as_str() {
            self.first = (series.to_owned(), key);
        }
        self.series += 1;
        self.instances = self.instances.zip(instances).and_then(|(sum, more)| sum.checked_add(more));
    }
}

impl Derived {
    /// StudyInstanceUID.
    pub(super) fn uid(&self) -> &str {
        &self.uid
    }
}

/// Keeps the value of the smaller series.
fn prefer(cell: &mut Option<Cell>, series: &str, array: &ArrayRef, row: usize) {
    if cell.as_ref().is_none_or(|present| series < present.series.as_str()) {
        *cell = Some(Cell { series: series.to_owned(), array: Arc::clone(array), row });
    }
}

/// One attribute of all studies as a column.
fn gather(studies: &[Derived], attribute: usize, ty: &DataType) -> std::result::Result<ArrayRef, ArrowError> {
    let null = new_null_array(ty, 1);
    let mut arrays: Vec<&dyn Array> = vec![null.as_ref()];
    let mut places = Vec::with_capacity(studies.len());
    for derived in studies {
        match derived.study.cells.get(attribute).and_then(Option::as_ref) {
            Some(cell) => {
                places.push((arrays.len(), cell.row));
                arrays.push(cell.array.as_ref());
            }
            None => places.push((0, 0)),
        }
    }
    interleave(&arrays, &places)
}

/// Keys of derived rows. The pseudonym is not stored with the series, but the key of a series depends on it and
/// on nothing of another patient: so does a key made from the first series' key and the study's own values.
fn keys(studies: &[Derived], columns: &[ArrayRef], landing: &Landing<'_>) -> UInt64Array {
    let first = studies.iter().map(|derived| derived.study.first.1.cast_signed());
    let first: ArrayRef = Arc::new(Int64Array::from_iter_values(first));
    let hashed: Vec<ArrayRef> = std::iter::once(first).chain(columns.iter().map(Arc::clone)).collect();
    landing.keys(&vec![None; studies.len()], &hashed)
}
