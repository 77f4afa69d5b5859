//! Refusals and failures as PostgreSQL knows errors: SQLSTATE, DETAIL with the rule, HINT with what to ask instead.

use caim_engine::Summary;
use caim_sql::refusal::Family;
use caim_sql::{Code, Refusal};
use pgwire::error::{ErrorInfo, PgWireError};

use crate::questions::Unanswered;

impl From<Unanswered> for PgWireError {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Refused(refusal) => of_refusal(&refusal),
            Unanswered::Busy(why) => error("53300", why),
            Unanswered::Failed(why) => error("XX000", &why),
        }
    }
}

/// An error without details.
pub(super) fn error(sqlstate: &str, text: &str) -> PgWireError {
    PgWireError::UserError(Box::new(ErrorInfo::new("ERROR".to_owned(), sqlstate.to_owned(), text.to_owned())))
}

/// A refusal with its rule, what to ask instead, and its page.
pub(super) fn of_refusal(refusal: &Refusal) -> PgWireError {
    let Refusal { code, reason, rewrite } = refusal;
    let mut info =
        ErrorInfo::new("ERROR".to_owned(), sqlstate(refusal).to_owned(), format!("{code}: {reason}"));
    info.detail = Some(format!("rule: {}", code.rule()));
    info.hint = Some(format!("instead: {rewrite}\nsee: docs/refusals/{code}.md"));
    PgWireError::UserError(Box::new(info))
}

/// How complete an answer is, as a notice beside it.
pub(super) fn notice(summary: &Summary) -> ErrorInfo {
    ErrorInfo::new("NOTICE".to_owned(), "00000".to_owned(), summary.to_string())
}

/// The code of PostgreSQL's appendix A that drivers act on.
fn sqlstate(refusal: &Refusal) -> &'static str {
    match (refusal.code, refusal.code.family()) {
        (Code::BudgetExceeded, _) => "53400",
        (Code::TooComplex, _) => "54001",
        (Code::Syntax, _) => "42601",
        (Code::UnknownName, _) if refusal.reason.contains("column") => "42703",
        (Code::UnknownName, _) => "42P01",
        (Code::Statement | Code::Unsupported, _) => "0A000",
        (Code::Setting | Code::NoiseOutOfRange, _) => "22023",
        (Code::Invalid, _) => "42804",
        (Code::Unauthenticated, _) => "28000",
        (_, Family::Privacy | Family::Access) => "42501",
        (_, Family::Ontology) => "22023",
        (_, Family::Network) => "58000",
        (_, Family::Sql) => "42601",
    }
}

#[cfg(test)]
mod tests {
    use caim_sql::{Code, Refusal};
    use pgwire::error::{ErrorInfo, PgWireError};

    use super::{of_refusal, sqlstate};

    #[test]
    fn drivers_learn_the_kind_and_people_the_way_out() {
        for (code, reason, state) in [
            (Code::NoAggregate, "x", "42501"),
            (Code::BudgetExceeded, "x", "53400"),
            (Code::Syntax, "x", "42601"),
            (Code::UnknownName, "there is no table x", "42P01"),
            (Code::UnknownName, "there is no column x", "42703"),
            (Code::Statement, "x", "0A000"),
        ] {
            let refusal = Refusal::new(code, reason);
            assert_eq!(sqlstate(&refusal), state, "{code}");
        }
        let PgWireError::UserError(info) = of_refusal(&Refusal::new(Code::NoAggregate, "rows")) else {
            panic!("a refusal is an error of the user");
        };
        let ErrorInfo { message, detail, hint, .. } = *info;
        assert!(message.starts_with("CAIM-P101") && detail.unwrap().starts_with("rule:"));
        assert!(hint.unwrap().contains("docs/refusals/CAIM-P101.md"));
    }
}
