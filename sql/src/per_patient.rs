//! What the tables of values per patient look like to everything that knows data models: tables of a model that the
//! question brings along. Their columns have the roles of what they are computed from.

use std::borrow::Cow;

use caim_ontology::{Bounds, Column, ColumnType, DataModel, Models, Reference, Role, Table, TableKind};

use crate::private_query::per_patient::SCHEMA;
use crate::private_query::{
    ColumnRef, DatePart, Dim, Number, PatientValue, PerPatient, PrivateQuery, ValueOf,
};
use crate::refusal::{Code, Refusal};
use crate::validate::{Side, Tables};

/// No count of one patient's rows is told apart beyond this.
const MOST_ROWS: f64 = 10_000.0;

impl PrivateQuery {
    /// The models with the question's own tables of values per patient among them.
    ///
    /// # Errors
    /// `Malformed` when such a table stands on columns that are not there.
    pub fn over<'m>(&self, models: &'m Models) -> Result<Cow<'m, Models>, Refusal> {
        with_tables(&self.per_patient, models)
    }

    /// How far a count of one patient's rows reaches in sums and means, where a column is one: as many rows as a patient
    /// may add to an answer.
    pub(crate) fn reach(&self, column: &ColumnRef, models: &Models) -> Option<f64> {
        let position = self.from.tables.get(column.table)?.per_patient_position()?;
        let table = self.per_patient.get(position)?;
        match table.values.get(table.value_position(&column.column)?)?.of {
            ValueOf::Rows | ValueOf::Distinct(_) => {
                let rows = rows_of_patient(table, models).unwrap_or(1);
                Some(f64::from(self.max_rows_per_patient.unwrap_or(rows)))
            }
            ValueOf::Any
            | ValueOf::Least(_)
            | ValueOf::Greatest(_)
            | ValueOf::Sum(_)
            | ValueOf::Mean(_)
            | ValueOf::First { .. } => None,
        }
    }
}

/// The models with some tables of values per patient among them.
pub(crate) fn with_tables<'m>(tables: &[PerPatient], models: &'m Models) -> Result<Cow<'m, Models>, Refusal> {
    let mut known = Cow::Borrowed(models);
    let mut own = Vec::with_capacity(tables.len());
    for (position, per_patient) in tables.iter().enumerate() {
        own.push(table(position, per_patient, &known)?);
        known = Cow::Owned(models.with_model(DataModel {
            schema: SCHEMA.to_owned(),
            version: String::new(),
            comment: "Values per patient of one question.".to_owned(),
            tables: own.clone(),
        }));
    }
    Ok(known)
}

fn table(position: usize, per_patient: &PerPatient, models: &Models) -> Result<Table, Refusal> {
    let tables = Tables::unchecked(&per_patient.from, models)?;
    let mut columns = vec![column("patient_id", "patient_id".into(), ColumnType::Text, Role::UnitId)];
    // Other names of the patient stay names of the patient.
    for unit in tables.patients() {
        if columns.iter().all(|known| known.stored != unit.stored) {
            columns.push(unit.clone());
        }
    }
    for (i, by) in per_patient.by.iter().enumerate() {
        columns.push(of_key(PerPatient::key_name(i), by, &tables)?);
    }
    for (i, value) in per_patient.values.iter().enumerate() {
        columns.push(of_value(PerPatient::value_name(i), value, per_patient, &tables, models)?);
    }
    let rows = if per_patient.by.is_empty() { 1 } else { rows_of_patient(per_patient, models)? };
    Ok(Table {
        name: format!("v{position}"),
        stored: format!("v{position}"),
        definition: None,
        also: Vec::new(),
        comment: String::new(),
        kind: TableKind::Patient,
        key: Vec::new(),
        rows_per_patient: rows,
        columns,
    })
}

/// As many rows as one patient may add of the table with the most.
fn rows_of_patient(per_patient: &PerPatient, models: &Models) -> Result<u32, Refusal> {
    let tables = Tables::unchecked(&per_patient.from, models)?;
    Ok(tables.rows_per_patient())
}

fn column(name: &str, stored: String, ty: ColumnType, role: Role) -> Column {
    Column { name: name.to_owned(), stored, ty, role, ..Column::default() }
}

/// What rows are grouped by besides the patient. The parts of a date are whole numbers.
fn of_key(stored: String, by: &Dim, tables: &Tables<'_>) -> Result<Column, Refusal> {
    match by {
        Dim::Column(of) => Ok(Column { stored, ..key(tables.side(of)?) }),
        Dim::DatePart { part, .. } => {
            let (lo, hi) = match part {
                DatePart::Year => (0.0, 9_999.0),
                DatePart::Quarter => (1.0, 4.0),
                DatePart::Month => (1.0, 12.0),
            };
            let bounds = Some(Bounds { lo, hi, grid: 1.0 });
            let role = Role::Dimension { vocabulary: String::new(), bounds };
            Ok(column("part of a date", stored, ColumnType::Integer, role))
        }
        Dim::Bin { .. } | Dim::Label(_) | Dim::RollUp { .. } | Dim::Recode { .. } => Err(Refusal::new(
            Code::Malformed,
            "values per patient by what is neither column nor part of a date",
        )),
    }
}

/// A column that is still the key that it is in its table.
fn key(side: Side<'_>) -> Column {
    let own = || Reference {
        schema: side.schema.to_owned(),
        table: side.table.name.clone(),
        column: side.column.stored.clone(),
    };
    let references = match (&side.column.references, &side.column.role) {
        (Some(target), _) => Some(target.clone()),
        (None, Role::Identifier { .. }) => Some(own()),
        (
            None,
            Role::UnitId | Role::Dimension { .. } | Role::Measure { .. } | Role::Date { .. } | Role::Hidden,
        ) => None,
    };
    Column { references, ..side.column.clone() }
}

fn of_value(
    stored: String,
    PatientValue { of, .. }: &PatientValue,
    per_patient: &PerPatient,
    tables: &Tables<'_>,
    models: &Models,
) -> Result<Column, Refusal> {
    let like = |of: &ColumnRef| Ok::<_, Refusal>(Column { stored: stored.clone(), ..key(tables.side(of)?) });
    Ok(match of {
        ValueOf::Rows | ValueOf::Distinct(_) => {
            let bounds = Some(Bounds { lo: 0.0, hi: MOST_ROWS, grid: 1.0 });
            let role = Role::Dimension { vocabulary: String::new(), bounds };
            column("count", stored.clone(), ColumnType::Integer, role)
        }
        ValueOf::Any => {
            let bounds = Some(Bounds { lo: 0.0, hi: 1.0, grid: 1.0 });
            let role = Role::Dimension { vocabulary: String::new(), bounds };
            column("flag", stored.clone(), ColumnType::Integer, role)
        }
        ValueOf::Least(of) | ValueOf::Greatest(of) | ValueOf::First { column: of, .. } => like(of)?,
        ValueOf::Sum(number) => {
            let (bounds, ty) = bounds(number, tables)?;
            let rows = f64::from(rows_of_patient(per_patient, models)?);
            let bounds = Bounds { lo: bounds.lo.min(0.0) * rows, hi: bounds.hi.max(0.0) * rows, ..bounds };
            column("sum", stored.clone(), ty, Role::Measure { bounds })
        }
        ValueOf::Mean(number) => {
            let (bounds, _) = bounds(number, tables)?;
            column("mean", stored.clone(), ColumnType::Float, Role::Measure { bounds })
        }
    })
}

/// Public bounds and type of a number within a patient.
fn bounds(number: &Number, tables: &Tables<'_>) -> Result<(Bounds, ColumnType), Refusal> {
    match number {
        Number::Column(of) => {
            let side = tables.side(of)?;
            let bounds = side.column.bounds().ok_or_else(|| {
                Refusal::new(Code::ColumnNotAllowed, "a value per patient of a column without public bounds")
            })?;
            Ok((bounds, side.column.ty))
        }
        Number::Days(_) => {
            let most = crate::bounds::DEFAULT_DAYS as f64;
            Ok((Bounds { lo: -most, hi: most, grid: 1.0 }, ColumnType::Integer))
        }
    }
}
