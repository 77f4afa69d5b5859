//! The clinical records of a person at a hospital: how the diagnosis was coded, stage, grade, results, treatments.

use anyhow::Result;
use chrono::{Days, Duration, NaiveDate};

use super::dice::Dice;
use super::person::{Graded, Person, Sex};
use super::population::{Measurement, Population, Procedure, Stage};

/// At most this many repeats of a measurement.
const REPEATS: usize = 8;

/// A diagnosis is registered within so many days.
const REGISTERED_WITHIN: u32 = 15;

/// What the hospital's information system has of a person.
pub(super) struct Records<'a> {
    /// Missing where the form was left empty.
    pub(super) sex: Option<Sex>,
    pub(super) coding: Coding,
    /// When the diagnosis was registered.
    pub(super) registered: NaiveDate,
    pub(super) stage: Option<&'a Stage>,
    pub(super) grade: Option<Graded<'a>>,
    pub(super) results: Vec<Finding<'a>>,
    pub(super) treatments: Vec<Treatment<'a>>,
}

/// How a diagnosis is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Coding {
    /// In SNOMED CT and ICD-10.
    Full,
    /// In ICD-10 alone.
    Icd10Alone,
    /// Not at all: in words.
    TextAlone,
}

/// A laboratory value or a finding.
pub(super) struct Finding<'a> {
    pub(super) of: &'a Measurement,
    pub(super) date: NaiveDate,
    pub(super) value: Value,
    /// Whether it bears a code, or the name alone that the laboratory calls it by.
    pub(super) coded: bool,
}

/// The value of a finding.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    /// A number with one decimal, in the measurement's unit.
    Number(f64),
    /// A concept.
    Concept(i64),
}

/// A treatment that was given.
pub(super) struct Treatment<'a> {
    pub(super) of: &'a Procedure,
    pub(super) date: NaiveDate,
}

impl<'a> Records<'a> {
    /// What is recorded of the person.
    pub(super) fn draw(population: &'a Population, person: &Person<'a>, dice: &mut Dice) -> Result<Self> {
        let dirt = &population.dirt;
        let sex = (!dice.chance(dirt.gender_unmapped)).then_some(person.sex);
        let share = dice.share();
        let coding = if share < dirt.diagnosis_text_alone {
            Coding::TextAlone
        } else if share < dirt.diagnosis_text_alone + dirt.diagnosis_icd10_alone {
            Coding::Icd10Alone
        } else {
            Coding::Full
        };
        let registered = person.diagnosis + Days::new(u64::from(dice.below(REGISTERED_WITHIN)));
        let staged = !dice.chance(dirt.unstaged);
        let graded = !dice.chance(dirt.ungraded);
        let mut results = Vec::new();
        for of in &person.cancer.measurements {
            repeat(population, person, of, dice, &mut results)?;
        }
        Ok(Self {
            sex,
            coding,
            registered: registered.min(person.end(population)),
            stage: if staged { Some(population.stage(person.stage)?) } else { None },
            grade: person.grade.filter(|_| graded),
            results,
            treatments: treatments(population, person, dice),
        })
    }
}

fn repeat<'a>(
    population: &Population,
    person: &Person<'a>,
    of: &'a Measurement,
    dice: &mut Dice,
    results: &mut Vec<Finding<'a>>,
) -> Result<()> {
    let mut date = person.diagnosis + Duration::days(of.days.whole(dice));
    let mut again = dice.chance(of.share);
    for _ in 0..REPEATS {
        if !again || date > person.end(population) {
            break;
        }
        let coded = !dice.chance(population.dirt.result_uncoded);
        results.push(Finding { of, date, value: value(of, dice)?, coded });
        again = dice.chance(of.repeat);
        date = date + Days::new(u64::from(of.every_days / 2 + dice.below(of.every_days)));
    }
    Ok(())
}

fn value(of: &Measurement, dice: &mut Dice) -> Result<Value> {
    Ok(match &of.numbers {
        Some(numbers) => Value::Number((numbers.draw(dice) * 10.0).round() / 10.0),
        None => Value::Concept(dice.pick(&of.values, |value| value.weight)?.concept),
    })
}

fn treatments<'a>(population: &Population, person: &Person<'a>, dice: &mut Dice) -> Vec<Treatment<'a>> {
    let mut given = Vec::new();
    for of in &person.cancer.procedures {
        let date = person.diagnosis + Duration::days(of.days.whole(dice));
        if dice.chance(of.share) && date <= person.end(population) {
            given.push(Treatment { of, date });
        }
    }
    given
}
