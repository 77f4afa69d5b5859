//! The rows of one resource: selects side by side are joined, each row of one with each row of the next, and a row is
//! handed on when the last select has filled its columns. Nothing is built but the one row at hand.

use super::cell::{Cell, Doubt};
use super::{Each, RowError, Select, View};
use crate::fhir::json::Value;
use crate::fhir::path::{Expr, Fault, Item, Scope, each, one, truth};

/// Rows that one resource may have in one view: a join of joins must end.
const MOST_ROWS: usize = 100_000;
/// How deep a repeat goes.
const REPEAT_DEPTH: usize = 64;

/// Where finished rows go.
pub(super) trait Receiver<'a> {
    fn row(&mut self, cells: &[Cell<'a>]);
    fn doubt(&mut self, column: usize, doubt: Doubt);
}

/// The row at hand and what becomes of it.
pub(super) struct Walk<'w, 'a> {
    view: &'a View,
    cells: Vec<Cell<'a>>,
    receiver: &'w mut dyn Receiver<'a>,
    rows: usize,
}

type Next<'n, 'w, 'a> = &'n mut dyn FnMut(&mut Walk<'w, 'a>) -> Result<(), RowError>;

impl View {
    /// Hands all rows of a resource to `receiver`. `key` names the resource.
    pub(super) fn walk<'a>(
        &'a self,
        resource: Value<'a>,
        key: Option<&'a str>,
        receiver: &mut dyn Receiver<'a>,
    ) -> Result<(), RowError> {
        let scope = Scope { this: Some(Item::Node(resource, None)), key, row_index: 0 };
        for (place, condition) in &self.conditions {
            if truth(condition, &scope).map_err(|fault| at(place, fault))? != Some(true) {
                return Ok(());
            }
        }
        let cells = vec![Cell::Null; self.columns.len()];
        let mut walk = Walk { view: self, cells, receiver, rows: 0 };
        joined(&mut walk, &self.selects, &scope, &mut |walk| walk.row())
    }
}

impl<'a> Walk<'_, 'a> {
    fn row(&mut self) -> Result<(), RowError> {
        self.rows += 1;
        if self.rows > MOST_ROWS {
            return Err(at("select", Fault::TooMany));
        }
        self.receiver.row(&self.cells);
        Ok(())
    }

    fn fill(&mut self, position: usize, expr: &'a Expr, scope: &Scope<'a>) -> Result<(), RowError> {
        let Some(column) = self.view.columns.get(position) else { return Ok(()) };
        let fault = |fault| at(&column.place, fault);
        let (cell, doubt) = if column.is_list {
            (Cell::List(listed(expr, scope, column.ty).map_err(fault)?), Doubt::None)
        } else {
            match one(expr, scope).map_err(fault)? {
                Some(item) => Cell::of(&item, column.ty).map_err(fault)?,
                None => (Cell::Null, Doubt::None),
            }
        };
        if doubt != Doubt::None {
            self.receiver.doubt(position, doubt);
        }
        if let Some(place) = self.cells.get_mut(position) {
            *place = cell;
        }
        Ok(())
    }
}

/// Every row of each select with every row of the next.
fn joined<'a, 'w>(
    walk: &mut Walk<'w, 'a>,
    selects: &'a [Select],
    scope: &Scope<'a>,
    next: Next<'_, 'w, 'a>,
) -> Result<(), RowError> {
    match selects.split_first() {
        None => next(walk),
        Some((select, rest)) => selected(walk, select, scope, &mut |walk| joined(walk, rest, scope, next)),
    }
}

/// The rows of one select.
fn selected<'a, 'w>(
    walk: &mut Walk<'w, 'a>,
    select: &'a Select,
    scope: &Scope<'a>,
    next: Next<'_, 'w, 'a>,
) -> Result<(), RowError> {
    match &select.each {
        Each::This => filled(walk, select, scope, next),
        Each::Item(place, expr) => {
            let mut count = 0;
            over(expr, place, scope, &mut |item| {
                let inner = Scope { this: Some(item), row_index: count, ..*scope };
                count += 1;
                filled(walk, select, &inner, next)
            })
        }
        Each::ItemOrNull(place, expr) => {
            let mut count = 0;
            over(expr, place, scope, &mut |item| {
                let inner = Scope { this: Some(item), row_index: count, ..*scope };
                count += 1;
                filled(walk, select, &inner, next)
            })?;
            if count > 0 {
                return Ok(());
            }
            filled(walk, select, &Scope { this: None, row_index: 0, ..*scope }, next)
        }
        Each::Repeat(exprs) => repeated(walk, select, exprs, scope, (&mut 0, REPEAT_DEPTH), next),
    }
}

/// The columns of one select for one item, with those of the selects inside it.
fn filled<'a, 'w>(
    walk: &mut Walk<'w, 'a>,
    select: &'a Select,
    scope: &Scope<'a>,
    next: Next<'_, 'w, 'a>,
) -> Result<(), RowError> {
    for (position, expr) in &select.columns {
        walk.fill(*position, expr, scope)?;
    }
    if select.selects.is_empty() && select.unions.is_empty() {
        return next(walk);
    }
    joined(walk, &select.selects, scope, &mut |walk| match select.unions.as_slice() {
        [] => next(walk),
        unions => unions.iter().try_for_each(|branch| selected(walk, branch, scope, next)),
    })
}

/// The items of the expressions, each followed by what they give for it. `(count, depth)`: items so far, levels left.
fn repeated<'a, 'w>(
    walk: &mut Walk<'w, 'a>,
    select: &'a Select,
    exprs: &'a [(String, Expr)],
    scope: &Scope<'a>,
    (count, depth): (&mut usize, usize),
    next: Next<'_, 'w, 'a>,
) -> Result<(), RowError> {
    for (place, expr) in exprs {
        let deeper = depth.checked_sub(1).ok_or_else(|| at(place, Fault::TooMany))?;
        over(expr, place, scope, &mut |item| {
            let inner = Scope { this: Some(item), row_index: *count, ..*scope };
            *count += 1;
            filled(walk, select, &inner, next)?;
            repeated(walk, select, exprs, &inner, (count, deeper), next)
        })?;
    }
    Ok(())
}

/// Hands every item of an expression on; what goes wrong behind it comes back as it is.
fn over<'a>(
    expr: &'a Expr,
    place: &str,
    scope: &Scope<'a>,
    take: &mut dyn FnMut(Item<'a>) -> Result<(), RowError>,
) -> Result<(), RowError> {
    let mut failed = None;
    let flow = each(expr, scope, &mut |item| match take(item) {
        Ok(()) => Ok(std::ops::ControlFlow::Continue(())),
        Err(error) => {
            failed = Some(error);
            Ok(std::ops::ControlFlow::Break(()))
        }
    });
    match (flow, failed) {
        (_, Some(error)) => Err(error),
        (Err(fault), None) => Err(at(place, fault)),
        (Ok(_), None) => Ok(()),
    }
}

fn listed<'a>(
    expr: &'a Expr,
    scope: &Scope<'a>,
    ty: caim_ontology::ColumnType,
) -> Result<Vec<Cell<'a>>, Fault> {
    let mut cells = Vec::new();
    let _ = each(expr, scope, &mut |item| {
        cells.push(Cell::of(&item, ty)?.0);
        Ok(std::ops::ControlFlow::Continue(()))
    })?;
    Ok(cells)
}

fn at(place: &str, fault: Fault) -> RowError {
    RowError { place: place.to_owned(), fault }
}
