//! The ledger: it stops at the budget, survives restarts and kills, and knows colluders.

use std::fs;
use std::path::Path;

use caim_engine::Policy;
use caim_sql::Code;
use caim_warehouse::Warehouse;

use crate::lab::Lab;
use crate::report::Verdict;
use crate::site::{Ask, Site, commit, generous, hub, node, policy};
use crate::world::{Victim, World};

/// All of it, on a small world.
pub(crate) fn run(lab: &Lab) {
    let small = lab.world.small();
    stops(lab, &small);
    restarts(lab, &small);
    colludes(lab, &small);
    older_copy(lab, &small);
    reused_epoch(lab, &small);
    federation(lab, &small);
    for (id, why) in [
        ("A111", "there is no Beacon door yet"),
        ("A112", "there are no facets yet; they will be cubes, which A110 and A117 play"),
    ] {
        lab.report.add(id, Verdict::Waits(why.into()));
    }
}

fn count(number: usize) -> Ask {
    Ask::new(&format!("SELECT count(DISTINCT patient_id) FROM patient WHERE birth_year > {}", 1901 + number))
}

/// Asks until the ledger refuses; says how many were answered, and the words of the refusal.
fn exhaust(site: &Site, project: &str, noise: u32, from: usize) -> (usize, String) {
    for number in 0..100 {
        if let Err(refusal) = site.ask(project, &count(from + number).noise(noise)) {
            assert_eq!(refusal.code, Code::BudgetExceeded);
            return (number, refusal.to_string());
        }
    }
    (100, String::new())
}

fn stops(lab: &Lab, small: &World) {
    let without = small.without(Victim::Edge);
    let (site, twin) = (Site::new(small, policy()), Site::new(&without, policy()));
    let (mine, theirs) = (exhaust(&site, "p", 4_000, 0), exhaust(&twin, "p", 4_000, 0));
    let says = format!("{} of 32 answers, then refused in the same words in both twins", mine.0);
    lab.report.add("A106", Verdict::of(mine == theirs && mine.0 == 32, says));
    let cheap = exhaust(&site, "q", 2_000, 0).0;
    lab.report.add("ledger", Verdict::of(cheap == 8, format!("{cheap} of 8 answers at noise 2")));
}

fn restarts(lab: &Lab, small: &World) {
    let mut site = Site::new(small, policy());
    let ask = Ask::new("SELECT zip3, count(DISTINCT patient_id) FROM patient GROUP BY zip3");
    let before = site.ask("p", &ask).unwrap().batches;
    site = site.restarted(policy());
    let after = site.ask("p", &ask).unwrap().batches;
    let paid: f64 = site.answered().iter().map(|a| a.rho).sum();
    lab.report
        .add("A040", Verdict::of(before == after && paid == 0.0, "the same answer after a restart, free"));
}

/// Each project keeps its budget, and all of them together the node's.
fn colludes(lab: &Lab, small: &World) {
    let site = Site::new(small, Policy { answer_grid_ms: 0, ..Policy::default() });
    let answers: Vec<usize> = (0..5).map(|p| exhaust(&site, &format!("p{p}"), 2_000, 10 * p).0).collect();
    let kept = answers == [8, 8, 8, 8, 0];
    lab.report.add(
        "A116",
        Verdict::of(kept, format!("answers of five projects at rho 1/8 each: {answers:?}, node budget 4")),
    );
}

/// What a ledger does that was overwritten with an older copy of itself.
fn older_copy(lab: &Lab, small: &World) {
    let site = Site::new(small, policy());
    let (copy, dir) = (tempfile::tempdir().unwrap(), site.dir.path().to_owned());
    site.ask("p", &count(0)).unwrap();
    let site = site.restarted(policy());
    copy_state(&dir, copy.path());
    let spent = exhaust(&site, "p", 4_000, 1).0;
    let refused = site.refused(policy(), |dir| copy_state(copy.path(), dir));
    let noticed = refused.as_ref().is_some_and(|reason| reason.contains("an older copy"));
    lab.report.add(
        "A113",
        Verdict::of(
            noticed,
            format!("after {spent} questions the older ledger is not believed: {refused:?}"),
        ),
    );
}

/// The files of the state database, from one folder with a warehouse to another.
fn copy_state(from: &Path, to: &Path) {
    let (from, to) = (from.join("warehouse"), to.join("warehouse"));
    fs::create_dir_all(&to).unwrap();
    for name in ["state.sqlite", "state.sqlite-wal", "state.sqlite-shm"] {
        let _ = fs::remove_file(to.join(name));
        if from.join(name).exists() {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}

/// Other data under the same epoch number, with the old ledger: another draw, charged.
fn reused_epoch(lab: &Lab, small: &World) {
    let (first, second) = (Site::new(small, policy()), Site::new(&small.without(Victim::Edge), policy()));
    first.ask("p", &count(0)).unwrap();
    let (same, dir) = (first.epoch.number() == second.epoch.number(), first.dir.path().to_owned());
    let first = first.restarted(policy());
    let second = second.replaced(policy(), |to| copy_state(&dir, to));
    second.ask("p", &count(0)).unwrap();
    let charged = second.answered().iter().any(|a| a.rho > 0.0);
    first.ask("p", &count(0)).unwrap();
    let free = first.answered().iter().all(|a| a.rho == 0.0);
    lab.report.add(
        "A129",
        Verdict::of(same && charged && free, "a reused epoch number over other data is another draw"),
    );
}

/// Two nodes: what one answers does not depend on who else was asked, and six patients add nothing.
fn federation(lab: &Lab, small: &World) {
    let dirs = [(); 4].map(|()| tempfile::tempdir().unwrap());
    let open = |name: &str, at: usize, world: &World| {
        let warehouse = Warehouse::create(dirs[at].path()).unwrap();
        commit(&warehouse, world);
        let node = node(name, warehouse, generous());
        let channel = caim_engine::LocalChannel::new(node, crate::site::models()).unwrap();
        std::sync::Arc::new(channel) as std::sync::Arc<dyn caim_engine::NodeChannel>
    };
    let n1 = open("n1", 0, small);
    // All of them live elsewhere than the questions ask.
    let nobody = open("n2", 1, &small.only("edge-"));
    // Six of them live where the questions ask: too few to be released, by some six deviations of the noise.
    let six = open("n2", 2, &small.only("tall-4"));
    let five = hub(vec![std::sync::Arc::clone(&n1), nobody]);
    let four = hub(vec![std::sync::Arc::clone(&n1)]);
    let with_six = hub(vec![n1, six]);
    let ask = |hub: &caim_engine::Hub, sql: &str| {
        let prepared = hub.prepare(sql, &caim_sql::lower::Settings::default()).unwrap();
        crate::site::run(hub.answer(&prepared, &crate::site::asker("p"))).unwrap()
    };
    let sql = "SELECT zip3, count(DISTINCT patient_id) FROM patient WHERE zip3 IN ('100', '200') GROUP BY zip3 ORDER BY zip3";
    let (a, b, c) = (ask(&five, sql), ask(&four, sql), ask(&with_six, sql));
    lab.report.add(
        "A087",
        Verdict::of(a.batches == b.batches, "the total over one node less is its released cells less"),
    );
    lab.report.add(
        "A090",
        Verdict::of(a.batches == c.batches, "a node with a few patients adds what one with nobody adds"),
    );
    let grouped = "SELECT node_id, count(DISTINCT patient_id) FROM patient WHERE zip3 IN ('100', '200') GROUP BY node_id";
    let (empty, few) = (ask(&five, grouped), ask(&with_six, grouped));
    let rows: usize = few.batches.iter().map(|batch| batch.num_rows()).sum();
    let same = empty.batches == few.batches && rows == 1;
    let says = format!("a node with a few patients is no row of a table by node: {rows} of 2 rows");
    lab.report.add("A090", Verdict::of(same, says));
}
