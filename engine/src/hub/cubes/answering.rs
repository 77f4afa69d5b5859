//! Questions that a cube has answered already: of the same tables and groups, over the same patients or those that
//! conditions on the groups leave. They are answered from the released cells, free; a cell that was not released stays
//! missing, and cells are never summed, since nobody knows what the missing ones hold.

use caim_ontology::Models;
use caim_sql::PrivateQuery;
use caim_sql::concepts::Vocabulary;
use caim_sql::private_query::{
    Aggregate, Atom, BoolTree, ColumnRef, ConceptRef, Dim, Endpoint, Measure, Value,
};
use caim_sql::released;
use datafusion::arrow::array::{Array, AsArray, BooleanArray};
use datafusion::arrow::compute::{and_kleene, filter_record_batch, is_not_null, or};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, ident, lit, not};
use datafusion::prelude::SessionContext;
use std::sync::Arc;

use super::{Shelf, Shown};
use crate::federate::Nodes;

/// How a cube answers a question.
pub(in crate::hub) struct Answering<'a> {
    pub(in crate::hub) shown: &'a Shown,
    /// The conditions on its groups, over columns `d0`, `d1` and so on.
    conditions: Vec<Expr>,
    /// For each measure of the question, which of the cube it is.
    measures: Vec<usize>,
}

impl Shelf {
    /// The cube that answers a question for all linked nodes, the one with the least noise if several do.
    pub(in crate::hub) fn answering(
        &self,
        query: &PrivateQuery,
        models: &Models,
        nodes: &dyn Nodes,
    ) -> Option<Answering<'_>> {
        // Who chose the noise asks the nodes.
        if query.noise_sd_milli.is_some() {
            return None;
        }
        let fitting = self.shown().iter().filter(|shown| shown.covers(nodes));
        let fitting = fitting.filter_map(|shown| fit(shown, query, models));
        fitting.min_by(|a, b| a.shown.noise_sd.total_cmp(&b.shown.noise_sd))
    }
}

impl Shown {
    /// Whether every linked node publishes it, and one of them would charge for the question.
    fn covers(&self, nodes: &dyn Nodes) -> bool {
        let publishes = |name| self.sources().iter().any(|source| source.node == name);
        self.sources().iter().any(|source| !source.policy.public_data)
            && nodes.linked().iter().all(|channel| publishes(channel.profile().node.clone()))
    }
}

fn fit<'a>(shown: &'a Shown, query: &PrivateQuery, models: &Models) -> Option<Answering<'a>> {
    let of = &shown.question;
    let same_but_cohort_and_measures =
        PrivateQuery { cohort: of.cohort.clone(), measures: of.measures.clone(), ..query.clone() } == *of;
    if !same_but_cohort_and_measures {
        return None;
    }
    let measures = query.measures.iter().map(|wanted| of.measures.iter().position(|known| known == wanted));
    let measures = measures.collect::<Option<Vec<usize>>>()?;
    let (own, asked) = (conjuncts(&of.cohort), conjuncts(&query.cohort));
    if !own.iter().all(|part| asked.contains(part)) {
        return None;
    }
    let groups = Groups { query, models };
    let more = asked.into_iter().filter(|part| !own.contains(part));
    let conditions = more.map(|part| groups.condition(part)).collect::<Option<Vec<Expr>>>()?;
    Some(Answering { shown, conditions, measures })
}

fn conjuncts(condition: &BoolTree) -> Vec<&BoolTree> {
    match condition {
        BoolTree::And(parts) => parts.iter().collect(),
        BoolTree::Or(_) | BoolTree::Not(_) | BoolTree::Is(_) => vec![condition],
    }
}

impl Answering<'_> {
    /// The cells that meet the conditions, in the schema of [`released::schema`] of the question.
    pub(in crate::hub) fn released(
        &self,
        query: &PrivateQuery,
        models: &Models,
    ) -> Result<RecordBatch, DataFusionError> {
        let merged = &self.shown.merged;
        let mut kept = self.released_measures(query)?;
        let context = SessionContext::new();
        let schema = DFSchema::try_from(merged.schema().as_ref().clone())?;
        for condition in &self.conditions {
            let holds = context.create_physical_expr(condition.clone(), &schema)?;
            let holds = holds.evaluate(merged)?.into_array(merged.num_rows())?;
            kept = and_kleene(&kept, holds.as_boolean())?;
        }
        let dims = (0..query.dims.len()).map(|i| format!("d{i}"));
        let measures = self.measures.iter();
        let measures = measures.flat_map(|i| ["", "_lower", "_upper"].map(|end| format!("m{i}{end}")));
        let missing = |name: &str| DataFusionError::Internal(format!("the cube has no {name}"));
        let columns = dims
            .chain(measures)
            .map(|name| merged.column_by_name(&name).cloned().ok_or_else(|| missing(&name)))
            .collect::<Result<Vec<_>, _>>()?;
        let schema = released::schema(query, models).map_err(|e| DataFusionError::Plan(e.to_string()))?;
        Ok(filter_record_batch(&RecordBatch::try_new(Arc::new(schema), columns)?, &kept)?)
    }

    /// Where one of the measures that are asked for was released; where patients were, if none is.
    fn released_measures(&self, query: &PrivateQuery) -> Result<BooleanArray, DataFusionError> {
        let merged = &self.shown.merged;
        let counts_patients = |m: &Measure| m.of == Aggregate::Patients && m.filter.is_always();
        let hidden = self.shown.question.measures.iter().position(counts_patients);
        let asked = if query.measures.is_empty() { hidden.as_slice() } else { self.measures.as_slice() };
        let mut kept = BooleanArray::from(vec![false; merged.num_rows()]);
        for measure in asked {
            if let Some(values) = merged.column_by_name(&format!("m{measure}")) {
                kept = or(&kept, &is_not_null(values.as_ref() as &dyn Array)?)?;
            }
        }
        Ok(kept)
    }
}

/// The groups of a question, as conditions may name them.
struct Groups<'a> {
    query: &'a PrivateQuery,
    models: &'a Models,
}

impl Groups<'_> {
    /// A condition on groups that are plain columns; `None` for any other.
    fn condition(&self, tree: &BoolTree) -> Option<Expr> {
        let all = |trees: &[BoolTree]| trees.iter().map(|t| self.condition(t)).collect::<Option<Vec<Expr>>>();
        Some(match tree {
            BoolTree::And(trees) => all(trees)?.into_iter().reduce(Expr::and).unwrap_or_else(|| lit(true)),
            BoolTree::Or(trees) => all(trees)?.into_iter().reduce(Expr::or).unwrap_or_else(|| lit(false)),
            BoolTree::Not(inner) => not(self.condition(inner)?),
            BoolTree::Is(Atom::In { column, values }) => {
                self.group(column)?.in_list(values.iter().map(literal).collect(), false)
            }
            BoolTree::Is(Atom::IsNull { column }) => self.group(column)?.is_null(),
            BoolTree::Is(Atom::Range { column, lo, hi }) => {
                let group = self.group(column)?;
                let lo = lo.as_ref().map(|end| above(group.clone(), end));
                let hi = hi.as_ref().map(|end| below(group.clone(), end));
                lo.into_iter().chain(hi).reduce(Expr::and).unwrap_or_else(|| group.is_not_null())
            }
            BoolTree::Is(Atom::IsA { column, concept }) => {
                let codes = self.covered(column, concept)?.into_iter().map(lit).collect();
                self.group(column)?.in_list(codes, false)
            }
            BoolTree::Is(Atom::DateDiff { .. } | Atom::Exists(_)) => return None,
        })
    }

    fn group(&self, column: &ColumnRef) -> Option<Expr> {
        let is = |dim: &Dim| matches!(dim, Dim::Column(own) if own == column);
        self.query.dims.iter().position(is).map(|i| ident(format!("d{i}")))
    }

    /// The codes of a column that a concept covers.
    fn covered(&self, column: &ColumnRef, concept: &ConceptRef) -> Option<Vec<String>> {
        let table = self.query.from.tables.get(column.table)?;
        let column = self.models.table(&table.schema, &table.table).ok()?.column(&column.column)?;
        let vocabulary = Vocabulary::of(column, &column.stored, self.models).ok()?;
        Some(vocabulary.covered(vocabulary.known(concept).ok()?))
    }
}

fn above(group: Expr, end: &Endpoint) -> Expr {
    let value = literal(&end.value);
    if end.inclusive { group.gt_eq(value) } else { group.gt(value) }
}

fn below(group: Expr, end: &Endpoint) -> Expr {
    let value = literal(&end.value);
    if end.inclusive { group.lt_eq(value) } else { group.lt(value) }
}

fn literal(value: &Value) -> Expr {
    match value {
        Value::Text(text) => lit(text.clone()),
        Value::Integer(n) => lit(*n),
        Value::Float(x) => lit(x.get()),
        Value::Boolean(b) => lit(*b),
        Value::Date(days) => lit(ScalarValue::Date32(Some(*days))),
    }
}
