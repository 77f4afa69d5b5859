//! The cases, one a row of the table of attacks, and what is measured beside them.

pub(crate) mod bound;
pub(crate) mod catch;
pub(crate) mod game;
pub(crate) mod kill;
pub(crate) mod ledger;
pub(crate) mod oracle;
pub(crate) mod refused;
pub(crate) mod removal;
pub(crate) mod same;
pub(crate) mod silent;
pub(crate) mod texts;
