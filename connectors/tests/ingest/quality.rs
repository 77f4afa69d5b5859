//! What `caim quality` finds.

use caim_connectors::{Checked, Code, quality};

use crate::fixture::Node;

fn checked(node: &Node, name: &str) -> Checked {
    let report = quality(&node.warehouse, &node.models, &node.folder().join("quality.toml")).unwrap();
    report.checks.into_iter().find(|check| check.name == name).unwrap()
}

fn outcome(node: &Node, name: &str) -> (u64, u64, bool) {
    let check = checked(node, name);
    (check.checked, check.failed, check.passed())
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
    assert_eq!(outcome(&node, "condition_has_concept"), (4, 3, false), "0, negative, and beyond 64 bits");
    assert_eq!(outcome(&node, "condition_concept_in_vocabulary"), (1, 1, false));
}

#[test]
fn o03_births_and_deaths_that_cannot_be_are_flagged() {
    let node = incoherent();
    assert_eq!(outcome(&node, "birth_year_plausible"), (3, 2, false));
    assert_eq!(outcome(&node, "diagnosis_before_death"), (2, 1, false));
    let (_, failed, passed) = outcome(&node, "diagnosis_after_birth");
    assert_eq!((failed, passed), (1, false), "born in 2999, ill in 2005");
    assert_eq!(outcome(&node, "visit_ends_after_start"), (2, 1, false));
    let ages = node.cells("eucaim.cancer_condition", &["cancer_condition_age_at_diagnosis"]);
    assert!(ages.iter().all(|age| age[0] == "-" || !age[0].starts_with('-')), "no age below zero: {ages:?}");
}

#[test]
fn an_operator_sets_limits_and_a_slip_in_a_name_is_told() {
    let node = incoherent();
    let limits = node.folder().join("quality.toml");
    std::fs::write(&limits, "[limits]\nvisit_ends_after_start = 0.5\n").unwrap();
    assert_eq!(outcome(&node, "visit_ends_after_start"), (2, 1, true));
    std::fs::write(&limits, "[limits]\nvisit_ends_after_begin = 0.5\n").unwrap();
    let error = quality(&node.warehouse, &node.models, &limits).unwrap_err();
    assert_eq!(error.code(), Code::Option);
    assert!(error.fix().contains("visit_ends_after_start"), "{error}");
}

#[test]
fn every_check_runs_on_an_empty_node_and_finds_nothing() {
    let node = Node::new();
    let report = quality(&node.warehouse, &node.models, &node.folder().join("quality.toml")).unwrap();
    assert!(report.checks.len() > 20);
    assert!(report.passed() && report.checks.iter().all(|check| check.checked == 0));
}
