//! The functions that a statement may call.

use std::collections::HashMap;
use std::sync::Arc;

use caim_ontology::Ontology;
use datafusion_expr::planner::ExprPlanner;
use datafusion_expr::{AggregateUDF, ScalarUDF, Volatility, WindowUDF};
use datafusion_functions::core::planner::CoreFunctionPlanner;
use datafusion_functions::datetime::planner::DatetimeFunctionPlanner;
use datafusion_functions::unicode::planner::UnicodeFunctionPlanner;
use datafusion_functions_aggregate::planner::AggregateFunctionPlanner;
use datafusion_functions_window::planner::WindowFunctionPlanner;

use super::{concepts, released};
use super::{nearest, unknown};
use crate::refusal::{Code, Refusal};

/// Functions that tell of files, the engine or its memory layout.
const ENVIRONMENT: [&str; 13] = [
    "arrow_cast",
    "arrow_field",
    "arrow_metadata",
    "arrow_try_cast",
    "arrow_typeof",
    "cast_to_type",
    "file_row_index",
    "input_file_name",
    "try_cast_to_type",
    "union_extract",
    "union_tag",
    "version",
    "with_metadata",
];

/// Functions of constants that are computed while lowering: cheap, deterministic, with small results.
const FOLDABLE: [&str; 18] = [
    "abs",
    "btrim",
    "ceil",
    "coalesce",
    "date_part",
    "date_trunc",
    "floor",
    "lower",
    "ltrim",
    "make_date",
    "nullif",
    "power",
    "round",
    "rtrim",
    "to_date",
    "trim",
    "trunc",
    "upper",
];

/// All functions by their names and other names.
pub(super) struct Functions {
    pub(super) scalar: HashMap<String, Arc<ScalarUDF>>,
    pub(super) aggregate: HashMap<String, Arc<AggregateUDF>>,
    pub(super) window: HashMap<String, Arc<WindowUDF>>,
    pub(super) planners: Vec<Arc<dyn ExprPlanner>>,
    volatile: Vec<String>,
}

impl Functions {
    pub(super) fn standard(ontology: &Arc<Ontology>) -> Self {
        let (mut scalar, mut volatile) = (HashMap::new(), Vec::new());
        for function in datafusion_functions::all_default_functions() {
            if ENVIRONMENT.contains(&function.name()) {
                continue;
            }
            let names = names(function.name(), function.aliases());
            match function.signature().volatility {
                Volatility::Immutable => scalar.extend(names.map(|name| (name, Arc::clone(&function)))),
                Volatility::Stable | Volatility::Volatile => volatile.extend(names),
            }
        }
        for function in concepts::functions(ontology).into_iter().chain(released::functions()) {
            scalar.insert(function.name().to_owned(), Arc::new(function));
        }
        let aggregate = datafusion_functions_aggregate::all_default_aggregate_functions();
        let window = datafusion_functions_window::all_default_window_functions();
        Self {
            scalar,
            aggregate: aggregate
                .into_iter()
                .flat_map(|f| names(f.name(), f.aliases()).map(|n| (n, Arc::clone(&f))).collect::<Vec<_>>())
                .collect(),
            window: window
                .into_iter()
                .flat_map(|f| names(f.name(), f.aliases()).map(|n| (n, Arc::clone(&f))).collect::<Vec<_>>())
                .collect(),
            planners: vec![
                Arc::new(CoreFunctionPlanner::default()),
                Arc::new(DatetimeFunctionPlanner),
                Arc::new(UnicodeFunctionPlanner),
                Arc::new(AggregateFunctionPlanner),
                Arc::new(WindowFunctionPlanner),
            ],
            volatile,
        }
    }

    pub(super) fn check(&self, name: &str) -> Result<(), Refusal> {
        let known = self.scalar.contains_key(name)
            || self.aggregate.contains_key(name)
            || self.window.contains_key(name);
        if known {
            return Ok(());
        }
        if self.volatile.iter().any(|v| v == name) {
            return Err(Refusal::new(Code::VolatileFunction, format!("{name}() has not one answer")));
        }
        if ENVIRONMENT.contains(&name) {
            return Err(Refusal::new(
                Code::FunctionNotAllowed,
                format!("{name}() tells of the engine, not of data"),
            ));
        }
        let names = self.scalar.keys().chain(self.aggregate.keys()).chain(self.window.keys());
        Err(unknown("function", name, &nearest(name, names.cloned(), ToOwned::to_owned)))
    }
}

fn names<'a>(name: &'a str, aliases: &'a [String]) -> impl Iterator<Item = String> + 'a {
    std::iter::once(name.to_owned()).chain(aliases.iter().cloned())
}

/// Functions that expressions over a vocabulary may call besides the foldable ones: of concepts, and of text with results
/// about as long as what they are given together (`replace` only where the new text is no longer than the old).
const OF_VOCABULARIES: [&str; 21] = [
    "character_length",
    "concat",
    "contains",
    "ends_with",
    "greatest",
    "initcap",
    "is_a",
    "label",
    "least",
    "left",
    "nvl",
    "nvl2",
    "regexp_like",
    "replace",
    "reverse",
    "right",
    "split_part",
    "starts_with",
    "strpos",
    "substr",
    "translate",
];

/// Whether a call of this function may stand in an expression that is computed for every code of a vocabulary.
pub(crate) fn of_vocabularies(function: &ScalarUDF) -> bool {
    foldable(function) || OF_VOCABULARIES.contains(&function.name())
}

/// Whether a call of this function with constants may be computed while lowering.
pub(crate) fn foldable(function: &ScalarUDF) -> bool {
    FOLDABLE.contains(&function.name())
}
