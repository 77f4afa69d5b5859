//! ROLLUP, CUBE and GROUPING SETS: each set is a question of its own, put together by UNION ALL.

use std::sync::Arc;

use datafusion_common::arrow::datatypes::DataType;
use datafusion_common::{Column, ScalarValue};
use datafusion_expr::expr::GroupingSet;
use datafusion_expr::logical_plan::Aggregate;
use datafusion_expr::utils::powerset;
use datafusion_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit};

use crate::plan::refused;
use crate::refusal::{Code, Refusal};
use crate::validate::MAX_DIMS;

/// Most sets of one statement: those of a CUBE of four columns.
const MAX_SETS: usize = 16;

/// One set of groups as an aggregate of its own.
pub(super) struct Part {
    pub(super) aggregate: LogicalPlan,
    /// For each group of the whole, where it stands in this set.
    places: Vec<Option<usize>>,
    groups: usize,
}

/// The sets of an aggregate; `None` where it groups plainly.
pub(super) fn parts(aggregate: &Aggregate) -> Result<Option<Vec<Part>>, Refusal> {
    let set = match aggregate.group_expr.as_slice() {
        [Expr::GroupingSet(set)] => set,
        groups if groups.iter().any(|g| matches!(g, Expr::GroupingSet(_))) => {
            return Err(Refusal::new(Code::Unsupported, "grouping sets beside other groups"));
        }
        _ => return Ok(None),
    };
    let all = set.distinct_expr();
    let sets = sets(set)?;
    if sets.len() > MAX_SETS {
        let reason = format!("the statement has {} grouping sets; {MAX_SETS} are answered", sets.len());
        return Err(Refusal::new(Code::TooComplex, reason)
            .with_rewrite("name the sets that you need: GROUPING SETS ((a, b), (a), ())"));
    }
    let part = |set: Vec<&Expr>| {
        let mut groups: Vec<Expr> = Vec::new();
        for expr in set {
            if !groups.contains(expr) {
                groups.push(expr.clone());
            }
        }
        let places = all.iter().map(|expr| groups.iter().position(|g| g == *expr)).collect();
        let count = groups.len();
        let part = Aggregate::try_new(Arc::clone(&aggregate.input), groups, aggregate.aggr_expr.clone());
        let aggregate = LogicalPlan::Aggregate(part.map_err(|e| refused(&e))?);
        Ok(Part { aggregate, places, groups: count })
    };
    sets.into_iter().map(part).collect::<Result<_, _>>().map(Some)
}

fn sets(set: &GroupingSet) -> Result<Vec<Vec<&Expr>>, Refusal> {
    match set {
        GroupingSet::Rollup(groups) => {
            let prefix = |length: usize| groups.iter().take(length).collect();
            Ok((0..=groups.len()).rev().map(prefix).collect())
        }
        GroupingSet::Cube(groups) if groups.len() > MAX_DIMS => {
            let reason = format!("CUBE of {} groups; {MAX_DIMS} are answered", groups.len());
            Err(Refusal::new(Code::TooComplex, reason))
        }
        GroupingSet::Cube(groups) => powerset(groups).map_err(|e| refused(&e)),
        GroupingSet::GroupingSets(sets) => Ok(sets.iter().map(|set| set.iter().collect()).collect()),
    }
}

impl Part {
    /// The released columns of this set in the shape of the whole aggregate: NULL for groups that it does not have. What
    /// stands beside measures follows.
    pub(super) fn shaped(&self, released: LogicalPlan, whole: &Aggregate) -> Result<LogicalPlan, Refusal> {
        let own: Vec<Expr> = released.schema().columns().into_iter().map(Expr::Column).collect();
        let mut shown = Vec::with_capacity(own.len() + self.places.len());
        for (place, (relation, field)) in self.places.iter().zip(whole.schema.iter()) {
            let value = match place.and_then(|place| own.get(place)) {
                Some(column) => column.clone(),
                None => lit(ScalarValue::try_from(field.data_type()).map_err(|e| refused(&e))?),
            };
            shown.push(value.alias_qualified(relation.cloned(), field.name()));
        }
        let id = whole.schema.field(self.places.len());
        shown.push(self.id(id.data_type())?.alias(id.name()));
        shown.extend(own.into_iter().skip(self.groups));
        LogicalPlanBuilder::from(released)
            .project(shown)
            .and_then(LogicalPlanBuilder::build)
            .map_err(|e| refused(&e))
    }

    /// One bit a group, the last group's the lowest: set where the group is left out, as `grouping()` reads it.
    fn id(&self, ty: &DataType) -> Result<Expr, Refusal> {
        let bits = self.places.iter().fold(0u64, |bits, place| bits << 1 | u64::from(place.is_none()));
        let id = ScalarValue::UInt64(Some(bits)).cast_to(ty).map_err(|e| refused(&e))?;
        Ok(lit(id))
    }
}

/// All sets below each other, with the columns of the whole and what the first has beside its measures.
pub(super) fn united(shaped: Vec<LogicalPlan>, whole: &Aggregate) -> Result<LogicalPlan, Refusal> {
    let mut sets = shaped.into_iter();
    let first =
        sets.next().ok_or_else(|| Refusal::new(Code::Invalid, "an aggregate without grouping sets"))?;
    let names: Vec<_> = first.schema().iter().map(|(q, f)| (q.cloned(), f.name().clone())).collect();
    let all = sets.try_fold(LogicalPlanBuilder::from(first), LogicalPlanBuilder::union);
    let all = all.map_err(|e| refused(&e))?;
    let columns = all.schema().iter().map(Column::from).collect::<Vec<_>>();
    let named = columns.into_iter().zip(names).enumerate().map(|(i, (column, (relation, name)))| {
        let relation = if i < whole.schema.fields().len() {
            whole.schema.qualified_field(i).0.cloned()
        } else {
            relation
        };
        Expr::Column(column).alias_qualified(relation, name)
    });
    all.project(named.collect::<Vec<_>>()).and_then(LogicalPlanBuilder::build).map_err(|e| refused(&e))
}
