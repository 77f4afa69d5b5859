//! What the integration tests share: where things lie, and how a test says that it could not run.
//!
//! The tests themselves are one binary, `suite/main.rs`. `tests/run` runs them together with all other checks.

pub mod nodes;
pub mod places;

pub use nodes::Here;
pub use places::{shared, skip, workspace};
