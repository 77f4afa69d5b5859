//! A [`NodeChannel`] over Flight: one question is one `do_get` on the stream that the node dialled.

use std::sync::Arc;
use std::time::Duration;

use arrow_flight::Ticket;
use arrow_flight::flight_service_client::FlightServiceClient;
use async_trait::async_trait;
use caim_engine::{AskError, Facts, NodeChannel, NodeQuery, Profile, Reply};
use caim_ontology::Models;
use tonic::Request;
use tonic::transport::Channel;

use super::{MESSAGE_BYTES, REPLY};
use crate::status;
use crate::wire::{self, Broken};

/// The way to a node that is linked.
pub(super) struct FlightChannel {
    client: FlightServiceClient<Channel>,
    models: Arc<Models>,
    profile: Profile,
}

impl FlightChannel {
    pub(super) fn new(client: FlightServiceClient<Channel>, models: Arc<Models>, profile: Profile) -> Self {
        let client = client.max_decoding_message_size(MESSAGE_BYTES).max_encoding_message_size(MESSAGE_BYTES);
        Self { client, models, profile }
    }

    async fn exchange(&self, query: NodeQuery, deadline: Duration) -> Result<Reply, AskError> {
        let question = serde_json::to_vec(&query)
            .map_err(|_| AskError::Failed("the question cannot be written as JSON".into()))?;
        let mut request = Request::new(Ticket::new(question));
        request.set_timeout(deadline);
        let mut client = self.client.clone();
        let messages = client.do_get(request).await.map_err(|s| status::ask_error(&s))?.into_inner();
        let received = wire::collect::<Facts>(messages, REPLY).await.map_err(|broken| match broken {
            Broken::Status(status) => status::ask_error(&status),
            Broken::Faulty(what) => AskError::Failed(format!("it sent {what}")),
        })?;
        Reply::check(&query.query, &self.models, &received.batches, received.about)
    }
}

#[async_trait]
impl NodeChannel for FlightChannel {
    fn profile(&self) -> &Profile {
        &self.profile
    }

    async fn ask(&self, query: NodeQuery) -> Result<Reply, AskError> {
        let deadline = Duration::from_millis(query.deadline_ms);
        // Dropping the exchange resets its stream, and that drops the question at the node.
        match tokio::time::timeout(deadline, self.exchange(query, deadline)).await {
            Ok(reply) => reply,
            Err(_) => Err(AskError::Deadline),
        }
    }
}
