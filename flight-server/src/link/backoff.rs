//! How long a node waits before it dials again: soon at first, so that a restarted hub has its nodes back within a
//! second; rarely later, so that a hub that is gone is not stormed; never at the same moment as others.

use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_millis(50);
const SOON: Duration = Duration::from_millis(500);
const LATER: Duration = Duration::from_secs(30);
const FIRST_MINUTE: Duration = Duration::from_secs(60);

/// The pauses of one outage.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    since: Option<Instant>,
    pause: Duration,
}

impl Backoff {
    /// A link lived: the next outage begins anew.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// The next pause; `chance` lies between 0 and 1 and shortens it by up to a half.
    pub(super) fn pause(&mut self, now: Instant, chance: f64) -> Duration {
        let outage = now.duration_since(*self.since.get_or_insert(now));
        let longest = if outage < FIRST_MINUTE { SOON } else { LATER };
        self.pause = (self.pause * 2).clamp(FIRST, longest);
        self.pause.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 2.0).max(FIRST)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Backoff;

    #[test]
    fn pauses_of_the_first_minute_are_short_and_later_ones_grow_to_half_a_minute() {
        let (mut backoff, mut now, mut outage) = (Backoff::default(), Instant::now(), Duration::ZERO);
        let mut last = Duration::ZERO;
        for _ in 0..300 {
            last = backoff.pause(now, 0.0);
            let limit = if outage < Duration::from_secs(60) { 500 } else { 30_000 };
            assert!(last >= Duration::from_millis(50) && last <= Duration::from_millis(limit), "{last:?}");
            now += last;
            outage += last;
        }
        assert_eq!(last, Duration::from_secs(30));
    }

    #[test]
    fn chance_spreads_pauses_and_a_link_that_lived_starts_anew() {
        let now = Instant::now();
        let (mut early, mut late) = (Backoff::default(), Backoff::default());
        for _ in 0..5 {
            early.pause(now, 1.0);
            late.pause(now, 0.0);
        }
        assert!(early.pause(now, 1.0) < late.pause(now, 0.0));
        late.reset();
        assert_eq!(late.pause(now, 0.0), Duration::from_millis(50));
    }
}
