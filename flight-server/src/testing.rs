//! Small real nodes for tests: a warehouse with a few series, behind the real gate.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use caim_engine::{
    AskError, Asker, Cube, CubeListing, CubeReply, LocalChannel, Node, NodeChannel, NodeId, NodeQuery, Nodes,
    Policy, Profile, Reply,
};
use caim_ontology::Models;
use caim_sql::PrivateQuery;
use caim_sql::catalogue::Catalogue;
use caim_sql::private_query::{Aggregate, BoolTree, ColumnRef, Dim, JoinTree, Measure, TableRef, VERSION};
use caim_sql::released::arrow_type;
use caim_warehouse::{NewBatch, TableName, Warehouse, layout};
use datafusion::arrow::array::{ArrayRef, StringArray, UInt32Array, UInt64Array, new_null_array};
use datafusion::arrow::record_batch::RecordBatch;
use futures::future;
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::link::hub::Links;

/// The bundled models.
pub(crate) fn models() -> Arc<Models> {
    Arc::new(Models::bundled().unwrap())
}

/// Published data, answered at once.
pub(crate) const PUBLIC: Policy = Policy {
    threshold: 10,
    noise_sd: 4.0,
    rounding: 5,
    budget_rho: 1.0,
    budget_delta: 0.003,
    window_days: 7,
    project_lifetime_rho: 6.0,
    node_budget_rho: 4.0,
    publish_rho: 1.0,
    answer_grid_ms: 0,
    public_data: true,
};

/// Protected data, answered at once.
pub(crate) const PROTECTED: Policy = Policy { public_data: false, ..PUBLIC };

/// A node whose patients have one series each: so many of each modality.
pub(crate) fn node(name: &str, patients: &[(&str, usize)], policy: Policy) -> (TempDir, Arc<Node>) {
    publishing(name, patients, policy, Vec::new())
}

/// A cube of patients by modality.
pub(crate) fn cube() -> Cube {
    let sql = "-- Patients by modality.\nSELECT Modality, count(DISTINCT PatientID) AS n FROM dicom.series GROUP BY 1";
    Cube::read("by_modality", sql, &Catalogue::new(models(), Vec::new())).unwrap().unwrap()
}

/// The same node with cubes, which are not released yet.
pub(crate) fn publishing(
    name: &str,
    patients: &[(&str, usize)],
    policy: Policy,
    cubes: Vec<Cube>,
) -> (TempDir, Arc<Node>) {
    let dir = tempfile::tempdir().unwrap();
    let warehouse = Warehouse::create(dir.path()).unwrap();
    let modalities: Vec<&str> =
        patients.iter().flat_map(|(modality, count)| std::iter::repeat_n(*modality, *count)).collect();
    let rows = series(&modalities);
    let batch = NewBatch {
        source: "test".to_owned(),
        content: name.to_owned(),
        collection: Some("trial".to_owned()),
        format: "dicom-table".to_owned(),
    };
    let mut commit = warehouse.begin(batch).unwrap();
    commit.secret("5ec7e7").unwrap();
    for patient in 0..modalities.len() {
        let mut pseudonym = [0; 32];
        pseudonym[..8].copy_from_slice(&patient.to_be_bytes());
        commit.ordinals().unwrap().ordinal(&pseudonym);
    }
    let mut writer = commit.writer(TableName::new("dicom", "series"), rows.schema()).unwrap();
    writer.write(&rows).unwrap();
    writer.finish().unwrap();
    commit.publish().unwrap();
    let node = Node::open(NodeId::new(name).unwrap(), warehouse, models(), policy).unwrap();
    (dir, Arc::new(node.publishing(cubes).unwrap()))
}

fn series(modalities: &[&str]) -> RecordBatch {
    let models = models();
    let columns = models.table("dicom", "series").unwrap().stored_columns().map(|column| {
        let values: ArrayRef = match column.stored.as_str() {
            "modality" => Arc::new(StringArray::from(modalities.to_vec())),
            "seriesinstanceuid" | "studyinstanceuid" => {
                Arc::new((0..modalities.len()).map(|row| Some(format!("1.2.{row}"))).collect::<StringArray>())
            }
            _ => new_null_array(&arrow_type(column.ty), modalities.len()),
        };
        (column.stored.clone(), values)
    });
    let patients = UInt32Array::from_iter_values((0..).take(modalities.len()));
    let keys = UInt64Array::from_iter_values((0..).take(modalities.len()));
    let physical: [(String, ArrayRef); 2] =
        [(layout::PATIENT.to_owned(), Arc::new(patients)), (layout::ROW.to_owned(), Arc::new(keys))];
    RecordBatch::try_from_iter_with_nullable(columns.chain(physical).map(|(name, array)| (name, array, true)))
        .unwrap()
}

/// How many patients have a series, by modality?
pub(crate) fn by_modality() -> PrivateQuery {
    PrivateQuery {
        version: VERSION,
        per_patient: Vec::new(),
        from: JoinTree { tables: vec![TableRef::new("dicom", "series")], edges: Vec::new() },
        cohort: BoolTree::always(),
        dims: vec![Dim::Column(ColumnRef::new(0, "modality"))],
        measures: vec![Measure { of: Aggregate::Patients, filter: BoolTree::always() }],
        noise_sd_milli: None,
        max_rows_per_patient: None,
    }
}

/// A question as a hub asks it.
pub(crate) fn asked(query: PrivateQuery, deadline: Duration) -> NodeQuery {
    NodeQuery {
        query,
        models: models().version(),
        asker: Asker { user: "ana".into(), project: "demo".into(), purpose: String::new() },
        query_id: "q".into(),
        deadline_ms: u64::try_from(deadline.as_millis()).unwrap(),
    }
}

/// Nodes in this process.
pub(crate) struct Here(Vec<Arc<dyn NodeChannel>>);

impl Here {
    pub(crate) fn new(nodes: &[Arc<Node>]) -> Self {
        let channel = |node: &Arc<Node>| {
            Arc::new(LocalChannel::new(Arc::clone(node), models()).unwrap()) as Arc<dyn NodeChannel>
        };
        Self(nodes.iter().map(channel).collect())
    }

    /// These, and one more.
    pub(crate) fn and(mut self, channel: impl NodeChannel + 'static) -> Self {
        self.0.push(Arc::new(channel));
        self
    }
}

impl Nodes for Here {
    fn linked(&self) -> Vec<Arc<dyn NodeChannel>> {
        self.0.clone()
    }

    fn known(&self) -> Vec<NodeId> {
        self.0.iter().map(|channel| channel.profile().node.clone()).collect()
    }
}

/// A node that never answers, and says when a question begins and when it is dropped.
pub(crate) struct Hanging {
    pub(crate) profile: Profile,
    pub(crate) events: mpsc::UnboundedSender<&'static str>,
}

/// Waits until so many nodes are linked, and gives up when they never are.
pub(crate) async fn linked(links: &Links, nodes: usize) {
    let patience = Duration::from_secs(20);
    tokio::time::timeout(patience, links.wait_for(nodes)).await.expect("the nodes are linked in time");
}

/// What happens next, if anything does.
pub(crate) async fn next(happened: &mut mpsc::UnboundedReceiver<&'static str>) -> Option<&'static str> {
    tokio::time::timeout(Duration::from_secs(30), happened.recv()).await.ok().flatten()
}

/// Says that it was dropped.
pub(crate) struct Dropped(pub(crate) mpsc::UnboundedSender<&'static str>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.send("dropped");
    }
}

impl Hanging {
    pub(crate) fn new(name: &str, policy: Policy, events: &mpsc::UnboundedSender<&'static str>) -> Self {
        let profile = Profile {
            node: NodeId::new(name).unwrap(),
            software: "0".into(),
            models: models().version(),
            policy,
            collections: Vec::new(),
            cubes: Vec::new(),
        };
        Self { profile, events: events.clone() }
    }
}

#[async_trait]
impl NodeChannel for Hanging {
    fn profile(&self) -> &Profile {
        &self.profile
    }

    async fn ask(&self, _: NodeQuery) -> Result<Reply, AskError> {
        self.events.send("began").unwrap();
        let _dropped = Dropped(self.events.clone());
        future::pending().await
    }

    async fn cube(&self, _: &CubeListing) -> Result<CubeReply, AskError> {
        Err(AskError::Unreachable("it hangs".into()))
    }
}
