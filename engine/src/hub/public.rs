//! The public tables of the hub: schema `catalog` (nodes, collections, cubes, tables, columns, refusals, vocabulary),
//! `information_schema`, and the published cubes of schema `cube`. They say what may be asked, never what any data holds, and cost nothing.

mod information;
mod keys;
mod vocabulary;

use std::sync::Arc;

use caim_ontology::{Column, ColumnType, Models, Role, Table, TableKind};
use caim_sql::Code;
use caim_sql::catalogue::{CUBES, NODE, PublicTable};
use caim_sql::released::arrow_type;
use datafusion::arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::DataFusionError;

use super::TableListing;
use super::cubes::{Entry, Shelf};
use crate::federate::Nodes;

/// The catalogue that all tables belong to, in information_schema and in metadata calls.
pub const CATALOG: &str = "caim";

/// What public tables are filled from.
pub(super) struct Contents<'a> {
    pub(super) models: &'a Models,
    pub(super) nodes: &'a dyn Nodes,
    pub(super) vocabulary: &'a Vocabulary,
    pub(super) shelf: &'a Shelf,
}

pub use keys::{Key, Target, keys};
pub(super) use vocabulary::Made as Vocabulary;

/// A public table: its name, what a row is, its columns and how its rows are made.
struct Definition {
    schema: &'static str,
    name: &'static str,
    comment: &'static str,
    columns: &'static [(&'static str, DataType)],
    rows: fn(&Contents<'_>) -> Vec<Vec<Cell>>,
}

/// One value of a public table.
#[derive(Clone)]
enum Cell {
    Text(String),
    Integer(i64),
    Real(f64),
    Truth(bool),
    Null,
}

const TEXT: DataType = DataType::Utf8;

const DEFINITIONS: &[Definition] = &[
    Definition {
        schema: "catalog",
        name: "collection",
        comment: "One row a collection and the node that holds it.",
        columns: &[("collection_id", TEXT), ("node_id", TEXT)],
        rows: collections,
    },
    Definition {
        schema: "catalog",
        name: "column",
        comment: "One row a column that can be used, with the role that says what for.",
        columns: &[
            ("table_schema", TEXT),
            ("table_name", TEXT),
            ("column_name", TEXT),
            ("data_type", TEXT),
            ("role", TEXT),
            ("vocabulary", TEXT),
            ("lo", DataType::Float64),
            ("hi", DataType::Float64),
            ("grid", TEXT),
            ("references", TEXT),
            ("comment", TEXT),
        ],
        rows: columns,
    },
    Definition {
        schema: "catalog",
        name: "cube",
        comment: "One row a published cube and the node that publishes it; status says whether its cells are in the table.",
        columns: &[
            ("cube_name", TEXT),
            ("node_id", TEXT),
            ("description", TEXT),
            ("epoch", DataType::Int64),
            ("definition", TEXT),
            ("status", TEXT),
        ],
        rows: cubes,
    },
    Definition {
        schema: "catalog",
        name: "node",
        comment: "One row a node that was ever seen, with its public policy.",
        columns: &[
            ("node_id", TEXT),
            ("linked", DataType::Boolean),
            ("software", TEXT),
            ("exact", DataType::Boolean),
            ("threshold", DataType::Int64),
            ("noise_sd", DataType::Float64),
            ("rounding", DataType::Int64),
            ("budget_rho", DataType::Float64),
            ("window_days", DataType::Int64),
        ],
        rows: nodes,
    },
    Definition {
        schema: "catalog",
        name: "refusal",
        comment: "One row a reason to say no.",
        columns: &[("code", TEXT), ("name", TEXT), ("rule", TEXT), ("rewrite", TEXT)],
        rows: refusals,
    },
    Definition {
        schema: "catalog",
        name: "table",
        comment: "One row a table that can be used.",
        columns: &[
            ("table_schema", TEXT),
            ("table_name", TEXT),
            ("kind", TEXT),
            ("rows_per_patient", DataType::Int64),
            ("comment", TEXT),
        ],
        rows: tables_of_models,
    },
];

impl Definition {
    fn arrow(&self) -> SchemaRef {
        let field = |(name, ty): &(&str, DataType)| Field::new(*name, ty.clone(), true);
        Arc::new(Schema::new(self.columns.iter().map(field).collect::<Vec<_>>()))
    }
}

impl Contents<'_> {
    /// The rows of a public table.
    pub(super) fn table(&self, schema: &str, name: &str) -> Result<RecordBatch, DataFusionError> {
        if let Some(made) = self.vocabulary.table(self, schema, name) {
            return made;
        }
        if schema == CUBES
            && let Some(cells) = self.shelf.table(name)
        {
            return Ok(cells);
        }
        let mut described = DEFINITIONS.iter().chain(information::DEFINITIONS);
        let found = described.find(|d| d.schema == schema && d.name == name);
        let table = found.ok_or_else(|| DataFusionError::Plan(format!("{schema}.{name} is not public")))?;
        batch(table, self)
    }
}

fn batch(table: &Definition, contents: &Contents<'_>) -> Result<RecordBatch, DataFusionError> {
    let rows = (table.rows)(contents);
    let columns = table.columns.iter().enumerate().map(|(i, (_, ty))| array(&rows, i, ty)).collect();
    Ok(RecordBatch::try_new(table.arrow(), columns)?)
}

fn definitions() -> impl Iterator<Item = &'static Definition> {
    DEFINITIONS.iter().chain(information::DEFINITIONS).chain(vocabulary::DEFINITIONS)
}

/// The public tables as the planner sees them.
pub(super) fn tables() -> Vec<PublicTable> {
    let table = |d: &Definition| PublicTable {
        schema: d.schema.to_owned(),
        name: d.name.to_owned(),
        comment: d.comment.to_owned(),
        arrow: d.arrow(),
    };
    definitions().map(table).collect()
}

/// All tables that clients can list: those of the models, then the public ones.
pub(super) fn listings(models: &Models, shelf: &Shelf) -> Vec<TableListing> {
    let mut listings: Vec<TableListing> = askable(models)
        .map(|(schema, table)| TableListing {
            schema: schema.to_owned(),
            name: table.name.clone(),
            kind: "TABLE",
            comment: table.comment.clone(),
            arrow: table_schema(table),
        })
        .chain(definitions().map(|d| TableListing {
            schema: d.schema.to_owned(),
            name: d.name.to_owned(),
            kind: "VIEW",
            comment: d.comment.to_owned(),
            arrow: d.arrow(),
        }))
        .chain(shelf.listings(models))
        .collect();
    listings.sort_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
    listings
}

/// Tables that can be used in a question: hidden ones are not shown.
fn askable(models: &Models) -> impl Iterator<Item = (&str, &Table)> {
    let tables = models.iter().flat_map(|m| m.tables.iter().map(move |t| (m.schema.as_str(), t)));
    tables.filter(|(_, t)| t.kind != TableKind::Hidden)
}

fn usable(table: &Table) -> impl Iterator<Item = &Column> {
    table.columns.iter().filter(|c| c.role != Role::Hidden)
}

/// What the column of nodes is.
const OF_NODE: &str = "The node that the row is at. Questions are grouped by it, nothing else.";

fn table_schema(table: &Table) -> SchemaRef {
    let field = |c: &Column| {
        let comment = [("comment".to_owned(), c.comment.clone())];
        Field::new(&c.name, arrow_type(c.ty), true).with_metadata(comment.into())
    };
    let node = [("comment".to_owned(), OF_NODE.to_owned())];
    let node = Field::new(NODE, DataType::Utf8, true).with_metadata(node.into());
    let node = (table.kind == TableKind::Patient).then_some(node);
    Arc::new(Schema::new(usable(table).map(field).chain(node).collect::<Vec<_>>()))
}

fn array(rows: &[Vec<Cell>], column: usize, ty: &DataType) -> ArrayRef {
    let cells = rows.iter().map(|row| row.get(column).cloned().unwrap_or(Cell::Null));
    match ty {
        DataType::Int64 => Arc::new(cells.map(Cell::integer).collect::<Int64Array>()),
        DataType::Float64 => Arc::new(cells.map(Cell::real).collect::<Float64Array>()),
        DataType::Boolean => Arc::new(cells.map(Cell::truth).collect::<BooleanArray>()),
        _ => Arc::new(cells.map(Cell::text).collect::<StringArray>()),
    }
}

impl Cell {
    fn integer(self) -> Option<i64> {
        if let Cell::Integer(n) = self { Some(n) } else { None }
    }

    fn real(self) -> Option<f64> {
        if let Cell::Real(x) = self { Some(x) } else { None }
    }

    fn truth(self) -> Option<bool> {
        if let Cell::Truth(b) = self { Some(b) } else { None }
    }

    fn text(self) -> Option<String> {
        if let Cell::Text(t) = self { Some(t) } else { None }
    }
}

fn text(text: impl Into<String>) -> Cell {
    Cell::Text(text.into())
}

fn collections(contents: &Contents<'_>) -> Vec<Vec<Cell>> {
    let mut rows = Vec::new();
    for node in contents.nodes.linked() {
        let profile = node.profile();
        rows.extend(profile.collections.iter().map(|c| vec![text(c), text(profile.node.as_str())]));
    }
    rows
}

fn cubes(contents: &Contents<'_>) -> Vec<Vec<Cell>> {
    let row = |entry: &Entry| {
        let (description, definition) = match &entry.fetched {
            Some((description, definition)) => (text(description), text(definition)),
            None => (Cell::Null, Cell::Null),
        };
        vec![
            text(&entry.name),
            text(entry.node.as_str()),
            description,
            Cell::Integer(entry.epoch as i64),
            definition,
            text(&entry.status),
        ]
    };
    contents.shelf.entries.iter().map(row).collect()
}

fn nodes(contents: &Contents<'_>) -> Vec<Vec<Cell>> {
    let linked = contents.nodes.linked();
    let row = |node: crate::channel::NodeId| {
        let Some(channel) = linked.iter().find(|c| c.profile().node == node) else {
            return vec![text(node.as_str()), Cell::Truth(false)];
        };
        let profile = channel.profile();
        let policy = &profile.policy;
        vec![
            text(node.as_str()),
            Cell::Truth(true),
            text(&profile.software),
            Cell::Truth(policy.public_data),
            Cell::Integer(policy.threshold.into()),
            Cell::Real(policy.noise_sd),
            Cell::Integer(policy.rounding.into()),
            Cell::Real(policy.budget_rho),
            Cell::Integer(policy.window_days.into()),
        ]
    };
    let mut known = contents.nodes.known();
    known.sort();
    known.into_iter().map(row).collect()
}

fn refusals(_: &Contents<'_>) -> Vec<Vec<Cell>> {
    let row = |c: &Code| vec![text(c.id()), text(c.name()), text(c.rule()), text(c.rewrite())];
    Code::ALL.iter().map(row).collect()
}

fn tables_of_models(contents: &Contents<'_>) -> Vec<Vec<Cell>> {
    let row = |(schema, table): (&str, &Table)| {
        let (kind, rows) = match table.kind {
            TableKind::Patient => ("patient", Cell::Integer(table.rows_per_patient.into())),
            TableKind::Public => ("public", Cell::Null),
            TableKind::Hidden => ("hidden", Cell::Null),
        };
        vec![text(schema), text(&table.name), text(kind), rows, text(&table.comment)]
    };
    let cubes =
        contents.shelf.shown().iter().map(|cube| {
            vec![text(CUBES), text(cube.name()), text("cube"), Cell::Null, text(cube.description())]
        });
    askable(contents.models).map(row).chain(cubes).collect()
}

fn columns(contents: &Contents<'_>) -> Vec<Vec<Cell>> {
    let row = |schema: &str, table: &Table, column: &Column| {
        let bounds = column.bounds();
        let (vocabulary, grid) = match &column.role {
            Role::Dimension { vocabulary, .. } => (text(vocabulary), bounds.map(|b| b.grid.to_string())),
            Role::Measure { bounds } => (Cell::Null, Some(bounds.grid.to_string())),
            Role::Date { grid } => (Cell::Null, Some(format!("{grid:?}").to_lowercase())),
            Role::UnitId | Role::Identifier { .. } | Role::Hidden => (Cell::Null, None),
        };
        vec![
            text(schema),
            text(&table.name),
            text(&column.name),
            text(sql_type(column.ty)),
            text(column.role.name()),
            vocabulary,
            bounds.map_or(Cell::Null, |b| Cell::Real(b.lo)),
            bounds.map_or(Cell::Null, |b| Cell::Real(b.hi)),
            grid.map_or(Cell::Null, Cell::Text),
            column.references.as_ref().map_or(Cell::Null, |r| text(r.to_string())),
            text(&column.comment),
        ]
    };
    let node = |schema: &str, table: &Table| {
        let mut row = [schema, &table.name, NODE, "VARCHAR", "dimension", "node"].map(text).to_vec();
        row.resize(10, Cell::Null);
        row.push(text(OF_NODE));
        (table.kind == TableKind::Patient).then_some(row)
    };
    let of_models =
        askable(contents.models).flat_map(|(s, t)| usable(t).map(move |c| row(s, t, c)).chain(node(s, t)));
    of_models.chain(columns_of_cubes(contents)).collect()
}

fn columns_of_cubes(contents: &Contents<'_>) -> Vec<Vec<Cell>> {
    let mut rows = Vec::new();
    for cube in contents.shelf.shown() {
        for (column, field) in cube.columns(contents.models).into_iter().zip(cube.table().schema().fields()) {
            let named =
                [text(CUBES), text(cube.name()), text(column.name), text(sql_type_of(field.data_type()))];
            let mut row = named.to_vec();
            row.push(text(column.role));
            row.resize(10, Cell::Null);
            row.push(text(column.comment));
            rows.push(row);
        }
    }
    rows
}

fn sql_type(ty: ColumnType) -> &'static str {
    sql_type_of(&arrow_type(ty))
}

/// The name in SQL of a type that public tables and models have.
fn sql_type_of(ty: &DataType) -> &'static str {
    match ty {
        DataType::Int64 => "BIGINT",
        DataType::Float64 => "DOUBLE",
        DataType::Boolean => "BOOLEAN",
        DataType::Date32 => "DATE",
        DataType::Timestamp(_, _) => "TIMESTAMP",
        _ => "VARCHAR",
    }
}
