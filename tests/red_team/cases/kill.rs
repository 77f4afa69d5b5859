//! A node that is killed at any time: no answer without a charge, no second answer to one question, nothing paid twice.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use caim_warehouse::Warehouse;
use caim_warehouse::rusqlite::Connection;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::lab::Lab;
use crate::report::Verdict;
use crate::site::{Ask, Site, commit, generous};

/// The flag by which the red team starts itself as the node that is killed.
pub(crate) const VICTIM: &str = "--victim";

fn question(number: usize) -> Ask {
    Ask::new("SELECT zip3, count(DISTINCT patient_id) FROM patient GROUP BY zip3")
        .noise(4_000 + number as u32)
}

/// The child: asks one question after the other, and prints each answer once it has it.
pub(crate) fn victim(dir: &Path) {
    let site = Site::at(dir, generous());
    for number in 0.. {
        let line = format!("{number} {}\n", shown(&site, number));
        let mut out = std::io::stdout().lock();
        if out.write_all(line.as_bytes()).and_then(|()| out.flush()).is_err() {
            return;
        }
    }
}

fn shown(site: &Site, number: usize) -> String {
    let answer = site.ask("victim", &question(number)).unwrap();
    let mut text = String::new();
    for batch in &answer.batches {
        let _ = write!(text, "{batch:?}");
    }
    text.replace(['\n', ' '], "")
}

/// The parent.
pub(crate) fn run(lab: &Lab) {
    let dir = tempfile::tempdir().unwrap();
    commit(&Warehouse::create(dir.path()).unwrap(), &lab.world.small());
    let mut random = ChaCha8Rng::seed_from_u64(lab.seed);
    let mut answers: BTreeMap<usize, String> = BTreeMap::new();
    let (mut kept, kills) = (true, lab.so_many(15, 100));
    for _ in 0..kills {
        let patience = Duration::from_millis(random.random_range(120..700));
        for line in killed_after(dir.path(), patience).lines() {
            let Some((number, shown)) = line.split_once(' ') else { continue };
            let first = answers.entry(number.parse().unwrap()).or_insert_with(|| shown.to_owned());
            kept &= first == shown;
        }
    }
    let uncharged = audit(dir.path());
    let site = Site::at(dir.path(), generous());
    let again = answers.iter().all(|(number, first)| shown(&site, *number) == *first);
    let free = site.answered().iter().all(|a| a.rho == 0.0);
    let says = format!(
        "killed {kills} times; {} answers, all charged once: {}, the same ever after: {}",
        answers.len(),
        uncharged == 0 && free,
        kept && again,
    );
    lab.report.add("A114", Verdict::of(kept && again && free && uncharged == 0 && answers.len() > 2, says));
}

/// Starts the child, kills it, and returns the whole lines it printed.
fn killed_after(dir: &Path, patience: Duration) -> String {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg(VICTIM)
        .arg(dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(patience);
    child.kill().unwrap();
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    child.wait().unwrap();
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    text[..whole].to_owned()
}

/// Answers that nobody paid for, and payments that are not one a question.
fn audit(dir: &Path) -> i64 {
    let state = Warehouse::open(dir).unwrap();
    let count = |c: &Connection, sql: &str| c.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let faults = state.state().read(|c| {
        let uncharged =
            "SELECT count(*) FROM question WHERE answer IS NOT NULL AND key NOT IN (SELECT key FROM payment)";
        let unasked = "SELECT count(*) FROM payment WHERE key NOT IN (SELECT key FROM question)";
        let twice = "SELECT count(*) - count(DISTINCT key) FROM payment";
        Ok::<_, caim_warehouse::Error>(count(c, uncharged) + count(c, unasked) + count(c, twice))
    });
    faults.unwrap()
}
