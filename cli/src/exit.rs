//! Exit codes, which scripts rely on, and how a failure is told to the person at the terminal.
//!
//! One place decides the code, from the cause found in the error's chain; no command calls `exit` itself.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use caim_engine::HubError;
use caim_sql::Refusal;
use caim_sql::refusal::Family;

/// What the program tells its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// An error: we failed, or were asked for the impossible.
    Error = 1,
    /// The command line was not understood (clap exits with it).
    Usage = 2,
    /// Finished, with rejected inputs.
    Rejects = 3,
    /// Refused for privacy.
    Privacy = 4,
    /// A node or the hub cannot be reached.
    Unreachable = 5,
    /// The records are below a limit of their quality.
    Quality = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Nobody answers at an address.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unreachable(pub String);

/// Ends the program: tells what failed on stderr and gives the code.
#[must_use]
pub fn finish(outcome: anyhow::Result<Exit>) -> ExitCode {
    match outcome {
        Ok(exit) => exit.into(),
        Err(error) if reader_left(&error) => Exit::Ok.into(),
        Err(error) => {
            tell(&error);
            code(&error).into()
        }
    }
}

/// Prints an error on stderr: a refusal as it is, anything else with its causes.
pub fn tell(error: &anyhow::Error) {
    let text = refusal(error)
        .map_or_else(|| format!("error: {}", causes(error)), |refusal| format!("refused: {refusal}"));
    // Where stderr is closed there is nobody to tell.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// An error and its causes in one line; many errors repeat their cause's words, which are said once.
fn causes(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !said.contains(&cause) {
            let joint = if said.is_empty() { "" } else { ": " };
            said = format!("{said}{joint}{cause}");
        }
    }
    said
}

/// The exit code that an error stands for.
#[must_use]
pub fn code(error: &anyhow::Error) -> Exit {
    if let Some(refusal) = refusal(error) {
        return match refusal.code.family() {
            Family::Privacy => Exit::Privacy,
            Family::Network => Exit::Unreachable,
            Family::Sql | Family::Ontology | Family::Access => Exit::Error,
        };
    }
    if error.chain().any(|cause| cause.is::<Unreachable>()) { Exit::Unreachable } else { Exit::Error }
}

/// The refusal that an error is, if it is one.
pub(crate) fn refusal(error: &anyhow::Error) -> Option<&Refusal> {
    error.chain().find_map(|cause| match cause.downcast_ref::<HubError>() {
        Some(HubError::Refused(refusal)) => Some(refusal),
        Some(HubError::Failed(_)) | None => cause.downcast_ref::<Refusal>(),
    })
}

/// `caim sql ... | head` closes the pipe when it has seen enough: no failure of ours.
fn reader_left(error: &anyhow::Error) -> bool {
    let broken = |cause: &std::io::Error| cause.kind() == ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref().is_some_and(broken))
}

#[cfg(test)]
mod tests {
    use caim_engine::HubError;
    use caim_sql::{Code, Refusal};

    use super::{Exit, Unreachable, causes, code};

    #[test]
    fn causes_are_told_once() {
        let error = anyhow::anyhow!("in use").context("cannot listen: in use").context("hub.flight");
        assert_eq!(causes(&error), "hub.flight: cannot listen: in use");
    }

    #[test]
    fn every_family_of_failures_has_its_own_code() {
        let refused = |code| anyhow::Error::new(Refusal::new(code, "because"));
        assert_eq!(code(&refused(Code::NoAggregate)), Exit::Privacy);
        assert_eq!(code(&refused(Code::BudgetExceeded)), Exit::Privacy);
        assert_eq!(code(&refused(Code::NoNodes)), Exit::Unreachable);
        assert_eq!(code(&refused(Code::Syntax)), Exit::Error);
        assert_eq!(code(&refused(Code::Unauthenticated)), Exit::Error);
        let by_hub = HubError::Refused(Refusal::new(Code::NoAggregate, "because"));
        assert_eq!(code(&anyhow::Error::new(by_hub).context("asking")), Exit::Privacy);
        assert_eq!(
            code(&anyhow::Error::new(Unreachable("nobody".into())).context("asking")),
            Exit::Unreachable
        );
        assert_eq!(code(&anyhow::anyhow!("else")), Exit::Error);
    }
}
