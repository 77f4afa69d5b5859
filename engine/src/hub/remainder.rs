//! What the hub computes itself: HAVING, ORDER BY, LIMIT, arithmetic, joins of aggregates, over released values and
//! public tables only. Any other scan is a fault of planning and fails here.

use std::sync::Arc;

use caim_sql::released;
use datafusion::arrow::array::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::datasource::{MemTable, TableProvider, provider_as_source};
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::{LogicalPlan, TableScan};
use datafusion::prelude::{SessionConfig, SessionContext};

use super::public::Contents;

/// What the nodes released for one question.
pub(super) struct Released {
    /// The cells of all nodes, merged.
    pub(super) merged: RecordBatch,
    /// The cells of each node, where the remainder reads them apart.
    pub(super) by_node: Option<RecordBatch>,
}

/// The numbers of the questions whose cells the remainder reads node by node.
pub(super) fn apart(remainder: &LogicalPlan, questions: usize) -> Result<Vec<bool>, DataFusionError> {
    let names: Vec<String> = (0..questions).map(|number| released::table(number, true)).collect();
    let mut apart = vec![false; questions];
    remainder.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            for (found, name) in apart.iter_mut().zip(&names) {
                *found |= scan.table_name.schema().is_none() && scan.table_name.table() == name;
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(apart)
}

/// Memory that the remainder of one statement may use.
const MEMORY_BYTES: usize = 1 << 30;

pub(super) async fn run(
    remainder: &LogicalPlan,
    released: Vec<Released>,
    public: &Contents<'_>,
) -> Result<Vec<RecordBatch>, DataFusionError> {
    let plan = remainder.clone().transform_down_with_subqueries(|node| match node {
        LogicalPlan::TableScan(scan) => {
            let provider = provider(&scan, &released, public)?;
            Ok(Transformed::yes(LogicalPlan::TableScan(TableScan {
                source: provider_as_source(provider),
                ..scan
            })))
        }
        other => Ok(Transformed::no(other)),
    })?;
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(GreedyMemoryPool::new(MEMORY_BYTES)));
    let config = SessionConfig::new().with_target_partitions(1).with_information_schema(false);
    let context = SessionContext::new_with_config_rt(config, runtime.build_arc()?);
    context.execute_logical_plan(plan.data).await?.collect().await
}

fn provider(
    scan: &TableScan,
    released: &[Released],
    public: &Contents<'_>,
) -> Result<Arc<dyn TableProvider>, DataFusionError> {
    let name = scan.table_name.table();
    let batch = match scan.table_name.schema() {
        None => released.iter().enumerate().find_map(|(number, of)| match &of.by_node {
            _ if released::table(number, false) == name => Some(&of.merged),
            Some(by_node) if released::table(number, true) == name => Some(by_node),
            Some(_) | None => None,
        }),
        Some(_) => None,
    };
    let batch = match (batch, scan.table_name.schema()) {
        (Some(batch), _) => batch.clone(),
        (None, Some(schema)) => public.table(schema, name)?,
        (None, None) => {
            return Err(DataFusionError::Plan(format!("{name} is neither released nor public")));
        }
    };
    Ok(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?))
}
