//! What the planner's errors mean to an analyst: a code, a bounded text, the nearest names.

use datafusion_common::{DataFusionError, SchemaError};

use crate::catalogue::{nearest, unknown};
use crate::refusal::{Code, Refusal};
use crate::text::shortened;

/// The refusal that a planner's error stands for.
pub(crate) fn refused(error: &DataFusionError) -> Refusal {
    match error {
        DataFusionError::External(inner) => match inner.downcast_ref::<Refusal>() {
            Some(refusal) => refusal.clone(),
            None => Refusal::new(Code::Invalid, shortened(&inner.to_string())),
        },
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => refused(inner),
        DataFusionError::Shared(inner) => refused(inner),
        DataFusionError::Collection(all) => match all.first() {
            Some(first) => refused(first),
            None => Refusal::new(Code::Invalid, "the statement cannot be planned"),
        },
        DataFusionError::SchemaError(inner, _) => schema(inner),
        DataFusionError::SQL(inner, _) => Refusal::new(Code::Syntax, shortened(&inner.to_string())),
        DataFusionError::NotImplemented(reason) => Refusal::new(Code::Unsupported, shortened(reason)),
        DataFusionError::ResourcesExhausted(reason) => Refusal::new(Code::TooComplex, shortened(reason)),
        DataFusionError::Plan(reason) if compares_days_with_interval(reason) => {
            Refusal::new(Code::Invalid, innermost(reason))
                .with_rewrite("the difference of two dates is a number of days: b - a <= 90")
        }
        DataFusionError::Plan(reason)
        | DataFusionError::Internal(reason)
        | DataFusionError::Configuration(reason)
        | DataFusionError::Execution(reason)
        | DataFusionError::Substrait(reason)
        | DataFusionError::Ffi(reason) => Refusal::new(Code::Invalid, innermost(reason)),
        other => Refusal::new(Code::Invalid, innermost(&other.strip_backtrace())),
    }
}

fn compares_days_with_interval(reason: &str) -> bool {
    reason.contains("comparison") && reason.contains("Int64") && reason.contains("Interval")
}

/// The planner wraps its reasons in each other: the last one says what is wrong.
fn innermost(reason: &str) -> String {
    let last = reason.rsplit("Error during planning: ").next().unwrap_or(reason);
    let says = last.split(". This issue was likely caused").next().unwrap_or(last);
    let says = says.split(" No function matches").next().unwrap_or(says);
    shortened(says.trim_start_matches("Internal error: ").trim_end_matches('.'))
}

fn schema(error: &SchemaError) -> Refusal {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let names = valid_fields.iter().map(|f| f.name().to_owned());
            unknown("column", &field.flat_name(), &nearest(field.name(), names, ToOwned::to_owned))
        }
        SchemaError::AmbiguousReference { field } => {
            Refusal::new(Code::Invalid, format!("{} is ambiguous", shortened(field.name())))
                .with_rewrite("name the table before the column: t.column")
        }
        SchemaError::DuplicateQualifiedField { name, .. }
        | SchemaError::DuplicateUnqualifiedField { name } => {
            Refusal::new(Code::Invalid, format!("{} is there twice", shortened(name)))
                .with_rewrite("give one of them another name with AS")
        }
    }
}
