//! The cost of a question, computed a second time by brute force: every patient is removed in turn, and what that
//! changes, over the noise, must be no more than what is charged.

use caim_sql::catalogue::Catalogue;
use caim_sql::lower::{Settings, lower};
use caim_sql::plan::plan;
use caim_sql::text::{Statement, read};

use crate::attacker::Attack;
use crate::lab::{Lab, Who, rehearse};
use crate::report::Verdict;
use crate::site::{Site, models, policy};
use crate::world::Victim;

const STATEMENTS: &[&str] = &[
    "SELECT sex, count(DISTINCT patient_id) FROM patient GROUP BY sex",
    "SELECT modality, count(DISTINCT patient_id) FROM imaging_study GROUP BY modality",
    "SELECT body_part, count(*) FROM imaging_series GROUP BY body_part",
    "SELECT count(DISTINCT study_uid), count(*) FROM imaging_study",
    "SELECT sum(tumour_mm), avg(weight_kg) FROM patient",
    "SELECT modality, sum(dose_mgy), avg(dose_mgy) FILTER (WHERE collection = 'dose') FROM imaging_study GROUP BY modality",
    "SELECT DISTINCT icdo3_morphology FROM condition",
    "SELECT modality, body_part, count(*), count(DISTINCT patient_id) FILTER (WHERE manufacturer = 'GE') \
     FROM imaging_series GROUP BY modality, body_part",
];

const VICTIMS: &[Victim] = &[
    Victim::Plain,
    Victim::Edge,
    Victim::Tall,
    Victim::Slice,
    Victim::Full,
    Victim::First,
    Victim::Man,
    Victim::Dose,
    Victim::Smoker,
    Victim::Near,
];

/// The victims, and others of the crowd.
pub(crate) fn run(lab: &Lab) {
    let people = lab.world.people();
    let others = people.iter().step_by(people.len() / lab.so_many(6, people.len() - 1));
    let others = others.map(|person| Site::new(&lab.world.without_person(person), policy()));
    let sites: Vec<_> = VICTIMS.iter().map(|v| lab.site(Who::AllBut(*v))).collect();
    let mut most = vec![0.0f64; STATEMENTS.len()];
    let mut removed = 0;
    let heavy = lab.site(Who::AndHeavy);
    compare(&heavy, &lab.site(Who::Everybody), &mut most);
    for site in sites.iter().map(AsRef::as_ref) {
        removed += 1;
        compare(&lab.site(Who::Everybody), site, &mut most);
    }
    for site in others {
        removed += 1;
        compare(&lab.site(Who::Everybody), &site, &mut most);
    }
    for (sql, most) in STATEMENTS.iter().zip(most) {
        let says = format!(
            "{sql}: one of {} patients changes at most {:.0} % of what is charged",
            removed + 1,
            100.0 * most
        );
        lab.report.add("removal", Verdict::of(most > 0.0 && most <= 1.0 + 1e-9, says));
    }
}

/// What the one patient between two sites costs, as a share of what each statement is charged.
fn compare(with: &Site, without: &Site, most: &mut [f64]) {
    for (sql, most) in STATEMENTS.iter().zip(most) {
        let catalogue = Catalogue::new(models(), Vec::new());
        let Statement::Query(query) = read(sql).unwrap() else { panic!("{sql} is a query") };
        let lowered = lower(&plan(&query, &catalogue).unwrap(), &catalogue, &Settings::default()).unwrap();
        let query = &lowered.queries[0];
        let with = rehearse(with, &policy(), query);
        let charged = with.accounting().rho;
        let vectors = with.vectors().len() as f64;
        assert!((charged - vectors / (2.0 * policy().noise_sd.powi(2))).abs() < 1e-9, "the cost of {sql}");
        let attack = Attack::new(with, rehearse(without, &policy(), query), policy());
        *most = most.max(attack.brute_force_rho() / charged);
    }
}
