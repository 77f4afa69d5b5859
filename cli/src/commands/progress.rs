//! Progress of an ingest on stderr: a bar on a terminal, plain lines elsewhere, nothing when a program reads.

use std::fmt;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use caim_connectors::Progress;
use indicatif::{ProgressBar, ProgressStyle};

use crate::output::grouped;

/// Shows what is being read, how far it is and how long it will take.
pub(super) enum Shown {
    Bar(Mutex<Option<ProgressBar>>),
    Lines(Mutex<Option<Line>>),
}

/// A table that is being read, for plain lines.
pub(super) struct Line {
    what: String,
    rows: u64,
    since: Instant,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.since.elapsed().as_secs_f64();
        match self.rows {
            // Tables that are made of others do not count their rows.
            0 => write!(f, "{}: {seconds:.1} s", self.what),
            rows => write!(f, "{}: {} rows in {seconds:.1} s", self.what, grouped(&rows.to_string())),
        }
    }
}

impl Shown {
    /// As stderr allows.
    pub(super) fn new() -> Self {
        if std::io::stderr().is_terminal() {
            Self::Bar(Mutex::default())
        } else {
            Self::Lines(Mutex::default())
        }
    }
}

impl Progress for Shown {
    fn started(&self, what: &str, total: Option<u64>) {
        match self {
            Self::Bar(bar) => {
                let new = ProgressBar::no_length();
                if let Some(total) = total {
                    new.set_length(total);
                }
                new.set_style(style(total.is_some()));
                new.set_message(what.to_owned());
                new.enable_steady_tick(Duration::from_millis(100));
                *lock(bar) = Some(new);
            }
            Self::Lines(line) => {
                *lock(line) = Some(Line { what: what.to_owned(), rows: 0, since: Instant::now() })
            }
        }
    }

    fn advanced(&self, rows: u64) {
        match self {
            Self::Bar(bar) => {
                if let Some(bar) = lock(bar).as_ref() {
                    bar.inc(rows);
                }
            }
            Self::Lines(line) => {
                if let Some(line) = lock(line).as_mut() {
                    line.rows += rows;
                }
            }
        }
    }

    fn finished(&self) {
        match self {
            Self::Bar(bar) => {
                if let Some(bar) = lock(bar).take() {
                    bar.finish_and_clear();
                }
            }
            Self::Lines(line) => {
                if let Some(line) = lock(line).take() {
                    // Where stderr is closed nobody watches.
                    let _ = writeln!(std::io::stderr(), "{line}");
                }
            }
        }
    }
}

/// Progress as lines of JSON on stderr, for programs: what has begun, how far it is once a second, what has ended.
#[derive(Default)]
pub(super) struct Events(Mutex<Option<(Line, Instant)>>);

impl Events {
    fn say(event: &str, line: &Line, total: Option<u64>) {
        let seconds = line.since.elapsed().as_secs_f64();
        let said = serde_json::json!({
            "event": event, "what": line.what, "rows": line.rows, "total": total, "seconds": seconds,
        });
        // Where stderr is closed nobody watches.
        let _ = writeln!(std::io::stderr(), "{said}");
    }
}

impl Progress for Events {
    fn started(&self, what: &str, total: Option<u64>) {
        let line = Line { what: what.to_owned(), rows: 0, since: Instant::now() };
        Self::say("started", &line, total);
        *lock(&self.0) = Some((line, Instant::now()));
    }

    fn advanced(&self, rows: u64) {
        if let Some((line, said)) = lock(&self.0).as_mut() {
            line.rows += rows;
            if said.elapsed() >= Duration::from_secs(1) {
                Self::say("advanced", line, None);
                *said = Instant::now();
            }
        }
    }

    fn finished(&self) {
        if let Some((line, _)) = lock(&self.0).take() {
            Self::say("finished", &line, None);
        }
    }
}

fn style(known: bool) -> ProgressStyle {
    let template = if known {
        "{msg:32!} {bar:30} {human_pos:>12} of {human_len} rows  {per_sec}  {eta} left"
    } else {
        "{msg:32!} {spinner} {human_pos:>12} rows  {per_sec}"
    };
    // A faulty template would be found by the test below; the default style still shows progress.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use caim_connectors::Progress;
    use indicatif::ProgressStyle;

    use super::{Shown, lock};

    #[test]
    fn rows_add_up_until_a_table_is_finished() {
        let shown = Shown::Lines(std::sync::Mutex::default());
        shown.started("omop.person", Some(10));
        shown.advanced(3);
        shown.advanced(4);
        let Shown::Lines(line) = &shown else { unreachable!() };
        assert_eq!(lock(line).as_ref().unwrap().rows, 7);
        shown.finished();
        assert!(lock(line).is_none());
    }

    #[test]
    fn the_templates_of_the_bars_are_sound() {
        for known in
            ["{msg:32!} {bar:30} {human_pos:>12} of {human_len} rows  {per_sec}  {eta} left", "{spinner}"]
        {
            assert!(ProgressStyle::with_template(known).is_ok());
        }
    }
}
