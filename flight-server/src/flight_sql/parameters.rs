//! Values for the parameters of a prepared statement: one row, by position, whatever its columns are called.

use arrow_flight::FlightData;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use caim_sql::{Code, Refusal};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use futures::{Stream, StreamExt, TryStreamExt};
use tonic::Status;

use crate::status;

/// Messages that a client may send to bind one row.
const MESSAGES: usize = 16;

/// Reads the one row of values that a client puts.
pub(super) async fn read(
    messages: impl Stream<Item = Result<FlightData, Status>> + Send + 'static,
) -> Result<Vec<ScalarValue>, Status> {
    let messages = messages.map_err(|status| FlightError::Tonic(Box::new(status))).take(MESSAGES);
    let batches: Vec<RecordBatch> = FlightRecordBatchStream::new_from_flight_data(messages)
        .try_collect()
        .await
        .map_err(|error| match error {
            FlightError::Tonic(status) => *status,
            FlightError::Arrow(_)
            | FlightError::NotYetImplemented(_)
            | FlightError::ProtocolError(_)
            | FlightError::DecodeError(_)
            | FlightError::ExternalError(_) => Status::invalid_argument("the parameters cannot be decoded"),
        })?;
    let mut rows = batches.into_iter().filter(|batch| batch.num_rows() > 0);
    match (rows.next(), rows.next()) {
        (None, _) => Ok(Vec::new()),
        (Some(batch), None) if batch.num_rows() == 1 => row(&batch),
        (Some(_), _) => {
            let refusal =
                Refusal::new(Code::Unsupported, "a statement takes one row of parameters at a time")
                    .with_rewrite("execute the statement once a row");
            Err(status::of_refusal(&refusal))
        }
    }
}

fn row(batch: &RecordBatch) -> Result<Vec<ScalarValue>, Status> {
    let values = batch.columns().iter().map(|column| ScalarValue::try_from_array(column, 0));
    values
        .collect::<Result<_, _>>()
        .map_err(|_| Status::invalid_argument("a parameter has a type that is not known"))
}
