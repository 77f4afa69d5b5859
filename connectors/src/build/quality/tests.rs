//! Each check is silent over sound records and speaks where its fault is planted: a check without a planted fault fails the
//! test, and so does one that has nothing to look at.

mod faults;
mod world;

use std::collections::BTreeMap;

use super::*;
use world::{Stored, World};

/// All checks over a world.
fn report(stored: &Stored, models: &Models) -> Quality {
    let none = Path::new("no such file");
    quality(&stored.warehouse, models, none, GapOptions { threshold: 1, values: 5 }).unwrap()
}

/// The checks of a class over a world, by name.
fn of_class(stored: &Stored, models: &Models, class: &str) -> BTreeMap<String, Checked> {
    let (rules, epoch) = (Rules::bundled().unwrap(), stored.warehouse.current().unwrap());
    let look = Look { epoch: &epoch, models, rules: &rules };
    let checks = on_runtime(async {
        let session = look.session().await?;
        if class == MAPPED {
            let named = GapOptions { threshold: 1, values: 1 };
            return look.mapped(&gaps::of_all(&session, models, named).await?);
        }
        look.at(&session, |name| name == class).await
    });
    checks.unwrap().into_iter().map(|check| (check.name.clone(), check)).collect()
}

#[test]
fn every_check_passes_sound_records_and_finds_its_planted_fault() {
    let models = Models::bundled().unwrap();
    let sound = World::sound(&models);
    let mut stored = Stored::new(&models, &sound);
    let report = report(&stored, &models);
    let mut by_class: BTreeMap<&str, Vec<&Checked>> = BTreeMap::new();
    for check in &report.checks {
        assert_eq!((check.status(), check.failed), (Status::Passed, 0), "{check:?} over sound records");
        by_class.entry(&check.class).or_default().push(check);
    }
    assert!(by_class.len() > 40 && report.checks.len() > 500, "{} checks", report.checks.len());
    for (class, checks) in by_class {
        let planted = |chosen: &[&Checked]| {
            let mut faulty = sound.clone();
            chosen.iter().for_each(|check| faults::plant(&mut faulty, &models, check));
            faulty
        };
        stored.set(&planted(&checks));
        let found = of_class(&stored, &models, class);
        let finds = |found: &BTreeMap<String, Checked>, check: &Checked| {
            found.get(&check.name).is_some_and(|found| found.failed > 0 && found.failed < found.checked)
        };
        // Faults of one class can hide each other: what was not found among others is planted alone.
        for check in checks.iter().filter(|check| !finds(&found, check)) {
            stored.set(&planted(&[*check]));
            let found = of_class(&stored, &models, class);
            assert!(
                finds(&found, check),
                "{} does not find its fault: {:?}",
                check.name,
                found.get(&check.name)
            );
        }
    }
}

#[test]
fn the_coverage_names_values_that_enough_patients_have() {
    let models = Models::bundled().unwrap();
    let mut world = World::sound(&models);
    for row in world.rows("omop.condition_occurrence") {
        row.insert("condition_concept_id".into(), 0.into());
        row.insert("condition_source_value".into(), "C50.9".into());
    }
    let stored = Stored::new(&models, &world);
    let (rules, epoch) = (Rules::bundled().unwrap(), stored.warehouse.current().unwrap());
    let look = Look { epoch: &epoch, models: &models, rules: &rules };
    let named = |threshold| {
        let options = GapOptions { threshold, values: 5 };
        let all = on_runtime(async { gaps::of_all(&look.session().await?, &models, options).await }).unwrap();
        let gap = all
            .into_iter()
            .find(|gap| gap.table == "omop.condition_occurrence" && gap.rows_mapped == 0)
            .unwrap();
        (gap.rows, gap.unmapped.into_iter().map(|value| value.value).collect::<Vec<_>>())
    };
    assert_eq!(named(2), (2, vec!["C50.9".to_owned()]));
    assert_eq!(named(3), (2, Vec::new()), "two patients are too few to name a value of theirs");
}

#[test]
fn a_birthday_of_which_the_year_alone_is_known_is_any_day_of_it() {
    let models = Models::bundled().unwrap();
    let mut world = World::sound(&models);
    world.rows("eucaim.patient")[1].insert("patient_birth_date".into(), "2010-07-01".into());
    let stored = Stored::new(&models, &world);
    let found = of_class(&stored, &models, "not_before_birth");
    assert_eq!(
        found["not_before_birth:omop.procedure_occurrence"].failed, 0,
        "done in January, born in some month"
    );
}

#[test]
fn worlds_and_vocabularies_that_a_node_lacks_are_not_missed() {
    let models = Models::bundled().unwrap();
    let mut world = World::sound(&models);
    world.keep(|table| !table.starts_with("dicom.") && table != "omop.concept");
    let stored = Stored::new(&models, &world);
    let report = report(&stored, &models);
    let failed: Vec<&str> = report.ended(Status::Failed).map(|check| check.name.as_str()).collect();
    assert!(failed.is_empty(), "{failed:?}");
    let check = |name: &str| report.checks.iter().find(|check| check.name == name).unwrap();
    assert_eq!(check("reference_resolves:fhir.imaging_study.study_uid").status(), Status::Silent);
    let concepts = check("concept_in_vocabulary:omop.condition_occurrence.condition_concept_id");
    assert_eq!(concepts.status(), Status::Silent);
}

#[test]
fn limits_are_set_for_a_class_and_for_one_check_of_it() {
    let check = |name: &str| Checked {
        name: name.into(),
        class: "dated".into(),
        category: "completeness".into(),
        says: String::new(),
        checked: 10,
        failed: 5,
        limit: 0.1,
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quality.toml");
    let set = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let mut checks = [check("dated:a.b"), check("dated:a.c")];
        Limits::load(&path)?.set(&mut checks)?;
        Ok::<_, crate::Error>(checks.map(|check| check.limit))
    };
    assert_eq!(set("[limits]\ndated = 0.5\n\"dated:a.c\" = 0.2\n").unwrap(), [0.5, 0.2]);
    assert_eq!(set("[limits]\n\"mapped:eucaim.patient.patient_race\" = 1.0\n").unwrap(), [0.1, 0.1]);
    for (text, wanted) in [
        ("[limits]\ndatd = 0.5\n", "datd"),
        ("[limits]\ndated = 50\n", "from 0 to 1"),
        ("[limit]\ndated = 0.5\n", "limit"),
        ("[limits]\n\"dated:a.d\" = 0.5\n", "dated:a.d"),
    ] {
        let error = set(text).unwrap_err();
        assert_eq!(error.code(), crate::Code::Option);
        assert!(error.to_string().contains(wanted), "{error}");
    }
}
