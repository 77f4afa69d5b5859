//! Conditions and dimensions over columns of concepts. What each code means is looked up once, while the plan is built;
//! a row costs one look into a table of codes.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use caim_ontology::{Column, ConceptId, Models};
use caim_sql::concepts::Vocabulary;
use caim_sql::private_query::{ColumnRef, ConceptRef, Recode, Value};
use caim_sql::released::recode_type;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt32Array};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result as DfResult, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::functions::expr_fn::coalesce;
use datafusion::logical_expr::expr_fn::SimpleScalarUDF;
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarUDF, Signature, Volatility};

use super::ExecuteError;
use super::plan::{Scope, scalar};

fn vocabulary(column: &Column, models: &Models) -> Result<Vocabulary, ExecuteError> {
    Vocabulary::of(column, &column.stored, models).map_err(|refusal| ExecuteError::Model(refusal.reason))
}

fn known(vocabulary: &Vocabulary, concept: &ConceptRef) -> Result<ConceptId, ExecuteError> {
    vocabulary.known(concept).map_err(|refusal| ExecuteError::Model(refusal.reason))
}

/// Whether the code of a column is a concept or lies beneath it.
pub(super) fn is_a(
    column: &ColumnRef,
    concept: &ConceptRef,
    scope: &Scope<'_>,
    models: &Models,
) -> Result<Expr, ExecuteError> {
    let vocabulary = vocabulary(scope.model(column)?, models)?;
    let covered = vocabulary.covered(known(&vocabulary, concept)?);
    let codes: HashSet<String> = covered.into_iter().collect();
    let run = move |arguments: &[ColumnarValue]| {
        let found = codes_of(arguments)?;
        let found = found.as_string::<i32>().iter().map(|code| code.map(|code| codes.contains(code)));
        Ok(ColumnarValue::Array(Arc::new(found.collect::<BooleanArray>())))
    };
    Ok(function(&format!("is_a {}", concept.code), DataType::Boolean, run)
        .call(vec![Expr::Column(scope.column(column)?)]))
}

/// The label of a column's code, or what the source said where there is none.
pub(super) fn label(column: &ColumnRef, scope: &Scope<'_>, models: &Models) -> Result<Expr, ExecuteError> {
    let vocabulary = vocabulary(scope.model(column)?, models)?;
    let ontology = vocabulary.ontology();
    let mut labels = Table::new(&DataType::Utf8)?;
    for id in vocabulary.stored() {
        labels.add(ontology.curie(id), Some(&Value::Text(ontology.label(id).to_owned())));
    }
    let label = labels.over("label".to_owned(), Expr::Column(scope.column(column)?))?;
    Ok(match scope.original(column)? {
        Some(original) => coalesce(vec![label, Expr::Column(original)]),
        None => label,
    })
}

/// The first of some concepts that a column's code lies beneath.
pub(super) fn rolled_up(
    column: &ColumnRef,
    to: &[ConceptRef],
    scope: &Scope<'_>,
    models: &Models,
) -> Result<Expr, ExecuteError> {
    let vocabulary = vocabulary(scope.model(column)?, models)?;
    let to = to.iter().map(|concept| known(&vocabulary, concept)).collect::<Result<Vec<_>, _>>()?;
    let mut targets = Table::new(&DataType::Utf8)?;
    for (code, target) in vocabulary.rolled_up(&to) {
        targets.add(code, Some(&Value::Text(target)));
    }
    targets.over(named("roll_up", &to), Expr::Column(scope.column(column)?))
}

/// The value that a question gives to a column's code.
pub(super) fn recoded(column: &ColumnRef, by: &Recode, scope: &Scope<'_>) -> Result<Expr, ExecuteError> {
    let mut values = Table::new(&recode_type(by))?;
    for (value, codes) in &by.values {
        for code in codes {
            values.add(code.clone(), value.as_ref());
        }
    }
    values.rest = values.place(by.rest.as_ref());
    values.null = values.place(by.null.as_ref());
    values.over(named("recode", by), Expr::Column(scope.column(column)?))
}

/// A value for every code.
struct Table {
    /// For each code the place of its value.
    codes: HashMap<String, u32>,
    /// The place of the value of all other codes.
    rest: u32,
    /// The place of the value of rows without a code.
    null: u32,
    /// The values, each once; the first is NULL.
    values: Vec<ScalarValue>,
    places: HashMap<Value, u32>,
}

impl Table {
    /// A table in which every code is NULL.
    fn new(ty: &DataType) -> Result<Self, ExecuteError> {
        let values = vec![ScalarValue::try_from(ty)?];
        Ok(Self { codes: HashMap::new(), rest: 0, null: 0, values, places: HashMap::new() })
    }

    fn place(&mut self, value: Option<&Value>) -> u32 {
        let Some(value) = value else { return 0 };
        if let Some(place) = self.places.get(value) {
            return *place;
        }
        // Validation bounds the number of values.
        let place = self.values.len() as u32;
        self.values.push(scalar(value));
        self.places.insert(value.clone(), place);
        place
    }

    fn add(&mut self, code: String, value: Option<&Value>) {
        let place = self.place(value);
        self.codes.insert(code, place);
    }

    /// The values of a column's codes.
    fn over(self, name: String, column: Expr) -> Result<Expr, ExecuteError> {
        let Self { codes, rest, null, values, .. } = self;
        let values = ScalarValue::iter_to_array(values)?;
        let ty = values.data_type().clone();
        let run = move |arguments: &[ColumnarValue]| {
            let found = codes_of(arguments)?;
            let place = |code: Option<&str>| match code {
                Some(code) => codes.get(code).copied().unwrap_or(rest),
                None => null,
            };
            let places: UInt32Array = found.as_string::<i32>().iter().map(|code| Some(place(code))).collect();
            Ok(ColumnarValue::Array(take(&values, &places, None)?))
        };
        Ok(function(&name, ty, run).call(vec![column]))
    }
}

/// The one argument: the codes of a batch.
fn codes_of(arguments: &[ColumnarValue]) -> DfResult<ArrayRef> {
    match arguments {
        [ColumnarValue::Array(codes)] => Ok(Arc::clone(codes)),
        [ColumnarValue::Scalar(code)] => code.to_array(),
        _ => Err(DataFusionError::Internal("a table of codes takes one column".to_owned())),
    }
}

/// A name that no other table of the plan has: plans tell expressions apart by name, too.
fn named(function: &str, table: &impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    table.hash(&mut hasher);
    format!("{function} {:016x}", hasher.finish())
}

fn function(
    name: &str,
    ty: DataType,
    run: impl Fn(&[ColumnarValue]) -> DfResult<ColumnarValue> + Send + Sync + 'static,
) -> ScalarUDF {
    let signature = Signature::exact(vec![DataType::Utf8], Volatility::Immutable);
    ScalarUDF::from(SimpleScalarUDF::new_with_signature(name, signature, ty, Arc::new(run)))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::StringArray;
    use datafusion::arrow::datatypes::Int64Type;
    use datafusion::logical_expr::lit;

    use super::*;

    #[test]
    fn a_table_tells_listed_codes_others_and_none_apart() {
        let mut table = Table::new(&DataType::Int64).unwrap();
        table.add("A".to_owned(), Some(&Value::Integer(1)));
        table.add("B".to_owned(), None);
        table.rest = table.place(Some(&Value::Integer(9)));
        table.null = table.place(Some(&Value::Integer(0)));
        let Expr::ScalarFunction(call) = table.over("recode".to_owned(), lit("A")).unwrap() else {
            panic!("a call")
        };
        let codes: ArrayRef = Arc::new(StringArray::from(vec![Some("A"), Some("B"), Some("C"), None]));
        let rows = codes.len();
        let field = |ty| Arc::new(datafusion::arrow::datatypes::Field::new("f", ty, true));
        let values = call.func.invoke_with_args(datafusion::logical_expr::ScalarFunctionArgs {
            args: vec![ColumnarValue::Array(codes)],
            arg_fields: vec![field(DataType::Utf8)],
            number_rows: rows,
            return_field: field(DataType::Int64),
            config_options: Arc::new(datafusion::config::ConfigOptions::default()),
        });
        let values = values.unwrap().to_array(rows).unwrap();
        let values: Vec<_> = values.as_primitive::<Int64Type>().iter().collect();
        assert_eq!(values, [Some(1), None, Some(9), Some(0)]);
    }
}
