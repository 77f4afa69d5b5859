//! Progress of an ingest on stderr: a bar on a terminal, plain lines elsewhere, JSON when a program reads.

mod told;

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use caim_connectors::Progress;
use indicatif::{ProgressBar, ProgressStyle};

use told::{Form, Told};

/// What shows progress to people, as stderr allows.
pub(super) fn shown() -> Box<dyn Progress> {
    if std::io::stderr().is_terminal() {
        Box::new(Bar::default())
    } else {
        Box::new(Told::on_stderr(Form::Plain))
    }
}

/// What tells progress to programs.
pub(super) fn events() -> Box<dyn Progress> {
    Box::new(Told::on_stderr(Form::Json))
}

/// A bar with the rate and the time left.
#[derive(Default)]
struct Bar(Mutex<Option<ProgressBar>>);

impl Progress for Bar {
    fn started(&self, what: &str, total: Option<u64>) {
        let new = ProgressBar::no_length();
        if let Some(total) = total {
            new.set_length(total);
        }
        new.set_style(style(total.is_some()));
        new.set_message(what.to_owned());
        new.enable_steady_tick(Duration::from_millis(100));
        *lock(&self.0) = Some(new);
    }

    fn advanced(&self, rows: u64) {
        if let Some(bar) = lock(&self.0).as_ref() {
            bar.inc(rows);
        }
    }

    fn finished(&self) {
        if let Some(bar) = lock(&self.0).take() {
            bar.finish_and_clear();
        }
    }
}

const KNOWN: &str = "{msg:32!} {bar:30} {human_pos:>12} of {human_len} rows  {per_sec}  {eta} left";
const UNKNOWN: &str = "{msg:32!} {spinner} {human_pos:>12} rows  {per_sec}";

fn style(known: bool) -> ProgressStyle {
    // A faulty template would be found by the test below; the default style still shows progress.
    ProgressStyle::with_template(if known { KNOWN } else { UNKNOWN })
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_of_the_bars_are_sound() {
        for template in [KNOWN, UNKNOWN] {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }

    #[test]
    fn a_bar_counts_until_its_table_is_finished() {
        let bar = Bar::default();
        bar.started("omop.person", Some(10));
        bar.advanced(3);
        bar.advanced(4);
        assert_eq!(lock(&bar.0).as_ref().unwrap().position(), 7);
        bar.finished();
        assert!(lock(&bar.0).is_none());
    }
}
