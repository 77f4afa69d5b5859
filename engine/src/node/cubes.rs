//! What a node publishes: every cube is released through the gate once, no oftener than the window, and then read free.
//!
//! The ledger says what was released, so a restart shows the same cells. Published data (`public_data`) has no
//! releases: its cubes are computed exactly, once an epoch, and kept in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use caim_sql::canonical::to_sql;
use caim_warehouse::Epoch;
use datafusion::arrow::record_batch::RecordBatch;
use sha2::{Digest, Sha256};

use super::{Node, NodeError};
use crate::accounting::Accounting;
use crate::answers;
use crate::audit::{self, Record};
use crate::channel::{AskError, Asker, Facts};
use crate::cube::{Cube, CubeListing, MAX_CUBE_CELLS, ReleasedCube};
use crate::execute::Execution;
use crate::ledger::{Due, Edition, Ledger, LedgerError, Publication, Published, SLACK};
use crate::policy::Policy;
use crate::release::{self, Released};
use crate::reply;

/// The cubes of a node.
#[derive(Default)]
pub(super) struct Cubes {
    all: Vec<Cube>,
    /// Epoch and window that were looked at last: within them nothing new is due.
    seen: Mutex<Option<(u64, i64)>>,
    /// Exact cells of published data by name, with their epoch.
    exact: Mutex<BTreeMap<String, (u64, RecordBatch)>>,
}

/// Why a cube was not released; for the operator's log, without any value.
type Cause = Box<dyn std::error::Error + Send + Sync>;

impl Node {
    /// Lets the node publish some cubes.
    ///
    /// # Errors
    /// When what they cost together exceeds `publish_rho`.
    pub fn publishing(mut self, cubes: Vec<Cube>) -> Result<Self, NodeError> {
        let rho = |cube: &Cube| self.accounting(cube).map(|of| of.rho).map_err(NodeError::Cubes);
        let costs = cubes.iter().map(rho).collect::<Result<Vec<f64>, _>>()?;
        let (total, limit) = (costs.iter().sum::<f64>(), self.policy.publish_rho);
        if !self.policy.public_data && total > limit + SLACK {
            let each = cubes.iter().zip(costs).map(|(cube, rho)| format!("{} ({rho:.4})", cube.name));
            return Err(NodeError::Cubes(format!(
                "the published cubes cost rho {total:.4} a window, and privacy.publish_rho is {limit}: {}; give \
                 them more noise (SET caim.noise_sd in DIR/cubes/NAME.sql), switch some off (an empty file of that \
                 name), or raise privacy.publish_rho",
                each.collect::<Vec<_>>().join(", ")
            )));
        }
        self.cubes.all = cubes;
        Ok(self)
    }

    /// Releases the cubes that are due: those never released, and those of an older epoch when its window is over.
    /// Exact ones of published data are computed for every epoch. What fails or does not fit into `publish_rho` is in
    /// the log, and hinders no other cube.
    ///
    /// # Errors
    /// When the newest epoch cannot be read.
    pub async fn publish_cubes(&self) -> Result<(), NodeError> {
        let epoch = self.warehouse.current()?;
        // An empty warehouse would spend the window on nothing.
        if self.cubes.all.is_empty() || epoch.number() == 0 || !self.is_news(&epoch) {
            return Ok(());
        }
        for cube in &self.cubes.all {
            let published = if self.policy.public_data {
                self.compute_exact(cube, &epoch).await
            } else {
                self.publish_one(cube, &epoch).await
            };
            if let Err(cause) = published {
                tracing::error!(cube = %cube.name, error = %cause, "a cube could not be published");
            }
        }
        Ok(())
    }

    /// A cube with its cells, as the profile lists it.
    ///
    /// # Errors
    /// When there is no such cube, or it was not released yet.
    pub fn cube(&self, name: &str) -> Result<ReleasedCube, AskError> {
        let missing = || AskError::Failed("it publishes no such cube".into());
        let cube = self.cubes.all.iter().find(|cube| cube.name == name).ok_or_else(missing)?;
        let found =
            if self.policy.public_data { Ok(self.exact_cube(cube)) } else { self.released_cube(cube) };
        let found = found.map_err(|cause| {
            tracing::error!(cube = %cube.name, error = %cause, "a cube cannot be shown");
            AskError::Failed(
                "it could not show the cube; its operator finds the cause in the node's log".into(),
            )
        })?;
        let released = found.ok_or_else(missing)?;
        Ok(ReleasedCube { cube: cube.clone(), released })
    }

    /// The cubes that can be fetched.
    pub(super) fn listings(&self) -> Result<Vec<CubeListing>, NodeError> {
        let mut listings = Vec::new();
        for cube in &self.cubes.all {
            let found = if self.policy.public_data {
                self.exact().get(&cube.name).map(|(epoch, _)| Published { id: 0, epoch: *epoch })
            } else {
                self.published(cube).map_err(|cause| NodeError::Ledger(cause.to_string()))?
            };
            listings.extend(found.map(|Published { id, epoch }| CubeListing {
                name: cube.name.clone(),
                definition: cube.definition(),
                epoch,
                release: id,
            }));
        }
        Ok(listings)
    }

    /// Whether epoch or window changed since this was last asked.
    fn is_news(&self, epoch: &Epoch) -> bool {
        let now = Some((epoch.number(), self.ledger.window(&self.policy)));
        let mut seen = self.cubes.seen.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *seen, now) != now
    }

    /// Charge, aggregate, gate, store: in this order, as for a question.
    async fn publish_one(&self, cube: &Cube, epoch: &Epoch) -> Result<(), Cause> {
        let accounting = self.accounting(cube)?;
        let edition = Edition { cube: &cube.name, definition: self.edition(cube, &accounting)? };
        let state = self.warehouse.state();
        let due = match self.ledger.publish(state, &self.policy, &accounting, edition, epoch.number())? {
            Publication::Standing => return Ok(()),
            Publication::Due(due) => due,
            Publication::Dear { left } => {
                tracing::warn!(
                    cube = %cube.name, rho = accounting.rho, left,
                    "privacy.publish_rho of this window does not carry the cube; it waits for the next window"
                );
                return Ok(());
            }
        };
        let _slot = self.slots.acquire().await?;
        let execution = Execution::new(epoch, &self.models, &self.runtime);
        let sums = execution.contributions(&cube.query, &accounting).await?;
        let schema = reply::schema(&cube.query, &self.models)?;
        let facts = self.cube_facts(epoch.number(), accounting.noise_sd);
        let released =
            release::release(&cube.query, &accounting, &self.policy, &sums, due.seed, &schema, facts)?;
        self.keep_cube(cube, epoch, &due, &accounting, released.batch())?;
        tracing::info!(cube = %cube.name, epoch = epoch.number(), rho = accounting.rho, "published");
        Ok(())
    }

    /// Cells and audit record, in one transaction.
    fn keep_cube(
        &self,
        cube: &Cube,
        epoch: &Epoch,
        due: &Due,
        accounting: &Accounting,
        batch: &RecordBatch,
    ) -> Result<(), Cause> {
        few_enough(batch)?;
        let bytes = answers::encode(batch)?;
        let cost = (accounting.rho, accounting.delta);
        self.warehouse.state().write(|tx| {
            if Ledger::store_published(tx, due, &bytes)? {
                self.with_record(cube, epoch, cost, batch, |record| audit::append(tx, record))?;
            }
            Ok::<_, LedgerError>(())
        })?;
        Ok(())
    }

    fn with_record<T>(
        &self,
        cube: &Cube,
        epoch: &Epoch,
        (rho, delta): (f64, f64),
        batch: &RecordBatch,
        write: impl FnOnce(&Record<'_>) -> T,
    ) -> T {
        let project = format!("cube.{}", cube.name);
        let asker = Asker { user: self.id.to_string(), project, purpose: cube.description.clone() };
        let query = to_sql(&cube.query, &self.models);
        write(&Record {
            at: self.clock.unix_seconds(),
            asker: &asker,
            query_id: "",
            query: &query,
            epoch: epoch.number(),
            decision: "published cube",
            rho,
            delta,
            cells: batch.num_rows(),
        })
    }

    fn released_cube(&self, cube: &Cube) -> Result<Option<Released>, Cause> {
        let Some(found) = self.published(cube)? else { return Ok(None) };
        let batch = answers::decode(&Ledger::published_answer(self.warehouse.state(), found.id)?)?;
        let facts = self.cube_facts(found.epoch, self.accounting(cube)?.noise_sd);
        Ok(Some(Released::again(batch, facts)))
    }

    fn exact_cube(&self, cube: &Cube) -> Option<Released> {
        let (epoch, batch) = self.exact().get(&cube.name)?.clone();
        Some(Released::published(batch, self.cube_facts(epoch, self.policy.noise_sd)))
    }

    fn exact(&self) -> MutexGuard<'_, BTreeMap<String, (u64, RecordBatch)>> {
        self.cubes.exact.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Published data: exact, of the newest epoch, and free.
    async fn compute_exact(&self, cube: &Cube, epoch: &Epoch) -> Result<(), Cause> {
        let _slot = self.slots.acquire().await?;
        let execution = Execution::new(epoch, &self.models, &self.runtime);
        let batch = execution.exact(&cube.query).await?;
        few_enough(&batch)?;
        self.warehouse.state().write(|tx| {
            let written =
                self.with_record(cube, epoch, (0.0, 0.0), &batch, |record| audit::append(tx, record));
            Ok::<_, LedgerError>(written?)
        })?;
        self.exact().insert(cube.name.clone(), (epoch.number(), batch));
        Ok(())
    }

    fn published(&self, cube: &Cube) -> Result<Option<Published>, Cause> {
        let accounting = self.accounting(cube)?;
        let edition = Edition { cube: &cube.name, definition: self.edition(cube, &accounting)? };
        Ok(Ledger::published(self.warehouse.state(), edition)?)
    }

    fn accounting(&self, cube: &Cube) -> Result<Accounting, String> {
        Accounting::new(&cube.query, &self.models, &self.policy)
            .map_err(|reason| format!("cube {}: {reason}", cube.name))
    }

    fn cube_facts(&self, epoch: u64, noise_sd: f64) -> Facts {
        let policy = Policy { noise_sd, ..self.policy };
        Facts { epoch, rho: 0.0, delta: 0.0, rho_left: None, policy }
    }

    /// Hash of everything a cube's cells depend on, but the data.
    fn edition(&self, cube: &Cube, accounting: &Accounting) -> Result<[u8; 32], serde_json::Error> {
        let Policy { threshold, rounding, .. } = self.policy;
        let parameters = format!(
            "caim cube 1|{}|{threshold}|{rounding}|{:016x}|{}|{}|{}",
            self.models.version(),
            accounting.noise_sd.to_bits(),
            accounting.rows_per_patient,
            accounting.cells_per_patient,
            serde_json::to_string(&(&cube.query, &cube.columns))?,
        );
        Ok(Sha256::digest(parameters).into())
    }
}

fn few_enough(batch: &RecordBatch) -> Result<(), Cause> {
    if batch.num_rows() > MAX_CUBE_CELLS {
        return Err(format!("it has more than {MAX_CUBE_CELLS} cells: group by less").into());
    }
    Ok(())
}
