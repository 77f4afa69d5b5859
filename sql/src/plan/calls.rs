//! Calls of functions as they were written.

use datafusion_sql::sqlparser::ast::{Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments};

/// The plain arguments of a call without other clauses.
pub(super) fn arguments(call: &Function) -> Option<Vec<&Expr>> {
    let Function {
        name: _,
        uses_odbc_syntax: _,
        parameters,
        args,
        filter,
        null_treatment,
        over,
        within_group,
    } = call;
    let plain = matches!(parameters, FunctionArguments::None)
        && filter.is_none()
        && null_treatment.is_none()
        && over.is_none()
        && within_group.is_empty();
    let FunctionArguments::List(list) = args else { return None };
    let args = list.args.iter().map(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        FunctionArg::Unnamed(_) | FunctionArg::Named { .. } | FunctionArg::ExprNamed { .. } => None,
    });
    let args = args.collect::<Option<Vec<_>>>()?;
    (plain && list.clauses.is_empty() && list.duplicate_treatment.is_none()).then_some(args)
}
