//! Measures Caim beside what people use now. Both sides of a figure do the same work on the same data in one run, round
//! by round in turn; what counts is the ratio. Run it on an idle machine:
//!
//! ```text
//! cargo run --profile demo --package caim-benches -- gate [--patients N] [--rounds N] [--seed N]
//! ```

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

mod gate;
mod rounds;
mod series;

use anyhow::{Context, Result, bail};

/// What the command line says.
struct Options {
    patients: u32,
    rounds: u32,
    seed: u64,
}

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let what = words.next().context("say what to measure: gate")?;
    let mut options = Options { patients: 1_000_000, rounds: 7, seed: 1 };
    while let Some(word) = words.next() {
        let value = words.next().with_context(|| format!("{word} takes a number"))?;
        let number: u64 = value.parse().with_context(|| format!("{word} {value}: not a number"))?;
        match word.as_str() {
            "--patients" => options.patients = u32::try_from(number)?,
            "--rounds" => options.rounds = u32::try_from(number)?.max(1),
            "--seed" => options.seed = number,
            other => bail!("there is no option {other}: --patients, --rounds, --seed"),
        }
    }
    match what.as_str() {
        "gate" => gate::run(&options),
        other => bail!("{other} is not measured: gate"),
    }
}
