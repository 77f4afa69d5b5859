//! What clients put: values for parameters, and attempts to write, which get a read-only text at once.

use arrow_flight::sql::{Any, Command, DoPutPreparedStatementResult, DoPutUpdateResult};
use arrow_flight::{FlightData, PutResult};
use futures::{StreamExt, stream};
use prost::Message;
use tonic::{Status, Streaming};

use super::callers::Caller;
use super::parameters;
use super::statements::{Statements, read_only};
use crate::status;

/// Reads what is put from its first message on. The rest of the stream is read only where it is wanted, so that an
/// attempt to write is answered before it has sent anything.
pub(super) async fn put(
    statements: &Statements,
    caller: &Caller,
    mut messages: Streaming<FlightData>,
) -> Result<PutResult, Status> {
    let first = messages.message().await?.ok_or_else(|| Status::invalid_argument("nothing was put"))?;
    match command(&first)? {
        Command::CommandPreparedStatementQuery(statement) => {
            let handle = statement.prepared_statement_handle;
            let values = parameters::read(stream::iter([Ok(first)]).chain(messages)).await?;
            statements.bind(caller, &handle, values).await?;
            Ok(result(&DoPutPreparedStatementResult { prepared_statement_handle: Some(handle) }))
        }
        Command::CommandStatementUpdate(statement) => {
            statements.update(caller, statement.query).await?;
            Ok(result(&DoPutUpdateResult { record_count: 0 }))
        }
        Command::CommandPreparedStatementUpdate(statement) => {
            statements.update_prepared(caller, &statement.prepared_statement_handle)?;
            Ok(result(&DoPutUpdateResult { record_count: 0 }))
        }
        Command::CommandStatementIngest(_) => Err(status::of_refusal(&read_only())),
        _ => Err(Status::unimplemented("only parameters of prepared statements can be put")),
    }
}

fn command(first: &FlightData) -> Result<Command, Status> {
    let descriptor = first.flight_descriptor.as_ref();
    let any = descriptor.and_then(|descriptor| Any::decode(&*descriptor.cmd).ok());
    any.and_then(|any| Command::try_from(any).ok()).ok_or_else(|| {
        Status::invalid_argument("the first message says by no command of Flight SQL what is put")
    })
}

fn result(message: &impl Message) -> PutResult {
    PutResult { app_metadata: message.encode_to_vec().into() }
}
