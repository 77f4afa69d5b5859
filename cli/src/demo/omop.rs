//! Writes a hospital's OMOP CDM 5.4 folder: one CSV file a table, all columns of the standard in its order.
//!
//! Column names come from the data model, so a column that the standard does not have cannot be written.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, bail};
use caim_ontology::Models;
use chrono::{Days, NaiveDate};

use super::care::Care;
use super::concepts;
use super::person::{Graded, Person, Sex};
use super::population::{Hospital, Population, Stage};
use super::records::{Coding, Finding, Records, Treatment, Value};

/// Concept "EHR": where the records come from.
const EHR: i64 = 32817;
/// Concept "outpatient visit".
const OUTPATIENT: i64 = 9202;
/// Concept "condition_occurrence.condition_occurrence_id": what a measurement is about.
const CONDITION_FIELD: i64 = 1_147_127;
/// Concept "no matching concept".
const NONE: i64 = 0;

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

/// The condition that a measurement is about, and whose it is.
#[derive(Debug, Clone, Copy)]
struct About {
    person: i64,
    condition: i64,
    date: NaiveDate,
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
        std::fs::write(folder.join("CONCEPT.csv"), concepts::FILE)?;
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

    /// Adds everything that is recorded of a person.
    pub(super) fn write(&mut self, population: &Population, care: &Care<'_>) -> Result<()> {
        let (person, Some(records)) = (&care.person, &care.records) else { return Ok(()) };
        let id = self.person.next_id();
        self.write_person(id, person, records)?;
        self.write_period(id, population, person)?;
        let visit = self.write_visit(id, person.diagnosis)?;
        let condition = self.write_condition(id, visit, person, records.coding)?;
        let about = About { person: id, condition, date: person.diagnosis };
        if let Some(stage) = records.stage {
            self.write_stage(about, stage)?;
        }
        if let Some(grade) = records.grade {
            self.write_grade(about, grade)?;
        }
        for finding in &records.results {
            self.write_finding(id, finding)?;
        }
        for treatment in &records.treatments {
            self.write_treatment(id, treatment)?;
        }
        match person.death {
            Some(date) => self.write_death(id, person, date),
            None => Ok(()),
        }
    }

    /// Closes all tables.
    pub(super) fn close(self) -> Result<()> {
        let Self { person, observation_period, visit, condition, measurement, procedure, death } = self;
        [person, observation_period, visit, condition, measurement, procedure, death]
            .into_iter()
            .try_for_each(Table::close)
    }

    fn write_person(&mut self, id: i64, person: &Person<'_>, records: &Records<'_>) -> Result<()> {
        let (concept, source) = match records.sex {
            None => (NONE, ""),
            Some(Sex::Female) => (8532, "F"),
            Some(Sex::Male) => (8507, "M"),
        };
        self.person.write(&[
            ("person_id", id.to_string()),
            ("gender_concept_id", concept.to_string()),
            ("year_of_birth", person.birth.format("%Y").to_string()),
            ("month_of_birth", person.birth.format("%-m").to_string()),
            ("day_of_birth", person.birth.format("%-d").to_string()),
            ("race_concept_id", NONE.to_string()),
            ("ethnicity_concept_id", NONE.to_string()),
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

    /// A diagnosis in words alone could not be mapped; ICD-10 alone could.
    fn write_condition(
        &mut self,
        person_id: i64,
        visit: i64,
        person: &Person<'_>,
        coding: Coding,
    ) -> Result<i64> {
        let id = self.condition.next_id();
        let (concept, source) = match coding {
            Coding::Full | Coding::Icd10Alone => (person.cancer.concept, person.cancer.icd10.clone()),
            Coding::TextAlone => (NONE, format!("{} cancer", person.cancer.name)),
        };
        self.condition.write(&[
            ("condition_occurrence_id", id.to_string()),
            ("person_id", person_id.to_string()),
            ("condition_concept_id", concept.to_string()),
            ("condition_start_date", person.diagnosis.to_string()),
            ("condition_type_concept_id", EHR.to_string()),
            ("visit_occurrence_id", visit.to_string()),
            ("condition_source_value", source),
        ])?;
        Ok(id)
    }

    /// As in OMOP's oncology extension, the stage itself is the measurement.
    fn write_stage(&mut self, about: About, stage: &Stage) -> Result<()> {
        self.write_modifier(
            about,
            [
                ("measurement_concept_id", stage.concept.to_string()),
                ("measurement_source_value", format!("UICC stage {}", stage.roman)),
                ("value_as_number", String::new()),
                ("value_as_concept_id", String::new()),
            ],
        )
    }

    fn write_grade(&mut self, about: About, of: Graded<'_>) -> Result<()> {
        let score = of.grade.score.map(|score| score.to_string());
        self.write_modifier(
            about,
            [
                ("measurement_concept_id", of.grading.concept.to_string()),
                ("measurement_source_value", of.grading.source.clone()),
                ("value_as_number", score.unwrap_or_default()),
                ("value_as_concept_id", of.grade.concept.to_string()),
            ],
        )
    }

    /// A measurement about a condition, which CDM 5.4 names.
    fn write_modifier(&mut self, about: About, of: [(&'static str, String); 4]) -> Result<()> {
        let id = self.measurement.next_id();
        let mut row = vec![
            ("measurement_id", id.to_string()),
            ("person_id", about.person.to_string()),
            ("measurement_date", about.date.to_string()),
            ("measurement_type_concept_id", EHR.to_string()),
            ("measurement_event_id", about.condition.to_string()),
            ("meas_event_field_concept_id", CONDITION_FIELD.to_string()),
        ];
        row.extend(of);
        self.measurement.write(&row)
    }

    fn write_finding(&mut self, person_id: i64, finding: &Finding<'_>) -> Result<()> {
        let (id, of) = (self.measurement.next_id(), finding.of);
        let concept = if finding.coded { of.concept } else { NONE };
        let (number, coded, unit) = match finding.value {
            Value::Number(number) => (format!("{number:.1}"), String::new(), of.unit.to_string()),
            Value::Concept(concept) => (String::new(), concept.to_string(), String::new()),
        };
        self.measurement.write(&[
            ("measurement_id", id.to_string()),
            ("person_id", person_id.to_string()),
            ("measurement_concept_id", concept.to_string()),
            ("measurement_date", finding.date.to_string()),
            ("measurement_type_concept_id", EHR.to_string()),
            ("value_as_number", number),
            ("value_as_concept_id", coded),
            ("unit_concept_id", unit),
            ("measurement_source_value", of.source.clone()),
            ("unit_source_value", of.unit_source.clone()),
        ])
    }

    fn write_treatment(&mut self, person_id: i64, treatment: &Treatment<'_>) -> Result<()> {
        let id = self.procedure.next_id();
        self.procedure.write(&[
            ("procedure_occurrence_id", id.to_string()),
            ("person_id", person_id.to_string()),
            ("procedure_concept_id", treatment.of.concept.to_string()),
            ("procedure_date", treatment.date.to_string()),
            ("procedure_type_concept_id", EHR.to_string()),
            ("quantity", "1".to_owned()),
            ("procedure_source_value", treatment.of.source.clone()),
        ])
    }

    fn write_death(&mut self, person_id: i64, person: &Person<'_>, date: NaiveDate) -> Result<()> {
        self.death.write(&[
            ("person_id", person_id.to_string()),
            ("death_date", date.to_string()),
            ("death_type_concept_id", EHR.to_string()),
            ("cause_concept_id", person.cancer.concept.to_string()),
            ("cause_source_value", person.cancer.icd10.clone()),
        ])
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
