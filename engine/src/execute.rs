//! A private query computed over one epoch, afresh from the closed form: nothing that came over the wire is executed.
//!
//! For published data DataFusion aggregates exactly ([`exact`]). Otherwise it filters, joins and hands over the rows
//! patient by patient, and [`walk`] turns them into one bounded contribution a cell ([`contributions`]): in several
//! ranges of patients at the same time, since their sums add up.

mod concepts;
mod numbers;
mod per_patient;
mod plan;
pub(crate) mod ranges;
pub(crate) mod walk;

use std::ops::Range;
use std::sync::Arc;

use caim_ontology::Models;
use caim_sql::PrivateQuery;
use caim_sql::private_query::PerPatient;
use caim_warehouse::Epoch;
use datafusion::arrow::array::AsArray;
use datafusion::arrow::compute::cast;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::TryStreamExt;
use tokio::task::JoinSet;

use crate::accounting::Accounting;
use crate::reply;
use walk::{Sums, Walk};

/// What a question is computed over: one pinned epoch, the models, bounded resources.
pub(crate) struct Execution<'a> {
    pub(crate) epoch: &'a Epoch,
    pub(crate) models: &'a Models,
    pub(crate) runtime: &'a Arc<RuntimeEnv>,
    /// The values per patient that the question brings along.
    per_patient: &'a [PerPatient],
    /// The patients whose rows are read; all of them where it is `None`.
    patients: Option<Range<u32>>,
}

/// Why a computation failed. The text is for the operator's log; it names files and plans, not values.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExecuteError {
    /// A file of the warehouse is missing or damaged.
    #[error(transparent)]
    Warehouse(#[from] caim_warehouse::Error),
    /// The engine failed or ran out of a resource.
    #[error("the query engine failed: {0}")]
    Engine(#[from] DataFusionError),
    /// The question names what the models do not have, which validation excludes.
    #[error("the question does not fit the data models: {0}")]
    Model(String),
}

impl<'a> Execution<'a> {
    /// Over all patients of an epoch.
    pub(crate) fn new(epoch: &'a Epoch, models: &'a Models, runtime: &'a Arc<RuntimeEnv>) -> Self {
        Self { epoch, models, runtime, per_patient: &[], patients: None }
    }

    /// The exact answer, in the schema of [`reply::schema`].
    pub(crate) async fn exact(&self, query: &PrivateQuery) -> Result<RecordBatch, ExecuteError> {
        let schema = reply::schema(query, self.models).map_err(ExecuteError::Model)?;
        let models = query.over(self.models).map_err(|refusal| ExecuteError::Model(refusal.reason))?;
        let plan = self.about(query, &models, None).exact_plan(query)?;
        let batches = self.run(plan).await?;
        let columns = datafusion::arrow::compute::concat_batches(&batches.0, &batches.1)
            .map_err(DataFusionError::from)?;
        let mut fields = schema.fields().iter();
        let mut answer = Vec::with_capacity(fields.len());
        for column in columns.columns() {
            // A list of all numbers becomes two columns.
            if let Some(all) = column.as_list_opt::<i32>() {
                answer.extend(reply::counted(all)?);
                fields.nth(1);
            } else if let Some(field) = fields.next() {
                answer.push(cast(column, field.data_type())?);
            }
        }
        Ok(RecordBatch::try_new(schema, answer).map_err(DataFusionError::from)?)
    }

    /// The sums of bounded contributions of all patients, cell by cell.
    pub(crate) async fn contributions(
        &self,
        query: &PrivateQuery,
        accounting: &Accounting,
    ) -> Result<Sums, ExecuteError> {
        self.contributions_in(ranges::of(self.epoch), query, accounting).await
    }

    /// The same, over these ranges of patients, each by itself.
    pub(crate) async fn contributions_in(
        &self,
        ranges: Vec<Range<u32>>,
        query: &PrivateQuery,
        accounting: &Accounting,
    ) -> Result<Sums, ExecuteError> {
        let models = query.over(self.models).map_err(|refusal| ExecuteError::Model(refusal.reason))?;
        let context = self.in_order_of_patients();
        let mut walks = JoinSet::new();
        for patients in ranges {
            let plan = self.about(query, &models, Some(patients)).contribution_plan(query, accounting)?;
            let stream = context.execute_logical_plan(plan).await?.execute_stream().await?;
            let walk = Walk::new(query, accounting, &stream.schema())?;
            walks.spawn(walked(stream, walk));
        }
        // Dropping the set, when a range failed or the asker is gone, ends the others.
        let mut all: Option<Walk> = None;
        while let Some(ended) = walks.join_next().await {
            let walk = ended.map_err(|e| DataFusionError::ExecutionJoin(Box::new(e)))??;
            match &mut all {
                Some(all) => all.take_sums(&walk.finish()),
                None => all = Some(walk),
            }
        }
        all.map(Walk::finish).ok_or_else(|| ExecuteError::Model("no range of patients".into()))
    }

    /// The same over some patients, with the question's own values per patient and the models with them.
    fn about<'q>(
        &'q self,
        query: &'q PrivateQuery,
        models: &'q Models,
        patients: Option<Range<u32>>,
    ) -> Execution<'q> {
        Execution { models, per_patient: &query.per_patient, patients, ..*self }
    }

    async fn run(
        &self,
        plan: LogicalPlan,
    ) -> Result<(datafusion::arrow::datatypes::SchemaRef, Vec<RecordBatch>), ExecuteError> {
        let frame = self.context().execute_logical_plan(plan).await?;
        let stream = frame.execute_stream().await?;
        let schema = stream.schema();
        Ok((schema, stream.try_collect().await?))
    }

    fn context(&self) -> SessionContext {
        SessionContext::new_with_config_rt(config(), Arc::clone(self.runtime))
    }

    /// Files are sorted by patient, and what keeps that order is preferred: then nothing has to be sorted.
    fn in_order_of_patients(&self) -> SessionContext {
        let mut config = config().with_target_partitions(ranges::most_files(self.epoch));
        let optimizer = &mut config.options_mut().optimizer;
        optimizer.prefer_existing_sort = true;
        optimizer.repartition_joins = false;
        optimizer.repartition_aggregations = false;
        optimizer.repartition_file_scans = false;
        optimizer.enable_round_robin_repartition = false;
        SessionContext::new_with_config_rt(config, Arc::clone(self.runtime))
    }
}

fn config() -> SessionConfig {
    let mut config = SessionConfig::new().with_information_schema(false).with_collect_statistics(false);
    // Code sets of concepts have hundreds of members; the default of 20 would stop pruning by them.
    config.options_mut().execution.parquet.max_in_list_size = 1_000;
    config.options_mut().execution.parquet.pushdown_filters = true;
    config
}

async fn walked(mut rows: SendableRecordBatchStream, mut walk: Walk) -> Result<Walk, ExecuteError> {
    while let Some(batch) = rows.try_next().await? {
        walk.take(&batch)?;
    }
    Ok(walk)
}
