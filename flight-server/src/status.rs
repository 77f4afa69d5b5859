//! Refusals and failures as gRPC statuses, and back.
//!
//! The text is for people and fits into HTTP/2 trailers; the details carry the same refusal for programs, so that code,
//! reason and rewrite reach them whole: as `google.rpc` details at the door, as JSON between hub and node. Trailers that are too long break connections, so both are bounded.

use std::collections::HashMap;

use caim_engine::AskError;
use caim_sql::refusal::Family;
use caim_sql::{Code, Refusal};
use prost::bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tonic::metadata::MetadataValue;
use tonic::{Code as Grpc, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::questions::Unanswered;

/// Longest text and longest details of a status, in bytes as they are sent.
const LIMIT: usize = 2048;

/// Who names the reasons of refusals, in machine-readable details.
const DOMAIN: &str = "caim";

/// Trailer that names the refusal's code, for clients that read no details.
const CODE_TRAILER: &str = "x-caim-code";

/// A refusal as a status; [`refusal`] reads it back. Its details are those of `google/rpc/error_details.proto`: an
/// ErrorInfo with code, reason and rewrite, and a Help with the page.
pub(crate) fn of_refusal(refusal: &Refusal) -> Status {
    let Refusal { code, reason, rewrite } = fitting(refusal);
    let metadata = [("name", code.name()), ("reason", &reason), ("rewrite", &rewrite)];
    let metadata: HashMap<String, String> =
        metadata.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let mut details = ErrorDetails::with_error_info(code.id(), DOMAIN, metadata);
    details.add_help_link(code.rule(), format!("docs/refusals/{code}.md"));
    // Some clients show the text within the details and not the status's own: it stands in both.
    let text = refusal.to_string();
    let packed = Status::with_error_details(grpc_code(code), cut(&text), details);
    let details = Bytes::copy_from_slice(packed.details());
    let mut status = Status::with_details(packed.code(), cut_to(&text, LIMIT / 2), details);
    status.metadata_mut().insert(CODE_TRAILER, MetadataValue::from_static(code.id()));
    status
}

impl From<Unanswered> for Status {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Refused(refusal) => of_refusal(&refusal),
            Unanswered::Busy(why) => Status::resource_exhausted(why),
            Unanswered::Failed(why) => failed(&why),
        }
    }
}

/// The refusal that a status carries, if it carries one.
pub(crate) fn refusal(status: &Status) -> Option<Refusal> {
    let info = status.get_details_error_info().filter(|info| info.domain == DOMAIN)?;
    let code = Code::ALL.iter().find(|code| code.id() == info.reason)?;
    let text = |key: &str| info.metadata.get(key).cloned().unwrap_or_default();
    Some(Refusal { code: *code, reason: text("reason"), rewrite: text("rewrite") })
}

/// What a node says instead of an answer; [`ask_error`] reads it back.
pub(crate) fn of_ask_error(error: &AskError) -> Status {
    match error {
        AskError::Refused(refusal) => {
            let fitting = AskError::Refused(fitting(refusal));
            with_details(grpc_code(refusal.code), &refusal.to_string(), &fitting)
        }
        AskError::Unreachable(why) => {
            with_details(Grpc::Unavailable, &error.to_string(), &AskError::Unreachable(cut(why)))
        }
        AskError::Deadline => with_details(Grpc::DeadlineExceeded, &error.to_string(), error),
        AskError::Failed(why) => {
            with_details(Grpc::Internal, &error.to_string(), &AskError::Failed(cut(why)))
        }
    }
}

/// Why a node gave no answer, from its status or from that of the transport.
pub(crate) fn ask_error(status: &Status) -> AskError {
    if let Some(error) = from_details(status) {
        return error;
    }
    let text = cut(status.message());
    match status.code() {
        Grpc::DeadlineExceeded => AskError::Deadline,
        // The server's own timer says Cancelled; without details no person did.
        Grpc::Cancelled if text.contains("Timeout expired") => AskError::Deadline,
        Grpc::Cancelled | Grpc::Unavailable | Grpc::Unknown | Grpc::Aborted => AskError::Unreachable(text),
        Grpc::Ok
        | Grpc::InvalidArgument
        | Grpc::NotFound
        | Grpc::AlreadyExists
        | Grpc::PermissionDenied
        | Grpc::ResourceExhausted
        | Grpc::FailedPrecondition
        | Grpc::OutOfRange
        | Grpc::Unimplemented
        | Grpc::Internal
        | Grpc::DataLoss
        | Grpc::Unauthenticated => AskError::Failed(text),
    }
}

/// A failure of ours, with a text that is safe to show.
pub(crate) fn failed(text: &str) -> Status {
    Status::internal(cut(text))
}

/// How gRPC calls the families of refusals.
fn grpc_code(code: Code) -> Grpc {
    match (code.family(), code) {
        (_, Code::BudgetExceeded | Code::TooComplex) => Grpc::ResourceExhausted,
        (_, Code::UnknownName) => Grpc::NotFound,
        (_, Code::Statement) => Grpc::Unimplemented,
        (_, Code::Unauthenticated) => Grpc::Unauthenticated,
        (Family::Privacy | Family::Access, _) => Grpc::PermissionDenied,
        (Family::Sql | Family::Ontology, _) => Grpc::InvalidArgument,
        (Family::Network, _) => Grpc::Unavailable,
    }
}

fn with_details(code: Grpc, text: &str, details: &impl Serialize) -> Status {
    match serde_json::to_vec(details) {
        Ok(json) if json.len() <= LIMIT => Status::with_details(code, cut(text), json.into()),
        Ok(_) | Err(_) => Status::new(code, cut(text)),
    }
}

fn from_details<T: DeserializeOwned>(status: &Status) -> Option<T> {
    let details = status.details();
    (details.len() <= LIMIT).then(|| serde_json::from_slice(details).ok()).flatten()
}

/// The same refusal with texts that fit into details.
fn fitting(refusal: &Refusal) -> Refusal {
    let mut fitting = refusal.clone();
    let size = |refusal: &Refusal| serde_json::to_vec(refusal).map_or(usize::MAX, |json| json.len());
    let mut budget = LIMIT / 2;
    // 64 bytes are for what an AskError puts around a refusal.
    while size(&fitting) > LIMIT - 64 && budget > 0 {
        fitting.reason = cut_to(&refusal.reason, budget);
        fitting.rewrite = cut_to(&refusal.rewrite, budget);
        budget /= 2;
    }
    fitting
}

fn cut(text: &str) -> String {
    cut_to(text, LIMIT)
}

/// The longest beginning of a text that takes at most `limit` bytes percent-encoded, as gRPC sends it.
fn cut_to(text: &str, limit: usize) -> String {
    let mut sent = 0;
    text.chars()
        .take_while(|c| {
            let plain = matches!(c, ' '..='~') && *c != '%';
            sent += if plain { 1 } else { 3 * c.len_utf8() };
            sent <= limit
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use caim_engine::AskError;
    use caim_sql::{Code, Refusal};
    use tonic::{Code as Grpc, Status};

    use super::{LIMIT, ask_error, of_ask_error, of_refusal, refusal};

    #[test]
    fn every_refusal_comes_back_whole() {
        for code in Code::ALL {
            let sent = Refusal::new(*code, "because").with_rewrite("ask \"otherwise\"");
            let status = of_refusal(&sent);
            assert_eq!(refusal(&status), Some(sent.clone()), "{code}");
            assert!(status.message().contains(code.id()));
            assert_eq!(status.metadata().get("x-caim-code").unwrap(), code.id());
            let asked = AskError::Refused(sent);
            assert_eq!(ask_error(&of_ask_error(&asked)), asked);
        }
    }

    #[test]
    fn statuses_say_what_clients_act_on() {
        for (code, expected) in [
            (Code::NoAggregate, Grpc::PermissionDenied),
            (Code::BudgetExceeded, Grpc::ResourceExhausted),
            (Code::Syntax, Grpc::InvalidArgument),
            (Code::UnknownName, Grpc::NotFound),
            (Code::Statement, Grpc::Unimplemented),
            (Code::Unauthenticated, Grpc::Unauthenticated),
            (Code::Project, Grpc::PermissionDenied),
            (Code::NoNodes, Grpc::Unavailable),
        ] {
            assert_eq!(of_refusal(&Refusal::new(code, "x")).code(), expected, "{code}");
        }
    }

    #[test]
    fn long_texts_are_cut_and_still_read_back() {
        for text in ["x".repeat(100_000), "ä".repeat(50_000), "\u{1}".repeat(9_000), "\"".repeat(9_000)] {
            let status = of_refusal(&Refusal::new(Code::Syntax, text.clone()).with_rewrite(text.clone()));
            assert!(status.message().len() <= 2048 && status.details().len() <= 3 * LIMIT);
            let back = refusal(&status).unwrap();
            assert_eq!(back.code, Code::Syntax);
            assert!(text.starts_with(&back.reason) && !back.reason.is_empty());
            let failed = of_ask_error(&AskError::Failed(text));
            assert!(matches!(ask_error(&failed), AskError::Failed(_)));
        }
    }

    #[test]
    fn failures_of_the_transport_are_told_from_failures_of_the_node() {
        assert_eq!(ask_error(&Status::deadline_exceeded("late")), AskError::Deadline);
        assert_eq!(ask_error(&Status::cancelled("Timeout expired")), AskError::Deadline);
        assert_eq!(ask_error(&Status::unavailable("gone")), AskError::Unreachable("gone".into()));
        assert_eq!(ask_error(&Status::internal("bad")), AskError::Failed("bad".into()));
    }
}
