//! Values per patient: inner aggregates by `patient_id` or by a record of one patient, and `ROW_NUMBER() = 1`.
//!
//! They are taken out of the plan first, from the innermost outwards. In the place of each stands a scan of a table that
//! the question brings along, so that all else reads it as it reads any table.

use std::sync::Arc;

use caim_ontology::{Models, Role};
use datafusion_common::arrow::datatypes::{DataType, FieldRef};
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, DataFusionError, JoinType, ScalarValue, TableReference};
use datafusion_expr::expr::{BinaryExpr, Sort, WindowFunction, WindowFunctionParams};
use datafusion_expr::logical_plan::{Aggregate, Filter, Window};
use datafusion_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, cast, lit};

use super::columns::{Target, target};
use super::condition::operands;
use super::constant::constant;
use super::patient_values;
use super::rows::Rows;
use super::scope::{Operand, Scope, operand};
use super::split::reads_rows;
use crate::catalogue::{NODE, model_source};
use crate::per_patient::with_tables;
use crate::plan::refused;
use crate::private_query::per_patient::SCHEMA;
use crate::private_query::{BoolTree, ColumnRef, Dim, PatientValue, PerPatient, TableRef, ValueOf};
use crate::refusal::{Code, Refusal};

/// A plan without values per patient, their tables, and the models with these.
pub(super) struct Taken {
    pub(super) plan: LogicalPlan,
    pub(super) tables: Vec<PerPatient>,
    pub(super) models: Models,
}

/// Takes values per patient out of a plan.
pub(super) fn taken(plan: &LogicalPlan, models: &Models) -> Result<Taken, Refusal> {
    let mut values = Values { base: models, models: models.clone(), tables: Vec::new() };
    let plan = plan.clone().transform_up_with_subqueries(|node| {
        values.replaced(node).map_err(|refusal| DataFusionError::External(Box::new(refusal)))
    });
    let plan = plan.map_err(|e| refused(&e))?.data;
    Ok(Taken { plan, tables: values.tables, models: values.models })
}

struct Values<'a> {
    base: &'a Models,
    models: Models,
    tables: Vec<PerPatient>,
}

/// A window that numbers the rows of each patient.
struct Numbered<'a> {
    window: &'a Window,
    partition: &'a [Expr],
    order: &'a [Sort],
}

impl Values<'_> {
    fn replaced(&mut self, node: LogicalPlan) -> Result<Transformed<LogicalPlan>, Refusal> {
        let replaced = match &node {
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate)?,
            LogicalPlan::Filter(filter) => self.first_rows(filter)?,
            _ => None,
        };
        Ok(replaced.map_or_else(|| Transformed::no(node), Transformed::yes))
    }

    /// An aggregate by patients; `None` for any other.
    fn aggregate(&mut self, aggregate: &Aggregate) -> Result<Option<LogicalPlan>, Refusal> {
        if aggregate.aggr_expr.is_empty() || !reads_rows(&aggregate.input) {
            return Ok(None);
        }
        let models = self.models.clone();
        let mut rows = Rows::counted(&models);
        // What cannot be read here is refused where it stands.
        let Ok(scope) = rows.read(&aggregate.input) else { return Ok(None) };
        let is_one_s = |group: &Expr| key(&rows, &scope, group).is_some_and(|key| key.is_one_s());
        if !aggregate.group_expr.iter().any(is_one_s) {
            return Ok(None);
        }
        let keys = aggregate.group_expr.iter().map(|group| {
            key(&rows, &scope, group).ok_or_else(|| {
                Refusal::new(Code::IdentifierGrouped, "patients are grouped by an expression besides")
                    .with_rewrite("group by patient_id, records, dimensions, and parts of dates")
            })
        });
        let keys = keys.collect::<Result<Vec<Key>, Refusal>>()?;
        let by = besides(&keys);
        let mut values = Vec::with_capacity(aggregate.aggr_expr.len());
        for expr in &aggregate.aggr_expr {
            values.push(patient_values::value(&rows.reader(&scope), &rows.substitute(&scope, expr)?)?);
        }
        let (from, cohort) = rows.finish()?;
        let mut fields = aggregate.schema.iter();
        let mut columns = Vec::new();
        for (key, (relation, field)) in keys.iter().zip(fields.by_ref()) {
            let name = key.name(&by);
            columns.push((Expr::Column(Column::from_name(name)), relation.cloned(), Arc::clone(field)));
        }
        for ((i, (relation, field)), value) in fields.enumerate().zip(&values) {
            let shown = value.shown(PerPatient::value_name(i));
            columns.push((shown, relation.cloned(), Arc::clone(field)));
        }
        let values = values.into_iter().map(|value| value.value).collect();
        let table = self.add(PerPatient { from, cohort, by, values });
        self.scan(table, columns).map(Some)
    }

    /// A filter that keeps the first row of each patient; `None` for any other.
    fn first_rows(&mut self, filter: &Filter) -> Result<Option<LogicalPlan>, Refusal> {
        for condition in operands(&filter.predicate, Operator::And) {
            let Some(number) = kept_first(condition) else { continue };
            let Some(position) = filter.input.schema().maybe_index_of_column(number) else { continue };
            let Some(input) = self.first_at(&filter.input, position)? else { continue };
            let filter = Filter::try_new(filter.predicate.clone(), Arc::new(input));
            return Ok(Some(LogicalPlan::Filter(filter.map_err(|e| refused(&e))?)));
        }
        Ok(None)
    }

    /// The plan with the first row of each patient in the place of the window that numbers rows in the column of a
    /// position; `None` where there is no such window.
    fn first_at(&mut self, plan: &LogicalPlan, position: usize) -> Result<Option<LogicalPlan>, Refusal> {
        let input = match plan {
            LogicalPlan::SubqueryAlias(alias) => self.first_at(&alias.input, position)?,
            LogicalPlan::Filter(filter) => self.first_at(&filter.input, position)?,
            LogicalPlan::Projection(projection) => {
                let expr = projection.expr.get(position).map(|expr| expr.clone().unalias_nested().data);
                let Some(Expr::Column(column)) = expr else { return Ok(None) };
                let Some(below) = projection.input.schema().maybe_index_of_column(&column) else {
                    return Ok(None);
                };
                self.first_at(&projection.input, below)?
            }
            LogicalPlan::Join(join) if join.join_type == JoinType::Inner => {
                let left = join.left.schema().fields().len();
                let inputs = if position < left {
                    self.first_at(&join.left, position)?.map(|found| vec![found, join.right.as_ref().clone()])
                } else {
                    let found = self.first_at(&join.right, position - left)?;
                    found.map(|found| vec![join.left.as_ref().clone(), found])
                };
                let rebuilt = inputs.map(|inputs| plan.with_new_exprs(plan.expressions(), inputs));
                return rebuilt.transpose().map_err(|e| refused(&e));
            }
            LogicalPlan::Window(window) if reads_rows(&window.input) => {
                let [expr] = window.window_expr.as_slice() else { return Ok(None) };
                let numbers = position == window.input.schema().fields().len();
                let Some((partition, order)) = row_number(expr).filter(|_| numbers) else { return Ok(None) };
                return self.firsts(&Numbered { window, partition, order }).map(Some);
            }
            _ => return Ok(None),
        };
        let rebuilt = input.map(|input| plan.with_new_exprs(plan.expressions(), vec![input]));
        rebuilt.transpose().map_err(|e| refused(&e))
    }

    /// The window's columns in the first row of each patient; the number of the row is 1.
    fn firsts(
        &mut self,
        Numbered { window, partition, order }: &Numbered<'_>,
    ) -> Result<LogicalPlan, Refusal> {
        let models = self.models.clone();
        let mut rows = Rows::counted(&models);
        let scope = rows.read(&window.input)?;
        let keys = partition.iter().map(|expr| key(&rows, &scope, expr)).collect::<Option<Vec<Key>>>();
        let Some(keys) = keys.filter(|keys| keys.iter().any(Key::is_one_s)) else {
            return Err(Refusal::new(Code::Window, "rows are numbered across patients")
                .with_rewrite("ROW_NUMBER() OVER (PARTITION BY patient_id ORDER BY date)"));
        };
        let by = besides(&keys);
        let order = patient_values::order(&rows.reader(&scope), |e| rows.substitute(&scope, e), order)?;
        let shown = scope.bound.iter().cloned().collect::<Result<Vec<Expr>, Refusal>>()?;
        let own = shown
            .iter()
            .flat_map(own_columns)
            .filter(|column| column.column != NODE && !is_patient(&rows, &scope, column));
        let key_of = |column: &ColumnRef| by.iter().position(|b| *b == Dim::Column(column.clone()));
        let mut picked: Vec<ColumnRef> = own.filter(|column| key_of(column).is_none()).collect();
        picked.sort();
        picked.dedup();
        let first = |column: &ColumnRef| PatientValue {
            of: ValueOf::First { column: column.clone(), order: order.clone() },
            filter: BoolTree::always(),
        };
        let values = picked.iter().map(first).collect();
        let (from, cohort) = rows.finish()?;
        let table = self.add(PerPatient { from, cohort, by: by.clone(), values });
        let stands = |column: &ColumnRef| match (picked.iter().position(|p| p == column), key_of(column)) {
            (Some(position), _) => PerPatient::value_name(position),
            (None, Some(position)) => PerPatient::key_name(position),
            (None, None) => column.column.clone(),
        };
        let mut columns = Vec::new();
        for (expr, (relation, field)) in shown.into_iter().zip(window.schema.iter()) {
            let over = expr.transform_up(|node| {
                let Some(Operand::Own(column)) = operand(&node) else { return Ok(Transformed::no(node)) };
                Ok(Transformed::yes(Expr::Column(Column::from_name(stands(&column)))))
            });
            let over = over.map_err(|e| refused(&e))?.data;
            columns.push((over, relation.cloned(), Arc::clone(field)));
        }
        let numbers = window.schema.iter().skip(columns.len());
        for (relation, field) in numbers {
            let one = ScalarValue::Int64(Some(1)).cast_to(field.data_type()).map_err(|e| refused(&e))?;
            columns.push((lit(one), relation.cloned(), Arc::clone(field)));
        }
        self.scan(table, columns)
    }

    /// The number of a table; equal ones are one.
    fn add(&mut self, table: PerPatient) -> usize {
        self.tables.iter().position(|known| *known == table).unwrap_or_else(|| {
            self.tables.push(table);
            self.tables.len() - 1
        })
    }

    /// A scan of a table, with columns of other names.
    fn scan(&mut self, table: usize, columns: Vec<Named>) -> Result<LogicalPlan, Refusal> {
        self.models = with_tables(&self.tables, self.base)?.into_owned();
        let name = TableRef::per_patient(table);
        let model = self
            .models
            .table(SCHEMA, &name.table)
            .map_err(|_| Refusal::new(Code::Malformed, "a table of values per patient that is not there"))?;
        let source = model_source(SCHEMA, model);
        let scanned = TableReference::partial(SCHEMA, name.table.clone());
        let plan = LogicalPlanBuilder::scan(scanned, source, None).map_err(|e| refused(&e))?;
        let schema = Arc::clone(plan.schema());
        let columns = columns.into_iter().map(|(expr, relation, field)| {
            let same = expr.get_type(&schema).is_ok_and(|ty| ty == *field.data_type());
            let expr = if same { expr } else { cast(expr, field.data_type().clone()) };
            expr.alias_qualified(relation, field.name())
        });
        let columns = columns.collect::<Vec<_>>();
        plan.project(columns).and_then(LogicalPlanBuilder::build).map_err(|e| refused(&e))
    }
}

/// An expression and the column that it becomes.
type Named = (Expr, Option<TableReference>, FieldRef);

/// What rows are grouped or numbered by.
enum Key {
    /// By the name that the column has in its table.
    Patient(String),
    /// The node that the patient is at.
    Node,
    /// An identifier of one patient.
    Record(Dim),
    /// A dimension or a part of a date.
    Part(Dim),
}

impl Key {
    /// Whether rows with this key are rows of one patient.
    fn is_one_s(&self) -> bool {
        match self {
            Self::Patient(_) | Self::Record(_) => true,
            Self::Node | Self::Part(_) => false,
        }
    }

    /// The column that it becomes.
    fn name(&self, by: &[Dim]) -> String {
        match self {
            Self::Patient(name) => name.clone(),
            Self::Node => NODE.to_owned(),
            Self::Record(dim) | Self::Part(dim) => {
                PerPatient::key_name(by.iter().position(|b| b == dim).unwrap_or_default())
            }
        }
    }
}

fn key(rows: &Rows<'_>, scope: &Scope, expr: &Expr) -> Option<Key> {
    let bound = rows.substitute(scope, expr).ok()?.unalias_nested().data;
    if let Some(Target::Part { part, column }) = target(&bound) {
        return Some(Key::Part(Dim::DatePart { part, column }));
    }
    let Some(Operand::Own(column)) = operand(&bound) else { return None };
    if column.column == NODE {
        return Some(Key::Node);
    }
    match &rows.reader(scope).side(&column).ok()?.column.role {
        Role::UnitId => Some(Key::Patient(column.column)),
        Role::Identifier { one_patient: true } => Some(Key::Record(Dim::Column(column))),
        Role::Dimension { .. } => Some(Key::Part(Dim::Column(column))),
        Role::Identifier { one_patient: false } | Role::Measure { .. } | Role::Date { .. } | Role::Hidden => {
            None
        }
    }
}

/// What there is besides the patient, each once.
fn besides(keys: &[Key]) -> Vec<Dim> {
    let mut besides: Vec<Dim> = Vec::new();
    for key in keys {
        match key {
            Key::Record(dim) | Key::Part(dim) if !besides.contains(dim) => besides.push(dim.clone()),
            Key::Record(_) | Key::Part(_) | Key::Patient(_) | Key::Node => {}
        }
    }
    besides
}

fn is_patient(rows: &Rows<'_>, scope: &Scope, column: &ColumnRef) -> bool {
    rows.reader(scope).side(column).is_ok_and(|side| side.column.role == Role::UnitId)
}

fn own_columns(expr: &Expr) -> Vec<ColumnRef> {
    let mut found = Vec::new();
    let walk = expr.apply(|node| {
        if let Some(Operand::Own(column)) = operand(node) {
            found.push(column);
        }
        Ok(TreeNodeRecursion::Continue)
    });
    debug_assert!(walk.is_ok(), "the walk itself cannot fail");
    found
}

/// Partition and order of `row_number() OVER (PARTITION BY ... ORDER BY ...)`.
fn row_number(expr: &Expr) -> Option<(&[Expr], &[Sort])> {
    match expr {
        Expr::Alias(alias) => row_number(&alias.expr),
        Expr::WindowFunction(call) => {
            let WindowFunction { fun, params } = call.as_ref();
            let WindowFunctionParams { args, partition_by, order_by, filter, distinct, .. } = params;
            let plain = fun.name() == "row_number" && args.is_empty() && filter.is_none() && !distinct;
            (plain && !order_by.is_empty()).then_some((partition_by, order_by))
        }
        _ => None,
    }
}

/// The column of which a condition keeps 1: `number = 1`, `number <= 1` or `number < 2`.
fn kept_first(condition: &Expr) -> Option<&Column> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = condition else { return None };
    let value = |expr: &Expr| match constant(expr)?.cast_to(&DataType::Int64) {
        Ok(ScalarValue::Int64(value)) => value,
        Ok(_) | Err(_) => None,
    };
    match (op, value(left), value(right)) {
        (Operator::Eq | Operator::LtEq, None, Some(1)) | (Operator::Lt, None, Some(2)) => numbers(left),
        (Operator::Eq | Operator::GtEq, Some(1), None) | (Operator::Gt, Some(2), None) => numbers(right),
        _ => None,
    }
}

fn numbers(expr: &Expr) -> Option<&Column> {
    match expr {
        Expr::Column(column) => Some(column),
        Expr::Cast(cast) => numbers(&cast.expr),
        _ => None,
    }
}
