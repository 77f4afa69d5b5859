//! What a hospital has comes in whole, as the truth of it counts.

use caim_connectors::Quiet;

use super::{Ready, hospital};
use crate::demo::truth::{Facts, facts};
use crate::demo::{Plan, Population};

const PLAN: Plan = Plan { seed: 8, patients: 100 };

/// Rows of a derived table, once all sources of a hospital are in.
fn derived(ready: &Ready, table: &str) -> usize {
    let last = ready.taken.last().unwrap();
    let found = last.report.derived.tables.iter().find(|of| of.name == table).unwrap();
    usize::try_from(found.kept).unwrap()
}

/// Rows of a table that came in, over all sources of a hospital.
fn kept(ready: &Ready, table: &str) -> usize {
    let tables = ready.taken.iter().flat_map(|taken| &taken.report.tables);
    tables.filter(|of| of.name == table).map(|of| usize::try_from(of.kept).unwrap()).sum()
}

#[test]
fn every_hospital_takes_in_all_that_it_has() {
    let population = Population::bundled().unwrap();
    let dir = tempfile::tempdir().unwrap();
    for (position, persons) in ["omop.person", "fhir.patient", "fhir.patient"].into_iter().enumerate() {
        let ready = hospital(&population, PLAN, position, dir.path(), &Quiet).unwrap();
        let truth: Vec<Facts> = facts(&population, PLAN, position).unwrap().map(Result::unwrap).collect();
        let series: usize =
            truth.iter().flat_map(|patient| patient.studies()).map(|study| study.series.len()).sum();
        assert_eq!(derived(&ready, "dicom.series"), series, "{}", ready.name);
        let recorded = truth.iter().filter(|patient| patient.records.is_some()).count();
        assert_eq!(kept(&ready, persons), recorded, "{}", ready.name);
        assert!(ready.taken.iter().all(|taken| !taken.report.has_rejects()), "{}", ready.name);

        let again = hospital(&population, PLAN, position, dir.path(), &Quiet).unwrap();
        assert!(again.taken.iter().all(|taken| taken.report.unchanged), "{}", ready.name);
    }
}
