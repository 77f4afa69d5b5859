//! A cube on its way: what a node lists and sends, and what a hub takes in.

use std::fmt;

use caim_ontology::Models;
use datafusion::arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};

use super::{Cube, MAX_CUBE_CELLS};
use crate::channel::{AskError, Facts, Reply};
use crate::release::Released;

/// A cube that a node has released, as its profile names it. The same entry stands for the same cells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CubeListing {
    /// Name of the cube.
    pub name: String,
    /// Its [definition](Cube::definition).
    pub definition: String,
    /// The epoch it was released from.
    pub epoch: u64,
    /// Number of the release at this node; 0 for published data.
    pub release: u64,
}

/// What travels beside the cells of a cube.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CubeHead {
    /// What was released.
    pub cube: Cube,
    /// The epoch and the policy that was applied.
    pub facts: Facts,
}

/// A cube at its node, ready to leave.
#[derive(Debug)]
pub struct ReleasedCube {
    /// What was released.
    pub cube: Cube,
    /// The cells.
    pub released: Released,
}

impl ReleasedCube {
    /// What travels beside the cells.
    #[must_use]
    pub fn head(&self) -> CubeHead {
        CubeHead { cube: self.cube.clone(), facts: self.released.facts().clone() }
    }
}

/// A cube as the hub holds it: checked against its own question, but not believed beyond that.
#[derive(Clone)]
pub struct CubeReply {
    cube: Cube,
    reply: Reply,
}

impl CubeReply {
    /// Takes in what a node sent for an entry of its profile.
    ///
    /// # Errors
    /// When the cube is another one, no cube at all, or its cells are not what its question allows.
    pub fn check(
        listing: &CubeListing,
        models: &Models,
        batches: &[RecordBatch],
        head: CubeHead,
    ) -> Result<Self, AskError> {
        let CubeHead { cube, facts } = head;
        let faulty = |reason: String| AskError::Failed(format!("its cube is faulty: {reason}"));
        cube.check(models).map_err(faulty)?;
        if cube.name != listing.name
            || cube.definition() != listing.definition
            || facts.epoch != listing.epoch
        {
            return Err(faulty("it is another one than the node's profile names".into()));
        }
        if batches.iter().map(RecordBatch::num_rows).sum::<usize>() > MAX_CUBE_CELLS {
            return Err(faulty(format!("it has more than {MAX_CUBE_CELLS} cells")));
        }
        let reply = Reply::check(&cube.question(), models, batches, facts)?;
        Ok(Self { cube, reply })
    }

    /// What was released.
    #[must_use]
    pub fn cube(&self) -> &Cube {
        &self.cube
    }

    /// The cells, with the noise in their facts.
    #[must_use]
    pub fn reply(&self) -> &Reply {
        &self.reply
    }
}

impl fmt::Debug for CubeReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CubeReply({}, <redacted>)", self.cube.name)
    }
}
