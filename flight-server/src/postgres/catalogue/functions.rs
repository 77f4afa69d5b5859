//! The functions of PostgreSQL that catalogue queries call, over what the catalogue holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use regex::RegexBuilder;
use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};

use super::super::statements::SHOWN;
use super::contents::{self, Contents};
use super::tables::{self, DEFAULT_SCHEMA};

/// What a function gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gives {
    Text,
    Truth,
    Number,
    Json,
}

/// Words that stand for who and where one is, with or without parentheses.
const CONSTANTS: [&str; 7] = [
    "current_user",
    "session_user",
    "user",
    "current_role",
    "current_database",
    "current_catalog",
    "current_schema",
];

/// Functions that SQLite has under another name.
pub(super) const RENAMED: [(&str, &str, Gives); 4] = [
    ("bool_and", "min", Gives::Truth),
    ("bool_or", "max", Gives::Truth),
    ("json_build_object", "json_object", Gives::Json),
    ("json_agg", "json_group_array", Gives::Json),
];

/// Functions that SQLite brings.
const BUILT_IN: [&str; 24] = [
    "abs",
    "array_agg",
    "avg",
    "coalesce",
    "concat",
    "concat_ws",
    "count",
    "dense_rank",
    "group_concat",
    "instr",
    "length",
    "lower",
    "ltrim",
    "max",
    "min",
    "nullif",
    "rank",
    "replace",
    "row_number",
    "rtrim",
    "string_agg",
    "substr",
    "sum",
    "upper",
];

type Evaluate = fn(&Contents, &[Value]) -> Value;

/// The functions of PostgreSQL. Each takes any number of arguments.
const SYSTEM: &[(&str, Gives, Evaluate)] = &[
    ("version", Gives::Text, |_, _| text("PostgreSQL 14.0 (Caim, read-only)")),
    ("pg_backend_pid", Gives::Number, |_, _| Value::Integer(1)),
    ("pg_is_in_recovery", Gives::Truth, |_, _| truth(false)),
    ("pg_postmaster_start_time", Gives::Text, |_, _| Value::Null),
    ("inet_server_addr", Gives::Text, |_, _| Value::Null),
    ("inet_server_port", Gives::Number, |_, _| Value::Null),
    ("txid_current", Gives::Number, |_, _| Value::Integer(1)),
    ("current_schemas", Gives::Text, |_, _| text(format!("{{pg_catalog,{DEFAULT_SCHEMA}}}"))),
    ("current_setting", Gives::Text, |_, a| setting(a)),
    ("set_config", Gives::Text, |_, a| a.get(1).cloned().unwrap_or(Value::Null)),
    ("has_table_privilege", Gives::Truth, |_, a| privilege(a)),
    ("has_schema_privilege", Gives::Truth, |_, a| privilege(a)),
    ("has_database_privilege", Gives::Truth, |_, a| privilege(a)),
    ("has_any_column_privilege", Gives::Truth, |_, a| privilege(a)),
    ("has_column_privilege", Gives::Truth, |_, a| privilege(a)),
    ("has_sequence_privilege", Gives::Truth, |_, _| truth(false)),
    ("has_function_privilege", Gives::Truth, |_, _| truth(true)),
    ("pg_has_role", Gives::Truth, |_, _| truth(true)),
    ("pg_get_userbyid", Gives::Text, |_, _| text(tables::OWNER)),
    ("pg_table_is_visible", Gives::Truth, |c, a| truth(visible(c, a))),
    ("pg_type_is_visible", Gives::Truth, |_, _| truth(true)),
    ("pg_function_is_visible", Gives::Truth, |_, _| truth(true)),
    ("pg_operator_is_visible", Gives::Truth, |_, _| truth(true)),
    ("pg_collation_is_visible", Gives::Truth, |_, _| truth(true)),
    ("pg_encoding_to_char", Gives::Text, |_, _| text("UTF8")),
    ("pg_char_to_encoding", Gives::Number, |_, _| Value::Integer(6)),
    ("pg_get_expr", Gives::Text, |_, _| Value::Null),
    ("pg_get_constraintdef", Gives::Text, constraint),
    ("pg_get_indexdef", Gives::Text, |_, _| Value::Null),
    ("pg_get_viewdef", Gives::Text, |_, _| Value::Null),
    ("pg_get_triggerdef", Gives::Text, |_, _| Value::Null),
    ("pg_get_ruledef", Gives::Text, |_, _| Value::Null),
    ("pg_get_partkeydef", Gives::Text, |_, _| Value::Null),
    ("pg_get_statisticsobjdef_columns", Gives::Text, |_, _| Value::Null),
    ("pg_get_serial_sequence", Gives::Text, |_, _| Value::Null),
    ("pg_get_function_result", Gives::Text, |_, a| function(a, 1)),
    ("pg_get_function_arguments", Gives::Text, |_, a| function(a, 2)),
    ("pg_get_function_identity_arguments", Gives::Text, |_, a| function(a, 2)),
    ("pg_get_functiondef", Gives::Text, |_, _| Value::Null),
    ("pg_partition_ancestors", Gives::Number, |_, _| Value::Null),
    ("pg_relation_is_publishable", Gives::Truth, |_, _| truth(false)),
    ("pg_relation_size", Gives::Number, |_, _| Value::Integer(0)),
    ("pg_total_relation_size", Gives::Number, |_, _| Value::Integer(0)),
    ("pg_table_size", Gives::Number, |_, _| Value::Integer(0)),
    ("pg_database_size", Gives::Number, |_, _| Value::Integer(0)),
    ("pg_size_pretty", Gives::Text, |_, _| text("0 bytes")),
    ("pg_stat_get_numscans", Gives::Number, |_, _| Value::Integer(0)),
    ("pg_tablespace_location", Gives::Text, |_, _| text("")),
    ("array_to_string", Gives::Text, |_, a| joined(a)),
    ("array_length", Gives::Number, |_, a| length(a)),
    ("array_upper", Gives::Number, |_, a| length(a)),
    ("array_lower", Gives::Number, |_, _| Value::Integer(1)),
    ("cardinality", Gives::Number, |_, a| length(a)),
    ("format_type", Gives::Text, |_, a| integer(a, 0).map_or(Value::Null, type_name)),
    ("col_description", Gives::Text, |c, a| column_comment(c, a)),
    ("obj_description", Gives::Text, |c, a| comment(c, a)),
    ("shobj_description", Gives::Text, |_, _| Value::Null),
    ("quote_ident", Gives::Text, |_, a| string(a, 0).map_or(Value::Null, |name| text(quoted(&name)))),
    ("to_regclass", Gives::Number, |c, a| class_oid(c, a)),
    ("pg_class_oid", Gives::Number, |c, a| class_oid(c, a)),
    ("pg_class_name", Gives::Text, |c, a| class_name(c, a)),
    ("pg_namespace_oid", Gives::Number, |_, a| {
        string(a, 0).map_or(Value::Null, |n| Value::Integer(tables::namespace(&n).into()))
    }),
    ("pg_namespace_name", Gives::Text, |c, a| namespace_name(c, a)),
    ("pg_type_oid", Gives::Number, |_, a| type_oid(a)),
    ("to_regtype", Gives::Number, |_, a| type_oid(a)),
    ("pg_matches", Gives::Truth, |_, a| matches(a, Case::Kept)),
    ("pg_imatches", Gives::Truth, |_, a| matches(a, Case::Folded)),
    ("pg_in_array", Gives::Truth, |_, a| in_array(a, true)),
    ("pg_outside_array", Gives::Truth, |_, a| in_array(a, false)),
    ("pg_array", Gives::Text, |_, a| {
        text(format!("{{{}}}", a.iter().map(shown).collect::<Vec<_>>().join(",")))
    }),
    ("pg_json_unnest", Gives::Text, |_, a| {
        json(string(a, 0).iter().flat_map(|array| items(array)).map(str::to_owned))
    }),
    ("pg_json_subscripts", Gives::Text, |_, a| {
        json(string(a, 0).iter().flat_map(|array| items(array)).enumerate().map(|(i, _)| (i + 1).to_string()))
    }),
    ("pg_json_series", Gives::Text, |_, a| {
        json((integer(a, 0).unwrap_or(1)..=integer(a, 1).unwrap_or(0)).take(1_000).map(|n| n.to_string()))
    }),
    ("pg_json_nothing", Gives::Text, |_, _| text("[]")),
    ("pg_element", Gives::Text, |_, a| element(a)),
    ("pg_element_beside", Gives::Text, |_, a| element_beside(a)),
];

/// A word that stands for who or where one is.
pub(super) fn is_constant(name: &str) -> bool {
    CONSTANTS.iter().any(|constant| name.eq_ignore_ascii_case(constant))
}

/// A function of the connection or the catalogue.
pub(super) fn is_system(name: &str) -> bool {
    is_constant(name) || gives(name).is_some()
}

/// A function that may be called.
pub(super) fn is_known(name: &str) -> bool {
    BUILT_IN.contains(&name) || RENAMED.iter().any(|(known, _, _)| *known == name) || gives(name).is_some()
}

/// What a function of PostgreSQL gives.
pub(super) fn gives(name: &str) -> Option<Gives> {
    let renamed = RENAMED.iter().find(|(known, _, _)| *known == name).map(|(_, _, gives)| *gives);
    renamed.or_else(|| SYSTEM.iter().find(|(known, _, _)| *known == name).map(|(_, gives, _)| *gives))
}

/// Adds the functions to a database.
pub(super) fn add(database: &Connection, contents: &Arc<Contents>) -> rusqlite::Result<()> {
    for (name, _, evaluate) in SYSTEM {
        let contents = Arc::clone(contents);
        let run = move |context: &Context<'_>| {
            let arguments: Vec<Value> = (0..context.len()).map(|i| owned(context.get_raw(i))).collect();
            Ok(evaluate(&contents, &arguments))
        };
        database.create_scalar_function(*name, -1, FunctionFlags::SQLITE_UTF8, run)?;
    }
    Ok(())
}

fn owned(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(n) => Value::Integer(n),
        ValueRef::Real(x) => Value::Real(x),
        ValueRef::Text(text) | ValueRef::Blob(text) => {
            Value::Text(String::from_utf8_lossy(text).into_owned())
        }
    }
}

fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

fn truth(truth: bool) -> Value {
    Value::Integer(truth.into())
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Integer(n) => n.to_string(),
        Value::Real(x) => x.to_string(),
        Value::Text(text) => text.clone(),
        Value::Blob(_) => String::new(),
    }
}

fn string(arguments: &[Value], i: usize) -> Option<String> {
    arguments.get(i).filter(|value| **value != Value::Null).map(shown)
}

fn integer(arguments: &[Value], i: usize) -> Option<i64> {
    string(arguments, i)?.trim().parse().ok()
}

fn setting(arguments: &[Value]) -> Value {
    let name = string(arguments, 0).unwrap_or_default().to_ascii_lowercase();
    SHOWN.iter().find(|(known, _)| *known == name).map_or(Value::Null, |(_, value)| text(*value))
}

/// Everybody may read everything that is listed, and nobody may write.
fn privilege(arguments: &[Value]) -> Value {
    let wanted = arguments.last().map(shown).unwrap_or_default().to_ascii_uppercase();
    truth(wanted.contains("SELECT") || wanted.contains("USAGE") || wanted.contains("CONNECT"))
}

fn visible(contents: &Contents, arguments: &[Value]) -> bool {
    let oid = integer(arguments, 0);
    let found = contents.tables.iter().find(|table| Some(i64::from(table.oid)) == oid);
    found.is_some_and(|table| table.schema == DEFAULT_SCHEMA)
}

fn constraint(contents: &Contents, arguments: &[Value]) -> Value {
    let oid = integer(arguments, 0);
    let Some(key) = contents.keys.iter().find(|key| Some(i64::from(key.oid)) == oid) else {
        return Value::Null;
    };
    let columns = key.columns.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ");
    text(match &key.target {
        None => format!("PRIMARY KEY ({columns})"),
        Some((schema, table, column)) => {
            format!(
                "FOREIGN KEY ({columns}) REFERENCES {}.{}({})",
                quoted(schema),
                quoted(table),
                quoted(column)
            )
        }
    })
}

fn function(arguments: &[Value], part: usize) -> Value {
    let oid = integer(arguments, 0);
    let found = tables::FUNCTIONS.iter().find(|f| Some(i64::from(contents::oid(f.0))) == oid);
    found.map_or(Value::Null, |(_, result, arguments, _)| text(if part == 1 { *result } else { *arguments }))
}

fn items(array: &str) -> impl Iterator<Item = &str> {
    let inner = array.trim().trim_start_matches('{').trim_end_matches('}');
    inner.split([',', ' ']).filter(|item| !item.is_empty()).map(|item| item.trim_matches('"'))
}

/// An array in JSON; numbers stay numbers.
fn json(items: impl Iterator<Item = String>) -> Value {
    let item = |item: String| match item.parse::<i64>() {
        Ok(number) => serde_json::Value::from(number),
        Err(_) => serde_json::Value::from(item),
    };
    text(serde_json::Value::Array(items.map(item).collect()).to_string())
}

fn joined(arguments: &[Value]) -> Value {
    let Some(array) = string(arguments, 0) else { return Value::Null };
    let separator = string(arguments, 1).unwrap_or_default();
    text(items(&array).collect::<Vec<_>>().join(&separator))
}

fn length(arguments: &[Value]) -> Value {
    string(arguments, 0).map_or(Value::Null, |array| Value::Integer(items(&array).count() as i64))
}

fn element(arguments: &[Value]) -> Value {
    let (Some(array), Some(index)) = (string(arguments, 0), integer(arguments, 1)) else {
        return Value::Null;
    };
    // Vectors (`1 2 3`) count from 0, arrays (`{1,2,3}`) from 1.
    item(&array, if array.starts_with('{') { index - 1 } else { index })
}

/// The element of an array or vector at a place, from 0.
fn element_beside(arguments: &[Value]) -> Value {
    let (Some(array), Some(place)) = (string(arguments, 0), integer(arguments, 1)) else {
        return Value::Null;
    };
    item(&array, place)
}

fn item(array: &str, place: i64) -> Value {
    usize::try_from(place).ok().and_then(|place| items(array).nth(place)).map_or(Value::Null, text)
}

fn in_array(arguments: &[Value], inside: bool) -> Value {
    let (Some(value), Some(array)) = (string(arguments, 0), string(arguments, 1)) else { return Value::Null };
    truth(items(&array).any(|item| item == value) == inside)
}

#[derive(Clone, Copy, PartialEq)]
enum Case {
    Kept,
    Folded,
}

fn matches(arguments: &[Value], case: Case) -> Value {
    let (Some(value), Some(pattern)) = (string(arguments, 0), string(arguments, 1)) else {
        return Value::Null;
    };
    let pattern =
        RegexBuilder::new(&pattern).case_insensitive(case == Case::Folded).size_limit(1 << 20).build();
    pattern.map_or(Value::Null, |pattern| truth(pattern.is_match(&value)))
}

fn comment(contents: &Contents, arguments: &[Value]) -> Value {
    let oid = integer(arguments, 0);
    let found = contents.tables.iter().find(|table| Some(i64::from(table.oid)) == oid);
    found.map_or(Value::Null, |table| text(&table.comment))
}

fn column_comment(contents: &Contents, arguments: &[Value]) -> Value {
    let (oid, number) = (integer(arguments, 0), integer(arguments, 1));
    let table = contents.tables.iter().find(|table| Some(i64::from(table.oid)) == oid);
    let place = number.and_then(|number| usize::try_from(number - 1).ok());
    let column = table.zip(place).and_then(|(table, place)| table.columns.get(place));
    column.and_then(|column| column.comment.clone()).map_or(Value::Null, text)
}

/// The table that a name means: with its schema, or in the default one.
fn class_oid(contents: &Contents, arguments: &[Value]) -> Value {
    let Some(name) = string(arguments, 0) else { return Value::Null };
    if let Ok(number) = name.parse() {
        return Value::Integer(number);
    }
    let name = name.replace('"', "");
    let (schema, table) = name.split_once('.').unwrap_or((DEFAULT_SCHEMA, &name));
    if schema == "pg_catalog" || table.starts_with("pg_") {
        let known = tables::CLASSES.iter().find(|(name, _)| *name == table);
        return known.map_or(Value::Null, |(_, oid)| Value::Integer((*oid).into()));
    }
    contents.table(schema, table).map_or(Value::Null, |table| Value::Integer(table.oid.into()))
}

fn class_name(contents: &Contents, arguments: &[Value]) -> Value {
    let Some(oid) = integer(arguments, 0) else { return Value::Null };
    match contents.tables.iter().find(|table| i64::from(table.oid) == oid) {
        None => text(oid.to_string()),
        Some(table) if table.schema == DEFAULT_SCHEMA => text(quoted(&table.name)),
        Some(table) => text(format!("{}.{}", quoted(&table.schema), quoted(&table.name))),
    }
}

fn namespace_name(contents: &Contents, arguments: &[Value]) -> Value {
    let oid = integer(arguments, 0);
    let schemas = contents.tables.iter().map(|table| table.schema.as_str()).chain(["pg_catalog"]);
    let mut schemas = schemas.filter(|schema| Some(i64::from(tables::namespace(schema))) == oid);
    schemas.next().map_or(Value::Null, text)
}

fn type_name(oid: i64) -> Value {
    let names: BTreeMap<i64, &str> = tables::TYPES.iter().map(|ty| (i64::from(ty.oid), ty.sql)).collect();
    text(names.get(&oid).copied().unwrap_or("???"))
}

fn type_oid(arguments: &[Value]) -> Value {
    let name = string(arguments, 0).unwrap_or_default();
    let found = tables::TYPES.iter().find(|ty| ty.name == name || ty.sql == name);
    found.map_or(Value::Null, |ty| Value::Integer(ty.oid.into()))
}

/// A name as it is written in SQL.
fn quoted(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}
