//! Takes a statement as far as a hub can without any node: read, planned, lowered, or refused.

use std::sync::Arc;

use caim_ontology::Models;
use caim_sql::catalogue::Catalogue;
use caim_sql::refusal::Refusal;
use caim_sql::{lower, plan, text};

/// Asks as a hub does before any node is asked.
pub(crate) fn ask(sql: &str) -> Result<(), Refusal> {
    let models = Arc::new(Models::bundled().unwrap());
    let catalogue = Catalogue::new(models, Vec::new());
    match text::read(sql)? {
        text::Statement::Query(query) => {
            let planned = plan::plan(&query, &catalogue)?;
            lower::lower(&planned, &catalogue, &lower::Settings::default()).map(|_| ())
        }
        text::Statement::Set { key, value } => lower::Settings::default().set(&key, &value).map(|_| ()),
    }
}
