//! A [`NodeChannel`] over Flight: one question or cube is one `do_get` on the stream that the node dialled.

use std::sync::Arc;
use std::time::Duration;

use arrow_flight::Ticket;
use arrow_flight::flight_service_client::FlightServiceClient;
use async_trait::async_trait;
use caim_engine::{
    AskError, CubeHead, CubeListing, CubeReply, Facts, NodeChannel, NodeQuery, Profile, Reply,
};
use caim_ontology::Models;
use serde::de::DeserializeOwned;
use tonic::Request;
use tonic::transport::Channel;

use super::{CUBE, CUBE_REPLY, CUBE_TIMEOUT, MESSAGE_BYTES, REPLY};
use crate::status;
use crate::wire::{self, Broken, Limits, Received};

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
        let received = self.fetch::<Facts>(question, deadline, REPLY).await?;
        Reply::check(&query.query, &self.models, &received.batches, received.about)
    }

    async fn fetch<T: DeserializeOwned>(
        &self,
        ticket: Vec<u8>,
        deadline: Duration,
        limits: Limits,
    ) -> Result<Received<T>, AskError> {
        let mut request = Request::new(Ticket::new(ticket));
        request.set_timeout(deadline);
        let mut client = self.client.clone();
        let messages = client.do_get(request).await.map_err(|s| status::ask_error(&s))?.into_inner();
        wire::collect(messages, limits).await.map_err(|broken| match broken {
            Broken::Status(status) => status::ask_error(&status),
            Broken::Faulty(what) => AskError::Failed(format!("it sent {what}")),
        })
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

    async fn cube(&self, listing: &CubeListing) -> Result<CubeReply, AskError> {
        let ticket = [CUBE, listing.name.as_bytes()].concat();
        let fetched = self.fetch::<CubeHead>(ticket, CUBE_TIMEOUT, CUBE_REPLY);
        let received =
            tokio::time::timeout(CUBE_TIMEOUT, fetched).await.unwrap_or(Err(AskError::Deadline))?;
        CubeReply::check(listing, &self.models, &received.batches, received.about)
    }
}
