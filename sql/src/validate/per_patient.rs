//! What values per patient may be: computed within one patient, from columns whose roles allow it.

use std::borrow::Cow;

use caim_ontology::{Models, Role};

use super::roles::{self, refuse};
use super::tree::{Side, Tables};
use super::{Around, Check, Depth, MAX_DIMS, bins, looks_elsewhere, too_many};
use crate::per_patient::with_tables;
use crate::private_query::{ColumnRef, Dim, PatientValue, PerPatient, TableRef, ValueOf};
use crate::refusal::{Code, Refusal};

/// Tables of values per patient in one question.
const MAX_TABLES: usize = 8;
/// Values of one table.
const MAX_VALUES: usize = 16;
/// Columns of one order.
const MAX_ORDER: usize = 4;

/// Says no to tables of values per patient that the models do not allow; returns the models with them.
pub(super) fn checked<'m>(
    tables: &[PerPatient],
    check: &mut Check,
    models: &'m Models,
) -> Result<Cow<'m, Models>, Refusal> {
    let limited = check.max_atoms < usize::MAX;
    if limited && tables.len() > MAX_TABLES {
        return Err(too_many("tables of values per patient", tables.len(), MAX_TABLES));
    }
    let known = with_tables(tables, models)?;
    for (position, table) in tables.iter().enumerate() {
        stands_on_earlier(table, position)?;
        if limited && table.values.len() > MAX_VALUES {
            return Err(too_many("values per patient", table.values.len(), MAX_VALUES));
        }
        self::table(table, check, &known)?;
    }
    Ok(known)
}

fn stands_on_earlier(table: &PerPatient, position: usize) -> Result<(), Refusal> {
    let mut fine = true;
    let mut own = table.clone();
    own.visit_tables(&mut |t: &mut TableRef| fine &= t.per_patient_position().is_none_or(|p| p < position));
    if fine { Ok(()) } else { Err(Refusal::new(Code::Malformed, "values per patient stand on later ones")) }
}

fn table(table: &PerPatient, check: &mut Check, models: &Models) -> Result<(), Refusal> {
    let limited = check.max_atoms < usize::MAX;
    let tables = Tables::checked(&table.from, models)?;
    let around = Around { own: &tables, outer: None };
    check.condition(&table.cohort, around, Depth::default(), models)?;
    if limited && table.by.len() > MAX_DIMS {
        return Err(too_many("groups of a patient's rows", table.by.len(), MAX_DIMS));
    }
    for by in &table.by {
        key(by, &tables, models)?;
    }
    for PatientValue { of, filter } in &table.values {
        value(of, &tables)?;
        if looks_elsewhere(filter) {
            return Err(Refusal::new(Code::Unsupported, "EXISTS in a FILTER or CASE of a value per patient"));
        }
        check.condition(filter, around, Depth::default(), models)?;
    }
    Ok(())
}

/// A record of one patient, a dimension or a part of a date.
fn key(by: &Dim, tables: &Tables<'_>, models: &Models) -> Result<(), Refusal> {
    match by {
        Dim::Column(column) => {
            let side = tables.named(column)?;
            if side.column.role == (Role::Identifier { one_patient: true }) {
                return Ok(());
            }
            roles::dim(by, tables, models)
        }
        Dim::DatePart { .. } => roles::dim(by, tables, models),
        Dim::Bin { .. } | Dim::Label(_) | Dim::RollUp { .. } | Dim::Recode { .. } => Err(Refusal::new(
            Code::Malformed,
            "values per patient by what is neither column nor part of a date",
        )),
    }
}

fn value(of: &ValueOf, tables: &Tables<'_>) -> Result<(), Refusal> {
    match of {
        ValueOf::Rows | ValueOf::Any => Ok(()),
        ValueOf::Distinct(column) => counted(tables.named(column)?),
        ValueOf::Least(column) | ValueOf::Greatest(column) => ordered(column, tables),
        ValueOf::Sum(number) | ValueOf::Mean(number) => bins::number(number, tables).map(|_| ()),
        ValueOf::First { column, order } => {
            tables.named(column)?;
            if order.is_empty() || order.len() > MAX_ORDER {
                return Err(too_many(
                    "columns that rows of a patient are ordered by",
                    order.len(),
                    MAX_ORDER,
                ));
            }
            order.iter().try_for_each(|by| sortable(tables.named(&by.column)?))
        }
    }
}

/// Whose different values within a patient may be counted.
fn counted(side: Side<'_>) -> Result<(), Refusal> {
    match &side.column.role {
        Role::Identifier { .. } | Role::Dimension { .. } => Ok(()),
        Role::UnitId | Role::Measure { .. } | Role::Date { .. } | Role::Hidden => {
            refuse(side, Code::ColumnNotAllowed, ": its values cannot be counted distinct")
        }
    }
}

/// What has a least and a greatest value that may be asked about.
fn ordered(column: &ColumnRef, tables: &Tables<'_>) -> Result<(), Refusal> {
    let side = tables.named(column)?;
    match &side.column.role {
        Role::Date { .. } | Role::Measure { .. } | Role::Dimension { bounds: Some(_), .. } => Ok(()),
        Role::UnitId | Role::Identifier { .. } | Role::Dimension { bounds: None, .. } | Role::Hidden => {
            refuse(side, Code::ColumnNotAllowed, ": it has no least and greatest value")
        }
    }
}

fn sortable(side: Side<'_>) -> Result<(), Refusal> {
    match &side.column.role {
        // Within one patient an identifier tells rows of one day apart; it shows nothing.
        Role::Date { .. } | Role::Measure { .. } | Role::Dimension { .. } | Role::Identifier { .. } => Ok(()),
        Role::UnitId | Role::Hidden => {
            refuse(side, Code::ColumnNotAllowed, ": rows of a patient cannot be ordered by it")
        }
    }
}
