//! The imaging of a person at a hospital: studies around the diagnosis, follow-ups, their series and machines.
//!
//! A scan needs a machine: a hospital without a scanner of a modality makes no such studies.

use anyhow::{Context, Result};
use chrono::{Days, NaiveDate};

use super::dice::Dice;
use super::person::{Person, Sex};
use super::population::{Hospital, Population, Protocol, Scan, Scanner};

/// At most this many studies follow the first one of a scan.
const FOLLOW_UPS: usize = 6;

/// The imaging of a person.
pub(super) struct Imaging<'a> {
    /// Sex as the archive has it: M, F, O or nothing.
    pub(super) sex: Option<&'static str>,
    pub(super) studies: Vec<Study<'a>>,
}

/// A DICOM study as a hospital's archive lists it.
pub(super) struct Study<'a> {
    pub(super) uid: String,
    pub(super) date: NaiveDate,
    /// Missing where the console did not know it.
    pub(super) age: Option<u32>,
    pub(super) series: Vec<Series<'a>>,
}

/// A DICOM series.
#[derive(Clone)]
pub(super) struct Series<'a> {
    pub(super) uid: String,
    /// From 1 within the study.
    pub(super) number: i64,
    pub(super) protocol: &'a Protocol,
    /// Whether the archive lost the patient's identifier.
    pub(super) orphan: bool,
    pub(super) modality: &'a str,
    pub(super) sop_class: &'a str,
    pub(super) body_part: Option<&'a str>,
    pub(super) laterality: Option<&'static str>,
    pub(super) manufacturer: &'a str,
    pub(super) model: &'a str,
    pub(super) tesla: Option<f64>,
    pub(super) kvp: Option<f64>,
    pub(super) slice_mm: Option<f64>,
    pub(super) instances: i64,
    pub(super) megabytes: f64,
}

impl<'a> Imaging<'a> {
    /// What the hospital imaged of the person.
    pub(super) fn draw(
        population: &'a Population,
        hospital: &'a Hospital,
        person: &Person<'a>,
        dice: &mut Dice,
    ) -> Result<Self> {
        let sex = recorded_sex(person, population, dice);
        Ok(Self { sex, studies: studies(population, hospital, person, dice)? })
    }
}

fn recorded_sex(person: &Person<'_>, population: &Population, dice: &mut Dice) -> Option<&'static str> {
    let dirt = &population.dirt;
    if dice.chance(dirt.sex_missing) {
        return None;
    }
    if dice.chance(dirt.sex_other) {
        return Some("O");
    }
    Some(match person.sex {
        Sex::Female => "F",
        Sex::Male => "M",
    })
}

/// All studies of a person at a hospital, scan by scan.
fn studies<'a>(
    population: &'a Population,
    hospital: &'a Hospital,
    person: &Person<'a>,
    dice: &mut Dice,
) -> Result<Vec<Study<'a>>> {
    let follow_ups = hospital.keeps.as_ref().map_or(FOLLOW_UPS, |keeps| keeps.follow_ups);
    let mut studies = Vec::new();
    for scan in &person.cancer.scans {
        let machines = population.scanners(hospital, &scan.modality);
        if machines.is_empty() || !dice.chance(scan.share) {
            continue;
        }
        for date in dates(scan, person, person.end(population), dice).into_iter().take(follow_ups + 1) {
            studies.push(Room { population, hospital, scan, machines: &machines }.study(person, date, dice)?);
        }
    }
    Ok(studies)
}

/// The first study near the diagnosis, then follow-ups while the person lives and comes.
fn dates(scan: &Scan, person: &Person<'_>, end: NaiveDate, dice: &mut Dice) -> Vec<NaiveDate> {
    let mut date = person.diagnosis + chrono::Duration::days(scan.days.whole(dice));
    let mut dates = Vec::new();
    while date <= end && dates.len() <= FOLLOW_UPS {
        dates.push(date);
        if !dice.chance(scan.repeat) {
            break;
        }
        let days = f64::from(scan.every_days) * (0.75 + dice.share() / 2.0);
        date = date + Days::new(days as u64);
    }
    dates
}

/// Where a scan is made.
struct Room<'a, 'b> {
    population: &'a Population,
    hospital: &'a Hospital,
    scan: &'a Scan,
    machines: &'b [&'a Scanner],
}

impl<'a> Room<'a, '_> {
    fn study(&self, person: &Person<'a>, date: NaiveDate, dice: &mut Dice) -> Result<Study<'a>> {
        let scanner = dice.pick(self.machines, |_| 1.0)?;
        let uid = dice.uid();
        let age = (!dice.chance(self.population.dirt.age_missing)).then(|| person.age(date));
        let most = self.hospital.keeps.as_ref().map_or(i64::MAX, |keeps| keeps.series);
        let mut series = Vec::new();
        for number in 1..=self.scan.series.whole(dice).min(most) {
            series.push(self.series(scanner, &self.scan.modality, number, dice)?);
        }
        if let Some(with) = &self.scan.with {
            series.push(self.series(scanner, with, series.len() as i64 + 1, dice)?);
        }
        Ok(Study { uid, date, age, series })
    }

    fn series(
        &self,
        scanner: &'a Scanner,
        modality: &'a str,
        number: i64,
        dice: &mut Dice,
    ) -> Result<Series<'a>> {
        let kind = self.population.modality(modality)?;
        let kept = self.hospital.keeps.as_ref().map_or(&kind.instances, |keeps| &keeps.instances);
        let instances = kept.whole(dice);
        let side = if number % 2 == 1 { "L" } else { "R" };
        let protocol = (number as usize - 1) % kind.protocols.len().max(1);
        Ok(Series {
            uid: dice.uid(),
            number,
            protocol: kind.protocols.get(protocol).context("a modality without protocols")?,
            orphan: dice.chance(self.population.dirt.series_without_patient),
            modality,
            sop_class: &kind.sop_class,
            body_part: self.body_part(dice),
            laterality: self.scan.sides.then_some(side),
            manufacturer: self.manufacturer(scanner, dice)?,
            model: &scanner.model,
            tesla: scanner.tesla,
            kvp: scanner.kvp.as_ref().and_then(|kvp| kvp.step(dice)),
            slice_mm: scanner.slice_mm.as_ref().and_then(|slice| slice.step(dice)),
            instances,
            megabytes: (instances as f64 * kind.kb / 10.0).round() / 100.0,
        })
    }

    fn body_part(&self, dice: &mut Dice) -> Option<&'a str> {
        if dice.chance(self.population.dirt.body_part_missing) {
            return None;
        }
        let other = self.scan.also.as_deref().filter(|_| dice.chance(1.0 / 3.0));
        Some(other.unwrap_or(&self.scan.body_part))
    }

    /// The hospital's usual spelling; older consoles have another.
    fn manufacturer(&self, scanner: &'a Scanner, dice: &mut Dice) -> Result<&'a str> {
        let spellings = &scanner.manufacturer;
        let usual = spellings.get(self.hospital.spelling % spellings.len().max(1));
        if dice.chance(0.8) {
            return usual.map(String::as_str).with_context(|| format!("{}: no manufacturer", scanner.model));
        }
        Ok(dice.pick(spellings, |_| 1.0)?)
    }
}
