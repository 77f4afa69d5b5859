//! Every tree and every column of a question, wherever it stands.

use std::collections::BTreeSet;

use super::{
    Aggregate, Atom, BoolTree, ColumnRef, DateOf, Dim, Exists, JoinKey, JoinTree, Link, Number, PerPatient,
    PrivateQuery, TableRef, ValueOf,
};

/// What is done with a column, given the tables that it refers to.
type Visit<'a> = &'a mut dyn FnMut(&[TableRef], &mut ColumnRef);

impl PrivateQuery {
    /// Every table of a data model that the question stands on, once each.
    #[must_use]
    pub fn tables(&self) -> BTreeSet<TableRef> {
        let (mut query, mut all) = (self.clone(), BTreeSet::new());
        let mut take = |table: &mut TableRef| {
            if table.per_patient_position().is_none() {
                all.insert(table.clone());
            }
        };
        query.visit_tables(&mut take);
        query.per_patient.iter_mut().for_each(|values| values.visit_tables(&mut take));
        all
    }

    /// Visits every column outside of [`PrivateQuery::per_patient`], with the tables that it refers to.
    pub(crate) fn visit_columns(&mut self, visit: Visit<'_>) {
        let tables = self.from.tables.clone();
        joins(&mut self.from, visit);
        condition(&mut self.cohort, &tables, None, visit);
        for dim in &mut self.dims {
            self::dim(dim, &tables, visit);
        }
        for measure in &mut self.measures {
            condition(&mut measure.filter, &tables, None, visit);
            match &mut measure.of {
                Aggregate::Patients | Aggregate::Rows => {}
                Aggregate::Distinct(column) => visit(&tables, column),
                Aggregate::Sum(of)
                | Aggregate::Avg(of)
                | Aggregate::Variance { of, .. }
                | Aggregate::Quantile { of, .. } => number(of, &tables, visit),
            }
        }
    }

    /// Visits every table outside of [`PrivateQuery::per_patient`].
    pub(crate) fn visit_tables(&mut self, visit: &mut dyn FnMut(&mut TableRef)) {
        self.from.tables.iter_mut().for_each(&mut *visit);
        tables_of(&mut self.cohort, visit);
        self.measures.iter_mut().for_each(|measure| tables_of(&mut measure.filter, visit));
    }
}

impl PerPatient {
    /// Visits every column, with the tables that it refers to.
    pub(crate) fn visit_columns(&mut self, visit: Visit<'_>) {
        let tables = self.from.tables.clone();
        joins(&mut self.from, visit);
        condition(&mut self.cohort, &tables, None, visit);
        self.by.iter_mut().for_each(|by| dim(by, &tables, visit));
        for value in &mut self.values {
            condition(&mut value.filter, &tables, None, visit);
            match &mut value.of {
                ValueOf::Rows | ValueOf::Any => {}
                ValueOf::Distinct(column) | ValueOf::Least(column) | ValueOf::Greatest(column) => {
                    visit(&tables, column);
                }
                ValueOf::Sum(of) | ValueOf::Mean(of) => number(of, &tables, visit),
                ValueOf::First { column, order } => {
                    visit(&tables, column);
                    order.iter_mut().for_each(|by| visit(&tables, &mut by.column));
                }
            }
        }
    }

    /// Visits every table.
    pub(crate) fn visit_tables(&mut self, visit: &mut dyn FnMut(&mut TableRef)) {
        self.from.tables.iter_mut().for_each(&mut *visit);
        tables_of(&mut self.cohort, visit);
        self.values.iter_mut().for_each(|value| tables_of(&mut value.filter, visit));
    }
}

fn tables_of(tree: &mut BoolTree, visit: &mut dyn FnMut(&mut TableRef)) {
    match tree {
        BoolTree::And(parts) | BoolTree::Or(parts) => {
            parts.iter_mut().for_each(|part| tables_of(part, visit))
        }
        BoolTree::Not(part) => tables_of(part, visit),
        BoolTree::Is(Atom::Exists(exists)) => {
            exists.from.tables.iter_mut().for_each(&mut *visit);
            tables_of(&mut exists.cohort, visit);
        }
        BoolTree::Is(
            Atom::In { .. }
            | Atom::IsNull { .. }
            | Atom::Range { .. }
            | Atom::DateDiff { .. }
            | Atom::IsA { .. },
        ) => {}
    }
}

fn joins(from: &mut JoinTree, visit: Visit<'_>) {
    for edge in &mut from.edges {
        let JoinKey::Columns { left, right } = &mut edge.on else { continue };
        for (table, name) in [(edge.left, left), (edge.right, right)] {
            let mut column = ColumnRef { table, column: std::mem::take(name) };
            visit(&from.tables, &mut column);
            *name = column.column;
        }
    }
}

fn condition(tree: &mut BoolTree, own: &[TableRef], outer: Option<&[TableRef]>, visit: Visit<'_>) {
    match tree {
        BoolTree::And(parts) | BoolTree::Or(parts) => {
            parts.iter_mut().for_each(|part| condition(part, own, outer, visit));
        }
        BoolTree::Not(part) => condition(part, own, outer, visit),
        BoolTree::Is(Atom::In { column, .. } | Atom::IsNull { column } | Atom::Range { column, .. }) => {
            visit(own, column);
        }
        BoolTree::Is(Atom::IsA { column, .. }) => visit(own, column),
        BoolTree::Is(Atom::DateDiff { from, to, .. }) => {
            for date in [from, to] {
                match (date, outer) {
                    (DateOf::Own(column), _) => visit(own, column),
                    (DateOf::Outer(column), Some(outer)) => visit(outer, column),
                    (DateOf::Outer(_), None) => {}
                }
            }
        }
        BoolTree::Is(Atom::Exists(exists)) => {
            let Exists { from, link, cohort } = exists.as_mut();
            let inside = from.tables.clone();
            joins(from, visit);
            if let Link::Columns { outer: theirs, inner } = link {
                visit(own, theirs);
                visit(&inside, inner);
            }
            condition(cohort, &inside, Some(own), visit);
        }
    }
}

fn number(of: &mut Number, tables: &[TableRef], visit: Visit<'_>) {
    match of {
        Number::Column(column) => visit(tables, column),
        Number::Days(days) => {
            visit(tables, &mut days.from);
            visit(tables, &mut days.to);
        }
    }
}

fn dim(dim: &mut Dim, tables: &[TableRef], visit: Visit<'_>) {
    match dim {
        Dim::Column(column)
        | Dim::DatePart { column, .. }
        | Dim::Label(column)
        | Dim::RollUp { column, .. }
        | Dim::Recode { column, .. } => visit(tables, column),
        Dim::Bin { of, .. } => number(of, tables, visit),
    }
}
