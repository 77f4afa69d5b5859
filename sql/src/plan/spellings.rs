//! Functions under the names that they have in other systems, written as the planner knows them: SQL Server's
//! `YEAR(x)`, `LEN`, `ISNULL`, `IIF` and `COUNT_BIG`, DuckDB's and Snowflake's `COUNT_IF`, and their like.

use std::ops::ControlFlow;

use datafusion_sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion_sql::sqlparser::ast::{
    CaseWhen, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident,
    Query, Value, VisitMut, VisitorMut,
};

use super::calls::arguments;

/// Parts of a date that are functions of their own elsewhere.
const PARTS: [&str; 5] = ["year", "quarter", "month", "week", "day"];

/// Functions that differ in their name alone, and the planner's name.
const RENAMED: [(&str, &str); 7] = [
    ("len", "character_length"),
    ("isnull", "coalesce"),
    ("count_big", "count"),
    ("datefromparts", "make_date"),
    ("stdev", "stddev_samp"),
    ("stdevp", "stddev_pop"),
    ("varp", "var_pop"),
];

/// The query with the planner's names.
pub(super) fn known(mut query: Query) -> Query {
    let _ = query.visit(&mut Spellings);
    query
}

struct Spellings;

impl VisitorMut for Spellings {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(call) = expr
            && let Some(known) = spelled(call)
        {
            *expr = known;
        }
        ControlFlow::Continue(())
    }
}

/// A call by its known name; nothing where it has that already.
fn spelled(call: &Function) -> Option<Expr> {
    let name = call.name.to_string().replace('"', "").to_lowercase();
    if let Some((_, known)) = RENAMED.iter().find(|(other, _)| *other == name) {
        return Some(Expr::Function(Function { name: Ident::new(*known).into(), ..call.clone() }));
    }
    let args = arguments(call);
    match (name.as_str(), args.as_deref()) {
        ("count_if" | "countif", Some([condition])) => Some(count_if(call, (*condition).clone())),
        ("iif", Some([condition, then, otherwise])) => Some(either(condition, then, otherwise)),
        (part, Some([date])) if PARTS.contains(&part) => Some(date_part(call, part, (*date).clone())),
        _ => None,
    }
}

/// `count(CASE WHEN condition THEN 1 END)`, which counts where the condition is true.
fn count_if(call: &Function, condition: Expr) -> Expr {
    let counted = case(condition, number(1), None);
    Expr::Function(Function { name: Ident::new("count").into(), args: list(call, [counted]), ..call.clone() })
}

fn either(condition: &Expr, then: &Expr, otherwise: &Expr) -> Expr {
    case(condition.clone(), then.clone(), Some(Box::new(otherwise.clone())))
}

fn date_part(call: &Function, part: &str, date: Expr) -> Expr {
    let part = Expr::Value(Value::SingleQuotedString(part.to_owned()).into());
    let args = list(call, [part, date]);
    Expr::Function(Function { name: Ident::new("date_part").into(), args, ..call.clone() })
}

fn case(condition: Expr, result: Expr, else_result: Option<Box<Expr>>) -> Expr {
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen { condition, result }],
        else_result,
    }
}

fn number(number: u64) -> Expr {
    Expr::Value(Value::Number(number.to_string(), false).into())
}

/// The arguments of a call, with others in their place.
fn list<const N: usize>(call: &Function, args: [Expr; N]) -> FunctionArguments {
    let args = args.into_iter().map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))).collect();
    match &call.args {
        FunctionArguments::List(old) => FunctionArguments::List(FunctionArgumentList { args, ..old.clone() }),
        FunctionArguments::None | FunctionArguments::Subquery(_) => {
            FunctionArguments::List(FunctionArgumentList {
                duplicate_treatment: None,
                args,
                clauses: Vec::new(),
            })
        }
    }
}
