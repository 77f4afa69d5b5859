//! Models that differ from others: what a node or hub adds to those that are compiled in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{DataModel, ModelError, Models, Table};
use crate::mappings::Mappings;

impl Models {
    /// The same models with other mappings (and the ontology that they are over) than the bundled ones.
    #[must_use]
    pub fn with_mappings(self, mappings: Arc<Mappings>) -> Self {
        Self { mappings: Some(mappings), ..self }
    }

    /// The same models and one more, in the place of any other of its schema. The others are shared, not copied.
    #[must_use]
    pub fn with_model(&self, model: DataModel) -> Self {
        let mut models = self.clone();
        models.by_schema.insert(model.schema.clone(), Arc::new(model));
        models
    }

    /// The same models with further tables of this node alone. The [version](Self::version) stays: it is about what all
    /// nodes share.
    ///
    /// # Errors
    /// When there is no such schema, it has a table of that name, or a foreign key points nowhere.
    pub fn with_own_tables(&self, schema: &str, tables: Vec<Table>) -> Result<Self, ModelError> {
        let mut models = self.clone();
        let fault = |reason: String| ModelError::File { file: schema.to_owned(), reason };
        let Some(model) = models.by_schema.get_mut(schema) else {
            return Err(fault("there is no such data model".into()));
        };
        let known = &mut Arc::make_mut(model).tables;
        for table in tables {
            if known.iter().any(|other| other.name == table.name) {
                return Err(fault(format!("it has a table {} already", table.name)));
            }
            known.push(table);
        }
        models.check_references()?;
        Ok(models)
    }

    /// The same models, where columns have more [values](Column::values): by schema, table and stored name of the
    /// column. Names that are not there are passed over.
    #[must_use]
    pub fn with_values(&self, values: &BTreeMap<[String; 3], BTreeSet<String>>) -> Self {
        let mut models = self.clone();
        for ([schema, table, column], more) in values {
            let Some(model) = models.by_schema.get_mut(schema) else { continue };
            if !model.tables.iter().any(|t| t.name == *table) {
                continue;
            }
            let tables = &mut Arc::make_mut(model).tables;
            let table = tables.iter_mut().find(|t| t.name == *table);
            if let Some(column) = table.and_then(|t| t.columns.iter_mut().find(|c| c.stored == *column)) {
                let known: BTreeSet<String> = column.values.drain(..).chain(more.iter().cloned()).collect();
                column.values = known.into_iter().collect();
            }
        }
        models
    }
}
