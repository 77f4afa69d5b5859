//! Batches on the wire: what both ends of a link and of the door agree on beside Arrow Flight itself.
//!
//! The first message carries a [`Head`] that says how many rows follow. So a stream that was cut short can never be
//! taken for a whole one, whatever the transport makes of its end.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_flight::FlightData;
use arrow_flight::decode::{DecodedPayload, FlightDataDecoder};
use arrow_flight::encode::{FlightDataEncoderBuilder, GRPC_TARGET_MAX_FLIGHT_SIZE_BYTES};
use arrow_flight::error::FlightError;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryStreamExt};
use prost::Message;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tonic::Status;

/// What the first message of an answer says of the rest.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Head<T> {
    /// Rows that follow.
    pub(crate) rows: u64,
    /// What is said beside the rows.
    pub(crate) about: T,
}

/// What one answer may hold at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Rows.
    pub(crate) rows: u64,
    /// Bytes on the wire.
    pub(crate) bytes: usize,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Received<T> {
    pub(crate) schema: SchemaRef,
    pub(crate) batches: Vec<RecordBatch>,
    pub(crate) about: T,
}

/// Why an answer was not taken.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The other end said so, or the connection did.
    Status(Status),
    /// What came is no answer.
    Faulty(String),
}

/// Batches as Flight messages of at most about 2 MiB, the schema first even when there is no batch.
pub(crate) fn encode<T: Serialize>(
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    about: &T,
) -> Result<BoxStream<'static, Result<FlightData, Status>>, Status> {
    let rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
    let head = serde_json::to_vec(&Head { rows, about })
        .map_err(|_| Status::internal("what is said beside the answer cannot be written as JSON"))?;
    Ok(FlightDataEncoderBuilder::new()
        .with_schema(schema)
        .with_metadata(head.into())
        .with_max_flight_data_size(GRPC_TARGET_MAX_FLIGHT_SIZE_BYTES)
        .build(stream::iter(batches.into_iter().map(Ok)))
        .map_err(Status::from)
        .boxed())
}

/// Takes in a whole answer, and no more of it than the limits allow.
pub(crate) async fn collect<T: DeserializeOwned>(
    messages: impl futures::Stream<Item = Result<FlightData, Status>> + Send + 'static,
    limits: Limits,
) -> Result<Received<T>, Broken> {
    // The decoder is fed by the other end: a panic in it must not take the task along.
    match AssertUnwindSafe(decode(messages, limits)).catch_unwind().await {
        Ok(answer) => answer,
        Err(_) => Err(Broken::Faulty("messages that cannot be decoded".to_owned())),
    }
}

async fn decode<T: DeserializeOwned>(
    messages: impl futures::Stream<Item = Result<FlightData, Status>> + Send + 'static,
    limits: Limits,
) -> Result<Received<T>, Broken> {
    let mut decoder = FlightDataDecoder::new(bounded(messages, limits.bytes));
    let mut head: Option<(Head<T>, SchemaRef)> = None;
    let mut batches = Vec::new();
    let mut rows = 0_u64;
    while let Some(decoded) = decoder.next().await {
        let decoded = decoded.map_err(broken)?;
        match decoded.payload {
            DecodedPayload::None => {}
            DecodedPayload::Schema(_) if head.is_some() => return Err(faulty("a second schema")),
            DecodedPayload::Schema(schema) => head = Some((read_head(&decoded.inner)?, schema)),
            DecodedPayload::RecordBatch(batch) => {
                rows = rows.saturating_add(batch.num_rows() as u64);
                if rows > limits.rows {
                    return Err(faulty(&format!("more than {} rows", limits.rows)));
                }
                batches.push(batch);
            }
        }
    }
    let (head, schema) = head.ok_or_else(|| faulty("no schema"))?;
    if head.rows != rows {
        return Err(faulty(&format!("{rows} rows where {} were announced", head.rows)));
    }
    Ok(Received { schema, batches, about: head.about })
}

fn bounded(
    messages: impl futures::Stream<Item = Result<FlightData, Status>> + Send + 'static,
    limit: usize,
) -> impl futures::Stream<Item = Result<FlightData, FlightError>> + Send + 'static {
    let seen = Arc::new(AtomicUsize::new(0));
    messages.map_err(|status| FlightError::Tonic(Box::new(status))).and_then(move |message| {
        let size = message.encoded_len();
        let before = seen.fetch_add(size, Ordering::Relaxed);
        let fits = before.saturating_add(size) <= limit;
        futures::future::ready(if fits {
            Ok(message)
        } else {
            Err(FlightError::ProtocolError(format!("more than {limit} bytes")))
        })
    })
}

fn read_head<T: DeserializeOwned>(message: &FlightData) -> Result<Head<T>, Broken> {
    serde_json::from_slice(&message.app_metadata).map_err(|_| faulty("a first message without its head"))
}

fn faulty(what: &str) -> Broken {
    Broken::Faulty(what.to_owned())
}

/// Texts of the decoder may quote what was sent, so only the limits above speak for themselves.
fn broken(error: FlightError) -> Broken {
    match error {
        FlightError::Tonic(status) => Broken::Status(*status),
        FlightError::ProtocolError(what) => Broken::Faulty(what),
        FlightError::Arrow(_)
        | FlightError::NotYetImplemented(_)
        | FlightError::DecodeError(_)
        | FlightError::ExternalError(_) => faulty("messages that cannot be decoded"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_flight::FlightData;
    use datafusion::arrow::array::Int64Array;
    use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
    use datafusion::arrow::record_batch::RecordBatch;
    use futures::{StreamExt, TryStreamExt, stream};
    use tonic::Status;

    use super::{Broken, Limits, collect, encode};

    const LIMITS: Limits = Limits { rows: 1_000, bytes: 1 << 20 };

    fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]))
    }

    fn batch(rows: i64) -> RecordBatch {
        RecordBatch::try_new(schema(), vec![Arc::new(Int64Array::from_iter_values(0..rows))]).unwrap()
    }

    async fn messages(batches: Vec<RecordBatch>) -> Vec<FlightData> {
        encode(schema(), batches, &"about").unwrap().try_collect().await.unwrap()
    }

    async fn read(messages: Vec<FlightData>, limits: Limits) -> Result<(u64, String), String> {
        let stream = stream::iter(messages.into_iter().map(Ok::<_, Status>));
        match collect::<String>(stream.boxed(), limits).await {
            Ok(all) => Ok((all.batches.iter().map(|b| b.num_rows() as u64).sum(), all.about)),
            Err(Broken::Faulty(why)) => Err(why),
            Err(Broken::Status(status)) => Err(status.to_string()),
        }
    }

    #[tokio::test]
    async fn a_whole_answer_comes_back_with_what_is_said_beside_it() {
        assert_eq!(read(messages(vec![batch(3), batch(4)]).await, LIMITS).await, Ok((7, "about".to_owned())));
        assert_eq!(read(messages(vec![]).await, LIMITS).await, Ok((0, "about".to_owned())));
    }

    #[tokio::test]
    async fn an_answer_cut_at_any_message_is_never_taken_for_a_whole_one() {
        let whole = messages(vec![batch(3), batch(4), batch(5)]).await;
        for kept in 0..whole.len() {
            let cut = whole.get(..kept).unwrap().to_vec();
            assert!(read(cut, LIMITS).await.is_err(), "{kept} of {} messages", whole.len());
        }
    }

    #[tokio::test]
    async fn rows_and_bytes_are_limited() {
        let many = messages(vec![batch(600), batch(600)]).await;
        assert!(read(many.clone(), LIMITS).await.unwrap_err().contains("1000 rows"));
        let few_bytes = Limits { rows: u64::MAX, bytes: 500 };
        assert!(read(many, few_bytes).await.unwrap_err().contains("500 bytes"));
    }

    #[tokio::test]
    async fn mangled_messages_are_faulty_and_nothing_worse() {
        let whole = messages(vec![batch(50)]).await;
        for position in 0..whole[1].data_header.len() {
            let mut mangled = whole.clone();
            let mut header = mangled[1].data_header.to_vec();
            header[position] ^= 0x5a;
            mangled[1].data_header = header.into();
            if let Ok((rows, _)) = read(mangled, LIMITS).await {
                assert_eq!(rows, 50);
            }
        }
    }
}
