//! `information_schema` as SQL defines it (ISO/IEC 9075-11), with `remarks` for comments: tables, columns, and the keys
//! that the data models declare. Keys with a hidden column are not shown.

use caim_ontology::{Models, Table};
use datafusion::arrow::datatypes::DataType;

use super::{CATALOG, Cell, Contents, Definition, TEXT, askable, listings, sql_type_of, text, usable};

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

/// A key of a table, as clients see its columns.
struct Key<'a> {
    schema: &'a str,
    table: &'a str,
    name: String,
    columns: Vec<&'a str>,
    /// Schema, table and column that a foreign key points to, and the primary key there if that is the column.
    target: Option<(&'a str, &'a str, &'a str, Option<String>)>,
}

impl Key<'_> {
    /// Name and place of the constraint, and the table it is on.
    fn place(&self) -> Vec<Cell> {
        [CATALOG, self.schema, &self.name, CATALOG, self.schema, self.table].map(text).to_vec()
    }
}

fn keys(models: &Models) -> Vec<Key<'_>> {
    let of = |(schema, table)| primary(schema, table).into_iter().chain(foreign(models, schema, table));
    askable(models).flat_map(of).collect()
}

fn primary<'a>(schema: &'a str, table: &'a Table) -> Option<Key<'a>> {
    let shown = table.key.iter().map(|column| shown(table, column)).collect::<Option<Vec<_>>>();
    let columns = shown.filter(|columns| !columns.is_empty())?;
    Some(Key { schema, table: &table.name, name: format!("{}_key", table.name), columns, target: None })
}

fn foreign<'a>(models: &'a Models, schema: &'a str, table: &'a Table) -> impl Iterator<Item = Key<'a>> {
    usable(table).filter_map(move |column| {
        let to = column.references.as_ref()?;
        let (schema_of, target) = askable(models).find(|(s, t)| *s == to.schema && t.name == to.table)?;
        let unique = primary(schema_of, target).filter(|_| target.key == [to.column.clone()]);
        Some(Key {
            schema,
            table: &table.name,
            name: format!("{}_{}", table.name, column.name),
            columns: vec![&column.name],
            target: Some((schema_of, &target.name, shown(target, &to.column)?, unique.map(|key| key.name))),
        })
    })
}

/// A column as clients see it, if they do.
fn shown<'a>(table: &'a Table, stored: &str) -> Option<&'a str> {
    usable(table).find(|column| column.stored == stored).map(|column| column.name.as_str())
}

fn constraints(contents: &Contents<'_>) -> Vec<Vec<Cell>> {
    let row = |key: Key<'_>| {
        let kind = if key.target.is_some() { "FOREIGN KEY" } else { "PRIMARY KEY" };
        let mut row = key.place();
        row.extend([kind, "NO", "NO"].map(text));
        row
    };
    keys(contents.models).into_iter().map(row).collect()
}

fn key_columns(contents: &Contents<'_>) -> Vec<Vec<Cell>> {
    let mut rows = Vec::new();
    for key in keys(contents.models) {
        for (position, column) in (1..).zip(&key.columns) {
            let mut row = key.place();
            row.extend([text(*column), Cell::Integer(position)]);
            if let Some((schema, table, target, _)) = key.target {
                row.extend([Cell::Integer(1), text(schema), text(table), text(target)]);
            }
            rows.push(row);
        }
    }
    rows
}

fn references(contents: &Contents<'_>) -> Vec<Vec<Cell>> {
    let row = |key: Key<'_>| {
        let (schema, _, _, unique) = key.target.clone()?;
        let mut row = key.place();
        row.truncate(3);
        row.extend([text(CATALOG), text(schema), unique.map_or(Cell::Null, text)]);
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use caim_ontology::Models;

    use super::{keys, usable};

    #[test]
    fn keys_have_unique_names_in_their_schema_and_only_columns_that_can_be_used() {
        let models = Models::bundled().unwrap();
        let keys = keys(&models);
        assert!(keys.iter().any(|key| key.target.is_some()) && keys.iter().any(|key| key.target.is_none()));
        let mut names = BTreeSet::new();
        for key in &keys {
            assert!(names.insert((key.schema, key.name.clone())), "{}.{} is twice", key.schema, key.name);
            let table = models.table(key.schema, key.table).unwrap();
            for column in &key.columns {
                assert!(usable(table).any(|usable| usable.name == *column), "{}.{column}", key.table);
            }
        }
    }
}
