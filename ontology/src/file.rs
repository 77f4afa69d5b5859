//! The TOML form of a data model. Unknown keys are errors: a misspelt `role` must not turn into "hidden".

use std::collections::{BTreeSet, HashSet};
use std::hash::Hash;

use serde::Deserialize;

use crate::model::{
    Action, Bounds, Column, ColumnType, DataModel, Grid, ModelError, Place, Reference, Role, Table,
    TableKind, Tag,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelFile {
    schema: String,
    version: String,
    comment: String,
    table: Vec<TableEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TableEntry {
    name: String,
    #[serde(default)]
    also: Vec<String>,
    comment: String,
    #[serde(default)]
    kind: KindEntry,
    #[serde(default)]
    key: Vec<String>,
    #[serde(default = "one")]
    rows_per_patient: u32,
    column: Vec<ColumnEntry>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "snake_case")]
enum KindEntry {
    #[default]
    Patient,
    Public,
    Hidden,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ColumnEntry {
    name: String,
    #[serde(default)]
    also: Vec<String>,
    #[serde(rename = "type")]
    ty: TypeEntry,
    #[serde(default)]
    role: RoleEntry,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    comment: String,
    vr: Option<String>,
    tag: Option<String>,
    #[serde(default)]
    also_at: Vec<String>,
    #[serde(default)]
    largest: bool,
    action: Option<ActionEntry>,
    references: Option<String>,
    vocabulary: Option<String>,
    #[serde(default)]
    roots: Vec<String>,
    #[serde(default)]
    domains: Vec<String>,
    #[serde(default)]
    values: Vec<String>,
    #[serde(default)]
    shared: bool,
    lo: Option<f64>,
    hi: Option<f64>,
    grid: Option<GridEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum TypeEntry {
    Text,
    Integer,
    Float,
    Boolean,
    Date,
    Timestamp,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum RoleEntry {
    UnitId,
    Identifier,
    Dimension,
    Measure,
    Date,
    #[default]
    Hidden,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum ActionEntry {
    Kept,
    Keyed,
    Coarsened,
}

#[derive(Deserialize, Clone)]
#[serde(untagged)]
enum GridEntry {
    Step(f64),
    Calendar(String),
}

fn one() -> u32 {
    1
}

pub(crate) fn parse(file: &str, text: &str) -> Result<DataModel, ModelError> {
    let fault = |reason: String| ModelError::File { file: file.to_owned(), reason };
    let entry: ModelFile = toml::from_str(text).map_err(|e| fault(e.to_string()))?;
    let schema = entry.schema.to_lowercase();
    let tables =
        entry.table.into_iter().map(|t| table(&schema, t)).collect::<Result<Vec<_>, _>>().map_err(&fault)?;
    if let Some(name) = first_repeated(tables.iter().map(|t| t.name.as_str())) {
        return Err(fault(format!("table {name} is defined twice")));
    }
    Ok(DataModel { schema, version: entry.version, comment: entry.comment, tables })
}

fn table(schema: &str, entry: TableEntry) -> Result<Table, String> {
    let name = entry.name.to_lowercase();
    let context = |reason: String| format!("table {name}: {reason}");
    let columns = entry
        .column
        .into_iter()
        .map(|c| column(schema, c))
        .collect::<Result<Vec<_>, _>>()
        .map_err(context)?;
    if let Some(column) = first_repeated(columns.iter().map(|c| c.stored.as_str())) {
        return Err(context(format!("column {column} is defined twice (names differ by more than case)")));
    }
    if let Some(tag) = first_repeated(columns.iter().filter_map(|c| c.tag)) {
        return Err(context(format!("the tag {tag} fills two columns")));
    }
    let key = lower(&entry.key);
    if let Some(missing) = key.iter().find(|k| !columns.iter().any(|c| c.stored == **k)) {
        return Err(context(format!("key column {missing} does not exist")));
    }
    let kind = match entry.kind {
        KindEntry::Patient => TableKind::Patient,
        KindEntry::Public => TableKind::Public,
        KindEntry::Hidden => TableKind::Hidden,
    };
    let has_patient = columns.iter().any(|c| c.role == Role::UnitId);
    if (kind == TableKind::Patient) != has_patient {
        return Err(context("a patient table, and no other, has a column of role unit_id".into()));
    }
    if entry.rows_per_patient == 0 {
        return Err(context("rows_per_patient must be at least 1".into()));
    }
    Ok(Table {
        stored: name.clone(),
        name,
        definition: None,
        also: lower(&entry.also),
        comment: entry.comment,
        kind,
        key,
        rows_per_patient: entry.rows_per_patient,
        columns,
    })
}

fn column(schema: &str, entry: ColumnEntry) -> Result<Column, String> {
    let context = |reason: String| format!("column {}: {reason}", entry.name);
    let stored = entry.name.to_lowercase();
    if stored.starts_with('_') {
        return Err(context("names that begin with _ belong to the warehouse".into()));
    }
    let ty = match entry.ty {
        TypeEntry::Text => ColumnType::Text,
        TypeEntry::Integer => ColumnType::Integer,
        TypeEntry::Float => ColumnType::Float,
        TypeEntry::Boolean => ColumnType::Boolean,
        TypeEntry::Date => ColumnType::Date,
        TypeEntry::Timestamp => ColumnType::Timestamp,
    };
    let role = role(&entry, ty).map_err(context)?;
    if entry.roots.is_empty() && !entry.domains.is_empty() {
        return Err(context("a column with domains has roots, too".into()));
    }
    if !entry.roots.is_empty() && (ty != ColumnType::Text || !matches!(role, Role::Dimension { .. })) {
        return Err(context("only a dimension of type text has concepts (roots)".into()));
    }
    let plain = ty == ColumnType::Text && matches!(role, Role::Dimension { .. }) && entry.roots.is_empty();
    if !plain && !entry.values.is_empty() {
        return Err(context("only a dimension of type text without concepts has values".into()));
    }
    let values: BTreeSet<String> = entry.values.iter().cloned().collect();
    if values.len() != entry.values.len() {
        return Err(context("a value stands there twice".into()));
    }
    let values = values.into_iter().collect();
    let references =
        entry.references.as_deref().map(|r| reference(schema, r)).transpose().map_err(context)?;
    let tag = entry.tag.as_deref().map(tag).transpose().map_err(context)?;
    let action = entry.action.map(action);
    let vr = entry.vr.unwrap_or_default();
    let also_at = places(&entry.also_at, &vr).map_err(context)?;
    if action.is_some() && tag.is_none() && also_at.is_empty() {
        return Err(context("an action is stated for the attribute of a tag".into()));
    }
    let also = lower(&entry.also);
    let (name, comment, largest, required) = (entry.name, entry.comment, entry.largest, entry.required);
    let (roots, domains, vr) = (entry.roots, entry.domains, (!vr.is_empty()).then_some(vr));
    let of_source = Column { also_at, largest, required, vr, tag, action, also, ..Column::default() };
    Ok(Column { name, stored, ty, role, comment, references, roots, domains, values, ..of_source })
}

fn places(texts: &[String], vr: &str) -> Result<Vec<Place>, String> {
    let place = |text: &String| {
        let found = Place::parse(text, vr).filter(|places| places.iter().all(|place| place.vr.len() == 2));
        found.ok_or_else(|| format!("place '{text}' is not of the form 0054,0016/0018,1074 DS"))
    };
    Ok(texts.iter().map(place).collect::<Result<Vec<_>, _>>()?.concat())
}

fn tag(text: &str) -> Result<Tag, String> {
    Tag::parse(text).ok_or_else(|| format!("tag '{text}' is not of the form 0008,0060"))
}

fn action(entry: ActionEntry) -> Action {
    match entry {
        ActionEntry::Kept => Action::Kept,
        ActionEntry::Keyed => Action::Keyed,
        ActionEntry::Coarsened => Action::Coarsened,
    }
}

fn role(entry: &ColumnEntry, ty: ColumnType) -> Result<Role, String> {
    let number = matches!(ty, ColumnType::Integer | ColumnType::Float);
    Ok(match entry.role {
        RoleEntry::UnitId => Role::UnitId,
        RoleEntry::Identifier => Role::Identifier { one_patient: !entry.shared },
        RoleEntry::Dimension => {
            if !matches!(ty, ColumnType::Text | ColumnType::Integer | ColumnType::Boolean) {
                return Err("a dimension is text, integer or boolean".into());
            }
            let vocabulary = entry.vocabulary.clone().unwrap_or_else(|| entry.name.to_lowercase());
            let bounds = if entry.lo.is_some() { Some(bounds(entry)?) } else { None };
            if bounds.is_some() && ty != ColumnType::Integer {
                return Err("only an integer dimension has bounds".into());
            }
            Role::Dimension { vocabulary, bounds }
        }
        RoleEntry::Measure if number => Role::Measure { bounds: bounds(entry)? },
        RoleEntry::Measure => return Err("a measure is a number".into()),
        RoleEntry::Date if ty == ColumnType::Date => Role::Date { grid: calendar(entry)? },
        RoleEntry::Date => return Err("role date needs type date".into()),
        RoleEntry::Hidden => Role::Hidden,
    })
}

fn bounds(entry: &ColumnEntry) -> Result<Bounds, String> {
    let (Some(lo), Some(hi)) = (entry.lo, entry.hi) else { return Err("lo and hi are needed".into()) };
    let grid = match &entry.grid {
        Some(GridEntry::Step(step)) => *step,
        Some(GridEntry::Calendar(text)) => return Err(format!("grid '{text}' is not a number")),
        None => 1.0,
    };
    if !(lo < hi && grid > 0.0 && lo.is_finite() && hi.is_finite() && grid.is_finite()) {
        return Err("lo < hi and grid > 0 are needed".into());
    }
    Ok(Bounds { lo, hi, grid })
}

fn calendar(entry: &ColumnEntry) -> Result<Grid, String> {
    match &entry.grid {
        None => Ok(Grid::Month),
        Some(GridEntry::Calendar(text)) => match text.as_str() {
            "day" => Ok(Grid::Day),
            "month" => Ok(Grid::Month),
            "year" => Ok(Grid::Year),
            other => Err(format!("grid '{other}' is none of day, month, year")),
        },
        Some(GridEntry::Step(_)) => Err("the grid of a date is day, month or year".into()),
    }
}

fn reference(schema: &str, text: &str) -> Result<Reference, String> {
    let parts: Vec<String> = text.split('.').map(str::to_lowercase).collect();
    match parts.as_slice() {
        [table, column] => {
            Ok(Reference { schema: schema.to_owned(), table: table.clone(), column: column.clone() })
        }
        [schema, table, column] => {
            Ok(Reference { schema: schema.clone(), table: table.clone(), column: column.clone() })
        }
        _ => Err(format!("reference '{text}' is not table.column")),
    }
}

fn lower(names: &[String]) -> Vec<String> {
    names.iter().map(|name| name.to_lowercase()).collect()
}

fn first_repeated<T: Copy + Eq + Hash>(mut things: impl Iterator<Item = T>) -> Option<T> {
    let mut seen = HashSet::new();
    things.find(|thing| !seen.insert(*thing))
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::Models;

    const HEAD: &str = "schema = 's'\nversion = '1'\ncomment = ''\n[[table]]\nname = 't'\ncomment = ''\n";

    #[test]
    fn bundled_models_load_and_their_foreign_keys_resolve() {
        let models = Models::bundled().unwrap();
        assert_eq!(models.version().split(',').count(), models.iter().count());
    }

    #[test]
    fn faults_name_the_table_the_column_and_the_reason() {
        let id = "[[table.column]]\nname = 'p'\ntype = 'text'\nrole = 'unit_id'\n";
        for (text, wanted) in [
            (format!("{HEAD}{id}{}", id.replace("'p'", "'P'")), "table t: column p is defined twice"),
            (format!("{HEAD}[[table.column]]\nname = 'a'\ntype = 'text'\n"), "role unit_id"),
            (
                format!("{HEAD}{id}[[table.column]]\nname = 'a'\ntype = 'text'\nrole = 'measure'\n"),
                "column a",
            ),
            (format!("{HEAD}{id}[[table.column]]\nname = 'a'\ntype = 'text'\nrolle = 'x'\n"), "rolle"),
            (format!("{HEAD}key = ['z']\n{id}"), "key column z"),
            (format!("{HEAD}{id}[[table.column]]\nname = '_a'\ntype = 'text'\n"), "belong to the warehouse"),
            (format!("{HEAD}{id}tag = '0010,20'\n"), "tag '0010,20'"),
            (format!("{HEAD}{id}action = 'keyed'\n"), "action"),
            (format!("{HEAD}{id}tag = '0010,0020'\naction = 'keep'\n"), "keyed"),
            (
                format!(
                    "{HEAD}{id}tag = '0010,0020'\n[[table.column]]\nname = 'a'\ntype = 'text'\ntag = '0010,0020'\n"
                ),
                "the tag (0010,0020) fills two columns",
            ),
        ] {
            let fault = parse("m.toml", &text).unwrap_err().to_string();
            assert!(fault.contains(wanted), "{fault} should contain {wanted}");
        }
    }

    #[test]
    fn a_foreign_key_to_nowhere_is_refused() {
        let text = format!(
            "{HEAD}[[table.column]]\nname = 'p'\ntype = 'text'\nrole = 'unit_id'\n\
             [[table.column]]\nname = 'a'\ntype = 'text'\nrole = 'identifier'\nreferences = 'u.id'\n"
        );
        let fault = Models::new(vec![parse("m.toml", &text).unwrap()]).unwrap_err().to_string();
        assert!(fault.contains("references s.u.id"), "{fault}");
    }

    #[test]
    fn an_unknown_table_names_its_neighbours() {
        let fault = Models::bundled().unwrap().table("dicom", "serie").unwrap_err().to_string();
        assert!(fault.contains("dicom.series"), "{fault}");
    }
}
