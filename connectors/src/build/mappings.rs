//! The common data model from the landing tables of every world, by the mapping files of this crate.

use std::sync::LazyLock;

use caim_ontology::Models;
use caim_warehouse::{Commit, TableName};
use datafusion::dataframe::DataFrame;
use datafusion::logical_expr::lit;
use sha2::{Digest, Sha256};

use super::session::{STAGED, fault};
use super::table::{shaped, store, store_nothing};
use super::{Builder, SHEETS, Session};
use crate::Result;
use crate::report::BuildReport;

/// The schema of the common data model.
pub(crate) const COMMON: &str = "eucaim";

/// The column of staged rows that numbers the part they come from.
const SOURCE: &str = "_source";

/// The number of the rows of sheets: what standards say goes before.
const AFTER_ALL: i64 = 100;

/// How a table of the common data model is made.
struct Recipe {
    table: &'static str,
    /// What each world that has such rows gives; their rows together are `staged.<table>`.
    parts: &'static [Part],
    /// The SELECT over `staged.<table>` and the tables before it; `None` takes the rows as they are.
    finish: Option<&'static str>,
}

/// What one world gives to a table.
struct Part {
    /// The schema of its landing tables: where they have no rows, it gives none.
    world: &'static str,
    select: &'static str,
}

/// Rows that several mappings read.
struct Shared {
    table: &'static str,
    /// Made once and held in memory, because there is a row a concept or a patient; others are made by each reader.
    held: bool,
    /// The schema of what it reads: where that has no rows, nobody reads it.
    world: &'static str,
    /// The recipe that makes what it reads.
    after: &'static str,
    select: &'static str,
}

macro_rules! mapping {
    ($file:literal) => {
        include_str!(concat!("../../mappings/", $file, ".sql"))
    };
}

macro_rules! part {
    ($world:literal, $table:literal) => {
        Part { world: $world, select: include_str!(concat!("../../mappings/", $world, "/", $table, ".sql")) }
    };
}

/// All tables, each after those that its mapping reads.
const RECIPES: &[Recipe] = &[
    Recipe { table: "dataset", parts: &[part!("eucaim", "dataset")], finish: None },
    Recipe {
        table: "patient",
        parts: &[part!("omop", "patient"), part!("fhir", "patient"), part!("dicom", "patient")],
        finish: Some(mapping!("eucaim/patient")),
    },
    Recipe {
        table: "cancer_condition",
        parts: &[part!("omop", "cancer_condition"), part!("fhir", "cancer_condition")],
        finish: Some(mapping!("eucaim/cancer_condition")),
    },
    Recipe {
        table: "medical_history",
        parts: &[part!("omop", "medical_history"), part!("fhir", "medical_history")],
        finish: Some(mapping!("eucaim/medical_history")),
    },
    Recipe {
        table: "health_status_assessment",
        parts: &[part!("omop", "health_status_assessment"), part!("fhir", "health_status_assessment")],
        finish: None,
    },
    Recipe {
        table: "tumor_marker_test",
        parts: &[part!("omop", "tumor_marker_test"), part!("fhir", "tumor_marker_test")],
        finish: Some(mapping!("eucaim/tumor_marker_test")),
    },
    Recipe {
        table: "cancer_stage",
        parts: &[part!("omop", "cancer_stage"), part!("fhir", "cancer_stage")],
        finish: None,
    },
    Recipe {
        table: "histologic_grade",
        parts: &[part!("omop", "histologic_grade"), part!("fhir", "histologic_grade")],
        finish: None,
    },
    Recipe {
        table: "lab_test_result",
        parts: &[part!("omop", "lab_test_result"), part!("fhir", "lab_test_result")],
        finish: Some(mapping!("eucaim/lab_test_result")),
    },
    Recipe {
        table: "procedure",
        parts: &[part!("omop", "procedure"), part!("fhir", "procedure")],
        finish: Some(mapping!("eucaim/procedure")),
    },
    Recipe {
        table: "surgical_procedure",
        parts: &[part!("omop", "surgical_procedure"), part!("fhir", "surgical_procedure")],
        finish: Some(mapping!("eucaim/surgical_procedure")),
    },
    Recipe {
        table: "radiotherapy",
        parts: &[part!("omop", "radiotherapy"), part!("fhir", "radiotherapy")],
        finish: Some(mapping!("eucaim/radiotherapy")),
    },
    Recipe {
        table: "medication_administration",
        parts: &[part!("omop", "medication_administration"), part!("fhir", "medication_administration")],
        finish: Some(mapping!("eucaim/medication_administration")),
    },
    Recipe {
        table: "treatment",
        parts: &[part!("omop", "treatment"), part!("fhir", "treatment")],
        finish: None,
    },
    Recipe { table: "episode", parts: &[part!("omop", "episode")], finish: Some(mapping!("eucaim/episode")) },
    Recipe { table: "episode_event", parts: &[part!("omop", "episode_event")], finish: None },
    Recipe {
        table: "image_study",
        parts: &[part!("dicom", "image_study"), part!("fhir", "image_study")],
        finish: Some(mapping!("eucaim/image_study")),
    },
    Recipe {
        table: "image_series",
        parts: &[part!("dicom", "image_series"), part!("fhir", "image_series")],
        finish: None,
    },
    Recipe { table: "tumor", parts: &[], finish: None },
    Recipe { table: "family_member_history", parts: &[], finish: None },
    Recipe { table: "adverse_event", parts: &[], finish: None },
    Recipe { table: "risk_assessment", parts: &[], finish: None },
    Recipe { table: "tumor_observation", parts: &[], finish: None },
    Recipe { table: "image_modality", parts: &[part!("dicom", "image_modality")], finish: None },
];

/// Tables that nobody asks, which mappings read as `staged.<table>` because several need the same rows.
const SHARED: &[Shared] = &[
    Shared {
        table: "measured_concept",
        held: true,
        world: "omop",
        after: "dataset",
        select: mapping!("omop/measured_concept"),
    },
    Shared {
        table: "coded_procedure",
        held: false,
        world: "omop",
        after: "dataset",
        select: mapping!("omop/coded_procedure"),
    },
    Shared {
        table: "given_medication",
        held: false,
        world: "fhir",
        after: "dataset",
        select: mapping!("fhir/given_medication"),
    },
    Shared {
        table: "first_diagnosis",
        held: true,
        world: COMMON,
        after: "cancer_condition",
        select: mapping!("eucaim/first_diagnosis"),
    },
];

/// A hash of all mapping files, and of the mappings of values to concepts: part of what derived tables depend on.
pub(super) fn fingerprint(models: &Models) -> String {
    static FILES: LazyLock<String> = LazyLock::new(|| {
        let mut digest = Sha256::new();
        for text in texts() {
            digest.update((text.len() as u64).to_le_bytes());
            digest.update(text);
        }
        hex::encode(digest.finalize())
    });
    let digest = Sha256::new().chain_update(FILES.as_bytes()).chain_update(models.mappings().version());
    hex::encode(digest.finalize())
}

fn texts() -> impl Iterator<Item = &'static str> {
    let recipes =
        RECIPES.iter().flat_map(|recipe| recipe.parts.iter().map(|part| part.select).chain(recipe.finish));
    recipes.chain(SHARED.iter().map(|shared| shared.select))
}

/// The sources that the mapping files look a coded column's plain values up under: `DICOM.Manufacturer`. OMOP is none of
/// them, since its values are kept with their system.
pub(super) fn sources(column: &str) -> Vec<&'static str> {
    let call = format!("concept('{column}'");
    let mut sources: Vec<&str> = Vec::new();
    for text in texts() {
        for (start, _) in text.match_indices(&call) {
            let arguments = within_call(&text[start + call.len()..]);
            // What stands between quotes, every second part, is the name of a source.
            for source in arguments.split('\'').skip(1).step_by(2) {
                if source != "OMOP" && !sources.contains(&source) {
                    sources.push(source);
                }
            }
        }
    }
    sources
}

/// The text up to the parenthesis that ends the call.
fn within_call(text: &str) -> &str {
    let mut depth = 1;
    let end = text.find(|c| {
        depth += match c {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        depth == 0
    });
    &text[..end.unwrap_or(text.len())]
}

/// Makes all tables of the common data model.
pub(super) async fn derive(
    builder: Builder<'_>,
    session: &mut Session,
    commit: &mut Commit,
    report: &mut BuildReport,
) -> Result<()> {
    session.register_concepts(builder.models).await?;
    for recipe in RECIPES {
        let name = TableName::new(COMMON, recipe.table);
        match recipe.rows(builder, session).await? {
            Some(rows) => store(builder, session, commit, &name, rows, report).await?,
            None => store_nothing(builder, session, commit, &name, report)?,
        }
        let shared = SHARED.iter().filter(|shared| shared.after == recipe.table);
        for shared in shared.filter(|shared| session.has_rows(shared.world)).collect::<Vec<_>>() {
            let rows = session.select(shared.select).await?;
            if shared.held {
                session.hold(&TableName::new(STAGED, shared.table), rows).await?;
            } else {
                session.stage(shared.table, rows)?;
            }
        }
    }
    Ok(())
}

impl Recipe {
    /// The rows of a table; `None` where no world that gives such rows has any.
    async fn rows(&self, builder: Builder<'_>, session: &mut Session) -> Result<Option<DataFrame>> {
        let table = builder.table(COMMON, self.table)?;
        let mut all: Option<DataFrame> = None;
        for (number, part) in (1_i64..).zip(self.parts).filter(|(_, part)| session.has_rows(part.world)) {
            let rows = shaped(table, session.select(part.select).await?)?;
            let rows = rows.with_column(SOURCE, lit(number)).map_err(fault)?;
            all = Some(joined(all, rows)?);
        }
        if session.has_rows(SHEETS) {
            let sheets = session.all(&TableName::new(SHEETS, self.table)).await?;
            let rows = shaped(table, sheets)?.with_column(SOURCE, lit(AFTER_ALL)).map_err(fault)?;
            all = Some(joined(all, rows)?);
        }
        let Some(all) = all else { return Ok(None) };
        session.stage(self.table, all)?;
        match self.finish {
            Some(finish) => session.select(finish).await.map(Some),
            None => {
                let staged = session.all(&TableName::new(STAGED, self.table)).await?;
                staged.drop_columns(&[SOURCE]).map_err(fault).map(Some)
            }
        }
    }
}

fn joined(before: Option<DataFrame>, rows: DataFrame) -> Result<DataFrame> {
    match before {
        Some(before) => before.union(rows).map_err(fault),
        None => Ok(rows),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use caim_ontology::{MappingSet, Mappings, Ontology};

    use super::*;

    #[test]
    fn the_fingerprint_follows_the_mappings_of_the_models() {
        let bundled = Models::bundled().unwrap();
        let row = "subject_id\tpredicate_id\tobject_id\nDICOM.Manufacturer:ACME\t\tEUCAIM:IMG1000044\n";
        let mut sets = MappingSet::bundled().unwrap();
        sets.push(MappingSet::parse("own", row).unwrap());
        let own = Arc::new(Mappings::new(Ontology::bundled(), sets));
        let with_own = Models::bundled().unwrap().with_mappings(own);
        assert_eq!(fingerprint(&bundled), fingerprint(&Models::bundled().unwrap()));
        assert_ne!(fingerprint(&bundled), fingerprint(&with_own));
    }

    #[test]
    fn the_sources_of_a_column_are_those_its_mapping_files_name() {
        assert_eq!(sources("image_series.series_manufacturer"), ["DICOM.Manufacturer"]);
        assert_eq!(sources("image_series.series_modality"), ["DICOM.Modality"]);
        assert!(sources("patient.patient_birth_sex").contains(&"DICOM.PatientSex"));
        assert!(sources("cancer_condition.cancer_condition_code").contains(&"ICD10"));
        assert!(sources("patient.no_such_column").is_empty());
    }

    #[test]
    fn every_shared_table_follows_a_recipe() {
        assert!(SHARED.iter().all(|shared| RECIPES.iter().any(|recipe| recipe.table == shared.after)));
    }
}
