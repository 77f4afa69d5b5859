//! What a node's operator decided about privacy: public parameters, set by the node's configuration alone.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The `[privacy]` section of `node.toml`. Missing keys have the defaults of [`Policy::default`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// `k`: no released cell rests on fewer patients.
    pub threshold: u32,
    /// Standard deviation of the noise of one patient count; other measures scale it by their sensitivity.
    pub noise_sd: f64,
    /// Released counts are multiples of this.
    pub rounding: u32,
    /// What a project may spend in a window.
    pub budget_rho: f64,
    /// The chance that goes with it.
    pub budget_delta: f64,
    /// Length of a window, in days.
    pub window_days: u32,
    /// What a project may spend in its life.
    pub project_lifetime_rho: f64,
    /// What all projects together may learn anew in a window.
    pub node_budget_rho: f64,
    /// What is spent on published cubes in a window.
    pub publish_rho: f64,
    /// First step of the grid that answers leave on, in milliseconds; 0 turns it off.
    pub answer_grid_ms: u64,
    /// The data is published anyway: answers are exact and free.
    pub public_data: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            threshold: 10,
            noise_sd: 4.0,
            rounding: 5,
            budget_rho: 1.0,
            budget_delta: 0.003,
            window_days: 7,
            project_lifetime_rho: 6.0,
            node_budget_rho: 4.0,
            publish_rho: 1.0,
            answer_grid_ms: 250,
            public_data: false,
        }
    }
}

/// Smallest and largest noise multiplier that may be configured or asked for.
pub const NOISE_SD_RANGE: std::ops::RangeInclusive<f64> = 2.0..=20.0;

impl Policy {
    /// How long after its question an answer leaves that was there after `taken`: on a grid that doubles, so that the
    /// time tells little of the work; at once for published data.
    pub(crate) fn leaves_after(&self, taken: Duration) -> Duration {
        let step = Duration::from_millis(self.answer_grid_ms);
        if self.public_data || step.is_zero() {
            return taken;
        }
        let mut due = step;
        while due < taken {
            due = due.saturating_mul(2);
        }
        due
    }

    /// Says no to a policy that protects nobody.
    ///
    /// # Errors
    /// Names the key and the allowed range.
    pub fn validate(&self) -> Result<(), String> {
        let budgets = [
            ("budget_rho", self.budget_rho),
            ("budget_delta", self.budget_delta),
            ("project_lifetime_rho", self.project_lifetime_rho),
            ("node_budget_rho", self.node_budget_rho),
            ("publish_rho", self.publish_rho),
        ];
        if let Some((key, _)) = budgets.iter().find(|(_, v)| !(v.is_finite() && *v >= 0.0)) {
            return Err(format!("privacy.{key} must be a number of at least 0"));
        }
        if self.public_data {
            return Ok(());
        }
        if self.threshold < 5 {
            return Err("privacy.threshold must be at least 5 unless privacy.public_data = true".into());
        }
        if !NOISE_SD_RANGE.contains(&self.noise_sd) {
            return Err("privacy.noise_sd must lie between 2 and 20".into());
        }
        if !(1..=100).contains(&self.rounding) {
            return Err("privacy.rounding must lie between 1 and 100".into());
        }
        if !(1..=366).contains(&self.window_days) {
            return Err("privacy.window_days must lie between 1 and 366".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Policy;

    #[test]
    fn a_policy_that_protects_nobody_names_the_key() {
        assert_eq!(Policy::default().validate(), Ok(()));
        for (policy, key) in [
            (Policy { threshold: 1, ..Policy::default() }, "threshold"),
            (Policy { noise_sd: 0.0, ..Policy::default() }, "noise_sd"),
            (Policy { noise_sd: f64::NAN, ..Policy::default() }, "noise_sd"),
            (Policy { budget_rho: -1.0, ..Policy::default() }, "budget_rho"),
            (Policy { rounding: 0, ..Policy::default() }, "rounding"),
        ] {
            assert!(policy.validate().unwrap_err().contains(key), "{key}");
        }
        assert_eq!(Policy { threshold: 1, public_data: true, ..Policy::default() }.validate(), Ok(()));
    }

    #[test]
    fn answers_that_take_about_as_long_leave_at_the_same_time() {
        let (policy, ms) = (Policy { answer_grid_ms: 250, ..Policy::default() }, Duration::from_millis);
        for (taken, leaves) in [
            (0, 250),
            (1, 250),
            (249, 250),
            (250, 250),
            (251, 500),
            (499, 500),
            (700, 1_000),
            (60_000, 64_000),
        ] {
            assert_eq!(policy.leaves_after(ms(taken)), ms(leaves), "after {taken} ms");
        }
        let at_once = [Policy { answer_grid_ms: 0, ..policy }, Policy { public_data: true, ..policy }];
        assert!(at_once.iter().all(|policy| policy.leaves_after(ms(300)) == ms(300)));
        assert_eq!(policy.leaves_after(Duration::MAX), Duration::MAX, "ends");
    }
}
