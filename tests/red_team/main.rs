//! The red team: measures the privacy gate by attacking it.
//!
//! Every row of the table of attacks is a case with its id. What is released is played as a game between twins, data
//! that differ by one patient, against the attacker of the likelihood ratio; what is refused must be refused by the
//! rule that is named; and wrong gates, planted on purpose, must be found out by the same games. The last line is
//! `N passed, N failed, N skipped`, where skipped counts cases that wait for what is not there yet.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a case fails by a panic")]
#![expect(clippy::print_stdout, reason = "the report is the output")]

mod attacker;
mod cases;
mod games;
mod gaussian;
mod lab;
mod report;
mod site;
mod world;
mod wrong_gates;

use std::process::ExitCode;

use crate::lab::Lab;
use crate::report::Verdict;

/// The seed of what is drawn by chance; `--seed N` sets another.
const SEED: u64 = 20_261_125;

/// Cases that belong together.
type Part = fn(&Lab);

/// The parts; `--only NAME` runs one of them.
const PARTS: &[(&str, Part)] = &[
    ("refused", cases::refused::run),
    ("silent", cases::silent::run),
    ("same", cases::same::check),
    ("ledger", cases::ledger::run),
    ("kill", cases::kill::run),
    ("oracle", cases::oracle::run),
    ("texts", cases::texts::run),
    ("removal", cases::removal::run),
    ("catch", cases::catch::run),
    ("bound", cases::bound::run),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, dir] = arguments.as_slice()
        && flag == cases::kill::VICTIM
    {
        cases::kill::victim(dir.as_ref());
        return ExitCode::SUCCESS;
    }
    let full = arguments.iter().any(|a| a == "--full");
    let seed =
        arguments.iter().skip_while(|a| *a != "--seed").nth(1).and_then(|n| n.parse().ok()).unwrap_or(SEED);
    println!("red team, {} form, seed {seed}\n", if full { "full" } else { "short" });
    let only = arguments.iter().skip_while(|a| *a != "--only").nth(1);
    let lab = Lab::new(full, seed);
    for (name, part) in PARTS {
        if only.is_none_or(|only| only == *name) {
            let started = std::time::Instant::now();
            // A case that panics is one that failed; the others still run.
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| part(&lab))).is_err() {
                lab.report.add(
                    name,
                    Verdict::Failed("a case ended with a fault; the rest of this part did not run".into()),
                );
            }
            println!("-- {name}: {} s\n", started.elapsed().as_secs());
        }
    }
    if only.is_none() {
        every_row_has_a_case(&lab);
    }
    if lab.report.finish() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The table of attacks lies beside the workspace; where it is absent, the cases run all the same.
fn every_row_has_a_case(lab: &Lab) {
    let path = caim_tests::workspace().join("../shared/attacks.tsv");
    let Ok(table) = std::fs::read_to_string(&path) else {
        println!("{} is absent: its rows are not counted", path.display());
        return;
    };
    let ids = table.lines().skip(1).filter_map(|line| line.split('\t').next()).filter(|id| !id.is_empty());
    let missing: Vec<&str> = ids.filter(|id| !lab.report.has(id)).collect();
    lab.report.add("rows", Verdict::of(missing.is_empty(), format!("rows without a case: {missing:?}")));
}
