//! Values per patient in one spelling: only those that are used, each once, in order.

use std::collections::{BTreeMap, BTreeSet};

use super::{condition, renumbered, sorted, tree};
use crate::private_query::{
    BoolTree, ColumnRef, Order, PatientValue, PerPatient, PrivateQuery, TableRef, ValueOf,
};

/// The question with its tables of values per patient in canonical form, and with their new names everywhere.
pub(super) fn canonical(mut query: PrivateQuery) -> PrivateQuery {
    if query.per_patient.is_empty() {
        return query;
    }
    let mut tables = used(&mut query);
    let mut final_tables: Vec<PerPatient> = Vec::new();
    let mut names = Names::default();
    // Tables that stand on others follow them: level by level, each level in the order of its content.
    let mut waiting: BTreeSet<usize> =
        (0..tables.len()).filter(|i| tables.get(*i).is_some_and(Option::is_some)).collect();
    while !waiting.is_empty() {
        let ready: Vec<usize> =
            waiting.iter().copied().filter(|i| names.know_all(tables.get_mut(*i))).collect();
        let mut level: Vec<(PerPatient, Places, usize)> = Vec::new();
        for position in &ready {
            waiting.remove(position);
            let Some(Some(table)) = tables.get_mut(*position) else { continue };
            names.apply_to_table(table);
            let (table, places) = alone(table.clone());
            level.push((table, places, *position));
        }
        // A table that stands on itself or on nothing is no question's; validation says so.
        if level.is_empty() {
            break;
        }
        level.sort();
        for (table, places, position) in level {
            let number = final_tables.iter().position(|known| *known == table).unwrap_or_else(|| {
                final_tables.push(table);
                final_tables.len() - 1
            });
            names.0.insert(position, (number, places));
        }
    }
    query.visit_columns(&mut |tables, column| names.rename(tables, column));
    query.visit_tables(&mut |table| names.rename_table(table));
    PrivateQuery { per_patient: final_tables, ..query }
}

/// The new positions of a table's keys and values by their old ones.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Places {
    keys: Vec<usize>,
    values: Vec<usize>,
}

/// The new number of each old table, and where its parts went.
#[derive(Default)]
struct Names(BTreeMap<usize, (usize, Places)>);

impl Names {
    fn know_all(&self, table: Option<&mut Option<PerPatient>>) -> bool {
        let Some(Some(table)) = table else { return false };
        let mut known = true;
        table
            .visit_tables(&mut |t| known &= t.per_patient_position().is_none_or(|p| self.0.contains_key(&p)));
        known
    }

    fn apply_to_table(&self, table: &mut PerPatient) {
        table.visit_columns(&mut |tables, column| self.rename(tables, column));
        table.visit_tables(&mut |table| self.rename_table(table));
    }

    fn rename(&self, tables: &[TableRef], column: &mut ColumnRef) {
        let table = tables.get(column.table).and_then(TableRef::per_patient_position);
        let Some((_, places)) = table.and_then(|table| self.0.get(&table)) else { return };
        let old = |prefix| column.column.strip_prefix(prefix).and_then(|n: &str| n.parse::<usize>().ok());
        if let Some(new) = old('n').and_then(|old| places.values.get(old)) {
            column.column = PerPatient::value_name(*new);
        } else if let Some(new) = old('k').and_then(|old| places.keys.get(old)) {
            column.column = PerPatient::key_name(*new);
        }
    }

    fn rename_table(&self, table: &mut TableRef) {
        if let Some((new, _)) = table.per_patient_position().and_then(|old| self.0.get(&old)) {
            *table = TableRef::per_patient(*new);
        }
    }
}

/// The tables with the values that something uses, and without those that nothing names. A table always keeps a value.
fn used(query: &mut PrivateQuery) -> Vec<Option<PerPatient>> {
    let mut tables: Vec<Option<PerPatient>> =
        std::mem::take(&mut query.per_patient).into_iter().map(Some).collect();
    let mut named: BTreeSet<usize> = BTreeSet::new();
    let mut columns: BTreeSet<(usize, String)> = BTreeSet::new();
    query.visit_tables(&mut |table| named.extend(table.per_patient_position()));
    query.visit_columns(&mut |tables, column| columns.extend(value(tables, column)));
    for position in (0..tables.len()).rev() {
        let Some(slot) = tables.get_mut(position) else { continue };
        if !named.contains(&position) {
            *slot = None;
        }
        let Some(table) = slot else { continue };
        for (i, value) in table.values.iter_mut().enumerate() {
            if !columns.contains(&(position, PerPatient::value_name(i))) {
                // Keeps its place, so that the names of the others stay right until all are renamed.
                *value = PatientValue { of: ValueOf::Rows, filter: BoolTree::always() };
            }
        }
        table.visit_tables(&mut |table| named.extend(table.per_patient_position()));
        table.visit_columns(&mut |tables, column| columns.extend(self::value(tables, column)));
    }
    // What is not used is not kept, unless nothing is.
    for (position, slot) in tables.iter_mut().enumerate() {
        let Some(table) = slot else { continue };
        let is_used = |i: usize| columns.contains(&(position, PerPatient::value_name(i)));
        let plain = PatientValue { of: ValueOf::Rows, filter: BoolTree::always() };
        let some = (0..table.values.len()).any(is_used);
        if !some {
            table.values = vec![plain];
            continue;
        }
        let first = (0..table.values.len()).find(|i| is_used(*i)).and_then(|i| table.values.get(i).cloned());
        for (i, value) in table.values.iter_mut().enumerate() {
            if let (false, Some(first)) = (is_used(i), &first) {
                // Equal values become one.
                *value = first.clone();
            }
        }
    }
    tables
}

fn value(tables: &[TableRef], column: &ColumnRef) -> Option<(usize, String)> {
    let position = tables.get(column.table)?.per_patient_position()?;
    Some((position, column.column.clone()))
}

/// One table in canonical form, and where its parts went.
fn alone(table: PerPatient) -> (PerPatient, Places) {
    let (from, renumber) = tree(table.from);
    let cohort = condition::canonical(&table.cohort, &renumber);
    let (by, keys) = sorted(table.by.into_iter().map(|by| renumbered(by, &renumber)).collect());
    let values = table.values.into_iter().map(|PatientValue { of, filter }| PatientValue {
        of: match of {
            ValueOf::Rows => ValueOf::Rows,
            ValueOf::Any => ValueOf::Any,
            ValueOf::Distinct(column) => ValueOf::Distinct(renumber.column(&column)),
            ValueOf::Least(column) => ValueOf::Least(renumber.column(&column)),
            ValueOf::Greatest(column) => ValueOf::Greatest(renumber.column(&column)),
            ValueOf::Sum(number) => ValueOf::Sum(renumber.number(&number)),
            ValueOf::Mean(number) => ValueOf::Mean(renumber.number(&number)),
            ValueOf::First { column, order } => ValueOf::First {
                column: renumber.column(&column),
                order: order
                    .into_iter()
                    .map(|by| Order { column: renumber.column(&by.column), ..by })
                    .collect(),
            },
        },
        filter: condition::canonical(&filter, &renumber),
    });
    let (values, positions) = sorted(values.collect());
    (PerPatient { from, cohort, by, values }, Places { keys, values: positions })
}
