//! The actions: prepared statements, sessions, cancelling, and `caim.check`.

use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest, Any, ProstMessageExt,
};
use arrow_flight::{
    Action, ActionType, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, HandshakeResponse,
};
use futures::stream::{self, BoxStream, StreamExt};
use prost::Message;
use prost::bytes::Bytes;
use serde::{Deserialize, Serialize};
use tonic::{Response, Status};

use super::callers::Caller;
use super::commands::{self, Asked};
use super::service::Inside;
use super::sessions;
use crate::status;

/// Action that says what a statement would cost and push down.
pub(crate) const CHECK: &str = "caim.check";

/// Body of the action [`CHECK`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckRequest {
    /// The statement.
    pub(crate) sql: String,
}

type Acted = Response<BoxStream<'static, Result<arrow_flight::Result, Status>>>;

const OFFERED: [(&str, &str); 7] = [
    ("CreatePreparedStatement", "Prepares a statement (ActionCreatePreparedStatementRequest)."),
    ("ClosePreparedStatement", "Forgets a prepared statement (ActionClosePreparedStatementRequest)."),
    (
        "CancelFlightInfo",
        "Ends a statement that is polled for, forgets an announced one (CancelFlightInfoRequest).",
    ),
    ("SetSessionOptions", "Sets catalog, schema and caim.* options (SetSessionOptionsRequest)."),
    ("GetSessionOptions", "Lists the options that are set (GetSessionOptionsRequest)."),
    ("CloseSession", "Forgets the options (CloseSessionRequest)."),
    (CHECK, "Says what a statement would cost and push down, as text; body: JSON {\"sql\": ...}."),
];

/// The actions that are offered.
pub(super) fn offered() -> impl Iterator<Item = ActionType> {
    OFFERED
        .iter()
        .map(|(name, text)| ActionType { r#type: (*name).to_owned(), description: (*text).to_owned() })
}

/// Does what an action asks for.
pub(super) async fn act(inside: &Inside, caller: &Caller, action: Action) -> Result<Acted, Status> {
    let body = &*action.body;
    match action.r#type.as_str() {
        "CreatePreparedStatement" => {
            let wanted: ActionCreatePreparedStatementRequest = unpack(body)?;
            let prepared = inside.statements.prepare(caller, wanted.query).await?;
            Ok(one(prepared.as_any().encode_to_vec().into()))
        }
        "ClosePreparedStatement" => {
            let wanted: ActionClosePreparedStatementRequest = unpack(body)?;
            inside.statements.close(caller, &wanted.prepared_statement_handle);
            Ok(Response::new(stream::empty().boxed()))
        }
        "CancelFlightInfo" => cancel(inside, caller, body),
        "SetSessionOptions" => set_options(inside, caller, body),
        "GetSessionOptions" => Ok(one(sessions::get(caller))),
        "CloseSession" => Ok(one(sessions::close(caller))),
        CHECK => {
            let wanted: CheckRequest = serde_json::from_slice(body).map_err(|_| {
                Status::invalid_argument("the body of caim.check is JSON: {\"sql\": \"SELECT ...\"}")
            })?;
            Ok(one(inside.statements.check(caller, wanted.sql).await?.into()))
        }
        other => {
            let name: String = other.chars().take(64).collect();
            Err(Status::unimplemented(format!(
                "there is no action {name:?}; ListActions names those that are"
            )))
        }
    }
}

/// The answer to a handshake: some clients read the token from the headers, others from the payload.
pub(super) fn signed_in(
    token: &str,
) -> Result<Response<BoxStream<'static, Result<HandshakeResponse, Status>>>, Status> {
    let payload = HandshakeResponse { protocol_version: 0, payload: token.to_owned().into() };
    let mut response = Response::new(stream::iter([Ok(payload)]).boxed());
    let header = format!("Bearer {token}").parse().map_err(|_| status::failed("the token is no header"))?;
    response.metadata_mut().insert("authorization", header);
    Ok(response)
}

fn set_options(inside: &Inside, caller: &Caller, body: &[u8]) -> Result<Acted, Status> {
    let (session, cookie) = inside.callers.session(caller);
    let mut response = one(sessions::set(body, caller, &session, &inside.catalogue)?);
    if let Some(cookie) = cookie {
        let cookie = cookie.parse().map_err(|_| status::failed("the cookie is no header"))?;
        response.metadata_mut().insert("set-cookie", cookie);
    }
    Ok(response)
}

fn cancel(inside: &Inside, caller: &Caller, body: &[u8]) -> Result<Acted, Status> {
    let request = CancelFlightInfoRequest::decode(body)
        .map_err(|_| Status::invalid_argument("this is no CancelFlightInfoRequest"))?;
    let endpoints = request.info.into_iter().flat_map(|info| info.endpoint);
    let cancelled = endpoints.filter_map(|endpoint| endpoint.ticket).any(|ticket| {
        matches!(commands::read(&ticket.ticket), Ok(Asked::Announced(handle)) if inside.statements.cancel(caller, &handle))
    });
    // A statement that is being fetched ends when its stream is dropped.
    let status = if cancelled { CancelStatus::Cancelled } else { CancelStatus::NotCancellable };
    Ok(one(CancelFlightInfoResult::new(status).encode_to_vec().into()))
}

fn unpack<M: ProstMessageExt>(body: &[u8]) -> Result<M, Status> {
    let any = Any::decode(body).ok().and_then(|any| any.unpack().ok().flatten());
    any.ok_or_else(|| Status::invalid_argument(format!("the body is no {}", M::type_url())))
}

fn one(body: Bytes) -> Acted {
    Response::new(stream::iter([Ok(arrow_flight::Result { body })]).boxed())
}
