//! Asks the node of a folder: a hub over one channel in memory, for the operator on the spot.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use caim_engine::{Answer, Asker, Hub, LocalChannel, NodeChannel, NodeId, Nodes};
use caim_sql::Refusal;
use caim_sql::lower::Settings;

use super::Whom;
use crate::config::{NodeConfig, Overrides};
use crate::{service, vocabulary};

/// Who asks when the operator gives no name.
const OPERATOR: &str = "operator";

/// How long the operator waits.
const DEADLINE: Duration = Duration::from_secs(600);

/// A hub with one node, and what was set for the next statements.
pub struct Local {
    hub: Hub,
    asker: Asker,
    settings: Settings,
}

/// The one node there is.
struct Only(Arc<LocalChannel>);

impl Nodes for Only {
    fn linked(&self) -> Vec<Arc<dyn NodeChannel>> {
        vec![Arc::clone(&self.0) as Arc<dyn NodeChannel>]
    }

    fn known(&self) -> Vec<NodeId> {
        vec![self.0.profile().node.clone()]
    }
}

impl Local {
    pub(super) fn open(dir: &Path, whom: &Whom) -> Result<Self> {
        let config = NodeConfig::load(dir, &Overrides::new(Vec::new()))?;
        let models = Arc::new(vocabulary::models_of_node(dir)?);
        let node = service::open_node_with(dir, &config, Arc::clone(&models))?;
        let channel = LocalChannel::new(node, Arc::clone(&models))?;
        let name = |given: &Option<String>| given.clone().unwrap_or_else(|| OPERATOR.to_owned());
        let asker = Asker { user: name(&whom.user), project: name(&whom.project), purpose: String::new() };
        let hub = Hub::new(models, Arc::new(Only(Arc::new(channel))), DEADLINE);
        Ok(Self { hub, asker, settings: Settings::default() })
    }

    pub(super) async fn ask(&mut self, sql: &str) -> Result<Answer> {
        self.hub.refresh().await;
        let prepared = self.hub.prepare(sql, &self.settings)?;
        if let Some((key, value)) = prepared.setting() {
            self.set(key, value)?;
        }
        Ok(self.hub.answer(&prepared, &self.asker).await?)
    }

    pub(super) async fn check(&self, sql: &str) -> Result<String> {
        self.hub.refresh().await;
        Ok(self.hub.check(sql, &self.settings)?.to_string())
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), Refusal> {
        match key {
            "caim.project" => self.asker.project = value.to_owned(),
            "caim.purpose" => self.asker.purpose = value.to_owned(),
            _ => self.settings.set(key, value)?,
        }
        Ok(())
    }
}
