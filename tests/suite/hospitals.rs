//! The generated hospitals, each with two kinds of sources, against a count by hand from the draws behind their files: one
//! patient's records from DICOM, OMOP and FHIR meet, and a question over both worlds is answered right.

use std::collections::BTreeSet;
use std::sync::Arc;

use caim::demo::federation::hospital;
use caim::demo::truth::{Facts, facts};
use caim::demo::{Plan, Population};
use caim_connectors::Quiet;
use caim_engine::{Node, Policy};
use caim_ontology::Models;
use caim_warehouse::Warehouse;

use crate::questions::{ask, lowered, number};
use crate::series::node;

const PLAN: Plan = Plan { seed: 11, patients: 300 };

const PROSTATE: &str = "399068003";

/// Prostate cancer and magnetic resonance imaging, as concepts of the common data model.
const PROSTATE_CONCEPT: &str = "EUCAIM:CLIN1000075";
const MR_CONCEPT: &str = "EUCAIM:IMG1000038";

/// A hospital in a node that answers exactly, and what is true of its patients.
pub(crate) struct Hospital {
    _dir: tempfile::TempDir,
    pub(crate) node: Arc<Node>,
    models: Arc<Models>,
    pub(crate) facts: Vec<Facts>,
}

impl Hospital {
    pub(crate) fn at(position: usize) -> Self {
        let population = Population::bundled().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let ready = hospital(&population, PLAN, position, dir.path(), &Quiet).unwrap();
        let published = Policy { public_data: true, ..Policy::default() };
        let node = node("a", Warehouse::open(&ready.dir).unwrap(), published);
        let facts = facts(&population, PLAN, position).unwrap().map(Result::unwrap).collect();
        Self { _dir: dir, node, models: Arc::new(Models::bundled().unwrap()), facts }
    }

    pub(crate) async fn count(&self, sql: &str) -> usize {
        let query = lowered(&self.models, sql);
        let reply = ask(&self.node, &query, &self.models).await;
        let merged = caim_engine::merge::merge(
            &query,
            &self.models,
            &[(caim_engine::NodeId::new("a").unwrap(), reply)],
        );
        number(merged.unwrap().column_by_name("m0").unwrap(), 0).unwrap() as usize
    }

    /// Patients of whom the records say, by any code, that they have prostate cancer.
    fn with_prostate_cancer(&self) -> impl Iterator<Item = &Facts> {
        self.facts.iter().filter(|of| of.diagnosis.snomed == PROSTATE && coded(of))
    }
}

/// Whether the records have a diagnosis by a code: a text alone says nothing to a program.
pub(crate) fn coded(of: &Facts) -> bool {
    use caim::demo::Coding;
    of.records.as_ref().is_some_and(|records| match records.coding {
        Coding::Full | Coding::Icd10Alone => true,
        Coding::TextAlone => false,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn diagnosis_and_modality_of_one_patient_meet_in_every_hospital() {
    for position in 0..3 {
        let hospital = Hospital::at(position);
        let sql = format!(
            "SELECT count(DISTINCT c.patient_id) FROM cancer_condition AS c \
             WHERE c.cancer_condition_code = '{PROSTATE_CONCEPT}' AND EXISTS (SELECT 1 FROM image_series AS s \
             WHERE s.patient_id = c.patient_id AND s.series_modality = '{MR_CONCEPT}')"
        );
        let truth = hospital.with_prostate_cancer().filter(|of| of.modalities().contains("MR")).count();
        assert!(truth > 10, "hospital {position} has patients to count");
        assert_eq!(hospital.count(&sql).await, truth, "hospital {position}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn days_from_the_diagnosis_to_images_are_those_of_the_calendar() {
    for position in 0..3 {
        let hospital = Hospital::at(position);
        let sql = format!(
            "SELECT count(DISTINCT c.patient_id) FROM cancer_condition AS c \
             JOIN image_study AS s ON s.patient_id = c.patient_id \
             WHERE c.cancer_condition_code = '{PROSTATE_CONCEPT}' \
             AND date_diff('day', c.cancer_condition_asserted_date, s.study_date) BETWEEN 0 AND 89"
        );
        let near = |of: &&Facts| {
            of.studies().any(|study| (0..90).contains(&(study.date - of.diagnosis.date).num_days()))
        };
        let truth = hospital.with_prostate_cancer().filter(near).count();
        assert!(truth > 10, "hospital {position} has patients to count");
        assert_eq!(hospital.count(&sql).await, truth, "hospital {position}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ages_at_diagnosis_are_completed_years() {
    for position in 0..3 {
        let hospital = Hospital::at(position);
        let sql = format!(
            "SELECT count(DISTINCT patient_id) FROM cancer_condition \
             WHERE cancer_condition_code = '{PROSTATE_CONCEPT}' AND cancer_condition_age_at_diagnosis >= 70"
        );
        let truth = hospital.with_prostate_cancer().filter(|of| of.diagnosis.age >= 70).count();
        assert_eq!(hospital.count(&sql).await, truth, "hospital {position}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_patient_of_any_source_is_one_row() {
    for position in 0..3 {
        let hospital = Hospital::at(position);
        let known: BTreeSet<&str> = hospital
            .facts
            .iter()
            .filter(|of| of.records.is_some() || of.series().next().is_some())
            .map(|of| of.patient_id.as_str())
            .collect();
        let rows = hospital.count("SELECT count(*) FROM patient").await;
        assert_eq!(rows, known.len(), "hospital {position}");
    }
}
