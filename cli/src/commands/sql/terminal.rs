//! A session at a terminal: statements over many lines, history, completion, and words that begin with `\`.
//!
//! Failures end nothing. Ctrl-C while a question runs drops it, and with it the work at every node.

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use caim_sql::text::statements;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{CompletionType, Config, Editor};

use super::line::Line;
use super::words::{self, Word};
use super::{Outcome, Session, spot};
use crate::exit::{self, Exit};
use crate::output::Format;

/// Statements that are remembered.
const REMEMBERED: usize = 10_000;

/// What the analyst has chosen for this session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Choices {
    timing: Switch,
    records: Switch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Switch {
    On,
    #[default]
    Off,
}

impl Switch {
    fn flipped(self) -> Self {
        if self == Self::On { Self::Off } else { Self::On }
    }

    fn word(self) -> &'static str {
        if self == Self::On { "on" } else { "off" }
    }
}

/// Converses until the analyst leaves.
///
/// # Errors
/// When the terminal fails.
pub(super) async fn converse(session: &mut Session) -> Outcome {
    let config = Config::builder().completion_type(CompletionType::List).max_history_size(REMEMBERED)?;
    let mut editor: Editor<Line, FileHistory> = Editor::with_config(config.auto_add_history(true).build())?;
    editor.set_helper(Some(Line::new(words::known(&mut session.asking).await)));
    let history = history();
    if let Some(history) = &history {
        // The first session has no history.
        let _ = editor.load_history(history);
    }
    say("Statements end with ';'. \\? lists what else can be typed, \\q leaves.")?;
    let mut choices = Choices::default();
    loop {
        match editor.readline("caim> ") {
            Ok(typed) if is_leave(&typed) => break,
            Ok(typed) => typed_in(session, &typed, &mut choices).await?,
            // Ctrl-C at the prompt drops what was typed.
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error.into()),
        }
    }
    if let Some(history) = &history {
        // A history that cannot be kept is no reason to fail.
        let _ = editor.save_history(history);
    }
    Ok(Exit::Ok)
}

async fn typed_in(session: &mut Session, typed: &str, choices: &mut Choices) -> Result<()> {
    if typed.trim_start().starts_with('\\') {
        return match words::read(typed) {
            Word::Ask(sql) => question(session, &sql, *choices).await,
            Word::Print(text) => say(&text),
            Word::Timing => {
                choices.timing = choices.timing.flipped();
                say(&format!("timing is {}", choices.timing.word()))
            }
            Word::Records => {
                choices.records = choices.records.flipped();
                say(&format!("one line a value is {}", choices.records.word()))
            }
            Word::Format(format) => {
                session.format = format;
                Ok(())
            }
        };
    }
    for statement in statements::all(typed) {
        question(session, &statement, *choices).await?;
    }
    Ok(())
}

/// Asks one statement and shows what comes of it.
async fn question(session: &mut Session, sql: &str, choices: Choices) -> Result<()> {
    let began = Instant::now();
    let format = session.format;
    if choices.records == Switch::On && format == Format::Table {
        session.format = Format::Records;
    }
    let outcome = tokio::select! {
        outcome = session.one(sql) => Some(outcome),
        _ = tokio::signal::ctrl_c() => None,
    };
    session.format = format;
    match outcome {
        Some(Ok(())) => {}
        Some(Err(error)) => {
            if let Some(marked) = spot::mark(sql, &error) {
                say(&marked)?;
            }
            exit::tell(&error);
        }
        None => say("cancelled: the question was dropped, here and at every node")?,
    }
    if choices.timing == Switch::On {
        say(&format!("{:.0} ms", began.elapsed().as_secs_f64() * 1000.0))?;
    }
    Ok(())
}

/// Says something beside the answers.
fn say(text: &str) -> Result<()> {
    Ok(writeln!(std::io::stderr().lock(), "{text}")?)
}

fn is_leave(typed: &str) -> bool {
    matches!(typed.trim().trim_end_matches(';').trim(), "exit" | "quit" | "\\q")
}

/// Where the history is kept: `$XDG_STATE_HOME/caim/history`, else below the home.
fn history() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
    let state = state.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state")))?;
    let dir = state.join("caim");
    std::fs::create_dir_all(&dir).ok()?;
    Some(dir.join("history"))
}

#[cfg(test)]
mod tests {
    use super::is_leave;

    #[test]
    fn a_session_ends_by_word_but_not_within_a_statement() {
        assert!(is_leave("exit") && is_leave("quit;") && is_leave(" \\q"));
        assert!(!is_leave("SELECT 1 AS\nexit"));
    }
}
