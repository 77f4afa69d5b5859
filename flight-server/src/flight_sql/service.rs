//! The door's calls, as a table of contents: each finds out who calls and hands over to the module that knows how.

use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightService;
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest,
    HandshakeResponse, PollInfo, PutResult, SchemaResult, Ticket,
};
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use prost::bytes::Bytes;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use super::callers::{Caller, Callers};
use super::catalogue::{Catalogue, Listed};
use super::commands::{self, Asked};
use super::statements::{Announced, Statements};
use super::{actions, puts};
use crate::status;

/// Messages of an answer.
pub(super) type Messages = BoxStream<'static, Result<FlightData, Status>>;

/// How long a client may take to say what it puts.
const PUT_TIMEOUT: Duration = Duration::from_secs(30);

/// Everything behind the door.
pub(super) struct Inside {
    pub(super) callers: Callers,
    pub(super) catalogue: Catalogue,
    pub(super) statements: Statements,
}

fn announcement(announced: Announced, descriptor: FlightDescriptor) -> Result<FlightInfo, Status> {
    commands::announcement(&announced.schema, announced.ticket, descriptor, announced.cost)
}

/// The Flight service of the door.
#[derive(Clone)]
pub(super) struct DoorService(pub(super) Arc<Inside>);

impl Inside {
    pub(super) fn caller(&self, headers: &MetadataMap) -> Result<Caller, Status> {
        self.callers.caller(headers).map_err(|refusal| status::of_refusal(&refusal))
    }

    async fn announce(&self, caller: &Caller, descriptor: FlightDescriptor) -> Result<FlightInfo, Status> {
        let announced = match commands::read(&descriptor.cmd)? {
            Asked::Statement(sql) => self.statements.announce(caller, sql).await?,
            Asked::Prepared(handle) => self.statements.announce_prepared(caller, &handle)?,
            Asked::Announced(_) => {
                return Err(Status::invalid_argument("a ticket is fetched, not announced"));
            }
            Asked::Catalogue(listed) => {
                let schema = self.list(listed).await?.schema();
                return commands::announcement(&schema, descriptor.cmd.clone(), descriptor, Bytes::new());
            }
        };
        announcement(announced, descriptor)
    }

    /// Starts a statement, or says how far it is. What has nothing to wait for is there at once.
    async fn poll(&self, caller: &Caller, descriptor: FlightDescriptor) -> Result<PollInfo, Status> {
        let polling = match commands::read(&descriptor.cmd)? {
            Asked::Statement(sql) => self.statements.start(caller, sql).await?,
            Asked::Prepared(handle) => self.statements.start_prepared(caller, &handle).await?,
            Asked::Announced(handle) => self.statements.poll(caller, &handle).await?,
            Asked::Catalogue(_) => {
                let info = self.announce(caller, descriptor).await?;
                return Ok(PollInfo { info: Some(info), progress: Some(1.0), ..PollInfo::default() });
            }
        };
        let next = polling.progress.map(|_| FlightDescriptor::new_cmd(polling.announced.ticket.clone()));
        Ok(PollInfo {
            info: Some(announcement(polling.announced, descriptor)?),
            progress: Some(polling.progress.unwrap_or(1.0)),
            flight_descriptor: next,
            ..PollInfo::default()
        })
    }

    async fn describe(&self, caller: &Caller, descriptor: FlightDescriptor) -> Result<SchemaResult, Status> {
        let schema = match commands::read(&descriptor.cmd)? {
            Asked::Statement(sql) => self.statements.describe(caller, sql).await?,
            Asked::Prepared(handle) => self.statements.describe_prepared(caller, &handle)?,
            Asked::Announced(_) => {
                return Err(Status::invalid_argument("a ticket is fetched, not described"));
            }
            Asked::Catalogue(listed) => self.list(listed).await?.schema(),
        };
        commands::schema_result(&schema)
    }

    async fn fetch(&self, caller: &Caller, ticket: Ticket) -> Result<Messages, Status> {
        match commands::read(&ticket.ticket)? {
            Asked::Announced(handle) => self.statements.run(caller, &handle).await,
            Asked::Catalogue(listed) => {
                let list = self.list(listed).await?;
                crate::wire::encode(list.schema(), vec![list], &())
            }
            Asked::Statement(_) | Asked::Prepared(_) => Err(Status::invalid_argument(
                "a statement is announced first; fetch the ticket of its FlightInfo",
            )),
        }
    }

    async fn list(&self, listed: Listed) -> Result<datafusion::arrow::record_batch::RecordBatch, Status> {
        self.catalogue.refresh().await;
        self.catalogue.list(listed).map_err(|error| {
            tracing::error!(%error, "the catalogue cannot be listed");
            status::failed("the catalogue cannot be listed")
        })
    }
}

#[tonic::async_trait]
impl FlightService for DoorService {
    type HandshakeStream = BoxStream<'static, Result<HandshakeResponse, Status>>;
    type ListFlightsStream = BoxStream<'static, Result<FlightInfo, Status>>;
    type DoGetStream = Messages;
    type DoPutStream = BoxStream<'static, Result<PutResult, Status>>;
    type DoActionStream = BoxStream<'static, Result<arrow_flight::Result, Status>>;
    type ListActionsStream = BoxStream<'static, Result<ActionType, Status>>;
    type DoExchangeStream = BoxStream<'static, Result<FlightData, Status>>;

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        let token =
            self.0.callers.sign_in(request.metadata()).map_err(|refusal| status::of_refusal(&refusal))?;
        actions::signed_in(&token)
    }

    async fn get_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let caller = self.0.caller(request.metadata())?;
        self.0.announce(&caller, request.into_inner()).boxed().await.map(Response::new)
    }

    async fn poll_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<PollInfo>, Status> {
        let caller = self.0.caller(request.metadata())?;
        self.0.poll(&caller, request.into_inner()).boxed().await.map(Response::new)
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        let caller = self.0.caller(request.metadata())?;
        self.0.describe(&caller, request.into_inner()).boxed().await.map(Response::new)
    }

    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        let caller = self.0.caller(request.metadata())?;
        self.0.fetch(&caller, request.into_inner()).boxed().await.map(Response::new)
    }

    async fn do_put(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoPutStream>, Status> {
        let caller = self.0.caller(request.metadata())?;
        let put = puts::put(&self.0.statements, &caller, request.into_inner()).boxed();
        let put = tokio::time::timeout(PUT_TIMEOUT, put).await;
        let result = put.map_err(|_| Status::deadline_exceeded("nothing was put in time"))??;
        Ok(Response::new(stream::iter([Ok(result)]).boxed()))
    }

    async fn do_action(&self, request: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        let caller = self.0.caller(request.metadata())?;
        actions::act(&self.0, &caller, request.into_inner()).boxed().await
    }

    async fn list_actions(
        &self,
        request: Request<Empty>,
    ) -> Result<Response<Self::ListActionsStream>, Status> {
        self.0.caller(request.metadata())?;
        Ok(Response::new(stream::iter(actions::offered().map(Ok)).boxed()))
    }

    async fn list_flights(&self, _: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        Err(Status::unimplemented("flights are not listed; ask for tables or send a statement"))
    }

    async fn do_exchange(
        &self,
        _: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(Status::unimplemented("nothing is exchanged here; send a statement"))
    }
}
