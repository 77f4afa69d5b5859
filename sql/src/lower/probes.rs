//! Probes of BI tools: `LIMIT 0` and `WHERE 1 = 0` are answered empty, without asking a node.

use std::sync::Arc;

use datafusion_common::ScalarValue;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_expr::LogicalPlan;
use datafusion_expr::logical_plan::{EmptyRelation, FetchType};

use super::constant::constant;
use crate::plan::refused;
use crate::refusal::Refusal;

/// The plan with an empty relation in the place of every part that cannot have a row.
pub(super) fn pruned(plan: LogicalPlan) -> Result<LogicalPlan, Refusal> {
    let pruned = plan.transform_up(|node| {
        let nothing = match &node {
            LogicalPlan::Filter(filter) => {
                matches!(
                    constant(&filter.predicate),
                    Some(ScalarValue::Boolean(None | Some(false)) | ScalarValue::Null)
                )
            }
            LogicalPlan::Limit(limit) => matches!(limit.get_fetch_type()?, FetchType::Literal(Some(0))),
            _ => false,
        };
        if !nothing {
            return Ok(Transformed::no(node));
        }
        Ok(Transformed::yes(nothing_like(&node)))
    });
    pruned.map(|p| p.data).map_err(|e| refused(&e))
}

/// A relation with the columns of a plan and no rows.
pub(super) fn nothing_like(plan: &LogicalPlan) -> LogicalPlan {
    LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema: Arc::clone(plan.schema()) })
}
