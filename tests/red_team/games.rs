//! The game that every attack is: somebody is in the data or not at even odds, an answer is given, the attacker
//! weighs how likely it is in either case, and guesses.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::gaussian::Measured;

/// A mechanism together with the best attacker on it.
pub(crate) trait Opponent {
    /// Answers all questions over the data with or without the victim, and returns the logarithm of how much likelier
    /// the answers are with him.
    fn play(&self, present: bool, random: &mut ChaCha8Rng) -> f64;
}

/// Plays, and counts how often the attacker is right.
pub(crate) fn measure(opponent: &dyn Opponent, trials: u64, seed: u64) -> Measured {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut right = 0;
    for _ in 0..trials {
        let present = random.random_bool(0.5);
        let ratio = opponent.play(present, &mut random);
        assert!(!ratio.is_nan(), "the attacker holds an answer for impossible that was given");
        let guess = if ratio == 0.0 { random.random_bool(0.5) } else { ratio > 0.0 };
        right += u64::from(guess == present);
    }
    Measured { right, trials }
}
