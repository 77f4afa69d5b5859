//! Writes a hospital's OMOP CDM 5.4 folder: one CSV file a table, all columns of the standard in its order.
//!
//! Column names come from the data model, so a column that the standard does not have cannot be written.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, bail};
use caim_ontology::Models;
use chrono::{Days, NaiveDate};

use super::dice::Dice;
use super::person::{Person, Sex};
use super::population::{CONCEPTS, Hospital, Measurement, Population};

/// Concept "EHR": where the records come from.
const EHR: i64 = 32817;
/// Concept "outpatient visit".
const OUTPATIENT: i64 = 9202;
/// Site concepts stand above two billion (OMOP's range for local concepts); stage 1 is the first of four.
const STAGE_1: i64 = 2_000_000_001;

/// At most this many repeats of a measurement.
const REPEATS: usize = 8;

/// The folder that is being written.
pub(super) struct OmopFolder {
    person: Table,
    observation_period: Table,
    visit: Table,
    condition: Table,
    measurement: Table,
    procedure: Table,
    death: Table,
}

/// Columns that the warehouse adds to every table; the standard does not have them.
const ADDED: [&str; 2] = ["patient_id", "collection_id"];

/// One table: its writer, its columns, and the identifier of the last record.
struct Table {
    writer: csv::Writer<File>,
    columns: Vec<String>,
    records: i64,
}

impl Table {
    fn create(folder: &Path, models: &Models, name: &str) -> Result<Self> {
        let columns: Vec<String> =
            models.table("omop", name)?.columns.iter().map(|c| c.stored.clone()).collect();
        let columns: Vec<String> = columns.into_iter().filter(|c| !ADDED.contains(&c.as_str())).collect();
        let mut writer = csv::Writer::from_path(folder.join(format!("{}.csv", name.to_uppercase())))?;
        writer.write_record(&columns)?;
        Ok(Self { writer, columns, records: 0 })
    }

    /// Writes one record; columns that are not given stay empty. Returns the identifier that `row` may use.
    fn write(&mut self, row: &[(&str, String)]) -> Result<()> {
        if let Some((name, _)) =
            row.iter().find(|(name, _)| !self.columns.iter().any(|column| column == name))
        {
            bail!("OMOP has no column {name} there");
        }
        let value =
            |column: &String| row.iter().find(|(name, _)| name == column).map_or("", |(_, v)| v.as_str());
        let record: Vec<&str> = self.columns.iter().map(value).collect();
        self.writer.write_record(record)?;
        Ok(())
    }

    fn next_id(&mut self) -> i64 {
        self.records += 1;
        self.records
    }

    fn close(mut self) -> Result<()> {
        self.writer.flush().context("writing an OMOP table")
    }
}

impl OmopFolder {
    /// Starts the folder and writes its tables that hold no patient.
    pub(super) fn create(
        folder: &Path,
        models: &Models,
        population: &Population,
        hospital: &Hospital,
    ) -> Result<Self> {
        std::fs::write(folder.join("CONCEPT.csv"), CONCEPTS)?;
        cdm_source(folder, models, population, hospital)?;
        let table = |name| Table::create(folder, models, name);
        Ok(Self {
            person: table("person")?,
            observation_period: table("observation_period")?,
            visit: table("visit_occurrence")?,
            condition: table("condition_occurrence")?,
            measurement: table("measurement")?,
            procedure: table("procedure_occurrence")?,
            death: table("death")?,
        })
    }

    /// Adds everything that OMOP records of a person.
    pub(super) fn write(
        &mut self,
        population: &Population,
        person: &Person<'_>,
        dice: &mut Dice,
    ) -> Result<()> {
        let id = self.person.next_id();
        self.write_person(id, population, person, dice)?;
        self.write_period(id, population, person)?;
        let visit = self.write_visit(id, person.diagnosis)?;
        self.write_condition(id, visit, person)?;
        self.write_stage(id, visit, person, dice)?;
        for of in &person.cancer.measurements {
            self.write_measurements(id, population, person, of, dice)?;
        }
        self.write_procedures(id, population, person, dice)?;
        if let Some(date) = person.death {
            self.death.write(&[
                ("person_id", id.to_string()),
                ("death_date", date.to_string()),
                ("death_type_concept_id", EHR.to_string()),
                ("cause_concept_id", person.cancer.concept.to_string()),
                ("cause_source_value", person.cancer.icd10.clone()),
            ])?;
        }
        Ok(())
    }

    /// Closes all tables.
    pub(super) fn close(self) -> Result<()> {
        let Self { person, observation_period, visit, condition, measurement, procedure, death } = self;
        [person, observation_period, visit, condition, measurement, procedure, death]
            .into_iter()
            .try_for_each(Table::close)
    }

    fn write_person(
        &mut self,
        id: i64,
        population: &Population,
        person: &Person<'_>,
        dice: &mut Dice,
    ) -> Result<()> {
        let (concept, source) = match person.sex {
            _ if dice.chance(population.dirt.gender_unmapped) => (0, ""),
            Sex::Female => (8532, "F"),
            Sex::Male => (8507, "M"),
        };
        self.person.write(&[
            ("person_id", id.to_string()),
            ("gender_concept_id", concept.to_string()),
            ("year_of_birth", person.birth.format("%Y").to_string()),
            ("month_of_birth", person.birth.format("%-m").to_string()),
            ("day_of_birth", person.birth.format("%-d").to_string()),
            ("race_concept_id", "0".to_owned()),
            ("ethnicity_concept_id", "0".to_owned()),
            ("person_source_value", person.id()),
            ("gender_source_value", source.to_owned()),
        ])
    }

    fn write_period(&mut self, person_id: i64, population: &Population, person: &Person<'_>) -> Result<()> {
        let id = self.observation_period.next_id();
        self.observation_period.write(&[
            ("observation_period_id", id.to_string()),
            ("person_id", person_id.to_string()),
            ("observation_period_start_date", (person.diagnosis - Days::new(90)).to_string()),
            ("observation_period_end_date", person.end(population).to_string()),
            ("period_type_concept_id", EHR.to_string()),
        ])
    }

    fn write_visit(&mut self, person_id: i64, date: NaiveDate) -> Result<i64> {
        let id = self.visit.next_id();
        self.visit.write(&[
            ("visit_occurrence_id", id.to_string()),
            ("person_id", person_id.to_string()),
            ("visit_concept_id", OUTPATIENT.to_string()),
            ("visit_start_date", date.to_string()),
            ("visit_end_date", date.to_string()),
            ("visit_type_concept_id", EHR.to_string()),
        ])?;
        Ok(id)
    }

    fn write_condition(&mut self, person_id: i64, visit: i64, person: &Person<'_>) -> Result<()> {
        let id = self.condition.next_id();
        self.condition.write(&[
            ("condition_occurrence_id", id.to_string()),
            ("person_id", person_id.to_string()),
            ("condition_concept_id", person.cancer.concept.to_string()),
            ("condition_start_date", person.diagnosis.to_string()),
            ("condition_type_concept_id", EHR.to_string()),
            ("visit_occurrence_id", visit.to_string()),
            ("condition_source_value", person.cancer.icd10.clone()),
        ])
    }

    /// As in OMOP's oncology extension, the stage itself is the measurement. One in twelve was never staged.
    fn write_stage(
        &mut self,
        person_id: i64,
        visit: i64,
        person: &Person<'_>,
        dice: &mut Dice,
    ) -> Result<()> {
        if dice.chance(1.0 / 12.0) {
            return Ok(());
        }
        let id = self.measurement.next_id();
        let stage = i64::from(person.stage);
        self.measurement.write(&[
            ("measurement_id", id.to_string()),
            ("person_id", person_id.to_string()),
            ("measurement_concept_id", (STAGE_1 + stage - 1).to_string()),
            ("measurement_date", person.diagnosis.to_string()),
            ("measurement_type_concept_id", EHR.to_string()),
            ("visit_occurrence_id", visit.to_string()),
            ("measurement_source_value", format!("UICC stage {stage}")),
        ])
    }

    fn write_measurements(
        &mut self,
        person_id: i64,
        population: &Population,
        person: &Person<'_>,
        of: &Measurement,
        dice: &mut Dice,
    ) -> Result<()> {
        let mut date = person.diagnosis + chrono::Duration::days(of.days.whole(dice));
        let mut again = dice.chance(of.share);
        for _ in 0..REPEATS {
            if !again || date > person.end(population) {
                break;
            }
            self.write_result(person_id, date, of, dice)?;
            again = dice.chance(of.repeat);
            date = date + Days::new(u64::from(of.every_days / 2 + dice.below(of.every_days)));
        }
        Ok(())
    }

    fn write_result(
        &mut self,
        person_id: i64,
        date: NaiveDate,
        of: &Measurement,
        dice: &mut Dice,
    ) -> Result<()> {
        let id = self.measurement.next_id();
        let number = of.numbers.as_ref().map(|numbers| format!("{:.1}", numbers.draw(dice)));
        let coded = match of.values.as_slice() {
            [] => None,
            values => Some(dice.pick(values, |value| value.weight)?.concept),
        };
        self.measurement.write(&[
            ("measurement_id", id.to_string()),
            ("person_id", person_id.to_string()),
            ("measurement_concept_id", of.concept.to_string()),
            ("measurement_date", date.to_string()),
            ("measurement_type_concept_id", EHR.to_string()),
            ("value_as_number", number.unwrap_or_default()),
            ("value_as_concept_id", coded.map(|concept| concept.to_string()).unwrap_or_default()),
            ("unit_concept_id", of.numbers.as_ref().map(|_| of.unit.to_string()).unwrap_or_default()),
            ("measurement_source_value", of.source.clone()),
            ("unit_source_value", of.unit_source.clone()),
        ])
    }

    fn write_procedures(
        &mut self,
        person_id: i64,
        population: &Population,
        person: &Person<'_>,
        dice: &mut Dice,
    ) -> Result<()> {
        for of in &person.cancer.procedures {
            let date = person.diagnosis + chrono::Duration::days(of.days.whole(dice));
            if !dice.chance(of.share) || date > person.end(population) {
                continue;
            }
            let id = self.procedure.next_id();
            self.procedure.write(&[
                ("procedure_occurrence_id", id.to_string()),
                ("person_id", person_id.to_string()),
                ("procedure_concept_id", of.concept.to_string()),
                ("procedure_date", date.to_string()),
                ("procedure_type_concept_id", EHR.to_string()),
                ("quantity", "1".to_owned()),
                ("procedure_source_value", of.source.clone()),
            ])?;
        }
        Ok(())
    }
}

/// What the folder says of itself.
fn cdm_source(folder: &Path, models: &Models, population: &Population, hospital: &Hospital) -> Result<()> {
    let date = population.extract.date.to_string();
    let mut table = Table::create(folder, models, "cdm_source")?;
    table.write(&[
        ("cdm_source_name", hospital.title.clone()),
        ("cdm_source_abbreviation", hospital.name.clone()),
        ("cdm_holder", hospital.title.clone()),
        ("source_description", "Generated for a demonstration; nobody in it exists.".to_owned()),
        ("source_release_date", date.clone()),
        ("cdm_release_date", date),
        ("cdm_version", "5.4".to_owned()),
        ("cdm_version_concept_id", "756265".to_owned()),
        ("vocabulary_version", "none".to_owned()),
    ])?;
    table.close()
}
