//! From equalities of columns to a join tree along declared keys.

use std::collections::BTreeSet;

use caim_ontology::Models;

use crate::private_query::{ColumnRef, Edge, JoinKey, JoinTree, Link, TableRef};
use crate::refusal::{Code, Refusal};
use crate::validate::{Components, Declared, Tables, declared, full_name, undeclared};

/// The tree that joins tables by equalities, each of which must be a declared key or the patient.
pub(crate) fn join_tree(
    tables: &[TableRef],
    equalities: &[(ColumnRef, ColumnRef)],
    models: &Models,
) -> Result<JoinTree, Refusal> {
    let mut joins = Joins::new(tables, models)?;
    let mut patients = Vec::new();
    for (left, right) in equalities {
        let (a, b) = (joins.tables.side(left)?, joins.tables.side(right)?);
        match declared(a, b) {
            Some(Declared::Patient) => patients.push((left.table, right.table)),
            Some(Declared::Key) => joins.add_key(left, right)?,
            None => return Err(undeclared(a, b)),
        }
    }
    let keyed: Vec<usize> = (0..tables.len()).map(|i| joins.components.find(i)).collect();
    for (left, right) in patients {
        joins.components.unite(left, right);
    }
    joins.check_connected(tables)?;
    joins.add_patients(tables, &keyed);
    Ok(JoinTree { tables: tables.to_vec(), edges: joins.edges })
}

struct Joins<'a> {
    tables: Tables<'a>,
    components: Components,
    edges: Vec<Edge>,
    /// Columns that are equal by the keys so far.
    equal: Vec<BTreeSet<ColumnRef>>,
}

impl<'a> Joins<'a> {
    fn new(tables: &[TableRef], models: &'a Models) -> Result<Self, Refusal> {
        let bare = JoinTree { tables: tables.to_vec(), edges: Vec::new() };
        let components = Components::new(tables.len());
        Ok(Self {
            tables: Tables::unchecked(&bare, models)?,
            components,
            edges: Vec::new(),
            equal: Vec::new(),
        })
    }

    fn add_key(&mut self, left: &ColumnRef, right: &ColumnRef) -> Result<(), Refusal> {
        if self.equal.iter().any(|class| class.contains(left) && class.contains(right)) {
            return Ok(());
        }
        if !self.components.unite(left.table, right.table) {
            let (a, b) = (full_name(self.tables.side(left)?), full_name(self.tables.side(right)?));
            return Err(Refusal::new(
                Code::JoinNotInGraph,
                format!("{a} = {b} joins tables that are joined already"),
            )
            .with_rewrite("join every table once, along one key"));
        }
        let mut class = BTreeSet::from([left.clone(), right.clone()]);
        self.equal.retain(|other| {
            let apart = class.is_disjoint(other);
            if !apart {
                class.extend(other.iter().cloned());
            }
            apart
        });
        self.equal.push(class);
        let (left, right) = if left.table < right.table { (left, right) } else { (right, left) };
        let on = JoinKey::Columns { left: left.column.clone(), right: right.column.clone() };
        self.edges.push(Edge { left: left.table, right: right.table, on });
        Ok(())
    }

    fn check_connected(&self, tables: &[TableRef]) -> Result<(), Refusal> {
        let apart = (1..tables.len()).find(|i| self.components.find(*i) != self.components.find(0));
        let (Some(first), Some(other)) = (tables.first(), apart.and_then(|i| tables.get(i))) else {
            return Ok(());
        };
        let reason = format!(
            "{}.{} and {}.{} are not joined on a key",
            first.schema, first.table, other.schema, other.table
        );
        Err(Refusal::new(Code::JoinNotInGraph, reason))
    }

    /// Ties parts that only the patient joins: a star around the first table by name, so that the order in which the
    /// statement joins them makes no difference.
    fn add_patients(&mut self, tables: &[TableRef], keyed: &[usize]) {
        let mut first_of_part: Vec<(usize, usize)> = Vec::new();
        let mut order: Vec<usize> = (0..tables.len()).filter(|i| self.tables.is_patient(*i)).collect();
        order.sort_by_key(|i| (tables.get(*i), *i));
        for table in order {
            let part = keyed.get(table).copied().unwrap_or(table);
            if !first_of_part.iter().any(|(known, _)| *known == part) {
                first_of_part.push((part, table));
            }
        }
        let Some(((_, centre), others)) = first_of_part.split_first() else { return };
        for (_, table) in others {
            let (left, right) = (*centre.min(table), *centre.max(table));
            self.edges.push(Edge { left, right, on: JoinKey::Patient });
        }
    }
}

/// How an `EXISTS` hangs on the outer row, by equalities of an outer and an inner column.
pub(super) fn link(
    equalities: &[(ColumnRef, ColumnRef)],
    outer: &[TableRef],
    inner: &[TableRef],
    models: &Models,
) -> Result<Link, Refusal> {
    let tables = |tables: &[TableRef]| {
        Tables::unchecked(&JoinTree { tables: tables.to_vec(), edges: Vec::new() }, models)
    };
    let (outer, inner) = (tables(outer)?, tables(inner)?);
    let mut link = None;
    for (theirs, own) in equalities {
        let (a, b) = (outer.side(theirs)?, inner.side(own)?);
        let found = match declared(a, b) {
            Some(Declared::Patient) => Link::Patient,
            Some(Declared::Key) => Link::Columns { outer: theirs.clone(), inner: own.clone() },
            None => return Err(undeclared(a, b)),
        };
        link = match (link, found) {
            (None | Some(Link::Patient), found) => Some(found),
            (Some(key), Link::Patient) => Some(key),
            (Some(key), found) if key == found => Some(key),
            (Some(_), Link::Columns { .. }) => {
                return Err(Refusal::new(
                    Code::JoinNotInGraph,
                    "EXISTS is tied to the outer row by two keys",
                )
                .with_rewrite("tie it by one key"));
            }
        };
    }
    link.ok_or_else(|| {
        Refusal::new(Code::JoinNotInGraph, "a subquery is not tied to the patient of the outer row")
            .with_rewrite("add a condition on the same patient: inner.patient_id = outer.patient_id")
    })
}
