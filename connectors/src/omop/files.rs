//! Which files of a source are which OMOP tables.

use std::collections::BTreeMap;

use caim_ontology::{Models, Table};

use super::{PERSON, SCHEMA};
use crate::report::Skipped;
use crate::source::{Member, Source};
use crate::{Code, Error, Result};

/// The files of each table.
#[derive(Default)]
pub(crate) struct Files<'m> {
    tables: BTreeMap<String, (&'m Table, Vec<Member>)>,
}

impl<'m> Files<'m> {
    /// The files whose name, or whose folder's name, is that of a table in any case, and the others.
    ///
    /// # Errors
    /// When two files that are not parts in one folder hold the same table.
    pub(crate) fn of(source: &Source, models: &'m Models) -> Result<(Self, Vec<Skipped>)> {
        let (mut files, mut skipped) = (Self::default(), Vec::new());
        for member in source.tables() {
            match table_of(member, models) {
                Some(table) => files.add(table, member.clone())?,
                None => {
                    let reason = "not the name of an OMOP table".to_owned();
                    skipped.push(Skipped { path: member.name.clone(), reason });
                }
            }
        }
        Ok((files, skipped))
    }

    /// Whether a file is named as the table of persons.
    pub(crate) fn name_persons(source: &Source, models: &Models) -> bool {
        source.tables().filter_map(|m| table_of(m, models)).any(|table| table.name == PERSON)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// PERSON first, then the others by name.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = (&'m Table, &[Member])> {
        let person = self.tables.get(PERSON).into_iter();
        let others = self.tables.iter().filter(|(name, _)| *name != PERSON).map(|(_, files)| files);
        person.chain(others).map(|(table, members)| (*table, members.as_slice()))
    }

    fn add(&mut self, table: &'m Table, member: Member) -> Result<()> {
        let (_, members) = self.tables.entry(table.name.clone()).or_insert_with(|| (table, Vec::new()));
        if let Some(first) = members.first().filter(|first| !are_parts(first, &member)) {
            let reason = format!("{} and {} are both the table {}", first.name, member.name, table.name);
            return Err(Error::new(Code::TableTwice, &member.name, reason));
        }
        members.push(member);
        Ok(())
    }
}

fn table_of<'m>(member: &Member, models: &'m Models) -> Option<&'m Table> {
    let (file, folder) = member.table_names();
    let table = |name: &str| models.source_table(SCHEMA, name);
    table(file).or_else(|| folder.and_then(table))
}

/// Whether two files lie in one folder and neither is named as a table itself.
fn are_parts(one: &Member, other: &Member) -> bool {
    let folder = |member: &Member| member.name.rsplit_once('/').map(|(folder, _)| folder.to_owned());
    let is_part = |member: &Member| match member.table_names() {
        (file, Some(folder)) => !file.eq_ignore_ascii_case(folder),
        (_, None) => false,
    };
    is_part(one) && is_part(other) && folder(one) == folder(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: &[&str]) -> Result<(Vec<(String, usize)>, usize)> {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        let models = Models::bundled().unwrap();
        let (files, skipped) = Files::of(&Source::open(folder.path()).unwrap(), &models)?;
        Ok((
            files.in_order().map(|(table, members)| (table.name.clone(), members.len())).collect(),
            skipped.len(),
        ))
    }

    #[test]
    fn tables_are_found_in_any_case_by_other_names_and_in_folders_with_persons_first() {
        let (tables, skipped) =
            files(&["x/DEVICES_EXPOSURE.csv", "Person.csv", "death.PARQUET", "notes.csv"]).unwrap();
        assert_eq!(tables, [("person".into(), 1), ("death".into(), 1), ("device_exposure".into(), 1)]);
        assert_eq!(skipped, 1);
    }

    #[test]
    fn parts_of_a_table_lie_in_a_folder_of_its_name() {
        let (tables, _) = files(&["measurement/part-0.parquet", "measurement/part-1.parquet"]).unwrap();
        assert_eq!(tables, [("measurement".into(), 2)]);
    }

    #[test]
    fn one_table_in_two_files_is_refused_by_both_names() {
        for names in [["a/person.csv", "b/PERSON.csv"], ["person.csv", "person.parquet"]] {
            let error = files(&names).unwrap_err();
            assert_eq!(error.code(), Code::TableTwice);
            assert!(names.iter().all(|name| error.reason().contains(name)), "{error}");
        }
    }
}
