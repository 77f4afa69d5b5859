//! What each node released, kept apart.

use std::sync::Arc;

use caim_ontology::Models;
use caim_sql::PrivateQuery;
use caim_sql::released::by_node;
use datafusion::arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, StringArray};
use datafusion::arrow::compute::{concat_batches, filter_record_batch};

use super::{MergeError, by_name, merge};
use crate::channel::{NodeId, Reply};

/// One table of the cells that each node released, the node's name before them; at least one reply.
///
/// Grouped by node, an answer without other groups has a row only for a node that released something.
///
/// # Errors
/// When the replies do not belong to the question.
pub fn apart(
    query: &PrivateQuery,
    models: &Models,
    replies: &[(NodeId, Reply)],
) -> Result<RecordBatch, MergeError> {
    let mut tables = Vec::with_capacity(replies.len());
    for reply in by_name(replies) {
        let cells = released(query, merge(query, models, std::slice::from_ref(reply))?)?;
        let node: ArrayRef = Arc::new(StringArray::from(vec![reply.0.as_str(); cells.num_rows()]));
        let columns = [node].into_iter().chain(cells.columns().iter().cloned()).collect();
        tables.push(RecordBatch::try_new(Arc::new(by_node(&cells.schema())), columns)?);
    }
    let first = tables.first().ok_or_else(|| MergeError("no node answered".to_owned()))?;
    Ok(concat_batches(&first.schema(), &tables)?)
}

/// The rows in which a measure was released. Those of groups are only there if they were.
fn released(query: &PrivateQuery, cells: RecordBatch) -> Result<RecordBatch, MergeError> {
    if !query.dims.is_empty() {
        return Ok(cells);
    }
    let measures: Vec<&ArrayRef> =
        (0..query.measures.len()).filter_map(|i| cells.column_by_name(&format!("m{i}"))).collect();
    let is_released = |row: usize| measures.iter().any(|measure| measure.is_valid(row));
    let kept: BooleanArray = (0..cells.num_rows()).map(|row| Some(is_released(row))).collect();
    Ok(filter_record_batch(&cells, &kept)?)
}
