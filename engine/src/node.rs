//! A node: it trusts no hub. Every question is validated, charged, computed and gated here, by a policy that only its
//! operator's configuration sets.

mod cubes;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use caim_ontology::Models;
use caim_sql::canonical::{canonical, to_sql};
use caim_sql::validate::validate;
use caim_sql::{Code, PrivateQuery, Refusal};
use caim_warehouse::{Epoch, TableName, Warehouse};
use datafusion::common::runtime::SpawnedTask;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::accounting::Accounting;
use crate::answers;
use crate::audit::{self, Record};
use crate::channel::{AskError, Facts, NodeId, NodeQuery, Profile};
use crate::clock::{Clock, SystemClock};
use crate::execute::Execution;
use crate::ledger::{Charged, Ledger, LedgerError, QuestionKey};
use crate::policy::Policy;
use crate::release::{self, Released};
use crate::reply;

/// Memory that all questions together may use at a node.
const MEMORY_BYTES: usize = 4 << 30;

/// Questions computed at the same time; more wait.
const QUESTIONS_AT_ONCE: usize = 4;

/// Why a node cannot start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The warehouse cannot be used.
    #[error(transparent)]
    Warehouse(#[from] caim_warehouse::Error),
    /// The policy protects nobody.
    #[error("{0}")]
    Policy(String),
    /// The query engine cannot be set up.
    #[error("the query engine cannot be set up: {0}")]
    Engine(#[from] datafusion::error::DataFusionError),
    /// The cubes cannot be published under the policy.
    #[error("{0}")]
    Cubes(String),
    /// The state database cannot be used.
    #[error("{0}")]
    Ledger(String),
}

/// A node at work over its warehouse.
pub struct Node {
    id: NodeId,
    warehouse: Warehouse,
    models: Arc<Models>,
    policy: Policy,
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    runtime: Arc<RuntimeEnv>,
    slots: Arc<Semaphore>,
    cubes: cubes::Cubes,
}

impl Node {
    /// Opens a node over a warehouse, with the machine's clock.
    ///
    /// # Errors
    /// When the policy protects nobody, or the state database cannot be used.
    pub fn open(
        id: NodeId,
        warehouse: Warehouse,
        models: Arc<Models>,
        policy: Policy,
    ) -> Result<Self, NodeError> {
        Self::with_clock(id, warehouse, models, policy, Arc::new(SystemClock))
    }

    /// Opens a node whose windows end by a clock of the caller's.
    ///
    /// # Errors
    /// As [`Node::open`].
    pub fn with_clock(
        id: NodeId,
        warehouse: Warehouse,
        models: Arc<Models>,
        policy: Policy,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, NodeError> {
        policy.validate().map_err(NodeError::Policy)?;
        // A damaged epoch stops the node at its start, not at the first question.
        warehouse.current()?;
        let ledger = Ledger::open(warehouse.state(), Arc::clone(&clock))
            .map_err(|e| NodeError::Ledger(e.to_string()))?;
        audit::open(warehouse.state())?;
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(MEMORY_BYTES)))
            .build_arc()?;
        let slots = Arc::new(Semaphore::new(QUESTIONS_AT_ONCE));
        let cubes = cubes::Cubes::default();
        Ok(Self { id, warehouse, models, policy, ledger, clock, runtime, slots, cubes })
    }

    /// What the node says of itself.
    ///
    /// # Errors
    /// When the newest epoch cannot be read.
    pub fn profile(&self) -> Result<Profile, NodeError> {
        let epoch = self.warehouse.current()?;
        let collections: BTreeSet<&String> = epoch.batches().iter().flat_map(|b| &b.collections).collect();
        Ok(Profile {
            node: self.id.clone(),
            software: env!("CARGO_PKG_VERSION").to_owned(),
            models: self.models.version(),
            policy: self.policy,
            collections: collections.into_iter().cloned().collect(),
            cubes: self.listings()?,
        })
    }

    /// Answers a question, or says why not. Dropping the future ends the work.
    ///
    /// # Errors
    /// A refusal, a missed deadline, or a failure whose cause is in the operator's log.
    pub async fn answer(self: &Arc<Self>, question: NodeQuery) -> Result<Released, AskError> {
        let started = Instant::now();
        let node = Arc::clone(self);
        let deadline = Duration::from_millis(question.deadline_ms);
        if deadline.is_zero() {
            // An answer that is there at once would win over a timer that has just begun.
            return Err(AskError::Deadline);
        }
        // A task of its own: a panic in one question is that question's failure, and dropping it ends it.
        let task = SpawnedTask::spawn(async move { node.decide(question).await });
        let decided = match tokio::time::timeout(deadline, task.join()).await {
            Err(_) => Err(AskError::Deadline),
            Ok(Err(_)) => Err(AskError::Failed("the question ended with a fault; see the node's log".into())),
            Ok(Ok(decided)) => decided,
        };
        let taken = started.elapsed();
        tokio::time::sleep(self.policy.leaves_after(taken).saturating_sub(taken)).await;
        decided
    }

    async fn decide(&self, mut question: NodeQuery) -> Result<Released, AskError> {
        question.query = canonical(question.query);
        let _slot = self.slots.acquire().await.map_err(|_| AskError::Unreachable("shutting down".into()))?;
        let epoch = self.warehouse.current().map_err(|e| failed(&question, &e))?;
        let decided = self.gate(&question, &epoch).await;
        if let Err(AskError::Refused(refusal)) = &decided {
            self.record(&question, &epoch, refusal.code.id(), (0.0, 0.0), 0)?;
        }
        decided
    }

    async fn gate(&self, question: &NodeQuery, epoch: &Epoch) -> Result<Released, AskError> {
        if question.models != self.models.version() {
            let reason = format!(
                "the hub's data models are {}, the node's {}",
                question.models,
                self.models.version()
            );
            return Err(AskError::Refused(Refusal::new(Code::Malformed, reason)));
        }
        validate(&question.query, &self.models).map_err(AskError::Refused)?;
        let accounting = Accounting::new(&question.query, &self.models, &self.policy)
            .map_err(|reason| AskError::Refused(Refusal::new(Code::Malformed, reason)))?;
        if self.policy.public_data {
            self.publish(question, epoch).await
        } else {
            self.release(question, epoch, &accounting).await
        }
    }

    /// Published data: exact and free.
    async fn publish(&self, question: &NodeQuery, epoch: &Epoch) -> Result<Released, AskError> {
        let execution = Execution::new(epoch, &self.models, &self.runtime);
        let batch = execution.exact(&question.query).await.map_err(|e| failed(question, &e))?;
        let facts =
            Facts { epoch: epoch.number(), rho: 0.0, delta: 0.0, rho_left: None, policy: self.policy };
        self.record(question, epoch, "published", (0.0, 0.0), batch.num_rows())?;
        Ok(Released::published(batch, facts))
    }

    /// Charge, aggregate, gate, store: in this order.
    async fn release(
        &self,
        question: &NodeQuery,
        epoch: &Epoch,
        accounting: &Accounting,
    ) -> Result<Released, AskError> {
        let state = self.warehouse.state();
        let key = self.key(&question.query, accounting, epoch).map_err(|e| failed(question, &e))?;
        let charged = self.ledger.charge(state, &self.policy, accounting, &question.asker.project, key);
        let charged = charged.map_err(|e| match e {
            LedgerError::Refused(refusal) => AskError::Refused(refusal),
            LedgerError::State(_)
            | LedgerError::Sqlite(_)
            | LedgerError::Randomness
            | LedgerError::Mark(_)
            | LedgerError::RolledBack { .. } => failed(question, &e),
        })?;
        let facts = self.facts(epoch, accounting, &charged);
        if let Some(stored) = &charged.answer {
            let batch = answers::decode(stored).map_err(|e| failed(question, &e))?;
            self.record(question, epoch, "repeated", (charged.rho, charged.delta), batch.num_rows())?;
            return Ok(Released::again(batch, facts));
        }
        let execution = Execution::new(epoch, &self.models, &self.runtime);
        let sums =
            execution.contributions(&question.query, accounting).await.map_err(|e| failed(question, &e))?;
        let schema = reply::schema(&question.query, &self.models).map_err(AskError::Failed)?;
        let policy = &self.policy;
        let released =
            release::release(&question.query, accounting, policy, &sums, charged.seed, &schema, facts)
                .map_err(|e| failed(question, &e))?;
        self.keep(question, epoch, key, &charged, &released)?;
        Ok(released)
    }

    /// Answer and audit record, in one transaction.
    fn keep(
        &self,
        question: &NodeQuery,
        epoch: &Epoch,
        key: QuestionKey,
        charged: &Charged,
        released: &Released,
    ) -> Result<(), AskError> {
        let bytes = answers::encode(released.batch()).map_err(|e| failed(question, &e))?;
        let sql = to_sql(&question.query, &self.models);
        let cost = (charged.rho, charged.delta);
        let record = self.audit_record(question, epoch, &sql, "released", cost, released.batch().num_rows());
        let stored = self.warehouse.state().write(|tx| {
            Ledger::store(tx, key, &bytes)?;
            Ok::<_, LedgerError>(audit::append(tx, &record)?)
        });
        stored.map_err(|e| failed(question, &e))
    }

    fn facts(&self, epoch: &Epoch, accounting: &Accounting, charged: &Charged) -> Facts {
        Facts {
            epoch: epoch.number(),
            rho: charged.rho,
            delta: charged.delta,
            rho_left: Some(charged.rho_left),
            policy: Policy { noise_sd: accounting.noise_sd, ..self.policy },
        }
    }

    /// Hash of everything the answer depends on, so that no two different truths share a draw.
    fn key(
        &self,
        query: &PrivateQuery,
        accounting: &Accounting,
        epoch: &Epoch,
    ) -> Result<QuestionKey, serde_json::Error> {
        let Policy { threshold, rounding, .. } = self.policy;
        // What tables of the node's own hold depends on their definitions, which the models' version does not cover.
        let tables = query.tables();
        let own = tables.iter().filter_map(|of| self.models.table(&of.schema, &of.table).ok());
        let own: String = own.filter_map(|table| table.definition.as_deref()).collect();
        let parameters = format!(
            "caim question 1|{}|{}|{threshold}|{rounding}|{:016x}|{}|{}|{}",
            epoch.checksum(),
            self.models.version(),
            accounting.noise_sd.to_bits(),
            accounting.rows_per_patient,
            accounting.cells_per_patient,
            serde_json::to_string(query)? + &own,
        );
        Ok(QuestionKey(Sha256::digest(parameters).into()))
    }

    fn record(
        &self,
        question: &NodeQuery,
        epoch: &Epoch,
        decision: &str,
        cost: (f64, f64),
        cells: usize,
    ) -> Result<(), AskError> {
        let sql = to_sql(&question.query, &self.models);
        let record = self.audit_record(question, epoch, &sql, decision, cost, cells);
        let written = self.warehouse.state().write(|tx| Ok::<_, LedgerError>(audit::append(tx, &record)?));
        written.map_err(|e| failed(question, &e))
    }

    fn audit_record<'a>(
        &self,
        question: &'a NodeQuery,
        epoch: &Epoch,
        sql: &'a str,
        decision: &'a str,
        (rho, delta): (f64, f64),
        cells: usize,
    ) -> Record<'a> {
        let (asker, query_id) = (&question.asker, question.query_id.as_str());
        let (at, epoch) = (self.clock.unix_seconds(), epoch.number());
        Record { at, asker, query_id, query: sql, epoch, decision, rho, delta, cells }
    }

    /// The rows that the newest epoch holds of a table, for the operator.
    ///
    /// # Errors
    /// When the newest epoch cannot be read.
    pub fn rows(&self, table: &TableName) -> Result<u64, NodeError> {
        Ok(self.warehouse.current()?.rows(table))
    }
}

/// Logs the cause for the operator; the asker learns that the node failed, and nothing that depends on data.
fn failed(question: &NodeQuery, cause: &dyn std::error::Error) -> AskError {
    tracing::error!(query_id = %question.query_id, error = %cause, "a question failed");
    AskError::Failed("it could not compute the answer; its operator finds the cause in the node's log".into())
}
