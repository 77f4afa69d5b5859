//! The files of `suite/slt`, in the language of sqllogictest: each statement has one answer, whether one node in this
//! process holds everything, or three nodes, or three nodes behind real sockets and the Flight SQL door.
//!
//! `CAIM_UPDATE=1` writes what the one node says into the files, to be read before it is kept.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use caim::demo::federation::{PASSWORD, USER, hospital, hub};
use caim::demo::{Cluster, ClusterOptions, Kind, Plan, Population, Source};
use caim::setup::{self, NewNode};
use caim_connectors::{Collection, IngestOptions, Quiet};
use caim_engine::hub::Hub;
use caim_engine::{Asker, LocalChannel, Node, NodeChannel, NodeId, Policy};
use caim_flight_server::client::{Client, Credentials};
use caim_ontology::Models;
use caim_sql::lower::Settings;
use caim_tests::Here;
use caim_warehouse::Warehouse;
use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::arrow::util::display::array_value_to_string;
use sqllogictest::{
    AsyncDB, DBOutput, DefaultColumnType, Runner, default_normalizer, default_validator,
    strict_column_validator,
};
use tempfile::TempDir;

const PLAN: Plan = Plan { seed: 23, patients: 200 };

/// Where a statement is asked.
#[derive(Clone)]
enum Place {
    /// A hub and its nodes in this process.
    Here(Arc<Hub>),
    /// A door.
    Wire(Box<Client>),
}

/// Why a statement has no answer, as its asker reads it.
#[derive(Debug)]
struct No(String);

impl fmt::Display for No {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for No {}

impl Place {
    async fn ask(&mut self, sql: &str) -> Result<(SchemaRef, Vec<RecordBatch>), No> {
        match self {
            Self::Here(hub) => {
                let asker = Asker { user: "u".into(), project: "p".into(), purpose: String::new() };
                let prepared = hub.prepare(sql, &Settings::default()).map_err(|e| No(e.to_string()))?;
                let answer = hub.answer(&prepared, &asker).await.map_err(|e| No(e.to_string()))?;
                Ok((answer.schema, answer.batches))
            }
            Self::Wire(client) => {
                let answer = client.query(sql).await.map_err(|e| No(e.to_string()))?;
                Ok((answer.schema, answer.batches))
            }
        }
    }
}

#[async_trait::async_trait]
impl AsyncDB for Place {
    type Error = No;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, No> {
        let (schema, batches) = self.ask(sql).await?;
        let types = schema.fields().iter().map(|field| column_type(field.data_type())).collect();
        let rows = batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| cells(batch, row)));
        Ok(DBOutput::Rows { types, rows: rows.collect() })
    }

    async fn shutdown(&mut self) {}
}

fn column_type(ty: &DataType) -> DefaultColumnType {
    match ty {
        DataType::Int64 => DefaultColumnType::Integer,
        DataType::Float64 => DefaultColumnType::FloatingPoint,
        _ => DefaultColumnType::Text,
    }
}

/// The cells of a row. Sums of many parts differ in their last digits by the order of the parts: nine are shown.
fn cells(batch: &RecordBatch, row: usize) -> Vec<String> {
    let cell = |column: &Arc<dyn Array>| {
        if column.is_null(row) {
            return "NULL".to_owned();
        }
        let text = array_value_to_string(column, row).unwrap();
        match (column.data_type(), text.as_str()) {
            (DataType::Float64, number) => number
                .parse::<f64>()
                .map_or(number.to_owned(), |n| format!("{:.8e}", n).parse::<f64>().unwrap().to_string()),
            (_, "") => "(empty)".to_owned(),
            (_, text) => text.replace(' ', "_"),
        }
    };
    batch.columns().iter().map(cell).collect()
}

/// The demo's hospitals, each at a node of its own and all at one, as published data.
struct Hospitals {
    dir: TempDir,
    each: Vec<PathBuf>,
    whole: PathBuf,
}

impl Hospitals {
    fn generated() -> Self {
        let (dir, population) =
            (tempfile::tempdir().unwrap(), Population::bundled().unwrap().without_shared_patients());
        let whole = published(dir.path(), "whole");
        let mut each = Vec::new();
        for (position, name) in ["alder", "birch", "cedar"].into_iter().enumerate() {
            each.push(published(dir.path(), name));
            let ready = hospital(&population, PLAN, position, dir.path(), &Quiet).unwrap();
            ready.taken.iter().for_each(|taken| take_in(&whole, name, &taken.source));
        }
        Self { dir, each, whole }
    }

    async fn cluster(&self) -> Cluster {
        let hub = hub(self.dir.path()).unwrap();
        let options = ClusterOptions { hub, nodes: self.each.clone(), ..ClusterOptions::default() };
        Cluster::start(&options).await.unwrap()
    }
}

/// A node of published data.
fn published(dir: &Path, name: &str) -> PathBuf {
    let dir = dir.join(name);
    let set = vec![("privacy.public_data", "true".to_owned())];
    let hub = Some("127.0.0.1:50052".to_owned());
    setup::node(&dir, &NewNode { name: name.to_owned(), hub, set }).unwrap();
    dir
}

fn take_in(dir: &Path, hospital: &str, source: &Source) {
    let collection = match source.kind {
        Kind::DicomTable => Collection::Column("collection_id".to_owned()),
        Kind::DicomFiles | Kind::Omop | Kind::FhirLines | Kind::FhirBundles => {
            Collection::Id(hospital.to_owned())
        }
    };
    let options = IngestOptions { format: source.kind.format(), collection, ..IngestOptions::default() };
    caim::ingest::ingest(dir, &source.path, &options, &Quiet).unwrap();
}

/// A hub in this process over nodes in this process.
fn here(dirs: &[PathBuf], models: &Arc<Models>) -> Place {
    let channels = dirs.iter().map(|dir| {
        let name = NodeId::new(dir.file_name().unwrap().to_str().unwrap()).unwrap();
        let (warehouse, published) =
            (Warehouse::open(dir).unwrap(), Policy { public_data: true, ..Policy::default() });
        let node = Arc::new(Node::open(name, warehouse, Arc::clone(models), published).unwrap());
        Arc::new(LocalChannel::new(node, Arc::clone(models)).unwrap()) as Arc<dyn NodeChannel>
    });
    let nodes = Arc::new(Here(channels.collect()));
    Place::Here(Arc::new(Hub::new(Arc::clone(models), nodes, Duration::from_secs(60))))
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("suite/slt");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "no files");
    files
}

async fn run(what: &str, place: Place) {
    for file in files() {
        let place = place.clone();
        let mut runner = Runner::new(move || std::future::ready(Ok(place.clone())));
        runner.with_column_validator(strict_column_validator);
        if let Err(error) = runner.run_file_async(&file).await {
            panic!("{what}: {error}");
        }
    }
}

async fn update(place: Place) {
    for file in files() {
        let place = place.clone();
        let mut runner = Runner::new(move || std::future::ready(Ok(place.clone())));
        let columns = strict_column_validator;
        runner.update_test_file(&file, " ", default_validator, default_normalizer, columns).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_has_one_answer_at_one_node_at_three_and_over_the_wire() {
    let (hospitals, models) = (Hospitals::generated(), Arc::new(Models::bundled().unwrap()));
    let one = here(std::slice::from_ref(&hospitals.whole), &models);
    if std::env::var_os("CAIM_UPDATE").is_some() {
        update(one.clone()).await;
    }
    run("one node", one).await;
    run("three nodes", here(&hospitals.each, &models)).await;
    let cluster = hospitals.cluster().await;
    let credentials = Credentials::Password { user: USER.to_owned(), password: PASSWORD.to_owned() };
    let client = Client::connect(&cluster.flight_url(), &credentials, &BTreeMap::new()).await.unwrap();
    run("three nodes over the wire", Place::Wire(Box::new(client))).await;
    cluster.stop().await.unwrap();
}
