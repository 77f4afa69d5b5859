//! Join trees: which tables may be asked, and along which keys they may be joined.
//!
//! Every step stays within one patient or goes to a public table, and no path leads from a patient through a public
//! table to another table of patients.

use caim_ontology::{Column, Models, Role, Table, TableKind};

use super::{MAX_TABLES, roles, too_many};
use crate::private_query::{ColumnRef, Edge, JoinKey, JoinTree, Link, TableRef};
use crate::refusal::{Code, Refusal};

/// The tables of a join tree, found in the models.
pub(crate) struct Tables<'a> {
    tables: Vec<(&'a str, &'a Table)>,
}

/// A column as one side of a join.
#[derive(Clone, Copy)]
pub(crate) struct Side<'a> {
    pub(crate) schema: &'a str,
    pub(crate) table: &'a Table,
    pub(crate) column: &'a Column,
}

/// What the equality of two columns means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Declared {
    /// The same patient.
    Patient,
    /// The same record or concept, along a declared key.
    Key,
}

impl<'a> Tables<'a> {
    /// The tables, each of which must exist and be open to questions.
    pub(crate) fn unchecked(from: &JoinTree, models: &'a Models) -> Result<Self, Refusal> {
        let find = |name: &TableRef| {
            let table = models.table(&name.schema, &name.table);
            let table =
                table.map_err(|e| Refusal::new(Code::Malformed, crate::text::shortened(&e.to_string())))?;
            let schema = models.model(&name.schema).map_or("", |m| m.schema.as_str());
            Ok((schema, table))
        };
        Ok(Self { tables: from.tables.iter().map(find).collect::<Result<_, Refusal>>()? })
    }

    /// The tables of a tree that follows the rules.
    pub(super) fn checked(from: &JoinTree, models: &'a Models) -> Result<Self, Refusal> {
        if from.tables.len() > MAX_TABLES {
            return Err(too_many("tables", from.tables.len(), MAX_TABLES));
        }
        let tables = Self::unchecked(from, models)?;
        if let Some((schema, table)) = tables.tables.iter().find(|(_, t)| t.kind == TableKind::Hidden) {
            let reason = format!("{schema}.{} is kept, but cannot be asked", table.name);
            return Err(Refusal::new(Code::TableNotAllowed, reason));
        }
        tables.check_edges(&from.edges)?;
        if !tables.tables.iter().any(|(_, t)| t.kind == TableKind::Patient) {
            let reason = match tables.tables.first() {
                Some((schema, table)) => format!("{schema}.{} holds no patients", table.name),
                None => "the question names no table".to_owned(),
            };
            return Err(Refusal::new(Code::TableNotAllowed, reason)
                .with_rewrite("join it to a table of patients and aggregate that"));
        }
        Ok(tables)
    }

    pub(crate) fn column(&self, column: &ColumnRef) -> Result<&'a Column, Refusal> {
        Ok(self.side(column)?.column)
    }

    pub(super) fn named(&self, column: &ColumnRef) -> Result<Side<'a>, Refusal> {
        self.side(column)
    }

    /// A column with its table.
    pub(crate) fn side(&self, column: &ColumnRef) -> Result<Side<'a>, Refusal> {
        let missing = || Refusal::new(Code::Malformed, "a column of a table that is not there");
        let (schema, table) = *self.tables.get(column.table).ok_or_else(missing)?;
        let found = table.columns.iter().find(|c| c.stored == column.column).ok_or_else(missing)?;
        Ok(Side { schema, table, column: found })
    }

    /// As many rows as one patient may add of the table with the most.
    pub(crate) fn rows_per_patient(&self) -> u32 {
        self.tables.iter().map(|(_, table)| table.rows_per_patient).max().unwrap_or(1)
    }

    /// The columns that name the patient.
    pub(crate) fn patients(&self) -> impl Iterator<Item = &'a Column> {
        let columns = self.tables.iter().flat_map(|(_, table)| &table.columns);
        columns.filter(|column| column.role == Role::UnitId)
    }

    pub(crate) fn is_patient(&self, position: usize) -> bool {
        self.tables.get(position).is_some_and(|(_, t)| t.kind == TableKind::Patient)
    }

    fn check_edges(&self, edges: &[Edge]) -> Result<(), Refusal> {
        let malformed = |reason: &str| Err(Refusal::new(Code::Malformed, reason));
        if edges.len() + 1 != self.tables.len() {
            return malformed("a join tree has one edge less than tables");
        }
        let mut all = Components::new(self.tables.len());
        let mut patients = Components::new(self.tables.len());
        for edge in edges {
            if edge.left >= edge.right || edge.right >= self.tables.len() {
                return malformed("an edge joins tables that are not there");
            }
            self.check_edge(edge)?;
            if !all.unite(edge.left, edge.right) {
                return malformed("the joins of a tree form a cycle");
            }
            if self.is_patient(edge.left) && self.is_patient(edge.right) {
                patients.unite(edge.left, edge.right);
            }
        }
        let mut held = (0..self.tables.len()).filter(|i| self.is_patient(*i)).map(|i| patients.find(i));
        let first = held.next();
        if held.any(|component| Some(component) != first) {
            return Err(Refusal::new(
                Code::JoinNotInGraph,
                "a public table would lead from one patient to others",
            ));
        }
        Ok(())
    }

    fn check_edge(&self, edge: &Edge) -> Result<(), Refusal> {
        match &edge.on {
            JoinKey::Patient if self.is_patient(edge.left) && self.is_patient(edge.right) => Ok(()),
            JoinKey::Patient => {
                Err(Refusal::new(Code::JoinNotInGraph, "a public table has no patient to join on"))
            }
            JoinKey::Columns { left, right } => {
                let left = self.side(&ColumnRef { table: edge.left, column: left.clone() })?;
                let right = self.side(&ColumnRef { table: edge.right, column: right.clone() })?;
                match declared(left, right) {
                    Some(Declared::Key) => Ok(()),
                    Some(Declared::Patient) => {
                        Err(Refusal::new(Code::Malformed, "equality of patients is an edge of its own"))
                    }
                    None => Err(undeclared(left, right)),
                }
            }
        }
    }
}

/// How an `Exists` may hang on the outer row: within one patient.
pub(super) fn link(link: &Link, outer: &Tables<'_>, inner: &Tables<'_>) -> Result<(), Refusal> {
    let Link::Columns { outer: theirs, inner: own } = link else { return Ok(()) };
    let (left, right) = (outer.side(theirs)?, inner.side(own)?);
    let patients = left.table.kind == TableKind::Patient && right.table.kind == TableKind::Patient;
    if patients && declared(left, right) == Some(Declared::Key) {
        Ok(())
    } else {
        Err(undeclared(left, right))
    }
}

pub(crate) fn undeclared(left: Side<'_>, right: Side<'_>) -> Refusal {
    let reason = format!("{} = {} is no declared key", roles::full_name(left), roles::full_name(right));
    Refusal::new(Code::JoinNotInGraph, reason)
}

/// What the models declare the equality of two columns to be, if anything.
pub(crate) fn declared(left: Side<'_>, right: Side<'_>) -> Option<Declared> {
    if left.column.role == Role::UnitId && right.column.role == Role::UnitId {
        return Some(Declared::Patient);
    }
    let key = key(left)?;
    (key == self::key(right)? && may_join(left, right.table.kind) && may_join(right, left.table.kind))
        .then_some(Declared::Key)
}

/// The key that a column holds: the one it references, or its own.
fn key(side: Side<'_>) -> Option<(&str, &str, &str)> {
    let Side { schema, table, column } = side;
    match &column.references {
        Some(target) => Some((&target.schema, &target.table, &target.column)),
        None => {
            let own = table.key.contains(&column.stored) || matches!(column.role, Role::Identifier { .. });
            own.then_some((schema, table.name.as_str(), column.stored.as_str()))
        }
    }
}

/// Between patients only keys of one patient's records; to a public table only what may be shown of a patient.
fn may_join(side: Side<'_>, other: TableKind) -> bool {
    match (side.table.kind, other) {
        (TableKind::Patient, TableKind::Patient) => {
            matches!(side.column.role, Role::Identifier { one_patient: true })
        }
        (TableKind::Patient | TableKind::Public, TableKind::Public)
        | (TableKind::Public, TableKind::Patient) => {
            matches!(side.column.role, Role::Dimension { .. })
        }
        (TableKind::Hidden, _) | (_, TableKind::Hidden) => false,
    }
}

/// Which positions hang together.
pub(crate) struct Components(Vec<usize>);

impl Components {
    pub(crate) fn new(len: usize) -> Self {
        Self((0..len).collect())
    }

    /// The smallest position that hangs together with this one.
    pub(crate) fn find(&self, position: usize) -> usize {
        self.0.get(position).copied().unwrap_or(position)
    }

    /// Joins two components; false when they were one already.
    pub(crate) fn unite(&mut self, a: usize, b: usize) -> bool {
        let (a, b) = (self.find(a), self.find(b));
        let (low, high) = (a.min(b), a.max(b));
        self.0.iter_mut().filter(|c| **c == high).for_each(|c| *c = low);
        low != high
    }
}
