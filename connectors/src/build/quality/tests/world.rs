//! Records of two patients in every table of the models, without a fault, made from the models themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, UInt32Array, UInt64Array,
};
use arrow::compute::cast;
use caim_ontology::{Column, ColumnType, Models, Role, Table, TableKind};
use caim_warehouse::{NewBatch, TableName, Warehouse, layout};
use serde_json::Value;

use super::super::rules::Rules;
use crate::landing::stored_schema;
use crate::values::stored_type;

/// A row by the stored names of its columns.
pub(super) type Row = BTreeMap<String, Value>;

pub(super) const PATIENTS: usize = 2;
const SLICES: usize = 4;

/// Concepts that fit every column without a domain, and those that fit none.
pub(super) const ANY: i64 = 1;
pub(super) const NOT_STANDARD: i64 = 2;
const GENDER_MALE: i64 = 8507;
const DOMAINS: i64 = 1000;
const MEASURED: i64 = 2000;
const UNITS: i64 = 3000;

/// All rows by the name of their table.
#[derive(Clone)]
pub(super) struct World {
    tables: BTreeMap<String, Vec<Row>>,
}

impl World {
    pub(super) fn sound(models: &Models) -> Self {
        let mut world = Self { tables: BTreeMap::new() };
        let maker = Maker::new(models);
        for model in models.iter() {
            for table in model.tables.iter().filter(|table| table.kind == TableKind::Patient) {
                let rows = (0..PATIENTS).map(|patient| maker.row(&model.schema, table, patient)).collect();
                world.tables.insert(format!("{}.{}", model.schema, table.name), rows);
            }
        }
        world.tables.insert("omop.concept".into(), maker.concepts());
        world.tables.insert("eucaim.dataset".into(), vec![[("dataset_id".into(), "c1".into())].into()]);
        world.slices();
        world.results(&maker.rules);
        world
    }

    pub(super) fn rows(&mut self, table: &str) -> &mut Vec<Row> {
        self.tables.get_mut(table).unwrap_or_else(|| panic!("no table {table}"))
    }

    pub(super) fn keep(&mut self, wanted: impl Fn(&str) -> bool) {
        self.tables.retain(|table, _| wanted(table));
    }

    /// One series a patient, of slices that lie as they should.
    fn slices(&mut self) {
        let rows = self.rows("dicom.instance");
        let first = std::mem::take(rows);
        for row in first {
            for slice in 0..SLICES {
                let mut row = row.clone();
                if slice > 0 {
                    let uid = row["sopinstanceuid"].as_str().map(|uid| format!("{uid}.{slice}"));
                    row.insert("sopinstanceuid".into(), uid.into());
                }
                row.insert("instancenumber".into(), (slice + 1).into());
                row.insert("imagepositionpatient".into(), format!("-100\\-100\\{}", slice * 2).into());
                rows.push(row);
            }
        }
        rows.sort_by_key(|row| row[layout::PATIENT].as_u64());
    }

    /// One result a patient for each range, in the middle of it.
    fn results(&mut self, rules: &Rules) {
        for (table, number) in [("omop.measurement", "value_as_number"), ("fhir.observation", "value_number")]
        {
            let rows = self.rows(table);
            for (place, range) in rules.range.iter().enumerate() {
                for patient in 0..PATIENTS {
                    let mut row = rows[patient].clone();
                    let key = if table.starts_with("omop") { "measurement_id" } else { "id" };
                    row.insert(key.into(), distinct(&row[key], place));
                    row.insert(number.into(), f64::midpoint(range.lo, range.hi).into());
                    row.insert("measurement_concept_id".into(), (MEASURED + as_i64(place)).into());
                    row.insert("code".into(), range.loinc[0].as_str().into());
                    row.insert("code_system".into(), "http://loinc.org".into());
                    if let Some(unit) = &range.unit {
                        row.insert("unit_concept_id".into(), (UNITS + as_i64(place)).into());
                        row.insert("value_unit".into(), unit.as_str().into());
                    }
                    rows.push(row);
                }
            }
        }
    }
}

fn distinct(key: &Value, place: usize) -> Value {
    match key {
        Value::String(text) => format!("{text}.{place}").into(),
        number => (number.as_i64().unwrap() * 1000 + as_i64(place)).into(),
    }
}

pub(super) fn as_i64(number: usize) -> i64 {
    i64::try_from(number).unwrap()
}

/// Makes rows by what the models say of columns.
struct Maker<'m> {
    models: &'m Models,
    rules: Rules,
    /// Columns that others refer to: `schema.table.column`.
    targets: BTreeSet<String>,
}

impl<'m> Maker<'m> {
    fn new(models: &'m Models) -> Self {
        let columns = models.iter().flat_map(|model| &model.tables).flat_map(|table| &table.columns);
        let targets =
            columns.filter_map(|column| column.references.as_ref()).map(ToString::to_string).collect();
        Self { models, rules: Rules::bundled().unwrap(), targets }
    }

    fn row(&self, schema: &str, table: &Table, patient: usize) -> Row {
        let value = |column: &Column| (column.stored.clone(), self.value(schema, table, column, patient));
        let mut row: Row = table.stored_columns().map(value).collect();
        row.insert(layout::PATIENT.into(), patient.into());
        row
    }

    fn value(&self, schema: &str, table: &Table, column: &Column, patient: usize) -> Value {
        let name = column.stored.as_str();
        let key =
            table.key.iter().any(|key| key == name && !["element", "position", "number"].contains(&name));
        match (schema, name) {
            (_, "collection_id" | "dataset_id") => return "c1".into(),
            ("dicom", "modality") => return "CT".into(),
            ("dicom", "patientsex") => return "M".into(),
            ("dicom", "sopclassuid") => return "1.2.840.10008.5.1.4.1.1.2".into(),
            (_, "slicethickness") => return 1.into(),
            ("fhir", "gender") => return "male".into(),
            (_, "year_of_birth") => return 1960.into(),
            _ => {}
        }
        let concept = column.references.as_ref().is_some_and(|to| to.table == "concept");
        let refers = column.references.is_some() && !concept;
        if key || refers || self.targets.contains(&format!("{schema}.{}.{name}", table.name)) {
            return key_of(column.ty, patient);
        }
        if concept {
            return self.concept_of(name).into();
        }
        if let Some(root) = column.roots.first() {
            let ontology = self.models.ontology();
            return ontology.curie(ontology.find(root).unwrap()).into();
        }
        if let Some(value) = column.values.first() {
            return value.as_str().into();
        }
        match column.ty {
            ColumnType::Text => "x".into(),
            ColumnType::Boolean => true.into(),
            ColumnType::Date | ColumnType::Timestamp => day(name).into(),
            ColumnType::Integer | ColumnType::Float => {
                let middle =
                    column.bounds().map_or(1.0, |bounds| f64::midpoint(bounds.lo, bounds.hi).floor());
                if column.ty == ColumnType::Integer { Value::from(middle as i64) } else { middle.into() }
            }
        }
    }

    fn concept_of(&self, column: &str) -> i64 {
        match self.rules.domains.get(column) {
            Some(domain) if domain == "Gender" => GENDER_MALE,
            Some(domain) => self.domain(domain),
            None if column.ends_with("_type_concept_id") => DOMAINS - 1,
            None => ANY,
        }
    }

    fn domain(&self, domain: &str) -> i64 {
        DOMAINS + as_i64(self.rules.domains.values().position(|known| known == domain).unwrap())
    }

    fn concepts(&self) -> Vec<Row> {
        let concept = |id: i64, domain: &str, vocabulary: &str, code: &str, standard: Option<&str>| -> Row {
            let texts = [("domain_id", domain), ("vocabulary_id", vocabulary), ("concept_code", code)];
            let mut row: Row = texts.map(|(name, text)| (name.to_owned(), Value::from(text))).into();
            row.insert("concept_id".into(), id.into());
            row.insert("standard_concept".into(), standard.into());
            row
        };
        let mut rows = vec![
            concept(ANY, "Observation", "SNOMED", "1", Some("S")),
            concept(NOT_STANDARD, "Observation", "SNOMED", "2", None),
            concept(GENDER_MALE, "Gender", "Gender", "M", Some("S")),
            concept(DOMAINS - 1, "Type Concept", "Type Concept", "T", Some("S")),
        ];
        for domain in self.rules.domains.values().filter(|domain| *domain != "Gender") {
            rows.push(concept(self.domain(domain), domain, "SNOMED", domain, Some("S")));
        }
        for (place, range) in self.rules.range.iter().enumerate() {
            rows.push(concept(MEASURED + as_i64(place), "Measurement", "LOINC", &range.loinc[0], Some("S")));
            let unit = range.unit.as_deref().unwrap_or("1");
            rows.push(concept(UNITS + as_i64(place), "Unit", "UCUM", unit, Some("S")));
        }
        rows
    }
}

fn key_of(ty: ColumnType, patient: usize) -> Value {
    if ty == ColumnType::Text { format!("2.25.{}", patient + 1).into() } else { (patient + 1).into() }
}

fn day(column: &str) -> &'static str {
    match column {
        name if name.contains("birth") => "1960-03-01",
        name if name.contains("death") || name.contains("deceased") || name.contains("last_contact") => {
            "2015-01-01"
        }
        "observation_period_start_date" => "2000-01-01",
        "observation_period_end_date" => "2015-12-31",
        name if name.contains("_end_") || name.starts_with("abatement") || name.starts_with("received") => {
            "2010-01-02"
        }
        _ => "2010-01-01",
    }
}

/// A world in a warehouse.
pub(super) struct Stored<'m> {
    _folder: tempfile::TempDir,
    models: &'m Models,
    pub(super) warehouse: Warehouse,
    now: BTreeMap<String, Vec<Row>>,
    commits: u32,
}

impl<'m> Stored<'m> {
    pub(super) fn new(models: &'m Models, world: &World) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let warehouse = Warehouse::create(folder.path()).unwrap();
        let mut stored = Self { _folder: folder, models, warehouse, now: BTreeMap::new(), commits: 0 };
        stored.set(world);
        stored
    }

    /// Replaces the tables that differ.
    pub(super) fn set(&mut self, world: &World) {
        self.commits += 1;
        let batch = NewBatch {
            source: format!("world {}", self.commits),
            content: self.commits.to_string(),
            collection: Some("c1".into()),
            format: "test".into(),
        };
        let mut commit = self.warehouse.begin(batch).unwrap();
        commit.secret("secret").unwrap();
        // Ordinals for everybody, and for one whom no table of persons knows.
        for patient in 0..8 {
            commit.ordinals().unwrap().ordinal(&[patient; 32]);
        }
        for (name, rows) in &world.tables {
            if self.now.get(name) == Some(rows) {
                continue;
            }
            let name: TableName = name.parse().unwrap();
            let table = self.models.table(&name.schema, &name.table).unwrap();
            commit.replace(&name);
            let mut writer = commit.writer(name, stored_schema(table)).unwrap();
            writer.write(&batch_of(table, rows)).unwrap();
            writer.finish().unwrap();
        }
        commit.publish().unwrap();
        self.now = world.tables.clone();
    }
}

fn batch_of(table: &Table, rows: &[Row]) -> RecordBatch {
    let mut arrays: Vec<ArrayRef> = table.stored_columns().map(|column| array(column, rows)).collect();
    if table.columns.iter().any(|column| column.role == Role::UnitId) {
        let ordinal =
            |row: &Row| row[layout::PATIENT].as_u64().map(|ordinal| u32::try_from(ordinal).unwrap());
        arrays.push(Arc::new(rows.iter().map(ordinal).collect::<UInt32Array>()));
        arrays.push(Arc::new((0..rows.len() as u64).collect::<UInt64Array>()));
    }
    RecordBatch::try_new(stored_schema(table), arrays).unwrap()
}

fn array(column: &Column, rows: &[Row]) -> ArrayRef {
    let values = rows.iter().map(|row| row.get(&column.stored));
    match column.ty {
        ColumnType::Integer => Arc::new(values.map(|v| v?.as_i64()).collect::<Int64Array>()),
        ColumnType::Float => Arc::new(values.map(|v| v?.as_f64()).collect::<Float64Array>()),
        ColumnType::Boolean => Arc::new(values.map(|v| v?.as_bool()).collect::<BooleanArray>()),
        ColumnType::Text | ColumnType::Date | ColumnType::Timestamp => {
            let texts: ArrayRef = Arc::new(values.map(|v| v?.as_str()).collect::<StringArray>());
            cast(&texts, &stored_type(column.ty)).unwrap()
        }
    }
}
