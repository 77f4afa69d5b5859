//! Chance that repeats: the same seed gives the same draws, whoever else draws.
//!
//! Every patient has a stream of its own, so generation can stream, and adding a hospital changes no other one.

use anyhow::{Context, Result};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// What a stream of chance is used for; part of the stream's number.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    /// Who somebody is: the same at every hospital.
    Person,
    /// What a hospital (by position) did with a person.
    Care(u16),
}

/// A stream of chance. Every draw of a stream has its place: a new one is added at the end, or to a stream of its own.
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    /// The stream of one person for one purpose.
    pub(super) fn new(seed: u64, purpose: Purpose, person: u32) -> Self {
        let kind = match purpose {
            Purpose::Person => 0,
            Purpose::Care(hospital) => 1 + u64::from(hospital),
        };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(kind << 32 | u64::from(person));
        Self(rng)
    }

    /// The stream that hangs on a name alone: for what belongs to a file and not to a person.
    pub(super) fn named(name: &str) -> Self {
        Self(ChaCha8Rng::from_seed(Sha256::digest(name).into()))
    }

    /// Between 0 and 1.
    pub(super) fn share(&mut self) -> f64 {
        self.0.random()
    }

    /// True in this share of cases.
    pub(super) fn chance(&mut self, share: f64) -> bool {
        self.share() < share
    }

    /// A whole number from 0 to below `end`.
    pub(super) fn below(&mut self, end: u32) -> u32 {
        self.0.random_range(0..end.max(1))
    }

    /// One of the things, by weight.
    ///
    /// # Errors
    /// When there is nothing of any weight.
    pub(super) fn pick<'a, T>(&mut self, things: &'a [T], weight: impl Fn(&T) -> f64) -> Result<&'a T> {
        let total: f64 = things.iter().map(&weight).sum();
        let mut left = self.share() * total;
        let mut weighted = things.iter().filter(|thing| weight(thing) > 0.0).peekable();
        while let Some(thing) = weighted.next() {
            left -= weight(thing);
            if left < 0.0 || weighted.peek().is_none() {
                return Ok(thing);
            }
        }
        None.context("the population offers a choice without any weight")
    }

    /// A DICOM identifier that needs no registered root (PS3.5 section B.2): `2.25.` and a random UUID as an integer.
    pub(super) fn uid(&mut self) -> String {
        format!("2.25.{}", self.version_4())
    }

    /// A random UUID (RFC 9562) as text.
    pub(super) fn uuid(&mut self) -> String {
        let hex = format!("{:032x}", self.version_4());
        let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default();
        [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-")
    }

    fn version_4(&mut self) -> u128 {
        let random: u128 = self.0.random();
        let version_4 = random & !(0xf << 76) | (0x4 << 76);
        version_4 & !(0x3 << 62) | (0x2 << 62)
    }
}

/// A distribution of numbers as evenly spaced quantiles, from the lowest to the highest value.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub(super) struct Quantiles(Vec<f64>);

impl Quantiles {
    /// One draw. No logarithm and no power is taken: every machine computes the same bits.
    pub(super) fn draw(&self, dice: &mut Dice) -> f64 {
        let place = dice.share() * self.0.len().saturating_sub(1) as f64;
        let low = place.floor();
        let at = |index: f64| self.0.get(index as usize).or(self.0.last()).copied().unwrap_or_default();
        at(low) + (at(low + 1.0) - at(low)) * (place - low)
    }

    /// One draw, rounded to a whole number.
    pub(super) fn whole(&self, dice: &mut Dice) -> i64 {
        self.draw(dice).round() as i64
    }

    /// Whether the values rise and there are at least two of them.
    pub(super) fn is_sound(&self) -> bool {
        self.0.len() >= 2 && self.0.is_sorted() && self.0.iter().all(|value| value.is_finite())
    }

    /// One of the quantiles themselves: for values that come in steps.
    pub(super) fn step(&self, dice: &mut Dice) -> Option<f64> {
        let index = dice.below(u32::try_from(self.0.len()).unwrap_or(u32::MAX));
        self.0.get(index as usize).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::{Dice, Purpose, Quantiles};

    fn dice(person: u32) -> Dice {
        Dice::new(7, Purpose::Person, person)
    }

    #[test]
    fn streams_repeat_and_differ_by_person_and_purpose() {
        let draws = |mut dice: Dice| [dice.share(), dice.share()];
        assert_eq!(draws(dice(1)), draws(dice(1)));
        assert_ne!(draws(dice(1)), draws(dice(2)));
        assert_ne!(draws(dice(1)), draws(Dice::new(7, Purpose::Care(0), 1)));
    }

    #[test]
    fn quantiles_are_met_by_draws() {
        let quantiles = Quantiles(vec![0.0, 10.0, 100.0]);
        let mut dice = dice(1);
        let draws: Vec<f64> = (0..20_000).map(|_| quantiles.draw(&mut dice)).collect();
        let below = draws.iter().filter(|draw| **draw < 10.0).count();
        assert!((9_700..10_300).contains(&below), "half of the draws lie below the median: {below}");
        assert!(draws.iter().all(|draw| (0.0..=100.0).contains(draw)));
    }

    #[test]
    fn picks_follow_weights_and_nothing_weightless_is_picked() {
        let weights = [0.0, 1.0, 3.0, 0.0];
        let mut dice = dice(1);
        let picks: Vec<f64> = (0..20_000).map(|_| *dice.pick(&weights, |weight| *weight).unwrap()).collect();
        let threes = picks.iter().filter(|pick| **pick == 3.0).count();
        assert!((14_600..15_400).contains(&threes), "{threes}");
        assert!(!picks.contains(&0.0));
        assert!(dice.pick(&[0.0], |weight| *weight).is_err());
    }

    #[test]
    fn identifiers_are_valid_and_random_uuids() {
        let mut dice = dice(1);
        for _ in 0..100 {
            let uid = dice.uid();
            assert!(uid.len() <= 64 && !uid.contains(".0"), "{uid}");
            let uuid: u128 = uid.strip_prefix("2.25.").unwrap().parse().unwrap();
            assert_eq!((uuid >> 76 & 0xf, uuid >> 62 & 0x3), (4, 2));
            let uuid = dice.uuid();
            assert!(
                uuid.len() == 36 && uuid.as_bytes()[14] == b'4' && b"89ab".contains(&uuid.as_bytes()[19])
            );
        }
    }

    #[test]
    fn a_named_stream_hangs_on_its_name_alone() {
        let draw = |name| Dice::named(name).share();
        assert_eq!(draw("2.25.1"), draw("2.25.1"));
        assert_ne!(draw("2.25.1"), draw("2.25.2"));
    }
}
