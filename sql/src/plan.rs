//! From a parsed query to an analysed logical plan over the catalogue: names resolved, types coerced, nothing optimised.
//!
//! Planning recurses over the statement; call it on a thread with a stack of some MiB.

mod apart;
mod calls;
mod differences;
mod errors;
mod spellings;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion_common::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{DataFusionError, ParamValues, ScalarValue};
use datafusion_expr::expr::{Cast, Placeholder};
use datafusion_expr::{self as logical, LogicalPlan};
use datafusion_optimizer::Analyzer;
use datafusion_sql::planner::{NullOrdering, ParserOptions, SqlToRel};
use datafusion_sql::sqlparser::ast::{self, Expr, Statement, VisitMut, VisitorMut};

use crate::catalogue::{Catalogue, model_table, public_columns};
use crate::refusal::{Code, Refusal};
use crate::text::Query;

pub(crate) use errors::refused;

/// Most parameters of one statement.
const MAX_PARAMETERS: usize = 256;

/// A query that was understood.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The analysed plan, not optimised.
    pub plan: LogicalPlan,
    /// Names of the columns, as the analyst wrote them; one a column of the plan's schema.
    pub output: Vec<String>,
    /// The plan before its types were coerced, for parameters that are still to be bound.
    raw: LogicalPlan,
    parameters: SchemaRef,
}

/// Plans a query.
///
/// # Errors
/// `UnknownName` with the nearest names, `VolatileFunction`, `FunctionNotAllowed`, `TableNotAllowed`, `Invalid`,
/// `Unsupported`.
pub fn plan(query: &Query, catalogue: &Catalogue) -> Result<Planned, Refusal> {
    let ast = differences::subtracted(spellings::known(query.ast.as_ref().clone()))?;
    let ast = with_known_functions(ast, catalogue)?;
    // What is not released reads NULL: it comes last, whatever the order.
    let options = ParserOptions::new()
        .with_map_string_types_to_utf8view(false)
        .with_default_null_ordering(NullOrdering::NullsLast);
    let statement = Statement::Query(Box::new(apart::told_apart(ast)));
    let raw = SqlToRel::new_with_options(catalogue, options)
        .sql_statement_to_plan(statement)
        .and_then(typed_by_casts)
        .map_err(|e| refused(&e))?;
    let parameters = parameters(&raw)?;
    let plan = analysed(raw.clone())?;
    let output = output(query, &plan, catalogue);
    Ok(Planned { plan, output, raw, parameters })
}

impl Planned {
    /// The parameters that wait for values: fields `$1`, `$2`, ... in order, typed by what they are compared with.
    #[must_use]
    pub fn parameters(&self) -> SchemaRef {
        Arc::clone(&self.parameters)
    }

    /// Puts values in the place of the parameters, by position.
    ///
    /// # Errors
    /// `Invalid` when number or types do not fit.
    pub fn bind(&self, values: Vec<ScalarValue>) -> Result<Self, Refusal> {
        let wanted = self.parameters.fields();
        if wanted.len() != values.len() {
            let reason =
                format!("the statement has {} parameters; {} values came", wanted.len(), values.len());
            return Err(Refusal::new(Code::Invalid, reason));
        }
        let fitting = |(value, field): (ScalarValue, &Arc<Field>)| {
            value.cast_to(field.data_type()).map_err(|_| {
                let reason = format!("parameter {} must be {}", field.name(), field.data_type());
                Refusal::new(Code::Invalid, reason)
            })
        };
        let values = values.into_iter().zip(wanted.iter()).map(fitting).collect::<Result<Vec<_>, _>>()?;
        let raw = self
            .raw
            .clone()
            .replace_params_with_values(&ParamValues::from(values))
            .map_err(|e| refused(&e))?;
        let plan = analysed(raw.clone())?;
        Ok(Self { plan, output: self.output.clone(), raw, parameters: Arc::new(Schema::empty()) })
    }
}

/// `CAST($1 AS type)` says what type the parameter has.
fn typed_by_casts(plan: LogicalPlan) -> Result<LogicalPlan, DataFusionError> {
    let typed = |node: logical::Expr| match node {
        logical::Expr::Cast(Cast { expr, field }) => {
            let expr = match *expr {
                logical::Expr::Placeholder(Placeholder { id, field: None }) => {
                    logical::Expr::Placeholder(Placeholder { id, field: Some(Arc::clone(&field)) })
                }
                other => other,
            };
            Ok(Transformed::yes(logical::Expr::Cast(Cast { expr: Box::new(expr), field })))
        }
        other => Ok(Transformed::no(other)),
    };
    if plan.get_parameter_names()?.is_empty() {
        return Ok(plan);
    }
    let plan = plan.transform_up_with_subqueries(|node| node.map_expressions(|e| e.transform_up(typed)))?;
    Ok(plan.data)
}

fn analysed(plan: LogicalPlan) -> Result<LogicalPlan, Refusal> {
    Analyzer::new().execute_and_check(plan, &ConfigOptions::default(), |_, _| {}).map_err(|e| refused(&e))
}

/// Every function that the statement calls must be known, and have one answer. Aggregates are called by their own names:
/// the planner names `var_samp(x) FILTER (...)` like `var_samp(x)`, and would refuse both beside each other.
fn with_known_functions(mut query: ast::Query, catalogue: &Catalogue) -> Result<ast::Query, Refusal> {
    struct Calls<'a>(&'a Catalogue);
    impl VisitorMut for Calls<'_> {
        type Break = Box<Refusal>;

        fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Box<Refusal>> {
            let Expr::Function(call) = expr else { return ControlFlow::Continue(()) };
            let name = call.name.to_string().replace('"', "");
            if let Err(refusal) = self.0.check_function(&name) {
                return ControlFlow::Break(Box::new(refusal));
            }
            if let Some(own) = self.0.aggregate_called(&name) {
                call.name = ast::Ident::new(own).into();
            }
            ControlFlow::Continue(())
        }
    }
    match query.visit(&mut Calls(catalogue)) {
        ControlFlow::Continue(()) => Ok(query),
        ControlFlow::Break(refusal) => Err(*refusal),
    }
}

/// The parameters by number; each must have a type, and none may be left out.
fn parameters(plan: &LogicalPlan) -> Result<SchemaRef, Refusal> {
    let types = plan.get_parameter_types().map_err(|e| refused(&e))?;
    let mut numbered = BTreeMap::new();
    for (id, ty) in types {
        let number =
            id.strip_prefix('$').and_then(|n| n.parse::<usize>().ok()).filter(|n| *n <= MAX_PARAMETERS);
        let number = number.ok_or_else(|| {
            Refusal::new(
                Code::Invalid,
                format!("{} is no parameter from $1 to ${MAX_PARAMETERS}", crate::text::shortened(&id)),
            )
        })?;
        numbered.insert(number, ty.unwrap_or(DataType::Null));
    }
    let fields = numbered.iter().zip(1usize..).map(|((number, ty), expected)| {
        if *number != expected {
            return Err(Refusal::new(
                Code::Invalid,
                format!("the statement has ${number}, but no ${expected}"),
            ));
        }
        if *ty == DataType::Null {
            return Err(Refusal::new(Code::Invalid, format!("the type of parameter ${number} is not known"))
                .with_rewrite(format!("name its type: CAST(${number} AS BIGINT)")));
        }
        Ok(Field::new(format!("${number}"), ty.clone(), true))
    });
    Ok(Arc::new(Schema::new(fields.collect::<Result<Vec<_>, _>>()?)))
}

/// Names of the columns: as written, and for wildcards in the spelling of the models and of the hub's tables.
fn output(query: &Query, plan: &LogicalPlan, catalogue: &Catalogue) -> Vec<String> {
    let mut tables = Vec::new();
    let mut public = Vec::new();
    let scanned = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            let table = model_table(scan).and_then(|t| catalogue.models().table(&t.schema, &t.table).ok());
            tables.extend(table);
            public.extend(public_columns(scan).cloned());
        }
        Ok(TreeNodeRecursion::Continue)
    });
    debug_assert!(scanned.is_ok(), "the walk itself cannot fail");
    let spelled = |name: &str| {
        let mut columns = public.iter().flat_map(|columns| columns.fields().iter());
        columns.find(|column| column.name().eq_ignore_ascii_case(name)).map(|column| column.name().clone())
    };
    let standard = |name: &str| {
        let column = tables.iter().find_map(|t| t.column(name)).map(|c| c.name.clone());
        column.or_else(|| spelled(name))
    };
    let planned: Vec<String> = plan.schema().fields().iter().map(|f| f.name().clone()).collect();
    query.names.resolve(&planned, standard)
}

#[cfg(test)]
mod tests;
