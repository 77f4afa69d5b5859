//! What the columns of a plan node are in terms of the tables below it: projections and aliases are substituted away.

use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, DFSchemaRef, DataFusionError, TableReference};
use datafusion_expr::Expr;

use crate::plan::refused;
use crate::private_query::ColumnRef;
use crate::refusal::{Code, Refusal};

/// Most nodes that an expression may have once the projections below it are substituted.
const MAX_NODES: usize = 4_000;
/// Marks a column of the outer tree inside `EXISTS`.
const OUTER: &str = "outer";

/// The columns of a plan node and what each is: an expression over columns of tables, or why it cannot be used.
#[derive(Clone)]
pub(super) struct Scope {
    pub(super) schema: DFSchemaRef,
    pub(super) bound: Vec<Result<Expr, Refusal>>,
}

/// A column as an operand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operand {
    /// Of the tables that are being read.
    Own(ColumnRef),
    /// Of the tables outside of `EXISTS`.
    Outer(ColumnRef),
}

/// A column of a table by the table's position.
pub(super) fn own_column(table: usize, column: &str) -> Expr {
    Expr::Column(Column::new(Some(TableReference::bare(table.to_string())), column))
}

/// The column that a substituted expression is, if it is nothing but a column.
pub(super) fn operand(expr: &Expr) -> Option<Operand> {
    let Expr::Column(Column { relation: Some(relation), name, .. }) = expr else { return None };
    let column = ColumnRef { table: relation.table().parse().ok()?, column: name.clone() };
    match relation.schema() {
        None => Some(Operand::Own(column)),
        Some(OUTER) => Some(Operand::Outer(column)),
        Some(_) => None,
    }
}

impl Scope {
    /// The same columns under other names.
    pub(super) fn renamed(self, schema: &DFSchemaRef) -> Self {
        Self { schema: Arc::clone(schema), bound: self.bound }
    }

    /// The columns of two inputs side by side.
    pub(super) fn beside(self, right: Self, schema: &DFSchemaRef) -> Self {
        let bound = self.bound.into_iter().chain(right.bound).collect();
        Self { schema: Arc::clone(schema), bound }
    }

    /// What an expression over this node's columns is in terms of the tables below; `outer` are the columns outside of
    /// the `EXISTS` in which it stands.
    pub(super) fn substitute(&self, expr: &Expr, outer: Option<&Self>) -> Result<Expr, Refusal> {
        self.check_size(expr)?;
        let replace = |node: Expr| match node {
            Expr::Column(column) => self.get(&column).map(Transformed::yes),
            Expr::OuterReferenceColumn(_, column) => outer
                .ok_or_else(|| too_far(&column))
                .and_then(|outer| outer.as_outer(&column))
                .map(Transformed::yes),
            other => Ok(Transformed::no(other)),
        };
        let substituted = expr.clone().transform_up(|node| {
            replace(node).map_err(|refusal| DataFusionError::External(Box::new(refusal)))
        });
        substituted.map(|t| t.data).map_err(|e| refused(&e))
    }

    fn get(&self, column: &Column) -> Result<Expr, Refusal> {
        let position = self.schema.maybe_index_of_column(column);
        match position.and_then(|i| self.bound.get(i)) {
            Some(bound) => bound.clone(),
            None => Err(too_far(column)),
        }
    }

    /// A column of this scope as one that is outside.
    fn as_outer(&self, column: &Column) -> Result<Expr, Refusal> {
        let found = self.get(column)?;
        match operand(&found) {
            Some(Operand::Own(ColumnRef { table, column })) => {
                let relation = TableReference::partial(OUTER, table.to_string());
                Ok(Expr::Column(Column::new(Some(relation), column)))
            }
            Some(Operand::Outer(_)) | None => Err(too_far(column)),
        }
    }

    /// The columns as ones that are outside: for joins that only ask whether rows exist.
    pub(super) fn all_outer(&self) -> Self {
        let bound = self.bound.iter().map(|bound| {
            let found = bound.clone()?;
            match operand(&found) {
                Some(Operand::Own(ColumnRef { table, column })) => {
                    let relation = TableReference::partial(OUTER, table.to_string());
                    Ok(Expr::Column(Column::new(Some(relation), column)))
                }
                Some(Operand::Outer(_)) | None => {
                    Err(Refusal::new(Code::ExpressionNotAllowed, "a join on an expression"))
                }
            }
        });
        Self { schema: Arc::clone(&self.schema), bound: bound.collect() }
    }

    /// Refuses an expression that would grow beyond all bounds by substitution.
    fn check_size(&self, expr: &Expr) -> Result<(), Refusal> {
        let mut nodes = 0usize;
        let walk = expr.apply(|node| {
            nodes += match node {
                Expr::Column(column) => {
                    let position = self.schema.maybe_index_of_column(column);
                    position.and_then(|i| self.bound.get(i)?.as_ref().ok()).map_or(1, size)
                }
                _ => 1,
            };
            Ok(if nodes > MAX_NODES { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        });
        if walk.is_err() || nodes > MAX_NODES {
            return Err(Refusal::new(Code::TooComplex, "an expression over derived columns grows too large"));
        }
        Ok(())
    }
}

fn size(expr: &Expr) -> usize {
    let mut nodes = 0;
    let _ = expr.apply(|_| {
        nodes += 1;
        Ok(TreeNodeRecursion::Continue)
    });
    nodes
}

fn too_far(column: &Column) -> Refusal {
    let name = crate::text::shortened(&column.flat_name());
    Refusal::new(Code::Unsupported, format!("{name} belongs to a query too far outside"))
        .with_rewrite("name columns of this SELECT and of the one directly around it only")
}
