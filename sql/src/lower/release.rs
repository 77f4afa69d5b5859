//! The remainder's view of a released question: a projection that looks exactly like the aggregate it stands for.

use std::sync::Arc;

use caim_ontology::Models;
use datafusion_common::{Column, DFSchema, JoinType, NullEquality, ScalarValue, TableReference};
use datafusion_expr::logical_plan::EmptyRelation;
use datafusion_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, cast, lit, try_cast};
use datafusion_functions::core::expr_fn::{coalesce, nullif};
use datafusion_functions::datetime::expr_fn::make_date;
use datafusion_functions::math::expr_fn::sqrt;
use datafusion_functions_aggregate::expr_fn::count;

use super::beside;
use super::groups::Output;
use super::probes::nothing_like;
use crate::canonical::Positions;
use crate::catalogue::{NODE, ReleasedSource, Said};
use crate::plan::refused;
use crate::private_query::{Aggregate, DatePart, PrivateQuery};
use crate::refusal::{Code, Refusal};
use crate::released;

/// A question that will be asked, and where its parts went in canonical form.
pub(super) struct Asked {
    /// Its number: the remainder scans [`released::table`] of it. `None` when no row can meet its cohort, so that nobody need
    /// be asked.
    pub(super) number: Option<usize>,
    /// Whether what each node released stays apart.
    pub(super) by_node: bool,
    pub(super) positions: Positions,
    pub(super) query: PrivateQuery,
}

/// The tables that an aggregate is put together from.
pub(super) struct Release<'a> {
    pub(super) models: &'a Models,
    /// The question with the measures, if there is one.
    pub(super) main: Option<Asked>,
    /// A question per distinct count of codes; the code is its last dim before canonical order.
    pub(super) codes: Vec<Asked>,
    /// How many dims the statement groups by.
    pub(super) dims: usize,
    /// Whether it groups by node as well.
    pub(super) by_node: bool,
}

impl Asked {
    fn table(&self) -> TableReference {
        TableReference::bare(match self.number {
            Some(number) => released::table(number, self.by_node),
            None => "nothing".to_owned(),
        })
    }

    fn node(&self) -> Column {
        Column::new(Some(self.table()), NODE)
    }

    fn dim(&self, position: usize) -> Column {
        let new = self.positions.dims.get(position).copied().unwrap_or_default();
        Column::new(Some(self.table()), format!("d{new}"))
    }

    fn measure(&self, position: usize) -> Column {
        let new = self.positions.measures.get(position).copied().unwrap_or_default();
        Column::new(Some(self.table()), format!("m{new}"))
    }

    fn scan(&self, models: &Models) -> Result<LogicalPlanBuilder, Refusal> {
        let mut schema = released::schema(&self.query, models)?;
        if self.by_node {
            schema = released::by_node(&schema);
        }
        let schema = Arc::new(schema);
        if self.number.is_none() {
            let schema =
                DFSchema::try_from_qualified_schema(self.table(), &schema).map_err(|e| refused(&e))?;
            let nothing = EmptyRelation { produce_one_row: false, schema: Arc::new(schema) };
            return Ok(LogicalPlanBuilder::from(LogicalPlan::EmptyRelation(nothing)));
        }
        LogicalPlanBuilder::scan(self.table(), Arc::new(ReleasedSource(schema)), None)
            .map_err(|e| refused(&e))
    }
}

impl Release<'_> {
    /// A plan with the columns of `like`, computed from what is released; `beside`: with what stands beside measures.
    pub(super) fn plan(
        &self,
        outputs: &[Output],
        like: &LogicalPlan,
        beside: bool,
    ) -> Result<LogicalPlan, Refusal> {
        let joined = self.joined()?;
        let schema = Arc::clone(joined.schema());
        let columns = outputs.iter().zip(like.schema().iter()).map(|(output, (qualifier, field))| {
            let value = self.value(output)?;
            let is = value.get_type(&schema).map_err(|e| refused(&e))?;
            let value = match output {
                _ if is == *field.data_type() => value,
                // A date that is too far away for a timestamp reads NULL.
                Output::FirstDay { .. } => try_cast(value, field.data_type().clone()),
                _ => cast(value, field.data_type().clone()),
            };
            Ok(value.alias_qualified(qualifier.cloned(), field.name()))
        });
        let mut columns = columns.collect::<Result<Vec<_>, Refusal>>()?;
        if beside {
            for (output, (qualifier, field)) in outputs.iter().zip(like.schema().iter()) {
                let said = self.beside_measure(output).into_iter().flatten();
                columns.extend(said.map(|(said, value)| {
                    value.alias_qualified(qualifier.cloned(), beside::name(field.name(), said))
                }));
            }
        }
        joined.project(columns).and_then(LogicalPlanBuilder::build).map_err(|e| refused(&e))
    }

    /// What stands beside an output, where that is a measure by itself.
    fn beside_measure(&self, output: &Output) -> Option<[(Said, Expr); 4]> {
        let main = self.main.as_ref()?;
        let of = |position: &usize, end: &str| {
            let column = main.measure(*position);
            Expr::Column(Column::new(column.relation, format!("{}{end}", column.name)))
        };
        match output {
            Output::Measure(position) | Output::CountOrNull(position) => {
                Some(beside::all(&of(position, ""), &of(position, "_lower"), &of(position, "_upper")))
            }
            Output::Root(position) => {
                let root = |end| sqrt(of(position, end));
                Some(beside::all(&root(""), &root("_lower"), &root("_upper")))
            }
            Output::Dim(_)
            | Output::Node
            | Output::FirstDay { .. }
            | Output::Constant(_)
            | Output::Codes(_) => None,
        }
    }

    /// The main question's cells with the counts of codes beside them; the first count's cells where there is no main
    /// question.
    fn joined(&self) -> Result<LogicalPlanBuilder, Refusal> {
        let mut plan = match &self.main {
            Some(main) => Some(main.scan(self.models)?),
            None => None,
        };
        for (i, code) in self.codes.iter().enumerate() {
            let counted = self.counted(i, code)?;
            plan = Some(match plan {
                None => counted,
                Some(plan) => self.beside(plan, i, counted)?,
            });
        }
        plan.ok_or_else(|| Refusal::new(Code::Malformed, "an aggregate without dimensions and measures"))
    }

    /// Released codes counted cell by cell: columns `g0`, `g1`, ... and `n` of table `codes_{i}`.
    fn counted(&self, i: usize, code: &Asked) -> Result<LogicalPlanBuilder, Refusal> {
        let dims = (0..self.dims).map(|d| Expr::Column(code.dim(d)).alias(format!("g{d}")));
        let node = self.by_node.then(|| Expr::Column(code.node()).alias(NODE));
        let groups: Vec<Expr> = node.into_iter().chain(dims).collect();
        let counted = count(Expr::Column(code.dim(self.dims))).alias("n");
        let plan = code.scan(self.models)?.aggregate(groups, vec![counted]);
        plan.and_then(|plan| plan.alias(codes_table(i))).map_err(|e| refused(&e))
    }

    fn beside(
        &self,
        plan: LogicalPlanBuilder,
        i: usize,
        counted: LogicalPlanBuilder,
    ) -> Result<LogicalPlanBuilder, Refusal> {
        let counted = counted.build().map_err(|e| refused(&e))?;
        if self.dims == 0 && !self.by_node {
            return plan.cross_join(counted).map_err(|e| refused(&e));
        }
        let mut left: Vec<Column> = (0..self.dims).map(|d| self.dim_column(d)).collect();
        let mut right: Vec<Column> =
            (0..self.dims).map(|d| Column::new(Some(codes_table(i)), format!("g{d}"))).collect();
        if self.by_node {
            left.push(self.node_column());
            right.push(Column::new(Some(codes_table(i)), NODE));
        }
        plan.join_detailed(counted, JoinType::Left, (left, right), None, NullEquality::NullEqualsNull)
            .map_err(|e| refused(&e))
    }

    /// Where the statement's dim stands in the joined plan.
    fn dim_column(&self, dim: usize) -> Column {
        match &self.main {
            Some(main) => main.dim(dim),
            None => Column::new(Some(codes_table(0)), format!("g{dim}")),
        }
    }

    /// Where the node stands in the joined plan.
    fn node_column(&self) -> Column {
        self.main.as_ref().map_or_else(|| Column::new(Some(codes_table(0)), NODE), Asked::node)
    }

    fn value(&self, output: &Output) -> Result<Expr, Refusal> {
        let measure = |position: usize| match &self.main {
            Some(main) => Ok(Expr::Column(main.measure(position))),
            None => Err(Refusal::new(Code::Malformed, "a measure of no question")),
        };
        let dim = |position: usize| Expr::Column(self.dim_column(position));
        Ok(match output {
            Output::Dim(position) => dim(*position),
            Output::Node => Expr::Column(self.node_column()),
            Output::FirstDay { year, within } => {
                let month = match within {
                    None => lit(1i64),
                    Some((DatePart::Quarter, quarter)) => (dim(*quarter) - lit(1i64)) * lit(3i64) + lit(1i64),
                    Some((DatePart::Year | DatePart::Month, month)) => dim(*month),
                };
                let small = |expr| cast(expr, datafusion_common::arrow::datatypes::DataType::Int32);
                make_date(small(dim(*year)), small(month), lit(1i32))
            }
            Output::Constant(value) => Expr::Literal(value.clone(), None),
            Output::Measure(position) => measure(*position)?,
            Output::Root(position) => sqrt(measure(*position)?),
            Output::CountOrNull(position) => nullif(measure(*position)?, lit(0i64)),
            Output::Codes(position) => {
                let counted = Expr::Column(Column::new(Some(codes_table(*position)), "n"));
                coalesce(vec![counted, lit(ScalarValue::Int64(Some(0)))])
            }
        })
    }
}

/// What is known without asking: no row meets the cohort. Counts are 0 and all else is NULL in the one row of an
/// ungrouped aggregate; a grouped one has no rows.
pub(super) fn unasked(
    outputs: &[Output],
    measures: &[Aggregate],
    like: &LogicalPlan,
    beside: bool,
) -> Result<LogicalPlan, Refusal> {
    let grouped =
        outputs.iter().any(|o| matches!(o, Output::Dim(_) | Output::Node | Output::FirstDay { .. }));
    if grouped && !beside {
        return Ok(nothing_like(like));
    }
    let is_count = |output: &Output| match output {
        Output::Measure(position) => measures.get(*position).is_some_and(|of| match of {
            Aggregate::Patients | Aggregate::Rows | Aggregate::Distinct(_) => true,
            Aggregate::Sum(_)
            | Aggregate::Avg(_)
            | Aggregate::Variance { .. }
            | Aggregate::Quantile { .. } => false,
        }),
        Output::Codes(_) => true,
        Output::CountOrNull(_)
        | Output::Root(_)
        | Output::Constant(_)
        | Output::Dim(_)
        | Output::Node
        | Output::FirstDay { .. } => false,
    };
    let mut columns = Vec::with_capacity(outputs.len());
    for (output, (qualifier, field)) in outputs.iter().zip(like.schema().iter()) {
        let known = || if is_count(output) { lit(0i64) } else { lit(ScalarValue::Int64(None)) };
        let value = cast(known(), field.data_type().clone());
        columns.push(value.alias_qualified(qualifier.cloned(), field.name()));
        let measured = matches!(output, Output::Measure(_) | Output::CountOrNull(_) | Output::Root(_));
        if beside && measured {
            let said = beside::all(&known(), &known(), &known()).into_iter();
            columns.extend(said.map(|(said, value)| {
                value.alias_qualified(qualifier.cloned(), beside::name(field.name(), said))
            }));
        }
    }
    let rows = LogicalPlanBuilder::empty(!grouped).project(columns);
    rows.and_then(LogicalPlanBuilder::build).map_err(|e| refused(&e))
}

fn codes_table(i: usize) -> TableReference {
    TableReference::bare(format!("codes_{i}"))
}
