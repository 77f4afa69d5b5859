//! The functions of concepts: `is_a`, `label`, `roll_up`, `roll_up_to`.
//!
//! Over columns of patients they are lowered to the closed form. Over released codes, at the hub, they run as any
//! function does; they tell nothing of data.

use std::sync::Arc;

use caim_ontology::{ConceptId, Ontology};
use datafusion_common::arrow::array::{ArrayRef, AsArray, BooleanArray, StringArray};
use datafusion_common::arrow::datatypes::DataType;
use datafusion_common::{DataFusionError, Result, ScalarValue};
use datafusion_expr::expr_fn::SimpleScalarUDF;
use datafusion_expr::{ColumnarValue, ScalarUDF, Signature, TypeSignature, Volatility};

/// Whether a code is a concept or lies beneath it: `is_a(column, code)`.
pub(crate) const IS_A: &str = "is_a";
/// What people call a concept: `label(column)`.
pub(crate) const LABEL: &str = "label";
/// The more general concept of a code: `roll_up(column, code)` or `roll_up(column, level)`.
pub(crate) const ROLL_UP: &str = "roll_up";
/// The first of some concepts that a code lies beneath: `roll_up_to(column, code, ...)`.
pub(crate) const ROLL_UP_TO: &str = "roll_up_to";

/// Most concepts that `roll_up_to` may name.
const MAX_TARGETS: usize = 1_000;

/// The functions over an ontology.
pub(super) fn functions(ontology: &Arc<Ontology>) -> Vec<ScalarUDF> {
    let text = || DataType::Utf8;
    let exact = |types: Vec<DataType>| TypeSignature::Exact(types);
    let roll_up = vec![exact(vec![text(), text()]), exact(vec![text(), DataType::Int64])];
    vec![
        function(ontology, IS_A, exact(vec![text(), text()]), DataType::Boolean, is_a),
        function(ontology, LABEL, exact(vec![text()]), text(), label),
        function(ontology, ROLL_UP, TypeSignature::OneOf(roll_up), text(), roll_up_to_children),
        function(ontology, ROLL_UP_TO, TypeSignature::Variadic(vec![text()]), text(), roll_up_to),
    ]
}

type Body = fn(&Ontology, &[ColumnarValue]) -> Result<ArrayRef>;

fn function(
    ontology: &Arc<Ontology>,
    name: &'static str,
    signature: TypeSignature,
    returned: DataType,
    body: Body,
) -> ScalarUDF {
    let ontology = Arc::clone(ontology);
    let run = move |arguments: &[ColumnarValue]| {
        let scalar = arguments.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let values = body(&ontology, arguments)?;
        if scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&values, 0)?));
        }
        Ok(ColumnarValue::Array(values))
    };
    let signature = Signature::new(signature, Volatility::Immutable);
    ScalarUDF::from(SimpleScalarUDF::new_with_signature(name, signature, returned, Arc::new(run)))
}

/// The codes of the first argument, a single one as a column of one row.
fn codes(arguments: &[ColumnarValue]) -> Result<ArrayRef> {
    match arguments.first() {
        Some(ColumnarValue::Array(codes)) => Ok(Arc::clone(codes)),
        Some(ColumnarValue::Scalar(code)) => code.to_array(),
        None => Err(DataFusionError::Plan("a function of concepts takes a code".to_owned())),
    }
}

/// The concepts that the further arguments name; they are written, not computed for each row.
fn concepts(ontology: &Ontology, arguments: &[ColumnarValue]) -> Result<Vec<ConceptId>> {
    if arguments.len() > MAX_TARGETS {
        return Err(DataFusionError::Plan(format!("at most {MAX_TARGETS} concepts may be named")));
    }
    let named = |argument: &ColumnarValue| match argument {
        ColumnarValue::Scalar(code) => {
            let code = code.try_as_str().flatten().unwrap_or_default();
            ontology.resolve(code, &[]).map_err(|e| DataFusionError::Plan(e.to_string()))
        }
        ColumnarValue::Array(_) => Err(DataFusionError::Plan("a concept is named by a text".to_owned())),
    };
    arguments.iter().skip(1).map(named).collect()
}

fn is_a(ontology: &Ontology, arguments: &[ColumnarValue]) -> Result<ArrayRef> {
    let (codes, ancestors) = (codes(arguments)?, concepts(ontology, arguments)?);
    let under =
        |code: &str| ontology.find(code).is_some_and(|c| ancestors.iter().any(|a| ontology.is_a(c, *a)));
    let found = codes.as_string::<i32>().iter().map(|code| code.map(under));
    Ok(Arc::new(found.collect::<BooleanArray>()))
}

fn label(ontology: &Ontology, arguments: &[ColumnarValue]) -> Result<ArrayRef> {
    let codes = codes(arguments)?;
    let labels = codes.as_string::<i32>().iter().map(|code| code.map(|code| label_of(ontology, code)));
    Ok(Arc::new(labels.collect::<StringArray>()))
}

/// A text that is no code of a concept is its own label.
fn label_of(ontology: &Ontology, code: &str) -> String {
    match ontology.resolve(code, &[]) {
        Ok(concept) => ontology.label(concept).to_owned(),
        Err(_) => code.to_owned(),
    }
}

fn roll_up_to_children(ontology: &Ontology, arguments: &[ColumnarValue]) -> Result<ArrayRef> {
    if let Some(ColumnarValue::Scalar(ScalarValue::Int64(_)) | ColumnarValue::Array(_)) = arguments.get(1) {
        let reason =
            "roll_up(column, level) stands in GROUP BY over a column of patients; name a concept here";
        return Err(DataFusionError::Plan(reason.to_owned()));
    }
    let of = concepts(ontology, arguments)?;
    let mut to: Vec<ConceptId> = of.iter().flat_map(|concept| ontology.children(*concept)).collect();
    to.sort_by_key(|id| ontology.curie(*id));
    to.extend(of);
    rolled_up(ontology, arguments, &to)
}

fn roll_up_to(ontology: &Ontology, arguments: &[ColumnarValue]) -> Result<ArrayRef> {
    rolled_up(ontology, arguments, &concepts(ontology, arguments)?)
}

fn rolled_up(ontology: &Ontology, arguments: &[ColumnarValue], to: &[ConceptId]) -> Result<ArrayRef> {
    let first = |code: &str| {
        let code = ontology.find(code)?;
        to.iter().find(|target| ontology.is_a(code, **target)).map(|target| ontology.curie(*target))
    };
    let codes = codes(arguments)?;
    Ok(Arc::new(codes.as_string::<i32>().iter().map(|code| code.and_then(first)).collect::<StringArray>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(code: &str) -> ColumnarValue {
        ColumnarValue::Scalar(ScalarValue::Utf8(Some(code.to_owned())))
    }

    #[test]
    fn a_code_has_a_label_in_any_spelling_and_other_text_is_left_alone() {
        let ontology = Ontology::bundled();
        for code in ["EUCAIM:CLIN1000075", "CLIN1000075", "SNOMEDCT:399068003"] {
            assert_eq!(label_of(&ontology, code), "Malignant neoplasm of prostate");
        }
        assert_eq!(label_of(&ontology, "SEG"), "SEG");
    }

    #[test]
    fn released_codes_are_rolled_up_and_an_unknown_concept_is_an_error() {
        let ontology = Ontology::bundled();
        let codes: ArrayRef =
            Arc::new(StringArray::from(vec![Some("EUCAIM:CLIN1000075"), Some("SEG"), None]));
        let codes = ColumnarValue::Array(codes);
        let found = is_a(&ontology, &[codes.clone(), text("SNOMEDCT:399068003")]).unwrap();
        let found: Vec<_> = found.as_boolean().iter().collect();
        assert_eq!(found, [Some(true), Some(false), None]);
        let rolled = roll_up_to(&ontology, &[codes.clone(), text("EUCAIM:CLIN1000092")]).unwrap();
        let rolled: Vec<_> = rolled.as_string::<i32>().iter().collect();
        assert_eq!(rolled, [Some("EUCAIM:CLIN1000092"), None, None]);
        assert!(is_a(&ontology, &[codes, text("no such thing")]).is_err());
    }
}
