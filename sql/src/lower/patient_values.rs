//! From the aggregates of an inner `GROUP BY patient_id` to values per patient.

use caim_ontology::Role;
use datafusion_common::Column;
use datafusion_expr::expr::{AggregateFunction, AggregateFunctionParams, Sort};
use datafusion_expr::{Expr, lit};

use super::bins;
use super::compare::column_of;
use super::condition::{Reader, Sense};
use super::constant::constant;
use super::measures::{counted_case, is_number};
use super::refuse::not_in_aggregate;
use crate::private_query::{Atom, BoolTree, ColumnRef, Order, PatientValue, ValueOf};
use crate::refusal::{Code, Refusal};

/// A value, and how its column is shown.
pub(super) struct Shown {
    pub(super) value: PatientValue,
    /// As true or false, where the value is 1 or 0.
    truth: bool,
}

impl Shown {
    /// The expression over the value's column that stands for the aggregate.
    pub(super) fn shown(&self, name: String) -> Expr {
        let column = Expr::Column(Column::from_name(name));
        if self.truth { column.eq(lit(1i64)) } else { column }
    }
}

/// The value that an aggregate is, over columns of tables.
pub(super) fn value(reader: &Reader<'_>, expr: &Expr) -> Result<Shown, Refusal> {
    match expr {
        Expr::Alias(alias) => value(reader, &alias.expr),
        Expr::AggregateFunction(call) => match flag(reader, call)? {
            Some(shown) => Ok(shown),
            None => Ok(Shown { value: called(reader, call)?, truth: false }),
        },
        other => Err(not_in_aggregate(reader, other)),
    }
}

/// `bool_or(c)` and `max(CASE WHEN c THEN 1 ELSE 0 END)`: whether a row meets a condition.
fn flag(reader: &Reader<'_>, call: &AggregateFunction) -> Result<Option<Shown>, Refusal> {
    let AggregateFunctionParams { args, distinct: _, filter, order_by, null_treatment } = &call.params;
    let [arg] = args.as_slice() else { return Ok(None) };
    if !order_by.is_empty() || null_treatment.is_some() {
        return Ok(None);
    }
    let (condition, truth) = match call.func.name() {
        "bool_or" => (Some(reader.condition(arg, Sense::Holds)?), true),
        "max" => (one_else_nought(reader, arg)?, false),
        _ => (None, false),
    };
    let Some(condition) = condition else { return Ok(None) };
    let filter = filter.as_ref().map(|f| reader.condition(f, Sense::Holds)).transpose()?;
    let filter = BoolTree::And(filter.into_iter().chain([condition]).collect());
    Ok(Some(Shown { value: PatientValue { of: ValueOf::Any, filter }, truth }))
}

/// The condition of `CASE WHEN c THEN 1 ELSE 0 END`.
fn one_else_nought(reader: &Reader<'_>, expr: &Expr) -> Result<Option<BoolTree>, Refusal> {
    let mut found = Vec::new();
    // As in a sum, where the rest counts for nothing.
    let then = counted_case(reader, expr, "sum", &mut found)?;
    Ok(match constant(&then) {
        Some(value) if is_number(&value, 1) => found.pop(),
        Some(_) | None => None,
    })
}

fn called(reader: &Reader<'_>, call: &AggregateFunction) -> Result<PatientValue, Refusal> {
    let AggregateFunctionParams { args, distinct, filter, order_by, null_treatment } = &call.params;
    let name = call.func.name();
    let [arg] = args.as_slice() else { return Err(not_answered(name)) };
    if null_treatment.is_some() {
        return Err(Refusal::new(Code::Unsupported, format!("NULLS inside {name}()")));
    }
    let filter = filter.as_ref().map(|f| reader.condition(f, Sense::Holds)).transpose()?;
    let mut filter: Vec<BoolTree> = filter.into_iter().collect();
    let arg = counted_case(reader, arg, name, &mut filter)?;
    let column = || column_of(reader, &arg).ok_or_else(|| not_in_aggregate(reader, &arg));
    let number = || bins::number(reader, &arg)?.ok_or_else(|| not_in_aggregate(reader, &arg));
    let of = match (name, distinct, order_by.as_slice()) {
        ("count", false, []) => {
            if constant(&arg).is_none() {
                filter.push(Sense::Fails.of(BoolTree::Is(Atom::IsNull { column: column()? })));
            }
            ValueOf::Rows
        }
        ("sum", false, []) if constant(&arg).is_some() => ValueOf::Rows,
        ("count", true, []) => ValueOf::Distinct(column()?),
        ("min", _, []) => ValueOf::Least(column()?),
        ("max", _, []) => ValueOf::Greatest(column()?),
        ("sum", false, []) => ValueOf::Sum(number()?),
        ("avg", false, []) => ValueOf::Mean(number()?),
        ("first_value", false, order @ [_, ..]) => first(reader, column()?, order, false)?,
        ("last_value", false, order @ [_, ..]) => first(reader, column()?, order, true)?,
        ("first_value" | "last_value", false, []) => {
            return Err(Refusal::new(Code::Invalid, format!("{name}() has no order"))
                .with_rewrite(format!("{name}(x ORDER BY date)")));
        }
        _ => return Err(not_answered(name)),
    };
    Ok(PatientValue { of, filter: BoolTree::And(filter) })
}

fn first(reader: &Reader<'_>, column: ColumnRef, order: &[Sort], reversed: bool) -> Result<ValueOf, Refusal> {
    let mut order = self::order(reader, |expr| Ok(expr.clone()), order)?;
    if reversed {
        for by in &mut order {
            (by.descending, by.nulls_first) = (!by.descending, !by.nulls_first);
        }
    }
    Ok(ValueOf::First { column, order })
}

/// An order of rows by columns; `substitute` says what its expressions are over tables.
pub(super) fn order(
    reader: &Reader<'_>,
    substitute: impl Fn(&Expr) -> Result<Expr, Refusal>,
    sorts: &[Sort],
) -> Result<Vec<Order>, Refusal> {
    let one = |sort: &Sort| {
        let expr = substitute(&sort.expr)?;
        let column = column_of(reader, &expr).ok_or_else(|| {
            Refusal::new(Code::ExpressionNotAllowed, "rows of a patient are ordered by an expression")
                .with_rewrite("order them by columns: dates, numbers, dimensions or identifiers")
        })?;
        match &reader.side(&column)?.column.role {
            Role::Date { .. } | Role::Measure { .. } | Role::Dimension { .. } | Role::Identifier { .. } => {}
            Role::UnitId | Role::Hidden => {
                let name = &reader.side(&column)?.column.name;
                return Err(Refusal::new(
                    Code::ColumnNotAllowed,
                    format!("rows of a patient are ordered by {name}"),
                ));
            }
        }
        Ok(Order { column, descending: !sort.asc, nulls_first: sort.nulls_first })
    };
    sorts.iter().map(one).collect()
}

fn not_answered(name: &str) -> Refusal {
    Refusal::new(Code::AggregateNotAllowed, format!("{name}() is no value per patient")).with_rewrite(
        "use count, min, max, sum, avg, first_value(x ORDER BY date) or last_value(x ORDER BY date)",
    )
}
