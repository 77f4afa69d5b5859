//! `information_schema` as SQL defines it (ISO/IEC 9075-11), with `remarks` for comments: tables, columns, and the keys
//! that the data models declare. Keys with a hidden column are not shown.

use datafusion::arrow::datatypes::DataType;

use super::keys::{Key, keys};
use super::{CATALOG, Cell, Contents, Definition, TEXT, listings, sql_type_of, text};

const NUMBER: DataType = DataType::Int64;

/// The tables.
pub(super) const DEFINITIONS: &[Definition] = &[
    Definition {
        schema: "information_schema",
        name: "columns",
        comment: "One row a column.",
        columns: &[
            ("table_catalog", TEXT),
            ("table_schema", TEXT),
            ("table_name", TEXT),
            ("column_name", TEXT),
            ("ordinal_position", NUMBER),
            ("column_default", TEXT),
            ("is_nullable", TEXT),
            ("data_type", TEXT),
            ("character_maximum_length", NUMBER),
            ("numeric_precision", NUMBER),
            ("numeric_scale", NUMBER),
            ("datetime_precision", NUMBER),
            ("remarks", TEXT),
        ],
        rows: columns,
    },
    Definition {
        schema: "information_schema",
        name: "key_column_usage",
        comment: "One row a column of a key.",
        columns: &[
            ("constraint_catalog", TEXT),
            ("constraint_schema", TEXT),
            ("constraint_name", TEXT),
            ("table_catalog", TEXT),
            ("table_schema", TEXT),
            ("table_name", TEXT),
            ("column_name", TEXT),
            ("ordinal_position", NUMBER),
            ("position_in_unique_constraint", NUMBER),
            ("referenced_table_schema", TEXT),
            ("referenced_table_name", TEXT),
            ("referenced_column_name", TEXT),
        ],
        rows: key_columns,
    },
    Definition {
        schema: "information_schema",
        name: "referential_constraints",
        comment: "One row a foreign key; all of them have one column.",
        columns: &[
            ("constraint_catalog", TEXT),
            ("constraint_schema", TEXT),
            ("constraint_name", TEXT),
            ("unique_constraint_catalog", TEXT),
            ("unique_constraint_schema", TEXT),
            ("unique_constraint_name", TEXT),
            ("match_option", TEXT),
            ("update_rule", TEXT),
            ("delete_rule", TEXT),
        ],
        rows: references,
    },
    Definition {
        schema: "information_schema",
        name: "schemata",
        comment: "One row a schema.",
        columns: &[("catalog_name", TEXT), ("schema_name", TEXT), ("schema_owner", TEXT)],
        rows: schemata,
    },
    Definition {
        schema: "information_schema",
        name: "table_constraints",
        comment: "One row a primary or foreign key.",
        columns: &[
            ("constraint_catalog", TEXT),
            ("constraint_schema", TEXT),
            ("constraint_name", TEXT),
            ("table_catalog", TEXT),
            ("table_schema", TEXT),
            ("table_name", TEXT),
            ("constraint_type", TEXT),
            ("is_deferrable", TEXT),
            ("initially_deferred", TEXT),
        ],
        rows: constraints,
    },
    Definition {
        schema: "information_schema",
        name: "tables",
        comment: "One row a table.",
        columns: &[
            ("table_catalog", TEXT),
            ("table_schema", TEXT),
            ("table_name", TEXT),
            ("table_type", TEXT),
            ("remarks", TEXT),
        ],
        rows: tables,
    },
];

/// Name and place of a constraint, and the table it is on.
fn place(key: &Key<'_>) -> Vec<Cell> {
    [CATALOG, key.schema, &key.name, CATALOG, key.schema, key.table].map(text).to_vec()
}

fn constraints(contents: &Contents<'_>) -> Vec<Vec<Cell>> {
    let row = |key: Key<'_>| {
        let kind = if key.target.is_some() { "FOREIGN KEY" } else { "PRIMARY KEY" };
        let mut row = place(&key);
        row.extend([kind, "NO", "NO"].map(text));
        row
    };
    keys(contents.models).into_iter().map(row).collect()
}

fn key_columns(contents: &Contents<'_>) -> Vec<Vec<Cell>> {
    let mut rows = Vec::new();
    for key in keys(contents.models) {
        for (position, column) in (1..).zip(&key.columns) {
            let mut row = place(&key);
            row.extend([text(*column), Cell::Integer(position)]);
            if let Some(target) = &key.target {
                row.extend([Cell::Integer(1), text(target.schema), text(target.table), text(target.column)]);
            }
            rows.push(row);
        }
    }
    rows
}

fn references(contents: &Contents<'_>) -> Vec<Vec<Cell>> {
    let row = |key: Key<'_>| {
        let target = key.target.as_ref()?;
        let mut row = place(&key);
        row.truncate(3);
        row.extend([text(CATALOG), text(target.schema), target.key.as_ref().map_or(Cell::Null, text)]);
        row.extend(["NONE", "NO ACTION", "NO ACTION"].map(text));
        Some(row)
    };
    keys(contents.models).into_iter().filter_map(row).collect()
}

fn columns(contents: &Contents<'_>) -> Vec<Vec<Cell>> {
    let mut rows = Vec::new();
    for listing in listings(contents.models, contents.shelf) {
        for (position, field) in (1..).zip(listing.arrow.fields()) {
            let ty = field.data_type();
            let only = |holds: bool, value: i64| if holds { Cell::Integer(value) } else { Cell::Null };
            rows.push(vec![
                text(CATALOG),
                text(&listing.schema),
                text(&listing.name),
                text(field.name()),
                Cell::Integer(position),
                Cell::Null,
                text("YES"),
                text(sql_type_of(ty)),
                Cell::Null,
                if ty.is_floating() { Cell::Integer(53) } else { only(ty.is_integer(), 64) },
                only(ty.is_integer(), 0),
                only(matches!(ty, DataType::Timestamp(_, _)), 6),
                field.metadata().get("comment").map_or(Cell::Null, text),
            ]);
        }
    }
    rows
}

fn schemata(contents: &Contents<'_>) -> Vec<Vec<Cell>> {
    let mut schemas: Vec<String> =
        listings(contents.models, contents.shelf).into_iter().map(|l| l.schema).collect();
    schemas.dedup();
    schemas.into_iter().map(|s| vec![text(CATALOG), text(s), text(CATALOG)]).collect()
}

fn tables(contents: &Contents<'_>) -> Vec<Vec<Cell>> {
    let rows = listings(contents.models, contents.shelf).into_iter().map(|l| {
        let kind = if l.kind == "TABLE" { "BASE TABLE" } else { "VIEW" };
        vec![text(CATALOG), text(l.schema), text(l.name), text(kind), text(l.comment)]
    });
    rows.collect()
}
