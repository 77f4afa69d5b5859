//! Conditions: from SQL's boolean expressions to the closed form. Negation moves inwards on the way, which keeps SQL's
//! three-valued meaning.

use caim_ontology::{ColumnType, Models};
use datafusion_common::ScalarValue;
use datafusion_expr::expr::{Between, BinaryExpr, InList};
use datafusion_expr::logical_plan::Subquery;
use datafusion_expr::{Expr, Operator};

use super::compare::{self, Sign};
use super::concepts;
use super::constant::{constant, is_computable};
use super::days;
use super::refuse::{not_a_condition, only_grouped};
use super::rows::{Outer, Rows};
use super::scope::{Operand, Scope, operand};
use super::vocabulary;
use crate::catalogue::{IS_A, NODE};
use crate::private_query::{Atom, BoolTree, ColumnRef, Days, JoinTree, TableRef, Value};
use crate::refusal::{Code, Refusal};
use crate::validate::{Side, Tables};

/// Whether a condition is asked to hold or to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sense {
    Holds,
    Fails,
}

impl Sense {
    fn flipped(self) -> Self {
        match self {
            Sense::Holds => Sense::Fails,
            Sense::Fails => Sense::Holds,
        }
    }

    /// The opposite sense for conditions that SQL wrote with NOT.
    fn negated_if(self, negated: bool) -> Self {
        if negated { self.flipped() } else { self }
    }

    /// The condition in this sense.
    pub(super) fn of(self, tree: BoolTree) -> BoolTree {
        match self {
            Sense::Holds => tree,
            Sense::Fails => BoolTree::Not(Box::new(tree)),
        }
    }
}

/// Lowers conditions over the tables of one tree.
pub(super) struct Reader<'a> {
    pub(super) models: &'a Models,
    pub(super) tables: &'a [TableRef],
    /// The tables of the query around an `EXISTS`.
    pub(super) outer: &'a [TableRef],
    /// Conditions that all rows meet, as far as they are read.
    pub(super) cohort: &'a [BoolTree],
    /// The columns that subqueries refer to.
    pub(super) scope: &'a Scope,
}

/// The operands of a chain of ANDs or ORs, without recursion: chains may be long.
pub(super) fn operands(expr: &Expr, word: Operator) -> Vec<&Expr> {
    let (mut found, mut waiting) = (Vec::new(), vec![expr]);
    while let Some(next) = waiting.pop() {
        match next {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if *op == word => {
                waiting.push(right);
                waiting.push(left);
            }
            other => found.push(other),
        }
    }
    found
}

fn never() -> BoolTree {
    BoolTree::Or(Vec::new())
}

impl Reader<'_> {
    /// The closed form of a condition whose columns are substituted. What is no comparison may still be computed for
    /// every code of a column's vocabulary.
    pub(super) fn condition(&self, expr: &Expr, sense: Sense) -> Result<BoolTree, Refusal> {
        match self.comparison(expr, sense) {
            Err(refusal) if matches!(refusal.code, Code::ExpressionNotAllowed | Code::FunctionNotAllowed) => {
                vocabulary::condition(self, expr, sense)?.ok_or(refusal)
            }
            compared => compared,
        }
    }

    fn comparison(&self, expr: &Expr, sense: Sense) -> Result<BoolTree, Refusal> {
        if let Some(value) = constant(expr) {
            return self.truth(&value, expr, sense);
        }
        match expr {
            Expr::Alias(alias) => self.condition(&alias.expr, sense),
            Expr::Not(inner) => self.condition(inner, sense.flipped()),
            Expr::BinaryExpr(binary) => self.binary(expr, binary, sense),
            Expr::Column(_) => self.flag(expr, true, sense),
            Expr::IsNull(inner) => self.is_null(inner, expr, sense),
            Expr::IsNotNull(inner) => self.is_null(inner, expr, sense.flipped()),
            Expr::IsTrue(inner) => self.is_truth(inner, true, sense),
            Expr::IsNotTrue(inner) => self.is_truth(inner, true, sense.flipped()),
            Expr::IsFalse(inner) => self.is_truth(inner, false, sense),
            Expr::IsNotFalse(inner) => self.is_truth(inner, false, sense.flipped()),
            Expr::IsUnknown(inner) => self.is_null(inner, expr, sense),
            Expr::IsNotUnknown(inner) => self.is_null(inner, expr, sense.flipped()),
            Expr::Between(between) => self.between(between, sense),
            Expr::InList(list) => self.in_list(list, expr, sense),
            Expr::InSubquery(within) => {
                self.in_subquery(&within.expr, &within.subquery, sense.negated_if(within.negated))
            }
            Expr::Exists(exists) => self.exists(&exists.subquery, sense.negated_if(exists.negated)),
            Expr::ScalarFunction(call) if call.func.name() == IS_A => {
                Ok(sense.of(BoolTree::Is(concepts::is_a(self, call)?)))
            }
            Expr::ScalarVariable(..)
            | Expr::Literal(..)
            | Expr::Like(_)
            | Expr::SimilarTo(_)
            | Expr::Negative(_)
            | Expr::Case(_)
            | Expr::Cast(_)
            | Expr::TryCast(_)
            | Expr::ScalarFunction(_)
            | Expr::AggregateFunction(_)
            | Expr::WindowFunction(_)
            | Expr::SetComparison(_)
            | Expr::ScalarSubquery(_)
            | Expr::GroupingSet(_)
            | Expr::Placeholder(_)
            | Expr::OuterReferenceColumn(..)
            | Expr::Unnest(_)
            | Expr::HigherOrderFunction(_)
            | Expr::Lambda(_)
            | Expr::LambdaVariable(_) => Err(not_a_condition(self, expr)),
            #[expect(deprecated, reason = "the variant still exists and is refused")]
            Expr::Wildcard { .. } => Err(not_a_condition(self, expr)),
        }
    }

    /// The column with its table and role.
    pub(super) fn side(&self, column: &ColumnRef) -> Result<Side<'_>, Refusal> {
        self.side_in(self.tables, column)
    }

    /// The same for a column of these tables or of those outside.
    pub(super) fn side_of(&self, operand: &Operand) -> Result<Side<'_>, Refusal> {
        match operand {
            Operand::Own(column) => self.side(column),
            Operand::Outer(column) => self.side_in(self.outer, column),
        }
    }

    fn side_in(&self, tables: &[TableRef], column: &ColumnRef) -> Result<Side<'_>, Refusal> {
        if column.column == NODE {
            return Err(only_grouped());
        }
        let bare = JoinTree { tables: tables.to_vec(), edges: Vec::new() };
        Tables::unchecked(&bare, self.models)?.side(column)
    }

    fn truth(&self, value: &ScalarValue, expr: &Expr, sense: Sense) -> Result<BoolTree, Refusal> {
        match (value, sense) {
            (ScalarValue::Boolean(Some(true)), Sense::Holds)
            | (ScalarValue::Boolean(Some(false)), Sense::Fails) => Ok(BoolTree::always()),
            (ScalarValue::Boolean(_) | ScalarValue::Null, _) => Ok(never()),
            _ => Err(not_a_condition(self, expr)),
        }
    }

    fn binary(&self, expr: &Expr, binary: &BinaryExpr, sense: Sense) -> Result<BoolTree, Refusal> {
        let BinaryExpr { left, op, right } = binary;
        let all = |word| {
            operands(expr, word)
                .into_iter()
                .map(|part| self.condition(part, sense))
                .collect::<Result<Vec<_>, _>>()
        };
        match (op, sense) {
            (Operator::And, Sense::Holds) => Ok(BoolTree::And(all(Operator::And)?)),
            (Operator::And, Sense::Fails) => Ok(BoolTree::Or(all(Operator::And)?)),
            (Operator::Or, Sense::Holds) => Ok(BoolTree::Or(all(Operator::Or)?)),
            (Operator::Or, Sense::Fails) => Ok(BoolTree::And(all(Operator::Or)?)),
            (Operator::IsNotDistinctFrom, sense) => self.same(left, right, expr, sense),
            (Operator::IsDistinctFrom, sense) => self.same(left, right, expr, sense.flipped()),
            (op, sense) => {
                let sign = Sign::of(*op).ok_or_else(|| not_a_condition(self, expr))?;
                let sign = if sense == Sense::Fails { sign.negated() } else { sign };
                match (constant(left), constant(right)) {
                    (None, Some(value)) => compare::compare(self, left, sign, &value, expr),
                    (Some(value), None) => compare::compare(self, right, sign.mirrored(), &value, expr),
                    (None, None) if is_computable(left) || is_computable(right) => {
                        Err(Refusal::new(Code::Invalid, "a value in a condition cannot be computed")
                            .with_rewrite("write the value itself, for example DATE '2020-01-01'"))
                    }
                    (None, None) => compare::compare_dates(self, left, sign, right, expr),
                    (Some(_), Some(_)) => Err(not_a_condition(self, expr)),
                }
            }
        }
    }

    /// `IS NOT DISTINCT FROM`: equality that knows NULL.
    fn same(&self, left: &Expr, right: &Expr, expr: &Expr, sense: Sense) -> Result<BoolTree, Refusal> {
        let (of, value) = match (constant(left), constant(right)) {
            (None, Some(value)) => (left, value),
            (Some(value), None) => (right, value),
            (None, None) | (Some(_), Some(_)) => return Err(not_a_condition(self, expr)),
        };
        if value.is_null() {
            return self.is_null(of, expr, sense);
        }
        match sense {
            Sense::Holds => compare::compare(self, of, Sign::Eq, &value, expr),
            Sense::Fails => {
                let differs = compare::compare(self, of, Sign::NotEq, &value, expr)?;
                Ok(BoolTree::Or(vec![differs, self.is_null(of, expr, Sense::Holds)?]))
            }
        }
    }

    /// A boolean column by itself, or compared with TRUE or FALSE.
    fn flag(&self, expr: &Expr, wanted: bool, sense: Sense) -> Result<BoolTree, Refusal> {
        let sign = if sense == Sense::Holds { Sign::Eq } else { Sign::NotEq };
        compare::compare(self, expr, sign, &ScalarValue::Boolean(Some(wanted)), expr)
    }

    fn is_null(&self, inner: &Expr, expr: &Expr, sense: Sense) -> Result<BoolTree, Refusal> {
        if let Some(Days { from, to }) = days::between(self, inner)? {
            let unknown = [from, to].map(|column| BoolTree::Is(Atom::IsNull { column }));
            return Ok(sense.of(BoolTree::Or(unknown.to_vec())));
        }
        let column = compare::column_of(self, inner).ok_or_else(|| not_a_condition(self, expr))?;
        Ok(sense.of(BoolTree::Is(Atom::IsNull { column })))
    }

    /// `IS TRUE` and `IS FALSE` know two values only, so what fails includes NULL.
    fn is_truth(&self, inner: &Expr, wanted: bool, sense: Sense) -> Result<BoolTree, Refusal> {
        match sense {
            Sense::Holds => self.condition(inner, if wanted { Sense::Holds } else { Sense::Fails }),
            Sense::Fails => {
                let Some(Operand::Own(column)) = operand(inner) else {
                    return Err(not_a_condition(self, inner));
                };
                if self.side(&column)?.column.ty != ColumnType::Boolean {
                    return Err(not_a_condition(self, inner));
                }
                let other = Atom::In { column: column.clone(), values: vec![Value::Boolean(!wanted)] };
                Ok(BoolTree::Or(vec![BoolTree::Is(other), BoolTree::Is(Atom::IsNull { column })]))
            }
        }
    }

    fn between(&self, between: &Between, sense: Sense) -> Result<BoolTree, Refusal> {
        let Between { expr, negated, low, high } = between;
        let above = expr.as_ref().clone().gt_eq(low.as_ref().clone());
        let below = expr.as_ref().clone().lt_eq(high.as_ref().clone());
        self.condition(&above.and(below), sense.negated_if(*negated))
    }

    fn in_list(&self, list: &InList, expr: &Expr, sense: Sense) -> Result<BoolTree, Refusal> {
        let sense = sense.negated_if(list.negated);
        let values: Option<Vec<ScalarValue>> = list.list.iter().map(constant).collect();
        let values = values.ok_or_else(|| not_a_condition(self, expr))?;
        let known: Vec<ScalarValue> = values.iter().filter(|v| !v.is_null()).cloned().collect();
        // x NOT IN (1, NULL) is never true.
        if sense == Sense::Fails && known.len() < values.len() {
            return Ok(never());
        }
        compare::compare_list(self, &list.expr, &known, sense, expr)
    }

    fn exists(&self, subquery: &Subquery, sense: Sense) -> Result<BoolTree, Refusal> {
        let mut rows = Rows::existing(self.models, Outer { scope: self.scope, tables: self.tables });
        rows.read(&subquery.subquery)?;
        Ok(sense.of(BoolTree::Is(Atom::Exists(Box::new(rows.finish_exists()?)))))
    }

    /// `x IN (SELECT y ...)` is an EXISTS with x = y. `NOT IN` besides wants x to be known; a y that is NULL names no
    /// patient and no record, and counts as absent.
    fn in_subquery(&self, expr: &Expr, subquery: &Subquery, sense: Sense) -> Result<BoolTree, Refusal> {
        let outside = || Refusal::new(Code::ExpressionNotAllowed, "IN (SELECT ...) compares more than a key");
        let Some(Operand::Own(outer)) = super::columns::key_operand(expr) else { return Err(outside()) };
        let mut rows = Rows::existing(self.models, Outer { scope: self.scope, tables: self.tables });
        let scope = rows.read(&subquery.subquery)?;
        let first = scope.bound.first().cloned().ok_or_else(outside)??;
        let Some(Operand::Own(inner)) = super::columns::key_operand(&first) else { return Err(outside()) };
        rows.tie(outer.clone(), inner);
        let exists = BoolTree::Is(Atom::Exists(Box::new(rows.finish_exists()?)));
        Ok(match sense {
            Sense::Holds => exists,
            Sense::Fails => {
                let known = Sense::Fails.of(BoolTree::Is(Atom::IsNull { column: outer }));
                BoolTree::And(vec![Sense::Fails.of(exists), known])
            }
        })
    }
}
