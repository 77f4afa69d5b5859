//! Primary and foreign keys as the data models declare them and clients see their columns. A key with a hidden column is
//! not shown.

use caim_ontology::{Models, Table};

use super::{askable, usable};

/// A key of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key<'a> {
    /// Schema of its table.
    pub schema: &'a str,
    /// Its table.
    pub table: &'a str,
    /// Its name; no other key of the schema has it.
    pub name: String,
    /// Its columns, in order. A foreign key has one.
    pub columns: Vec<&'a str>,
    /// What a foreign key points to; `None` for a primary key.
    pub target: Option<Target<'a>>,
}

/// What a foreign key points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target<'a> {
    /// Schema.
    pub schema: &'a str,
    /// Table.
    pub table: &'a str,
    /// Column.
    pub column: &'a str,
    /// Name of the primary key there, if it is that column.
    pub key: Option<String>,
}

/// All keys, table by table.
#[must_use]
pub fn keys(models: &Models) -> Vec<Key<'_>> {
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
            target: Some(Target {
                schema: schema_of,
                table: &target.name,
                column: shown(target, &to.column)?,
                key: unique.map(|key| key.name),
            }),
        })
    })
}

/// A column as clients see it, if they do.
fn shown<'a>(table: &'a Table, stored: &str) -> Option<&'a str> {
    usable(table).find(|column| column.stored == stored).map(|column| column.name.as_str())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use caim_ontology::Models;

    use super::super::usable;
    use super::keys;

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
