//! From what a source says to a concept of the hyperontology, for the coded columns of the models.

use std::collections::HashMap;
use std::sync::Arc;

use caim_ontology::{CodeSystem, ConceptId, CrossCode, Lookup, Mappings, Models, Table, Unmapped};

use crate::{Code, Error, Result};

/// Finds the concepts of coded columns.
pub(super) struct Translator {
    mappings: Arc<Mappings>,
    /// By `table.column`: the concepts of which each of the column's is one, or lies below one.
    roots: HashMap<String, Vec<ConceptId>>,
}

impl Translator {
    /// A translator by the ontology and mappings of the models.
    ///
    /// # Errors
    /// When a model names a root that the ontology does not have.
    pub(super) fn new(models: &Models) -> Result<Self> {
        let mappings = models.mappings();
        let mut roots = HashMap::new();
        for table in models.iter().flat_map(|model| &model.tables) {
            roots_of(table, &mappings, &mut roots)?;
        }
        Ok(Self { mappings, roots })
    }

    /// The concept of a code of a system below the roots of a column, as `EUCAIM:CLIN1000075`.
    pub(super) fn code(&self, column: &str, system: &str, value: &str) -> Option<String> {
        let roots = self.roots.get(column)?;
        let concept = match self.mappings.concept(system, value, roots) {
            Lookup::Mapped(mapped) => Some(mapped.concept),
            Lookup::Unmapped(Unmapped::NoTerm { .. }) => None,
            Lookup::Unmapped(_) => self.category(system, value, roots),
        };
        concept.map(|concept| self.mappings.ontology().curie(concept))
    }

    /// The concept of the ICD-10 category that a code lies in: `C50.9` is breast cancer because `C50` is.
    fn category(&self, system: &str, value: &str, roots: &[ConceptId]) -> Option<ConceptId> {
        let ontology = self.mappings.ontology();
        CodeSystem::known(system).filter(|system| *system == CodeSystem::ICD10)?;
        let found = ontology.resolve_icd10(value, roots).ok()?.concept;
        roots.iter().any(|root| ontology.is_a(found, *root)).then_some(found)
    }
}

fn roots_of(table: &Table, mappings: &Mappings, roots: &mut HashMap<String, Vec<ConceptId>>) -> Result<()> {
    for column in table.columns.iter().filter(|column| !column.roots.is_empty()) {
        let name = format!("{}.{}", table.name, column.stored);
        let found = column.root_concepts(mappings.ontology());
        let found = found.map_err(|e| Error::new(Code::Model, &name, e))?;
        roots.insert(name, found);
    }
    Ok(())
}

/// A code with its system, in one spelling for all sources: `SNOMEDCT:399068003`.
pub(super) fn with_system(system: &str, value: &str) -> String {
    match CodeSystem::known(system) {
        Some(known) => CrossCode::new(known, value).to_string(),
        None => format!("{system}:{value}"),
    }
}
