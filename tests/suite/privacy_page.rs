//! The tables of `docs/privacy.md` are computed, not remembered: they equal what the engine charges and adds.

use std::fs;

use caim_engine::Policy;
use caim_engine::accounting::Accounting;
use caim_ontology::Models;
use caim_sql::PrivateQuery;
use caim_sql::private_query::{Aggregate, BoolTree, ColumnRef, Dim, JoinTree, Measure, TableRef, VERSION};
use caim_tests::workspace;

#[test]
fn the_table_of_costs_is_what_the_engine_charges() {
    let page = page();
    for noise_sd in [2, 3, 4, 6, 8, 12, 20] {
        let row = cost_row(noise_sd);
        assert!(page.contains(&row), "docs/privacy.md has no row: {row}");
    }
}

#[test]
fn the_table_of_budgets_follows_from_the_default_policy() {
    let (page, policy) = (page(), Policy::default());
    let one_count = patients(noise_milli(4), &[]).rho;
    for rho in [one_count, policy.budget_rho, policy.node_budget_rho, policy.project_lifetime_rho] {
        let row = format!("| {rho} | {} |", percent(accuracy(rho)));
        assert!(page.contains(&row), "docs/privacy.md has no row that ends in: {row}");
    }
}

#[test]
fn the_normal_distribution_of_this_test_is_the_real_one() {
    for (x, wanted) in [(0.0, 0.5), (0.125, 0.549_738), (1.0, 0.841_345), (2.0, 0.977_250)] {
        assert!((phi(x) - wanted).abs() < 1e-6, "phi({x}) = {}", phi(x));
    }
}

fn cost_row(noise_sd: u32) -> String {
    let (plain, grouped) =
        (patients(noise_milli(noise_sd), &[]), patients(noise_milli(noise_sd), &["modality"]));
    let budget = Policy::default().budget_rho;
    let threshold = |a: &Accounting| a.noise_of(0).unwrap().effective_threshold.round();
    let half_step = f64::from(Policy::default().rounding) / 2.0;
    let within = |a: &Accounting| (1.96 * a.noise_of(0).unwrap().sd + half_step).round();
    format!(
        "| {noise_sd} | {:.5} | {} | {} | {} | {} | {} | {} |",
        plain.rho,
        percent(accuracy(plain.rho)),
        (budget / plain.rho + 1e-9).floor(),
        threshold(&plain),
        threshold(&grouped),
        within(&plain),
        within(&grouped),
    )
}

fn noise_milli(noise_sd: u32) -> Option<u32> {
    Some(noise_sd * 1000)
}

/// A count of the patients with series, by groups or in all.
fn patients(noise_sd_milli: Option<u32>, dims: &[&str]) -> Accounting {
    let query = PrivateQuery {
        version: VERSION,
        per_patient: Vec::new(),
        from: JoinTree { tables: vec![TableRef::new("dicom", "series")], edges: Vec::new() },
        cohort: BoolTree::always(),
        dims: dims.iter().map(|dim| Dim::Column(ColumnRef::new(0, dim))).collect(),
        measures: vec![Measure { of: Aggregate::Patients, filter: BoolTree::always() }],
        noise_sd_milli,
        max_rows_per_patient: None,
    };
    Accounting::new(&query, &Models::bundled().unwrap(), &Policy::default()).unwrap()
}

/// How often an attacker is right who guesses at even odds, after learning `rho`.
fn accuracy(rho: f64) -> f64 {
    phi((2.0 * rho).sqrt() / 2.0)
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// The normal distribution function, by Simpson's rule over its density.
fn phi(x: f64) -> f64 {
    const STEPS: u32 = 1_000;
    let width = x / f64::from(STEPS);
    let density = |i: u32| (-(f64::from(i) * width).powi(2) / 2.0).exp() / std::f64::consts::TAU.sqrt();
    let inner: f64 = (1..STEPS).map(|i| density(i) * if i % 2 == 1 { 4.0 } else { 2.0 }).sum();
    0.5 + width / 3.0 * (density(0) + inner + density(STEPS))
}

fn page() -> String {
    fs::read_to_string(workspace().join("docs/privacy.md")).unwrap()
}
