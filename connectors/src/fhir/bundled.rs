//! The views that are compiled in, with those of the node's operator after them, and the tables that their rows land in.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use caim_ontology::{Models, Role, Table};

use super::SCHEMA;
use super::own::{self, Form};
use super::view::View;
use crate::identity::Pseudonyms;
use crate::landing::{COLLECTION, Landing, repeated, shown};
use crate::{Code, Error, Result, Secret};

/// The views in the order of their tables; the first view of a type of resource has one row for each resource.
const BUNDLED: [(&str, &str); 13] = [
    ("patient", include_str!("../../views/patient.json")),
    ("condition", include_str!("../../views/condition.json")),
    ("condition_coding", include_str!("../../views/condition_coding.json")),
    ("observation", include_str!("../../views/observation.json")),
    ("observation_component", include_str!("../../views/observation_component.json")),
    ("procedure", include_str!("../../views/procedure.json")),
    ("imaging_study", include_str!("../../views/imaging_study.json")),
    ("imaging_series", include_str!("../../views/imaging_series.json")),
    ("medication_administration", include_str!("../../views/medication_administration.json")),
    ("medication_request", include_str!("../../views/medication_request.json")),
    ("medication_statement", include_str!("../../views/medication_statement.json")),
    ("specimen", include_str!("../../views/specimen.json")),
    ("diagnostic_report", include_str!("../../views/diagnostic_report.json")),
];

/// The types of resources that have a view, in the order of the tables.
///
/// # Errors
/// When a view cannot be read, which tests exclude for the bundled ones.
pub(super) fn types(models: &Models) -> Result<Vec<String>> {
    let mut types = Vec::new();
    let own = own::tables(models).map(|(table, json)| (table.name.as_str(), json));
    for (name, json) in BUNDLED.into_iter().chain(own) {
        let resource = View::read(json).map_err(|e| fault(name, e))?.resource;
        if !types.contains(&resource) {
            types.push(resource);
        }
    }
    Ok(types)
}

/// The bundled table that has a row for each resource of a type: `imaging_study` of `ImagingStudy`.
pub(super) fn table_of(resource: &str) -> Option<&'static str> {
    let mut wanted = String::with_capacity(resource.len() + 2);
    for c in resource.chars() {
        if c.is_ascii_uppercase() && !wanted.is_empty() {
            wanted.push('_');
        }
        wanted.push(c.to_ascii_lowercase());
    }
    BUNDLED.into_iter().map(|(name, _)| name).find(|name| *name == wanted)
}

/// Views and tables.
pub(super) struct Views<'m> {
    /// In the order of the tables.
    pub(super) tables: Vec<ViewTable<'m>>,
    /// By type of resource, the positions of its tables.
    types: HashMap<String, Vec<usize>>,
}

/// A view and the table that it fills.
pub(super) struct ViewTable<'m> {
    pub(super) view: View,
    pub(super) landing: Landing<'m>,
    /// For every column of the table, where it comes from.
    origins: Vec<Origin>,
    secret: Secret,
}

/// Where a column of a table comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// A column of the view.
    View(usize),
    /// A column of the view with identifiers, of which keyed hashes are stored.
    Keyed(usize),
    /// The collection of the source.
    Collection,
    /// Nowhere: the patient, which is stored apart, or a column that the view does not have.
    Nowhere,
}

impl<'m> Views<'m> {
    /// The bundled views over the tables of `models`, and those of the node's own tables.
    ///
    /// # Errors
    /// When the model lacks a table, or a column has another type than its view gives.
    pub(super) fn of(models: &'m Models, secret: &Secret) -> Result<Self> {
        let (mut tables, mut types) = (Vec::new(), HashMap::<String, Vec<usize>>::new());
        for (name, json) in BUNDLED {
            let view = View::read(json).map_err(|e| fault(name, e))?;
            let table = models.table(SCHEMA, name).map_err(|e| fault(name, e))?;
            types.entry(view.resource.clone()).or_default().push(tables.len());
            tables.push(ViewTable::new(view, table, secret, &[])?);
        }
        for (table, json) in own::tables(models) {
            let view = View::read(json).map_err(|e| fault(&table.name, e))?;
            let forms = own::forms(&view).map_err(|e| fault(&table.name, e))?;
            types.entry(view.resource.clone()).or_default().push(tables.len());
            tables.push(ViewTable::new(view, table, secret, &forms)?);
        }
        Ok(Self { tables, types })
    }

    /// The same for rows of a source, whose unique identifiers are stored as the node's rules say.
    pub(super) fn under(self, rules: &Pseudonyms) -> Self {
        let under = |table: ViewTable<'m>| ViewTable { landing: table.landing.under(rules), ..table };
        Self { tables: self.tables.into_iter().map(under).collect(), ..self }
    }

    /// The tables that resources of a type fill; none if there is no view for it.
    pub(super) fn of_type(&self, resource: &str) -> &[usize] {
        self.types.get(resource).map_or(&[], Vec::as_slice)
    }
}

impl<'m> ViewTable<'m> {
    /// `forms` says what is stored of each column of a view; without them the values are.
    fn new(view: View, table: &'m Table, secret: &Secret, forms: &[Form]) -> Result<Self> {
        let mut origins = Vec::with_capacity(table.columns.len());
        for column in &table.columns {
            let position = view.columns.iter().position(|found| found.name.to_lowercase() == column.stored);
            let found = position.and_then(|position| view.columns.get(position));
            if found.is_some_and(|found| found.ty != column.ty || found.is_list) {
                return Err(fault(
                    &table.name,
                    format!("column {} has not the type of its view", column.name),
                ));
            }
            origins.push(match position {
                _ if column.role == Role::UnitId => Origin::Nowhere,
                Some(position) if forms.get(position) == Some(&Form::Keyed) => Origin::Keyed(position),
                Some(position) => Origin::View(position),
                None if column.stored == COLLECTION => Origin::Collection,
                None => Origin::Nowhere,
            });
        }
        Ok(Self { landing: Landing::new(SCHEMA, table, secret), view, origins, secret: secret.clone() })
    }

    /// The name of the table for people.
    pub(super) fn shown(&self) -> String {
        shown(&self.landing.name)
    }

    /// Whether the view is the operator's: what does not fit it costs the other tables nothing.
    pub(super) fn is_own(&self) -> bool {
        self.landing.table.definition.is_some()
    }

    /// The stored column that names the resource of a row: every view begins with it.
    pub(super) fn resource_key(&self) -> &str {
        let first = self.view.columns.first().map_or("", |column| column.name.as_str());
        let stored = self.landing.table.columns.iter().find(|column| column.name == first);
        stored.map_or(first, |column| column.stored.as_str())
    }

    /// The columns of a view in the order of the table.
    pub(super) fn in_order(
        &self,
        columns: &[ArrayRef],
        rows: usize,
        collection: &str,
    ) -> Vec<Option<ArrayRef>> {
        let origin = |origin: &Origin| match origin {
            Origin::View(position) => columns.get(*position).map(Arc::clone),
            Origin::Keyed(position) => columns.get(*position).map(|values| own::keyed(&self.secret, values)),
            Origin::Collection => Some(repeated(collection, rows)),
            Origin::Nowhere => None,
        };
        self.origins.iter().map(origin).collect()
    }
}

fn fault(table: &str, reason: impl std::fmt::Display) -> Error {
    Error::new(Code::Model, format!("{SCHEMA}.{table}"), reason)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_model_and_the_views_have_the_same_tables_columns_and_types() {
        let models = Models::bundled().unwrap();
        let tables: BTreeSet<&str> =
            models.model(SCHEMA).unwrap().tables.iter().map(|t| t.name.as_str()).collect();
        assert_eq!(tables, BUNDLED.iter().map(|(name, _)| *name).collect());
        let views = Views::of(&models, &Secret::from_bytes([1; 32])).unwrap();
        for ViewTable { view, landing, .. } in &views.tables {
            assert_eq!(view.name, landing.table.name);
            let of_model =
                landing.table.columns.iter().filter(|c| c.role != Role::UnitId && c.stored != COLLECTION);
            let of_model: Vec<_> = of_model.map(|column| (column.name.as_str(), column.ty)).collect();
            let of_view: Vec<_> =
                view.columns.iter().map(|column| (column.name.as_str(), column.ty)).collect();
            assert_eq!(of_model, of_view, "{}", view.name);
            let key = &view.columns[0].name;
            assert!(key == "id" || key.ends_with("_id"), "{} begins with {key}", view.name);
        }
    }

    #[test]
    fn a_model_that_does_not_fit_the_views_is_refused_by_its_column() {
        let text = include_str!("../../../ontology/models/fhir.toml");
        for (from, to, wanted) in [
            ("name = \"gender\", type = \"text\"", "name = \"gender\", type = \"boolean\"", "column gender"),
            ("name = \"procedure\"", "name = \"procedures\"", "fhir.procedure"),
        ] {
            let model = Models::parse("fhir.toml", &text.replacen(from, to, 1)).unwrap();
            let others = Models::bundled().unwrap();
            let mut all = vec![model];
            all.extend(others.iter().filter(|model| model.schema != SCHEMA).cloned());
            let models = Models::new(all).unwrap();
            let error = Views::of(&models, &Secret::from_bytes([1; 32])).err().unwrap();
            assert!(error.code() == Code::Model && error.to_string().contains(wanted), "{error}");
        }
    }
}
