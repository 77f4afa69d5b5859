//! Values per patient in one spelling: only those that are used, each once, in order.

use std::collections::{BTreeMap, BTreeSet};

use super::{condition, renumbered, sorted, tree};
use crate::private_query::{
    BoolTree, ColumnRef, Order, PatientValue, PerPatient, PrivateQuery, TableRef, ValueOf,
};

/// The question with its tables of values per patient in canonical form, and with their new names everywhere. One whose
/// tables stand on themselves or on nothing stays as it is: validation says no to it.
pub(super) fn canonical(mut query: PrivateQuery) -> PrivateQuery {
    if query.per_patient.is_empty() {
        return query;
    }
    let mut waiting = used(&mut query);
    let mut tables: Vec<PerPatient> = Vec::new();
    let mut names = Names::default();
    // Tables that stand on others follow them: level by level, each level in the order of its content.
    while !waiting.is_empty() {
        let (ready, later): (BTreeMap<_, _>, BTreeMap<_, _>) =
            waiting.into_iter().partition(|(_, table)| names.know_all(table));
        if ready.is_empty() {
            return query;
        }
        let mut level: Vec<(PerPatient, Places, usize)> = Vec::new();
        for (position, mut table) in ready {
            names.apply_to_table(&mut table);
            let (table, places) = alone(table);
            level.push((table, places, position));
        }
        level.sort();
        for (table, places, position) in level {
            let number = tables.iter().position(|known| *known == table).unwrap_or_else(|| {
                tables.push(table);
                tables.len() - 1
            });
            names.0.insert(position, (number, places));
        }
        waiting = later;
    }
    query.visit_columns(&mut |tables, column| names.rename(tables, column));
    query.visit_tables(&mut |table| names.rename_table(table));
    PrivateQuery { per_patient: tables, ..query }
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
    fn know_all(&self, table: &PerPatient) -> bool {
        let mut known = true;
        let mut is_known = |t: &mut TableRef| {
            known &= t.per_patient_position().is_none_or(|p| self.0.contains_key(&p));
        };
        table.clone().visit_tables(&mut is_known);
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

/// The tables that something names, by their positions, with the values that something uses. A table always keeps a value.
fn used(query: &mut PrivateQuery) -> BTreeMap<usize, PerPatient> {
    let mut named: BTreeSet<usize> = BTreeSet::new();
    let mut columns: BTreeSet<(usize, String)> = BTreeSet::new();
    query.visit_tables(&mut |table| named.extend(table.per_patient_position()));
    query.visit_columns(&mut |tables, column| columns.extend(value(tables, column)));
    let mut used = BTreeMap::new();
    // Only later tables stand on a table: once they are seen, all that uses it is known.
    for (position, table) in query.per_patient.iter().enumerate().rev() {
        if !named.contains(&position) {
            continue;
        }
        let mut table = table.clone();
        let is_used = |i: usize| columns.contains(&(position, PerPatient::value_name(i)));
        let first = (0..table.values.len()).find(|i| is_used(*i)).and_then(|i| table.values.get(i));
        let plain = PatientValue { of: ValueOf::Rows, filter: BoolTree::always() };
        let kept = first.cloned().unwrap_or(plain);
        if table.values.is_empty() {
            table.values.push(kept.clone());
        }
        // Values keep their places until all are renamed; equal ones then become one.
        for (_, unused) in table.values.iter_mut().enumerate().filter(|(i, _)| !is_used(*i)) {
            unused.clone_from(&kept);
        }
        table.visit_tables(&mut |table| named.extend(table.per_patient_position()));
        table.visit_columns(&mut |tables, column| columns.extend(value(tables, column)));
        used.insert(position, table);
    }
    used
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
