//! Who may depend on whom, read off the manifests: the layers of `ARCHITECTURE.md` hold because this fails otherwise.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use caim_tests::workspace;
use serde_json::Value;

/// The crates from the lowest to the highest: each stands only on earlier ones.
const LAYERS: &[&str] = &[
    "caim-ontology",
    "caim-warehouse",
    "caim-sql",
    "caim-connectors",
    "caim-engine",
    "caim-flight-server",
    "caim",
    "caim-tests",
    "caim-benches",
];

/// Crates that stand side by side and never see each other.
const STRANGERS: &[(&str, &str)] = &[("caim-connectors", "caim-engine")];

/// What a crate must not build on, and why. A name that ends in `*` stands for all that begin so.
const FORBIDDEN: &[(&str, &[&str], &str)] = &[
    ("caim-ontology", &["datafusion*", "arrow*", "parquet"], "meaning knows no query engine"),
    ("caim-ontology", ASYNC, "meaning does no IO and is not async"),
    ("caim-sql", ASYNC, "what may be asked does no IO and is not async"),
    (
        "caim-sql",
        &[
            "datafusion",
            "datafusion-physical*",
            "datafusion-execution",
            "datafusion-catalog*",
            "datafusion-datasource*",
        ],
        "what may be asked uses logical plans only",
    ),
    (
        "caim-sql",
        &["caim-warehouse", "parquet", "object_store", "rusqlite"],
        "what may be asked reads nothing",
    ),
    (
        "caim-engine",
        &["tonic*", "arrow-flight", "axum*", "http", "hyper*", "tower*"],
        "the engine knows no wire",
    ),
    (
        "caim-warehouse",
        &["datafusion*", "tonic*", "arrow-flight"],
        "the warehouse knows no query and no wire",
    ),
    ("caim-connectors", &["tonic*", "arrow-flight", "axum*"], "connectors know no wire"),
];

const ASYNC: &[&str] = &["tokio*", "async-*", "futures*", "tonic*", "hyper*", "reqwest"];

/// Crates that only the named ones may build on.
const RESERVED: &[(&str, &[&str])] = &[
    ("dicom-*", &["caim-connectors", "caim"]),
    ("tonic*", &["caim-flight-server"]),
    ("axum*", &["caim-flight-server"]),
    ("arrow-flight", &["caim-flight-server"]),
    ("clap*", &["caim"]),
    ("rusqlite", &["caim-warehouse", "caim-flight-server"]),
];

/// One dependency as a manifest declares it. Those for tests alone do not count as a layer's.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Edge {
    from: String,
    to: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Shipped,
    TestsOnly,
}

#[test]
fn crates_depend_one_way_and_only_on_what_their_layer_allows() {
    let edges = workspace_edges();
    assert!(
        edges.iter().any(|e| e.from == "caim-engine" && e.to == "caim-sql"),
        "the manifests were not read"
    );
    let faults = faults(&edges);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_crate_of_the_workspace_has_its_layer() {
    let crates: BTreeSet<String> = packages().iter().map(name).collect();
    let strangers: Vec<_> = crates.iter().filter(|c| layer(c).is_none()).collect();
    assert!(strangers.is_empty(), "give them a place in LAYERS: {strangers:?}");
}

#[test]
fn every_forbidden_dependency_is_found() {
    for (from, to) in [
        ("caim-ontology", "caim-sql"),
        ("caim-sql", "caim-engine"),
        ("caim-engine", "caim-connectors"),
        ("caim-connectors", "caim-engine"),
        ("caim-ontology", "datafusion-common"),
        ("caim-sql", "datafusion"),
        ("caim-sql", "tokio"),
        ("caim-engine", "arrow-flight"),
        ("caim-engine", "http"),
        ("caim-engine", "clap"),
        ("caim-flight-server", "dicom-object"),
        ("caim", "tonic"),
        ("caim", "axum"),
    ] {
        let planted = Edge { from: from.into(), to: to.into(), kind: Kind::Shipped };
        assert!(!faults(&[planted]).is_empty(), "{from} -> {to} is not found");
    }
    for (from, to) in [("caim-sql", "datafusion-expr"), ("caim-connectors", "dicom-object"), ("caim", "clap")]
    {
        let allowed = Edge { from: from.into(), to: to.into(), kind: Kind::Shipped };
        assert_eq!(faults(&[allowed]), Vec::<String>::new());
    }
}

#[test]
fn ontology_and_sql_do_no_io_and_are_not_async() {
    for folder in ["ontology/src", "sql/src"] {
        let faults = effects(&workspace().join(folder));
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}

#[test]
fn no_door_names_the_rehearsals_of_the_gate() {
    for folder in ["flight-server", "cli"] {
        let files = sources(&workspace().join(folder));
        assert!(files.len() > 3, "the sources of {folder} were not found");
        let named: Vec<_> = files
            .iter()
            .filter(|path| fs::read_to_string(path).unwrap().to_lowercase().contains("rehears"))
            .collect();
        assert!(named.is_empty(), "nothing that is not charged may leave a node: {named:?}");
    }
}

/// The Rust sources below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => sources(&path),
            false => path.extension().is_some_and(|e| e == "rs").then_some(path).into_iter().collect(),
        })
        .collect()
}

fn faults(edges: &[Edge]) -> Vec<String> {
    edges
        .iter()
        .flat_map(|edge| [back_edge(edge), strangers(edge), forbidden(edge), reserved(edge)])
        .flatten()
        .collect()
}

fn back_edge(edge: &Edge) -> Option<String> {
    let (from, to) = (layer(&edge.from)?, layer(&edge.to)?);
    (to >= from).then(|| format!("{} -> {}: dependencies point from high to low", edge.from, edge.to))
}

fn strangers(edge: &Edge) -> Option<String> {
    let met =
        STRANGERS.iter().any(|&(a, b)| (edge.from == a && edge.to == b) || (edge.from == b && edge.to == a));
    met.then(|| format!("{} -> {}: they never see each other", edge.from, edge.to))
}

fn forbidden(edge: &Edge) -> Option<String> {
    let rule = FORBIDDEN.iter().find(|(from, names, _)| {
        edge.kind == Kind::Shipped && edge.from == *from && names.iter().any(|n| matches(n, &edge.to))
    })?;
    Some(format!("{} -> {}: {}", edge.from, edge.to, rule.2))
}

fn reserved(edge: &Edge) -> Option<String> {
    let (_, owners) = RESERVED.iter().find(|(name, _)| matches(name, &edge.to))?;
    let allowed = edge.kind == Kind::TestsOnly || owners.contains(&edge.from.as_str());
    (!allowed).then(|| format!("{} -> {}: only for {}", edge.from, edge.to, owners.join(", ")))
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |start| name.starts_with(start))
}

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|l| *l == name)
}

fn workspace_edges() -> Vec<Edge> {
    packages().iter().flat_map(edges_of).collect()
}

fn edges_of(package: &Value) -> Vec<Edge> {
    let from = name(package);
    let dependencies = package["dependencies"].as_array().unwrap();
    dependencies
        .iter()
        .map(|d| Edge {
            from: from.clone(),
            to: name(d),
            kind: if d["kind"] == "dev" { Kind::TestsOnly } else { Kind::Shipped },
        })
        .collect()
}

fn name(package: &Value) -> String {
    package["name"].as_str().unwrap().to_owned()
}

fn packages() -> Vec<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1", "--locked", "--offline"])
        .current_dir(workspace())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// Lines of a crate's sources that read, write, wait or dial.
fn effects(folder: &Path) -> Vec<String> {
    const SIGNS: &[&str] =
        &["std::fs", "std::net", "std::process", "std::env::", "async fn", ".await", "println!"];
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // Tests of these crates may read files; what is shipped may not.
        if path.file_stem().is_some_and(|name| name == "tests") {
            continue;
        }
        if path.is_dir() {
            found.extend(effects(&path));
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        found.extend(
            lines
                .filter(|line| SIGNS.iter().any(|sign| line.contains(sign)))
                .map(|line| format!("{}: {}", path.display(), line.trim())),
        );
    }
    found
}
