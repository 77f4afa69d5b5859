//! The numbers behind a game: exact masses of the discrete Gaussian, the normal distribution, intervals of a share.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// The 99 % interval of a share lies this many standard deviations to either side.
const SIDE_99: f64 = 2.575_829;

/// Above this standard deviation a mass is that of the normal distribution: the difference is below 1e-7 of it.
const WIDE: f64 = 2_000.0;

/// Beyond so many standard deviations nothing is summed.
const FAR: f64 = 14.0;

/// A discrete Gaussian around zero.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Discrete {
    sd: f64,
    whole: f64,
}

impl Discrete {
    pub(crate) fn new(sd: f64) -> Self {
        let whole = if sd > WIDE {
            1.0
        } else {
            (-(FAR * sd).ceil() as i64..=(FAR * sd).ceil() as i64).map(|z| density(z as f64 / sd)).sum()
        };
        Self { sd, whole }
    }

    /// The chance that the noise lies in a range; `None` has no end.
    pub(crate) fn mass(&self, lo: Option<i64>, hi: Option<i64>) -> f64 {
        let most = (FAR * self.sd).ceil() as i64;
        if self.sd > WIDE {
            return self.smooth(lo, hi);
        }
        // The shorter tail is summed, so that small masses are exact.
        if lo.is_none() && hi.is_some_and(|hi| hi > 0) {
            return 1.0 - self.mass(hi.map(|hi| hi + 1), None);
        }
        let (lo, hi) = (lo.unwrap_or(-most), hi.unwrap_or(most.max(lo.unwrap_or(0) + 100)));
        (lo..=hi).map(|z| density(z as f64 / self.sd)).sum::<f64>() / self.whole
    }

    fn smooth(&self, lo: Option<i64>, hi: Option<i64>) -> f64 {
        if let (Some(lo), Some(hi)) = (lo, hi)
            && ((hi - lo) as f64) < self.sd / 4.0
        {
            let middle = f64::midpoint(lo as f64, hi as f64) / self.sd;
            return density(middle) / std::f64::consts::TAU.sqrt() * (hi - lo + 1) as f64 / self.sd;
        }
        let below = |z: Option<i64>, side: f64| z.map(|z| phi((z as f64 + side) / self.sd));
        below(hi, 0.5).unwrap_or(1.0) - below(lo, -0.5).unwrap_or(0.0)
    }
}

fn density(x: f64) -> f64 {
    (-x * x / 2.0).exp()
}

/// The normal distribution function, by Simpson's rule.
pub(crate) fn phi(x: f64) -> f64 {
    const STEPS: u32 = 400;
    let end = x.clamp(-12.0, 12.0);
    let width = end / f64::from(STEPS);
    let at = |i: u32| density(f64::from(i) * width) / std::f64::consts::TAU.sqrt();
    let inner: f64 = (1..STEPS).map(|i| at(i) * if i % 2 == 1 { 4.0 } else { 2.0 }).sum();
    0.5 + width / 3.0 * (at(0) + inner + at(STEPS))
}

/// How often an attacker who learnt `rho` is right at most, at even odds.
pub(crate) fn most_accurate(rho: f64) -> f64 {
    phi((2.0 * rho).sqrt() / 2.0)
}

/// A share that was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Measured {
    pub(crate) right: u64,
    pub(crate) trials: u64,
}

impl Measured {
    pub(crate) fn share(self) -> f64 {
        self.right as f64 / self.trials as f64
    }

    /// Wilson's 99 % interval.
    pub(crate) fn interval(self) -> (f64, f64) {
        let (n, p) = (self.trials as f64, self.share());
        let square = SIDE_99 * SIDE_99;
        let centre = (p + square / (2.0 * n)) / (1.0 + square / n);
        let half = SIDE_99 / (1.0 + square / n) * (p * (1.0 - p) / n + square / (4.0 * n * n)).sqrt();
        (centre - half, centre + half)
    }
}

impl std::fmt::Display for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (lower, upper) = self.interval();
        write!(f, "{:.1} % ({:.1}-{:.1})", 100.0 * self.share(), 100.0 * lower, 100.0 * upper)
    }
}

/// A normal draw rounded to an integer, for models of gates (Box and Muller 1958).
pub(crate) fn gauss(random: &mut ChaCha8Rng, sd: f64) -> i64 {
    let (u, v): (f64, f64) = (random.random(), random.random());
    let radius = (-2.0 * (1.0 - u).ln()).sqrt();
    (sd * radius * (std::f64::consts::TAU * v).cos()).round() as i64
}
