//! The harness on gates that are wrong on purpose, and on an honest one.

use crate::attacker::Attack;
use crate::games::{Opponent, measure};
use crate::gaussian::most_accurate;
use crate::lab::{Lab, rehearse};
use crate::report::Verdict;
use crate::site::{Ask, policy};
use crate::world::Victim;
use crate::wrong_gates::{CachedByCount, ExactThreshold, FreshNoise, Repeated, Scaled, SharedDraw, Snapping};

/// Whoever is right so often has found the gate out.
const CAUGHT: f64 = 0.70;

/// The budget that a faulty accounting believes to keep.
const BUDGET: f64 = 1.0;

/// Baselines, faults, and the honest gate.
pub(crate) fn run(lab: &Lab) {
    baseline(lab, "exact threshold at its edge", &ExactThreshold);
    baseline(lab, "Laplace noise cached by count, two questions", &CachedByCount { scale: 4.0 });
    baseline(lab, "fresh Gaussian noise, 30 repeats at sd 2", &FreshNoise { sd: 2.0, repeats: 30 });
    baseline(lab, "snapping to earlier cohorts, four cohorts", &Snapping { sd: 4.0, cohorts: 4 });
    hidden_vector_uncharged(lab);
    let per_cell = Scaled { noise_sd: 4.0, sensitivity: 15.0, adds: vec![15; 3], answers: 32 };
    fault(lab, "cap of rows per cell instead of per patient", 3.0, &per_cell);
    fault(lab, "one draw for two truths", BUDGET, &SharedDraw { noise_sd: 4.0, pairs: 16 });
    let honest = Scaled { noise_sd: 4.0, sensitivity: 15.0, adds: vec![15], answers: 32 };
    let measured = measure(&honest, trials(lab), lab.seed);
    let nothing = measured.interval().1 <= most_accurate(BUDGET) + 0.03 && measured.interval().0 > CAUGHT;
    lab.report.add(
        "honest gate",
        Verdict::of(nothing, format!("one patient 1.000, bound 76.0 %, measured {measured}")),
    );
}

fn trials(lab: &Lab) -> u64 {
    lab.so_many(4_000, 20_000)
}

fn baseline(lab: &Lab, what: &str, gate: &dyn Opponent) {
    let measured = measure(gate, trials(lab), lab.seed);
    lab.report
        .add("baseline", Verdict::of(measured.interval().0 > CAUGHT, format!("{what}: measured {measured}")));
    lab.report.caught(&format!("baseline: {what}"), measured.to_string());
}

/// A fault is caught when the game that the true gate passes fails: more than the bound of what was charged.
fn fault(lab: &Lab, what: &str, rho: f64, gate: &dyn Opponent) {
    let measured = measure(gate, trials(lab) / 2, lab.seed);
    let bound = most_accurate(BUDGET);
    let caught = measured.interval().1 > bound + 0.03 && measured.interval().0 > bound;
    let says = format!(
        "{what}: charged {BUDGET:.3}, one patient {rho:.3}, bound {:.1} %, measured {measured}",
        100.0 * bound
    );
    lab.report.add("fault", Verdict::of(caught, says));
    lab.report.caught(&format!("fault: {what}"), measured.to_string());
}

/// A gate that charges a count and a sum as one vector, since two of the three are patient counts for thresholds.
fn hidden_vector_uncharged(lab: &Lab) {
    let (with, without) = Lab::twins(Victim::Plain);
    let ask =
        Ask::new("SELECT count(DISTINCT patient_id), sum(tumour_mm) FROM patient WHERE modality_any = 'MR'");
    let site = lab.site(with);
    site.answered();
    site.ask("fault", &ask.noise(2_000)).unwrap();
    let query = site.answered().remove(0).query;
    let attack = Attack::new(
        rehearse(&lab.site(with), &policy(), &query),
        rehearse(&lab.site(without), &policy(), &query),
        policy(),
    );
    let rho = 8.0 * attack.brute_force_rho();
    fault(lab, "hidden vectors uncharged", rho, &Repeated { once: &attack, times: 8 });
}
