//! What cells are formed by and what is summed, as expressions over a joined row. None can fail on a value: NaN and
//! infinities read as NULL, and numbers are clamped before they are cast.

use caim_ontology::ColumnType;
use caim_sql::PrivateQuery;
use caim_sql::bounds::{self, Span};
use caim_sql::private_query::{Bins, ColumnRef, DatePart, Days, Dim, Labels, Number, Value};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::functions::expr_fn::{date_part, floor};
use datafusion::logical_expr::{Expr, cast, lit, try_cast, when};

use super::plan::{Scope, literal};
use super::{ExecuteError, Execution, concepts};

/// A number, as it is stored or counted.
pub(super) fn value(number: &Number, scope: &Scope<'_>) -> Result<Expr, ExecuteError> {
    let column = |column| Ok::<_, ExecuteError>(Expr::Column(scope.column(column)?));
    match number {
        Number::Column(of) => column(of),
        Number::Days(Days { from, to }) => Ok(column(to)? - column(from)?),
    }
}

/// A number or date of a row; NULL where it is not finite.
pub(super) fn known(column: &ColumnRef, scope: &Scope<'_>) -> Result<Expr, ExecuteError> {
    let value = Expr::Column(scope.column(column)?);
    if scope.column_type(column)? != ColumnType::Float {
        return Ok(value);
    }
    Ok(when(value.clone().between(lit(f64::MIN), lit(f64::MAX)), value).end()?)
}

/// Whether a number can count: not NULL, and for floats not NaN and not infinite.
pub(super) fn present(number: &Number, scope: &Scope<'_>) -> Result<Expr, ExecuteError> {
    let value = value(number, scope)?;
    Ok(if is_float(number, scope)? {
        value.between(lit(f64::MIN), lit(f64::MAX))
    } else {
        value.is_not_null()
    })
}

fn is_float(number: &Number, scope: &Scope<'_>) -> Result<bool, ExecuteError> {
    match number {
        Number::Column(column) => Ok(scope.column_type(column)? == ColumnType::Float),
        Number::Days(_) => Ok(false),
    }
}

/// A column, or a part of a date.
pub(super) fn key(dim: &Dim, scope: &Scope<'_>) -> Result<Expr, ExecuteError> {
    match dim {
        Dim::Column(column) => Ok(Expr::Column(scope.column(column)?)),
        Dim::DatePart { part, column } => {
            let part = match part {
                DatePart::Year => "year",
                DatePart::Quarter => "quarter",
                DatePart::Month => "month",
            };
            Ok(cast(date_part(lit(part), Expr::Column(scope.column(column)?)), DataType::Int64))
        }
        Dim::Bin { .. } | Dim::Label(_) | Dim::RollUp { .. } | Dim::Recode { .. } => {
            Err(ExecuteError::Model("a key that is neither column nor part of a date".into()))
        }
    }
}

impl Execution<'_> {
    /// The dims of a question, `d0`, `d1` and so on.
    pub(super) fn dims(&self, query: &PrivateQuery, scope: &Scope<'_>) -> Result<Vec<Expr>, ExecuteError> {
        let named = |(i, dim)| Ok(self.dim(query, dim, scope)?.alias(format!("d{i}")));
        query.dims.iter().enumerate().map(named).collect()
    }

    fn dim(&self, query: &PrivateQuery, dim: &Dim, scope: &Scope<'_>) -> Result<Expr, ExecuteError> {
        match dim {
            Dim::Column(_) | Dim::DatePart { .. } => key(dim, scope),
            Dim::Bin { of, by: Bins::Width(width) } => {
                let span = bounds::bins(of, width, query, self.models)
                    .map_err(|refusal| ExecuteError::Model(refusal.reason))?;
                width_bin(of, width, span, scope)
            }
            Dim::Bin { of, by: Bins::Labels(labels) } => labelled(of, labels, scope),
            Dim::Label(column) => concepts::label(column, scope, self.models),
            Dim::RollUp { column, to } => concepts::rolled_up(column, to, scope, self.models),
            Dim::Recode { column, by } => concepts::recoded(column, by, scope),
        }
    }
}

/// Where the bin of a number begins; those beyond the span count in its first and last bin.
fn width_bin(
    of: &Number,
    width: &Value,
    Span { first, last }: Span,
    scope: &Scope<'_>,
) -> Result<Expr, ExecuteError> {
    let finite = when(present(of, scope)?, cast(value(of, scope)?, DataType::Float64)).end()?;
    let (wide, ty) = match width {
        Value::Integer(n) => (*n as f64, DataType::Int64),
        Value::Float(x) => (x.get(), DataType::Float64),
        Value::Text(_) | Value::Boolean(_) | Value::Date(_) => {
            return Err(ExecuteError::Model("bins without a width".into()));
        }
    };
    let index = floor(finite / lit(wide));
    let clamped = when(index.clone().lt(lit(first as f64)), lit(first))
        .when(index.clone().gt(lit(last as f64)), lit(last))
        .otherwise(try_cast(index, DataType::Int64))?;
    Ok(cast(clamped, ty) * literal(width))
}

fn labelled(of: &Number, labels: &Labels, scope: &Scope<'_>) -> Result<Expr, ExecuteError> {
    let number = value(of, scope)?;
    let null = labels.example().map_or(ScalarValue::Null, |example| match example {
        Value::Text(_) => ScalarValue::Utf8(None),
        Value::Integer(_) => ScalarValue::Int64(None),
        Value::Float(_) => ScalarValue::Float64(None),
        Value::Boolean(_) => ScalarValue::Boolean(None),
        Value::Date(_) => ScalarValue::Date32(None),
    });
    let name = |label: Option<&Value>| label.map_or_else(|| lit(null.clone()), literal);
    let mut case = when(present(of, scope)?.is_not_true(), name(labels.null.as_ref()));
    for (edge, label) in labels.edges.iter().zip(&labels.labels) {
        let at = literal(&edge.value);
        let below = if edge.inclusive { number.clone().lt(at) } else { number.clone().lt_eq(at) };
        case = case.when(below, name(label.as_ref()));
    }
    Ok(case.otherwise(name(labels.labels.last().and_then(Option::as_ref)))?)
}
