//! The tables of the catalogue: their columns as PostgreSQL 14 documents them, and the rows that the hub's tables make.

use pgwire::api::Type;
use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};

use super::super::statements::SHOWN;
use super::contents::{Contents, INFORMATION, Key, Listed, oid};

/// The schema that a name without schema is looked for in.
pub(super) const DEFAULT_SCHEMA: &str = "eucaim";

/// Who owns everything.
pub(super) const OWNER: &str = "caim";
const OWNER_OID: u32 = 10;

/// The functions of concepts: name, result, arguments, comment.
pub(super) const FUNCTIONS: &[(&str, &str, &str, &str)] = &[
    ("is_a", "boolean", "column text, concept text", "Whether a code is that concept or one beneath it."),
    ("label", "text", "column text", "What people call a concept."),
    ("roll_up", "text", "column text, concept text", "The concept right beneath one that a code lies under."),
    (
        "roll_up_to",
        "text",
        "column text, VARIADIC concepts text",
        "The first of these concepts that a code lies under.",
    ),
];

/// PostgreSQL's own numbers of the tables that comments refer to.
pub(super) const CLASSES: [(&str, u32); 7] = [
    ("pg_class", PG_CLASS),
    ("pg_proc", PG_PROC),
    ("pg_attribute", 1249),
    ("pg_type", 1247),
    ("pg_namespace", 2615),
    ("pg_constraint", 2606),
    ("pg_database", 1262),
];
const PG_CLASS: u32 = 1259;
const PG_PROC: u32 = 1255;

/// A type that columns have.
pub(super) struct NamedType {
    pub(super) oid: u32,
    pub(super) name: &'static str,
    /// As SQL names it.
    pub(super) sql: &'static str,
    len: i32,
    category: &'static str,
    array: u32,
}

const fn ty(
    oid: u32,
    name: &'static str,
    sql: &'static str,
    len: i32,
    category: &'static str,
    array: u32,
) -> NamedType {
    NamedType { oid, name, sql, len, category, array }
}

/// The types, under PostgreSQL's own numbers.
pub(super) const TYPES: &[NamedType] = &[
    ty(16, "bool", "boolean", 1, "B", 1000),
    ty(17, "bytea", "bytea", -1, "U", 1001),
    ty(18, "char", "\"char\"", 1, "Z", 1002),
    ty(19, "name", "name", 64, "S", 1003),
    ty(20, "int8", "bigint", 8, "N", 1016),
    ty(21, "int2", "smallint", 2, "N", 1005),
    ty(23, "int4", "integer", 4, "N", 1007),
    ty(25, "text", "text", -1, "S", 1009),
    ty(26, "oid", "oid", 4, "N", 1028),
    ty(700, "float4", "real", 4, "N", 1021),
    ty(701, "float8", "double precision", 8, "N", 1022),
    ty(705, "unknown", "unknown", -2, "X", 0),
    ty(1042, "bpchar", "character", -1, "S", 1014),
    ty(1043, "varchar", "character varying", -1, "S", 1015),
    ty(1082, "date", "date", 4, "D", 1182),
    ty(1083, "time", "time without time zone", 8, "D", 1183),
    ty(1114, "timestamp", "timestamp without time zone", 8, "D", 1115),
    ty(1184, "timestamptz", "timestamp with time zone", 8, "D", 1185),
    ty(1186, "interval", "interval", 16, "T", 1187),
    ty(1700, "numeric", "numeric", -1, "N", 1231),
];

/// One table a line: its columns with their types and what they are unless a row says otherwise.
pub(super) const COLUMNS: &str = include_str!("pg_catalog.txt");

/// Makes and fills all tables.
pub(super) fn fill(database: &Connection, contents: &Contents) -> rusqlite::Result<()> {
    database
        .execute_batch("ATTACH ':memory:' AS pg_catalog; ATTACH ':memory:' AS information_schema; BEGIN")?;
    for line in COLUMNS.lines().filter(|line| !line.trim().is_empty()) {
        database.execute_batch(&format!("CREATE TABLE pg_catalog.{line}"))?;
    }
    server(database)?;
    types(database)?;
    functions(database)?;
    let mut schemas: Vec<&str> = contents.tables.iter().map(|table| table.schema.as_str()).collect();
    schemas.dedup();
    for schema in schemas.into_iter().chain(["pg_catalog"]) {
        let row = params![namespace(schema), schema, OWNER_OID];
        database.execute("INSERT INTO pg_namespace (oid, nspname, nspowner) VALUES (?, ?, ?)", row)?;
    }
    for listed in &contents.tables {
        table(database, contents, listed)?;
    }
    for key in &contents.keys {
        constraint(database, contents, key)?;
    }
    for name in INFORMATION {
        information(database, contents, name)?;
    }
    database.execute_batch("COMMIT")
}

/// The number of a schema.
pub(super) fn namespace(schema: &str) -> u32 {
    if schema == "pg_catalog" { 11 } else { oid(schema) }
}

fn server(database: &Connection) -> rusqlite::Result<()> {
    let database_name = caim_engine::hub::public::CATALOG;
    let named = params![database_name, OWNER_OID];
    database.execute("INSERT INTO pg_database (oid, datname, datdba) VALUES (5, ?, ?)", named)?;
    let owner = params![OWNER_OID, OWNER];
    database.execute("INSERT INTO pg_roles (oid, rolname) VALUES (?, ?)", owner)?;
    database.execute("INSERT INTO pg_user (usesysid, usename) VALUES (?, ?)", owner)?;
    for (name, setting) in SHOWN {
        database.execute("INSERT INTO pg_settings (name, setting) VALUES (?, ?)", params![name, setting])?;
    }
    Ok(())
}

fn types(database: &Connection) -> rusqlite::Result<()> {
    let insert = "INSERT INTO pg_type (oid, typname, typnamespace, typlen, typcategory, typarray, typelem, typinput) \
                  VALUES (?, ?, 11, ?, ?, ?, ?, ?)";
    for ty in TYPES {
        let input = format!("{}in", ty.name);
        database.execute(insert, params![ty.oid, ty.name, ty.len, ty.category, ty.array, 0, input])?;
        if ty.array > 0 {
            let name = format!("_{}", ty.name);
            database.execute(insert, params![ty.array, name, -1, "A", 0, ty.oid, "array_in"])?;
        }
    }
    Ok(())
}

fn functions(database: &Connection) -> rusqlite::Result<()> {
    for (name, result, arguments, comment) in FUNCTIONS {
        let result = if *result == "boolean" { 16 } else { 25 };
        let count = arguments.split(',').count() as i64;
        database.execute(
            "INSERT INTO pg_proc (oid, proname, pronamespace, prorettype, pronargs) VALUES (?, ?, ?, ?, ?)",
            params![oid(name), name, namespace(DEFAULT_SCHEMA), result, count],
        )?;
        describe(database, oid(name), PG_PROC, 0, comment)?;
    }
    Ok(())
}

fn describe(database: &Connection, oid: u32, class: u32, column: i64, comment: &str) -> rusqlite::Result<()> {
    let insert = "INSERT INTO pg_description (objoid, classoid, objsubid, description) VALUES (?, ?, ?, ?)";
    database.execute(insert, params![oid, class, column, comment]).map(drop)
}

fn table(database: &Connection, contents: &Contents, table: &Listed) -> rusqlite::Result<()> {
    let keyed = contents.keys.iter().any(|key| key.schema == table.schema && key.table == table.name);
    database.execute(
        "INSERT INTO pg_class (oid, relname, relnamespace, relkind, relnatts, relhastriggers) VALUES (?, ?, ?, ?, ?, ?)",
        params![table.oid, table.name, namespace(&table.schema), table.kind, table.columns.len() as i64, keyed],
    )?;
    let (listing, name) = match table.kind {
        "v" => ("INSERT INTO pg_views (schemaname, viewname, viewowner) VALUES (?, ?, ?)", &table.name),
        _ => ("INSERT INTO pg_tables (schemaname, tablename, tableowner) VALUES (?, ?, ?)", &table.name),
    };
    database.execute(listing, params![table.schema, name, OWNER])?;
    describe(database, table.oid, PG_CLASS, 0, &table.comment)?;
    for (number, column) in (1..).zip(&table.columns) {
        let ty = TYPES.iter().find(|ty| ty.oid == column.ty.oid());
        let collation = if column.ty == Type::TEXT { 100 } else { 0 };
        database.execute(
            "INSERT INTO pg_attribute (attrelid, attname, atttypid, attlen, attnum, attcollation) \
             VALUES (?, ?, ?, ?, ?, ?)",
            params![table.oid, column.name, column.ty.oid(), ty.map_or(-1, |ty| ty.len), number, collation],
        )?;
        if let Some(comment) = &column.comment {
            describe(database, table.oid, PG_CLASS, number, comment)?;
        }
    }
    Ok(())
}

fn constraint(database: &Connection, contents: &Contents, key: &Key) -> rusqlite::Result<()> {
    let Some(table) = contents.table(&key.schema, &key.table) else { return Ok(()) };
    let (kind, target, foreign) = match &key.target {
        None => ("p", 0, None),
        Some((schema, name, column)) => {
            let target = contents.table(schema, name);
            let foreign = target.map(|target| numbers(target, std::slice::from_ref(column)));
            ("f", target.map_or(0, |target| target.oid), foreign)
        }
    };
    let columns = numbers(table, &key.columns);
    let index = if key.target.is_none() { primary(database, table.oid, key.oid, &columns)? } else { 0 };
    let row = params![
        key.oid,
        key.name,
        namespace(&key.schema),
        kind,
        table.oid,
        index,
        target,
        array(&columns),
        foreign.as_deref().map(array),
    ];
    database.execute(
        "INSERT INTO pg_constraint (oid, conname, connamespace, contype, conrelid, conindid, confrelid, conkey, confkey) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        row,
    )?;
    Ok(())
}

/// The index that tools read a primary key's columns from. It has the number of its key, and is no relation.
fn primary(database: &Connection, table: u32, key: u32, columns: &[usize]) -> rusqlite::Result<u32> {
    let vector = |of: &dyn Fn(&usize) -> String| columns.iter().map(of).collect::<Vec<_>>().join(" ");
    let none = vector(&|_| "0".to_owned());
    database.execute(
        "INSERT INTO pg_index (indexrelid, indrelid, indnatts, indnkeyatts, indisunique, indnullsnotdistinct, \
         indisprimary, indisexclusion, indimmediate, indisclustered, indisvalid, indcheckxmin, indisready, indislive, \
         indisreplident, indkey, indcollation, indclass, indoption) \
         VALUES (?1, ?2, ?3, ?3, 1, 0, 1, 0, 1, 0, 1, 0, 1, 1, 0, ?4, ?5, ?5, ?5)",
        params![key, table, columns.len(), vector(&usize::to_string), none],
    )?;
    Ok(key)
}

/// The places of columns in their table, from 1.
fn numbers(table: &Listed, columns: &[String]) -> Vec<usize> {
    let place = |column: &String| table.columns.iter().position(|known| known.name == *column);
    columns.iter().filter_map(place).map(|place| place + 1).collect()
}

fn array(numbers: &[usize]) -> String {
    format!("{{{}}}", numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
}

fn information(database: &Connection, contents: &Contents, name: &'static str) -> rusqlite::Result<()> {
    let Some(rows) = contents.information.get(name) else { return Ok(()) };
    let number = |column: &str| {
        column.ends_with("position") || column.contains("precision") || column.contains("scale")
    };
    let column = |name: &String| format!("{name} {}", if number(name) { "INT4" } else { "TEXT" });
    let columns = rows.columns.iter().map(column).collect::<Vec<_>>().join(", ");
    database.execute_batch(&format!("CREATE TABLE information_schema.{name} ({columns})"))?;
    let marks = vec!["?"; rows.columns.len()].join(", ");
    let mut insert = database.prepare(&format!("INSERT INTO information_schema.{name} VALUES ({marks})"))?;
    for row in &rows.rows {
        let values = row.iter().map(|text| text.clone().map_or(Value::Null, Value::Text));
        insert.execute(params_from_iter(values))?;
    }
    Ok(())
}
