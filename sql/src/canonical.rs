//! One spelling for one question, and its SQL text.
//!
//! Two statements that lower to the same canonical form are the same question: a node answers the second one from its
//! answer store. `lower(plan(to_sql(q))) == q` holds for every lowered `q`, so the text is a faithful record for audit.

mod condition;
mod days;
mod per_patient;
mod render;

use std::collections::{BTreeMap, BTreeSet};

use crate::private_query::{
    Aggregate, ColumnRef, Days, Dim, Edge, JoinKey, JoinTree, Measure, Number, PrivateQuery, Recode,
    TableRef, Value,
};

pub(crate) use condition::is_never;
pub use render::to_sql;

/// The canonical form: tables sorted, joins as a star per key, conditions in negation normal form, sorted, merged and
/// without duplicates, dims and measures sorted and without duplicates. Idempotent.
#[must_use]
pub fn canonical(query: PrivateQuery) -> PrivateQuery {
    arranged(query).0
}

/// Where dims and measures went: their new positions by their old ones.
pub(crate) struct Positions {
    pub(crate) dims: Vec<usize>,
    pub(crate) measures: Vec<usize>,
}

impl Positions {
    /// Where all went in two steps.
    fn then(&self, next: &Self) -> Self {
        let moved = |first: &[usize], second: &[usize]| {
            first.iter().map(|position| second.get(*position).copied().unwrap_or(*position)).collect()
        };
        Self { dims: moved(&self.dims, &next.dims), measures: moved(&self.measures, &next.measures) }
    }
}

/// The canonical form, and where dims and measures went.
///
/// A condition that always or never holds names nothing any more; the values per patient that it named then go, and with
/// them perhaps those of the tables below: each pass clears one more level.
pub(crate) fn arranged(query: PrivateQuery) -> (PrivateQuery, Positions) {
    let levels = query.per_patient.len();
    let (mut query, mut positions) = arranged_once(query);
    for _ in 0..levels {
        let (next, moved) = arranged_once(query.clone());
        positions = positions.then(&moved);
        if next == query {
            break;
        }
        query = next;
    }
    (query, positions)
}

fn arranged_once(query: PrivateQuery) -> (PrivateQuery, Positions) {
    let query = per_patient::canonical(query);
    let (from, renumber) = tree(query.from);
    let cohort = condition::canonical(&query.cohort, &renumber);
    let dims = query.dims.into_iter().map(|dim| renumbered(dim, &renumber));
    let measures = query.measures.into_iter().map(|measure| Measure {
        of: match measure.of {
            Aggregate::Patients => Aggregate::Patients,
            Aggregate::Rows => Aggregate::Rows,
            Aggregate::Distinct(column) => Aggregate::Distinct(renumber.column(&column)),
            Aggregate::Sum(number) => Aggregate::Sum(renumber.number(&number)),
            Aggregate::Avg(number) => Aggregate::Avg(renumber.number(&number)),
            Aggregate::Variance { of, over } => Aggregate::Variance { of: renumber.number(&of), over },
            Aggregate::Quantile { of, share } => Aggregate::Quantile { of: renumber.number(&of), share },
        },
        filter: condition::canonical(&measure.filter, &renumber),
    });
    let (dims, dim_positions) = sorted(dims.collect());
    let (measures, measure_positions) = sorted(measures.collect());
    let positions = Positions { dims: dim_positions, measures: measure_positions };
    (PrivateQuery { from, cohort, dims, measures, ..query }, positions)
}

/// A dimension with its columns renumbered.
fn renumbered(dim: Dim, renumber: &Renumber) -> Dim {
    match dim {
        Dim::Column(column) => Dim::Column(renumber.column(&column)),
        Dim::DatePart { part, column } => Dim::DatePart { part, column: renumber.column(&column) },
        Dim::Bin { of, by } => Dim::Bin { of: renumber.number(&of), by },
        Dim::Label(column) => Dim::Label(renumber.column(&column)),
        Dim::RollUp { column, to } => Dim::RollUp { column: renumber.column(&column), to },
        Dim::Recode { column, by } => Dim::Recode { column: renumber.column(&column), by: recode(by) },
    }
}

/// Values sorted, codes sorted and each once; what gets the value of the rest is not listed.
fn recode(Recode { vocabulary, values, rest, null }: Recode) -> Recode {
    let mut listed = BTreeMap::<Option<Value>, BTreeSet<String>>::new();
    for (value, codes) in values {
        if value != rest && !codes.is_empty() {
            listed.entry(value).or_default().extend(codes);
        }
    }
    let values = listed.into_iter().map(|(value, codes)| (value, codes.into_iter().collect())).collect();
    Recode { vocabulary, values, rest, null }
}

/// Sorted without duplicates, and the new position of every old one.
fn sorted<T: Ord + Clone>(items: Vec<T>) -> (Vec<T>, Vec<usize>) {
    let mut unique = items.clone();
    unique.sort();
    unique.dedup();
    let positions = items.iter().map(|item| unique.binary_search(item).unwrap_or_default()).collect();
    (unique, positions)
}

/// New positions of the tables of one tree.
struct Renumber(Vec<usize>);

impl Renumber {
    fn position(&self, table: usize) -> usize {
        self.0.get(table).copied().unwrap_or(table)
    }

    fn column(&self, column: &ColumnRef) -> ColumnRef {
        ColumnRef { table: self.position(column.table), column: column.column.clone() }
    }

    fn number(&self, number: &Number) -> Number {
        match number {
            Number::Column(column) => Number::Column(self.column(column)),
            Number::Days(Days { from, to }) => {
                Number::Days(Days { from: self.column(from), to: self.column(to) })
            }
        }
    }
}

/// Tables sorted by name, then by first use; edges from the smallest table of every key.
fn tree(from: JoinTree) -> (JoinTree, Renumber) {
    let mut order: Vec<(TableRef, usize)> = from.tables.into_iter().zip(0..).collect();
    order.sort();
    let mut renumber = Renumber(vec![0; order.len()]);
    for (new, (_, old)) in order.iter().enumerate() {
        if let Some(position) = renumber.0.get_mut(*old) {
            *position = new;
        }
    }
    let tables = order.into_iter().map(|(table, _)| table).collect();
    let edges = edges(from.edges, &renumber);
    (JoinTree { tables, edges }, renumber)
}

/// Sides that are equal by one key, the least of them joined with every other.
fn edges(edges: Vec<Edge>, renumber: &Renumber) -> Vec<Edge> {
    let (mut patients, mut keys) = (Vec::new(), Vec::new());
    for edge in edges {
        let (left, right) = (renumber.position(edge.left), renumber.position(edge.right));
        match edge.on {
            JoinKey::Patient => join(&mut patients, [left, right]),
            JoinKey::Columns { left: l, right: r } => join(&mut keys, [(left, l), (right, r)]),
        }
    }
    let mut kept = BTreeSet::new();
    for mut class in patients {
        let left = class.pop_first().unwrap_or_default();
        kept.extend(class.into_iter().map(|right| Edge { left, right, on: JoinKey::Patient }));
    }
    for mut class in keys {
        let Some((left, l)) = class.pop_first() else { continue };
        let on = |right| JoinKey::Columns { left: l.clone(), right };
        kept.extend(class.into_iter().map(|(right, r)| Edge { left, right, on: on(r) }));
    }
    kept.into_iter().collect()
}

/// Puts two sides into one class, with all that are equal to either of them.
fn join<T: Ord>(classes: &mut Vec<BTreeSet<T>>, sides: [T; 2]) {
    let mut class = BTreeSet::from(sides);
    let (apart, touched): (Vec<_>, Vec<_>) =
        std::mem::take(classes).into_iter().partition(|other| class.is_disjoint(other));
    touched.into_iter().for_each(|other| class.extend(other));
    *classes = apart;
    classes.push(class);
}

#[cfg(test)]
mod tests;
