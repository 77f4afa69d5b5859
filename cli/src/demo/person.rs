//! Who somebody is, whichever hospital asks: sex, birth, cancer, stage, death.
//!
//! A person has a number across all hospitals, and everything here is drawn from that number's own stream: two
//! hospitals that know the same person agree on them.

use anyhow::{Context, Result};
use chrono::{Days, Months, NaiveDate};

use super::dice::{Dice, Purpose};
use super::population::{Cancer, Grade, Grading, Names, Population};

/// Which records to make: the same plan gives the same bytes.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Where all chance comes from.
    pub seed: u64,
    /// Patients of one hospital.
    pub patients: u32,
}

impl Default for Plan {
    /// The demo's hospitals: 3,000 patients each.
    fn default() -> Self {
        Self { seed: 20_250_630, patients: 3_000 }
    }
}

/// Sex as registered at birth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sex {
    /// Female.
    Female,
    /// Male.
    Male,
}

/// A person with a cancer. No `Debug`: not even an invented patient is printed by accident.
pub(super) struct Person<'a> {
    /// Number across all hospitals.
    pub(super) number: u32,
    pub(super) sex: Sex,
    pub(super) birth: NaiveDate,
    pub(super) cancer: &'a Cancer,
    pub(super) diagnosis: NaiveDate,
    /// 1 to 4.
    pub(super) stage: u8,
    /// Where the cancer is graded.
    pub(super) grade: Option<Graded<'a>>,
    pub(super) name: Name<'a>,
    /// Before the extract, if at all.
    pub(super) death: Option<NaiveDate>,
}

/// What a person is called.
#[derive(Clone, Copy)]
pub(super) struct Name<'a> {
    pub(super) family: &'a str,
    pub(super) given: &'a str,
}

/// The grade of a tumour.
#[derive(Clone, Copy)]
pub(super) struct Graded<'a> {
    pub(super) grading: &'a Grading,
    pub(super) grade: &'a Grade,
    /// From 1.
    pub(super) number: u8,
}

/// The numbers of the persons that a hospital knows: its own, then some of the next hospital's.
pub(super) fn numbers(population: &Population, plan: Plan, hospital: usize) -> impl Iterator<Item = u32> {
    let count = population.hospital.len().max(1);
    let shared = (f64::from(plan.patients) * population.dirt.known_to_another_hospital).round() as u32;
    let first = |of: usize| of as u32 * plan.patients;
    let own = first(hospital)..first(hospital) + (plan.patients - shared);
    let next = first((hospital + 1) % count);
    own.chain(next..next + shared)
}

impl<'a> Person<'a> {
    /// The person of that number, as their home hospital's mix of cancers makes them likely.
    pub(super) fn draw(population: &'a Population, plan: Plan, number: u32) -> Result<Self> {
        let mut dice = Dice::new(plan.seed, Purpose::Person, number);
        let homes = &population.hospital;
        let home = homes.get((number / plan.patients.max(1)) as usize).context("nobody has this number")?;
        let kinds: Vec<_> = home.cancers.iter().collect();
        let (name, _) = dice.pick(&kinds, |(_, weight)| **weight)?;
        let cancer = population.cancer(name)?;
        let sex = if dice.chance(cancer.female) { Sex::Female } else { Sex::Male };
        let diagnosis = diagnosis(population, &mut dice)?;
        let birth = diagnosis - Days::new((cancer.age.draw(&mut dice) * 365.25) as u64);
        let stages = [1, 2, 3, 4];
        let stage = *dice.pick(&stages, |stage| cancer.stages[usize::from(*stage - 1)])?;
        let mortality = cancer.mortality[usize::from(stage - 1)];
        let death = death(mortality, diagnosis, &mut dice).filter(|date| *date <= population.extract.date);
        let grade = grade(population, cancer, stage, &mut dice)?;
        let name = invent_name(&population.names, sex, &mut dice)?;
        Ok(Self { number, sex, birth, cancer, diagnosis, stage, grade, name, death })
    }

    /// The identifier that every hospital and every source knows the person by.
    pub(super) fn id(&self) -> String {
        format!("P{:07}", self.number)
    }

    /// Age in completed years.
    pub(super) fn age(&self, on: NaiveDate) -> u32 {
        on.years_since(self.birth).unwrap_or_default()
    }

    /// The last day anything can happen to the person.
    pub(super) fn end(&self, population: &Population) -> NaiveDate {
        self.death.unwrap_or(population.extract.date)
    }
}

fn diagnosis(population: &Population, dice: &mut Dice) -> Result<NaiveDate> {
    let years: Vec<_> = (population.years.first..).zip(&population.years.weights).collect();
    let (year, _) = dice.pick(&years, |(_, weight)| **weight)?;
    let first = NaiveDate::from_ymd_opt(*year, 1, 1).unwrap_or_default();
    let next = first + Months::new(12);
    Ok(first + Days::new(u64::from(dice.below((next - first).num_days() as u32))))
}

fn grade<'a>(
    population: &'a Population,
    cancer: &Cancer,
    stage: u8,
    dice: &mut Dice,
) -> Result<Option<Graded<'a>>> {
    let Some(name) = &cancer.grading else { return Ok(None) };
    let grading = population.grading(name)?;
    let weights = cancer.grades.get(usize::from(stage - 1)).context("a stage without grades")?;
    let grades: Vec<_> = (1..).zip(&grading.grades).zip(weights).collect();
    let ((number, grade), _) = dice.pick(&grades, |(_, weight)| **weight)?;
    Ok(Some(Graded { grading, grade, number: *number }))
}

fn invent_name<'a>(names: &'a Names, sex: Sex, dice: &mut Dice) -> Result<Name<'a>> {
    let given = match sex {
        Sex::Female => &names.female,
        Sex::Male => &names.male,
    };
    let (family, given) = (dice.pick(&names.family, |_| 1.0)?, dice.pick(given, |_| 1.0)?);
    Ok(Name { family, given })
}

/// Most who die of a cancer die early: the square of an even draw leans to the beginning of the five years.
fn death(mortality: f64, diagnosis: NaiveDate, dice: &mut Dice) -> Option<NaiveDate> {
    let share = dice.share();
    let days = 21 + (share * share * 1_800.0) as u64;
    dice.chance(mortality).then_some(diagnosis + Days::new(days))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::{Person, Plan, Sex, numbers};
    use crate::demo::population::Population;

    fn persons(population: &Population) -> Vec<Person<'_>> {
        let plan = Plan { seed: 1, patients: 2_000 };
        (0..6_000).map(|number| Person::draw(population, plan, number).unwrap()).collect()
    }

    #[test]
    fn cancers_sexes_and_ages_are_those_of_the_books() {
        let population = Population::bundled().unwrap();
        let mut by_cancer: BTreeMap<&str, Vec<&Person<'_>>> = BTreeMap::new();
        let persons = persons(&population);
        for person in &persons {
            by_cancer.entry(&person.cancer.name).or_default().push(person);
        }
        let share = |name: &str| by_cancer[name].len() as f64 / persons.len() as f64;
        assert!((0.24..0.31).contains(&share("breast")), "{}", share("breast"));
        assert!((0.18..0.25).contains(&share("prostate")), "{}", share("prostate"));
        assert!(by_cancer["prostate"].iter().all(|person| person.sex == Sex::Male));
        let men = by_cancer["breast"].iter().filter(|person| person.sex == Sex::Male).count();
        assert!((1..40).contains(&men), "breast cancer of men is rare, not absent: {men}");
        let mut ages: Vec<_> = by_cancer["prostate"].iter().map(|p| p.age(p.diagnosis)).collect();
        ages.sort_unstable();
        assert!((66..=70).contains(&ages[ages.len() / 2]), "median age at diagnosis");
    }

    #[test]
    fn later_stages_die_more_and_nobody_dies_before_the_diagnosis() {
        let population = Population::bundled().unwrap();
        let persons = persons(&population);
        let mortality = |stage: u8| {
            let of: Vec<_> = persons.iter().filter(|person| person.stage == stage).collect();
            of.iter().filter(|person| person.death.is_some()).count() as f64 / of.len() as f64
        };
        assert!(mortality(1) < 0.2 && mortality(4) > 0.6, "{} {}", mortality(1), mortality(4));
        for person in &persons {
            assert!(person.birth < person.diagnosis);
            assert!(
                person.death.is_none_or(|date| date > person.diagnosis && date <= population.extract.date)
            );
        }
    }

    #[test]
    fn a_hospital_shares_a_few_patients_with_the_next_and_none_within() {
        let population = Population::bundled().unwrap();
        let plan = Plan { seed: 1, patients: 500 };
        let known: Vec<BTreeSet<u32>> =
            (0..3).map(|hospital| numbers(&population, plan, hospital).collect()).collect();
        assert!(known.iter().all(|numbers| numbers.len() == 500));
        assert_eq!(known[0].intersection(&known[1]).count(), 20);
        assert_eq!(known[2].intersection(&known[0]).count(), 20);
    }
}
