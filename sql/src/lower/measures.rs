//! From SQL's aggregates to measures.

use caim_ontology::Role;
use datafusion_common::ScalarValue;
use datafusion_expr::Expr;
use datafusion_expr::expr::{AggregateFunction, AggregateFunctionParams, Case};

use super::bins;
use super::columns::{Target, target};
use super::compare::column_of;
use super::condition::{Reader, Sense};
use super::constant::constant;
use super::days;
use super::groups::{Output, Question, dim};
use super::refuse::not_in_aggregate;
use crate::private_query::{Aggregate, Atom, BoolTree, Days, Measure, Number};
use crate::refusal::{Code, Refusal};

impl Question {
    /// Takes in an aggregate of the statement.
    pub(super) fn aggregate(&mut self, reader: &Reader<'_>, expr: &Expr) -> Result<Output, Refusal> {
        match expr {
            Expr::Alias(alias) => self.aggregate(reader, &alias.expr),
            Expr::AggregateFunction(call) => self.call(reader, call),
            other => Err(not_in_aggregate(reader, other)),
        }
    }

    fn call(&mut self, reader: &Reader<'_>, call: &AggregateFunction) -> Result<Output, Refusal> {
        let AggregateFunction { func, params } = call;
        let AggregateFunctionParams { args, distinct, filter, order_by, null_treatment } = params;
        let name = func.name();
        if !matches!((name, distinct), ("count", _) | ("sum" | "avg", false)) {
            let distinct = if *distinct { "DISTINCT" } else { "" };
            return Err(Refusal::new(
                Code::AggregateNotAllowed,
                format!("{name}({distinct}) is not answered"),
            ));
        }
        if !order_by.is_empty() || null_treatment.is_some() {
            return Err(Refusal::new(Code::Unsupported, format!("ORDER BY or NULLS inside {name}()")));
        }
        let [arg] = args.as_slice() else {
            let reason = format!("{name}() of {} expressions", args.len());
            return Err(Refusal::new(Code::ExpressionInAggregate, reason));
        };
        let filter = filter.as_ref().map(|f| reader.condition(f, Sense::Holds)).transpose()?;
        let mut filter: Vec<BoolTree> = filter.into_iter().collect();
        let of = counted_case(reader, arg, name, &mut filter)?;
        match (name, distinct) {
            ("count", false) => self.count(reader, &of, filter),
            ("count", true) => self.count_distinct(reader, &of, filter),
            ("sum", _) => self.sum(reader, &of, filter),
            _ => self.average(reader, &of, filter),
        }
    }

    fn of(&mut self, of: Aggregate, filter: Vec<BoolTree>) -> usize {
        self.measure(Measure { of, filter: BoolTree::And(filter) })
    }

    /// `count(*)`, `count(1)`, `count(column)`.
    fn count(
        &mut self,
        reader: &Reader<'_>,
        of: &Expr,
        mut filter: Vec<BoolTree>,
    ) -> Result<Output, Refusal> {
        match constant(of) {
            Some(value) if value.is_null() => return Err(not_in_aggregate(reader, of)),
            Some(_) => return Ok(Output::Measure(self.of(Aggregate::Rows, filter))),
            None => {}
        }
        if let Some(Days { from, to }) = days::between(reader, of)? {
            let known = [from, to].map(|column| Sense::Fails.of(BoolTree::Is(Atom::IsNull { column })));
            filter.extend(known);
            return Ok(Output::Measure(self.of(Aggregate::Rows, filter)));
        }
        let column = match target(of) {
            Some(Target::Part { column, .. } | Target::Truncated { column, .. }) => column,
            Some(Target::Column { .. }) | None => {
                column_of(reader, of).ok_or_else(|| not_in_aggregate(reader, of))?
            }
        };
        filter.push(Sense::Fails.of(BoolTree::Is(Atom::IsNull { column })));
        Ok(Output::Measure(self.of(Aggregate::Rows, filter)))
    }

    /// Patients, identifiers of one patient, or codes.
    fn count_distinct(
        &mut self,
        reader: &Reader<'_>,
        of: &Expr,
        filter: Vec<BoolTree>,
    ) -> Result<Output, Refusal> {
        let Some(counted) = dim(reader, of)? else { return Err(not_in_aggregate(reader, of)) };
        let crate::private_query::Dim::Column(column) = &counted else {
            return Ok(Output::Codes(self.code(counted, BoolTree::And(filter))));
        };
        match &reader.side(column)?.column.role {
            Role::UnitId => Ok(Output::Measure(self.of(Aggregate::Patients, filter))),
            Role::Identifier { .. } => {
                Ok(Output::Measure(self.of(Aggregate::Distinct(column.clone()), filter)))
            }
            Role::Dimension { .. } => Ok(Output::Codes(self.code(counted, BoolTree::And(filter)))),
            // Validation refuses these, naming the role.
            Role::Measure { .. } | Role::Date { .. } | Role::Hidden => {
                Ok(Output::Measure(self.of(Aggregate::Distinct(column.clone()), filter)))
            }
        }
    }

    fn sum(&mut self, reader: &Reader<'_>, of: &Expr, filter: Vec<BoolTree>) -> Result<Output, Refusal> {
        match constant(of) {
            Some(value) if is_number(&value, 1) => Ok(Output::CountOrNull(self.of(Aggregate::Rows, filter))),
            Some(_) => Err(not_in_aggregate(reader, of)),
            None => {
                let number = number(reader, of)?;
                Ok(Output::Measure(self.of(Aggregate::Sum(number), filter)))
            }
        }
    }

    fn average(&mut self, reader: &Reader<'_>, of: &Expr, filter: Vec<BoolTree>) -> Result<Output, Refusal> {
        let number = number(reader, of)?;
        Ok(Output::Measure(self.of(Aggregate::Avg(number), filter)))
    }
}

fn number(reader: &Reader<'_>, of: &Expr) -> Result<Number, Refusal> {
    bins::number(reader, of)?.ok_or_else(|| not_in_aggregate(reader, of))
}

fn is_number(value: &ScalarValue, wanted: i64) -> bool {
    let wanted = ScalarValue::Int64(Some(wanted));
    value.data_type().is_numeric() && wanted.cast_to(&value.data_type()).is_ok_and(|w| w == *value)
}

/// `CASE WHEN c THEN x END` inside an aggregate is x where c holds; so is `... ELSE 0 END` inside a sum. The condition
/// goes to the filter and x is returned.
fn counted_case(
    reader: &Reader<'_>,
    arg: &Expr,
    aggregate: &str,
    filter: &mut Vec<BoolTree>,
) -> Result<Expr, Refusal> {
    let Some(case) = case(arg) else { return Ok(arg.clone()) };
    let Case { expr, when_then_expr, else_expr } = case;
    let otherwise = else_expr.as_ref().map(|e| constant(e));
    let left_out = match &otherwise {
        None => true,
        Some(Some(value)) => value.is_null() || (aggregate == "sum" && is_number(value, 0)),
        Some(None) => false,
    };
    let [(when, then)] = when_then_expr.as_slice() else { return Ok(arg.clone()) };
    if !left_out {
        return Ok(arg.clone());
    }
    let when = match expr {
        Some(of) => of.as_ref().clone().eq(when.as_ref().clone()),
        None => when.as_ref().clone(),
    };
    filter.push(reader.condition(&when, Sense::Holds)?);
    Ok(then.as_ref().clone())
}

/// The CASE that an expression is, under casts.
fn case(expr: &Expr) -> Option<&Case> {
    match expr {
        Expr::Case(case) => Some(case),
        Expr::Alias(alias) => case_under(&alias.expr),
        Expr::Cast(cast) if cast.field.data_type().is_numeric() => case_under(&cast.expr),
        _ => None,
    }
}

fn case_under(expr: &Expr) -> Option<&Case> {
    case(expr)
}
