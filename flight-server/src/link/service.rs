//! What a node serves on a link: its profile, released answers, and published cubes. Everything else of Flight is refused.

use std::sync::Arc;

use arrow_flight::flight_service_server::FlightService;
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest,
    HandshakeResponse, PollInfo, PutResult, SchemaResult, Ticket,
};
use caim_engine::{AskError, Node, NodeQuery};
use caim_sql::{Code, Refusal};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tonic::{Request, Response, Status, Streaming};

use super::{CUBE, PROFILE};
use crate::{status, wire};

/// Messages of an answer.
pub(super) type Messages = BoxStream<'static, Result<FlightData, Status>>;

/// What can be asked over a link. Outside of tests, only [`Gate`] is.
#[tonic::async_trait]
pub(super) trait Asked: Send + Sync + 'static {
    /// The profile as JSON.
    fn profile(&self) -> Result<Vec<u8>, AskError>;

    /// The answer to a question, which is the JSON of a [`NodeQuery`].
    async fn answer(&self, question: &[u8]) -> Result<Messages, Status>;

    /// A published cube.
    async fn cube(&self, name: &str) -> Result<Messages, Status>;
}

/// A node behind its gate.
pub(super) struct Gate(pub(super) Arc<Node>);

#[tonic::async_trait]
impl Asked for Gate {
    fn profile(&self) -> Result<Vec<u8>, AskError> {
        let profile = self.0.profile().map_err(|error| {
            tracing::error!(%error, "the node cannot say what it holds");
            AskError::Failed(
                "the node cannot say what it holds; its operator finds the cause in its log".into(),
            )
        })?;
        serde_json::to_vec(&profile)
            .map_err(|_| AskError::Failed("the profile cannot be written as JSON".into()))
    }

    async fn answer(&self, question: &[u8]) -> Result<Messages, Status> {
        let question: NodeQuery = serde_json::from_slice(question).map_err(|_| {
            let reason = "the question is not in a form that this node knows";
            status::of_ask_error(&AskError::Refused(Refusal::new(Code::Malformed, reason)))
        })?;
        let released = self.0.answer(question).await.map_err(|error| status::of_ask_error(&error))?;
        wire::encode(released.batch().schema(), vec![released.batch().clone()], released.facts())
    }

    async fn cube(&self, name: &str) -> Result<Messages, Status> {
        let found = self.0.cube(name).map_err(|error| status::of_ask_error(&error))?;
        let batch = found.released.batch();
        wire::encode(batch.schema(), vec![batch.clone()], &found.head())
    }
}

/// Flight over an [`Asked`].
pub(super) struct LinkService<A>(Arc<A>);

impl<A> LinkService<A> {
    pub(super) fn new(asked: A) -> Self {
        Self(Arc::new(asked))
    }
}

impl<A> Clone for LinkService<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

fn not_here<T>(what: &str) -> Result<T, Status> {
    Err(Status::unimplemented(format!(
        "a node serves its profile, released answers and published cubes, no {what}"
    )))
}

#[tonic::async_trait]
impl<A: Asked> FlightService for LinkService<A> {
    type HandshakeStream = BoxStream<'static, Result<HandshakeResponse, Status>>;
    type ListFlightsStream = BoxStream<'static, Result<FlightInfo, Status>>;
    type DoGetStream = Messages;
    type DoPutStream = BoxStream<'static, Result<PutResult, Status>>;
    type DoActionStream = BoxStream<'static, Result<arrow_flight::Result, Status>>;
    type ListActionsStream = BoxStream<'static, Result<ActionType, Status>>;
    type DoExchangeStream = BoxStream<'static, Result<FlightData, Status>>;

    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        let ticket = request.into_inner().ticket;
        let messages = match ticket.strip_prefix(CUBE) {
            Some(name) => self.0.cube(&String::from_utf8_lossy(name)).await,
            None => self.0.answer(&ticket).await,
        };
        messages.map(Response::new)
    }

    async fn do_action(&self, request: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        if request.get_ref().r#type != PROFILE {
            return not_here("other action");
        }
        let body = self.0.profile().map_err(|error| status::of_ask_error(&error))?;
        Ok(Response::new(stream::iter([Ok(arrow_flight::Result { body: body.into() })]).boxed()))
    }

    async fn handshake(
        &self,
        _: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        not_here("handshake")
    }

    async fn list_flights(&self, _: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        not_here("list")
    }

    async fn get_flight_info(&self, _: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        not_here("flight")
    }

    async fn poll_flight_info(&self, _: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        not_here("flight")
    }

    async fn get_schema(&self, _: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        not_here("schema")
    }

    async fn do_put(&self, _: Request<Streaming<FlightData>>) -> Result<Response<Self::DoPutStream>, Status> {
        not_here("way to write")
    }

    async fn list_actions(&self, _: Request<Empty>) -> Result<Response<Self::ListActionsStream>, Status> {
        not_here("list")
    }

    async fn do_exchange(
        &self,
        _: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        not_here("exchange")
    }
}
