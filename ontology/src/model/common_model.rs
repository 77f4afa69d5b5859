//! The bundled common data model against the published one, and what holds for all its tables.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::{Concept, ConceptId};

const PUBLISHED: &str = "ontology/eucaim_cdm_columns.csv";

fn common() -> (Models, DataModel) {
    let models = Models::bundled().unwrap();
    let model = models.model("eucaim").unwrap().clone();
    (models, model)
}

/// Tables and columns as the consortium publishes them, with the type that the model gives each. Not part of a
/// public clone.
fn published() -> Option<BTreeMap<String, BTreeMap<String, ColumnType>>> {
    let text = crate::import::tests::shared(PUBLISHED)?;
    let mut tables: BTreeMap<String, BTreeMap<String, ColumnType>> = BTreeMap::new();
    for row in csv::Reader::from_reader(text.as_bytes()).records().map(Result::unwrap) {
        let ty = match row[3].split('(').next().unwrap() {
            "INT" => ColumnType::Integer,
            "DECIMAL" => ColumnType::Float,
            "DATE" => ColumnType::Date,
            "BOOLEAN" => ColumnType::Boolean,
            "VARCHAR" => ColumnType::Text,
            other => panic!("{PUBLISHED}: unknown type {other}"),
        };
        assert!(tables.entry(row[1].to_owned()).or_default().insert(row[2].to_owned(), ty).is_none());
    }
    Some(tables)
}

#[test]
fn every_published_table_and_column_is_there_under_its_own_name() {
    let Some(published) = published() else { return };
    let (_, model) = common();
    let names: BTreeSet<&str> = model.tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, published.keys().map(String::as_str).collect());
    assert_eq!((published.len(), published.values().map(BTreeMap::len).sum::<usize>()), (24, 205));
    for table in &model.tables {
        let columns: BTreeMap<&str, ColumnType> =
            table.columns.iter().map(|column| (column.name.as_str(), column.ty)).collect();
        for (name, ty) in &published[&table.name] {
            assert_eq!(columns.get(name.as_str()), Some(ty), "{}.{name}", table.name);
        }
    }
}

#[test]
fn what_is_added_to_a_published_table_is_a_patient_a_dataset_a_date_or_a_twin() {
    let Some(published) = published() else { return };
    for table in &common().1.tables {
        let known = &published[&table.name];
        for column in table.columns.iter().filter(|column| !known.contains_key(&column.name)) {
            let twin = column.name.strip_suffix("_original").is_some_and(|of| known.contains_key(of));
            let linked = ["patient_id", "dataset_id"].contains(&column.name.as_str());
            assert!(twin || linked || column.ty == ColumnType::Date, "{}.{}", table.name, column.name);
        }
    }
}

#[test]
fn every_coded_column_has_a_twin_and_roots_that_the_ontology_knows() {
    let (models, model) = common();
    let ontology = models.ontology();
    let mut coded = 0;
    for (table, column) in model.tables.iter().flat_map(|table| table.columns.iter().map(move |c| (table, c)))
    {
        let at = format!("{}.{}", table.name, column.name);
        let twin = table.column(&format!("{}_original", column.name));
        assert_eq!(twin.is_some(), !column.roots.is_empty(), "{at}: a twin belongs to a column with roots");
        let roots = column.root_concepts(&ontology).unwrap_or_else(|e| panic!("{at}: {e}"));
        for domain in &column.domains {
            let known = ontology.iter().any(|(_, c)| c.domain.as_deref() == Some(domain));
            assert!(known, "{at}: no concept is of domain {domain}");
        }
        coded += usize::from(!roots.is_empty());
    }
    assert!(coded > 55, "{coded} coded columns");
}

#[test]
fn every_table_but_the_datasets_is_of_patients_and_says_which_dataset() {
    for table in &common().1.tables {
        if table.name == "dataset" {
            assert_eq!(table.kind, TableKind::Public);
            continue;
        }
        assert_eq!(table.kind, TableKind::Patient, "{}", table.name);
        assert_eq!(table.column("patient_id").map(|c| &c.role), Some(&Role::UnitId), "{}", table.name);
        let dataset = table.column("dataset_id").and_then(|c| c.references.as_ref());
        assert_eq!(dataset.unwrap().to_string(), "eucaim.dataset.dataset_id", "{}", table.name);
        let dated = table.columns.iter().any(|c| c.ty == ColumnType::Date);
        assert!(dated, "{} has no date", table.name);
    }
}

#[test]
fn keys_are_identifiers_and_a_reference_is_of_the_type_it_points_to() {
    let (models, model) = common();
    for table in model.tables.iter().filter(|table| table.kind == TableKind::Patient) {
        for key in &table.key {
            let role = &table.column(key).unwrap().role;
            let fits = matches!(role, Role::Identifier { .. } | Role::Dimension { .. });
            assert!(fits, "{}.{key} is {}", table.name, role.name());
        }
        for (column, target) in table.columns.iter().filter_map(|c| Some((c, c.references.as_ref()?))) {
            let of = models.table(&target.schema, &target.table).unwrap().column(&target.column).unwrap();
            assert_eq!(column.ty, of.ty, "{}.{} and {target}", table.name, column.name);
        }
    }
}

#[test]
fn texts_of_people_and_numbers_of_sources_are_hidden() {
    let (_, model) = common();
    let hidden = |table: &str, column: &str| {
        let table = model.tables.iter().find(|t| t.name == table).unwrap();
        table.column(column).unwrap().role == Role::Hidden
    };
    for (table, column) in [
        ("image_series", "series_description"),
        ("cancer_condition", "Identifier"),
        ("tumor", "Identifier"),
        ("treatment", "TreatmentIdentifier"),
        ("procedure", "ProcedureIdentifier"),
        ("patient", "patient_managing_organization"),
    ] {
        assert!(hidden(table, column), "{table}.{column} can be asked");
    }
    assert!(!hidden("episode_event", "event_table_name"));
}

#[test]
fn a_domain_adds_the_concepts_that_the_tree_leaves_without_a_parent() {
    let (models, model) = common();
    let ontology = models.ontology();
    let table = model.tables.iter().find(|t| t.name == "medication_administration").unwrap();
    let roots = table.column("medication_code").unwrap().root_concepts(&ontology).unwrap();
    let found = |label: &str| {
        let of_label = |(id, concept): (ConceptId, &Concept)| {
            (&*concept.label == label && concept.domain.as_deref() == Some("Drug")).then_some(id)
        };
        let drug = ontology.iter().find_map(of_label).unwrap();
        roots.iter().any(|root| ontology.is_a(drug, *root))
    };
    assert!(found("Paclitaxel") && found("oxaliplatin"));
    let prostate = ontology.resolve("EUCAIM:CLIN1000075", &[]).unwrap();
    assert!(!roots.iter().any(|root| ontology.is_a(prostate, *root)));
}
