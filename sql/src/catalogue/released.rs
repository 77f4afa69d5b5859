//! The functions of released measures: `lower`, `upper`, `error`, `status`.
//!
//! Of a released measure they are columns that come with it, put in their place while lowering; so they never run.
//! `lower` and `upper` of text are the functions that SQL knows.

use std::sync::Arc;

use datafusion_common::arrow::datatypes::DataType;
use datafusion_common::{DataFusionError, Result, plan_err};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

/// What is said of a released measure beside its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Said {
    /// The least that the truth may be: `lower(x)`.
    Lower,
    /// The most that the truth may be: `upper(x)`.
    Upper,
    /// The larger distance from the value to its bounds: `error(x)`.
    Error,
    /// `exact`, `released` or `not released`: `status(x)`.
    Status,
}

impl Said {
    const ALL: [Self; 4] = [Self::Lower, Self::Upper, Self::Error, Self::Status];

    /// The name of the function.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lower => "lower",
            Self::Upper => "upper",
            Self::Error => "error",
            Self::Status => "status",
        }
    }

    /// What a function says of measures, by its name.
    pub(crate) fn of(function: &ScalarUDF) -> Option<Self> {
        Self::ALL.into_iter().find(|said| said.name() == function.name())
    }

    /// Whether the function is of measures alone, not of text as well.
    pub(crate) fn only_of_measures(self) -> bool {
        self.of_text().is_none()
    }

    fn of_text(self) -> Option<Arc<ScalarUDF>> {
        match self {
            Self::Lower => Some(datafusion_functions::string::lower()),
            Self::Upper => Some(datafusion_functions::string::upper()),
            Self::Error | Self::Status => None,
        }
    }
}

/// The functions.
pub(super) fn functions() -> impl Iterator<Item = ScalarUDF> {
    Said::ALL.into_iter().map(|said| {
        let signature = Signature::user_defined(Volatility::Immutable);
        ScalarUDF::from(OfMeasure { said, of_text: said.of_text(), signature })
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OfMeasure {
    said: Said,
    /// The function of the same name over text.
    of_text: Option<Arc<ScalarUDF>>,
    signature: Signature,
}

impl ScalarUDFImpl for OfMeasure {
    fn name(&self) -> &str {
        self.said.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [number] if number.is_numeric() => Ok(vec![number.clone()]),
            [DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null]
                if self.of_text.is_some() =>
            {
                Ok(vec![DataType::Utf8])
            }
            [other] => plan_err!("{}() of {other}", self.name()),
            more => plan_err!("{}() takes one argument, not {}", self.name(), more.len()),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match (types, &self.of_text) {
            ([number], _) if number.is_numeric() && self.said == Said::Status => Ok(DataType::Utf8),
            ([number], _) if number.is_numeric() => Ok(DataType::Float64),
            (_, Some(of_text)) => of_text.return_type(types),
            (_, None) => plan_err!("{}() is of released measures", self.name()),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let of_text = self.of_text.as_ref().filter(|_| !arguments.return_field.data_type().is_numeric());
        match of_text {
            Some(of_text) => of_text.invoke_with_args(arguments),
            None => Err(DataFusionError::Plan(format!("{}() is of released measures", self.name()))),
        }
    }
}
