//! What each role allows a column to be: compared, grouped, counted, summed; and the public grids of values.

use caim_ontology::{Bounds, ColumnType, Grid, Models, Role};

use super::tree::{Side, Tables};
use super::{MAX_CODES, MAX_TEXT_BYTES, MAX_VALUES, bins, concepts};
use crate::calendar::Day;
use crate::private_query::{Aggregate, DatePart, Dim, Endpoint, Value};
use crate::refusal::{Code, Refusal};

/// What a column may be compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Comparison {
    /// Values, by equality.
    Values,
    /// Values by equality, and ranges between integers.
    Bounded(Bounds),
    /// Ranges between points of a grid.
    Number(Bounds),
    /// Ranges between points of a calendar.
    Date(Grid),
}

/// `dicom.series.Modality`.
pub(crate) fn full_name(side: Side<'_>) -> String {
    format!("{}.{}.{}", side.schema, side.table.name, side.column.name)
}

pub(super) fn refuse<T>(side: Side<'_>, code: Code, rest: &str) -> Result<T, Refusal> {
    Err(Refusal::new(
        code,
        format!("{} is a column of role {}{rest}", full_name(side), side.column.role.name()),
    ))
}

/// How a column may be compared with values.
pub(crate) fn comparison(side: Side<'_>) -> Result<Comparison, Refusal> {
    match &side.column.role {
        Role::UnitId | Role::Identifier { .. } => refuse(side, Code::IdentifierFilter, ""),
        Role::Hidden => refuse(side, Code::ColumnNotAllowed, ": it cannot be asked"),
        Role::Dimension { bounds: None, .. } => Ok(Comparison::Values),
        Role::Dimension { bounds: Some(bounds), .. } => Ok(Comparison::Bounded(*bounds)),
        Role::Measure { bounds } => Ok(Comparison::Number(*bounds)),
        Role::Date { grid } => Ok(Comparison::Date(*grid)),
    }
}

pub(super) fn in_values(side: Side<'_>, values: &[Value]) -> Result<(), Refusal> {
    match comparison(side)? {
        Comparison::Values | Comparison::Bounded(_) => {}
        Comparison::Number(_) | Comparison::Date(_) => {
            return refuse(side, Code::ExpressionNotAllowed, ": it is compared by ranges");
        }
    }
    if values.is_empty() {
        return Err(Refusal::new(Code::Malformed, "a list of no values"));
    }
    let most = if side.column.roots.is_empty() { MAX_VALUES } else { MAX_CODES };
    if values.len() > most {
        return Err(super::too_many("values in one list", values.len(), most));
    }
    values.iter().try_for_each(|value| check_value(side, value))
}

pub(super) fn check_value(side: Side<'_>, value: &Value) -> Result<(), Refusal> {
    let fits = match (value, side.column.ty) {
        (Value::Text(text), ColumnType::Text) => {
            check_text(text)?;
            true
        }
        (Value::Integer(_), ColumnType::Integer)
        | (Value::Float(_), ColumnType::Float)
        | (Value::Boolean(_), ColumnType::Boolean)
        | (Value::Date(_), ColumnType::Date) => true,
        (
            Value::Text(_) | Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Date(_),
            ColumnType::Text
            | ColumnType::Integer
            | ColumnType::Float
            | ColumnType::Boolean
            | ColumnType::Date
            | ColumnType::Timestamp,
        ) => false,
    };
    if fits {
        Ok(())
    } else {
        Err(Refusal::new(Code::Malformed, format!("a value of {} has another type", full_name(side))))
    }
}

/// A text of a question is bounded.
pub(super) fn check_text(text: &str) -> Result<(), Refusal> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(super::too_many("bytes in one value", text.len(), MAX_TEXT_BYTES));
    }
    Ok(())
}

pub(super) fn is_null(side: Side<'_>) -> Result<(), Refusal> {
    match &side.column.role {
        Role::Hidden => refuse(side, Code::ColumnNotAllowed, ": it cannot be asked"),
        Role::UnitId
        | Role::Identifier { .. }
        | Role::Dimension { .. }
        | Role::Measure { .. }
        | Role::Date { .. } => Ok(()),
    }
}

pub(super) fn range(side: Side<'_>, lo: Option<&Endpoint>, hi: Option<&Endpoint>) -> Result<(), Refusal> {
    let comparison = comparison(side)?;
    if lo.is_none() && hi.is_none() {
        return Err(Refusal::new(Code::Malformed, "a range without ends"));
    }
    for end in lo.iter().chain(hi.iter()) {
        check_value(side, &end.value)?;
        match (comparison, &end.value) {
            (Comparison::Values, _) => {
                return refuse(side, Code::ExpressionNotAllowed, " without an order: compare it by = and IN");
            }
            (Comparison::Date(grid), Value::Date(days)) => off_grid_date(side, *days, grid)?,
            (Comparison::Bounded(bounds) | Comparison::Number(bounds), value) => {
                off_grid_number(side, number(value)?, bounds)?;
            }
            (Comparison::Date(_), _) => return Err(Refusal::new(Code::Malformed, "a date was expected")),
        }
    }
    let half_open = lo.is_none_or(|e| e.inclusive) && hi.is_none_or(|e| !e.inclusive);
    let stepped = matches!(side.column.ty, ColumnType::Integer | ColumnType::Date);
    if stepped && !half_open {
        return Err(Refusal::new(Code::Malformed, "ranges of dates and integers include the lower end only"));
    }
    Ok(())
}

// Grid points of bounded columns are far below 2^52.
fn number(value: &Value) -> Result<f64, Refusal> {
    match value {
        Value::Integer(n) => Ok(*n as f64),
        Value::Float(x) => Ok(x.get()),
        Value::Text(_) | Value::Boolean(_) | Value::Date(_) => {
            Err(Refusal::new(Code::Malformed, "a number was expected"))
        }
    }
}

/// Says no to a date off the grid, naming its neighbours on it.
pub(crate) fn off_grid_date(side: Side<'_>, days: i32, grid: Grid) -> Result<(), Refusal> {
    let day = Day::from_days(days);
    if day.is_on(grid) {
        return Ok(());
    }
    let step = match grid {
        Grid::Day => "days",
        Grid::Month => "first days of months",
        Grid::Year => "first days of years",
    };
    let (before, after) = (day.floor(grid), day.next(grid));
    let (name, column) = (full_name(side), &side.column.name);
    let reason = format!("{name} is compared with {step}: a range may not begin or end at {day}");
    Err(Refusal::new(Code::Grid, reason)
        .with_rewrite(format!("use {column} >= DATE '{before}' or {column} < DATE '{after}'")))
}

/// Says no to a number off the grid, naming its neighbours on it.
pub(crate) fn off_grid_number(side: Side<'_>, value: f64, bounds: Bounds) -> Result<(), Refusal> {
    const FUZZ: f64 = 1e-9;
    // Beyond this not every integer is a double: the number would not be read back as it was written.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.abs() > EXACT {
        let reason = format!("{} is compared with {value:e}, far beyond its public bounds", full_name(side));
        return Err(Refusal::new(Code::Grid, reason)
            .with_rewrite(format!("its values lie between {} and {}", bounds.lo, bounds.hi)));
    }
    let steps = value / bounds.grid;
    if (steps - steps.round()).abs() <= FUZZ * steps.abs().max(1.0) {
        return Ok(());
    }
    // Rounded for reading: 3 x 0.1 is 0.3.
    let point = |steps: f64| (steps * bounds.grid * 1e9).round() / 1e9;
    let (before, after) = (point(steps.floor()), point(steps.ceil()));
    let (name, column, grid) = (full_name(side), &side.column.name, bounds.grid);
    let reason =
        format!("{name} is compared with multiples of {grid}: a range may not begin or end at {value}");
    Err(Refusal::new(Code::Grid, reason)
        .with_rewrite(format!("use {column} >= {before} or {column} < {after}")))
}

pub(super) fn dim(dim: &Dim, tables: &Tables<'_>, models: &Models) -> Result<(), Refusal> {
    match dim {
        Dim::Bin { of, by } => bins::bins(of, by, tables),
        Dim::Label(column) => concepts::label(tables.named(column)?, models),
        Dim::RollUp { column, to } => concepts::roll_up(tables.named(column)?, to, models),
        Dim::Recode { column, by } => concepts::recode(tables.named(column)?, by, models),
        Dim::Column(column) => {
            let side = tables.named(column)?;
            match &side.column.role {
                Role::Dimension { .. } => Ok(()),
                Role::UnitId | Role::Identifier { .. } => refuse(side, Code::IdentifierGrouped, ""),
                Role::Date { .. } => refuse(side, Code::Grid, ": its year, quarter or month may be grouped")
                    .map_err(|refusal: Refusal| {
                        refusal.with_rewrite(format!("GROUP BY EXTRACT(YEAR FROM {})", side.column.name))
                    }),
                Role::Measure { .. } => {
                    refuse(side, Code::ColumnNotAllowed, ": it is summed and averaged, not grouped")
                }
                Role::Hidden => refuse(side, Code::ColumnNotAllowed, ": it cannot be asked"),
            }
        }
        Dim::DatePart { part, column } => {
            let side = tables.named(column)?;
            match (&side.column.role, part) {
                (Role::Date { grid: Grid::Day | Grid::Month }, _)
                | (Role::Date { grid: Grid::Year }, DatePart::Year) => Ok(()),
                (Role::Date { grid: Grid::Year }, DatePart::Quarter | DatePart::Month) => {
                    refuse(side, Code::Grid, ": only its year may be grouped")
                }
                (Role::UnitId | Role::Identifier { .. }, _) => refuse(side, Code::IdentifierInExpression, ""),
                (Role::Dimension { .. } | Role::Measure { .. } | Role::Hidden, _) => {
                    refuse(side, Code::ColumnNotAllowed, ": it has no parts of a date")
                }
            }
        }
    }
}

pub(super) fn measure(of: &Aggregate, tables: &Tables<'_>) -> Result<(), Refusal> {
    match of {
        Aggregate::Patients | Aggregate::Rows => Ok(()),
        Aggregate::Distinct(column) => {
            let side = tables.named(column)?;
            match &side.column.role {
                Role::Identifier { one_patient: true } => Ok(()),
                Role::Identifier { one_patient: false } => {
                    refuse(side, Code::AggregateNotAllowed, " that patients share: it has no bound a patient")
                }
                Role::UnitId => {
                    Err(Refusal::new(Code::Malformed, "patients are counted by a measure of their own"))
                }
                Role::Dimension { .. } | Role::Measure { .. } | Role::Date { .. } | Role::Hidden => {
                    refuse(side, Code::ColumnNotAllowed, ": its values cannot be counted distinct")
                }
            }
        }
        Aggregate::Sum(number) | Aggregate::Avg(number) | Aggregate::Variance { of: number, .. } => {
            bins::number(number, tables).map(|_| ())
        }
        Aggregate::Quantile { of, share } if (0.0..=1.0).contains(&share.get()) => {
            bins::number(of, tables).map(|_| ())
        }
        Aggregate::Quantile { .. } => {
            Err(Refusal::new(Code::Malformed, "the share of a percentile lies between 0 and 1"))
        }
    }
}
