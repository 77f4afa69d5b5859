//! Expressions over a vocabulary: computed once for every text that a column is publicly known to hold, never over data.
//!
//! Those are the codes of a column of concepts, and of another text the values of its standard and those that nodes have
//! published. A condition becomes the set of texts for which it holds, a group a table of values. So no expression can
//! fail, or take its time, on a patient's value. An expression that fails on a text is NULL there, and so is every text
//! that is not publicly known.

mod evaluate;

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion_common::arrow::array::{ArrayRef, StringArray};
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{DataFusionError, ScalarValue};
use datafusion_expr::Expr;
use datafusion_expr::expr::ScalarFunction;

use super::concepts;
use super::condition::{Reader, Sense};
use super::constant::{is_harmless, value_of};
use super::scope::{Operand, operand};
use crate::catalogue::{IS_A, ROLL_UP, ROLL_UP_TO, of_vocabularies};
use crate::concepts::Vocabulary;
use crate::plan::refused;
use crate::private_query::{Atom, BoolTree, ColumnRef, Dim, Recode, Value};
use crate::refusal::{Code, Refusal};
use crate::validate::{MAX_CODES, MAX_TEXT_BYTES, full_name};

/// An expression over one column of texts.
struct OverTexts<'a> {
    column: ColumnRef,
    name: String,
    texts: Texts<'a>,
    expr: Expr,
}

/// What a column is publicly known to hold.
enum Texts<'a> {
    /// The codes of its concepts, and nothing else.
    Codes(Vocabulary),
    /// Values that are known, beside which there may be others.
    Known(&'a [String]),
}

/// The texts for which a condition holds (or fails); `None` when it is not one over a vocabulary.
pub(super) fn condition(reader: &Reader<'_>, expr: &Expr, sense: Sense) -> Result<Option<BoolTree>, Refusal> {
    let Some(over) = OverTexts::of(reader, expr)? else { return Ok(None) };
    let wanted = ScalarValue::Boolean(Some(sense == Sense::Holds));
    let (mut texts, mut unknown) = (Vec::new(), false);
    for (text, value) in over.values()? {
        if !matches!(value, ScalarValue::Boolean(_) | ScalarValue::Null) {
            return Ok(None);
        }
        match text {
            Some(text) if value == wanted => texts.push(Value::Text(text)),
            None if value == wanted => unknown = true,
            Some(_) | None => {}
        }
    }
    let mut holds = Vec::new();
    if !texts.is_empty() {
        holds.push(BoolTree::Is(Atom::In { column: over.column.clone(), values: texts }));
    }
    if unknown {
        holds.push(BoolTree::Is(Atom::IsNull { column: over.column }));
    }
    Ok(Some(BoolTree::Or(holds)))
}

/// The table of values that a group is; `None` when it is no expression over a vocabulary.
pub(super) fn recode(reader: &Reader<'_>, expr: &Expr) -> Result<Option<Dim>, Refusal> {
    let Some(over) = OverTexts::of(reader, expr)? else { return Ok(None) };
    let mut values: BTreeMap<Option<Value>, Vec<String>> = BTreeMap::new();
    let mut null = None;
    for (text, value) in over.values()? {
        let value = over.label(&value)?;
        match text {
            Some(text) => values.entry(value).or_default().push(text),
            None => null = value,
        }
    }
    let (vocabulary, rest) = match &over.texts {
        Texts::Codes(vocabulary) => (Some(vocabulary.fingerprint()), most_frequent(&values)),
        Texts::Known(_) => (None, None),
    };
    values.remove(&rest);
    if values.is_empty() && null == rest {
        let reason = format!("an expression over {} has one value for all texts", over.name);
        return Err(Refusal::new(Code::ExpressionNotAllowed, reason).with_rewrite("leave the group out"));
    }
    let values = values.into_iter().map(|(value, mut texts)| {
        texts.sort();
        (value, texts)
    });
    let by = Recode { vocabulary, values: values.collect(), rest, null };
    Ok(Some(Dim::Recode { column: over.column, by }))
}

/// The value that most texts get, which then needs no list; of several such values the first.
fn most_frequent(values: &BTreeMap<Option<Value>, Vec<String>>) -> Option<Value> {
    let most = values.iter().max_by_key(|(value, texts)| (texts.len(), std::cmp::Reverse((*value).clone())));
    most.and_then(|(value, _)| value.clone())
}

impl<'a> OverTexts<'a> {
    /// The expression, if it is one: of one column whose texts are known, values, and functions that may be computed.
    fn of(reader: &'a Reader<'_>, expr: &Expr) -> Result<Option<Self>, Refusal> {
        let Some(column) = only_column(expr) else { return Ok(None) };
        let side = reader.side(&column)?;
        let name = full_name(side);
        if side.column.roots.is_empty() {
            let texts = Texts::Known(&side.column.values);
            let known = !side.column.values.is_empty();
            return Ok(known.then(|| Self { column, name, texts, expr: expr.clone() }));
        }
        let vocabulary = concepts::vocabulary(reader, side)?;
        let expr = with_terms_resolved(expr, &vocabulary)?;
        Ok(Some(Self { column, name, texts: Texts::Codes(vocabulary), expr }))
    }

    /// What the expression is for every text of the vocabulary, and at last for none.
    fn values(&self) -> Result<Vec<(Option<String>, ScalarValue)>, Refusal> {
        let all: Vec<String> = match &self.texts {
            Texts::Codes(vocabulary) => {
                let ontology = vocabulary.ontology();
                vocabulary.concepts().into_iter().map(|id| ontology.curie(id)).collect()
            }
            Texts::Known(texts) => texts.to_vec(),
        };
        if all.len() > MAX_CODES {
            let reason =
                format!("{} has {} texts; expressions are computed over {MAX_CODES}", self.name, all.len());
            return Err(Refusal::new(Code::TooComplex, reason)
                .with_rewrite("use is_a, label or roll_up on a column of concepts"));
        }
        let texts: Vec<Option<String>> = all.into_iter().map(Some).chain([None]).collect();
        let array: ArrayRef = Arc::new(texts.iter().map(Option::as_deref).collect::<StringArray>());
        let values = evaluate::evaluate(&self.expr, &array).map_err(|e| refused(&e))?;
        let value = |(row, text)| Ok((text, ScalarValue::try_from_array(&values, row)?));
        let values: Result<Vec<_>, DataFusionError> = texts.into_iter().enumerate().map(value).collect();
        values.map_err(|e| refused(&e))
    }

    /// A value as cells can have it.
    fn label(&self, value: &ScalarValue) -> Result<Option<Value>, Refusal> {
        let label = value_of(value).ok_or_else(|| {
            let reason = format!("an expression over {} is neither text, number nor truth", self.name);
            Refusal::new(Code::ExpressionNotAllowed, reason)
        })?;
        match &label {
            Some(Value::Text(text)) if text.len() > MAX_TEXT_BYTES => {
                let reason = format!(
                    "an expression over {} has values of more than {MAX_TEXT_BYTES} bytes",
                    self.name
                );
                Err(Refusal::new(Code::TooComplex, reason))
            }
            _ => Ok(label),
        }
    }
}

/// The one column of an expression that is otherwise computable.
fn only_column(expr: &Expr) -> Option<ColumnRef> {
    let (mut column, mut computable) = (None, true);
    let walk = expr.apply(|node| {
        match operand(node) {
            Some(Operand::Own(found)) => computable &= *column.get_or_insert_with(|| found.clone()) == found,
            Some(Operand::Outer(_)) => computable = false,
            None => computable &= may_be_computed(node),
        }
        Ok(if computable { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    column.filter(|_| walk.is_ok() && computable)
}

/// What may be computed without columns, and functions of text; nothing that makes large values of small ones.
fn may_be_computed(node: &Expr) -> bool {
    match node {
        Expr::Literal(value, _) => {
            value.try_as_str().flatten().is_none_or(|text| text.len() <= MAX_TEXT_BYTES)
        }
        Expr::Like(_) => true,
        Expr::ScalarFunction(call) => of_vocabularies(&call.func) && !grows(call),
        other => is_harmless(other),
    }
}

/// Whether each call may make a text many times as long: nested calls would make one of any length.
fn grows(call: &ScalarFunction) -> bool {
    let length = |position: usize| match call.args.get(position) {
        Some(Expr::Literal(value, _)) => value.try_as_str().flatten().map(str::len),
        Some(_) | None => None,
    };
    call.func.name() == "replace"
        && !matches!((length(1), length(2)), (Some(old), Some(new)) if old > 0 && new <= old)
}

/// The same expression with the terms of `is_a(column, term)` and its kin, and those that the column itself is compared
/// with, in the spelling of the vocabulary.
fn with_terms_resolved(expr: &Expr, vocabulary: &Vocabulary) -> Result<Expr, Refusal> {
    let resolved = |term: Expr| match &term {
        Expr::Literal(value, _) => match value.try_as_str().flatten() {
            Some(text) => Ok(Expr::Literal(ScalarValue::Utf8(Some(vocabulary.code(text)?)), None)),
            None => Ok(term),
        },
        _ => Ok::<_, Refusal>(term),
    };
    let rewritten = |node: Expr| match node {
        Expr::ScalarFunction(ScalarFunction { func, args })
            if [IS_A, ROLL_UP, ROLL_UP_TO].contains(&func.name())
                && args.first().is_some_and(|first| operand(first).is_some()) =>
        {
            let (first, terms) = args.split_at(1);
            let terms = terms.iter().cloned().map(resolved).collect::<Result<Vec<_>, _>>()?;
            let args = first.iter().cloned().chain(terms).collect();
            Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args })))
        }
        Expr::BinaryExpr(mut binary) if is_equality(binary.op) => {
            match (operand(&binary.left).is_some(), operand(&binary.right).is_some()) {
                (true, false) => *binary.right = resolved(*binary.right)?,
                (false, true) => *binary.left = resolved(*binary.left)?,
                (true, true) | (false, false) => {}
            }
            Ok(Transformed::yes(Expr::BinaryExpr(binary)))
        }
        Expr::InList(mut list) if operand(&list.expr).is_some() => {
            list.list = list.list.into_iter().map(resolved).collect::<Result<_, _>>()?;
            Ok(Transformed::yes(Expr::InList(list)))
        }
        Expr::Case(mut case) if case.expr.as_ref().is_some_and(|of| operand(of).is_some()) => {
            for (when, _) in &mut case.when_then_expr {
                **when = resolved(when.as_ref().clone())?;
            }
            Ok(Transformed::yes(Expr::Case(case)))
        }
        other => Ok::<_, Refusal>(Transformed::no(other)),
    };
    let resolved = expr
        .clone()
        .transform_up(|node| rewritten(node).map_err(|refusal| DataFusionError::External(Box::new(refusal))));
    resolved.map(|t| t.data).map_err(|e| refused(&e))
}

/// Equality of whole codes; a code has no order.
fn is_equality(op: datafusion_expr::Operator) -> bool {
    use datafusion_expr::Operator;
    matches!(op, Operator::Eq | Operator::NotEq | Operator::IsDistinctFrom | Operator::IsNotDistinctFrom)
}
