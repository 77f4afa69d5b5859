//! What an operator's mistakes lead to, and which source of a value wins.

use std::path::Path;

use caim_engine::Policy;

use super::{Error, HubConfig, NodeConfig, Overrides, reference};

fn node_with(text: &str, overrides: &Overrides) -> Result<NodeConfig, Error> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("node.toml"), text).unwrap();
    NodeConfig::load(dir.path(), overrides)
}

fn node(text: &str) -> Result<NodeConfig, Error> {
    node_with(text, &Overrides::default())
}

fn hub(text: &str) -> Result<HubConfig, Error> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("hub.toml"), text).unwrap();
    HubConfig::load(dir.path(), &Overrides::default())
}

fn environment(pairs: &[(&str, &str)]) -> Overrides {
    let environment = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Overrides { environment, flags: Vec::new() }
}

#[test]
fn e01_an_unknown_key_names_the_nearest_one_and_the_file() {
    for (text, key, near) in [
        (
            "[node]\nname = 'a'\n[privacy]\ntreshold = 10",
            "privacy.treshold",
            "did you mean privacy.threshold?",
        ),
        ("[node]\nnam = 'a'", "node.nam", "did you mean node.name?"),
        ("[identity]\nomop_colum = 'person_id'", "identity.omop_colum", "did you mean identity.omop_column?"),
        ("[privcy]\nthreshold = 10", "[privcy]", "did you mean [privacy]?"),
    ] {
        let error = node(text).unwrap_err().to_string();
        assert!(error.contains(key) && error.contains(near) && error.contains("node.toml"), "{error}");
    }
    let error = node("[node]\nname = 'a'\nzzz = 1").unwrap_err().to_string();
    assert!(error.contains("node.zzz") && !error.contains("did you mean"), "{error}");
}

#[test]
fn e01_a_wrong_value_names_key_and_range() {
    for (line, key, range) in [
        ("threshold = -3", "privacy.threshold", "at least 5"),
        ("threshold = 1", "privacy.threshold", "at least 5"),
        ("threshold = 'ten'", "privacy.threshold", "at least 5"),
        ("noise_sd = 0", "privacy.noise_sd", "2 to 20"),
        ("noise_sd = nan", "privacy.noise_sd", "2 to 20"),
        ("budget_rho = -1.0", "privacy.budget_rho", "at least 0"),
        ("rounding = 0", "privacy.rounding", "1 to 100"),
        ("window_days = 1000", "privacy.window_days", "1 to 366"),
        ("public_data = 'yes'", "privacy.public_data", "true or false"),
    ] {
        let error = node(&format!("[node]\nname = 'a'\n[privacy]\n{line}")).unwrap_err().to_string();
        assert!(
            error.contains(key) && error.contains(range) && error.contains("node.toml"),
            "{line}: {error}"
        );
    }
}

#[test]
fn a_low_threshold_is_allowed_for_public_data_alone() {
    let config = node("[node]\nname = 'a'\n[privacy]\nthreshold = 1\npublic_data = true").unwrap();
    assert_eq!((config.privacy.threshold, config.privacy.public_data), (1, true));
}

#[test]
fn a_node_without_a_name_is_told_which_key_is_missing() {
    let error = node("").unwrap_err().to_string();
    assert!(error.contains("node.name") && error.contains("64 letters"), "{error}");
}

#[test]
fn a_missing_file_names_the_command_that_makes_it() {
    let error = NodeConfig::load(Path::new("/nowhere"), &Overrides::default()).unwrap_err().to_string();
    assert!(error.contains("/nowhere/node.toml") && error.contains("caim init node"), "{error}");
}

#[test]
fn what_is_no_toml_names_the_line() {
    let error = node("[node]\nname = ").unwrap_err().to_string();
    assert!(error.contains("node.toml") && error.contains("line 2"), "{error}");
}

#[test]
fn flags_stand_over_environment_over_file_over_default() {
    let text = "[node]\nname = 'a'\n[privacy]\nthreshold = 20\nnoise_sd = 5.0\nrounding = 10";
    let mut overrides = environment(&[
        ("CAIM__PRIVACY__NOISE_SD", "6.0"),
        ("CAIM__PRIVACY__ROUNDING", "20"),
        ("PATH", "/bin"),
    ]);
    overrides.flags = vec!["privacy.rounding=25".into()];
    let privacy = node_with(text, &overrides).unwrap().privacy;
    let expected = Policy { threshold: 20, noise_sd: 6.0, rounding: 25, ..Policy::default() };
    assert_eq!(privacy, expected);
}

#[test]
fn text_from_the_environment_needs_no_quotes_and_other_services_are_left_alone() {
    let overrides = environment(&[
        ("CAIM__NODE__NAME", "alder-1"),
        ("CAIM__NODE__HUB", "127.0.0.1:50052"),
        ("CAIM__HUB__FLIGHT", "not ours"),
    ]);
    let config = node_with("", &overrides).unwrap();
    assert_eq!((config.node.name.as_str(), config.node.hub.as_deref()), ("alder-1", Some("127.0.0.1:50052")));
}

#[test]
fn a_mistake_in_variable_or_flag_is_blamed_on_it() {
    let error = node_with("", &environment(&[("CAIM__NODE__NAM", "x")])).unwrap_err().to_string();
    assert!(error.contains("CAIM__NODE__NAM") && !error.contains("node.toml"), "{error}");
    let mut overrides = Overrides { flags: vec!["privacy.threshold=2".into()], ..Overrides::default() };
    let error = node_with("[node]\nname = 'a'", &overrides).unwrap_err().to_string();
    assert!(error.contains("--set") && error.contains("privacy.threshold"), "{error}");
    overrides.flags = vec!["threshold".into()];
    assert!(matches!(node_with("", &overrides), Err(Error::Flag { .. })));
}

#[test]
fn a_hub_stays_on_this_machine_until_links_are_encrypted() {
    let error = hub("[hub]\nflight = '0.0.0.0:50051'").unwrap_err().to_string();
    assert!(error.contains("hub.flight") && error.contains("loopback"), "{error}");
    let error = hub("[hub]\nnodes = 'somewhere'").unwrap_err().to_string();
    assert!(error.contains("hub.nodes") && error.contains("loopback"), "{error}");
}

#[test]
fn the_written_defaults_are_the_real_ones() {
    let switched_on = |keys: &[reference::Key]| {
        let text = reference::template(keys, &[]);
        let lines = text.lines().map(|line| match line.strip_prefix("# ") {
            Some(key) if key.contains(" = ") && !key.ends_with('.') => key.to_owned(),
            Some(_) => String::new(),
            None => line.to_owned(),
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    let config = node(&switched_on(reference::NODE).replace("[node]", "[node]\nname = 'a'")).unwrap();
    let mut default = NodeConfig::default();
    default.node.name = "a".into();
    assert_eq!(config, default);
    let config = hub(&switched_on(reference::HUB)).unwrap();
    let default = HubConfig::default();
    assert_eq!((config.hub, config.limits), (default.hub, default.limits));
    assert_eq!(config.dev_identity, default.dev_identity);
}

#[test]
fn every_key_is_documented() {
    let documented = |keys: &[reference::Key], section: &str| -> Vec<String> {
        let names = keys.iter().filter_map(|key| key.name.strip_prefix(section)?.strip_prefix('.'));
        names.map(str::to_owned).collect()
    };
    let known = |fields: Option<&'static [&'static str]>| -> Vec<String> {
        fields.unwrap().iter().map(|name| (*name).to_owned()).collect()
    };
    use super::fields::fields;
    assert_eq!(documented(reference::NODE, "node"), known(fields::<super::NodeSection>()));
    assert_eq!(documented(reference::NODE, "identity"), known(fields::<super::Identity>()));
    assert_eq!(documented(reference::NODE, "limits"), known(fields::<super::NodeLimits>()));
    assert_eq!(documented(reference::NODE, "privacy"), known(fields::<Policy>()));
    assert_eq!(documented(reference::HUB, "hub"), known(fields::<super::HubSection>()));
    assert_eq!(documented(reference::HUB, "limits"), known(fields::<super::HubLimits>()));
    assert_eq!(documented(reference::HUB, "dev_identity"), known(fields::<super::DevIdentity>()));
}
