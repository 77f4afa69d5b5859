//! Takes a statement as far as a hub can without any node: read, planned, lowered, or refused.

use std::sync::Arc;

use caim_ontology::Models;
use caim_sql::catalogue::Catalogue;
use caim_sql::lower::{Settings, lower};
use caim_sql::plan::plan;
use caim_sql::refusal::Refusal;
use caim_sql::text;

/// Asks as a hub does before any node is asked. After `SET caim.noise_sd`, a count of patients is asked for.
pub(crate) fn ask(sql: &str) -> Result<(), Refusal> {
    match text::read(sql)? {
        text::Statement::Query(query) | text::Statement::Explain { query, .. } => {
            lowered(&query, &Settings::default())
        }
        text::Statement::Set { key, value } => {
            assert_eq!(key, "caim.noise_sd", "examples set the noise");
            let noise_sd: f64 = value.parse().unwrap();
            let settings =
                Settings { noise_sd_milli: Some((noise_sd * 1000.0) as u32), ..Settings::default() };
            match text::read("SELECT count(DISTINCT PatientID) FROM dicom.series")? {
                text::Statement::Query(query) => lowered(&query, &settings),
                text::Statement::Explain { .. } | text::Statement::Set { .. } => {
                    unreachable!("it is a SELECT")
                }
            }
        }
    }
}

fn lowered(query: &text::Query, settings: &Settings) -> Result<(), Refusal> {
    let catalogue = Catalogue::new(Arc::new(Models::bundled().unwrap()), Vec::new());
    lower(&plan(query, &catalogue)?, &catalogue, settings).map(|_| ())
}
