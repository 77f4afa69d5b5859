//! What a descriptor or ticket asks for: a statement, or a part of the catalogue.
//!
//! Announcing, describing and streaming read the same commands here, so none of them can know a command that
//! another does not.

use arrow_flight::sql::{Any, Command, ProstMessageExt, TicketStatementQuery};
use arrow_flight::{FlightDescriptor, FlightEndpoint, FlightInfo, SchemaAsIpc, SchemaResult, Ticket};
use datafusion::arrow::datatypes::Schema;
use datafusion::arrow::ipc::writer::IpcWriteOptions;
use prost::Message;
use prost::bytes::Bytes;
use tonic::Status;

use super::catalogue::Listed;

/// A command of `GetFlightInfo`, `GetSchema` or `DoGet`.
pub(super) enum Asked {
    /// A statement as text.
    Statement(String),
    /// A prepared statement, by its handle.
    Prepared(Bytes),
    /// A statement that was announced, by its ticket.
    Announced(Bytes),
    /// A part of the catalogue.
    Catalogue(Listed),
}

/// Reads a command of Flight SQL.
pub(super) fn read(bytes: &[u8]) -> Result<Asked, Status> {
    let any = Any::decode(bytes).map_err(|_| Status::invalid_argument("this is no command of Flight SQL"))?;
    let command = Command::try_from(any)
        .map_err(|_| Status::invalid_argument("this command of Flight SQL cannot be read"))?;
    Ok(match command {
        Command::CommandStatementQuery(statement) => Asked::Statement(statement.query),
        Command::CommandPreparedStatementQuery(prepared) => {
            Asked::Prepared(prepared.prepared_statement_handle)
        }
        Command::TicketStatementQuery(ticket) => Asked::Announced(ticket.statement_handle),
        Command::CommandGetCatalogs(_) => Asked::Catalogue(Listed::Catalogs),
        Command::CommandGetDbSchemas(wanted) => Asked::Catalogue(Listed::Schemas(wanted)),
        Command::CommandGetTables(wanted) => Asked::Catalogue(Listed::Tables(wanted)),
        Command::CommandGetTableTypes(_) => Asked::Catalogue(Listed::TableTypes),
        Command::CommandGetPrimaryKeys(wanted) => Asked::Catalogue(Listed::PrimaryKeys(wanted)),
        Command::CommandGetImportedKeys(wanted) => Asked::Catalogue(Listed::ForeignKeys(wanted.into())),
        Command::CommandGetExportedKeys(wanted) => Asked::Catalogue(Listed::ForeignKeys(wanted.into())),
        Command::CommandGetCrossReference(wanted) => Asked::Catalogue(Listed::ForeignKeys(wanted.into())),
        Command::CommandGetXdbcTypeInfo(wanted) => Asked::Catalogue(Listed::Types(wanted)),
        Command::CommandGetSqlInfo(wanted) => Asked::Catalogue(Listed::SqlInfo(wanted)),
        other => {
            return Err(Status::unimplemented(format!("{} is not offered", short_name(other.type_url()))));
        }
    })
}

/// An announcement: one endpoint without a location, since some clients read the first one unguarded and cannot
/// follow addresses; no number of rows, which only an answer may tell; and what it costs, as JSON in the metadata.
pub(super) fn announcement(
    schema: &Schema,
    ticket: Bytes,
    descriptor: FlightDescriptor,
    cost: Bytes,
) -> Result<FlightInfo, Status> {
    let info = FlightInfo::new().try_with_schema(schema).map_err(|_| unwritable())?;
    Ok(info
        .with_descriptor(descriptor)
        .with_endpoint(FlightEndpoint::new().with_ticket(Ticket { ticket }))
        .with_total_records(-1)
        .with_total_bytes(-1)
        .with_app_metadata(cost))
}

/// The ticket of a statement.
pub(super) fn ticket(handle: &str) -> Bytes {
    TicketStatementQuery { statement_handle: handle.to_owned().into() }.as_any().encode_to_vec().into()
}

/// A schema as the answer to `GetSchema`, and inside other messages.
pub(super) fn schema_result(schema: &Schema) -> Result<SchemaResult, Status> {
    SchemaAsIpc::new(schema, &IpcWriteOptions::default()).try_into().map_err(|_| unwritable())
}

fn unwritable() -> Status {
    Status::internal("the schema cannot be written in Arrow's format")
}

fn short_name(type_url: &str) -> String {
    type_url.rsplit(['.', '/']).next().unwrap_or_default().chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use arrow_flight::sql::{Any, CommandStatementSubstraitPlan, ProstMessageExt};
    use prost::Message;
    use tonic::Code;

    use super::{Asked, read, ticket};

    fn code(bytes: &[u8]) -> Option<Code> {
        read(bytes).err().map(|status| status.code())
    }

    #[test]
    fn what_is_no_command_is_an_invalid_argument_and_what_is_not_offered_says_so() {
        assert_eq!(code(b"SELECT 1"), Some(Code::InvalidArgument));
        assert_eq!(code(b""), Some(Code::Unimplemented));
        let plan = CommandStatementSubstraitPlan::default().as_any().encode_to_vec();
        assert_eq!(code(&plan), Some(Code::Unimplemented));
        let url = "type.googleapis.com/arrow.flight.protocol.sql.CommandGetTables";
        let torn = Any { type_url: url.into(), value: vec![0xff].into() }.encode_to_vec();
        assert_eq!(code(&torn), Some(Code::InvalidArgument));
    }

    #[test]
    fn a_ticket_is_read_back() {
        assert!(matches!(read(&ticket("abc")), Ok(Asked::Announced(handle)) if handle == "abc"));
    }
}
