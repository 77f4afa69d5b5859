//! Tells subqueries apart. The planner names every EXISTS alike, so that two aggregates with different ones would be
//! refused as one name given twice.

use std::ops::ControlFlow;

use datafusion_sql::sqlparser::ast::{BinaryOperator, Expr, Query, Value, VisitMut, VisitorMut};

/// The query with `AND n = n` after the second and every further different condition that is a subquery.
pub(super) fn told_apart(mut query: Query) -> Query {
    let _ = query.visit(&mut Apart(Vec::new()));
    query
}

/// The texts of conditions so far; equal ones stay equal.
struct Apart(Vec<String>);

impl VisitorMut for Apart {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if !matches!(expr, Expr::Exists { .. } | Expr::InSubquery { .. }) {
            return ControlFlow::Continue(());
        }
        let text = expr.to_string();
        let number = self.0.iter().position(|known| *known == text).unwrap_or_else(|| {
            self.0.push(text);
            self.0.len() - 1
        });
        if number > 0 {
            let number = || Box::new(Expr::Value(Value::Number(number.to_string(), false).into()));
            let always = Expr::BinaryOp { left: number(), op: BinaryOperator::Eq, right: number() };
            let both = Expr::BinaryOp {
                left: Box::new(expr.clone()),
                op: BinaryOperator::And,
                right: Box::new(always),
            };
            *expr = Expr::Nested(Box::new(both));
        }
        ControlFlow::Continue(())
    }
}
