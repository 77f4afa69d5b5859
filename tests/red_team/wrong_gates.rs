//! Gates that are wrong on purpose. The games must find every one of them out: a harness that catches nobody proves
//! nothing. And an honest one, in which they must find nothing.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::games::Opponent;
use crate::gaussian::{Discrete, gauss};

/// Counts are rounded to this.
const BASE: i64 = 5;

fn rounded(count: i64) -> i64 {
    (count + BASE / 2).div_euclid(BASE) * BASE
}

/// The counts that are rounded to this one.
fn bucket(shown: i64) -> std::ops::RangeInclusive<i64> {
    shown - BASE / 2..=shown - BASE / 2 + BASE - 1
}

/// Exact counts from `k` on: nine known people and the victim.
pub(crate) struct ExactThreshold;

impl Opponent for ExactThreshold {
    fn play(&self, present: bool, _: &mut ChaCha8Rng) -> f64 {
        let count = 9 + i64::from(present);
        if count >= 10 { f64::INFINITY } else { f64::NEG_INFINITY }
    }
}

/// Laplace noise that depends on the count alone: two cohorts that differ by the victim are asked.
pub(crate) struct CachedByCount {
    pub(crate) scale: f64,
}

impl CachedByCount {
    fn noise(&self, random: &mut ChaCha8Rng) -> i64 {
        let (u, sign): (f64, bool) = (random.random(), random.random());
        let size = (-self.scale * (1.0 - u).ln()).floor() as i64;
        if sign { size } else { -size }
    }

    fn mass(&self, z: i64) -> f64 {
        let q = (-1.0 / self.scale).exp();
        // Zero comes with either sign.
        (1.0 - q) / 2.0 * q.powi(z.unsigned_abs() as i32) * if z == 0 { 2.0 } else { 1.0 }
    }

    fn shows(&self, count: i64, shown: i64) -> f64 {
        bucket(shown).map(|n| self.mass(n - count)).sum()
    }
}

impl Opponent for CachedByCount {
    fn play(&self, present: bool, random: &mut ChaCha8Rng) -> f64 {
        let others = 60;
        let first = self.noise(random);
        let second = if present { self.noise(random) } else { first };
        let (a, b) = (rounded(others + i64::from(present) + first), rounded(others + second));
        let with = self.shows(others + 1, a) * self.shows(others, b);
        let without = if a == b { self.shows(others, a) } else { 0.0 };
        with.ln() - without.ln()
    }
}

/// Fresh noise at every repetition, and no budget.
pub(crate) struct FreshNoise {
    pub(crate) sd: f64,
    pub(crate) repeats: u32,
}

impl Opponent for FreshNoise {
    fn play(&self, present: bool, random: &mut ChaCha8Rng) -> f64 {
        let (others, noise) = (60, Discrete::new(self.sd));
        let likely = |count: i64, shown: i64| {
            let range = bucket(shown);
            noise.mass(Some(range.start() - count), Some(range.end() - count)).ln()
        };
        let answer = |_| {
            let shown = rounded(others + i64::from(present) + gauss(random, self.sd));
            likely(others + 1, shown) - likely(others, shown)
        };
        (0..self.repeats).map(answer).sum()
    }
}

/// A cohort near an earlier one gets its answer: `slack` people are added with the victim, so that with him the cohort
/// is just too far.
pub(crate) struct Snapping {
    pub(crate) sd: f64,
    pub(crate) cohorts: u32,
}

impl Opponent for Snapping {
    fn play(&self, present: bool, random: &mut ChaCha8Rng) -> f64 {
        let (others, slack, noise) = (60, 9, Discrete::new(self.sd));
        let likely = |count: i64, shown: i64| {
            let range = bucket(shown);
            noise.mass(Some(range.start() - count), Some(range.end() - count))
        };
        let pair = |_| {
            let earlier = rounded(others + gauss(random, self.sd));
            let now = if present { rounded(others + slack + 1 + gauss(random, self.sd)) } else { earlier };
            let with = likely(others + slack + 1, now);
            with.ln() - if now == earlier { 0.0 } else { f64::NEG_INFINITY }
        };
        (0..self.cohorts).map(pair).sum()
    }
}

/// Vectors with noise that is scaled to `sensitivity`, whatever the victim really adds. Honest if that is no less.
pub(crate) struct Scaled {
    pub(crate) noise_sd: f64,
    pub(crate) sensitivity: f64,
    /// What the victim adds to the cells of each answer.
    pub(crate) adds: Vec<i64>,
    pub(crate) answers: u32,
}

impl Opponent for Scaled {
    fn play(&self, present: bool, random: &mut ChaCha8Rng) -> f64 {
        let sd = self.noise_sd * self.sensitivity;
        let log_density = |z: i64| -(z as f64 / sd).powi(2) / 2.0;
        let mut ratio = 0.0;
        for _ in 0..self.answers {
            for adds in &self.adds {
                let shown = gauss(random, sd) + if present { *adds } else { 0 };
                ratio += log_density(shown - adds) - log_density(shown);
            }
        }
        ratio
    }
}

/// One draw for two truths: the same cohort with and without her is noised by the same number.
pub(crate) struct SharedDraw {
    pub(crate) noise_sd: f64,
    pub(crate) pairs: u32,
}

impl Opponent for SharedDraw {
    fn play(&self, present: bool, random: &mut ChaCha8Rng) -> f64 {
        let (others, noise) = (60, Discrete::new(self.noise_sd));
        let likely = |first: i64, a: i64, b: i64| -> f64 {
            let both = bucket(b).filter(|n| bucket(a).contains(&(n - others + first)));
            both.map(|n| noise.mass(Some(n - others), Some(n - others))).sum()
        };
        let pair = |_| {
            let draw = gauss(random, self.noise_sd);
            let (a, b) = (rounded(others + i64::from(present) + draw), rounded(others + draw));
            likely(others + 1, a, b).ln() - likely(others, a, b).ln()
        };
        (0..self.pairs).map(pair).sum()
    }
}

/// The same questions more often than they should be paid.
pub(crate) struct Repeated<'a, T> {
    pub(crate) once: &'a T,
    pub(crate) times: u32,
}

impl<T: Opponent> Opponent for Repeated<'_, T> {
    fn play(&self, present: bool, random: &mut ChaCha8Rng) -> f64 {
        (0..self.times).map(|_| self.once.play(present, random)).sum()
    }
}
