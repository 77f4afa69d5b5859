//! The first rows of an answer, in the words of other systems: `TOP n` and `FETCH FIRST n ROWS ONLY` are `LIMIT n`.
//!
//! Only plain forms are rewritten; what is left of the others is refused with the shape of the statement.

use std::ops::ControlFlow;

use datafusion_sql::sqlparser::ast::{
    Expr, Fetch, LimitClause, Query, Select, SetExpr, Top, TopQuantity, Value, VisitMut, VisitorMut,
};

/// The query with its `TOP` and `FETCH FIRST` written as `LIMIT`, at every level.
pub(super) fn limited(mut query: Box<Query>) -> Box<Query> {
    let _ = query.visit(&mut First);
    query
}

struct First;

impl VisitorMut for First {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if query.limit_clause.as_ref().is_none_or(only_skips)
            && let Some(rows) = top(query).or_else(|| fetch(query))
        {
            let offset = match query.limit_clause.take() {
                Some(LimitClause::LimitOffset { offset, .. }) => offset,
                Some(LimitClause::OffsetCommaLimit { .. }) | None => None,
            };
            query.limit_clause =
                Some(LimitClause::LimitOffset { limit: Some(rows), offset, limit_by: Vec::new() });
        }
        ControlFlow::Continue(())
    }
}

/// `OFFSET n` without a limit.
fn only_skips(clause: &LimitClause) -> bool {
    matches!(clause, LimitClause::LimitOffset { limit: None, limit_by, .. } if limit_by.is_empty())
}

/// The number of rows of `SELECT TOP n`, taken out of the query.
fn top(query: &mut Query) -> Option<Expr> {
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    let Select { top, .. } = select.as_mut();
    let Some(Top { with_ties: false, percent: false, quantity: Some(_) }) = top else { return None };
    match top.take()?.quantity? {
        TopQuantity::Expr(rows) => Some(rows),
        TopQuantity::Constant(rows) => Some(Expr::Value(Value::Number(rows.to_string(), false).into())),
    }
}

/// The number of rows of `FETCH FIRST n ROWS ONLY`, taken out of the query.
fn fetch(query: &mut Query) -> Option<Expr> {
    let Some(Fetch { with_ties: false, percent: false, quantity }) = &query.fetch else { return None };
    let one = || Expr::Value(Value::Number("1".to_owned(), false).into());
    let rows = quantity.clone().unwrap_or_else(one);
    query.fetch = None;
    Some(rows)
}
