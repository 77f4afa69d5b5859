//! What a hospital knows of a person, drawn once: every file about the person and the truth of it are written from this.

use anyhow::Result;

use super::dice::{Dice, Purpose};
use super::imaging::Imaging;
use super::person::{Person, Plan};
use super::population::Population;
use super::records::Records;

/// A person at a hospital. No `Debug`, as for [`Person`].
pub(super) struct Care<'a> {
    pub(super) person: Person<'a>,
    /// Where the archive knows the person.
    pub(super) imaging: Option<Imaging<'a>>,
    /// Where the records know the person.
    pub(super) records: Option<Records<'a>>,
}

impl<'a> Care<'a> {
    /// What the hospital at `position` knows of the person of that number. Most people are in both sources; nobody is
    /// in none.
    pub(super) fn draw(population: &'a Population, plan: Plan, position: usize, number: u32) -> Result<Self> {
        let hospital = population.at(position)?;
        let person = Person::draw(population, plan, number)?;
        let mut dice = Dice::new(plan.seed, Purpose::Care(u16::try_from(position)?), number);
        let imaged = !dice.chance(population.dirt.without_images);
        let recorded = !imaged || !dice.chance(population.dirt.without_records);
        let imaging =
            if imaged { Some(Imaging::draw(population, hospital, &person, &mut dice)?) } else { None };
        let records = if recorded { Some(Records::draw(population, &person, &mut dice)?) } else { None };
        Ok(Self { person, imaging, records })
    }
}
