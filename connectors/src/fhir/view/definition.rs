//! From the JSON of a ViewDefinition to a [`View`]. A key that nobody knows inside a select or column is a fault: a
//! misspelt `forEach` must not become a view with other rows.

use std::collections::{BTreeMap, BTreeSet};

use caim_ontology::ColumnType;
use serde_json::{Map, Value};

use super::{DefinitionError, Each, Select, View, ViewColumn};
use crate::fhir::path::{self, Constants, Expr, Literal, Temporal};

type Object = Map<String, Value>;
type Result<T> = std::result::Result<T, DefinitionError>;

const SELECT_KEYS: [&str; 9] = [
    "id",
    "extension",
    "modifierExtension",
    "column",
    "select",
    "forEach",
    "forEachOrNull",
    "repeat",
    "unionAll",
];
const COLUMN_KEYS: [&str; 9] =
    ["id", "extension", "modifierExtension", "path", "name", "description", "collection", "type", "tag"];
/// The tag that says a column's type in SQL.
const SQL_TYPE: &str = "ansi/type";
/// The beginning of the tags that say what may be asked of a column, and their ends.
const OWN: &str = "caim/";
const OWN_TAGS: [&str; 2] = ["bounds", "role"];

/// So many selects and columns make no table that anybody reads.
const MOST_PARTS: usize = 2000;
/// Deeper selects are refused.
const DEPTH: usize = 16;

pub(super) fn read(json: &str) -> Result<View> {
    let fault = |reason: String| DefinitionError { place: "the ViewDefinition".to_owned(), reason };
    let value: Value = serde_json::from_str(json).map_err(|e| fault(format!("it is not JSON: {e}")))?;
    let object = value.as_object().ok_or_else(|| fault("it is no object".to_owned()))?;
    let resource = required_text(object, "resource", "")?.to_owned();
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (name, comment) = (text("name"), [text("description"), text("title")]);
    let comment = comment.into_iter().find(|comment| !comment.is_empty()).unwrap_or_default();
    let constants = constants(object)?;
    let mut reader = Reader { constants: &constants, columns: Vec::new(), parts: 0 };
    let mut conditions = Vec::new();
    for (place, condition) in list(object, "where", "")? {
        let condition = as_object(condition, &place)?;
        conditions.push((format!("{place}.path"), reader.expression(condition, "path", &place)?));
    }
    let mut selects = Vec::new();
    for (place, select) in list(object, "select", "")? {
        selects.push(reader.select(select, &place, DEPTH)?);
    }
    let columns = reader.columns;
    if columns.is_empty() {
        return Err(DefinitionError { place: "select".to_owned(), reason: "it has no column".to_owned() });
    }
    let mut names = BTreeSet::new();
    if let Some(twice) = columns.iter().find(|column| !names.insert(column.name.to_lowercase())) {
        let reason = format!("the column {} is there twice", twice.name);
        return Err(DefinitionError { place: twice.place.clone(), reason });
    }
    Ok(View { name, resource, comment, columns, conditions, selects })
}

struct Reader<'r> {
    constants: &'r Constants,
    columns: Vec<ViewColumn>,
    parts: usize,
}

impl Reader<'_> {
    /// Columns stand in the order: own, of nested selects, of the union.
    fn select(&mut self, value: &Value, place: &str, depth: usize) -> Result<Select> {
        let object = as_object(value, place)?;
        known_keys(object, &SELECT_KEYS, place)?;
        self.count(place)?;
        let deeper = depth.checked_sub(1).ok_or_else(|| fault(place, "it is nested more than 16 deep"))?;
        let each = self.each(object, place)?;
        let mut select = Select { each, columns: Vec::new(), selects: Vec::new(), unions: Vec::new() };
        for (place, column) in list(object, "column", place)? {
            let column = self.column(column, &place)?;
            select.columns.push(column);
        }
        for (place, nested) in list(object, "select", place)? {
            select.selects.push(self.select(nested, &place, deeper)?);
        }
        self.unions(object, place, deeper, &mut select)?;
        Ok(select)
    }

    /// All branches of a union fill the columns of its first.
    fn unions(&mut self, object: &Object, place: &str, depth: usize, select: &mut Select) -> Result<()> {
        let first = self.columns.len();
        let mut width = None;
        for (place, branch) in list(object, "unionAll", place)? {
            let before = self.columns.len();
            let mut branch = self.select(branch, &place, depth)?;
            match width {
                None => width = Some(self.columns.len() - first),
                Some(width) => {
                    let added = self.columns.split_off(before);
                    let wanted = self.columns.get(first..first + width).unwrap_or_default();
                    let same = |(a, b): (&ViewColumn, &ViewColumn)| {
                        (&a.name, a.ty, a.is_list) == (&b.name, b.ty, b.is_list)
                    };
                    if added.len() != wanted.len() || !added.iter().zip(wanted).all(same) {
                        let names: Vec<&str> = wanted.iter().map(|column| column.name.as_str()).collect();
                        let reason = format!(
                            "its columns and types must be those of unionAll[0]: {}",
                            names.join(", ")
                        );
                        return Err(DefinitionError { place, reason });
                    }
                    branch.shift(before - first);
                }
            }
            select.unions.push(branch);
        }
        Ok(())
    }

    fn each(&self, object: &Object, place: &str) -> Result<Each> {
        let keys = ["forEach", "forEachOrNull", "repeat"];
        let given: Vec<&str> = keys.into_iter().filter(|key| object.contains_key(*key)).collect();
        let at = |key: &str| format!("{place}.{key}");
        Ok(match given.as_slice() {
            [] => Each::This,
            ["forEach"] => Each::Item(at("forEach"), self.expression(object, "forEach", place)?),
            ["forEachOrNull"] => {
                Each::ItemOrNull(at("forEachOrNull"), self.expression(object, "forEachOrNull", place)?)
            }
            ["repeat"] => {
                let paths = list(object, "repeat", place)?;
                let read = |(place, path): (String, &Value)| {
                    let text = path.as_str().ok_or_else(|| fault(&place, "it is no text"))?;
                    let expr = self.parsed(text, &place)?;
                    Ok((place, expr))
                };
                Each::Repeat(paths.into_iter().map(read).collect::<Result<_>>()?)
            }
            several => {
                return Err(fault(place, &format!("only one of {} can stand here", several.join(", "))));
            }
        })
    }

    fn column(&mut self, value: &Value, place: &str) -> Result<(usize, Expr)> {
        let object = as_object(value, place)?;
        known_keys(object, &COLUMN_KEYS, place)?;
        self.count(place)?;
        let name = required_text(object, "name", place)?.to_owned();
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_name {
            return Err(fault(
                &format!("{place}.name"),
                "a name is letters, digits and _, and begins with a letter",
            ));
        }
        let is_list = match object.get("collection") {
            None => false,
            Some(flag) => {
                flag.as_bool().ok_or_else(|| fault(&format!("{place}.collection"), "it is no truth value"))?
            }
        };
        let expr = self.expression(object, "path", place)?;
        let (tags, ty, place) =
            (own_tags(object, place)?, column_type(object, place)?, format!("{place}.path"));
        let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (comment, fhir_type, tags) = (text("description"), text("type"), tags);
        self.columns.push(ViewColumn { name, ty, is_list, comment, fhir_type, tags, place });
        Ok((self.columns.len() - 1, expr))
    }

    fn expression(&self, object: &Object, key: &str, place: &str) -> Result<Expr> {
        self.parsed(required_text(object, key, place)?, &at(place, key))
    }

    fn parsed(&self, text: &str, place: &str) -> Result<Expr> {
        path::parse(text, self.constants).map_err(|e| fault(place, &e.to_string()))
    }

    fn count(&mut self, place: &str) -> Result<()> {
        self.parts += 1;
        if self.parts > MOST_PARTS {
            Err(fault(place, "there are more than 2000 selects and columns"))
        } else {
            Ok(())
        }
    }
}

impl Select {
    /// Moves all columns so far to the left.
    fn shift(&mut self, by: usize) {
        self.columns.iter_mut().for_each(|(position, _)| *position -= by);
        self.selects.iter_mut().chain(&mut self.unions).for_each(|select| select.shift(by));
    }
}

/// The type in which a column is stored.
fn column_type(object: &Object, place: &str) -> Result<ColumnType> {
    for (place, tag) in list(object, "tag", place)? {
        let tag = as_object(tag, &place)?;
        if tag.get("name").and_then(Value::as_str) == Some(SQL_TYPE) {
            let name = required_text(tag, "value", &place)?;
            return sql_type(name)
                .ok_or_else(|| fault(&format!("{place}.value"), "it is no type that is stored"));
        }
    }
    let ty = object
        .get("type")
        .map_or(Ok("string"), |ty| ty.as_str().ok_or_else(|| fault(&at(place, "type"), "it is no text")))?;
    Ok(match ty.rsplit('/').next().unwrap_or(ty) {
        "boolean" => ColumnType::Boolean,
        "integer" | "integer64" | "positiveInt" | "unsignedInt" => ColumnType::Integer,
        "decimal" => ColumnType::Float,
        _ => ColumnType::Text,
    })
}

/// The tags whose names begin with `caim/`, by the rest of the name.
fn own_tags(object: &Object, place: &str) -> Result<BTreeMap<String, String>> {
    let mut tags = BTreeMap::new();
    for (place, tag) in list(object, "tag", place)? {
        let tag = as_object(tag, &place)?;
        let name = tag.get("name").and_then(Value::as_str).unwrap_or_default();
        let Some(name) = name.strip_prefix(OWN) else { continue };
        if !OWN_TAGS.contains(&name) {
            let known = OWN_TAGS.map(|known| format!("{OWN}{known}")).join(", ");
            return Err(fault(&format!("{place}.name"), &format!("it is none of {known}")));
        }
        tags.insert(name.to_owned(), required_text(tag, "value", &place)?.to_owned());
    }
    Ok(tags)
}

fn sql_type(name: &str) -> Option<ColumnType> {
    let name = name.to_uppercase();
    Some(match name.split('(').next().unwrap_or_default().trim() {
        "BOOLEAN" => ColumnType::Boolean,
        "SMALLINT" | "INTEGER" | "INT" | "BIGINT" => ColumnType::Integer,
        "DECIMAL" | "NUMERIC" | "REAL" | "FLOAT" | "DOUBLE PRECISION" => ColumnType::Float,
        "DATE" => ColumnType::Date,
        "TIMESTAMP" | "TIMESTAMP WITH TIME ZONE" => ColumnType::Timestamp,
        "CHARACTER VARYING" | "VARCHAR" | "CHARACTER" | "CHARACTER LARGE OBJECT" | "TEXT" => ColumnType::Text,
        _ => return None,
    })
}

/// `constant`: a name and a value whose type its key says.
fn constants(object: &Object) -> Result<Constants> {
    let mut constants = Constants::new();
    for (place, constant) in list(object, "constant", "")? {
        let constant = as_object(constant, &place)?;
        let name = required_text(constant, "name", &place)?.to_owned();
        let mut values = constant.iter().filter(|(key, _)| key.starts_with("value"));
        let (Some((key, value)), None) = (values.next(), values.next()) else {
            return Err(fault(&place, "it has not one value, as valueString or another value[x]"));
        };
        let literal =
            literal(key, value).ok_or_else(|| fault(&at(&place, key), "the value is not of that type"))?;
        if constants.insert(name, literal).is_some() {
            return Err(fault(&place, "a constant of this name is there already"));
        }
    }
    Ok(constants)
}

fn literal(key: &str, value: &Value) -> Option<Literal> {
    match key {
        "valueBoolean" => value.as_bool().map(Literal::Truth),
        "valueInteger" | "valuePositiveInt" | "valueUnsignedInt" | "valueInteger64" => {
            value.as_i64().map(Literal::Integer)
        }
        "valueDecimal" => path::Decimal::parse(&value.as_number()?.to_string()).map(Literal::Decimal),
        "valueDate" | "valueDateTime" | "valueInstant" | "valueTime" => {
            Temporal::parse(value.as_str()?).map(Literal::Temporal)
        }
        "valueString" | "valueCode" | "valueId" | "valueUri" | "valueUrl" | "valueCanonical" | "valueOid"
        | "valueUuid" | "valueMarkdown" | "valueBase64Binary" => {
            value.as_str().map(|text| Literal::Text(text.to_owned()))
        }
        _ => None,
    }
}

/// The parts of an array, each with its place; none if the key is not there.
fn list<'v>(object: &'v Object, key: &str, place: &str) -> Result<Vec<(String, &'v Value)>> {
    let place = at(place, key);
    match object.get(key) {
        None => Ok(Vec::new()),
        Some(Value::Array(parts)) => {
            Ok(parts.iter().enumerate().map(|(number, part)| (format!("{place}[{number}]"), part)).collect())
        }
        Some(_) => Err(fault(&place, "it is no array")),
    }
}

fn required_text<'v>(object: &'v Object, key: &str, place: &str) -> Result<&'v str> {
    let value = object.get(key).ok_or_else(|| fault(&at(place, key), "it is missing"))?;
    value.as_str().ok_or_else(|| fault(&at(place, key), "it is no text"))
}

fn as_object<'v>(value: &'v Value, place: &str) -> Result<&'v Object> {
    value.as_object().ok_or_else(|| fault(place, "it is no object"))
}

fn known_keys(object: &Object, known: &[&str], place: &str) -> Result<()> {
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(fault(&at(place, key), "nothing is known by this name here")),
        None => Ok(()),
    }
}

fn at(place: &str, key: &str) -> String {
    if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") }
}

fn fault(place: &str, reason: &str) -> DefinitionError {
    DefinitionError { place: place.to_owned(), reason: reason.to_owned() }
}
