//! The common data model from the landing tables of every world, by the mapping files of this crate.

use std::sync::LazyLock;

use caim_ontology::Mappings;
use caim_warehouse::{Commit, TableName};
use datafusion::dataframe::DataFrame;
use datafusion::logical_expr::lit;
use sha2::{Digest, Sha256};

use super::session::{STAGED, fault};
use super::table::{shaped, store};
use super::{Builder, Session};
use crate::Result;
use crate::report::BuildReport;

/// The schema of the common data model.
pub(super) const COMMON: &str = "eucaim";

/// The column of staged rows that numbers the part they come from.
const SOURCE: &str = "_source";

/// How a table of the common data model is made.
struct Recipe {
    table: &'static str,
    /// One SELECT for each world that has such rows; their rows together are `staged.<table>`.
    parts: &'static [&'static str],
    /// The SELECT over `staged.<table>` and the tables before it; `None` takes the rows as they are.
    finish: Option<&'static str>,
}

macro_rules! mapping {
    ($file:literal) => {
        include_str!(concat!("../../mappings/", $file, ".sql"))
    };
}

/// All tables, each after those that its mapping reads.
const RECIPES: &[Recipe] = &[
    Recipe { table: "dataset", parts: &[mapping!("eucaim/dataset")], finish: None },
    Recipe {
        table: "patient",
        parts: &[mapping!("omop/patient"), mapping!("fhir/patient"), mapping!("dicom/patient")],
        finish: Some(mapping!("eucaim/patient")),
    },
    Recipe {
        table: "cancer_condition",
        parts: &[mapping!("omop/cancer_condition"), mapping!("fhir/cancer_condition")],
        finish: Some(mapping!("eucaim/cancer_condition")),
    },
    Recipe {
        table: "tumor_marker_test",
        parts: &[mapping!("omop/tumor_marker_test"), mapping!("fhir/tumor_marker_test")],
        finish: Some(mapping!("eucaim/tumor_marker_test")),
    },
    Recipe {
        table: "cancer_stage",
        parts: &[mapping!("omop/cancer_stage"), mapping!("fhir/cancer_stage")],
        finish: None,
    },
    Recipe {
        table: "histologic_grade",
        parts: &[mapping!("omop/histologic_grade"), mapping!("fhir/histologic_grade")],
        finish: None,
    },
    Recipe {
        table: "image_study",
        parts: &[mapping!("dicom/image_study"), mapping!("fhir/image_study")],
        finish: Some(mapping!("eucaim/image_study")),
    },
    Recipe {
        table: "image_series",
        parts: &[mapping!("dicom/image_series"), mapping!("fhir/image_series")],
        finish: None,
    },
];

/// A hash of all mapping files, of values to concepts too: part of what derived tables depend on.
pub(crate) fn fingerprint() -> &'static str {
    static FINGERPRINT: LazyLock<String> = LazyLock::new(|| {
        let mut digest = Sha256::new();
        for text in RECIPES.iter().flat_map(|recipe| recipe.parts.iter().copied().chain(recipe.finish)) {
            digest.update((text.len() as u64).to_le_bytes());
            digest.update(text);
        }
        digest.update(Mappings::bundled().version());
        hex::encode(digest.finalize())
    });
    &FINGERPRINT
}

/// Makes all tables of the common data model.
pub(super) async fn derive(
    builder: Builder<'_>,
    session: &mut Session,
    commit: &mut Commit,
    report: &mut BuildReport,
) -> Result<()> {
    session.register_concepts().await?;
    for recipe in RECIPES {
        let name = TableName::new(COMMON, recipe.table);
        let rows = recipe.rows(builder, session).await?;
        store(builder, session, commit, &name, rows, report).await?;
    }
    Ok(())
}

impl Recipe {
    async fn rows(&self, builder: Builder<'_>, session: &mut Session) -> Result<DataFrame> {
        let table = builder.table(COMMON, self.table)?;
        let mut all: Option<DataFrame> = None;
        for (number, part) in (1_i64..).zip(self.parts) {
            let rows = shaped(table, session.select(part).await?)?;
            let rows = rows.with_column(SOURCE, lit(number)).map_err(fault)?;
            all = Some(match all {
                Some(before) => before.union(rows).map_err(fault)?,
                None => rows,
            });
        }
        let staged = TableName::new(STAGED, self.table);
        if let Some(all) = all {
            session.stage(self.table, all)?;
        }
        match self.finish {
            Some(finish) => session.select(finish).await,
            None => session.all(&staged).await?.drop_columns(&[SOURCE]).map_err(fault),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_is_that_of_these_files() {
        assert_eq!(fingerprint().len(), 64);
        assert!(RECIPES.iter().all(|recipe| !recipe.parts.is_empty()));
    }
}
