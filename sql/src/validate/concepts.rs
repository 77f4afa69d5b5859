//! Concepts in questions: the column must hold concepts, and both sides must mean the same by them.

use caim_ontology::{ColumnType, Models, Role};

use super::roles::{check_text, refuse};
use super::{MAX_CODES, MAX_TARGETS, Side, full_name, too_many};
use crate::concepts::Vocabulary;
use crate::private_query::{ConceptRef, Recode, Value};
use crate::refusal::{Code, Refusal};

/// The vocabulary of a column that may be compared and grouped by concepts.
fn vocabulary(side: Side<'_>, models: &Models) -> Result<Vocabulary, Refusal> {
    match &side.column.role {
        Role::Dimension { .. } if side.column.ty == ColumnType::Text => {
            Vocabulary::of(side.column, &full_name(side), models)
        }
        Role::Dimension { .. }
        | Role::UnitId
        | Role::Identifier { .. }
        | Role::Measure { .. }
        | Role::Date { .. }
        | Role::Hidden => refuse(side, Code::NotCoded, ": it holds no concepts"),
    }
}

pub(super) fn is_a(side: Side<'_>, concept: &ConceptRef, models: &Models) -> Result<(), Refusal> {
    vocabulary(side, models)?.known(concept).map(|_| ())
}

pub(super) fn label(side: Side<'_>, models: &Models) -> Result<(), Refusal> {
    vocabulary(side, models).map(|_| ())
}

pub(super) fn roll_up(side: Side<'_>, to: &[ConceptRef], models: &Models) -> Result<(), Refusal> {
    let vocabulary = vocabulary(side, models)?;
    if to.is_empty() {
        return Err(Refusal::new(Code::Malformed, "a roll-up to no concept"));
    }
    if to.len() > MAX_TARGETS {
        return Err(too_many("concepts to roll up to", to.len(), MAX_TARGETS));
    }
    to.iter().try_for_each(|concept| vocabulary.known(concept).map(|_| ()))
}

pub(super) fn recode(side: Side<'_>, by: &Recode, models: &Models) -> Result<(), Refusal> {
    match &by.vocabulary {
        Some(asked) => same_vocabulary(side, asked, models)?,
        None => texts_without_concepts(side, by)?,
    }
    let codes: usize = by.values.iter().map(|(_, codes)| codes.len()).sum();
    if codes > MAX_CODES {
        return Err(too_many("codes in one dimension", codes, MAX_CODES));
    }
    let mut values = by.all_values().flatten();
    let Some(first) = values.next() else {
        return Err(Refusal::new(Code::Malformed, "a dimension of no values"));
    };
    check_label(side, first)?;
    values.try_for_each(|value| {
        if std::mem::discriminant(value) != std::mem::discriminant(first) {
            return Err(Refusal::new(Code::Malformed, "a dimension of values of several types"));
        }
        check_label(side, value)
    })?;
    by.values.iter().flat_map(|(_, codes)| codes).try_for_each(|code| check_text(code))
}

fn same_vocabulary(side: Side<'_>, asked: &str, models: &Models) -> Result<(), Refusal> {
    let vocabulary = vocabulary(side, models)?;
    if asked == vocabulary.fingerprint() {
        return Ok(());
    }
    let version = vocabulary.ontology().version();
    let reason = format!("ontology {version} has other concepts for {} than the asker's", full_name(side));
    Err(Refusal::new(Code::OntologyVersion, reason))
}

/// What nobody published is NULL: a node cannot tell it from what the asker does not know of.
fn texts_without_concepts(side: Side<'_>, by: &Recode) -> Result<(), Refusal> {
    let dimension = matches!(side.column.role, Role::Dimension { .. }) && side.column.ty == ColumnType::Text;
    if !dimension {
        return refuse(side, Code::ExpressionNotAllowed, ": it is no text that groups are formed by");
    }
    if !side.column.roots.is_empty() || by.rest.is_some() {
        return Err(Refusal::new(
            Code::Malformed,
            format!("{} is recoded as what it is not", full_name(side)),
        ));
    }
    Ok(())
}

fn check_label(side: Side<'_>, value: &Value) -> Result<(), Refusal> {
    match value {
        Value::Text(text) => check_text(text),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => Ok(()),
        Value::Date(_) => {
            Err(Refusal::new(Code::Malformed, format!("{} is recoded to dates", full_name(side))))
        }
    }
}
