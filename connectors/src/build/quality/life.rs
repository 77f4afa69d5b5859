//! What the node knows of the life of each patient: `staged.life`, one row a patient, which checks of dates join.
//!
//! Columns: `_patient`, `birth`, `death`, `first_seen` and `last_seen` (the ends of all OMOP observation periods), and
//! `in_eucaim`, `in_omop`, `in_fhir`: whether that world has a row about the patient.

use caim_ontology::Models;

use crate::Result;
use crate::build::session::{Session, fault};

/// The schema's table with a row a patient, by whose rows others are known.
pub(super) fn persons(schema: &str) -> (&'static str, &'static str) {
    match schema {
        "omop" => ("omop.person", "in_omop"),
        "fhir" => ("fhir.patient", "in_fhir"),
        _ => ("eucaim.patient", "in_eucaim"),
    }
}

/// The first of July is how the common model writes a birthday of which the year alone is known: it may be any day of it.
/// A date of death is the one that a source gives; where none does, the last contact with one who has died.
const PARTS: [(&str, &str, &str); 5] = [
    (
        "eucaim",
        "patient",
        "SELECT _patient, CASE WHEN date_part('month', patient_birth_date) = 7 AND date_part('day', patient_birth_date) = 1
                               THEN patient_birth_date - INTERVAL '6 months' ELSE patient_birth_date END AS birth,
                NULL AS death, CASE WHEN patient_deceased THEN patient_date_of_last_contact END AS gone,
                NULL AS first_seen, NULL AS last_seen, 'eucaim' AS world FROM eucaim.patient",
    ),
    ("omop", "person", "SELECT _patient, NULL, NULL, NULL, NULL, NULL, 'omop' FROM omop.person"),
    ("omop", "death", "SELECT _patient, NULL, death_date, NULL, NULL, NULL, NULL FROM omop.death"),
    ("fhir", "patient", "SELECT _patient, NULL, deceased_date, NULL, NULL, NULL, 'fhir' FROM fhir.patient"),
    (
        "omop",
        "observation_period",
        "SELECT _patient, NULL, NULL, NULL, observation_period_start_date, observation_period_end_date, NULL
         FROM omop.observation_period",
    ),
];

const EMPTY: &str = "
    SELECT arrow_cast(NULL, 'UInt32') AS _patient, CAST(NULL AS DATE) AS birth, CAST(NULL AS DATE) AS death,
           CAST(NULL AS DATE) AS gone, CAST(NULL AS DATE) AS first_seen, CAST(NULL AS DATE) AS last_seen,
           CAST(NULL AS VARCHAR) AS world WHERE false";

/// Makes `staged.life`. It is held in memory: some thirty bytes a patient.
pub(super) async fn stage(session: &mut Session, models: &Models) -> Result<()> {
    let known = PARTS.iter().filter(|(schema, table, _)| models.table(schema, table).is_ok());
    let parts: Vec<&str> = std::iter::once(EMPTY).chain(known.map(|(_, _, select)| *select)).collect();
    let statement = format!(
        "SELECT _patient, min(birth) AS birth, coalesce(min(death), min(gone)) AS death,
                min(first_seen) AS first_seen, max(last_seen) AS last_seen,
                bool_or(world = 'eucaim') AS in_eucaim, bool_or(world = 'omop') AS in_omop,
                bool_or(world = 'fhir') AS in_fhir
         FROM ({}) worlds WHERE _patient IS NOT NULL GROUP BY _patient",
        parts.join(" UNION ALL ")
    );
    let life = session.select(&statement).await?.cache().await.map_err(fault)?;
    session.stage("life", life)
}
