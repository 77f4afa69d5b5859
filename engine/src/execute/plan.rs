//! The logical plan of a private query, built from the closed form alone. Every table of patients is joined on the
//! patient, so no step leaves one patient; names in plans are ours, never the asker's.

use std::sync::Arc;

use caim_ontology::{ColumnType, Role, Table, TableKind};
use caim_sql::PrivateQuery;
use caim_sql::bounds;
use caim_sql::private_query::{
    Aggregate, Atom, BoolTree, ColumnRef, DateOf, Edge, Endpoint, Exists, JoinKey, JoinTree, Link, Measure,
    Number, TableRef, Value,
};
use caim_sql::released::arrow_type;
use caim_warehouse::TableName;
use caim_warehouse::layout::{PATIENT, ROW};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::{Column, JoinType, ScalarValue};
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::datasource::{TableProvider, provider_as_source};
use datafusion::error::DataFusionError;
use datafusion::functions_aggregate::expr_fn::{array_agg, count, count_distinct, sum};
use datafusion::logical_expr::{
    Expr, LogicalPlan, LogicalPlanBuilder, cast, exists, ident, lit, not, out_ref_col, when,
};

use super::{ExecuteError, Execution, concepts, numbers};
use crate::accounting::{Accounting, Vector};

/// The tables of one join tree under their aliases, and where they stand in the question.
pub(super) struct Scope<'a> {
    tables: Vec<&'a Table>,
    /// `t` at the top, `e1_`, `e2_` and so on in subqueries.
    prefix: String,
    depth: usize,
    /// The tables directly outside of a subquery.
    outer: Option<&'a Scope<'a>>,
}

impl Scope<'_> {
    fn table(&self, position: usize) -> Result<&Table, ExecuteError> {
        self.tables.get(position).copied().ok_or_else(|| ExecuteError::Model("a column of no table".into()))
    }

    fn alias(&self, position: usize) -> String {
        format!("{}{position}", self.prefix)
    }

    fn physical(&self, position: usize, name: &str) -> Column {
        Column::new(Some(self.alias(position)), name)
    }

    /// The stored column; a column of role unit_id is the ordinal.
    pub(super) fn column(&self, column: &ColumnRef) -> Result<Column, ExecuteError> {
        let table = self.table(column.table)?;
        let found = table
            .column(&column.column)
            .ok_or_else(|| ExecuteError::Model(format!("{} has no column {}", table.name, column.column)))?;
        let name = if found.role == Role::UnitId { PATIENT } else { &found.stored };
        Ok(self.physical(column.table, name))
    }

    /// What the model says of a column.
    pub(super) fn model(&self, column: &ColumnRef) -> Result<&caim_ontology::Column, ExecuteError> {
        let found = self.table(column.table)?.column(&column.column);
        found.ok_or_else(|| ExecuteError::Model(format!("there is no column {}", column.column)))
    }

    /// The type of a column.
    pub(super) fn column_type(&self, column: &ColumnRef) -> Result<ColumnType, ExecuteError> {
        Ok(self.model(column)?.ty)
    }

    /// The column that keeps what the source said for a column of concepts, where the table has one.
    pub(super) fn original(&self, column: &ColumnRef) -> Result<Option<Column>, ExecuteError> {
        let name = format!("{}_original", column.column);
        let found = self.table(column.table)?.column(&name);
        Ok(found.map(|twin| self.physical(column.table, &twin.stored)))
    }

    /// A date of the row, or of the row outside.
    fn date(&self, date: &DateOf) -> Result<Expr, ExecuteError> {
        match date {
            DateOf::Own(column) => Ok(Expr::Column(self.column(column)?)),
            DateOf::Outer(column) => {
                let missing = || ExecuteError::Model("a date of a row outside that is not there".into());
                let theirs = self.outer.ok_or_else(missing)?.column(column)?;
                Ok(out_ref_col(DataType::Date32, theirs))
            }
        }
    }

    fn is_patient(&self, position: usize) -> bool {
        self.tables.get(position).is_some_and(|t| t.kind == TableKind::Patient)
    }

    /// The row key of the table that a column stands in, or of the first table of patients.
    pub(super) fn row_key(&self, of: Option<&ColumnRef>) -> Result<Column, ExecuteError> {
        match of {
            Some(of) if self.is_patient(of.table) => Ok(self.physical(of.table, ROW)),
            Some(_) | None => Ok(Column::new(self.patient()?.relation, ROW)),
        }
    }

    /// The row keys of all tables of patients.
    pub(super) fn row_keys(&self, tree: &JoinTree) -> Vec<Column> {
        let patients = (0..tree.tables.len()).filter(|i| self.is_patient(*i));
        patients.map(|i| self.physical(i, ROW)).collect()
    }

    /// The patient of a joined row.
    pub(super) fn patient(&self) -> Result<Column, ExecuteError> {
        let first = (0..self.tables.len()).find(|i| self.is_patient(*i));
        let first = first.ok_or_else(|| ExecuteError::Model("no table of patients".into()))?;
        Ok(self.physical(first, PATIENT))
    }
}

impl<'a> Execution<'a> {
    /// Dims and aggregates over the cohort, in the order of the reply's columns.
    pub(super) fn exact_plan(&self, query: &PrivateQuery) -> Result<LogicalPlan, ExecuteError> {
        let scope = self.scope(&query.from, 0)?;
        let cohort = self.cohort(query, &scope)?;
        let dims = self.dims(query, &scope)?;
        let mut measures = Vec::new();
        for measure in &query.measures {
            let filter = if measure.filter.is_always() {
                None
            } else {
                Some(self.condition(&measure.filter, &scope)?)
            };
            for aggregate in self.aggregates(query, measure, filter.as_ref(), &scope)? {
                measures.push(aggregate.alias(format!("a{}", measures.len())));
            }
        }
        let plan = LogicalPlanBuilder::from(cohort);
        if measures.is_empty() {
            return Ok(plan.project(dims)?.distinct()?.build()?);
        }
        Ok(plan.aggregate(dims, measures)?.build()?)
    }

    /// One row a joined row of the cohort: the patient, the row keys (where it matters which rows of a patient come
    /// first), dims, for each stream whether the row counts, and the values that vectors need. Sorted by patient.
    pub(super) fn contribution_plan(
        &self,
        query: &PrivateQuery,
        accounting: &Accounting,
    ) -> Result<LogicalPlan, ExecuteError> {
        let scope = self.scope(&query.from, 0)?;
        let cohort = self.cohort(query, &scope)?;
        let mut columns = vec![Expr::Column(scope.patient()?).alias("p")];
        let in_one_cell_once =
            query.dims.is_empty() && accounting.vectors.iter().all(|vector| vector.of == Vector::Patients);
        if !in_one_cell_once {
            let keys = scope.row_keys(&query.from).into_iter().map(Expr::Column).enumerate();
            columns.extend(keys.map(|(n, key)| key.alias(format!("r{n}"))));
        }
        columns.extend(self.dims(query, &scope)?);
        for (i, stream) in accounting.streams.iter().enumerate() {
            let mut counts = self.condition(&stream.filter, &scope)?;
            if let Some(number) = &stream.needs {
                counts = counts.and(numbers::present(number, &scope)?);
            }
            columns.push(counts.is_true().alias(format!("f{i}")));
        }
        for (i, vector) in accounting.vectors.iter().enumerate() {
            let number = accounting.streams.get(vector.stream).and_then(|s| s.needs.as_ref());
            let Some(number) = number else { continue };
            let value = numbers::value(number, &scope)?;
            match vector.of {
                Vector::Sum(_) | Vector::Squares(_) | Vector::Bins(_) => {
                    columns.push(cast(value, DataType::Float64).alias(format!("v{i}")))
                }
                Vector::Distinct => columns.push(cast(value, DataType::Utf8).alias(format!("v{i}"))),
                Vector::Patients | Vector::Rows => {}
            }
        }
        // Row keys tell the rows of a patient apart. Rows of values per patient may have equal ones: what they show tells
        // them apart, or nothing does.
        let ordered = if query.per_patient.is_empty() { 1 } else { columns.len() };
        let order = columns.iter().take(ordered).map(|column| column.name_for_alias());
        let order = order.map(|name| Ok(ident(name?).sort(true, false)));
        let order = order.collect::<Result<Vec<_>, DataFusionError>>()?;
        Ok(LogicalPlanBuilder::from(cohort)
            .filter(Expr::Column(scope.patient()?).is_not_null())?
            .project(columns)?
            .sort(order)?
            .build()?)
    }

    fn scope(&self, tree: &JoinTree, depth: usize) -> Result<Scope<'a>, ExecuteError> {
        let prefix = if depth == 0 { "t".to_owned() } else { format!("e{depth}_") };
        self.named_scope(tree, prefix, depth)
    }

    /// The tables of a tree under aliases that begin with a prefix.
    pub(super) fn named_scope(
        &self,
        tree: &JoinTree,
        prefix: String,
        depth: usize,
    ) -> Result<Scope<'a>, ExecuteError> {
        let find = |t: &TableRef| self.models.table(&t.schema, &t.table);
        let tables = tree.tables.iter().map(find).collect::<Result<_, _>>();
        let tables = tables.map_err(|e| ExecuteError::Model(e.to_string()))?;
        Ok(Scope { tables, prefix, depth, outer: None })
    }

    fn cohort(&self, query: &PrivateQuery, scope: &Scope<'_>) -> Result<LogicalPlan, ExecuteError> {
        let joined = self.joined(&query.from, scope)?;
        self.filtered(joined, &query.cohort, scope)
    }

    pub(super) fn filtered(
        &self,
        plan: LogicalPlan,
        condition: &BoolTree,
        scope: &Scope<'_>,
    ) -> Result<LogicalPlan, ExecuteError> {
        if condition.is_always() {
            return Ok(plan);
        }
        Ok(LogicalPlanBuilder::from(plan).filter(self.condition(condition, scope)?)?.build()?)
    }

    pub(super) fn joined(&self, tree: &JoinTree, scope: &Scope<'_>) -> Result<LogicalPlan, ExecuteError> {
        let mut plan = self.scan(tree, scope, 0)?;
        let mut joined = vec![0];
        let mut rest: Vec<&Edge> = tree.edges.iter().collect();
        while !rest.is_empty() {
            let next = rest.iter().position(|e| joined.contains(&e.left) || joined.contains(&e.right));
            let Some(next) = next else { return Err(ExecuteError::Model("the join tree is torn".into())) };
            let edge = rest.remove(next);
            let added = if joined.contains(&edge.left) { edge.right } else { edge.left };
            let on = keys(edge, added, scope)?;
            let right = self.scan(tree, scope, added)?;
            plan = LogicalPlanBuilder::from(plan).join(right, JoinType::Inner, on, None)?.build()?;
            joined.push(added);
        }
        Ok(plan)
    }

    fn scan(&self, tree: &JoinTree, scope: &Scope<'_>, position: usize) -> Result<LogicalPlan, ExecuteError> {
        let name = tree.tables.get(position).ok_or_else(|| ExecuteError::Model("no such table".into()))?;
        if let Some(values) = name.per_patient_position() {
            let table = self.per_patient(values)?;
            return Ok(LogicalPlanBuilder::from(table).alias(scope.alias(position))?.build()?);
        }
        let table = scope.table(position)?;
        let name = TableName::new(&name.schema, &table.stored);
        let source = provider_as_source(self.provider(&name, table)?);
        let mut scan = LogicalPlanBuilder::scan(scope.alias(position), source, None)?;
        if let Some(range) = self.patients.as_ref().filter(|_| table.kind == TableKind::Patient) {
            let patient = || Expr::Column(scope.physical(position, PATIENT));
            scan = scan.filter(patient().gt_eq(lit(range.start)).and(patient().lt(lit(range.end))))?;
        }
        if table.kind == TableKind::Patient || !self.came_in_several_batches(&name) {
            return Ok(scan.build()?);
        }
        // Two sources may bring the same vocabulary; a join must still find each key once.
        let column = |name: &String| Expr::Column(scope.physical(position, name));
        let stored = table.stored_columns().map(|c| column(&c.stored)).collect();
        Ok(scan.distinct_on(table.key.iter().map(column).collect(), stored, None)?.build()?)
    }

    fn came_in_several_batches(&self, name: &TableName) -> bool {
        let mut batches = self.epoch.files(name).iter().map(|f| &f.batch);
        let first = batches.next();
        batches.any(|b| Some(b) != first)
    }

    /// The files of a table in the pinned epoch, each checked against its hash before it is read.
    fn provider(&self, name: &TableName, table: &Table) -> Result<Arc<dyn TableProvider>, ExecuteError> {
        let schema = stored_schema(table);
        let mut paths = Vec::new();
        for file in self.epoch.files(name).iter().filter(|f| f.rows > 0) {
            let path = self.epoch.path(file)?;
            paths.push(ListingTableUrl::parse(path.to_string_lossy())?);
        }
        if paths.is_empty() {
            return Ok(Arc::new(EmptyTable::new(schema)));
        }
        let mut options = ListingOptions::new(Arc::new(ParquetFormat::default()));
        if table.kind == TableKind::Patient {
            let order = vec![ident(PATIENT).sort(true, false), ident(ROW).sort(true, false)];
            options = options.with_file_sort_order(vec![order]);
        }
        let config =
            ListingTableConfig::new_with_multi_paths(paths).with_listing_options(options).with_schema(schema);
        Ok(Arc::new(ListingTable::try_new(config)?))
    }

    pub(super) fn condition(&self, tree: &BoolTree, scope: &Scope<'_>) -> Result<Expr, ExecuteError> {
        let all = |trees: &[BoolTree]| {
            trees.iter().map(|t| self.condition(t, scope)).collect::<Result<Vec<_>, _>>()
        };
        Ok(match tree {
            BoolTree::And(trees) => all(trees)?.into_iter().reduce(Expr::and).unwrap_or_else(|| lit(true)),
            BoolTree::Or(trees) => all(trees)?.into_iter().reduce(Expr::or).unwrap_or_else(|| lit(false)),
            BoolTree::Not(inner) => not(self.condition(inner, scope)?),
            BoolTree::Is(atom) => self.atom(atom, scope)?,
        })
    }

    fn atom(&self, atom: &Atom, scope: &Scope<'_>) -> Result<Expr, ExecuteError> {
        Ok(match atom {
            Atom::In { column, values } => {
                let column = Expr::Column(scope.column(column)?);
                column.in_list(values.iter().map(literal).collect(), false)
            }
            Atom::IsNull { column } => Expr::Column(scope.column(column)?).is_null(),
            Atom::Range { column, lo, hi } => {
                let column = Expr::Column(scope.column(column)?);
                let above = lo.as_ref().map(|end| above(&column, end));
                let below = hi.as_ref().map(|end| below(&column, end));
                above.into_iter().chain(below).reduce(Expr::and).unwrap_or_else(|| column.is_not_null())
            }
            Atom::DateDiff { from, to, lo, hi } => {
                let days = scope.date(to)? - scope.date(from)?;
                let from = lo.map(|n| days.clone().gt_eq(lit(n)));
                let below = hi.map(|n| days.clone().lt(lit(n)));
                from.into_iter().chain(below).reduce(Expr::and).unwrap_or_else(|| days.is_not_null())
            }
            Atom::IsA { column, concept } => concepts::is_a(column, concept, scope, self.models)?,
            Atom::Exists(inner) => self.exists(inner, scope)?,
        })
    }

    fn exists(&self, inner: &Exists, outer: &Scope<'_>) -> Result<Expr, ExecuteError> {
        let scope = Scope { outer: Some(outer), ..self.scope(&inner.from, outer.depth + 1)? };
        let joined = self.joined(&inner.from, &scope)?;
        let same = |own: Column, theirs: Column, ty: DataType| Expr::Column(own).eq(out_ref_col(ty, theirs));
        let mut link = same(scope.patient()?, outer.patient()?, DataType::UInt32);
        if let Link::Columns { outer: theirs, inner: own } = &inner.link {
            let stored = outer.table(theirs.table)?.column(&theirs.column);
            let ty = stored.map_or(DataType::Utf8, |c| arrow_type(c.ty));
            link = link.and(same(scope.column(own)?, outer.column(theirs)?, ty));
        }
        // One filter holds all that names the row outside: of a second one below it, decorrelation forgets the columns.
        let condition =
            if inner.cohort.is_always() { link } else { link.and(self.condition(&inner.cohort, &scope)?) };
        let plan = LogicalPlanBuilder::from(joined).filter(condition)?.project(vec![lit(1)])?.build()?;
        Ok(exists(Arc::new(plan)))
    }

    /// What a measure is exactly, in the order of the reply's columns; a percentile is the list of its numbers.
    ///
    /// The filter stands inside the aggregate as a CASE, since `ExprFunctionExt::build` of DataFusion 55 forgets DISTINCT.
    fn aggregates(
        &self,
        query: &PrivateQuery,
        Measure { of, filter: condition }: &Measure,
        filter: Option<&Expr>,
        scope: &Scope<'_>,
    ) -> Result<Vec<Expr>, ExecuteError> {
        let counted = |value: Expr| match filter {
            None => Ok(value),
            Some(filter) => when(filter.clone(), value).end(),
        };
        let number = |number: &Number| Ok::<_, ExecuteError>(counted(numbers::value(number, scope)?)?);
        Ok(match of {
            Aggregate::Patients => vec![count_distinct(counted(Expr::Column(scope.patient()?))?)],
            Aggregate::Rows => vec![count(counted(lit(1))?)],
            Aggregate::Distinct(id) => vec![count_distinct(counted(Expr::Column(scope.column(id)?))?)],
            Aggregate::Sum(value) => vec![sum(number(value)?)],
            Aggregate::Avg(value) => {
                vec![sum(cast(number(value)?, DataType::Float64)), count(number(value)?)]
            }
            Aggregate::Variance { of, .. } => {
                let bounds = bounds::of(of, query, condition, self.models)
                    .map_err(|refusal| ExecuteError::Model(refusal.reason))?;
                let centred = cast(number(of)?, DataType::Float64) - lit(f64::midpoint(bounds.lo, bounds.hi));
                vec![sum(centred.clone()), sum(centred.clone() * centred), count(number(of)?)]
            }
            Aggregate::Quantile { of, .. } => vec![array_agg(number(of)?)],
        })
    }
}

/// The physical schema of a table: the patient and the row key, where it has patients, then the model's columns.
fn stored_schema(table: &Table) -> SchemaRef {
    let mut fields = Vec::new();
    if table.kind == TableKind::Patient {
        fields.push(Field::new(PATIENT, DataType::UInt32, true));
        fields.push(Field::new(ROW, DataType::UInt64, false));
    }
    fields.extend(table.stored_columns().map(|c| Field::new(&c.stored, arrow_type(c.ty), true)));
    Arc::new(Schema::new(fields))
}

fn keys(edge: &Edge, added: usize, scope: &Scope<'_>) -> Result<(Vec<Column>, Vec<Column>), ExecuteError> {
    let there = if added == edge.right { edge.left } else { edge.right };
    let (mut left, mut right) = (Vec::new(), Vec::new());
    if scope.is_patient(there) && scope.is_patient(added) {
        left.push(scope.physical(there, PATIENT));
        right.push(scope.physical(added, PATIENT));
    }
    if let JoinKey::Columns { left: l, right: r } = &edge.on {
        let (own, other) = if added == edge.right { (r, l) } else { (l, r) };
        left.push(scope.column(&ColumnRef::new(there, other))?);
        right.push(scope.column(&ColumnRef::new(added, own))?);
    }
    Ok((left, right))
}

fn above(column: &Expr, end: &Endpoint) -> Expr {
    let value = literal(&end.value);
    if end.inclusive { column.clone().gt_eq(value) } else { column.clone().gt(value) }
}

fn below(column: &Expr, end: &Endpoint) -> Expr {
    let value = literal(&end.value);
    if end.inclusive { column.clone().lt_eq(value) } else { column.clone().lt(value) }
}

pub(super) fn literal(value: &Value) -> Expr {
    lit(scalar(value))
}

/// A public value as the engine has it.
pub(super) fn scalar(value: &Value) -> ScalarValue {
    match value {
        Value::Text(text) => ScalarValue::Utf8(Some(text.clone())),
        Value::Integer(n) => ScalarValue::Int64(Some(*n)),
        Value::Float(x) => ScalarValue::Float64(Some(x.get())),
        Value::Boolean(b) => ScalarValue::Boolean(Some(*b)),
        Value::Date(days) => ScalarValue::Date32(Some(*days)),
    }
}

impl From<datafusion::arrow::error::ArrowError> for ExecuteError {
    fn from(error: datafusion::arrow::error::ArrowError) -> Self {
        ExecuteError::Engine(DataFusionError::from(error))
    }
}
