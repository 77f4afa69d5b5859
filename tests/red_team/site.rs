//! A world at a real node: committed into a warehouse of its own, asked through a hub in SQL.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use caim_engine::clock::SystemClock;
use caim_engine::{
    Answer, AskError, Asker, CubeListing, CubeReply, Hub, HubError, LocalChannel, Node, NodeChannel, NodeId,
    NodeQuery, Policy, Profile, Reply,
};
use caim_ontology::{ColumnType, Models};
use caim_sql::lower::Settings;
use caim_sql::{PrivateQuery, Refusal};
use caim_tests::Here;
use caim_warehouse::layout::{PATIENT, ROW};
use caim_warehouse::{Epoch, NewBatch, TableName, Warehouse};
use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, UInt32Array, UInt64Array,
};

use crate::world::{Row, Value, World};

/// The data model of the attacks.
pub(crate) fn models() -> Arc<Models> {
    static MODELS: OnceLock<Arc<Models>> = OnceLock::new();
    let read = || {
        let world = Models::parse("world.toml", include_str!("world.toml")).unwrap();
        Arc::new(Models::new(vec![world]).unwrap())
    };
    Arc::clone(MODELS.get_or_init(read))
}

/// The default policy without the answer grid, and with room for many games at one node: each is a project of its own.
pub(crate) fn policy() -> Policy {
    Policy { answer_grid_ms: 0, node_budget_rho: 1e6, ..Policy::default() }
}

/// Budgets that never end, for questions that are not about the ledger.
pub(crate) fn generous() -> Policy {
    Policy { budget_rho: 1e6, budget_delta: 1.0, project_lifetime_rho: 1e6, ..policy() }
}

/// A statement with the options of its session.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) sql: String,
    pub(crate) settings: Settings,
}

impl Ask {
    pub(crate) fn new(sql: &str) -> Self {
        Self { sql: sql.to_owned(), settings: Settings::default() }
    }

    pub(crate) fn noise(self, milli: u32) -> Self {
        let settings = Settings { noise_sd_milli: Some(milli), ..self.settings };
        Self { settings, ..self }
    }

    pub(crate) fn rows(self, most: u32) -> Self {
        let settings = Settings { max_rows_per_patient: Some(most), ..self.settings };
        Self { settings, ..self }
    }
}

/// A question that a node answered, and what it was charged.
#[derive(Debug, Clone)]
pub(crate) struct Answered {
    pub(crate) query: PrivateQuery,
    pub(crate) rho: f64,
    pub(crate) delta: f64,
}

/// Where a site lies.
pub(crate) enum Folder {
    /// Removed with the site.
    Own(tempfile::TempDir),
    Kept(PathBuf),
}

impl Folder {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Own(dir) => dir.path(),
            Self::Kept(path) => path,
        }
    }
}

/// One world at one node, with a hub of its own.
pub(crate) struct Site {
    pub(crate) epoch: Epoch,
    pub(crate) node: Arc<Node>,
    pub(crate) hub: Hub,
    pub(crate) dir: Folder,
    log: Arc<Mutex<Vec<Answered>>>,
}

impl Site {
    pub(crate) fn new(world: &World, policy: Policy) -> Self {
        let dir = Folder::Own(tempfile::tempdir().unwrap());
        let warehouse = Warehouse::create(dir.path()).unwrap();
        let epoch = commit(&warehouse, world);
        Self::over(dir, warehouse, epoch, policy)
    }

    /// A node over a folder that is there already, and stays.
    pub(crate) fn at(dir: &Path, policy: Policy) -> Self {
        Self::opened(Folder::Kept(dir.to_owned()), policy)
    }

    /// The same folder after a restart of the node.
    pub(crate) fn restarted(self, policy: Policy) -> Self {
        self.replaced(policy, |_| {})
    }

    /// The same folder after a restart, before which somebody changed it.
    pub(crate) fn replaced(self, policy: Policy, change: impl FnOnce(&Path)) -> Self {
        let Self { dir, node, hub, epoch, log: _ } = self;
        drop((node, hub, epoch));
        change(dir.path());
        Self::opened(dir, policy)
    }

    /// Why a node does not start in the same folder after somebody changed it.
    pub(crate) fn refused(self, policy: Policy, change: impl FnOnce(&Path)) -> Option<String> {
        let Self { dir, node, hub, epoch, log: _ } = self;
        drop((node, hub, epoch));
        change(dir.path());
        let warehouse = Warehouse::open(dir.path()).unwrap();
        let name = NodeId::new("node").unwrap();
        Node::open(name, warehouse, models(), policy).err().map(|e| e.to_string())
    }

    fn opened(dir: Folder, policy: Policy) -> Self {
        let warehouse = Warehouse::open(dir.path()).unwrap();
        let epoch = warehouse.current().unwrap();
        Self::over(dir, warehouse, epoch, policy)
    }

    fn over(dir: Folder, warehouse: Warehouse, epoch: Epoch, policy: Policy) -> Self {
        let node = node("node", warehouse, policy);
        let log = Arc::new(Mutex::new(Vec::new()));
        let channel = LocalChannel::new(Arc::clone(&node), models()).unwrap();
        let channel = Recorder { inner: channel, log: Arc::clone(&log) };
        Self { epoch, node, hub: hub(vec![Arc::new(channel)]), dir, log }
    }

    /// Asks for a project.
    pub(crate) fn ask(&self, project: &str, ask: &Ask) -> Result<Answer, Refusal> {
        let prepared = self.hub.prepare(&ask.sql, &ask.settings)?;
        match run(self.hub.answer(&prepared, &asker(project))) {
            Ok(answer) => Ok(answer),
            Err(HubError::Refused(refusal)) => Err(refusal),
            Err(HubError::Failed(why)) => panic!("{}: {why}", ask.sql),
        }
    }

    /// What the node answered since the last call.
    pub(crate) fn answered(&self) -> Vec<Answered> {
        std::mem::take(&mut *self.log.lock().unwrap())
    }
}

/// A node by the machine's clock.
pub(crate) fn node(name: &str, warehouse: Warehouse, policy: Policy) -> Arc<Node> {
    let id = NodeId::new(name).unwrap();
    Arc::new(Node::with_clock(id, warehouse, models(), policy, Arc::new(SystemClock)).unwrap())
}

/// A hub over some channels.
pub(crate) fn hub(channels: Vec<Arc<dyn NodeChannel>>) -> Hub {
    Hub::new(models(), Arc::new(Here(channels)), Duration::from_secs(60))
}

pub(crate) fn asker(project: &str) -> Asker {
    Asker { user: "mallory".into(), project: project.into(), purpose: String::new() }
}

/// Waits for a future on the one runtime of the process.
pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| tokio::runtime::Runtime::new().unwrap()).block_on(work)
}

/// Keeps what was answered, so that the games are played over the questions that the hub really asked.
struct Recorder {
    inner: LocalChannel,
    log: Arc<Mutex<Vec<Answered>>>,
}

#[async_trait]
impl NodeChannel for Recorder {
    fn profile(&self) -> &Profile {
        self.inner.profile()
    }

    async fn ask(&self, asked: NodeQuery) -> Result<Reply, AskError> {
        let query = asked.query.clone();
        let reply = self.inner.ask(asked).await?;
        let (rho, delta) = (reply.facts().rho, reply.facts().delta);
        self.log.lock().unwrap().push(Answered { query, rho, delta });
        Ok(reply)
    }

    async fn cube(&self, listing: &CubeListing) -> Result<CubeReply, AskError> {
        self.inner.cube(listing).await
    }
}

/// Writes a world as the next epoch, people in the order in which they stand.
pub(crate) fn commit(warehouse: &Warehouse, world: &World) -> Epoch {
    let mut commit = warehouse
        .begin(NewBatch {
            source: "world".into(),
            content: "world".into(),
            collection: Some("world".into()),
            format: "generated".into(),
        })
        .unwrap();
    commit.secret("5ec7e7").unwrap();
    let models = models();
    for table in &models.model("world").unwrap().tables {
        let rows: Vec<&Row> = world.rows.iter().filter(|r| r.table == table.name).collect();
        let ordinals = commit.ordinals().unwrap();
        let patients: UInt32Array =
            rows.iter().map(|r| Some(ordinals.ordinal(&pseudonym(&r.person)))).collect();
        let keys: UInt64Array = rows.iter().map(|r| Some(r.key())).collect();
        let mut columns: Vec<(String, ArrayRef)> =
            vec![(PATIENT.into(), Arc::new(patients)), (ROW.into(), Arc::new(keys))];
        columns.extend(table.stored_columns().map(|c| (c.stored.clone(), column(&rows, &c.stored, c.ty))));
        let columns = columns.into_iter().map(|(name, array)| (name, array, true));
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let mut writer = commit.writer(TableName::new("world", &table.name), batch.schema()).unwrap();
        writer.write(&batch).unwrap();
        writer.finish().unwrap();
    }
    commit.publish().unwrap()
}

fn pseudonym(person: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (at, byte) in person.bytes().enumerate() {
        bytes[at % 32] ^= byte;
    }
    bytes
}

fn column(rows: &[&Row], name: &str, ty: ColumnType) -> ArrayRef {
    let of = |row: &&Row| row.get(name).cloned();
    macro_rules! array {
        ($array:ty, $variant:ident) => {
            Arc::new(
                rows.iter()
                    .map(|row| match of(row) {
                        Some(Value::$variant(value)) => Some(value),
                        _ => None,
                    })
                    .collect::<$array>(),
            )
        };
    }
    match ty {
        ColumnType::Text => array!(StringArray, Text),
        ColumnType::Integer => array!(Int64Array, Whole),
        ColumnType::Float => array!(Float64Array, Number),
        ColumnType::Boolean => array!(BooleanArray, Flag),
        ColumnType::Date => array!(Date32Array, Day),
        ColumnType::Timestamp => array!(TimestampMicrosecondArray, Whole),
    }
}
