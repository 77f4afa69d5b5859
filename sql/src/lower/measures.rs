//! From SQL's aggregates to measures.

use caim_ontology::Role;
use datafusion_common::ScalarValue;
use datafusion_common::arrow::datatypes::DataType;
use datafusion_expr::Expr;
use datafusion_expr::expr::{AggregateFunction, AggregateFunctionParams, Case, Sort};

use super::bins;
use super::columns::{Target, target};
use super::compare::column_of;
use super::condition::{Reader, Sense};
use super::constant::constant;
use super::days;
use super::groups::{Output, Question, dim};
use super::refuse::not_in_aggregate;
use crate::private_query::{Aggregate, Atom, BoolTree, Days, Divisor, Measure, Number, Real};
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
        let kind = Kind::of(name, *distinct).ok_or_else(|| not_answered(name, *distinct))?;
        let (args, descends) = kind.arguments(name, args, order_by)?;
        if null_treatment.is_some() {
            return Err(Refusal::new(Code::Unsupported, format!("NULLS inside {name}()")));
        }
        let [arg, rest @ ..] = args else {
            let reason = format!("{name}() of {} expressions", args.len());
            return Err(Refusal::new(Code::ExpressionInAggregate, reason));
        };
        let filter = filter.as_ref().map(|f| reader.condition(f, Sense::Holds)).transpose()?;
        let mut filter: Vec<BoolTree> = filter.into_iter().collect();
        let of = counted_case(reader, arg, name, &mut filter)?;
        match kind {
            Kind::Count => self.count(reader, &of, filter),
            Kind::CountDistinct => self.count_distinct(reader, &of, filter),
            Kind::Sum => self.sum(reader, &of, filter),
            Kind::Avg => Ok(Output::Measure(self.of(Aggregate::Avg(number(reader, &of)?), filter))),
            Kind::Variance(over) => Ok(Output::Measure(self.variance(reader, &of, over, filter)?)),
            Kind::Deviation(over) => Ok(Output::Root(self.variance(reader, &of, over, filter)?)),
            Kind::Median | Kind::Percentile => {
                let share = if kind == Kind::Median { 0.5 } else { share(rest.first(), descends)? };
                let share = Real::new(share).ok_or_else(not_a_share)?;
                let of = number(reader, &of)?;
                Ok(Output::Measure(self.of(Aggregate::Quantile { of, share }, filter)))
            }
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

    fn variance(
        &mut self,
        reader: &Reader<'_>,
        of: &Expr,
        over: Divisor,
        filter: Vec<BoolTree>,
    ) -> Result<usize, Refusal> {
        let of = number(reader, of)?;
        Ok(self.of(Aggregate::Variance { of, over }, filter))
    }
}

/// The aggregates of SQL that are answered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Count,
    CountDistinct,
    Sum,
    Avg,
    Variance(Divisor),
    Deviation(Divisor),
    Median,
    Percentile,
}

impl Kind {
    fn of(name: &str, distinct: bool) -> Option<Self> {
        Some(match (name, distinct) {
            ("count", false) => Self::Count,
            ("count", true) => Self::CountDistinct,
            ("sum", false) => Self::Sum,
            ("avg", false) => Self::Avg,
            ("var", false) => Self::Variance(Divisor::Sample),
            ("var_pop", false) => Self::Variance(Divisor::Population),
            ("stddev", false) => Self::Deviation(Divisor::Sample),
            ("stddev_pop", false) => Self::Deviation(Divisor::Population),
            ("median" | "approx_median", false) => Self::Median,
            ("percentile_cont" | "approx_percentile_cont", false) => Self::Percentile,
            _ => return None,
        })
    }

    /// The arguments, and whether they are ordered downwards: `WITHIN GROUP (ORDER BY x DESC)` stands for the first
    /// argument. No other aggregate has an order.
    fn arguments<'a>(
        self,
        name: &str,
        args: &'a [Expr],
        order_by: &[Sort],
    ) -> Result<(&'a [Expr], bool), Refusal> {
        let most = if self == Self::Percentile { 2 } else { 1 };
        match (self, args, order_by) {
            (_, [], _) | (_, _, []) if args.len() <= most => Ok((args, false)),
            (Self::Percentile, [of, _], [sort]) if bare(&sort.expr) == bare(of) => Ok((args, !sort.asc)),
            (_, _, []) => {
                let reason = format!("{name}() of {} expressions", args.len());
                Err(Refusal::new(Code::ExpressionInAggregate, reason))
            }
            (_, _, [..]) => Err(Refusal::new(Code::Unsupported, format!("ORDER BY inside {name}()"))),
        }
    }
}

/// An expression without the casts that only the planner puts around one of two equal ones.
fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Cast(cast) => bare(&cast.expr),
        other => other,
    }
}

fn not_answered(name: &str, distinct: bool) -> Refusal {
    let distinct = if distinct { "DISTINCT" } else { "" };
    Refusal::new(Code::AggregateNotAllowed, format!("{name}({distinct}) is not answered"))
}

fn not_a_share() -> Refusal {
    Refusal::new(Code::Invalid, "the share of a percentile is a number between 0 and 1")
        .with_rewrite("percentile_cont(x, 0.9)")
}

/// The second argument of a percentile.
fn share(expr: Option<&Expr>, descends: bool) -> Result<f64, Refusal> {
    let value = expr.and_then(constant).and_then(|value| value.cast_to(&DataType::Float64).ok());
    match value {
        Some(ScalarValue::Float64(Some(share))) if (0.0..=1.0).contains(&share) => {
            Ok(if descends { 1.0 - share } else { share })
        }
        _ => Err(not_a_share()),
    }
}

fn number(reader: &Reader<'_>, of: &Expr) -> Result<Number, Refusal> {
    bins::number(reader, of)?.ok_or_else(|| not_in_aggregate(reader, of))
}

pub(super) fn is_number(value: &ScalarValue, wanted: i64) -> bool {
    let wanted = ScalarValue::Int64(Some(wanted));
    value.data_type().is_numeric() && wanted.cast_to(&value.data_type()).is_ok_and(|w| w == *value)
}

/// `CASE WHEN c THEN x END` inside an aggregate is x where c holds; so is `... ELSE 0 END` inside a sum. The condition
/// goes to the filter and x is returned.
pub(super) fn counted_case(
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
