//! The rows below an aggregate: from plan nodes to tables, join keys and a cohort.

use std::sync::Arc;

use caim_ontology::{Models, Role};
use datafusion_common::{DFSchema, DFSchemaRef, JoinType, NullEquality};
use datafusion_expr::expr::BinaryExpr;
use datafusion_expr::logical_plan::{Aggregate, Distinct, Filter, Join, Projection, TableScan};
use datafusion_expr::{Expr, LogicalPlan, Operator};

use super::columns::key_operand;
use super::condition::{Reader, Sense, operands};
use super::joins;
use super::refuse::outer_join;
use super::scope::{Operand, Scope, operand, own_column};
use crate::catalogue::{NODE, model_table};
use crate::plan::refused;
use crate::private_query::{Atom, BoolTree, ColumnRef, Exists, JoinTree, TableRef};
use crate::refusal::{Code, Refusal};

/// Rows as they are read, table by table.
pub(super) struct Rows<'a> {
    models: &'a Models,
    purpose: Purpose,
    outer: Option<Outer<'a>>,
    tables: Vec<TableRef>,
    equalities: Vec<(ColumnRef, ColumnRef)>,
    /// Outer and inner column.
    links: Vec<(ColumnRef, ColumnRef)>,
    cohort: Vec<BoolTree>,
}

/// What the rows are read for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Every row counts.
    Count,
    /// Only whether there is one: duplicates make no difference.
    Exist,
}

/// The query around an `EXISTS`.
#[derive(Clone, Copy)]
pub(super) struct Outer<'a> {
    pub(super) scope: &'a Scope,
    pub(super) tables: &'a [TableRef],
}

fn refuse<T>(code: Code, reason: &str) -> Result<T, Refusal> {
    Err(Refusal::new(code, reason))
}

impl<'a> Rows<'a> {
    /// Rows that are counted.
    pub(super) fn counted(models: &'a Models) -> Self {
        Self::new(models, Purpose::Count, None)
    }

    /// Rows that only must exist.
    pub(super) fn existing(models: &'a Models, outer: Outer<'a>) -> Self {
        Self::new(models, Purpose::Exist, Some(outer))
    }

    fn new(models: &'a Models, purpose: Purpose, outer: Option<Outer<'a>>) -> Self {
        let (tables, equalities, links, cohort) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { models, purpose, outer, tables, equalities, links, cohort }
    }

    /// Reads a plan down to its tables; what its columns are is returned.
    pub(super) fn read(&mut self, plan: &LogicalPlan) -> Result<Scope, Refusal> {
        match plan {
            LogicalPlan::TableScan(scan) => self.scan(scan),
            LogicalPlan::SubqueryAlias(alias) => Ok(self.read(&alias.input)?.renamed(&alias.schema)),
            LogicalPlan::Projection(projection) => self.projection(projection),
            LogicalPlan::Filter(filter) => self.filter(filter),
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Distinct(Distinct::All(input)) if self.purpose == Purpose::Exist => self.read(input),
            LogicalPlan::Aggregate(aggregate) if self.purpose == Purpose::Exist => self.groups(aggregate),
            LogicalPlan::Limit(_) | LogicalPlan::Sort(_) => {
                refuse(Code::LimitBelowAggregate, "ORDER BY or LIMIT stands below an aggregate")
            }
            LogicalPlan::Window(_) => refuse(Code::Window, "a window function runs over rows of patients"),
            LogicalPlan::Union(_) => refuse(Code::SetOperation, "UNION of rows of patients"),
            LogicalPlan::Values(_) | LogicalPlan::EmptyRelation(_) => {
                refuse(Code::ValuesRelation, "a list of values stands beside rows of patients")
            }
            LogicalPlan::Aggregate(_) | LogicalPlan::Distinct(_) => Err(Refusal::new(
                Code::Unsupported,
                "an aggregate is joined with rows of patients",
            )
            .with_rewrite(
                "aggregate both sides, then join the results; to count patients that have rows, use EXISTS",
            )),
            LogicalPlan::Subquery(_)
            | LogicalPlan::Repartition(_)
            | LogicalPlan::Unnest(_)
            | LogicalPlan::Extension(_)
            | LogicalPlan::RecursiveQuery(_) => {
                refuse(Code::Unsupported, "this kind of subquery below an aggregate")
            }
            LogicalPlan::Statement(_)
            | LogicalPlan::Explain(_)
            | LogicalPlan::Analyze(_)
            | LogicalPlan::Dml(_)
            | LogicalPlan::Ddl(_)
            | LogicalPlan::Copy(_)
            | LogicalPlan::DescribeTable(_) => refuse(Code::Statement, "a statement inside a query"),
        }
    }

    /// Join tree and cohort of counted rows.
    pub(super) fn finish(self) -> Result<(JoinTree, BoolTree), Refusal> {
        let from = joins::join_tree(&self.tables, &self.equalities, self.models)?;
        Ok((from, BoolTree::And(self.cohort)))
    }

    /// The `EXISTS` that rows of the outer query have.
    pub(super) fn finish_exists(self) -> Result<Exists, Refusal> {
        let outer = self.outer.map_or(&[][..], |outer| outer.tables);
        let from = joins::join_tree(&self.tables, &self.equalities, self.models)?;
        let link = joins::link(&self.links, outer, &self.tables, self.models)?;
        Ok(Exists { from, link, cohort: BoolTree::And(self.cohort) })
    }

    /// What lowers conditions over the columns of a scope.
    pub(super) fn reader<'b>(&'b self, scope: &'b Scope) -> Reader<'b> {
        let outer = self.outer.map_or(&[][..], |outer| outer.tables);
        Reader { models: self.models, tables: &self.tables, outer, cohort: &self.cohort, scope }
    }

    /// Ties the outer row to an inner one.
    pub(super) fn tie(&mut self, outer: ColumnRef, inner: ColumnRef) {
        self.links.push((outer, inner));
    }

    /// An expression over a scope's columns, in terms of tables.
    pub(super) fn substitute(&self, scope: &Scope, expr: &Expr) -> Result<Expr, Refusal> {
        scope.substitute(expr, self.outer.map(|outer| outer.scope))
    }

    fn scan(&mut self, scan: &TableScan) -> Result<Scope, Refusal> {
        let Some(table) = model_table(scan) else {
            let reason = format!("{} is a table of the hub", scan.table_name);
            return Err(Refusal::new(Code::TableNotAllowed, reason)
                .with_rewrite("aggregate the patients first, then join the result to it"));
        };
        if scan.fetch.is_some() {
            return refuse(Code::LimitBelowAggregate, "LIMIT stands below an aggregate");
        }
        let position = self.tables.len();
        self.tables.push(table.clone());
        let fields = scan.projected_schema.fields().iter();
        let bound = fields.map(|field| Ok(own_column(position, field.name()))).collect();
        let scope = Scope { schema: Arc::clone(&scan.projected_schema), bound };
        scan.filters.iter().try_for_each(|filter| self.add(filter, &scope))?;
        Ok(scope)
    }

    fn projection(&mut self, projection: &Projection) -> Result<Scope, Refusal> {
        let input = self.read(&projection.input)?;
        let bound = projection.expr.iter().map(|expr| self.derived(&input, expr)).collect();
        Ok(Scope { schema: Arc::clone(&projection.schema), bound })
    }

    /// A computed column; one with a subquery would lose the names that the subquery refers to.
    fn derived(&self, input: &Scope, expr: &Expr) -> Result<Expr, Refusal> {
        let inner = expr.clone().unalias_nested().data;
        if super::refuse::has_subquery(&inner) {
            return refuse(Code::ScalarSubquery, "a column is computed by a subquery");
        }
        self.substitute(input, &inner)
    }

    fn groups(&mut self, aggregate: &Aggregate) -> Result<Scope, Refusal> {
        if !aggregate.aggr_expr.is_empty()
            || aggregate.group_expr.iter().any(|e| matches!(e, Expr::GroupingSet(_)))
        {
            return Err(Refusal::new(Code::Unsupported, "a subquery that aggregates picks patients")
                .with_rewrite("values per patient are not offered yet; use EXISTS with conditions on rows"));
        }
        let input = self.read(&aggregate.input)?;
        let bound = aggregate.group_expr.iter().map(|expr| self.derived(&input, expr)).collect();
        Ok(Scope { schema: Arc::clone(&aggregate.schema), bound })
    }

    fn filter(&mut self, filter: &Filter) -> Result<Scope, Refusal> {
        let mut conditions: Vec<Expr> =
            operands(&filter.predicate, Operator::And).into_iter().cloned().collect();
        let scope = match filter.input.as_ref() {
            LogicalPlan::Join(join) if join.join_type == JoinType::Left => {
                self.left_join(join, &mut conditions)?
            }
            input => self.read(input)?,
        };
        conditions.iter().try_for_each(|condition| self.add(condition, &scope))?;
        Ok(scope)
    }

    /// Takes in a condition that every row must meet.
    fn add(&mut self, condition: &Expr, scope: &Scope) -> Result<(), Refusal> {
        let condition = self.substitute(scope, condition)?;
        self.add_substituted(&condition, scope)
    }

    fn add_substituted(&mut self, condition: &Expr, scope: &Scope) -> Result<(), Refusal> {
        if let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = condition {
            match (key_operand(left), key_operand(right)) {
                // All rows of a node's answer are that node's.
                (Some(a), Some(b)) if is_node(&a) && is_node(&b) => return Ok(()),
                (Some(a), Some(b)) if self.are_dates(scope, &a, &b)? => {}
                (Some(Operand::Own(a)), Some(Operand::Own(b))) if a.table != b.table => {
                    self.equalities.push((a, b));
                    return Ok(());
                }
                (Some(Operand::Own(own)), Some(Operand::Outer(outer)))
                | (Some(Operand::Outer(outer)), Some(Operand::Own(own))) => {
                    self.links.push((outer, own));
                    return Ok(());
                }
                _ => {}
            }
        }
        let lowered = self.reader(scope).condition(condition, Sense::Holds)?;
        self.cohort.push(lowered);
        Ok(())
    }

    /// Whether an equality compares two dates: no key, but a condition.
    fn are_dates(&self, scope: &Scope, a: &Operand, b: &Operand) -> Result<bool, Refusal> {
        let reader = self.reader(scope);
        let is_date = |operand| Ok(matches!(reader.side_of(operand)?.column.role, Role::Date { .. }));
        Ok::<_, Refusal>(is_date(a)? && is_date(b)?)
    }

    fn join(&mut self, join: &Join) -> Result<Scope, Refusal> {
        if join.null_equality == NullEquality::NullEqualsNull {
            return refuse(Code::SetOperation, "INTERSECT or EXCEPT of rows of patients");
        }
        match join.join_type {
            JoinType::Inner => self.inner_join(join),
            JoinType::LeftSemi => self.semi_join(join, &join.left, &join.right, Sense::Holds),
            JoinType::LeftAnti => self.semi_join(join, &join.left, &join.right, Sense::Fails),
            JoinType::RightSemi => self.semi_join(join, &join.right, &join.left, Sense::Holds),
            JoinType::RightAnti => self.semi_join(join, &join.right, &join.left, Sense::Fails),
            JoinType::Left | JoinType::Right | JoinType::Full => Err(outer_join(join.join_type)),
            JoinType::LeftMark | JoinType::RightMark => refuse(Code::Unsupported, "a mark join"),
        }
    }

    fn inner_join(&mut self, join: &Join) -> Result<Scope, Refusal> {
        if let Some(scope) = self.distinct_join(join)? {
            return Ok(scope);
        }
        let left = self.read(&join.left)?;
        let right = self.read(&join.right)?;
        for (l, r) in &join.on {
            let (l, r) = (self.substitute(&left, l)?, self.substitute(&right, r)?);
            self.add_substituted(&l.eq(r), &left)?;
        }
        let scope = left.beside(right, &join.schema);
        if let Some(filter) = &join.filter {
            operands(filter, Operator::And)
                .into_iter()
                .try_for_each(|condition| self.add(condition, &scope))?;
        }
        Ok(scope)
    }

    /// A join to the different values of one key, `JOIN (SELECT DISTINCT patient_id ...)`: it adds no rows, so that it
    /// asks only whether rows exist.
    fn distinct_join(&mut self, join: &Join) -> Result<Option<Scope>, Refusal> {
        let Some((left_key, right_key)) = only_equality(join) else { return Ok(None) };
        let (kept, kept_key, distinct) = if is_one_distinct_column(&join.right) {
            (&join.left, left_key, &join.right)
        } else if is_one_distinct_column(&join.left) {
            (&join.right, right_key, &join.left)
        } else {
            return Ok(None);
        };
        let scope = self.read(kept)?;
        let (inner, _) = self.asked(join, &scope, distinct)?;
        let exists = inner.finish_exists()?;
        self.cohort.push(BoolTree::Is(Atom::Exists(Box::new(exists))));
        let key = self.substitute(&scope, &kept_key)?;
        let other = Scope { schema: Arc::clone(distinct.schema()), bound: vec![Ok(key)] };
        let (left, right) = if Arc::ptr_eq(kept, &join.left) { (scope, other) } else { (other, scope) };
        Ok(Some(left.beside(right, &join.schema)))
    }

    fn semi_join(
        &mut self,
        join: &Join,
        kept: &LogicalPlan,
        asked: &Arc<LogicalPlan>,
        sense: Sense,
    ) -> Result<Scope, Refusal> {
        let scope = self.read(kept)?;
        let (inner, _) = self.asked(join, &scope, asked)?;
        let exists = BoolTree::Is(Atom::Exists(Box::new(inner.finish_exists()?)));
        self.cohort.push(sense.of(exists));
        Ok(scope.renamed(&join.schema))
    }

    /// The side of a join of which only is asked whether it has rows for a row of the side that is kept.
    fn asked<'b>(
        &'b self,
        join: &Join,
        kept: &'b Scope,
        asked: &Arc<LogicalPlan>,
    ) -> Result<(Rows<'b>, Scope), Refusal> {
        let mut inner = Rows::existing(self.models, Outer { scope: kept, tables: &self.tables });
        let own = inner.read(asked)?;
        let outside = kept.all_outer();
        let (left, right) = if Arc::ptr_eq(asked, &join.right) { (&outside, &own) } else { (&own, &outside) };
        for (l, r) in &join.on {
            let (l, r) = (left.substitute(l, None)?, right.substitute(r, None)?);
            inner.add_substituted(&l.eq(r), &own)?;
        }
        if let Some(filter) = &join.filter {
            let beside = left.clone().beside(right.clone(), &both(&join.left, &join.right)?);
            for condition in operands(filter, Operator::And) {
                inner.add_substituted(&beside.substitute(condition, None)?, &beside)?;
            }
        }
        Ok((inner, own))
    }

    /// `LEFT JOIN ... WHERE right.key IS NULL`: rows without a partner. Any other left join is refused.
    fn left_join(&mut self, join: &Join, conditions: &mut Vec<Expr>) -> Result<Scope, Refusal> {
        let scope = match join.left.as_ref() {
            LogicalPlan::Join(inner) if inner.join_type == JoinType::Left => {
                self.left_join(inner, conditions)?
            }
            left => self.read(left)?,
        };
        let (inner, own) = self.asked(join, &scope, &join.right)?;
        let missing = conditions.iter().position(|condition| inner.says_missing(condition, &own));
        let exists = inner.finish_exists();
        conditions.remove(missing.ok_or_else(|| outer_join(JoinType::Left))?);
        let exists = BoolTree::Is(Atom::Exists(Box::new(exists?)));
        self.cohort.push(Sense::Fails.of(exists));
        let absent = join.right.schema().fields().iter().map(|_| Err(outer_join(JoinType::Left))).collect();
        let right = Scope { schema: Arc::clone(join.right.schema()), bound: absent };
        Ok(scope.beside(right, &join.schema))
    }

    /// Whether a condition asks that a key by which these rows are tied to the outer row is NULL: a row that is there
    /// always has it.
    fn says_missing(&self, condition: &Expr, own: &Scope) -> bool {
        let Expr::IsNull(inner) = condition else { return false };
        let Expr::Column(column) = inner.as_ref() else { return false };
        let bound = own.schema.maybe_index_of_column(column).and_then(|i| own.bound.get(i));
        match bound.and_then(|b| operand(b.as_ref().ok()?)) {
            Some(Operand::Own(key)) => self.links.iter().any(|(_, linked)| *linked == key),
            Some(Operand::Outer(_)) | None => false,
        }
    }
}

/// Both sides of a join's condition, where that is one equality.
fn only_equality(join: &Join) -> Option<(Expr, Expr)> {
    match (join.on.as_slice(), &join.filter) {
        ([(left, right)], None) => Some((left.clone(), right.clone())),
        ([], Some(Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }))) => {
            let of_left = |expr: &Expr| {
                expr.column_refs().iter().all(|c| join.left.schema().maybe_index_of_column(c).is_some())
            };
            let (left, right) = (left.as_ref().clone(), right.as_ref().clone());
            Some(if of_left(&left) { (left, right) } else { (right, left) })
        }
        _ => None,
    }
}

fn both(left: &LogicalPlan, right: &LogicalPlan) -> Result<DFSchemaRef, Refusal> {
    let joined: DFSchema = left.schema().join(right.schema()).map_err(|e| refused(&e))?;
    Ok(Arc::new(joined))
}

/// Whether a plan is the different values of one column.
fn is_one_distinct_column(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => is_one_distinct_column(&alias.input),
        LogicalPlan::Projection(projection) => {
            let plain = matches!(projection.expr.as_slice(), [Expr::Column(_) | Expr::Alias(_)]);
            plain
                && matches!(projection.input.as_ref(), LogicalPlan::Aggregate(_))
                && is_one_distinct_column(&projection.input)
        }
        LogicalPlan::Distinct(Distinct::All(input)) => input.schema().fields().len() == 1,
        LogicalPlan::Aggregate(aggregate) => {
            matches!(aggregate.group_expr.as_slice(), [Expr::Column(_)]) && aggregate.aggr_expr.is_empty()
        }
        _ => false,
    }
}

/// Whether an operand is the node that a row is at.
fn is_node(operand: &Operand) -> bool {
    match operand {
        Operand::Own(column) | Operand::Outer(column) => column.column == NODE,
    }
}
