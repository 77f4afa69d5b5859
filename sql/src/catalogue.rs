//! What a statement can name: the tables of the data models, public tables of the hub, and functions.
//!
//! Schemas only, no data. Functions that read a clock, chance or the environment are known by name, so that the refusal
//! can say why, and are never handed to the planner.

mod concepts;
mod functions;
mod released;
mod sources;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use caim_ontology::{Models, TableKind};
use datafusion_common::arrow::datatypes::{DataType, SchemaRef};
use datafusion_common::config::ConfigOptions;
use datafusion_common::{DataFusionError, TableReference};
use datafusion_expr::planner::{ContextProvider, ExprPlanner};
use datafusion_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF, TableSource, WindowUDF};

use crate::refusal::{Code, Refusal};
use functions::Functions;

pub(crate) use concepts::{IS_A, LABEL, ROLL_UP, ROLL_UP_TO};
pub(crate) use functions::{foldable, of_vocabularies};
pub(crate) use released::Said;
pub(crate) use sources::{
    PublicSource, ReleasedSource, model_source, model_table, public_columns, public_table,
};

/// The schema of tables that are named without one: the common data model.
pub const DEFAULT_SCHEMA: &str = "eucaim";

/// The one catalogue name that may stand before a schema: `caim.dicom.series`.
pub const CATALOGUE: &str = "caim";

/// The column that every table of patients has besides those of its model: which node a row is at. Questions are grouped
/// by it, nothing else; the hub adds it to what each node released.
pub const NODE: &str = "node_id";

/// The schema of published cubes. What nodes publish there changes the meaning of no other name.
pub const CUBES: &str = "cube";

/// Most names that a refusal offers instead of an unknown one.
const NEAREST: usize = 5;

/// A table that the hub answers itself, without asking a node.
#[derive(Debug, Clone)]
pub struct PublicTable {
    /// Schema, lower case: `catalog`, `cube` or `information_schema`.
    pub schema: String,
    /// Name, lower case.
    pub name: String,
    /// What a row is.
    pub comment: String,
    /// Columns, named as answers spell them; no two differ in case alone.
    pub arrow: SchemaRef,
}

/// Everything that can be named in a statement.
pub struct Catalogue {
    models: Arc<Models>,
    public: Vec<PublicTable>,
    tables: BTreeMap<(String, String), Entry>,
    functions: Functions,
    options: ConfigOptions,
}

enum Entry {
    Open(Arc<dyn TableSource>),
    Hidden,
}

impl Catalogue {
    /// The tables of the models and the public ones.
    #[must_use]
    pub fn new(models: Arc<Models>, public: Vec<PublicTable>) -> Self {
        let mut tables = BTreeMap::new();
        for (model, table) in models.iter().flat_map(|m| m.tables.iter().map(move |t| (m, t))) {
            let entry = match table.kind {
                TableKind::Patient | TableKind::Public => {
                    Entry::Open(sources::model_source(&model.schema, table))
                }
                TableKind::Hidden => Entry::Hidden,
            };
            tables.insert((model.schema.clone(), table.name.clone()), entry);
        }
        for table in &public {
            let source = Arc::new(PublicSource::new(table));
            tables.insert((table.schema.to_lowercase(), table.name.to_lowercase()), Entry::Open(source));
        }
        let functions = Functions::standard(&models.ontology());
        Self { models, public, tables, functions, options: ConfigOptions::default() }
    }

    /// The data models.
    #[must_use]
    pub fn models(&self) -> &Arc<Models> {
        &self.models
    }

    /// The tables that the hub answers itself.
    #[must_use]
    pub fn public(&self) -> &[PublicTable] {
        &self.public
    }

    /// Whether a function may be planned.
    pub(crate) fn check_function(&self, name: &str) -> Result<(), Refusal> {
        self.functions.check(name)
    }

    /// The own name of an aggregate that is called by another one.
    pub(crate) fn aggregate_called(&self, name: &str) -> Option<&str> {
        self.functions.aggregate.get(name).map(|f| f.name()).filter(|own| *own != name)
    }

    fn table(&self, name: &TableReference) -> Result<Arc<dyn TableSource>, Refusal> {
        if name.catalog().is_some_and(|c| c != CATALOGUE) {
            return Err(self.unknown_table(name));
        }
        let (schema, table) = match name.schema() {
            Some(schema) => (schema.to_owned(), name.table().to_owned()),
            None => (self.schema_of(name)?, name.table().to_owned()),
        };
        match self.tables.get(&(schema.clone(), table.clone())) {
            Some(Entry::Open(source)) => Ok(Arc::clone(source)),
            Some(Entry::Hidden) => Err(Refusal::new(
                Code::TableNotAllowed,
                format!("{schema}.{table} is kept, but cannot be asked"),
            )),
            None if schema == "information_schema" && table == "df_settings" => {
                Err(Refusal::new(Code::Statement, "settings of the engine are not shown"))
            }
            None => Err(self.unknown_table(name)),
        }
    }

    /// The schema of a table that is named without one: the common data model, or the only other that has it.
    fn schema_of(&self, name: &TableReference) -> Result<String, Refusal> {
        let mut schemas: Vec<&str> =
            self.tables.keys().filter(|(_, t)| t == name.table()).map(|(s, _)| s.as_str()).collect();
        if schemas.len() > 1 {
            schemas.retain(|schema| *schema != CUBES);
        }
        match schemas.as_slice() {
            [] => Err(self.unknown_table(name)),
            [schema] => Ok((*schema).to_owned()),
            several if several.contains(&DEFAULT_SCHEMA) => Ok(DEFAULT_SCHEMA.to_owned()),
            several => {
                let candidates: Vec<String> =
                    several.iter().map(|s| format!("{s}.{}", crate::text::shortened(name.table()))).collect();
                Err(Refusal::new(
                    Code::UnknownName,
                    format!("{} is ambiguous", crate::text::shortened(name.table())),
                )
                .with_rewrite(format!("name the schema: {}", candidates.join(" or "))))
            }
        }
    }

    fn unknown_table(&self, name: &TableReference) -> Refusal {
        let open = self.tables.iter().filter(|(_, entry)| matches!(entry, Entry::Open(_)));
        let known = open.map(|((schema, table), _)| format!("{schema}.{table}"));
        let wanted = name.to_string().replace('"', "");
        let near = nearest(&wanted, known, |known| match name.schema() {
            Some(_) => known.to_owned(),
            None => known.rsplit('.').next().unwrap_or(known).to_owned(),
        });
        unknown("table", &wanted, &near)
    }
}

impl fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalogue")
            .field("tables", &self.tables.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// The refusal of a name that is not known.
pub(crate) fn unknown(what: &str, name: &str, near: &[String]) -> Refusal {
    let refusal =
        Refusal::new(Code::UnknownName, format!("there is no {what} {}", crate::text::shortened(name)));
    if near.is_empty() { refusal } else { refusal.with_rewrite(format!("did you mean {}?", near.join(", "))) }
}

/// The names that come closest to a wanted one, the nearest first; `key` is the part of a name that is compared.
pub(crate) fn nearest(
    wanted: &str,
    names: impl Iterator<Item = String>,
    key: impl Fn(&str) -> String,
) -> Vec<String> {
    const NEAR_ENOUGH: f64 = 0.7;
    const LONGEST: usize = 128;
    if wanted.len() > LONGEST {
        return Vec::new();
    }
    let mut scored: Vec<(f64, String)> = names
        .map(|name| (strsim::jaro_winkler(wanted, &key(&name)), name))
        .filter(|(score, _)| *score > NEAR_ENOUGH)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    scored.dedup_by(|a, b| a.1 == b.1);
    scored.into_iter().take(NEAREST).map(|(_, name)| name).collect()
}

impl ContextProvider for Catalogue {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>, DataFusionError> {
        self.table(&name).map_err(|refusal| DataFusionError::External(Box::new(refusal)))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.functions.planners
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.functions.scalar.get(name).cloned()
    }

    fn get_higher_order_meta(&self, _name: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.functions.aggregate.get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.functions.window.get(name).cloned()
    }

    fn get_variable_type(&self, _variable_names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &self.options
    }

    fn udf_names(&self) -> Vec<String> {
        sorted(&self.functions.scalar)
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        sorted(&self.functions.aggregate)
    }

    fn udwf_names(&self) -> Vec<String> {
        sorted(&self.functions.window)
    }
}

fn sorted<T>(functions: &HashMap<String, T>) -> Vec<String> {
    let mut names: Vec<String> = functions.keys().cloned().collect();
    names.sort_unstable();
    names
}
