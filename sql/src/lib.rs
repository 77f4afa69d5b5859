//! What may be *asked*: SQL text to a [`PrivateQuery`] in closed form, and a remainder for the hub.
//!
//! Free SQL above the gate, a closed form below it. The modules in the order of a question's way:
//! [`text`] reads the statement (limits, names in any case, placeholders), [`catalogue`] shows it the public tables,
//! [`plan`] makes an analysed logical plan, [`lower`] splits that into private queries and a remainder over what they
//! release, whose columns [`released`] names. [`private_query`] is the closed form, [`validate`] the one place that
//! says what a data model allows of it (hub and node both call it), [`bounds`] how far its numbers reach,
//! [`canonical`] its one spelling and its SQL text, [`refusal`] every reason to say no.
//!
//! The crate does no IO, runs nothing, and is not async.
//!
//! ```
//! use std::sync::Arc;
//!
//! use caim_ontology::Models;
//! use caim_sql::canonical::to_sql;
//! use caim_sql::catalogue::Catalogue;
//! use caim_sql::lower::{Settings, lower};
//! use caim_sql::plan::plan;
//! use caim_sql::text::{Statement, read};
//!
//! let models = Arc::new(Models::bundled()?);
//! let catalogue = Catalogue::new(Arc::clone(&models), Vec::new());
//! let sql = "SELECT Modality, count(*) AS N FROM dicom.series GROUP BY Modality HAVING count(*) > 100";
//! if let Statement::Query(query) = read(sql)? {
//!     let lowered = lower(&plan(&query, &catalogue)?, &catalogue, &Settings::default())?;
//!     let asked: Vec<String> = lowered.queries.iter().map(|q| to_sql(q, &models)).collect();
//!     assert_eq!(asked, ["SELECT t0.modality, count(*) FROM dicom.series AS t0 GROUP BY t0.modality"]);
//!     assert_eq!(lowered.output, ["Modality", "N"]); // HAVING runs at the hub, on released counts
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod bounds;
mod calendar;
pub mod canonical;
pub mod catalogue;
pub mod concepts;
pub mod lower;
mod per_patient;
pub mod plan;
pub mod private_query;
pub mod refusal;
pub mod released;
mod settings;
pub mod text;
pub mod validate;

#[cfg(test)]
mod fixture;

pub use lower::{Lowered, lower};
pub use plan::{Planned, plan};
pub use private_query::PrivateQuery;
pub use refusal::{Code, Refusal};
