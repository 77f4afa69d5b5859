//! Published cubes: released once, read for nothing, the same after a restart, and never more than the operator allows.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use caim::demo::{Cluster, ClusterOptions, Plan, Population, federation};
use caim_connectors::{Collection, Format, Identity, IngestOptions, Quiet, Secret, ingest};
use caim_engine::clock::Clock;
use caim_engine::hub::Hub;
use caim_engine::merge::merge;
use caim_engine::{
    Answer, Asker, Cube, CubeFile, LocalChannel, Node, NodeChannel, NodeId, Outcome, Policy, audit, cube,
};
use caim_ontology::Models;
use caim_sql::lower::Settings;
use caim_tests::Here;
use caim_warehouse::Warehouse;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::util::display::array_value_to_string;
use tempfile::TempDir;

use crate::series;

const CUBE: &str = "collection_modality_body_part";
const PATIENTS: &str = "SELECT dataset_id, series_modality, series_body_side_code, count(DISTINCT patient_id) AS patients \
                        FROM image_series GROUP BY 1, 2, 3";
const WEEK: i64 = 7 * 86_400;

struct Wall(AtomicI64);

impl Clock for Wall {
    fn unix_seconds(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A folder of a node whose clock stands still.
struct Place {
    dir: TempDir,
    clock: Arc<Wall>,
    models: Arc<Models>,
}

impl Place {
    fn new(seed: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        drop(series::ingested(dir.path(), &series::table(seed, 400)));
        let models = Arc::new(Models::bundled().unwrap());
        Self { dir, clock: Arc::new(Wall(AtomicI64::new(1_000 * WEEK))), models }
    }

    fn open(&self, name: &str, policy: Policy, own: &[CubeFile]) -> Arc<Node> {
        let cubes = cube::all(own, &self.models).unwrap();
        Arc::new(self.unpublished(name, policy).publishing(cubes).unwrap())
    }

    fn unpublished(&self, name: &str, policy: Policy) -> Node {
        let policy = Policy { answer_grid_ms: 0, ..policy };
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        Node::with_clock(
            NodeId::new(name).unwrap(),
            self.warehouse(),
            Arc::clone(&self.models),
            policy,
            clock,
        )
        .unwrap()
    }

    fn warehouse(&self) -> Warehouse {
        Warehouse::open(self.dir.path()).unwrap()
    }

    /// Everything that the gate has decided so far is one record.
    fn records(&self) -> u64 {
        audit::verify(self.warehouse().state()).unwrap().records
    }

    fn spent(&self, table: &str) -> f64 {
        let sql = format!("SELECT coalesce(sum(rho), 0.0) FROM {table}");
        let read = self
            .warehouse()
            .state()
            .read(|c| Ok::<f64, caim_warehouse::Error>(c.query_row(&sql, [], |row| row.get(0))?));
        read.unwrap()
    }

    /// A further epoch with other patients.
    fn ingest_more(&self, seed: u64) {
        let source = self.dir.path().join("more.csv");
        std::fs::write(&source, series::table(seed, 600)).unwrap();
        let secret = Secret::load_or_create(&self.dir.path().join("secret")).unwrap();
        let collection = Collection::Id("test".into());
        let options = IngestOptions { format: Format::DicomTable, collection, ..IngestOptions::default() };
        let models = &self.models;
        ingest(&self.warehouse(), models, &Identity::default(), &secret, &source, &options, &Quiet).unwrap();
    }
}

fn channel(node: &Arc<Node>, models: &Arc<Models>) -> Arc<dyn NodeChannel> {
    Arc::new(LocalChannel::new(Arc::clone(node), Arc::clone(models)).unwrap())
}

fn hub(nodes: &[&Arc<Node>], models: &Arc<Models>) -> Hub {
    let channels = nodes.iter().map(|node| channel(node, models)).collect();
    Hub::new(Arc::clone(models), Arc::new(Here(channels)), Duration::from_secs(60))
}

async fn ask_with(hub: &Hub, sql: &str, settings: &Settings) -> Answer {
    hub.refresh().await;
    let prepared = hub.prepare(sql, settings).unwrap_or_else(|refusal| panic!("{sql}: {refusal}"));
    let asker = Asker { user: "u".into(), project: "p".into(), purpose: String::new() };
    hub.answer(&prepared, &asker).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

async fn ask(hub: &Hub, sql: &str) -> Answer {
    ask_with(hub, sql, &Settings::default()).await
}

fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let line = |batch: &RecordBatch, row| {
        let cells = batch.columns().iter().map(|column| array_value_to_string(column, row).unwrap());
        cells.collect::<Vec<_>>().join("|")
    };
    let mut lines: Vec<String> =
        batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| line(batch, row))).collect();
    lines.sort();
    lines
}

fn paid(answer: &Answer) -> f64 {
    let rho = |outcome: &Outcome| match outcome {
        Outcome::Answered { rho, .. } => *rho,
        _ => 0.0,
    };
    answer.summary.nodes.iter().map(|node| rho(&node.outcome)).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_questions_to_cubes_cost_nothing_and_reach_no_node() {
    let (north, south) = (Place::new(1), Place::new(2));
    let nodes = [north.open("north", Policy::default(), &[]), south.open("south", Policy::default(), &[])];
    for node in &nodes {
        node.publish_cubes().await.unwrap();
    }
    let hub = hub(&[&nodes[0], &nodes[1]], &north.models);
    let before = (north.records(), south.records(), north.spent("publication"), south.spent("publication"));
    let mut rows = 0;
    for i in 0..1_000 {
        let sql = match i % 4 {
            0 => format!("SELECT * FROM cube.{CUBE} WHERE patients > {i}"),
            1 => format!("SELECT modality, sum(patients) AS n, {i} AS i FROM cube.{CUBE} GROUP BY modality"),
            2 => format!(
                "SELECT c.label, q.patients FROM cube.{CUBE} AS q JOIN catalog.concept AS c \
                          ON c.concept_code = q.modality WHERE q.patients <> {i}"
            ),
            _ => "SELECT year, max(series_upper) FROM cube.modality_manufacturer_year_series GROUP BY 1"
                .to_owned(),
        };
        let answer = ask(&hub, &sql).await;
        rows += answer.batches.iter().map(RecordBatch::num_rows).sum::<usize>();
        assert!(paid(&answer) == 0.0 && answer.summary.is_complete(), "{sql}");
    }
    assert!(rows > 1_000, "the cubes have cells: {rows} rows");
    let after = (north.records(), south.records(), north.spent("publication"), south.spent("publication"));
    assert_eq!(before, after);
    assert!((before.2 - 5.0 / 18.0 - 1.0 / 32.0).abs() < 1e-9, "the bundled cubes cost {}", before.2);
    assert!(north.spent("payment") == 0.0 && south.spent("question") == 0.0, "no project has paid");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cube_is_the_merge_of_what_its_nodes_released() {
    let (north, south) = (Place::new(1), Place::new(2));
    let nodes = [north.open("north", Policy::default(), &[]), south.open("south", Policy::default(), &[])];
    let mut replies = Vec::new();
    let mut question = None;
    for node in &nodes {
        node.publish_cubes().await.unwrap();
        let channel = channel(node, &north.models);
        let listing = channel.profile().cubes.iter().find(|listing| listing.name == CUBE).unwrap();
        let fetched = channel.cube(listing).await.unwrap();
        question = Some(fetched.cube().question());
        replies.push((channel.profile().node.clone(), fetched.reply().clone()));
    }
    let merged = merge(&question.unwrap(), &north.models, &replies).unwrap();
    let answer = ask(
        &hub(&[&nodes[0], &nodes[1]], &north.models),
        &format!("SELECT collection, body_part, modality, patients, patients_lower, patients_upper FROM cube.{CUBE}"),
    )
    .await;
    assert!(merged.num_rows() > 10);
    assert_eq!(lines(&answer.batches), lines(std::slice::from_ref(&merged)));
    let all = ask(&hub(&[&nodes[0], &nodes[1]], &north.models), &format!("SELECT * FROM cube.{CUBE}")).await;
    let names: Vec<&str> = all.schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(
        names,
        ["collection", "modality", "body_part", "patients", "patients_lower", "patients_upper", "nodes"]
    );
    let counted =
        ask(&hub(&[&nodes[0], &nodes[1]], &north.models), &format!("SELECT sum(nodes) FROM cube.{CUBE}"))
            .await;
    let cells: usize = replies.iter().map(|(_, reply)| reply.batch().num_rows()).sum();
    assert_eq!(lines(&counted.batches), [cells.to_string()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_of_the_grain_of_a_cube_is_answered_by_it_and_says_so() {
    let north = Place::new(1);
    let node = north.open("north", Policy::default(), &[]);
    node.publish_cubes().await.unwrap();
    let hub = hub(&[&node], &north.models);
    let before = north.records();
    let answer = ask(&hub, PATIENTS).await;
    let cells =
        ask(&hub, &format!("SELECT collection, modality, body_part, patients FROM cube.{CUBE}")).await;
    assert_eq!(lines(&answer.batches), lines(&cells.batches));
    let footer = format!("answered by cube.{CUBE} (epoch 1)");
    assert!(answer.summary.to_string().contains(&footer), "{}", answer.summary);
    let explained = lines(&ask(&hub, &format!("EXPLAIN {PATIENTS}")).await.batches).join("\n");
    assert!(explained.contains(&footer) && !explained.contains("charges"), "{explained}");
    let check = hub.check(PATIENTS, &Settings::default()).unwrap();
    assert!(check.rho() == 0.0 && check.to_string().contains(&format!("{footer}: asks no node and costs 0")));

    let women = PATIENTS.replace("GROUP BY", "WHERE series_modality IN ('EUCAIM:IMG1000038') GROUP BY");
    let some = ask(&hub, &women).await;
    let expected = format!(
        "SELECT collection, modality, body_part, patients FROM cube.{CUBE} WHERE modality = 'EUCAIM:IMG1000038'"
    );
    assert_eq!(lines(&some.batches), lines(&ask(&hub, &expected).await.batches));
    assert!(!some.batches.is_empty() && some.summary.to_string().contains(&footer));
    let nobody = ask(&hub, &PATIENTS.replace("GROUP BY", "WHERE dataset_id = 'elsewhere' GROUP BY")).await;
    assert!(nobody.batches.is_empty() && paid(&nobody) == 0.0, "a missing cell stays missing, free");
    let branch = PATIENTS.replace("GROUP BY", "WHERE is_a(series_modality, 'EUCAIM:IMG1000038') GROUP BY");
    assert_eq!(lines(&ask(&hub, &branch).await.batches), lines(&some.batches));
    assert_eq!(north.records(), before, "no question has reached the node");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_cube_cannot_answer_goes_to_the_nodes_and_is_charged() {
    let north = Place::new(1);
    let node = north.open("north", Policy::default(), &[]);
    node.publish_cubes().await.unwrap();
    let hub = hub(&[&node], &north.models);
    let chosen = Settings { noise_sd_milli: Some(3_000), ..Settings::default() };
    let answer = ask_with(&hub, PATIENTS, &chosen).await;
    assert!((paid(&answer) - 1.0 / 18.0).abs() < 1e-9 && answer.summary.cubes.is_empty());
    for other in [
        "SELECT series_modality, count(DISTINCT patient_id) FROM image_series GROUP BY 1".to_owned(),
        PATIENTS.replace("GROUP BY", "WHERE series_manufacturer IS NULL GROUP BY"),
        PATIENTS.replace("count(DISTINCT patient_id)", "count(DISTINCT study_uid)"),
    ] {
        let answer = ask(&hub, &other).await;
        assert!(paid(&answer) > 0.0 && answer.summary.cubes.is_empty(), "{other}");
    }
}

/// Patients of each manufacturer, as a cube of a node's own.
fn makers() -> Vec<CubeFile> {
    let text =
        "SELECT Manufacturer AS maker, count(DISTINCT PatientID) AS patients FROM dicom.series GROUP BY 1";
    vec![
        CubeFile { name: "makers".into(), text: text.into() },
        CubeFile { name: "dicom_equipment".into(), text: String::new() },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn expressions_run_over_the_texts_that_a_cube_has_published() {
    let place = Place::new(26);
    let node = place.open("n", Policy { public_data: true, ..Policy::default() }, &makers());
    let computed = "SELECT CASE WHEN upper(Manufacturer) LIKE 'SIEM%' THEN 1 ELSE 0 END AS s, count(*) AS n \
                    FROM dicom.series WHERE lower(Manufacturer) IN ('siemens', 'ge', 'rare co') GROUP BY 1 ORDER BY 1";
    let refusal = hub(&[&node], &place.models).prepare(computed, &Settings::default()).err().unwrap();
    assert!(refusal.to_string().contains("no values are published"), "{refusal}");
    node.publish_cubes().await.unwrap();
    let hub = hub(&[&node], &place.models);
    let plain = "SELECT count(*) FILTER (WHERE Manufacturer IN ('GE', 'Rare Co')) AS others, \
                 count(*) FILTER (WHERE Manufacturer = 'SIEMENS') AS siemens FROM dicom.series";
    let plain = lines(&ask(&hub, plain).await.batches).join("").replace('|', ",1|");
    assert_eq!(lines(&ask(&hub, computed).await.batches).join(","), format!("0|{plain}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_of_few_patients_is_not_published_and_not_computed_with() {
    let place = Place::new(27);
    let node = place.open("n", Policy::default(), &makers());
    node.publish_cubes().await.unwrap();
    let hub = hub(&[&node], &place.models);
    let sql = "EXPLAIN SELECT count(*) FROM dicom.series WHERE Manufacturer NOT LIKE 'S%'";
    let plan = lines(&ask(&hub, sql).await.batches).join("\n");
    assert!(plan.contains("'GE'") && !plan.contains("Rare Co") && !plan.contains("SIEMENS"), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_further_epoch_is_published_when_the_window_is_over_and_not_before() {
    let north = Place::new(1);
    let node = north.open("north", Policy::default(), &[]);
    node.publish_cubes().await.unwrap();
    let (cells, spent) = (node.cube(CUBE).unwrap(), north.spent("publication"));
    north.ingest_more(9);
    node.publish_cubes().await.unwrap();
    assert!((north.spent("publication") - spent).abs() < 1e-12, "one window, one release");
    let still = node.cube(CUBE).unwrap();
    assert_eq!((still.released.facts().epoch, still.released.batch()), (1, cells.released.batch()));
    north.clock.0.fetch_add(WEEK, Ordering::Relaxed);
    node.publish_cubes().await.unwrap();
    let next = node.cube(CUBE).unwrap();
    assert_eq!(next.released.facts().epoch, 2);
    assert_ne!(next.released.batch(), cells.released.batch());
    assert!((north.spent("publication") - 2.0 * spent).abs() < 1e-9);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_shows_the_same_cells_and_pays_nothing() {
    let north = Place::new(1);
    let node = north.open("north", Policy::default(), &[]);
    node.publish_cubes().await.unwrap();
    let cells = node.cube(CUBE).unwrap();
    let before = (north.records(), north.spent("publication"));
    drop(node);
    let again = north.open("north", Policy::default(), &[]);
    again.publish_cubes().await.unwrap();
    assert_eq!(again.cube(CUBE).unwrap().released.batch(), cells.released.batch());
    assert_eq!((north.records(), north.spent("publication")), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn cubes_that_cost_more_than_may_be_published_stop_the_start() {
    let north = Place::new(1);
    let policy = Policy { publish_rho: 0.2, ..Policy::default() };
    let cubes = cube::all(&[], &north.models).unwrap();
    let refused = north.unpublished("north", policy).publishing(cubes.clone()).err().unwrap().to_string();
    for part in ["0.3090", "privacy.publish_rho is 0.2", "diagnosis_sex_age (0.0556)", "SET caim.noise_sd"] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    let exact = Policy { public_data: true, ..policy };
    assert!(north.unpublished("north", exact).publishing(cubes).is_ok(), "published data has no budget");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_cube_waits_when_the_window_does_not_carry_it() {
    let north = Place::new(1);
    let by = |column: &str| CubeFile {
        name: "mine".into(),
        text: format!("SELECT {column}, count(DISTINCT PatientID) AS n FROM dicom.series GROUP BY 1"),
    };
    let policy = Policy { publish_rho: 0.345, ..Policy::default() };
    north.open("north", policy, &[by("Modality")]).publish_cubes().await.unwrap();
    let spent = north.spent("publication");
    let changed = north.open("north", policy, &[by("PatientSex")]);
    changed.publish_cubes().await.unwrap();
    assert!((north.spent("publication") - spent).abs() < 1e-12);
    assert!(changed.cube("mine").is_err() && changed.cube(CUBE).is_ok());
    assert!(changed.profile().unwrap().cubes.iter().all(|listing| listing.name != "mine"));
    north.clock.0.fetch_add(WEEK, Ordering::Relaxed);
    changed.publish_cubes().await.unwrap();
    assert!(changed.cube("mine").is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_definition_of_a_name_is_left_out_and_reported() {
    let places = [Place::new(1), Place::new(2), Place::new(3)];
    let models = &places[0].models;
    let other = CubeFile {
        name: CUBE.into(),
        text: "SELECT Modality, count(DISTINCT PatientID) AS patients FROM dicom.series GROUP BY 1".into(),
    };
    // Else the patients beside the series would answer for all three.
    let off = CubeFile { name: format!("{CUBE}_series"), text: String::new() };
    let noisier: Vec<CubeFile> = vec![CubeFile {
        name: CUBE.into(),
        text: format!(
            "SET caim.noise_sd = 6; {}",
            PATIENTS
                .replace("dataset_id,", "dataset_id AS collection,")
                .replace("series_modality,", "series_modality AS modality,")
                .replace("series_body_side_code,", "series_body_side_code AS body_part,")
        ),
    }];
    let nodes = [
        places[0].open("north", Policy::default(), &[other, off]),
        places[1].open("south", Policy::default(), &[]),
        places[2].open("west", Policy::default(), &noisier),
    ];
    for node in &nodes {
        node.publish_cubes().await.unwrap();
    }
    let hub = hub(&[&nodes[0], &nodes[1], &nodes[2]], models);
    let listed = format!("SELECT node_id, status FROM catalog.cube WHERE cube_name = '{CUBE}'");
    assert_eq!(
        lines(&ask(&hub, &listed).await.batches),
        ["north|left out: most nodes define the cube otherwise", "south|released", "west|released"]
    );
    let answer = ask(&hub, &format!("SELECT max(nodes) FROM cube.{CUBE}")).await;
    assert_eq!(lines(&answer.batches), ["2"]);
    assert!(!answer.summary.is_complete() && answer.summary.to_string().contains("north: absent"));
    assert!(paid(&ask(&hub, PATIENTS).await) > 0.0, "north has not answered by the cube: all are asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cube_of_published_data_is_exact_and_follows_the_epoch() {
    let north = Place::new(1);
    let exact = Policy { public_data: true, ..Policy::default() };
    let node = north.open("north", exact, &[]);
    let count = "SELECT sum(series) FROM cube.modality_manufacturer_year_series";
    let truth = series::stored(&north.warehouse()).len().to_string();
    node.publish_cubes().await.unwrap();
    let answer = ask(&hub(&[&node], &north.models), count).await;
    assert_eq!(lines(&answer.batches), [truth]);
    north.ingest_more(9);
    let truth = series::stored(&north.warehouse()).len().to_string();
    node.publish_cubes().await.unwrap();
    assert_eq!(lines(&ask(&hub(&[&node], &north.models), count).await.batches), [truth]);
    assert!(north.spent("publication") == 0.0);
}

#[test]
fn every_bundled_cube_says_what_it_shows_and_names_its_columns() {
    let models = Arc::new(Models::bundled().unwrap());
    for Cube { name, description, columns, .. } in cube::all(&[], &models).unwrap() {
        assert!(description.ends_with(|c: char| c.is_alphanumeric() || c == '.'), "{name}: {description}");
        assert!(columns.iter().any(|column| column.name == "patients"), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_hospitals_publish_when_they_start() {
    let dir = tempfile::tempdir().unwrap();
    let population = Population::bundled().unwrap();
    let plan = Plan { seed: 5, patients: 400 };
    let folder = |at| federation::hospital(&population, plan, at, dir.path(), &Quiet).unwrap().dir;
    let nodes = vec![folder(0), folder(1)];
    let hub = federation::hub(Path::new(dir.path())).unwrap();
    let cluster = Cluster::start(&ClusterOptions { hub, nodes, ..ClusterOptions::default() }).await.unwrap();
    for (cube, least) in [
        ("collection_sex_age", 2),
        ("collection_modality_body_part", 2),
        ("diagnosis_sex_age", 0),
        ("modality_manufacturer_year", 0),
    ] {
        let answer = ask(cluster.hub(), &format!("SELECT * FROM cube.{cube}")).await;
        let cells: usize = answer.batches.iter().map(RecordBatch::num_rows).sum();
        assert!(cells >= least && answer.summary.is_complete(), "{cube}: {cells} cells");
    }
    let listed = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'cube' AND table_type = 'BASE TABLE'";
    assert_eq!(lines(&ask(cluster.hub(), listed).await.batches), ["7"]);
    cluster.stop().await.unwrap();
}
