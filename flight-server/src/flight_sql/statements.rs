//! Statements on their way through the door: planned, kept under a handle, run once, streamed.
//!
//! A refusal comes as early as it can: when a statement is prepared or announced, before any node is asked. The
//! question runs when its ticket is redeemed, within that call: dropping the call drops the question at every node.
//! One that is polled for runs beside the calls.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow_flight::sql::ActionCreatePreparedStatementResult;
use caim_engine::hub::{Answer, Prepared};
use caim_engine::{Asker, Progress, Summary};
use caim_sql::{Code, Refusal};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::ScalarValue;
use prost::bytes::Bytes;
use tonic::Status;

use super::callers::Caller;
use super::commands::{schema_result, ticket};
use super::handles::{Bounds, Handles};
use super::polls::Polls;
use super::service::Messages;
use super::wire_schema;
use crate::questions::Questions;
use crate::{status, wire};

/// Prepared statements that are kept.
pub(super) const PREPARED: Bounds =
    Bounds { per_owner: 256, overall: 4_096, idle: Duration::from_secs(3600) };

/// Announced statements that wait to be fetched.
const TICKETS: Bounds = Bounds { per_owner: 256, overall: 4_096, idle: Duration::from_secs(300) };

/// The statements of all callers.
pub(super) struct Statements {
    questions: Arc<Questions>,
    prepared: Handles<Kept>,
    tickets: Handles<Ticketed>,
    polls: Polls,
}

/// A prepared statement: as it was planned, and with the parameters that were bound last.
struct Kept {
    planned: Arc<Prepared>,
    bound: Mutex<Arc<Prepared>>,
}

/// A statement that was announced, with who asked it for what.
struct Ticketed {
    prepared: Arc<Prepared>,
    asker: Asker,
}

/// An announced statement.
pub(super) struct Announced {
    pub(super) schema: SchemaRef,
    pub(super) ticket: Bytes,
    /// What it costs, as JSON.
    pub(super) cost: Bytes,
}

/// A statement that is polled for.
pub(super) struct Polling {
    pub(super) announced: Announced,
    /// How far it is; nothing when it has ended.
    pub(super) progress: Option<f64>,
}

impl Statements {
    pub(super) fn new(questions: Questions) -> Self {
        let (prepared, tickets) = (Handles::new(PREPARED), Handles::new(TICKETS));
        Self { questions: Arc::new(questions), prepared, tickets, polls: Polls::new() }
    }

    /// The schema of a statement's answer; nothing is kept.
    pub(super) async fn describe(&self, caller: &Caller, sql: String) -> Result<SchemaRef, Status> {
        let prepared = self.plan(caller, sql).await?;
        Ok(wire_schema::announced(&prepared.schema()))
    }

    /// The schema of a prepared statement's answer.
    pub(super) fn describe_prepared(&self, caller: &Caller, handle: &[u8]) -> Result<SchemaRef, Status> {
        let prepared = self.kept(caller, handle)?.latest();
        Ok(wire_schema::announced(&prepared.schema()))
    }

    /// Plans a statement and keeps it under a ticket.
    pub(super) async fn announce(&self, caller: &Caller, sql: String) -> Result<Announced, Status> {
        let prepared = self.plan(caller, sql).await?;
        self.ticketed(caller, Arc::new(prepared))
    }

    /// Keeps a prepared statement with its parameters under a ticket.
    pub(super) fn announce_prepared(&self, caller: &Caller, handle: &[u8]) -> Result<Announced, Status> {
        let prepared = self.kept(caller, handle)?.latest();
        self.ticketed(caller, prepared)
    }

    /// Plans a statement and asks it; the caller polls for the end.
    pub(super) async fn start(&self, caller: &Caller, sql: String) -> Result<Polling, Status> {
        let prepared = self.plan(caller, sql).await?;
        self.polled(caller, Arc::new(prepared)).await
    }

    /// Asks a prepared statement with its parameters; the caller polls for the end.
    pub(super) async fn start_prepared(&self, caller: &Caller, handle: &[u8]) -> Result<Polling, Status> {
        let prepared = self.kept(caller, handle)?.latest();
        self.polled(caller, prepared).await
    }

    /// How far a statement is that was started.
    pub(super) async fn poll(&self, caller: &Caller, handle: &[u8]) -> Result<Polling, Status> {
        let handle = String::from_utf8_lossy(handle);
        let polled = self.polls.get(&caller.user.name, &handle).ok_or_else(unknown_ticket)?;
        let progress = polled.wait().await;
        Ok(Polling { announced: self.announced(&polled.prepared, &handle)?, progress })
    }

    /// Plans a statement and keeps it for later executions.
    pub(super) async fn prepare(
        &self,
        caller: &Caller,
        sql: String,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        let prepared = Arc::new(self.plan(caller, sql).await?);
        let dataset_schema = schema_result(&wire_schema::announced(&prepared.schema()))?.schema;
        let parameter_schema = schema_result(&wire_schema::announced(&prepared.parameters()))?.schema;
        let kept = Kept { planned: Arc::clone(&prepared), bound: Mutex::new(prepared) };
        let handle = self.prepared.keep(&caller.user.name, kept);
        Ok(ActionCreatePreparedStatementResult {
            prepared_statement_handle: handle.into(),
            dataset_schema,
            parameter_schema,
        })
    }

    /// Binds parameters to a prepared statement until others are bound.
    pub(super) async fn bind(
        &self,
        caller: &Caller,
        handle: &[u8],
        values: Vec<ScalarValue>,
    ) -> Result<(), Status> {
        let kept = self.kept(caller, handle)?;
        let bound = self.questions.bind(Arc::clone(&kept.planned), values).await?;
        *kept.bound.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(bound);
        Ok(())
    }

    /// Forgets a prepared statement. One that is not there is closed already.
    pub(super) fn close(&self, caller: &Caller, handle: &[u8]) {
        self.prepared.take(&caller.user.name, &String::from_utf8_lossy(handle));
    }

    /// Forgets an announced statement, and ends one that runs while it is polled for; says whether it was still there.
    pub(super) fn cancel(&self, caller: &Caller, handle: &[u8]) -> bool {
        let (owner, handle) = (&caller.user.name, String::from_utf8_lossy(handle));
        self.tickets.take(owner, &handle).is_some() || self.polls.take(owner, &handle).is_some()
    }

    /// Redeems a ticket: runs the statement and streams its answer. A ticket works once, for its owner.
    pub(super) async fn run(&self, caller: &Caller, handle: &[u8]) -> Result<Messages, Status> {
        let (owner, handle) = (&caller.user.name, String::from_utf8_lossy(handle));
        if let Some(polled) = self.polls.take(owner, &handle) {
            return streamed(&polled.prepared, polled.outcome().await?);
        }
        let ticketed = self.tickets.take(owner, &handle).ok_or_else(unknown_ticket)?;
        if let Some((key, value)) = ticketed.prepared.setting() {
            caller.set(key, value).map_err(|refusal| status::of_refusal(&refusal))?;
            let schema = wire_schema::announced(&ticketed.prepared.schema());
            return wire::encode(schema, Vec::new(), &Summary::default());
        }
        let Ticketed { prepared, asker } = ticketed.as_ref();
        streamed(prepared, self.questions.answer(prepared, asker, &Progress::default()).await?)
    }

    /// A statement that came as an update: only SET is one.
    pub(super) async fn update(&self, caller: &Caller, sql: String) -> Result<(), Status> {
        let prepared = self.plan(caller, sql).await?;
        apply(caller, &prepared)
    }

    /// A prepared statement that came as an update.
    pub(super) fn update_prepared(&self, caller: &Caller, handle: &[u8]) -> Result<(), Status> {
        apply(caller, &self.kept(caller, handle)?.planned)
    }

    /// What a statement would push down, cost and protect, as text.
    pub(super) async fn check(&self, caller: &Caller, sql: String) -> Result<String, Status> {
        Ok(self.questions.check(sql, caller.options.settings()).await?)
    }

    async fn plan(&self, caller: &Caller, sql: String) -> Result<Prepared, Status> {
        let prepared = self.questions.plan(sql, caller.options.settings()).await?;
        if let Some((key, value)) = prepared.setting() {
            caller.can_set(key, value).map_err(|refusal| status::of_refusal(&refusal))?;
        }
        Ok(prepared)
    }

    fn ticketed(&self, caller: &Caller, prepared: Arc<Prepared>) -> Result<Announced, Status> {
        let asker = asker(caller, &prepared)?;
        let ticketed = Ticketed { prepared: Arc::clone(&prepared), asker };
        let handle = self.tickets.keep(&caller.user.name, ticketed);
        self.announced(&prepared, &handle)
    }

    async fn polled(&self, caller: &Caller, prepared: Arc<Prepared>) -> Result<Polling, Status> {
        if prepared.setting().is_some() {
            return Ok(Polling { announced: self.ticketed(caller, prepared)?, progress: None });
        }
        let (asker, questions) = (asker(caller, &prepared)?, Arc::clone(&self.questions));
        let handle = self.polls.start(questions, prepared, asker, &caller.user.name);
        self.poll(caller, handle.as_bytes()).await
    }

    fn announced(&self, prepared: &Prepared, handle: &str) -> Result<Announced, Status> {
        let schema = wire_schema::announced(&prepared.schema());
        let cost = self.questions.cost(prepared)?.into();
        Ok(Announced { schema, ticket: ticket(handle), cost })
    }

    fn kept(&self, caller: &Caller, handle: &[u8]) -> Result<Arc<Kept>, Status> {
        let kept = self.prepared.get(&caller.user.name, &String::from_utf8_lossy(handle));
        kept.ok_or_else(|| {
            Status::not_found("the prepared statement is unknown, closed, expired or another user's")
        })
    }
}

impl Kept {
    fn latest(&self) -> Arc<Prepared> {
        Arc::clone(&self.bound.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Who asks a statement that has all its parameters.
fn asker(caller: &Caller, prepared: &Prepared) -> Result<Asker, Status> {
    let waiting = prepared.parameters().fields().len();
    let asker = match waiting {
        0 => caller.options.asker(&caller.user),
        waiting => Err(Refusal::new(Code::Invalid, format!("the statement waits for {waiting} parameters"))
            .with_rewrite("bind one row of values")),
    };
    asker.map_err(|refusal| status::of_refusal(&refusal))
}

/// An answer in exactly the schema that was announced.
fn streamed(prepared: &Prepared, answer: Answer) -> Result<Messages, Status> {
    let schema = wire_schema::announced(&prepared.schema());
    let batches = answer.batches.iter().map(|batch| wire_schema::conform(batch, &schema));
    let batches = batches.collect::<Result<_, _>>().map_err(|error| {
        tracing::error!(%error, "an answer has another schema than announced");
        status::failed("the answer has another schema than announced")
    })?;
    wire::encode(schema, batches, &answer.summary)
}

fn unknown_ticket() -> Status {
    Status::not_found("the ticket is unknown, used, expired or another user's")
}

fn apply(caller: &Caller, prepared: &Prepared) -> Result<(), Status> {
    let applied = match prepared.setting() {
        Some((key, value)) => caller.set(key, value),
        None => Err(read_only()),
    };
    applied.map_err(|refusal| status::of_refusal(&refusal))
}

/// No to everything that would write.
pub(super) fn read_only() -> Refusal {
    Refusal::new(Code::Statement, "the statement came as an update, and this hub is read-only")
}
