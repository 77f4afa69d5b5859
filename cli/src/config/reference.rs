//! Every configuration key in words: what it is for, what it may be, what it is by default.
//!
//! The commented files of `caim init` and the ranges in error messages come from here; a test holds the list against
//! the types that are read.

use std::fmt::Write as _;

/// A key as the operator reads of it.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Section and name, with a dot between them.
    pub name: &'static str,
    /// Default, as TOML; empty when there is none.
    pub default: &'static str,
    /// The values it can have.
    pub allowed: &'static str,
    /// What it is for, one or two sentences.
    pub comment: &'static str,
}

const fn key(name: &'static str, default: &'static str, allowed: &'static str, comment: &'static str) -> Key {
    Key { name, default, allowed, comment }
}

/// The keys of `node.toml`.
pub const NODE: &[Key] = &[
    key(
        "node.name",
        "",
        "1 to 64 letters, digits, '-', '_' or '.'",
        "Name of this node in answers and audit records.",
    ),
    key("node.hub", "", "host:port", "Link port of the hub. The node dials it; nothing dials the node."),
    key(
        "node.http",
        "",
        "address:port",
        "Address of the node's own pages. None are served yet: the node listens nowhere.",
    ),
    key(
        "identity.issuer",
        "\"local\"",
        "text",
        "Who issues the patient identifiers of this hospital, where a record does not say.",
    ),
    key("identity.issuer_aliases", "{}", "a table alias = \"issuer\"", "Other names of issuers."),
    key(
        "identity.omop_column",
        "\"person_source_value\"",
        "\"person_source_value\" or \"person_id\"",
        "OMOP column that holds the hospital's patient identifier, the same as DICOM's PatientID.",
    ),
    key(
        "identity.fhir_system",
        "",
        "a URI",
        "System of the Patient.identifier that names the patient. Without it, the type of identifier decides.",
    ),
    key(
        "identity.fhir_type",
        "\"MR\"",
        "a code of HL7 table 0203",
        "Type of the Patient.identifier that names the patient, the same as DICOM's PatientID.",
    ),
    key(
        "identity.linkage",
        "",
        "a path",
        "CSV file whose lines `issuer,id,issuer,id` say that two identifiers are one person's.",
    ),
    key(
        "identity.uids",
        "\"kept\"",
        "\"kept\" or \"keyed\"",
        "Unique identifiers (DICOM UIDs) of studies, series and instances: as they are, or others made with the secret.",
    ),
    key(
        "identity.labels",
        "[]",
        "a list of texts",
        "Names of segments and regions that are stored as they are. All others are left out: they are free text.",
    ),
    key("limits.threads", "0", "0 (all cores) or more", "Threads that answer questions."),
    key(
        "privacy.threshold",
        "10",
        "an integer of at least 5 (below 5 only with public_data = true)",
        "No released cell rests on fewer patients.",
    ),
    key(
        "privacy.noise_sd",
        "4.0",
        "a number from 2 to 20",
        "Standard deviation of the noise of a patient count. Analysts may ask for more or less: SET caim.noise_sd.",
    ),
    key("privacy.rounding", "5", "an integer from 1 to 100", "Released counts are multiples of this."),
    key("privacy.budget_rho", "1.0", "a number of at least 0", "What one project may spend in a window."),
    key("privacy.budget_delta", "0.003", "a number of at least 0", "The chance that goes with it."),
    key("privacy.window_days", "7", "an integer from 1 to 366", "Length of a window, in days."),
    key(
        "privacy.project_lifetime_rho",
        "6.0",
        "a number of at least 0",
        "What one project may spend in its life.",
    ),
    key(
        "privacy.node_budget_rho",
        "4.0",
        "a number of at least 0",
        "What all projects together may learn anew in a window. This bound holds against a hub, too.",
    ),
    key("privacy.publish_rho", "1.0", "a number of at least 0", "What published cubes may cost in a window."),
    key(
        "privacy.answer_grid_ms",
        "250",
        "an integer of at least 0 (0 turns it off)",
        "Answers leave after this time or a doubling of it, so that time tells little.",
    ),
    key(
        "privacy.public_data",
        "false",
        "true or false",
        "The data is published anyway: answers are exact and free. Never for patients of your own.",
    ),
];

/// The keys of `hub.toml`.
pub const HUB: &[Key] = &[
    key(
        "hub.flight",
        "\"127.0.0.1:50051\"",
        "a loopback address and port",
        "Flight SQL door: analysts and tools connect here.",
    ),
    key(
        "hub.postgres",
        "",
        "a loopback address and port, such as \"127.0.0.1:5432\"",
        "PostgreSQL door, for tools that speak that protocol. Without it there is none.",
    ),
    key("hub.http", "\"127.0.0.1:8080\"", "address:port", "Address of the hub's pages. None are served yet."),
    key("hub.nodes", "\"127.0.0.1:50052\"", "a loopback address and port", "Nodes dial this address."),
    key("limits.threads", "0", "0 (all cores) or more", "Threads that plan and merge."),
    key(
        "limits.deadline_s",
        "60",
        "an integer from 1 to 3600",
        "How long the hub waits for its nodes, in seconds.",
    ),
    key(
        "dev_identity.users",
        "{}",
        "a table name = { password = \"...\", projects = [\"...\"] }",
        "Who may ask, for which projects.",
    ),
    key(
        "dev_identity.anonymous",
        "",
        "the name of a user",
        "Who a call without credentials is; refused beyond loopback. Without it, credentials are needed.",
    ),
];

/// The values that a key can have, in words.
pub(super) fn allowed(name: &str) -> Option<&'static str> {
    NODE.iter().chain(HUB).find(|key| key.name == name).map(|key| key.allowed)
}

/// A configuration file with every key explained and switched off, but for those in `set` (name and TOML value).
#[must_use]
pub fn template(keys: &[Key], set: &[(&str, String)]) -> String {
    let mut text = String::from(
        "# Every key is shown with its default. CAIM__SECTION__KEY in the environment and --set section.key=value\n\
         # stand over this file.\n",
    );
    let mut section = "";
    for key in keys {
        let (of, name) = key.name.split_once('.').unwrap_or(("", key.name));
        if of != section {
            section = of;
            // Writing to a string cannot fail.
            let _ = writeln!(text, "\n[{section}]");
        }
        let _ = writeln!(text, "\n# {}\n# Allowed: {}.", key.comment, key.allowed);
        let _ = match set.iter().find(|(of, _)| *of == key.name) {
            Some((_, value)) => writeln!(text, "{name} = {value}"),
            None if key.default.is_empty() => writeln!(text, "# {name} ="),
            None => writeln!(text, "# {name} = {}", key.default),
        };
    }
    text
}
