//! Progress in lines: how far a table is, how fast it goes, and how long it will take.
//!
//! The rate is the mean since the table began, so that the time left does not jump.

use std::io::Write;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use caim_connectors::Progress;

use super::lock;
use crate::output::grouped;

/// What a line looks like, and how often there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// For people who read a log.
    Plain,
    /// One object a line, for programs.
    Json,
}

/// Writes lines. The clock gives the time since it was made.
pub(super) struct Told<W> {
    form: Form,
    clock: Box<dyn Fn() -> Duration + Send + Sync>,
    state: Mutex<(Option<Pace>, W)>,
}

/// A table that is being read or made.
#[derive(Debug, Clone, PartialEq)]
struct Pace {
    what: String,
    rows: u64,
    total: Option<u64>,
    since: Duration,
    /// When it was last told of.
    told: Duration,
}

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Started,
    Advanced,
    Finished,
}

impl Told<std::io::Stderr> {
    /// On stderr, by the clock of the machine.
    pub(super) fn on_stderr(form: Form) -> Self {
        let start = Instant::now();
        Self::new(form, Box::new(move || start.elapsed()), std::io::stderr())
    }
}

impl<W: Write> Told<W> {
    fn new(form: Form, clock: Box<dyn Fn() -> Duration + Send + Sync>, out: W) -> Self {
        Self { form, clock, state: Mutex::new((None, out)) }
    }
}

impl<W: Write + Send> Progress for Told<W> {
    fn started(&self, what: &str, total: Option<u64>) {
        let now = (self.clock)();
        let pace = Pace { what: what.to_owned(), rows: 0, total, since: now, told: now };
        let (present, out) = &mut *lock(&self.state);
        self.form.tell(Event::Started, &pace, now, out);
        *present = Some(pace);
    }

    fn advanced(&self, rows: u64) {
        let (present, out) = &mut *lock(&self.state);
        let Some(pace) = present else { return };
        pace.rows += rows;
        let now = (self.clock)();
        if now.saturating_sub(pace.told) >= self.form.every() {
            pace.told = now;
            self.form.tell(Event::Advanced, pace, now, out);
        }
    }

    fn finished(&self) {
        let (present, out) = &mut *lock(&self.state);
        if let Some(pace) = present.take() {
            self.form.tell(Event::Finished, &pace, (self.clock)(), out);
        }
    }
}

impl Form {
    /// Between two lines about one table, at least.
    fn every(self) -> Duration {
        match self {
            Self::Plain => Duration::from_secs(5),
            Self::Json => Duration::from_secs(1),
        }
    }

    fn tell(self, event: Event, pace: &Pace, now: Duration, out: &mut impl Write) {
        let line = match (self, event) {
            (Self::Json, _) => Some(pace.object(event, now)),
            (Self::Plain, Event::Started) => None,
            (Self::Plain, Event::Advanced) => Some(pace.under_way(now)),
            (Self::Plain, Event::Finished) => Some(pace.done(now)),
        };
        // One write a line: lines of others do not get in between. Where stderr is closed nobody watches.
        let _ = line.map(|line| out.write_all(format!("{line}\n").as_bytes()));
    }
}

impl Event {
    fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Advanced => "advanced",
            Self::Finished => "finished",
        }
    }
}

impl Pace {
    fn seconds(&self, now: Duration) -> f64 {
        now.saturating_sub(self.since).as_secs_f64()
    }

    /// Rows a second; unknown before there are any.
    fn rate(&self, now: Duration) -> Option<f64> {
        let seconds = self.seconds(now);
        #[expect(clippy::cast_precision_loss, reason = "a rate need not be exact")]
        (self.rows > 0 && seconds > 0.0).then(|| self.rows as f64 / seconds)
    }

    /// Seconds until all is done at this rate.
    fn remaining(&self, now: Duration) -> Option<f64> {
        let left = self.total?.saturating_sub(self.rows);
        #[expect(clippy::cast_precision_loss, reason = "an estimate need not be exact")]
        self.rate(now).map(|rate| left as f64 / rate)
    }

    fn object(&self, event: Event, now: Duration) -> String {
        let Self { what, rows, total, .. } = self;
        let remaining = self.remaining(now).filter(|_| event != Event::Finished).map(tenths);
        serde_json::json!({
            "event": event.name(), "what": what, "rows": rows, "total": total, "seconds": self.seconds(now),
            "rate": self.rate(now).map(tenths), "remaining": remaining,
        })
        .to_string()
    }

    /// `omop.person: 10,000 of 40,000 rows, 5000 a second, 6 s left`
    fn under_way(&self, now: Duration) -> String {
        let rows = grouped(&self.rows.to_string());
        let rows =
            self.total.map_or(rows.clone(), |total| format!("{rows} of {}", grouped(&total.to_string())));
        let rate = self.rate(now).map(|rate| format!(", {} a second", whole(rate))).unwrap_or_default();
        let left = self.remaining(now).map(|left| format!(", {} left", clock_time(left))).unwrap_or_default();
        format!("{}: {rows} rows{rate}{left}", self.what)
    }

    /// `omop.person: 40,000 rows in 8.0 s, 5000 a second`
    fn done(&self, now: Duration) -> String {
        let seconds = self.seconds(now);
        match self.rate(now) {
            // Tables that are made of others do not count their rows.
            None => format!("{}: {seconds:.1} s", self.what),
            Some(rate) => {
                let rows = grouped(&self.rows.to_string());
                format!("{}: {rows} rows in {seconds:.1} s, {} a second", self.what, whole(rate))
            }
        }
    }
}

/// A number of which more digits say nothing.
fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

/// A number without its fraction, thousands apart.
fn whole(number: f64) -> String {
    grouped(&format!("{number:.0}"))
}

/// `45 s`, `12 min`, `3 h 05 min`.
fn clock_time(seconds: f64) -> String {
    let whole = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX).as_secs();
    match (whole / 3600, whole / 60) {
        (0, 0) => format!("{whole} s"),
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) => format!("{hours} h {:02} min", minutes % 60),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use serde_json::{Value, json};

    use super::*;

    /// What is told of these steps: each is a second of the clock and the rows that are done by then.
    fn told(form: Form, total: Option<u64>, steps: &[(u64, u64)], end: u64) -> Vec<String> {
        let second = Arc::new(AtomicU64::new(100));
        let clock = Arc::clone(&second);
        let clock = move || Duration::from_secs(clock.load(Ordering::Relaxed));
        let told = Told::new(form, Box::new(clock), Vec::new());
        told.started("omop.person", total);
        for (at, rows) in steps {
            second.store(100 + at, Ordering::Relaxed);
            told.advanced(*rows);
        }
        second.store(100 + end, Ordering::Relaxed);
        told.finished();
        let bytes = std::mem::take(&mut lock(&told.state).1);
        String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_plain_line_says_how_far_how_fast_and_how_long_and_comes_every_few_seconds_at_most() {
        let steps = [(1, 500), (2, 500), (5, 1500), (6, 500), (9, 500), (10, 1500)];
        assert_eq!(
            told(Form::Plain, Some(1_000_000), &steps, 20),
            [
                "omop.person: 2500 of 1,000,000 rows, 500 a second, 33 min left",
                "omop.person: 5000 of 1,000,000 rows, 500 a second, 33 min left",
                "omop.person: 5000 rows in 20.0 s, 250 a second",
            ]
        );
    }

    #[test]
    fn without_a_total_no_time_left_is_made_up() {
        assert_eq!(
            told(Form::Plain, None, &[(5, 10)], 5),
            ["omop.person: 10 rows, 2 a second", "omop.person: 10 rows in 5.0 s, 2 a second"]
        );
        assert_eq!(told(Form::Plain, None, &[], 3), ["omop.person: 3.0 s"], "nothing was counted");
    }

    #[test]
    fn an_event_has_all_keys_from_the_start_to_the_end() {
        let events: Vec<Value> = told(Form::Json, Some(40), &[(0, 5), (2, 5)], 4)
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let event = |event: &str, rows: u64, seconds: f64, rate: Value, remaining: Value| {
            json!({
                "event": event, "what": "omop.person", "rows": rows, "total": 40, "seconds": seconds,
                "rate": rate, "remaining": remaining,
            })
        };
        let expected = [
            event("started", 0, 0.0, Value::Null, Value::Null),
            event("advanced", 10, 2.0, json!(5.0), json!(6.0)),
            event("finished", 10, 4.0, json!(2.5), Value::Null),
        ];
        assert_eq!(events, expected);
    }

    #[test]
    fn times_are_told_in_the_unit_that_fits() {
        let seconds = [0.4, 59.0, 61.0, 3599.0, 3660.0, 100_000.0, f64::INFINITY];
        let shown = ["0 s", "59 s", "1 min", "59 min", "1 h 01 min", "27 h 46 min"];
        assert!(seconds.iter().zip(shown).all(|(seconds, shown)| clock_time(*seconds) == shown));
    }
}
