//! The hub: plans a statement, asks the nodes, merges what they released, and runs the remainder over that.
//!
//! It holds no data of patients and needs no trust of the nodes: every table here is public or released.

mod check;
mod cubes;
mod explain;
mod precision;
pub mod public;
mod remainder;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use caim_ontology::Models;
use caim_sql::lower::{Lowered, Settings, lower};
use caim_sql::plan::{Planned, plan};
use caim_sql::text::{self, Statement};
use caim_sql::{Code, PrivateQuery, Refusal};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;

pub use check::Check;

use crate::channel::Asker;
use crate::federate::{CubeUse, Federation, Nodes, Summary};
use crate::merge::{self, merge};
use crate::progress::Progress;
use cubes::{Cubes, Shelf};
use remainder::Released;

/// Planning runs on a thread with a stack of its own, since deep statements are planned recursively.
const PLANNING_STACK_BYTES: usize = 64 << 20;

/// The hub of a federation.
pub struct Hub {
    models: Arc<Models>,
    cubes: Cubes,
    nodes: Arc<dyn Nodes>,
    vocabulary: public::Vocabulary,
    deadline: Duration,
}

/// A statement that was understood: ready to be asked, once its parameters are bound.
#[derive(Clone)]
pub struct Prepared {
    statement: PreparedStatement,
    schema: SchemaRef,
    parameters: SchemaRef,
}

#[derive(Clone)]
enum PreparedStatement {
    Set { key: String, value: String },
    Unbound { planned: Box<Planned>, settings: Settings },
    Bound(Box<Lowered>),
    Explained(Box<RecordBatch>),
}

/// An answer: released values only.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Exactly the schema that was announced.
    pub schema: SchemaRef,
    /// The rows, in batches of that schema.
    pub batches: Vec<RecordBatch>,
    /// How complete it is and what it cost.
    pub summary: Summary,
}

/// A table as clients may list it.
#[derive(Debug, Clone)]
pub struct TableListing {
    /// Schema.
    pub schema: String,
    /// Table.
    pub name: String,
    /// `TABLE` for tables of nodes and published cubes, `VIEW` for other tables of the hub.
    pub kind: &'static str,
    /// What a row is.
    pub comment: String,
    /// Columns in their standard spelling; the comment of a column is in its metadata under `comment`.
    pub arrow: SchemaRef,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HubError {
    /// No, because.
    #[error("{0}")]
    Refused(Refusal),
    /// The hub failed.
    #[error("the hub failed: {0}")]
    Failed(String),
}

impl From<Refusal> for HubError {
    fn from(refusal: Refusal) -> Self {
        HubError::Refused(refusal)
    }
}

impl Hub {
    /// A hub over some nodes; `deadline` bounds every question.
    #[must_use]
    pub fn new(models: Arc<Models>, nodes: Arc<dyn Nodes>, deadline: Duration) -> Self {
        let cubes = Cubes::new(Arc::clone(&models));
        Self { models, cubes, nodes, vocabulary: public::Vocabulary::default(), deadline }
    }

    /// Takes in the cubes that linked nodes have published since. Call it before a statement is prepared or tables are
    /// listed: they show what was taken in last. Without news it does nothing.
    pub async fn refresh(&self) {
        self.cubes.refresh(self.nodes.as_ref()).await;
    }

    /// Understands a statement. What would be refused is refused here, before any node is asked.
    ///
    /// # Errors
    /// A refusal with code, reason and rewrite.
    pub fn prepare(&self, sql: &str, settings: &Settings) -> Result<Prepared, Refusal> {
        on_large_stack(|| self.prepare_here(sql, settings))
    }

    fn prepare_here(&self, sql: &str, settings: &Settings) -> Result<Prepared, Refusal> {
        let query = match text::read(sql)? {
            Statement::Set { key, value } => return Ok(Prepared::set(key, value)),
            Statement::Explain { query, format } => return self.explained(&query, format, settings),
            Statement::Query(query) => query,
        };
        let planned = plan(&query, &self.cubes.shelf().catalogue)?;
        let parameters = planned.parameters();
        if parameters.fields().is_empty() {
            return self.bound(&planned, settings);
        }
        let schema = wire::schema(planned.plan.schema(), &planned.output);
        let statement = PreparedStatement::Unbound { planned: Box::new(planned), settings: settings.clone() };
        Ok(Prepared { statement, schema, parameters })
    }

    fn explained(
        &self,
        query: &text::Query,
        format: text::ExplainFormat,
        settings: &Settings,
    ) -> Result<Prepared, Refusal> {
        let shelf = self.cubes.shelf();
        let planned = plan(query, &shelf.catalogue)?;
        let lowered = lower(&planned, &shelf.catalogue, settings)?;
        let uses = self.uses(&lowered, &shelf)?;
        let steps = explain::explain(&lowered, &self.models, &uses, self.nodes.as_ref(), format)?;
        let (schema, parameters) = (steps.schema(), wire::no_columns());
        Ok(Prepared { statement: PreparedStatement::Explained(Box::new(steps)), schema, parameters })
    }

    /// Binds parameters by position.
    ///
    /// # Errors
    /// When their number or types do not fit, and all refusals of [`Hub::prepare`].
    pub fn bind(&self, prepared: &Prepared, values: Vec<ScalarValue>) -> Result<Prepared, Refusal> {
        match &prepared.statement {
            PreparedStatement::Unbound { planned, settings } => {
                on_large_stack(|| self.bound(&planned.bind(values)?, settings))
            }
            PreparedStatement::Set { .. } | PreparedStatement::Bound(_) | PreparedStatement::Explained(_)
                if values.is_empty() =>
            {
                Ok(prepared.clone())
            }
            PreparedStatement::Set { .. } | PreparedStatement::Bound(_) | PreparedStatement::Explained(_) => {
                Err(Refusal::new(Code::Invalid, "the statement has no parameters"))
            }
        }
    }

    fn bound(&self, planned: &Planned, settings: &Settings) -> Result<Prepared, Refusal> {
        let lowered = lower(planned, &self.cubes.shelf().catalogue, settings)?;
        let schema = wire::schema(lowered.remainder.schema(), &lowered.output);
        let statement = PreparedStatement::Bound(Box::new(lowered));
        Ok(Prepared { statement, schema, parameters: wire::no_columns() })
    }

    /// Asks the nodes and computes the answer. Dropping the future ends the work everywhere.
    ///
    /// # Errors
    /// A refusal when no node answered and all that could refused; a failure when the hub itself failed.
    pub async fn answer(&self, prepared: &Prepared, asker: &Asker) -> Result<Answer, HubError> {
        self.answer_watched(prepared, asker, &Progress::default()).await
    }

    /// [`Hub::answer`], for somebody who watches how far it is.
    ///
    /// # Errors
    /// Those of [`Hub::answer`].
    pub async fn answer_watched(
        &self,
        prepared: &Prepared,
        asker: &Asker,
        progress: &Progress,
    ) -> Result<Answer, HubError> {
        let lowered = match &prepared.statement {
            PreparedStatement::Bound(lowered) => lowered,
            PreparedStatement::Unbound { .. } => {
                return Err(Refusal::new(Code::Invalid, "the statement's parameters are not bound").into());
            }
            PreparedStatement::Set { .. } => return Ok(prepared.nothing()),
            PreparedStatement::Explained(steps) => {
                return Ok(Answer { batches: vec![steps.as_ref().clone()], ..prepared.nothing() });
            }
        };
        self.refresh().await;
        let shelf = self.cubes.shelf();
        let mut summary = Summary::default();
        for cube in shelf.read_by(&lowered.remainder)? {
            summary.add(shelf.summary(cube, self.nodes.as_ref()));
        }
        let query_id = query_id().map_err(HubError::Failed)?;
        let apart = remainder::apart(&lowered.remainder, lowered.queries.len()).map_err(failed)?;
        let mut released = Vec::new();
        for (query, apart) in lowered.queries.iter().zip(apart) {
            let answered = if apart { None } else { self.answered_by_cube(query, &shelf)? };
            let (cells, outcomes) = match answered {
                Some((merged, outcomes)) => (Released { merged, by_node: None }, outcomes),
                None => self.asked(query, asker, &query_id, apart, progress).await?,
            };
            summary.add(outcomes);
            released.push(cells);
        }
        let public = public::Contents {
            models: &self.models,
            nodes: self.nodes.as_ref(),
            vocabulary: &self.vocabulary,
            shelf: &shelf,
        };
        let batches = remainder::run(&lowered.remainder, released, &public).await.map_err(failed)?;
        let batches = wire::normalised(&prepared.schema, batches).map_err(failed)?;
        Ok(Answer { schema: Arc::clone(&prepared.schema), batches, summary })
    }

    /// What a published cube says to a question, if one does: free, and no node is asked.
    fn answered_by_cube(
        &self,
        query: &PrivateQuery,
        shelf: &Shelf,
    ) -> Result<Option<(RecordBatch, Summary)>, HubError> {
        let nodes = self.nodes.as_ref();
        let Some(answering) = shelf.answering(query, &self.models, nodes) else { return Ok(None) };
        let cells = answering.released(query, &self.models).map_err(|e| HubError::Failed(e.to_string()))?;
        let mut summary = shelf.summary(answering.shown, nodes);
        summary.precision = precision::of_merged(query, &self.models, &cells).map_err(HubError::Failed)?;
        Ok(Some((cells, summary)))
    }

    /// What the nodes release for a question, merged; `apart`: each node's cells as well.
    async fn asked(
        &self,
        query: &PrivateQuery,
        asker: &Asker,
        query_id: &str,
        apart: bool,
        progress: &Progress,
    ) -> Result<(Released, Summary), HubError> {
        let (models, nodes) = (&self.models, self.nodes.as_ref());
        let federation = Federation { models, nodes, deadline: self.deadline, progress };
        let (replies, mut outcomes) = federation.ask(query, asker, query_id).await;
        if replies.is_empty() {
            return Err(nobody_answered(&outcomes));
        }
        let merged = merge(query, &self.models, &replies).map_err(failed)?;
        outcomes.precision = precision::of_merged(query, &self.models, &merged).map_err(HubError::Failed)?;
        let by_node =
            apart.then(|| merge::apart(query, &self.models, &replies)).transpose().map_err(failed)?;
        Ok((Released { merged, by_node }, outcomes))
    }

    /// What a statement would push down, cost and protect, from public facts alone; touches no data.
    ///
    /// # Errors
    /// All refusals of [`Hub::prepare`].
    pub fn check(&self, sql: &str, settings: &Settings) -> Result<Check, Refusal> {
        self.check_prepared(&self.prepare(sql, settings)?)
    }

    /// [`Hub::check`] of a statement that was prepared.
    ///
    /// # Errors
    /// When its parameters are not bound.
    pub fn check_prepared(&self, prepared: &Prepared) -> Result<Check, Refusal> {
        let lowered = match &prepared.statement {
            PreparedStatement::Bound(lowered) => lowered,
            PreparedStatement::Set { .. } | PreparedStatement::Explained(_) => return Ok(Check::default()),
            PreparedStatement::Unbound { .. } => {
                return Err(Refusal::new(Code::Invalid, "a statement with parameters cannot be checked")
                    .with_rewrite("write values in the place of the parameters"));
            }
        };
        let uses = self.uses(lowered, &self.cubes.shelf())?;
        let profiles: Vec<_> = self.nodes.linked().iter().map(|n| n.profile().clone()).collect();
        Check::new(&lowered.queries, &self.models, &profiles, &uses)
    }

    /// The cubes that a statement reads, and for each of its questions the one that answers it.
    fn uses(&self, lowered: &Lowered, shelf: &Shelf) -> Result<Uses, Refusal> {
        let read = shelf.read_by(&lowered.remainder)?.into_iter().map(|cube| cube.usage()).collect();
        let apart = remainder::apart(&lowered.remainder, lowered.queries.len());
        let apart = apart.map_err(|e| Refusal::new(Code::Malformed, e.to_string()))?;
        let answering = lowered.queries.iter().zip(apart).map(|(query, apart)| match apart {
            true => None,
            false => shelf.answering(query, &self.models, self.nodes.as_ref()),
        });
        Ok(Uses { read, answering: answering.map(|found| found.map(|by| by.shown.usage())).collect() })
    }

    /// All tables that clients can list, sorted by schema and name.
    #[must_use]
    pub fn tables(&self) -> Vec<TableListing> {
        public::listings(&self.models, &self.cubes.shelf())
    }
}

/// How published cubes serve a statement.
struct Uses {
    /// The cubes that it reads.
    read: Vec<CubeUse>,
    /// For each question, the cube that answers it in the place of the nodes.
    answering: Vec<Option<CubeUse>>,
}

impl Prepared {
    /// The schema of the answer: plain types, every column nullable, names as the analyst wrote them.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// The parameters that wait for values: fields `$1`, `$2`, ... in order.
    #[must_use]
    pub fn parameters(&self) -> SchemaRef {
        Arc::clone(&self.parameters)
    }

    /// Key and value of a `SET` statement.
    #[must_use]
    pub fn setting(&self) -> Option<(&str, &str)> {
        match &self.statement {
            PreparedStatement::Set { key, value } => Some((key, value)),
            PreparedStatement::Unbound { .. }
            | PreparedStatement::Bound(_)
            | PreparedStatement::Explained(_) => None,
        }
    }

    fn set(key: String, value: String) -> Self {
        let statement = PreparedStatement::Set { key, value };
        Self { statement, schema: wire::no_columns(), parameters: wire::no_columns() }
    }

    fn nothing(&self) -> Answer {
        Answer { schema: self.schema(), batches: Vec::new(), summary: Summary::default() }
    }
}

/// The refusal of the first node that said no, or that there was nobody to ask.
fn nobody_answered(summary: &Summary) -> HubError {
    use crate::federate::Outcome;
    let refused = summary.nodes.iter().find_map(|n| match &n.outcome {
        Outcome::Refused { code, reason, rewrite } => {
            Some(Refusal { code: *code, reason: format!("{}: {reason}", n.node), rewrite: rewrite.clone() })
        }
        Outcome::Answered { .. }
        | Outcome::Failed { .. }
        | Outcome::Unreachable { .. }
        | Outcome::Absent { .. } => None,
    });
    if let Some(refusal) = refused {
        return refusal.into();
    }
    let failed = summary.nodes.iter().any(|n| matches!(n.outcome, Outcome::Failed { .. }));
    let code = if failed { Code::NodeFailed } else { Code::NoNodes };
    Refusal::new(code, summary.to_string()).into()
}

fn failed(cause: impl std::fmt::Display) -> HubError {
    HubError::Failed(cause.to_string())
}

/// Names a question in logs and audit records.
fn query_id() -> Result<String, String> {
    let mut id = [0u8; 16];
    getrandom::fill(&mut id).map_err(|e| e.to_string())?;
    Ok(hex::encode(id))
}

pub(crate) fn on_large_stack<T: Send>(
    work: impl FnOnce() -> Result<T, Refusal> + Send,
) -> Result<T, Refusal> {
    let too_complex = || Refusal::new(Code::TooComplex, "the statement could not be planned");
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("planning".into()).stack_size(PLANNING_STACK_BYTES);
        let planned = thread.spawn_scoped(scope, work).map_err(|_| too_complex())?;
        planned.join().unwrap_or_else(|_| Err(too_complex()))
    })
}
