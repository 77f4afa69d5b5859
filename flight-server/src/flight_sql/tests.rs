//! The door over real sockets: a hub with real nodes, asked by the client of this crate and by Arrow's own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::error::FlightError;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{
    ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult, Any, CommandGetDbSchemas,
    CommandGetExportedKeys, CommandGetImportedKeys, CommandGetPrimaryKeys, CommandGetTables,
    CommandGetXdbcTypeInfo, CommandPreparedStatementQuery, CommandStatementQuery, ProstMessageExt, SqlInfo,
};
use arrow_flight::{Action, FlightDescriptor, FlightInfo, Ticket};
use caim_engine::hub::Hub;
use caim_engine::{Nodes, Outcome};
use caim_sql::{Code, Refusal};
use datafusion::arrow::array::{AsArray, Int64Array, StringArray};
use datafusion::arrow::datatypes::{DataType, Int64Type, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::array_value_to_string;
use futures::TryStreamExt;
use prost::Message;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tonic::transport::{Channel, Endpoint};

use super::sessions::{GetSessionOptionsResult, OptionValue};
use super::{Door, wire_schema};
use crate::client::{Client, Credentials, Error};
use crate::identity::{DevIdentity, DevUser};
use crate::testing::{self, Here, PROTECTED, PUBLIC, models};

mod long;

const BY_MODALITY: &str =
    "SELECT Modality, count(DISTINCT PatientID) AS n FROM dicom.series GROUP BY Modality ORDER BY Modality";

/// An open door with what is behind it.
struct Open {
    url: String,
    _folders: Vec<TempDir>,
    _open: oneshot::Sender<()>,
}

fn identity(anonymous: Option<&str>) -> DevIdentity {
    let user = |projects: &[&str]| DevUser {
        password: "secret".to_owned(),
        projects: projects.iter().map(|project| (*project).to_owned()).collect(),
    };
    let users = [("ana".to_owned(), user(&["demo", "other"])), ("bob".to_owned(), user(&["demo"]))].into();
    DevIdentity { users, anonymous: anonymous.map(str::to_owned) }
}

async fn open_over(nodes: impl Nodes + 'static, folders: Vec<TempDir>, anonymous: Option<&str>) -> Open {
    let door = Door::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let url = format!("grpc://{}", door.address());
    let hub = Arc::new(Hub::new(models(), Arc::new(nodes), Duration::from_secs(60)));
    let (open, closed) = oneshot::channel::<()>();
    let identity = identity(anonymous);
    tokio::spawn(async move { door.serve(hub, models(), identity, async move { drop(closed.await) }).await });
    Open { url, _folders: folders, _open: open }
}

/// Two nodes with published data.
async fn open() -> Open {
    let (north_dir, north) = testing::node("north", &[("CT", 12), ("MR", 3)], PUBLIC);
    let (south_dir, south) = testing::node("south", &[("CT", 5), ("PT", 2)], PUBLIC);
    open_over(Here::new(&[north, south]), vec![north_dir, south_dir], Some("bob")).await
}

fn password(user: &str) -> Credentials {
    Credentials::Password { user: user.to_owned(), password: "secret".to_owned() }
}

async fn client(open: &Open, credentials: &Credentials) -> Client {
    Client::connect(&open.url, credentials, &BTreeMap::new()).await.unwrap()
}

async fn arrow_client(open: &Open) -> FlightSqlServiceClient<Channel> {
    let endpoint = Endpoint::from_shared(open.url.replace("grpc://", "http://")).unwrap();
    FlightSqlServiceClient::new(endpoint.connect().await.unwrap())
}

fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let line = |batch: &RecordBatch, row| {
        let cells = batch.columns().iter().map(|column| array_value_to_string(column, row).unwrap());
        cells.collect::<Vec<_>>().join("|")
    };
    batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| line(batch, row))).collect()
}

fn refusal(error: Error) -> Refusal {
    match error {
        Error::Refused(refusal) => refusal,
        Error::Unreachable { .. } | Error::Failed(_) => panic!("no refusal: {error}"),
    }
}

fn text_of(error: &FlightError) -> String {
    error.to_string()
}

/// A raw call with the client's token.
fn signed<T>(client: &FlightSqlServiceClient<Channel>, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    let bearer = format!("Bearer {}", client.token().unwrap());
    request.metadata_mut().insert("authorization", bearer.parse().unwrap());
    request
}

/// Fetches what is announced; the stream's schema must be the announced one.
async fn fetch(client: &mut FlightSqlServiceClient<Channel>, info: FlightInfo) -> Vec<RecordBatch> {
    let announced: Schema = info.clone().try_decode_schema().unwrap();
    assert_eq!((info.total_records, info.total_bytes, info.endpoint.len()), (-1, -1, 1));
    assert!(info.endpoint[0].location.is_empty());
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let mut stream = client.do_get(ticket).await.unwrap();
    let mut batches = Vec::new();
    while let Some(batch) = stream.try_next().await.unwrap() {
        batches.push(batch);
    }
    assert_eq!(stream.schema().unwrap().as_ref(), &announced);
    batches
}

#[tokio::test]
async fn a_statement_is_answered_with_names_as_written_and_says_how_complete_it_is() {
    let open = open().await;
    let answer = client(&open, &password("ana")).await.query(BY_MODALITY).await.unwrap();
    assert_eq!(lines(&answer.batches), ["CT|17", "MR|3", "PT|2"]);
    let names: Vec<_> = answer.schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["Modality", "n"]);
    assert!(answer.schema.fields().iter().all(|field| field.metadata().contains_key(wire_schema::TYPE_NAME)));
    assert!(answer.summary.is_complete());
    assert_eq!(answer.summary.nodes.len(), 2);
}

#[tokio::test]
async fn what_is_announced_is_what_is_streamed() {
    let open = open().await;
    let mut client = arrow_client(&open).await;
    for sql in [
        BY_MODALITY,
        "SELECT 1 AS one",
        "SELECT * FROM catalog.node",
        "SELECT count(*) AS n FROM dicom.series WHERE Modality = 'XX'",
    ] {
        let info = client.execute(sql.to_owned(), None).await.unwrap();
        let batches = fetch(&mut client, info).await;
        assert!(!lines(&batches).is_empty(), "{sql}");
    }
}

#[tokio::test]
async fn a_schema_can_be_had_without_running_anything() {
    let open = open().await;
    let mut client = arrow_client(&open).await;
    let command = CommandStatementQuery { query: BY_MODALITY.to_owned(), transaction_id: None };
    let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
    let result = client.inner_mut().get_schema(descriptor).await.unwrap().into_inner();
    let schema = Schema::try_from(&result).unwrap();
    assert_eq!(schema.field(1).data_type(), &DataType::Int64);
}

#[tokio::test]
async fn prepared_statements_take_parameters_by_position_whatever_their_names() {
    let open = open().await;
    let mut client = arrow_client(&open).await;
    client.handshake("ana", "secret").await.unwrap();
    let sql = "SELECT count(DISTINCT PatientID) AS n FROM dicom.series WHERE Modality = ?";
    let mut statement = client.prepare(sql.to_owned(), None).await.unwrap();
    assert_eq!(statement.parameter_schema().unwrap().fields().len(), 1);
    for (modality, expected) in [("CT", 17), ("PT", 2)] {
        let values = StringArray::from(vec![modality]);
        let batch = RecordBatch::try_from_iter([("0", Arc::new(values) as _)]).unwrap();
        statement.set_parameters(batch).unwrap();
        let info = statement.execute().await.unwrap();
        let batches = fetch(&mut client, info).await;
        assert_eq!(batches[0].column(0).as_primitive::<Int64Type>().value(0), expected);
    }
    statement.close().await.unwrap();
}

#[tokio::test]
async fn parameters_that_are_missing_or_too_many_are_refused() {
    let open = open().await;
    let mut client = arrow_client(&open).await;
    let sql = "SELECT count(*) AS n FROM dicom.series WHERE Modality = ?";
    let mut statement = client.prepare(sql.to_owned(), None).await.unwrap();
    assert!(text_of(&statement.execute().await.unwrap_err()).contains("CAIM-S004"));
    let rows =
        RecordBatch::try_from_iter([("0", Arc::new(StringArray::from(vec!["CT", "MR"])) as _)]).unwrap();
    statement.set_parameters(rows).unwrap();
    assert!(text_of(&statement.execute().await.unwrap_err()).contains("CAIM-S005"));
}

#[tokio::test]
async fn a_refusal_reaches_the_client_with_all_its_fields() {
    let open = open().await;
    let mut client = client(&open, &password("ana")).await;
    let refusal = refusal(client.query("SELECT * FROM dicom.series").await.unwrap_err());
    assert!(refusal.code.id().starts_with("CAIM-P"), "{refusal}");
    assert!(!refusal.reason.is_empty() && !refusal.rewrite.is_empty());
}

#[tokio::test]
async fn without_or_with_wrong_credentials_there_is_no_answer() {
    let (folder, node) = testing::node("north", &[("CT", 1)], PUBLIC);
    let open = open_over(Here::new(&[node]), vec![folder], None).await;
    let mut nobody = client(&open, &Credentials::Anonymous).await;
    assert_eq!(refusal(nobody.query("SELECT 1").await.unwrap_err()).code, Code::Unauthenticated);
    let wrong = Credentials::Password { user: "ana".into(), password: "guess".into() };
    let refused = Client::connect(&open.url, &wrong, &BTreeMap::new()).await.err().unwrap();
    assert_eq!(refusal(refused).code, Code::Unauthenticated);
    let mut forged = client(&open, &Credentials::Token("0".repeat(32))).await;
    assert_eq!(refusal(forged.query("SELECT 1").await.unwrap_err()).code, Code::Unauthenticated);
}

#[tokio::test]
async fn a_ticket_works_once_and_for_its_owner_alone() {
    let open = open().await;
    let (mut ana, mut bob) = (arrow_client(&open).await, arrow_client(&open).await);
    ana.handshake("ana", "secret").await.unwrap();
    bob.handshake("bob", "secret").await.unwrap();
    let info = ana.execute(BY_MODALITY.to_owned(), None).await.unwrap();
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    assert!(bob.do_get(ticket.clone()).await.is_err());
    for position in 0..ticket.ticket.len() {
        let mut forged = ticket.ticket.to_vec();
        forged[position] ^= 1;
        assert!(ana.do_get(Ticket::new(forged)).await.is_err(), "bit flipped in byte {position}");
    }
    assert!(ana.do_get(ticket.clone()).await.is_ok());
    assert!(ana.do_get(ticket).await.is_err());
}

#[tokio::test]
async fn another_users_prepared_statement_cannot_be_used() {
    let open = open().await;
    let (mut ana, mut bob) = (arrow_client(&open).await, arrow_client(&open).await);
    ana.handshake("ana", "secret").await.unwrap();
    bob.handshake("bob", "secret").await.unwrap();
    let create = ActionCreatePreparedStatementRequest { query: BY_MODALITY.to_owned(), transaction_id: None };
    let action = Action::new("CreatePreparedStatement", create.as_any().encode_to_vec());
    let request = signed(&ana, action);
    let created = ana.inner_mut().do_action(request).await.unwrap().into_inner().message().await.unwrap();
    let created: ActionCreatePreparedStatementResult =
        Any::decode(created.unwrap().body).unwrap().unpack().unwrap().unwrap();
    let query =
        CommandPreparedStatementQuery { prepared_statement_handle: created.prepared_statement_handle };
    let descriptor = FlightDescriptor::new_cmd(query.as_any().encode_to_vec());
    let (stolen, own) = (signed(&bob, descriptor.clone()), signed(&ana, descriptor));
    let refused = bob.inner_mut().get_flight_info(stolen).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::NotFound);
    assert!(ana.inner_mut().get_flight_info(own).await.is_ok());
}

#[tokio::test]
async fn set_changes_the_session_of_a_token_and_is_refused_without_one() {
    let open = open().await;
    let mut ana = client(&open, &password("ana")).await;
    ana.query("SET caim.noise_sd = 20").await.unwrap();
    let refused = ana.query("SET caim.project = 'elsewhere'").await.unwrap_err();
    assert_eq!(refusal(refused).code, Code::Project);
    let mut anonymous = client(&open, &Credentials::Anonymous).await;
    let refused = refusal(anonymous.query("SET caim.noise_sd = 20").await.unwrap_err());
    assert!(refused.code == Code::Setting && refused.rewrite.contains("x-caim-noise-sd"), "{refused}");
}

#[tokio::test]
async fn options_of_a_session_can_be_listed() {
    let open = open().await;
    let mut client = arrow_client(&open).await;
    let token = client.handshake("ana", "secret").await.unwrap();
    let token = String::from_utf8(token.to_vec()).unwrap();
    let mut ours = self::client(&open, &Credentials::Token(token.clone())).await;
    ours.query("SET caim.noise_sd = 2.5").await.unwrap();
    let request = signed(&client, Action::new("GetSessionOptions", ""));
    let answer = client.inner_mut().do_action(request).await.unwrap().into_inner().message().await.unwrap();
    let options = GetSessionOptionsResult::decode(answer.unwrap().body).unwrap().session_options;
    let value = |key: &str| options.get(key).and_then(|value| value.option_value.clone());
    assert_eq!(value("caim.noise_sd"), Some(OptionValue::Text("2.5".into())));
    assert_eq!(value("catalog"), Some(OptionValue::Text("caim".into())));
}

#[tokio::test]
async fn headers_set_options_and_the_project_must_be_the_callers() {
    let open = open().await;
    let options = BTreeMap::from([("caim.project".to_owned(), "other".to_owned())]);
    let mut ana = Client::connect(&open.url, &password("ana"), &options).await.unwrap();
    assert!(ana.query(BY_MODALITY).await.is_ok());
    let mut bob = Client::connect(&open.url, &password("bob"), &options).await.unwrap();
    assert_eq!(refusal(bob.query(BY_MODALITY).await.unwrap_err()).code, Code::Project);
}

#[tokio::test]
async fn the_project_of_the_session_is_the_one_that_pays() {
    let (folder, node) = testing::node("north", &[("CT", 400)], PROTECTED);
    let open = open_over(Here::new(&[node]), vec![folder], None).await;
    let mut ana = client(&open, &password("ana")).await;
    let mut left = Vec::new();
    for (project, sql) in [
        ("demo", "SELECT count(*) AS n FROM dicom.series"),
        ("demo", "SELECT count(DISTINCT PatientID) AS n FROM dicom.series WHERE Modality = 'CT'"),
        ("other", "SELECT count(*) AS n FROM dicom.series"),
    ] {
        ana.query(&format!("SET caim.project = '{project}'")).await.unwrap();
        let summary = ana.query(sql).await.unwrap().summary;
        match summary.nodes[0].outcome {
            Outcome::Answered { rho_left, .. } => left.push(rho_left.unwrap()),
            ref other => panic!("{other:?}"),
        }
    }
    assert!(left[1] < left[0] && left[2] > left[1], "{left:?}");
}

#[tokio::test]
async fn writing_is_refused_at_once_with_a_read_only_text() {
    let open = open().await;
    let mut client = arrow_client(&open).await;
    for sql in ["SELECT 1", "DELETE FROM dicom.series", "CREATE TABLE t (a INT)"] {
        let error = text_of(&client.execute_update(sql.to_owned(), None).await.unwrap_err());
        assert!(error.contains("CAIM-S002"), "{sql}: {error}");
    }
}

#[tokio::test]
async fn check_says_what_would_be_asked_and_refuses_what_would_be_refused() {
    let open = open().await;
    let mut client = client(&open, &password("ana")).await;
    let text = client.check(BY_MODALITY).await.unwrap();
    assert!(text.to_lowercase().contains("select") && text.contains("modality"), "{text}");
    let refused = client.check("SELECT PatientID FROM dicom.series").await.unwrap_err();
    assert!(refusal(refused).code.id().starts_with("CAIM-P"));
}

#[tokio::test]
async fn lists_are_sorted_filtered_and_have_the_announced_schema() {
    let open = open().await;
    let mut client = arrow_client(&open).await;
    let schemas = CommandGetDbSchemas { catalog: None, db_schema_filter_pattern: Some("cat%l_g".into()) };
    let info = client.get_db_schemas(schemas).await.unwrap();
    assert_eq!(lines(&fetch(&mut client, info).await), ["caim|catalog"]);
    let tables = CommandGetTables {
        db_schema_filter_pattern: Some("dicom".into()),
        table_name_filter_pattern: Some("s_r%".into()),
        table_types: vec!["TABLE".into()],
        include_schema: true,
        ..CommandGetTables::default()
    };
    let info = client.get_tables(tables).await.unwrap();
    let tables = fetch(&mut client, info).await;
    assert_eq!((tables[0].num_rows(), tables[0].num_columns()), (1, 5));
    assert_eq!(tables[0].column(2).as_string::<i32>().value(0), "series");
    let info = client.get_table_types().await.unwrap();
    assert_eq!(lines(&fetch(&mut client, info).await), ["TABLE", "VIEW"]);
    let info = client.get_catalogs().await.unwrap();
    assert_eq!(lines(&fetch(&mut client, info).await), ["caim"]);
    let info = client.get_xdbc_type_info(CommandGetXdbcTypeInfo { data_type: None }).await.unwrap();
    assert_eq!(fetch(&mut client, info).await[0].num_rows(), 6);
    let info = client
        .get_sql_info(vec![SqlInfo::FlightSqlServerName, SqlInfo::FlightSqlServerReadOnly])
        .await
        .unwrap();
    assert_eq!(fetch(&mut client, info).await[0].num_rows(), 2);
}

#[tokio::test]
async fn declared_keys_are_listed_from_both_ends() {
    let open = open().await;
    let mut client = arrow_client(&open).await;
    let (db_schema, catalog) = (Some("dicom".to_owned()), None);
    let primary = CommandGetPrimaryKeys {
        catalog: catalog.clone(),
        db_schema: db_schema.clone(),
        table: "study".into(),
    };
    let info = client.get_primary_keys(primary).await.unwrap();
    assert_eq!(lines(&fetch(&mut client, info).await), ["caim|dicom|study|StudyInstanceUID|study_key|1"]);
    let imported = CommandGetImportedKeys {
        catalog: catalog.clone(),
        db_schema: db_schema.clone(),
        table: "series".into(),
    };
    let info = client.get_imported_keys(imported).await.unwrap();
    let imported = lines(&fetch(&mut client, info).await);
    let exported = CommandGetExportedKeys { catalog, db_schema, table: "study".into() };
    let info = client.get_exported_keys(exported).await.unwrap();
    let exported = lines(&fetch(&mut client, info).await);
    assert!(
        imported[0].starts_with("caim|dicom|study|StudyInstanceUID|caim|dicom|series|StudyInstanceUID|1|")
    );
    assert!(exported.contains(&imported[0]));
}

#[tokio::test]
async fn a_message_beyond_the_limit_is_refused_and_the_connection_goes_on() {
    let open = open().await;
    let mut client = client(&open, &password("ana")).await;
    let huge = format!("SELECT '{}'", "x".repeat(5 << 20));
    assert!(matches!(client.query(&huge).await, Err(Error::Failed(_) | Error::Refused(_))));
    assert_eq!(lines(&client.query("SELECT 1 AS one").await.unwrap().batches), ["1"]);
}

#[tokio::test]
async fn connections_that_never_speak_hinder_nobody() {
    let open = open().await;
    let address = open.url.trim_start_matches("grpc://");
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(tokio::net::TcpStream::connect(address).await.unwrap());
    }
    let mut client = client(&open, &password("ana")).await;
    assert_eq!(lines(&client.query("SELECT 1 AS one").await.unwrap().batches), ["1"]);
}

#[tokio::test]
async fn a_hub_that_is_not_there_is_called_unreachable() {
    let door = Door::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let url = format!("grpc://{}", door.address());
    drop(door);
    let error = Client::connect(&url, &Credentials::Anonymous, &BTreeMap::new()).await.err();
    assert!(matches!(error, Some(Error::Unreachable { .. })), "{error:?}");
}

#[tokio::test]
async fn a_development_identity_stays_on_this_machine() {
    let error = Door::bind(([0, 0, 0, 0], 0).into()).await.err();
    assert!(error.is_some_and(|error| error.to_string().contains("loopback")));
}

#[tokio::test]
async fn parameters_of_other_types_are_fitted() {
    let open = open().await;
    let mut client = arrow_client(&open).await;
    let mut statement = client.prepare("SELECT 2 + ? AS sum".to_owned(), None).await.unwrap();
    let batch = RecordBatch::try_from_iter([("0", Arc::new(Int64Array::from(vec![40])) as _)]).unwrap();
    statement.set_parameters(batch).unwrap();
    let info = statement.execute().await.unwrap();
    assert_eq!(lines(&fetch(&mut client, info).await), ["42"]);
}
