//! Probes of BI tools: `LIMIT 0` and `WHERE 1 = 0` are answered empty, without asking a node.

use std::sync::Arc;

use datafusion_common::ScalarValue;
use datafusion_expr::LogicalPlan;
use datafusion_expr::logical_plan::{EmptyRelation, FetchType};

use super::constant::constant;

/// Whether a plan cannot have a row, whatever the data.
pub(super) fn is_nothing(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Filter(filter) => {
            let value = constant(&filter.predicate);
            matches!(value, Some(ScalarValue::Boolean(None | Some(false)) | ScalarValue::Null))
        }
        LogicalPlan::Limit(limit) => matches!(limit.get_fetch_type(), Ok(FetchType::Literal(Some(0)))),
        _ => false,
    }
}

/// A relation with the columns of a plan and no rows.
pub(super) fn nothing_like(plan: &LogicalPlan) -> LogicalPlan {
    LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema: Arc::clone(plan.schema()) })
}
