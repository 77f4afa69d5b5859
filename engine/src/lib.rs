//! How a question is *answered*: execution, the privacy gate, federation and merge.
//!
//! On the way of a question, at the hub: [`hub`] plans and splits it, [`federate`] asks every node through a
//! [`NodeChannel`], [`merge`](mod@merge) adds what they released, and the hub's remainder runs over that. At a node:
//! [`node`] validates, `ledger` charges, `execute` computes one bounded contribution per cell and patient, [`release`]
//! is the gate, [`audit`] keeps the record, and [`cube`] says what it publishes. [`accounting`] says what a question costs and how much noise it gets.
//!
//! Only the gate can make a [`Released`], and a node can send nothing else:
//!
//! ```compile_fail
//! fn forge(batch: datafusion::arrow::array::RecordBatch, facts: caim_engine::Facts) -> caim_engine::Released {
//!     caim_engine::Released { batch, facts }
//! }
//! ```

pub mod accounting;
mod answers;
pub mod audit;
pub mod channel;
pub mod clock;
pub mod cube;
mod execute;
pub mod federate;
pub mod hub;
mod ledger;
pub mod local;
pub mod merge;
pub mod node;
pub mod policy;
pub mod progress;
pub mod rehearsal;
pub mod release;
pub mod reply;

pub use channel::{AskError, Asker, Facts, NodeChannel, NodeId, NodeQuery, Profile, Reply};
pub use cube::{Cube, CubeFile, CubeHead, CubeListing, CubeReply, ReleasedCube};
pub use federate::{CubeUse, NodeOutcome, Nodes, Outcome, Precision, Summary};
pub use hub::{Answer, Hub, HubError, Prepared};
pub use local::LocalChannel;
pub use node::{Node, NodeError};
pub use policy::Policy;
pub use progress::Progress;
pub use release::Released;
