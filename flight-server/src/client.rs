//! A small Flight SQL client, for `caim sql` and `caim check`: one connection, statements, refusals with all fields.

use std::collections::BTreeMap;
use std::time::Duration;

use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::{CommandStatementQuery, ProstMessageExt};
use arrow_flight::{Action, FlightDescriptor, HandshakeRequest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use caim_engine::Summary;
use caim_sql::Refusal;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use futures::stream;
use prost::Message;
use tonic::metadata::{Ascii, MetadataKey, MetadataMap, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code as Grpc, Request, Status};

use crate::address::without_scheme;
use crate::flight_sql::{CHECK, CheckRequest};
use crate::status;
use crate::wire::{self, Broken, Limits};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const MESSAGE_BYTES: usize = 16 << 20;
const HEADER_BYTES: u32 = 16 << 10;
const ANSWER: Limits = Limits { rows: 100_000_000, bytes: 4 << 30 };

/// Who asks.
#[derive(Clone, Default)]
pub enum Credentials {
    /// Whoever the hub takes callers without credentials for.
    #[default]
    Anonymous,
    /// A user with a password.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// A bearer token.
    Token(String),
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No, because.
    #[error("{0}")]
    Refused(Refusal),
    /// There is no hub.
    #[error("the hub at {url} cannot be reached: {reason}; is `caim hub DIR` running?")]
    Unreachable {
        /// Where it should be.
        url: String,
        /// What the network says.
        reason: String,
    },
    /// Something failed, there or here.
    #[error("{0}")]
    Failed(String),
}

/// An answer with its schema and what is said beside it.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The columns.
    pub schema: SchemaRef,
    /// The rows.
    pub batches: Vec<RecordBatch>,
    /// How complete the answer is and what it cost.
    pub summary: Summary,
}

/// A connection to a hub.
#[derive(Clone)]
pub struct Client {
    flight: FlightServiceClient<Channel>,
    headers: MetadataMap,
    url: String,
}

impl Client {
    /// Connects to `grpc://HOST:PORT` and signs in. `options` are sent with every call, under their names in SQL
    /// (`caim.noise_sd`).
    ///
    /// # Errors
    /// When there is no hub, the credentials are refused, or an option is no header.
    pub async fn connect(
        url: &str,
        credentials: &Credentials,
        options: &BTreeMap<String, String>,
    ) -> Result<Self, Error> {
        let unreachable = |reason: String| Error::Unreachable { url: url.to_owned(), reason };
        let endpoint = Endpoint::from_shared(format!("http://{}", without_scheme(url)))
            .map_err(|_| Error::Failed(format!("{url} is no address: write grpc://HOST:PORT")))?;
        let channel = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(Duration::from_secs(10))
            .keep_alive_timeout(Duration::from_secs(10))
            .http2_max_header_list_size(HEADER_BYTES)
            .connect()
            .await
            .map_err(|error| unreachable(root_cause(&error)))?;
        let flight = FlightServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES);
        let mut client = Self { flight, headers: headers(options)?, url: url.to_owned() };
        client.sign_in(credentials).await?;
        Ok(client)
    }

    /// Runs a statement.
    ///
    /// # Errors
    /// A refusal, a hub that is gone, or a failure.
    pub async fn query(&mut self, sql: &str) -> Result<Answer, Error> {
        let command = CommandStatementQuery { query: sql.to_owned(), transaction_id: None };
        let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
        let info = self.flight.get_flight_info(with(&self.headers, descriptor)).await;
        let info = info.map_err(|status| self.error(&status))?.into_inner();
        let ticket = info.endpoint.into_iter().find_map(|endpoint| endpoint.ticket);
        let ticket =
            ticket.ok_or_else(|| Error::Failed("the hub announced an answer without a ticket".to_owned()))?;
        let messages = self.flight.do_get(with(&self.headers, ticket)).await;
        let messages = messages.map_err(|status| self.error(&status))?.into_inner();
        match wire::collect::<Summary>(messages, ANSWER).await {
            Ok(all) => Ok(Answer { schema: all.schema, batches: all.batches, summary: all.about }),
            Err(Broken::Status(status)) => Err(self.error(&status)),
            Err(Broken::Faulty(what)) => Err(Error::Failed(format!("the hub sent {what}"))),
        }
    }

    /// What a statement would push down, cost and protect, as text; touches no data.
    ///
    /// # Errors
    /// A refusal, a hub that is gone, or a failure.
    pub async fn check(&mut self, sql: &str) -> Result<String, Error> {
        let body = serde_json::to_vec(&CheckRequest { sql: sql.to_owned() })
            .map_err(|_| Error::Failed("the statement cannot be written as JSON".to_owned()))?;
        let answer = self.flight.do_action(with(&self.headers, Action::new(CHECK, body))).await;
        let mut answer = answer.map_err(|status| self.error(&status))?.into_inner();
        let text = answer.message().await.map_err(|status| self.error(&status))?;
        Ok(text.map(|result| String::from_utf8_lossy(&result.body).into_owned()).unwrap_or_default())
    }

    async fn sign_in(&mut self, credentials: &Credentials) -> Result<(), Error> {
        let token = match credentials {
            Credentials::Anonymous => return Ok(()),
            Credentials::Token(token) => token.clone(),
            Credentials::Password { user, password } => {
                let basic = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
                let mut request = Request::new(stream::iter([HandshakeRequest::default()]));
                request.metadata_mut().insert("authorization", header(&basic)?);
                let answer = self.flight.handshake(request).await.map_err(|status| self.error(&status))?;
                let answer = answer.into_inner().message().await.map_err(|status| self.error(&status))?;
                String::from_utf8_lossy(&answer.unwrap_or_default().payload).into_owned()
            }
        };
        self.headers.insert("authorization", header(&format!("Bearer {token}"))?);
        Ok(())
    }

    fn error(&self, status: &Status) -> Error {
        if let Some(refusal) = status::refusal(status) {
            return Error::Refused(refusal);
        }
        let reason = status.message().to_owned();
        match status.code() {
            Grpc::Unavailable => Error::Unreachable { url: self.url.clone(), reason },
            _ => Error::Failed(reason),
        }
    }
}

fn with<T>(headers: &MetadataMap, message: T) -> Request<T> {
    Request::from_parts(headers.clone(), http::Extensions::default(), message)
}

fn headers(options: &BTreeMap<String, String>) -> Result<MetadataMap, Error> {
    let mut headers = MetadataMap::new();
    for (key, value) in options {
        let name = format!("x-{}", key.replace(['.', '_'], "-"));
        let name = MetadataKey::<Ascii>::from_bytes(name.as_bytes())
            .map_err(|_| Error::Failed(format!("{key} is no name of an option")))?;
        headers.insert(name, header(value)?);
    }
    Ok(headers)
}

fn header(text: &str) -> Result<MetadataValue<Ascii>, Error> {
    text.parse().map_err(|_| Error::Failed("options and credentials are ASCII text on one line".to_owned()))
}

/// What the network says, without what wraps it.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
