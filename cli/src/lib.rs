//! `caim`: one program for nodes, hubs, operators and analysts.
//!
//! The composition root of the workspace: configuration, commands and the demo stand here, and every other crate is
//! put to use. From the outside in: [`commands`] says what there is to type, [`config`] what there is to configure,
//! [`setup`] and [`ingest`] fill the folder of a node, [`vocabulary`] says what its codes mean, [`service`] runs nodes and hubs, [`output`] and [`exit`] tell
//! how it went. [`demo`] makes hospitals to try it on; the integration tests stand on it, too.
//!
//! ```
//! use caim::config::{NodeConfig, Overrides};
//! use caim::setup;
//!
//! let dir = tempfile::tempdir()?;
//! setup::node(dir.path(), &setup::NewNode { name: "alder".into(), ..Default::default() })?;
//! let config = NodeConfig::load(dir.path(), &Overrides::default())?;
//! assert_eq!(config.privacy.threshold, 10);
//! # Ok::<(), anyhow::Error>(())
//! ```

pub mod commands;
pub mod config;
pub mod demo;
pub mod exit;
pub mod ingest;
pub mod logs;
pub mod output;
pub mod service;
pub mod setup;
pub mod vocabulary;
