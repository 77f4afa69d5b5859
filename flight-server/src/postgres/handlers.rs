//! What the protocol's messages lead to: signing in, statements at once, statements in steps, cancelling.

use std::collections::HashMap;
use std::fmt::{self, Debug};
use std::sync::Arc;

use async_trait::async_trait;
use caim_sql::text::statements;
use datafusion::common::ScalarValue;
use futures::future::{Either, select};
use futures::{Sink, SinkExt};
use pgwire::api::auth::cleartext::CleartextPasswordAuthStartupHandler;
use pgwire::api::auth::{AuthSource, LoginInfo, Password, ServerParameterProvider, StartupHandler};
use pgwire::api::cancel::{CancelHandler, DefaultCancelHandler};
use pgwire::api::portal::{Format, Portal};
use pgwire::api::query::{ExtendedQueryHandler, SimpleQueryHandler};
use pgwire::api::results::{FieldInfo, Response};
use pgwire::api::stmt::QueryParser;
use pgwire::api::store::PortalStore;
use pgwire::api::{ClientInfo, ClientPortalStore, ConnectionManager, PgWireServerHandlers, Type};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::NoticeResponse;

use super::catalogue::Catalogue;
use super::errors;
use super::parameters;
use super::session::Session;
use super::statements::{Outcome, Statement, cancelled};
use crate::DevIdentity;
use crate::questions::Questions;

/// The version that tools take this door for: it decides which questions about the catalogue they ask.
pub(super) const SERVER_VERSION: &str = "14.0";

/// Everything behind the door.
pub(super) struct Door {
    pub(super) questions: Questions,
    pub(super) catalogue: Catalogue,
    identity: DevIdentity,
    connections: Arc<ConnectionManager>,
}

impl Door {
    pub(super) fn new(questions: Questions, catalogue: Catalogue, identity: DevIdentity) -> Self {
        Self { questions, catalogue, identity, connections: Arc::new(ConnectionManager::new()) }
    }
}

/// One connection to the door.
#[derive(Clone)]
pub(super) struct Handlers {
    door: Arc<Door>,
    session: Arc<Session>,
}

impl Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handlers")
    }
}

impl Handlers {
    pub(super) fn new(door: Arc<Door>, session: Arc<Session>) -> Self {
        Self { door, session }
    }

    /// Runs a statement for as long as the client is there.
    async fn run(
        &self,
        statement: &Statement,
        values: Vec<ScalarValue>,
        format: &Format,
    ) -> PgWireResult<Outcome> {
        let running = Box::pin(statement.run(&self.door, &self.session, values, format));
        let gone = Box::pin(Arc::clone(&self.session).gone());
        match select(running, gone).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right(((), _)) => Err(cancelled()),
        }
    }
}

/// The parameters that are told at the start of a session.
#[derive(Debug)]
pub(super) struct Told;

impl ServerParameterProvider for Told {
    fn server_parameters<C: ClientInfo>(&self, client: &C) -> Option<HashMap<String, String>> {
        let name = |key: &str| client.metadata().get(key).cloned().unwrap_or_default();
        let told = [
            ("server_version", SERVER_VERSION.to_owned()),
            ("server_encoding", "UTF8".to_owned()),
            ("client_encoding", "UTF8".to_owned()),
            ("DateStyle", "ISO, MDY".to_owned()),
            ("IntervalStyle", "postgres".to_owned()),
            ("TimeZone", "UTC".to_owned()),
            ("integer_datetimes", "on".to_owned()),
            ("standard_conforming_strings", "on".to_owned()),
            ("default_transaction_read_only", "on".to_owned()),
            ("in_hot_standby", "off".to_owned()),
            ("is_superuser", "off".to_owned()),
            ("session_authorization", name("user")),
            ("application_name", name("application_name")),
        ];
        Some(told.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }
}

#[async_trait]
impl AuthSource for Handlers {
    async fn get_password(&self, login: &LoginInfo) -> PgWireResult<Password> {
        // Passwords are verified below and never handed out.
        Err(PgWireError::InvalidPassword(login.user().unwrap_or_default().to_owned()))
    }

    async fn verify_password(&self, login: &LoginInfo, presented: &[u8]) -> PgWireResult<Option<()>> {
        let name = login.user().unwrap_or_default();
        // Some clients end the password with a zero byte, which belongs to the message.
        let password = std::str::from_utf8(presented).unwrap_or_default().trim_end_matches('\0');
        let user = self.door.identity.verify(name, password);
        let user = user.ok_or_else(|| PgWireError::InvalidPassword(name.to_owned()))?;
        self.session.sign_in(user);
        Ok(Some(()))
    }
}

#[async_trait]
impl SimpleQueryHandler for Handlers {
    async fn do_query<C>(&self, client: &mut C, query: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let mut responses = Vec::new();
        for sql in statements::all(query) {
            let understood = Box::pin(Statement::understand(&self.door, &self.session, &sql)).await;
            let outcome = match understood {
                Ok(statement) => self.run(&statement, Vec::new(), &Format::UnifiedText).await,
                Err(error) => Err(error),
            };
            match outcome {
                Ok(outcome) => responses.push(noticed(client, outcome).await?),
                // What was answered before stays answered.
                Err(error) if !responses.is_empty() => {
                    responses.push(Response::Error(Box::new(error.into())));
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        if responses.is_empty() {
            responses.push(Response::EmptyQuery);
        }
        Ok(responses)
    }
}

/// Says how complete an answer is, and hands on the answer.
async fn noticed<C>(client: &mut C, outcome: Outcome) -> PgWireResult<Response>
where
    C: Sink<PgWireBackendMessage> + Unpin + Send + Sync,
    C::Error: Debug,
    PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
{
    if let Some(summary) = &outcome.summary {
        let notice = NoticeResponse::from(errors::notice(summary));
        client.feed(PgWireBackendMessage::NoticeResponse(notice)).await?;
    }
    Ok(outcome.response)
}

#[async_trait]
impl QueryParser for Handlers {
    type Statement = Statement;

    async fn parse_sql<C>(&self, _: &C, sql: &str, _: &[Option<Type>]) -> PgWireResult<Option<Statement>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        let [sql] = &statements::all(sql)[..] else {
            let many = "a prepared statement is one statement";
            return if statements::all(sql).is_empty() {
                Ok(None)
            } else {
                Err(errors::error("42601", many))
            };
        };
        Box::pin(Statement::understand(&self.door, &self.session, sql)).await.map(Some)
    }

    fn get_parameter_types(&self, statement: &Statement) -> PgWireResult<Vec<Type>> {
        Ok(statement.parameters())
    }

    fn get_result_schema(
        &self,
        statement: &Statement,
        format: Option<&Format>,
    ) -> PgWireResult<Vec<FieldInfo>> {
        Ok(statement.columns(format.unwrap_or(&Format::UnifiedText)))
    }
}

#[async_trait]
impl ExtendedQueryHandler for Handlers {
    type Statement = Statement;
    type QueryParser = Self;

    fn query_parser(&self) -> Arc<Self> {
        Arc::new(self.clone())
    }

    async fn do_query<C>(
        &self,
        client: &mut C,
        portal: &Portal<Statement>,
        _: usize,
    ) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let statement = &portal.statement.statement;
        let values = parameters::values(portal, &statement.parameters())?;
        let outcome = self.run(statement, values, &portal.result_column_format).await?;
        noticed(client, outcome).await
    }
}

impl PgWireServerHandlers for Handlers {
    fn simple_query_handler(&self) -> Arc<impl SimpleQueryHandler> {
        Arc::new(self.clone())
    }

    fn extended_query_handler(&self) -> Arc<impl ExtendedQueryHandler> {
        Arc::new(self.clone())
    }

    fn startup_handler(&self) -> Arc<impl StartupHandler> {
        let handler = CleartextPasswordAuthStartupHandler::new(self.clone(), Told);
        Arc::new(handler.with_connection_manager(Arc::clone(&self.door.connections)))
    }

    fn cancel_handler(&self) -> Arc<impl CancelHandler> {
        Arc::new(DefaultCancelHandler::new(Arc::clone(&self.door.connections)))
    }
}
