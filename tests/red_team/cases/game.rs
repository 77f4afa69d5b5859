//! A sequence of statements that spends a budget, played between twins.
//!
//! First as SQL through hub and node on both twins, until the ledger refuses: so the number of answers is real. Then
//! many times on the release itself.

use caim_engine::Cube;
use caim_engine::accounting::Accounting;
use caim_sql::catalogue::Catalogue;
use caim_sql::refusal::Family;
use caim_sql::{Code, PrivateQuery};

use crate::attacker::Attack;
use crate::games::measure;
use crate::gaussian::most_accurate;
use crate::lab::{Lab, Who, rehearse};
use crate::report::{Played, Verdict};
use crate::site::{Answered, Ask, models, policy};
use crate::world::Victim;

/// How far above the bound the upper limit of a measured accuracy may lie.
const ALLOWANCE: f64 = 0.03;

/// One row of the table of attacks.
pub(crate) struct Game {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) victim: Victim,
    /// Projects that collude; each asks its share of the statements.
    pub(crate) projects: usize,
    pub(crate) asks: Vec<Ask>,
    /// How often a published cube with the victim in it was released besides, each time from an account of its own.
    pub(crate) releases: usize,
    /// What the cube is grouped by. The texts that it shows are the vocabulary of that column.
    pub(crate) published_by: &'static str,
}

/// What a twin's node did with the statements.
struct Spent {
    answered: Vec<Answered>,
    /// The ledger's refusals, by project.
    refusals: Vec<String>,
    /// A statement that is not offered.
    unasked: Option<String>,
}

impl Spent {
    fn rho(&self) -> f64 {
        self.answered.iter().map(|a| a.rho).sum()
    }

    fn delta(&self) -> f64 {
        self.answered.iter().map(|a| a.delta).sum()
    }
}

impl Game {
    /// Plays, and notes how it went.
    pub(crate) fn play(&self, lab: &Lab) {
        let (with, without) = Lab::twins(self.victim);
        let spent = self.spend(lab, with);
        if let Some(refusal) = &spent.unasked {
            lab.report.add(self.id, Verdict::Waits(format!("{}: not offered yet: {refusal}", self.name)));
            return;
        }
        let twin = self.spend(lab, without);
        let same = spent.refusals == twin.refusals && spent.rho() == twin.rho();
        let nothing = spent.answered.is_empty() && self.releases == 0;
        if !same || spent.answered.len() != twin.answered.len() || nothing {
            lab.report.add(self.id, Verdict::Failed(format!("{}: the twins' ledgers differ", self.name)));
            return;
        }
        let published = self.published();
        let attacks = self.attacks(lab, &spent, &published);
        let cost = |query| Accounting::new(query, &models(), &policy()).unwrap();
        let costs: Vec<Accounting> = published.iter().map(cost).collect();
        let rho = spent.rho() + costs.iter().map(|of| of.rho).sum::<f64>();
        let delta = spent.delta() + costs.iter().map(|of| of.delta).sum::<f64>();
        self.judge(lab, spent.answered.len() + published.len(), (rho, delta), &attacks);
    }

    fn spend(&self, lab: &Lab, who: Who) -> Spent {
        let site = lab.site(who);
        site.answered();
        let mut spent = Spent { answered: Vec::new(), refusals: Vec::new(), unasked: None };
        for project in 0..self.projects {
            let name = format!("{}-{}-{project}", self.id, self.name);
            for ask in self.asks.iter().skip(project).step_by(self.projects) {
                match site.ask(&name, ask) {
                    Ok(_) => {}
                    Err(refusal) if refusal.code == Code::BudgetExceeded => {
                        spent.refusals.push(refusal.reason);
                        break;
                    }
                    Err(refusal) => {
                        let known = matches!(refusal.code.family(), Family::Privacy | Family::Sql);
                        assert!(known, "{}: {refusal}", ask.sql);
                        spent.unasked = Some(format!("{}: {}", refusal.code, refusal.reason));
                        return spent;
                    }
                }
            }
        }
        // A repeated question costs nothing and shows nothing new; one that another project paid for neither.
        spent.answered = site.answered().into_iter().filter(|a| a.rho > 0.0).collect();
        spent
    }

    /// The cube's question, as often as it was released.
    fn published(&self) -> Vec<PrivateQuery> {
        let catalogue = Catalogue::new(models(), Vec::new());
        let by = self.published_by;
        let text = format!(
            "SET caim.noise_sd = 3; SELECT {by}, count(DISTINCT patient_id) AS patients FROM patient GROUP BY {by}"
        );
        let cube = Cube::read("published", &text, &catalogue).unwrap().unwrap();
        vec![cube.query; self.releases]
    }

    fn attacks(&self, lab: &Lab, spent: &Spent, published: &[PrivateQuery]) -> Vec<Attack> {
        let (with, without) = Lab::twins(self.victim);
        let (with, without, policy) = (lab.site(with), lab.site(without), policy());
        let mut queries: Vec<_> = Vec::new();
        for answered in &spent.answered {
            if !queries.contains(&&answered.query) {
                queries.push(&answered.query);
            }
        }
        let attack =
            |query| Attack::new(rehearse(&with, &policy, query), rehearse(&without, &policy, query), policy);
        queries.into_iter().chain(published).map(attack).collect()
    }

    /// The full form fails where the upper limit lies 3 points above the bound. The short one has too few trials for
    /// that: it fails where the lower limit lies above the bound.
    fn judge(&self, lab: &Lab, answers: usize, (spent, delta): (f64, f64), attacks: &Vec<Attack>) {
        let rho: f64 = attacks.iter().map(Attack::brute_force_rho).sum();
        let bound = most_accurate(rho) + delta;
        let draws: u64 = attacks.iter().map(Attack::draws).sum();
        let trials = lab.so_many((60_000 / draws.max(1)).clamp(500, 3_000), 10_000);
        let measured = measure(attacks, trials, lab.seed ^ number(self.id));
        let fits = attacks.iter().zip(0u8..20).all(|(attack, seed)| attack.reads_aright([seed; 32]));
        let paid = rho <= spent + 1e-9;
        let (lower, upper) = measured.interval();
        let held = if lab.full { upper <= bound + ALLOWANCE } else { lower <= bound };
        let what = format!("{} {}", self.id, self.name);
        let says = format!(
            "{}: {} answers, spent rho {:.3}, of which one patient {rho:.3}, bound {:.1} %, measured {measured}{}{}",
            self.name,
            answers,
            spent,
            100.0 * bound,
            if paid { "" } else { "; MORE THAN WAS CHARGED" },
            if fits { "" } else { "; THE ATTACKER MISREADS ANSWERS" },
        );
        lab.report.add(self.id, Verdict::of(paid && held && fits, says));
        lab.report.played(Played { what, answers, rho: spent, bound, measured: measured.to_string() });
    }
}

/// The digits of an id: every game has randomness of its own.
fn number(id: &str) -> u64 {
    id.bytes().filter(u8::is_ascii_digit).fold(0, |n, digit| n * 10 + u64::from(digit - b'0'))
}
