//! `label(code)`: what people call a concept. It works on released codes, at the hub: it tells nothing of data.

use std::sync::Arc;

use caim_ontology::Ontology;
use datafusion_common::ScalarValue;
use datafusion_common::arrow::array::{ArrayRef, AsArray, StringArray};
use datafusion_common::arrow::datatypes::DataType;
use datafusion_expr::expr_fn::SimpleScalarUDF;
use datafusion_expr::{ColumnarValue, ScalarUDF, Signature, Volatility};

/// The function. A text that is no code of a concept is its own label.
pub(super) fn label(ontology: Arc<Ontology>) -> ScalarUDF {
    let signature = Signature::exact(vec![DataType::Utf8], Volatility::Immutable);
    let run = move |arguments: &[ColumnarValue]| match arguments {
        [ColumnarValue::Scalar(code)] => Ok(ColumnarValue::Scalar(ScalarValue::Utf8(
            code.try_as_str().flatten().map(|code| label_of(&ontology, code)),
        ))),
        [ColumnarValue::Array(codes)] => Ok(ColumnarValue::Array(labels(&ontology, codes))),
        _ => datafusion_common::plan_err!("label() takes one code"),
    };
    ScalarUDF::from(SimpleScalarUDF::new_with_signature("label", signature, DataType::Utf8, Arc::new(run)))
}

fn labels(ontology: &Ontology, codes: &ArrayRef) -> ArrayRef {
    let codes = codes.as_string::<i32>().iter();
    Arc::new(codes.map(|code| code.map(|code| label_of(ontology, code))).collect::<StringArray>())
}

fn label_of(ontology: &Ontology, code: &str) -> String {
    match ontology.resolve(code, &[]) {
        Ok(concept) => ontology.label(concept).to_owned(),
        Err(_) => code.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_a_label_in_any_spelling_and_other_text_is_left_alone() {
        let ontology = Ontology::bundled();
        for code in ["EUCAIM:CLIN1000075", "CLIN1000075", "SNOMEDCT:399068003"] {
            assert_eq!(label_of(&ontology, code), "Malignant neoplasm of prostate");
        }
        assert_eq!(label_of(&ontology, "SEG"), "SEG");
    }
}
