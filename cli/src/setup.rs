//! Makes the folders of nodes and hubs: a commented configuration, and for a node its secret and warehouse.
//!
//! `caim init`, the demo and the tests all come through here, so what is tested is what an operator gets.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use caim_connectors::Secret;
use caim_engine::NodeId;
use caim_flight_server::address::HubAddress;
use caim_warehouse::Warehouse;

use crate::config::{HUB_FILE, NODE_FILE, reference};

/// Name of the file with a node's secret, which its pseudonyms hang on.
pub const SECRET_FILE: &str = "secret";

/// What a new node is to be.
#[derive(Debug, Clone, Default)]
pub struct NewNode {
    /// Its name.
    pub name: String,
    /// The hub it dials, `host:port`.
    pub hub: Option<String>,
    /// Further keys, by full name, with their values in TOML.
    pub set: Vec<(&'static str, String)>,
}

/// What a new hub is to be.
#[derive(Debug, Clone, Default)]
pub struct NewHub {
    /// Keys, by full name, with their values in TOML.
    pub set: Vec<(&'static str, String)>,
}

/// Makes a node: `node.toml`, the secret and an empty warehouse.
///
/// # Errors
/// When the folder has a node already, a value is wrong, or a file cannot be written.
pub fn node(dir: &Path, new: &NewNode) -> Result<()> {
    NodeId::new(&new.name).map_err(anyhow::Error::msg)?;
    let mut set = vec![("node.name", toml_text(&new.name))];
    if let Some(hub) = &new.hub {
        HubAddress::parse(hub)?;
        set.push(("node.hub", toml_text(hub)));
    }
    set.extend(new.set.iter().cloned());
    write_new(dir, NODE_FILE, &reference::template(reference::NODE, &set))?;
    Secret::load_or_create(&dir.join(SECRET_FILE))?;
    Warehouse::create(dir)?;
    Ok(())
}

/// Makes a hub: `hub.toml`. Unless `dev_identity.users` is set, there is a user `analyst` with a random password, and
/// calls without credentials are that user's.
///
/// # Errors
/// When the folder has a hub already, or the file cannot be written.
pub fn hub(dir: &Path, new: &NewHub) -> Result<()> {
    let mut set = new.set.clone();
    if !set.iter().any(|(key, _)| *key == "dev_identity.users") {
        let mut password = [0u8; 16];
        getrandom::fill(&mut password).context("no random numbers from the operating system")?;
        set.push(("dev_identity.users", user("analyst", &hex::encode(password), "research")));
        set.push(("dev_identity.anonymous", toml_text("analyst")));
    }
    write_new(dir, HUB_FILE, &reference::template(reference::HUB, &set))
}

/// One user with one project, as a value of `dev_identity.users`.
#[must_use]
pub fn user(name: &str, password: &str, project: &str) -> String {
    let [name, password, project] = [name, password, project].map(toml_text);
    format!("{{ {name} = {{ password = {password}, projects = [{project}] }} }}")
}

/// The node's secret. It is made with the node; a missing one is never replaced, since all pseudonyms would change.
///
/// # Errors
/// When it is missing, or others than its owner can read it.
pub fn secret(dir: &Path) -> Result<Secret> {
    let path = dir.join(SECRET_FILE);
    if !path.exists() {
        bail!(
            "{} is missing; restore it from a backup, or make a new node with `caim init node`",
            path.display()
        );
    }
    Ok(Secret::load_or_create(&path)?)
}

fn toml_text(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Writes a file that holds passwords or names secrets, for its owner alone; never over another.
fn write_new(dir: &Path, name: &str, text: &str) -> Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let path: PathBuf = dir.join(name);
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("cannot make {}; there may be one already", path.display()))?;
    file.write_all(text.as_bytes())?;
    Ok(file.sync_all()?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::{NewHub, NewNode, SECRET_FILE, hub, node, secret};
    use crate::config::{HubConfig, NodeConfig, Overrides};

    #[test]
    fn a_new_node_is_ready_and_never_overwrites_another() {
        let dir = tempfile::tempdir().unwrap();
        let new = NewNode { name: "alder".into(), hub: Some("127.0.0.1:50052".into()), ..NewNode::default() };
        node(dir.path(), &new).unwrap();
        let config = NodeConfig::load(dir.path(), &Overrides::default()).unwrap();
        assert_eq!(
            (config.node.name.as_str(), config.node.hub.as_deref()),
            ("alder", Some("127.0.0.1:50052"))
        );
        let mode = std::fs::metadata(dir.path().join(SECRET_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(node(dir.path(), &new).unwrap_err().to_string().contains("already"));
    }

    #[test]
    fn a_lost_secret_is_not_replaced_in_silence() {
        let dir = tempfile::tempdir().unwrap();
        node(dir.path(), &NewNode { name: "alder".into(), ..NewNode::default() }).unwrap();
        std::fs::remove_file(dir.path().join(SECRET_FILE)).unwrap();
        assert!(secret(dir.path()).unwrap_err().to_string().contains("backup"));
        assert!(!dir.path().join(SECRET_FILE).exists());
    }

    #[test]
    fn every_new_hub_has_a_password_of_its_own() {
        let password = || {
            let dir = tempfile::tempdir().unwrap();
            hub(dir.path(), &NewHub::default()).unwrap();
            let mode = std::fs::metadata(dir.path().join("hub.toml")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "nobody else reads the password");
            let config = HubConfig::load(dir.path(), &Overrides::default()).unwrap();
            config.dev_identity.users["analyst"].password.clone()
        };
        let first = password();
        assert!(first.len() >= 32 && first != password());
    }

    #[test]
    fn a_name_that_no_answer_could_show_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(node(dir.path(), &NewNode { name: "a b".into(), ..NewNode::default() }).is_err());
        assert!(!dir.path().join("node.toml").exists());
    }
}
