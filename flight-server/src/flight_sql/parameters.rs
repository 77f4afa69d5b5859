//! Values for the parameters of a prepared statement: one row, by position, whatever its columns are called.

use arrow_flight::FlightData;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use caim_sql::{Code, Refusal};
use datafusion::arrow::datatypes::{DataType, Schema};
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

/// Values in the types that the statement expects, where no value changes by it. What does not fit stays as it is:
/// the planner knows how to compare it, or refuses it by name.
pub(super) fn fit(values: Vec<ScalarValue>, expected: &Schema) -> Vec<ScalarValue> {
    let mut types = expected.fields().iter().map(|field| field.data_type());
    values.into_iter().map(|value| types.next().map_or(value.clone(), |ty| fit_one(value, ty))).collect()
}

fn fit_one(value: ScalarValue, ty: &DataType) -> ScalarValue {
    if *ty == DataType::Null || value.data_type() == *ty {
        return value;
    }
    let there_and_back = value.cast_to(ty).and_then(|cast| Ok((cast.cast_to(&value.data_type())?, cast)));
    match there_and_back {
        Ok((back, cast)) if back == value => cast,
        Ok(_) | Err(_) => value,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use datafusion::common::ScalarValue;

    use super::fit;

    #[test]
    fn values_are_cast_only_where_nothing_is_lost() {
        let expected = Schema::new(vec![
            Field::new("$1", DataType::Int64, true),
            Field::new("$2", DataType::Int64, true),
            Field::new("$3", DataType::Utf8, true),
            Field::new("$4", DataType::Null, true),
        ]);
        let values = vec![
            ScalarValue::Float64(Some(60.0)),
            ScalarValue::Float64(Some(60.5)),
            ScalarValue::LargeUtf8(Some("CT".into())),
            ScalarValue::Int8(Some(1)),
            ScalarValue::Int8(Some(2)),
        ];
        let fitted = fit(values, &expected);
        assert_eq!(fitted[0], ScalarValue::Int64(Some(60)));
        assert_eq!(fitted[1], ScalarValue::Float64(Some(60.5)));
        assert_eq!(fitted[2], ScalarValue::Utf8(Some("CT".into())));
        assert_eq!(fitted[3..], [ScalarValue::Int8(Some(1)), ScalarValue::Int8(Some(2))]);
    }
}
