//! `docs/common-data-model.md` is written from the model file: this test writes it, and says when the two differ.

use std::env;
use std::fmt::Write;
use std::fs;

use caim_ontology::{Bounds, Column, ColumnType, Grid, Models, Ontology, Role, Table, TableKind};
use caim_tests::workspace;

const PAGE: &str = "docs/common-data-model.md";
const WRITE: &str = "CAIM_WRITE_DOCS";

/// Most roots of a column that its row lists.
const ROOTS: usize = 8;

#[test]
fn the_page_of_the_common_data_model_says_what_the_model_file_says() {
    let (path, page) = (workspace().join(PAGE), page());
    if env::var_os(WRITE).is_some() {
        fs::write(&path, &page).unwrap();
    }
    let stored = fs::read_to_string(&path).unwrap_or_default();
    let differs = stored.lines().zip(page.lines()).find(|(stored, page)| stored != page);
    assert!(
        stored == page,
        "{PAGE} and ontology/models/eucaim.toml differ, first in {differs:?}; to write the page again: \
         {WRITE}=1 cargo test --workspace --test suite -- common_model_page"
    );
}

#[test]
fn a_row_of_the_page_shows_role_bounds_concepts_and_reference() {
    let page = page();
    for row in [
        "| `patient_birth_date` | date | date | by year |  |  |",
        "| `lab_test_value_as_number` | float | measure | 0 to 10000 by 0.1 |  |  |",
        "| `patient_birth_sex` | text | dimension |  | Sex assigned at birth (`COM1001396`) |  |",
        "| `treatment_id` | integer | identifier |  |  | `treatment.treatment_id` |",
        "| `TreatmentIdentifier` | text | hidden |  |  |  |",
    ] {
        assert!(page.contains(row), "{PAGE} has no row that begins with {row}");
    }
}

fn page() -> String {
    let models = Models::bundled().unwrap();
    let (model, ontology) = (models.model("eucaim").unwrap(), models.ontology());
    let tables: String = model.tables.iter().map(|table| section(table, &ontology)).collect();
    let contents: Vec<String> = model.tables.iter().map(|table| format!("[{0}](#{0})", table.name)).collect();
    let columns: usize = model.tables.iter().map(|table| table.columns.len()).sum();
    format!(
        "# The common data model\n\n\
         Schema `{}`, version {}: {} tables, {columns} columns. This page is written from \
         `ontology/models/eucaim.toml`; change that file, then run\n\n\
         ```\n{WRITE}=1 cargo test --workspace --test suite -- common_model_page\n```\n\n\
         Tables and columns are those of the EUCAIM common data model (Apache-2.0) under their own names. Added are \
         `patient_id`, `dataset_id`, a date where a table lacks one, and a twin `<column>_original` of every coded \
         column, which keeps what the source said. Concepts are those of the hyperontology (version {}) below the \
         roots named, and of the OMOP domains named. A hidden column is kept in its node and cannot be asked. Rows \
         are how many one patient may add to an answer.\n\n\
         {}.\n\n{}\n{tables}",
        model.schema,
        model.version,
        model.tables.len(),
        ontology.version(),
        ontology.attribution(),
        contents.join(", "),
    )
}

fn section(table: &Table, ontology: &Ontology) -> String {
    let rows = match table.kind {
        TableKind::Patient => format!("rows {}", table.rows_per_patient),
        TableKind::Public => "public".to_owned(),
        TableKind::Hidden => "hidden".to_owned(),
    };
    let key =
        if table.key.is_empty() { String::new() } else { format!("; key `{}`", table.key.join("`, `")) };
    let mut text = format!(
        "\n## {}\n\n{} ({rows}{key})\n\n\
         | column | type | role | bounds, grid | concepts | reference | comment |\n|---|---|---|---|---|---|---|\n",
        table.name,
        table.comment.trim_end_matches('.'),
    );
    for column in &table.columns {
        writeln!(
            text,
            "| `{}` | {} | {} | {} | {} | {} | {} |",
            column.name,
            ty(column.ty),
            column.role.name(),
            limits(&column.role),
            concepts(column, ontology),
            reference(column),
            column.comment,
        )
        .unwrap();
    }
    text
}

fn ty(ty: ColumnType) -> &'static str {
    match ty {
        ColumnType::Text => "text",
        ColumnType::Integer => "integer",
        ColumnType::Float => "float",
        ColumnType::Boolean => "boolean",
        ColumnType::Date => "date",
        ColumnType::Timestamp => "timestamp",
    }
}

fn limits(role: &Role) -> String {
    match role {
        Role::Measure { bounds: Bounds { lo, hi, grid } }
        | Role::Dimension { bounds: Some(Bounds { lo, hi, grid }), .. } => format!("{lo} to {hi} by {grid}"),
        Role::Date { grid: Grid::Day } => "by day".to_owned(),
        Role::Date { grid: Grid::Month } => "by month".to_owned(),
        Role::Date { grid: Grid::Year } => "by year".to_owned(),
        Role::UnitId | Role::Identifier { .. } | Role::Dimension { bounds: None, .. } | Role::Hidden => {
            String::new()
        }
    }
}

fn concepts(column: &Column, ontology: &Ontology) -> String {
    let named = |code: &String| {
        let concept = ontology.find(code).unwrap();
        format!("{} (`{code}`)", ontology.label(concept).replace('|', "\\|"))
    };
    let mut parts: Vec<String> = column.roots.iter().take(ROOTS).map(named).collect();
    if let Some(more) = column.roots.len().checked_sub(ROOTS).filter(|more| *more > 0) {
        parts.push(format!("and {more} more"));
    }
    parts.extend(column.domains.iter().map(|domain| format!("domain {domain}")));
    parts.join("; ")
}

fn reference(column: &Column) -> String {
    column.references.as_ref().map_or(String::new(), |to| format!("`{}.{}`", to.table, to.column))
}
