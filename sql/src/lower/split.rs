//! The walk from the top of a plan down to the aggregates at the gate.

use std::sync::Arc;

use caim_ontology::Models;
use datafusion_common::DataFusionError;
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_expr::expr::{Exists, InSubquery, SetComparison};
use datafusion_expr::logical_plan::{Aggregate, Distinct, Subquery, TableScan};
use datafusion_expr::{Expr, LogicalPlan, LogicalPlanBuilder};

use super::Settings;
use super::beside;
use super::groups::{Output, Question};
use super::per_patient::{Taken, taken};
use super::probes::{is_nothing, nothing_like};
use super::release::{self, Asked, Release};
use super::rows::Rows;
use super::scope::{Operand, Scope, operand};
use super::sets;
use crate::canonical::{arranged, is_never};
use crate::catalogue::{model_table, public_table};
use crate::plan::refused;
use crate::private_query::{
    Aggregate as Measured, BoolTree, JoinTree, Measure, PerPatient, PrivateQuery, VERSION,
};
use crate::refusal::{Code, Refusal};
use crate::validate::{full_name, validate, validate_parts};
use caim_ontology::Role;

/// The questions of a plan and what remains of it.
pub(super) fn split(
    plan: &LogicalPlan,
    models: &Models,
    settings: &Settings,
) -> Result<(Vec<PrivateQuery>, LogicalPlan), Refusal> {
    let Taken { plan, tables, models } = taken(plan, models)?;
    let mut split = Split { models: &models, settings, per_patient: tables, queries: Vec::new() };
    let remainder = split.remainder(&plan, false)?;
    check_remainder(&remainder)?;
    Ok((split.queries, remainder))
}

struct Split<'a> {
    models: &'a Models,
    settings: &'a Settings,
    /// All tables of values per patient; a question keeps those that it names.
    per_patient: Vec<PerPatient>,
    queries: Vec<PrivateQuery>,
}

/// Join tree and cohort of the rows below an aggregate.
type Cohort = (JoinTree, BoolTree);

impl Split<'_> {
    /// What remains of a plan; `beside`: with columns for what stands beside its measures.
    fn remainder(&mut self, plan: &LogicalPlan, beside: bool) -> Result<LogicalPlan, Refusal> {
        match plan {
            nothing if is_nothing(nothing) => Ok(nothing_like(nothing)),
            LogicalPlan::Aggregate(aggregate) if reads_rows(&aggregate.input) => {
                self.grouped(plan, aggregate, beside)
            }
            LogicalPlan::Distinct(Distinct::All(input)) if reads_rows(input) => self.distinct(plan, input),
            shown if shows_rows(shown) => Err(self.rows_asked(shown)),
            LogicalPlan::TableScan(scan) => public_scan(scan),
            LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::Window(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Join(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Limit(_) => self.rebuilt(plan, beside),
            LogicalPlan::Aggregate(_)
            | LogicalPlan::Repartition(_)
            | LogicalPlan::Union(_)
            | LogicalPlan::Subquery(_)
            | LogicalPlan::Distinct(_)
            | LogicalPlan::EmptyRelation(_)
            | LogicalPlan::Values(_) => self.rebuilt(plan, false),
            LogicalPlan::Extension(_) | LogicalPlan::Unnest(_) | LogicalPlan::RecursiveQuery(_) => {
                Err(Refusal::new(Code::Unsupported, "UNNEST and recursive queries"))
            }
            LogicalPlan::Statement(_)
            | LogicalPlan::Explain(_)
            | LogicalPlan::Analyze(_)
            | LogicalPlan::Dml(_)
            | LogicalPlan::Ddl(_)
            | LogicalPlan::Copy(_)
            | LogicalPlan::DescribeTable(_) => {
                Err(Refusal::new(Code::Statement, "only queries are answered"))
            }
        }
    }

    /// The same node over split inputs, with split subqueries in its expressions, and with what they ask of measures in
    /// the place of functions. `beside`: what stands beside measures is passed on.
    fn rebuilt(&mut self, plan: &LogicalPlan, beside: bool) -> Result<LogicalPlan, Refusal> {
        let expressions = plan.expressions();
        let asked = beside || expressions.iter().any(beside::is_asked);
        let inputs = plan.inputs().into_iter().map(|input| self.remainder(input, asked));
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        let expressions = expressions.into_iter().map(|e| self.expression(beside::resolved(e, &inputs)?));
        let mut expressions = expressions.collect::<Result<Vec<_>, _>>()?;
        if let (true, LogicalPlan::Projection(_), [input]) = (beside, plan, inputs.as_slice()) {
            let passed = beside::passed_on(&expressions, input);
            expressions.extend(passed);
        }
        let rebuilt = plan.with_new_exprs(expressions, inputs).map_err(|e| refused(&e))?;
        if beside { Ok(rebuilt) } else { beside::stripped(rebuilt, plan.schema()) }
    }

    /// An expression at the hub: its subqueries are questions of their own.
    fn expression(&mut self, expr: Expr) -> Result<Expr, Refusal> {
        let split = expr.transform_up(|node| {
            let node = match node {
                Expr::ScalarSubquery(subquery) => Expr::ScalarSubquery(self.subquery(&subquery)?),
                Expr::Exists(Exists { subquery, negated }) => {
                    Expr::Exists(Exists { subquery: self.subquery(&subquery)?, negated })
                }
                Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
                    Expr::InSubquery(InSubquery { expr, subquery: self.subquery(&subquery)?, negated })
                }
                Expr::SetComparison(SetComparison { expr, subquery, op, quantifier }) => {
                    let subquery = self.subquery(&subquery)?;
                    Expr::SetComparison(SetComparison { expr, subquery, op, quantifier })
                }
                other => return Ok(Transformed::no(other)),
            };
            Ok(Transformed::yes(node))
        });
        split.map(|t| t.data).map_err(|e| refused(&e))
    }

    fn subquery(&mut self, subquery: &Subquery) -> Result<Subquery, DataFusionError> {
        let plan = self.remainder(&subquery.subquery, false);
        let plan = plan.map_err(|refusal| DataFusionError::External(Box::new(refusal)))?;
        Ok(subquery.with_plan(Arc::new(plan)))
    }

    /// An aggregate at the gate, set by set where it has grouping sets.
    fn grouped(
        &mut self,
        plan: &LogicalPlan,
        aggregate: &Aggregate,
        beside: bool,
    ) -> Result<LogicalPlan, Refusal> {
        let Some(parts) = sets::parts(aggregate)? else { return self.aggregate(plan, aggregate, beside) };
        let shaped = parts.iter().map(|part| match &part.aggregate {
            set @ LogicalPlan::Aggregate(own) => part.shaped(self.aggregate(set, own, beside)?, aggregate),
            _ => Err(Refusal::new(Code::Malformed, "a grouping set is no aggregate")),
        });
        sets::united(shaped.collect::<Result<_, _>>()?, aggregate)
    }

    /// An aggregate over plain groups.
    fn aggregate(
        &mut self,
        plan: &LogicalPlan,
        aggregate: &Aggregate,
        beside: bool,
    ) -> Result<LogicalPlan, Refusal> {
        let mut rows = Rows::counted(self.models);
        let scope = rows.read(&aggregate.input)?;
        let mut question = Question::default();
        let mut outputs = Vec::with_capacity(aggregate.group_expr.len() + aggregate.aggr_expr.len());
        let reader = rows.reader(&scope);
        for group in &aggregate.group_expr {
            outputs.push(question.group(&reader, &rows.substitute(&scope, group)?)?);
        }
        if question.dims.is_empty() && !question.by_node && !aggregate.group_expr.is_empty() {
            return Err(Refusal::new(Code::Unsupported, "a group by constants alone")
                .with_rewrite("leave GROUP BY out, or group by a dimension"));
        }
        for measure in &aggregate.aggr_expr {
            outputs.push(question.aggregate(&reader, &rows.substitute(&scope, measure)?)?);
        }
        let cohort = rows.finish()?;
        self.answered(plan, cohort, question, &outputs, beside)
    }

    /// `SELECT DISTINCT` at the gate: its cells.
    fn distinct(&mut self, plan: &LogicalPlan, input: &LogicalPlan) -> Result<LogicalPlan, Refusal> {
        let mut rows = Rows::counted(self.models);
        let scope = rows.read(input)?;
        let mut question = Question::default();
        let reader = rows.reader(&scope);
        let group =
            |bound: &Result<Expr, Refusal>| question.group(&reader, bound.as_ref().map_err(Clone::clone)?);
        let outputs = scope.bound.iter().map(group).collect::<Result<Vec<_>, _>>()?;
        if question.dims.is_empty() && question.by_node {
            // A node has no cells without groups: it has patients or not.
            question.measure(Measure { of: Measured::Patients, filter: BoolTree::always() });
        } else if question.dims.is_empty() {
            return Err(Refusal::new(Code::Unsupported, "DISTINCT of constants over rows of patients"));
        }
        let cohort = rows.finish()?;
        self.answered(plan, cohort, question, &outputs, false)
    }

    /// Asks what an aggregate needs and puts a plan with its columns in its place.
    fn answered(
        &mut self,
        plan: &LogicalPlan,
        (from, cohort): Cohort,
        question: Question,
        outputs: &[Output],
        beside: bool,
    ) -> Result<LogicalPlan, Refusal> {
        let Question { dims, measures, codes, by_node } = question;
        let count = dims.len();
        let filtered = codes.iter().any(|(_, filter)| !filter.is_always());
        let needs_main = !measures.is_empty() || codes.is_empty() || (filtered && count > 0);
        let base = self.query(from, cohort);
        let measured: Vec<Measured> = measures.iter().map(|m| m.of.clone()).collect();
        let mut hidden = Vec::with_capacity(codes.len());
        for (code, filter) in codes {
            let cohort = BoolTree::And(vec![base.cohort.clone(), filter]);
            let dims = dims.iter().cloned().chain([code]).collect();
            hidden.push(PrivateQuery { cohort, dims, ..base.clone() });
        }
        let main = needs_main.then_some(PrivateQuery { dims, measures, ..base });
        let main = main.map(|query| self.ask(query)).transpose()?;
        let hidden = hidden.into_iter().map(|query| self.ask(query)).collect::<Result<Vec<_>, _>>()?;
        if main.as_ref().is_some_and(|asked| is_never(&asked.query.cohort)) {
            return release::unasked(outputs, &measured, plan, beside);
        }
        let number = |mut asked: Asked| {
            asked.number = (!is_never(&asked.query.cohort)).then(|| self.number(&asked.query));
            asked.by_node = by_node;
            asked
        };
        let mut numbered: Vec<Asked> = main.into_iter().chain(hidden).map(number).collect();
        let codes = numbered.split_off(usize::from(needs_main));
        let release = Release { models: self.models, main: numbered.pop(), codes, dims: count, by_node };
        release.plan(outputs, plan, beside)
    }

    fn query(&self, from: JoinTree, cohort: BoolTree) -> PrivateQuery {
        PrivateQuery {
            version: VERSION,
            per_patient: self.per_patient.clone(),
            from,
            cohort,
            dims: Vec::new(),
            measures: Vec::new(),
            noise_sd_milli: self.settings.noise_sd_milli,
            max_rows_per_patient: self.settings.max_rows_per_patient,
        }
    }

    /// The canonical form of a question, validated.
    fn ask(&self, query: PrivateQuery) -> Result<Asked, Refusal> {
        // Canonical form may drop a condition, and with it what must be refused: columns are checked before as well.
        validate_parts(&query, self.models)?;
        let (query, positions) = arranged(query);
        validate(&query, self.models)?;
        Ok(Asked { number: None, by_node: false, positions, query })
    }

    /// The number of a question; equal questions are asked once.
    fn number(&mut self, query: &PrivateQuery) -> usize {
        self.queries.iter().position(|known| known == query).unwrap_or_else(|| {
            self.queries.push(query.clone());
            self.queries.len() - 1
        })
    }

    /// Why a plan that shows rows is refused.
    fn rows_asked(&self, plan: &LogicalPlan) -> Refusal {
        let plan = below_order(plan);
        self.rows_refused(plan).unwrap_or_else(|refusal| refusal)
    }

    fn rows_refused(&self, plan: &LogicalPlan) -> Result<Refusal, Refusal> {
        let mut rows = Rows::counted(self.models);
        let scope = rows.read(plan)?;
        let identifier = if selects_all(plan) { None } else { self.identifier(&rows, &scope) };
        let (from, cohort) = rows.finish()?;
        if from.tables.iter().any(|table| table.per_patient_position().is_some()) {
            return Ok(Refusal::new(Code::IdentifierGrouped, "values of single patients are shown"));
        }
        let measure = Measure { of: Measured::Rows, filter: BoolTree::always() };
        validate(&PrivateQuery { measures: vec![measure], ..self.query(from, cohort) }, self.models)?;
        Ok(match identifier {
            Some(name) => Refusal::new(Code::IdentifierProjected, format!("{name} is an identifier")),
            None => Refusal::new(Code::NoAggregate, "rows of patients are selected"),
        })
    }

    /// The first column that is an identifier.
    fn identifier(&self, rows: &Rows<'_>, scope: &Scope) -> Option<String> {
        let reader = rows.reader(scope);
        scope.bound.iter().flatten().find_map(|bound| {
            let Some(Operand::Own(column)) = operand(bound) else { return None };
            let side = reader.side(&column).ok()?;
            matches!(side.column.role, Role::UnitId | Role::Identifier { .. }).then(|| full_name(side))
        })
    }
}

/// The plan under ORDER BY and LIMIT.
fn below_order(plan: &LogicalPlan) -> &LogicalPlan {
    let mut plan = plan;
    loop {
        plan = match plan {
            LogicalPlan::Sort(sort) => &sort.input,
            LogicalPlan::Limit(limit) => &limit.input,
            other => return other,
        }
    }
}

/// Whether a plan selects every column of its input, as `SELECT *` does.
fn selects_all(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => {
            let input = projection.input.schema().fields().len();
            projection.expr.len() >= input && projection.expr.iter().all(|e| matches!(e, Expr::Column(_)))
        }
        _ => true,
    }
}

/// Whether rows of a model's table would show above this plan.
fn shows_rows(plan: &LogicalPlan) -> bool {
    reads_rows(plan) && !is_nothing(plan) && {
        let inputs = plan.inputs();
        inputs.is_empty() || inputs.into_iter().any(shows_rows)
    }
}

/// Whether a plan reads a model's table without an aggregate in between.
pub(super) fn reads_rows(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(_) | LogicalPlan::Distinct(Distinct::All(_)) => false,
        LogicalPlan::TableScan(scan) => model_table(scan).is_some(),
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Join(_)
        | LogicalPlan::Repartition(_)
        | LogicalPlan::Union(_)
        | LogicalPlan::EmptyRelation(_)
        | LogicalPlan::Subquery(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Statement(_)
        | LogicalPlan::Values(_)
        | LogicalPlan::Explain(_)
        | LogicalPlan::Analyze(_)
        | LogicalPlan::Extension(_)
        | LogicalPlan::Distinct(Distinct::On(_))
        | LogicalPlan::Dml(_)
        | LogicalPlan::Ddl(_)
        | LogicalPlan::Copy(_)
        | LogicalPlan::DescribeTable(_)
        | LogicalPlan::Unnest(_)
        | LogicalPlan::RecursiveQuery(_) => plan.inputs().into_iter().any(reads_rows),
    }
}

/// A table of the hub under its full name.
fn public_scan(scan: &TableScan) -> Result<LogicalPlan, Refusal> {
    let Some((schema, name)) = public_table(scan) else {
        return Err(Refusal::new(Code::TableNotAllowed, format!("{} cannot be read here", scan.table_name)));
    };
    let full = datafusion_common::TableReference::partial(schema.to_owned(), name.to_owned());
    let renamed = scan.table_name != full;
    let plan = LogicalPlan::TableScan(scan.clone());
    if !renamed {
        return Ok(plan);
    }
    LogicalPlanBuilder::scan(full, Arc::clone(&scan.source), scan.projection.clone())
        .and_then(|plan| plan.alias(scan.table_name.clone()))
        .and_then(LogicalPlanBuilder::build)
        .map_err(|e| refused(&e))
}

/// The last look: nothing that is left may scan a table of a model.
fn check_remainder(remainder: &LogicalPlan) -> Result<(), Refusal> {
    let mut scanned = false;
    let walk = remainder.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            scanned |= model_table(scan).is_some();
        }
        Ok(TreeNodeRecursion::Continue)
    });
    if scanned || walk.is_err() {
        return Err(Refusal::new(Code::NoAggregate, "a subquery reads rows of patients"));
    }
    Ok(())
}
