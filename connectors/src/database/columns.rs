//! What is fetched: the tables of a schema that the model knows, their columns, and how each type is asked for.

use std::collections::BTreeMap;

use caim_ontology::{Models, Table, TableKind};
use postgres::Transaction;

use super::address::{Address, cause};
use crate::mapping::Mapping;
use crate::{Code, Error, Result};

const MODEL: &str = "omop";
/// The table that says who is who: always read whole.
const PERSON: &str = "person";

/// A table of the database that the model knows.
pub(super) struct Found {
    /// Its name in the database.
    pub(super) name: String,
    /// The columns that are fetched.
    pub(super) columns: Vec<Fetched>,
    /// The columns that the model does not know.
    pub(super) others: Vec<String>,
    /// The key by whose ranges it can be fetched in parts.
    pub(super) key: Option<String>,
    /// The table of the model.
    pub(super) table: String,
    /// Whether its rows can be told by their key: they are records of patients who are told elsewhere.
    pub(super) has_marks: bool,
    /// About how many rows it has.
    pub(super) rows: u64,
}

/// A column that is fetched.
pub(super) struct Fetched {
    pub(super) name: String,
    pub(super) form: Form,
    /// How a SELECT asks for it.
    pub(super) select: String,
}

/// The form in which values come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Integer,
    Float,
    Boolean,
    Date,
    Timestamp,
    Text,
}

/// A column as the catalogue of the database has it.
struct Listed {
    name: String,
    oid: u32,
    ty: String,
}

const COLUMNS: &str = "
    SELECT c.relname::text, a.attname::text,
           (CASE WHEN t.typbasetype = 0 THEN t.oid ELSE t.typbasetype END)::int8,
           format_type(a.atttypid, a.atttypmod),
           greatest(c.reltuples::float8, pg_table_size(c.oid)::float8 / 200)::int8
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type t ON t.oid = a.atttypid
    WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    ORDER BY c.relname, a.attnum";

/// The tables of the address's schema that the model knows.
///
/// # Errors
/// When there is none, or a column has a type that no column of the model holds.
pub(super) fn find(from: &mut Transaction<'_>, address: &Address, models: &Models) -> Result<Vec<Found>> {
    let rows = from.query(COLUMNS, &[&address.schema]).map_err(|e| address.fault(cause(&e)))?;
    let mut tables: BTreeMap<String, (u64, Vec<Listed>)> = BTreeMap::new();
    for row in rows {
        let (table, oid, rows): (String, i64, i64) = (row.get(0), row.get(2), row.get(4));
        let column = Listed { name: row.get(1), oid: u32::try_from(oid).unwrap_or(0), ty: row.get(3) };
        let (_, columns) =
            tables.entry(table).or_insert_with(|| (u64::try_from(rows).unwrap_or(0), Vec::new()));
        columns.push(column);
    }
    let known = tables.into_iter().filter_map(|(name, columns)| {
        models.source_table(MODEL, &name).map(|table| found(name, table, columns))
    });
    let found = known.collect::<Result<Vec<_>>>()?;
    if found.is_empty() {
        let reason =
            format!("schema {} has no table of the OMOP model that this user may see", address.schema);
        return Err(Error::new(Code::NothingFound, &address.name, reason)
            .with_fix("name the schema of the CDM: postgres://user@host/db?schema=cdm"));
    }
    Ok(found)
}

fn found(name: String, table: &Table, (rows, listed): (u64, Vec<Listed>)) -> Result<Found> {
    let header: Vec<String> = listed.iter().map(|column| column.name.clone()).collect();
    let mapping = Mapping::new(table, &header, |_| None);
    let mut columns = Vec::new();
    for listed in
        listed.iter().enumerate().filter(|(i, _)| mapping.positions.contains(&Some(*i))).map(|(_, l)| l)
    {
        columns.push(fetched(&name, listed)?);
    }
    let key = table.key.first().and_then(|key| {
        columns
            .iter()
            .find(|c| c.name.eq_ignore_ascii_case(key) && c.form == Form::Integer)
            .map(|c| c.name.clone())
    });
    let has_marks = key.is_some() && table.kind == TableKind::Patient && table.name != PERSON;
    Ok(Found { name, columns, others: mapping.left_out, key, table: table.name.clone(), has_marks, rows })
}

/// Numbers that binary floats do not hold come as the text that an export would have.
fn fetched(table: &str, listed: &Listed) -> Result<Fetched> {
    let quoted = quote(&listed.name);
    let (form, select) = match listed.oid {
        16 => (Form::Boolean, quoted),
        20 | 21 | 23 => (Form::Integer, format!("{quoted}::int8")),
        701 => (Form::Float, quoted),
        1082 => (Form::Date, quoted),
        1114 => (Form::Timestamp, quoted),
        1184 => (Form::Timestamp, format!("({quoted} AT TIME ZONE 'UTC')")),
        // The binary form of texts is the text itself; a cast would take the padding of `char(n)`.
        25 | 1042 | 1043 => (Form::Text, quoted),
        18 | 19 | 700 | 1700 | 2950 => (Form::Text, format!("{quoted}::text")),
        _ => {
            let reason = format!("column {} has the type {}", listed.name, listed.ty);
            return Err(Error::new(Code::ColumnType, table, reason));
        }
    };
    Ok(Fetched { name: listed.name.clone(), form, select })
}

/// A name as PostgreSQL quotes it.
pub(super) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_that_the_model_cannot_hold_is_named_with_its_column() {
        let listed = Listed { name: "note".into(), oid: 3802, ty: "jsonb".into() };
        let error = fetched("person", &listed).err().unwrap();
        assert_eq!(error.code(), Code::ColumnType);
        assert!(error.to_string().contains("person: column note has the type jsonb"), "{error}");
    }

    #[test]
    fn names_are_quoted() {
        assert_eq!(quote("a\"b"), "\"a\"\"b\"");
    }
}
