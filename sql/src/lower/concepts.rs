//! `is_a`, `label` and `roll_up` over columns of concepts.

use caim_ontology::ConceptId;
use datafusion_common::ScalarValue;
use datafusion_expr::Expr;
use datafusion_expr::expr::ScalarFunction;

use super::compare::column_of;
use super::condition::Reader;
use super::constant::constant;
use super::refuse::not_a_group;
use crate::catalogue::{LABEL, ROLL_UP, ROLL_UP_TO};
use crate::concepts::Vocabulary;
use crate::private_query::{Atom, ColumnRef, ConceptRef, Dim};
use crate::refusal::{Code, Refusal};
use crate::validate::{MAX_TARGETS, Side, full_name};

/// The vocabulary of a column.
pub(super) fn vocabulary(reader: &Reader<'_>, side: Side<'_>) -> Result<Vocabulary, Refusal> {
    Vocabulary::of(side.column, &full_name(side), reader.models)
}

/// The vocabulary whose terms a column is compared with; `None` for a column without concepts.
pub(super) fn terms(reader: &Reader<'_>, side: Side<'_>) -> Result<Option<Vocabulary>, Refusal> {
    if side.column.roots.is_empty() { Ok(None) } else { vocabulary(reader, side).map(Some) }
}

/// `is_a(column, code)`.
pub(super) fn is_a(reader: &Reader<'_>, call: &ScalarFunction) -> Result<Atom, Refusal> {
    let (column, vocabulary) = coded(reader, call)?;
    let [_, code] = call.args.as_slice() else { return Err(written(call)) };
    let concept = vocabulary.resolve(&text(code).ok_or_else(|| written(call))?)?;
    Ok(Atom::IsA { column, concept: vocabulary.reference(concept) })
}

/// The dimension that a call of a function of concepts is; `None` for other expressions.
pub(super) fn dim(reader: &Reader<'_>, expr: &Expr) -> Result<Option<Dim>, Refusal> {
    let call = match expr {
        Expr::Alias(alias) => return dim(reader, &alias.expr),
        Expr::ScalarFunction(call) => call,
        _ => return Ok(None),
    };
    let to = match call.func.name() {
        LABEL => {
            let [argument] = call.args.as_slice() else { return Err(written(call)) };
            // A label of something else than a column is an expression over a vocabulary.
            if column_of(reader, argument).is_none() {
                return Ok(None);
            }
            return Ok(Some(Dim::Label(coded(reader, call)?.0)));
        }
        ROLL_UP => rolled_up,
        ROLL_UP_TO => named,
        _ => return Ok(None),
    };
    let (column, vocabulary) = coded(reader, call)?;
    let to: Vec<ConceptRef> =
        to(&vocabulary, call)?.into_iter().map(|concept| vocabulary.reference(concept)).collect();
    if to.len() > MAX_TARGETS {
        let reason =
            format!("{} rolls up to {} concepts; {MAX_TARGETS} are answered", call.func.name(), to.len());
        return Err(Refusal::new(Code::TooComplex, reason).with_rewrite(
            "take a smaller level, or roll_up(column, 'code') to the concepts right beneath one",
        ));
    }
    Ok(Some(Dim::RollUp { column, to }))
}

/// The column of concepts that a function is called with.
fn coded(reader: &Reader<'_>, call: &ScalarFunction) -> Result<(ColumnRef, Vocabulary), Refusal> {
    let Some(first) = call.args.first() else { return Err(written(call)) };
    let column = column_of(reader, first).ok_or_else(|| not_a_group(reader, first))?;
    let vocabulary = vocabulary(reader, reader.side(&column)?)?;
    Ok((column, vocabulary))
}

/// The concepts of `roll_up(column, code)` and `roll_up(column, level)`.
fn rolled_up(vocabulary: &Vocabulary, call: &ScalarFunction) -> Result<Vec<ConceptId>, Refusal> {
    let [_, of] = call.args.as_slice() else { return Err(written(call)) };
    match constant(of) {
        Some(ScalarValue::Int64(Some(level))) => match usize::try_from(level) {
            Ok(level) => Ok(vocabulary.at_level(level)),
            Err(_) => {
                Err(Refusal::new(Code::Invalid, format!("roll_up to level {level}: levels begin at 0")))
            }
        },
        _ => {
            let concept = vocabulary.resolve(&text(of).ok_or_else(|| written(call))?)?;
            Ok(vocabulary.beneath(concept))
        }
    }
}

/// The concepts of `roll_up_to(column, code, ...)`.
fn named(vocabulary: &Vocabulary, call: &ScalarFunction) -> Result<Vec<ConceptId>, Refusal> {
    let codes = call.args.iter().skip(1);
    let mut found: Vec<ConceptId> = Vec::new();
    for code in codes {
        let concept = vocabulary.resolve(&text(code).ok_or_else(|| written(call))?)?;
        if !found.contains(&concept) {
            found.push(concept);
        }
    }
    if found.is_empty() { Err(written(call)) } else { Ok(found) }
}

fn text(expr: &Expr) -> Option<String> {
    constant(expr)?.try_as_str().flatten().map(ToOwned::to_owned)
}

fn written(call: &ScalarFunction) -> Refusal {
    let name = call.func.name();
    Refusal::new(
        Code::Invalid,
        format!("{name}() takes a column of concepts, and codes that are written out"),
    )
    .with_rewrite(
        "is_a(cancer_condition_code, 'SNOMEDCT:399068003'), label(series_modality), \
                       roll_up(cancer_condition_code, 1)",
    )
}
