//! Numbers that are summed or put into bins, days between dates, and the bins themselves.

use caim_ontology::{Bounds, ColumnType, Grid, Role};

use super::roles::{check_value, full_name, off_grid_number, refuse};
use super::tree::{Side, Tables};
use super::{MAX_BINS, MAX_TEXT_BYTES, too_many};
use crate::bounds::{MAX_DAYS, real};
use crate::private_query::{Bins, Endpoint, Labels, Number, Value};
use crate::refusal::{Code, Refusal};

/// A number that a question may use: its type and its public bounds.
pub(super) struct Usable<'a> {
    ty: ColumnType,
    bounds: Bounds,
    /// The column, unless days are counted.
    side: Option<Side<'a>>,
    name: String,
}

/// `dicom.series.PatientAge`, or `the days from dicom.study.StudyDate to omop.death.death_date`.
pub(crate) fn number_name(number: &Number, tables: &Tables<'_>) -> Result<String, Refusal> {
    Ok(match number {
        Number::Column(column) => full_name(tables.side(column)?),
        Number::Days(days) => {
            let (from, to) = (tables.side(&days.from)?, tables.side(&days.to)?);
            format!("the days from {} to {}", full_name(from), full_name(to))
        }
    })
}

pub(super) fn number<'a>(number: &Number, tables: &Tables<'a>) -> Result<Usable<'a>, Refusal> {
    let name = number_name(number, tables)?;
    match number {
        Number::Column(column) => {
            let side = tables.named(column)?;
            match &side.column.role {
                Role::Measure { bounds } | Role::Dimension { bounds: Some(bounds), .. } => {
                    Ok(Usable { ty: side.column.ty, bounds: *bounds, side: Some(side), name })
                }
                Role::UnitId | Role::Identifier { .. } => refuse(side, Code::IdentifierInExpression, ""),
                Role::Dimension { bounds: None, .. } | Role::Date { .. } | Role::Hidden => {
                    refuse(side, Code::ColumnNotAllowed, " without public bounds: it cannot be summed")
                }
            }
        }
        Number::Days(both) => {
            days(tables.named(&both.from)?, tables.named(&both.to)?)?;
            let most = MAX_DAYS as f64;
            Ok(Usable {
                ty: ColumnType::Integer,
                bounds: Bounds { lo: -most, hi: most, grid: 1.0 },
                side: None,
                name,
            })
        }
    }
}

/// Days are counted between dates, but not from one that the model shows by the year alone.
pub(super) fn days(from: Side<'_>, to: Side<'_>) -> Result<(), Refusal> {
    for side in [from, to] {
        match &side.column.role {
            Role::Date { grid: Grid::Day | Grid::Month } => {}
            Role::Date { grid: Grid::Year } => {
                return refuse(side, Code::Grid, " whose grid is the year: no days are counted from it")
                    .map_err(|refusal: Refusal| {
                        refusal.with_rewrite("compare it with first days of years, or group by its year")
                    });
            }
            Role::UnitId | Role::Identifier { .. } => return refuse(side, Code::IdentifierInExpression, ""),
            Role::Dimension { .. } | Role::Measure { .. } | Role::Hidden => {
                return refuse(side, Code::ColumnNotAllowed, ": no days are counted from it");
            }
        }
    }
    Ok(())
}

/// A range of days has an end, and all ends lie on the public day grid; turning the two dates round keeps it.
pub(super) fn date_diff(lo: Option<i64>, hi: Option<i64>, both_outside: bool) -> Result<(), Refusal> {
    if both_outside {
        return Err(Refusal::new(Code::Malformed, "both dates of a difference belong to the row outside"));
    }
    if lo.is_none() && hi.is_none() {
        return Err(Refusal::new(Code::Malformed, "a range of days without ends"));
    }
    match lo.into_iter().chain(hi).find(|end| !(-MAX_DAYS..=MAX_DAYS + 1).contains(end)) {
        Some(end) => Err(too_far(end)),
        None => Ok(()),
    }
}

/// The refusal of a difference beyond a hundred years.
pub(crate) fn too_far(days: i64) -> Refusal {
    Refusal::new(Code::Grid, format!("a difference of dates is compared with {days} days"))
        .with_rewrite(format!("differences of dates lie between -{MAX_DAYS} and {MAX_DAYS} days"))
}

pub(super) fn bins(of: &Number, by: &Bins, tables: &Tables<'_>) -> Result<(), Refusal> {
    let number = number(of, tables)?;
    match by {
        Bins::Width(width) => check_width(&number, width),
        Bins::Labels(labels) => {
            check_edges(&number, labels)?;
            check_labels(labels)
        }
    }
}

fn check_width(number: &Usable<'_>, width: &Value) -> Result<(), Refusal> {
    let Usable { bounds, name, .. } = number;
    check_type(number, width)?;
    let wide = real(width).unwrap_or_default();
    let most = bounds.hi - bounds.lo;
    if !(wide > 0.0 && wide <= most.max(bounds.grid)) {
        return Err(Refusal::new(Code::Grid, format!("{name} is put into bins of width {wide}"))
            .with_rewrite(format!("use a width from {} to {most}", bounds.grid)));
    }
    match number.side {
        Some(side) => off_grid_number(side, wide, *bounds).map_err(|_| {
            let fitting = ((wide / bounds.grid).ceil() * bounds.grid * 1e9).round() / 1e9;
            let reason = format!("{name} is put into bins of width {wide}, off its grid of {}", bounds.grid);
            Refusal::new(Code::Grid, reason).with_rewrite(format!("use a width of {fitting}"))
        }),
        None => Ok(()),
    }
}

fn check_type(number: &Usable<'_>, value: &Value) -> Result<(), Refusal> {
    match (number.side, value) {
        (Some(side), value) => check_value(side, value),
        (None, Value::Integer(_)) => Ok(()),
        (None, Value::Text(_) | Value::Float(_) | Value::Boolean(_) | Value::Date(_)) => {
            Err(Refusal::new(Code::Malformed, "days are counted by whole numbers"))
        }
    }
}

fn check_edges(number: &Usable<'_>, labels: &Labels) -> Result<(), Refusal> {
    let malformed = |reason: &str| Err(Refusal::new(Code::Malformed, reason));
    if labels.labels.len() > MAX_BINS {
        return Err(too_many("bins in one dimension", labels.labels.len(), MAX_BINS));
    }
    if labels.edges.is_empty() || labels.labels.len() != labels.edges.len() + 1 {
        return malformed("bins have one label more than edges");
    }
    let place = |edge: &Endpoint| (edge.value.clone(), !edge.inclusive);
    if !labels.edges.is_sorted_by(|a, b| place(a) < place(b)) {
        return malformed("edges of bins ascend");
    }
    for edge in &labels.edges {
        check_type(number, &edge.value)?;
        if number.ty == ColumnType::Integer && !edge.inclusive {
            return malformed("bins of whole numbers begin at their edges");
        }
        let at = real(&edge.value).unwrap_or_default();
        if let Some(side) = number.side {
            off_grid_number(side, at, number.bounds)?;
        }
        if !is_inside(at, edge.inclusive, number) {
            let Bounds { lo, hi, .. } = number.bounds;
            let reason = format!("bins of {} begin at {at}, beyond its public bounds", number.name);
            return Err(Refusal::new(Code::Grid, reason)
                .with_rewrite(format!("its values lie between {lo} and {hi}")));
        }
    }
    Ok(())
}

/// Whether an edge parts the values between the bounds in two. Days have one more, which turning the dates round needs.
fn is_inside(at: f64, inclusive: bool, number: &Usable<'_>) -> bool {
    let Bounds { lo, hi, .. } = number.bounds;
    match (number.side, inclusive) {
        (None, _) => at >= lo && at <= hi + 1.0,
        (Some(_), true) => at > lo && at <= hi,
        (Some(_), false) => at >= lo && at < hi,
    }
}

/// Labels are of one type, at least one is there, and neighbours differ.
fn check_labels(labels: &Labels) -> Result<(), Refusal> {
    let malformed = |reason: &str| Err(Refusal::new(Code::Malformed, reason));
    let Some(example) = labels.example() else { return malformed("bins without labels") };
    for label in labels.labels.iter().chain([&labels.null]).flatten() {
        if std::mem::discriminant(label) != std::mem::discriminant(example) {
            return malformed("labels of bins have one type");
        }
        match label {
            Value::Text(text) if text.len() > MAX_TEXT_BYTES => {
                return Err(too_many("bytes in one value", text.len(), MAX_TEXT_BYTES));
            }
            Value::Text(_) | Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => {}
            Value::Date(_) => return malformed("a date is no label of a bin"),
        }
    }
    if labels.labels.windows(2).any(|pair| pair.first() == pair.last()) {
        return malformed("neighbouring bins have different labels");
    }
    Ok(())
}
