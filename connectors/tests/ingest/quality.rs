//! What `caim quality` finds.

use caim_connectors::{Checked, Code, GapOptions, Quality, Status, quality};

use crate::fixture::Node;

const VISITS: &str = "ends_after_start:omop.visit_occurrence.visit_start_date";
const NAMED: GapOptions = GapOptions { threshold: 1, values: 5 };

fn report(node: &Node) -> Quality {
    quality(&node.warehouse, &node.models, &node.folder().join("quality.toml"), NAMED).unwrap()
}

fn checked(node: &Node, name: &str) -> Checked {
    let checks = report(node).checks;
    checks.into_iter().find(|check| check.name == name).unwrap_or_else(|| panic!("no check {name}"))
}

fn outcome(node: &Node, name: &str) -> (u64, u64, bool) {
    let check = checked(node, name);
    (check.checked, check.failed, check.status() != Status::Failed)
}

/// Three persons: one as it should be, one born in 1799, one in 2999; dead before the diagnosis; a visit backwards.
fn incoherent() -> Node {
    let node = Node::new();
    node.write(
        "cdm/person.csv",
        "person_id,gender_concept_id,year_of_birth,person_source_value\n1,8507,1950,A\n2,8532,1799,B\n3,8507,2999,C\n",
    );
    node.write("cdm/death.csv", "person_id,death_date\n1,2001-01-01\n");
    node.write(
        "cdm/condition_occurrence.csv",
        "condition_occurrence_id,person_id,condition_concept_id,condition_start_date,condition_source_value\n\
         1,1,0,2005-01-01,C50\n2,3,9223372036854775807,2005-01-01,C50\n3,2,-5,1820-01-01,C50\n\
         4,1,9223372036854775808,2000-01-01,C50\n",
    );
    node.write("cdm/concept.csv", "concept_id,concept_name,vocabulary_id,concept_code\n8507,MALE,Gender,M\n");
    node.write(
        "cdm/visit_occurrence.csv",
        "visit_occurrence_id,person_id,visit_start_date,visit_end_date\n1,1,2000-01-02,2000-01-01\n2,1,2000-01-01,2000-01-01\n",
    );
    node.ingest(&node.source("cdm"));
    node
}

#[test]
fn o02_concepts_that_are_none_are_counted_and_none_overflows() {
    let node = incoherent();
    let known = "concept_known:omop.condition_occurrence.condition_concept_id";
    assert_eq!(outcome(&node, known), (4, 3, false), "0, negative, and beyond 64 bits");
    let in_vocabulary = "concept_in_vocabulary:omop.condition_occurrence.condition_concept_id";
    assert_eq!(outcome(&node, in_vocabulary), (1, 1, false));
}

#[test]
fn o03_births_and_deaths_that_cannot_be_are_flagged() {
    let node = incoherent();
    assert_eq!(outcome(&node, "birth_year_plausible"), (3, 2, false));
    assert_eq!(outcome(&node, "not_after_death:eucaim.cancer_condition"), (2, 1, false));
    let (_, failed, passed) = outcome(&node, "not_before_birth:eucaim.cancer_condition");
    assert_eq!((failed, passed), (1, false), "born in 2999, ill in 2005");
    assert_eq!(outcome(&node, VISITS), (2, 1, false));
    let ages = node.cells("eucaim.cancer_condition", &["cancer_condition_age_at_diagnosis"]);
    assert!(ages.iter().all(|age| age[0] == "-" || !age[0].starts_with('-')), "no age below zero: {ages:?}");
}

#[test]
fn an_operator_sets_limits_and_a_slip_in_a_name_is_told() {
    let node = incoherent();
    let limits = node.folder().join("quality.toml");
    std::fs::write(&limits, "[limits]\nends_after_start = 0.5\n").unwrap();
    assert_eq!(outcome(&node, VISITS), (2, 1, true));
    std::fs::write(&limits, "[limits]\nends_after_begin = 0.5\n").unwrap();
    let error = quality(&node.warehouse, &node.models, &limits, NAMED).unwrap_err();
    assert_eq!(error.code(), Code::Option);
    assert!(error.fix().contains("ends_after_start"), "{error}");
}

#[test]
fn every_check_runs_on_an_empty_node_and_finds_nothing() {
    let node = Node::new();
    let report = report(&node);
    assert!(report.checks.len() > 500 && report.passed() && report.coverage.is_empty());
    assert_eq!(report.ended(Status::Silent).count(), report.checks.len());
}

#[test]
fn orphans_and_values_without_a_concept_are_found() {
    let node = incoherent();
    node.write("more/person.csv", "person_id,gender_concept_id,year_of_birth\n11,8507,1950\n");
    node.write(
        "more/observation.csv",
        "observation_id,person_id,observation_concept_id,observation_date,observation_source_value\n\
         1,11,0,2005-01-01,ZZ1\n2,12,0,2005-01-01,ZZ1\n",
    );
    node.ingest(&node.source("more"));
    assert_eq!(outcome(&node, "patient_known:omop.observation"), (2, 1, false), "nobody is number 12");
    let report = report(&node);
    let gap = report.coverage.iter().find(|gap| gap.column == "observation_concept_id").unwrap();
    let values: Vec<(&str, u64)> =
        gap.unmapped.iter().map(|value| (value.value.as_str(), value.rows)).collect();
    assert_eq!((gap.rows, gap.rows_mapped, values), (2, 0, vec![("ZZ1", 2)]));
}
