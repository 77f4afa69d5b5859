//! Checks that follow from the data models: one scan for the rows of a table, one for its key, one for each reference.

use caim_ontology::{Column, ColumnType, Reference, Role, Table, TableKind};
use caim_warehouse::{TableName, layout};

use super::Look;
use super::life;
use super::rules::{Place, Rules};
use super::scan::{Check, Scan, quoted, relation, text};
use crate::Result;

const COLLECTION: &str = "collection_id";
/// The end of the name of a column with an OMOP concept.
pub(super) const CONCEPT: &str = "_concept_id";

/// The scans of all tables of patients.
pub(super) fn scans(look: Look<'_>) -> Result<Vec<Scan>> {
    let mut scans = Vec::new();
    for model in look.models.iter() {
        for table in model.tables.iter().filter(|table| table.kind == TableKind::Patient) {
            let of = Of::new(look, &model.schema, table);
            scans.push(of.rows()?);
            scans.extend(of.key()?);
            scans.extend(of.references()?);
        }
    }
    Ok(scans)
}

/// The end of the period that a column begins, by their names.
pub(super) fn end_of<'t>(table: &'t Table, start: &Column, rules: &Rules) -> Option<&'t Column> {
    let by_name =
        |from: &str, to: &str| start.stored.contains(from).then(|| start.stored.replacen(from, to, 1));
    let suffix = |end: &str| Some(format!("{}_end{end}", start.stored.strip_suffix(end)?));
    let listed =
        || rules.order.iter().find(|order| order.before == start.stored).map(|order| order.after.clone());
    let names = [by_name("_start_", "_end_"), suffix("_datetime"), suffix("_date"), listed()];
    let found = names.into_iter().flatten().find_map(|name| table.column(&name));
    found.filter(|end| end.ty == start.ty && end.stored != start.stored)
}

fn is_day(column: &Column) -> bool {
    matches!(column.ty, ColumnType::Date | ColumnType::Timestamp)
}

/// One table.
struct Of<'l> {
    look: Look<'l>,
    schema: &'l str,
    table: &'l Table,
    name: TableName,
    /// The name as people write it.
    title: String,
}

impl<'l> Of<'l> {
    fn new(look: Look<'l>, schema: &'l str, table: &'l Table) -> Self {
        let name = TableName::new(schema, &table.name);
        Self { look, schema, table, title: name.to_string(), name }
    }

    fn check(&self, class: &str, place: Place<'_>, of: Option<String>, fails: String) -> Result<Check> {
        Ok(Check { about: self.look.rules.class(class)?.about(&place), of, fails })
    }

    /// What can be seen of a row alone, and of the life of its patient.
    fn rows(&self) -> Result<Scan> {
        let mut checks = Vec::new();
        let (persons, flag) = life::persons(self.schema);
        if self.title != persons {
            let fails = format!("l.{flag} IS NOT TRUE");
            checks.push(self.check("patient_known", Place::table(&self.title).with(persons), None, fails)?);
        }
        for column in self.table.stored_columns() {
            checks.extend(self.required(column)?);
            checks.extend(self.values(column)?);
            checks.extend(self.bounds(column)?);
            checks.extend(self.end(column)?);
        }
        checks.extend(self.dates(persons)?);
        // The smaller side of a join stands first: it is the one that is held in memory.
        let from = format!("staged.life l RIGHT JOIN {} t ON l._patient = t._patient", relation(&self.name));
        Ok(Scan { needs: vec![self.name.clone()], from, checks })
    }

    fn required(&self, column: &Column) -> Result<Option<Check>> {
        if !column.required {
            return Ok(None);
        }
        let name = quoted(&column.stored);
        let (class, fails) = if column.stored.ends_with(CONCEPT) {
            ("concept_known", format!("coalesce(t.{name}, 0) <= 0"))
        } else {
            ("required_filled", format!("t.{name} IS NULL"))
        };
        self.check(class, Place::column(&self.title, &column.stored), None, fails).map(Some)
    }

    fn values(&self, column: &Column) -> Result<Option<Check>> {
        if column.values.is_empty() {
            return Ok(None);
        }
        let name = quoted(&column.stored);
        let values: Vec<String> = column.values.iter().map(|value| text(value)).collect();
        let fails = format!("t.{name} NOT IN ({})", values.join(", "));
        let of = Some(format!("t.{name} IS NOT NULL"));
        self.check("value_in_set", Place::column(&self.title, &column.stored), of, fails).map(Some)
    }

    fn bounds(&self, column: &Column) -> Result<Option<Check>> {
        let Some(bounds) = column.bounds() else { return Ok(None) };
        let name = quoted(&column.stored);
        let (fails, of) = (
            format!("t.{name} < {} OR t.{name} > {}", bounds.lo, bounds.hi),
            format!("t.{name} IS NOT NULL"),
        );
        let range = format!("{} and {}", bounds.lo, bounds.hi);
        let place = Place::column(&self.title, &column.stored).with(&range);
        self.check("value_within_bounds", place, Some(of), fails).map(Some)
    }

    /// Whether the period that a column begins ends before.
    fn end(&self, start: &Column) -> Result<Option<Check>> {
        let end = is_day(start).then(|| end_of(self.table, start, self.look.rules)).flatten();
        let Some(end) = end else { return Ok(None) };
        let (from, to) = (quoted(&start.stored), quoted(&end.stored));
        let of = Some(format!("t.{from} IS NOT NULL AND t.{to} IS NOT NULL"));
        let place = Place::column(&self.title, &start.stored).with(&end.stored);
        self.check("ends_after_start", place, of, format!("t.{to} < t.{from}")).map(Some)
    }

    /// The columns that say when the thing of a row was: no ends of periods, which may be planned, and no birthdays.
    fn events(&self) -> Vec<&Column> {
        let days = || self.table.stored_columns().filter(|column| column.ty == ColumnType::Date);
        let ends: Vec<&str> = days()
            .filter_map(|start| end_of(self.table, start, self.look.rules))
            .map(|end| end.stored.as_str())
            .collect();
        let counts = |name: &str| !name.contains("birth") && !name.contains("_end_") && !ends.contains(&name);
        days().filter(|column| counts(&column.stored)).collect()
    }

    fn dates(&self, persons: &str) -> Result<Vec<Check>> {
        let events = self.events();
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let any = |test: &str| {
            let tests = events.iter().map(|column| format!("t.{} {test}", quoted(&column.stored)));
            tests.collect::<Vec<String>>().join(" OR ")
        };
        let there = any("IS NOT NULL");
        let also = |what: &str| Some(format!("{what} AND ({there})"));
        let mut wanted = vec![
            ("not_in_future", Some(there.clone()), any("> current_date()")),
            ("not_before_birth", also("l.birth IS NOT NULL"), any("< l.birth")),
            ("not_after_death", also("l.death IS NOT NULL"), any("> l.death")),
        ];
        if self.title != persons && !events.iter().any(|column| column.required) {
            wanted.push(("dated", None, format!("NOT ({there})")));
        }
        if self.schema == "omop" && self.table.name != "observation_period" {
            let fails = format!("{} OR {}", any("< l.first_seen"), any("> l.last_seen"));
            wanted.push(("in_observation_period", also("l.first_seen IS NOT NULL"), fails));
        }
        let check = |(class, of, fails)| self.check(class, Place::table(&self.title), of, fails);
        wanted.into_iter().map(check).collect()
    }

    /// Whether a key stands in several rows of one collection.
    fn key(&self) -> Result<Option<Scan>> {
        let mut key: Vec<&str> = self.table.key.iter().map(|name| self.physical(name)).collect();
        if key.is_empty() && self.table.rows_per_patient == 1 {
            key.push(layout::PATIENT);
        }
        if key.is_empty() {
            return Ok(None);
        }
        let there: Vec<String> = key.iter().map(|name| format!("{} IS NOT NULL", quoted(name))).collect();
        key.extend(self.table.column(COLLECTION).map(|column| column.stored.as_str()));
        let key: Vec<String> = key.into_iter().map(quoted).collect();
        let from = format!(
            "(SELECT count(*) AS n FROM {} WHERE {} GROUP BY {}) keys",
            relation(&self.name),
            there.join(" AND "),
            key.join(", ")
        );
        let check = self.check("key_unique", Place::table(&self.title), None, "n > 1".to_owned())?;
        Ok(Some(Scan { needs: vec![self.name.clone()], from, checks: vec![check] }))
    }

    /// The stored name of a column of a key: the patient is an ordinal.
    fn physical<'n>(&self, name: &'n str) -> &'n str {
        let patient = self.table.column(name).is_some_and(|column| column.role == Role::UnitId);
        if patient { layout::PATIENT } else { name }
    }

    fn references(&self) -> Result<Vec<Scan>> {
        let referring =
            self.table.stored_columns().filter_map(|column| Some((column, column.references.as_ref()?)));
        // Concepts are looked at together.
        let scans =
            referring.filter(|(_, to)| to.table != "concept").map(|(column, to)| self.reference(column, to));
        scans.filter_map(Result::transpose).collect()
    }

    /// Whether what a column names is there, at the same patient. Worlds of which the node has nothing are not missed.
    fn reference(&self, column: &Column, to: &Reference) -> Result<Option<Scan>> {
        let Ok(target) = self.look.models.table(&to.schema, &to.table) else { return Ok(None) };
        let target_name = TableName::new(&to.schema, &to.table);
        let (from_column, to_column) = (quoted(&column.stored), quoted(self.physical(&to.column)));
        let of_patient = target.kind == TableKind::Patient;
        let patient = if of_patient { "_patient, " } else { "" };
        let same = if of_patient { " AND r._patient IS NOT DISTINCT FROM t._patient" } else { "" };
        let from = format!(
            "(SELECT DISTINCT {patient}{to_column} AS named FROM {}) r RIGHT JOIN {} t ON r.named = t.{from_column}{same}",
            relation(&target_name),
            relation(&self.name),
        );
        let title = target_name.to_string();
        let place = Place::column(&self.title, &column.stored).with(&title);
        let of = Some(format!("t.{from_column} IS NOT NULL"));
        let check = self.check("reference_resolves", place, of, "r.named IS NULL".to_owned())?;
        let mut needs = vec![self.name.clone()];
        if to.schema != self.schema {
            needs.push(target_name);
        }
        Ok(Some(Scan { needs, from, checks: vec![check] }))
    }
}
