//! What a statement is: a question for the hub, one about PostgreSQL's catalogue, or a word to the connection.

use std::sync::Arc;

use caim_engine::hub::Prepared;
use caim_engine::{Progress, Summary};
use datafusion::common::ScalarValue;
use pgwire::api::Type;
use pgwire::api::portal::Format;
use pgwire::api::results::{FieldInfo, QueryResponse, Response, Tag};
use pgwire::error::{PgWireError, PgWireResult};

use super::catalogue::Query;
use super::errors::{error, of_refusal};
use super::handlers::Door;
use super::rows;
use super::said::{Said, said};
use super::session::Session;

/// A statement that was understood.
#[derive(Clone)]
pub(super) enum Statement {
    /// Planned by the hub.
    Hub(Arc<Prepared>),
    /// Answered from names, types and comments.
    Catalogue(Arc<Query>),
    /// A setting of the connection that is shown.
    Shown(&'static str, &'static str),
    /// A word to the connection.
    Said(Said),
}

/// What comes of a statement, and what is said beside it.
pub(super) struct Outcome {
    pub(super) response: Response,
    pub(super) summary: Option<Summary>,
}

impl Statement {
    /// Understands a statement. What would be refused is refused here.
    pub(super) async fn understand(door: &Door, session: &Session, sql: &str) -> PgWireResult<Self> {
        let user = session.user().map_err(|refusal| of_refusal(&refusal))?;
        if let Some(said) = said(sql) {
            return Ok(Self::Said(said));
        }
        if let Some((name, value)) = shown(sql) {
            return Ok(Self::Shown(name, value));
        }
        if let Some(query) = door.catalogue.read(sql, &user.name).await? {
            return Ok(Self::Catalogue(Arc::new(query)));
        }
        let prepared = door.questions.plan(sql.to_owned(), session.settings()).await?;
        if let Some((key, value)) = prepared.setting() {
            session.can_set(key, value).map_err(|refusal| of_refusal(&refusal))?;
        }
        Ok(Self::Hub(Arc::new(prepared)))
    }

    /// The types of the parameters, in order.
    pub(super) fn parameters(&self) -> Vec<Type> {
        match self {
            Self::Hub(prepared) => {
                prepared.parameters().fields().iter().map(|field| rows::type_of(field.data_type())).collect()
            }
            Self::Catalogue(query) => vec![Type::TEXT; query.parameters],
            Self::Shown(_, _) | Self::Said(_) => Vec::new(),
        }
    }

    /// The columns of the answer, before anything is asked.
    pub(super) fn columns(&self, format: &Format) -> Vec<FieldInfo> {
        match self {
            Self::Hub(prepared) => rows::fields(&prepared.schema(), format),
            Self::Catalogue(query) => query.fields(format),
            Self::Shown(name, _) => vec![rows::field(name, Type::TEXT, rows::format_for(format, 0))],
            Self::Said(_) => Vec::new(),
        }
    }

    /// Answers the statement.
    pub(super) async fn run(
        &self,
        door: &Door,
        session: &Session,
        values: Vec<ScalarValue>,
        format: &Format,
    ) -> PgWireResult<Outcome> {
        let response = match self {
            Self::Hub(prepared) => return ask(door, session, prepared, values, format).await,
            Self::Catalogue(query) => Response::Query(door.catalogue.run(query, values, format).await?),
            Self::Shown(name, value) => Response::Query(rows::one_text(name, value)?),
            Self::Said(Said::Begin) => Response::TransactionStart(Tag::new("BEGIN")),
            Self::Said(Said::End(word)) => Response::TransactionEnd(Tag::new(word)),
            Self::Said(Said::Nothing(word)) => Response::Execution(Tag::new(word)),
        };
        Ok(Outcome { response, summary: None })
    }
}

/// A question to the hub, or a setting of the session.
async fn ask(
    door: &Door,
    session: &Session,
    planned: &Arc<Prepared>,
    values: Vec<ScalarValue>,
    format: &Format,
) -> PgWireResult<Outcome> {
    if let Some((key, value)) = planned.setting() {
        session.set(key, value).map_err(|refusal| of_refusal(&refusal))?;
        return Ok(Outcome { response: Response::Execution(Tag::new("SET")), summary: None });
    }
    let (expected, bound) = (planned.parameters().fields().len(), values.len());
    if expected != bound {
        return Err(error(
            "08P01",
            &format!("the statement takes {expected} parameters and {bound} are bound"),
        ));
    }
    let prepared = match expected {
        0 => Arc::clone(planned),
        _ => Arc::new(door.questions.bind(Arc::clone(planned), values).await?),
    };
    let asker = session.asker().map_err(|refusal| of_refusal(&refusal))?;
    let answer = door.questions.answer(&prepared, &asker, &Progress::default()).await?;
    let response: QueryResponse = rows::response(&answer.schema, answer.batches, format);
    let summary = Some(answer.summary).filter(|summary| !summary.nodes.is_empty());
    Ok(Outcome { response: Response::Query(response), summary })
}

/// The client left, or asked to stop.
pub(super) fn cancelled() -> PgWireError {
    error("57014", "the question was cancelled; its work has ended at every node")
}

/// Settings of the connection as `SHOW name` gives them.
pub(super) const SHOWN: &[(&str, &str)] = &[
    ("server_version", super::handlers::SERVER_VERSION),
    ("server_version_num", "140000"),
    ("server_encoding", "UTF8"),
    ("client_encoding", "UTF8"),
    ("datestyle", "ISO, MDY"),
    ("intervalstyle", "postgres"),
    ("timezone", "UTC"),
    ("search_path", "eucaim"),
    ("standard_conforming_strings", "on"),
    ("transaction_isolation", "read committed"),
    ("transaction isolation level", "read committed"),
    ("transaction_read_only", "on"),
    ("default_transaction_read_only", "on"),
    ("default_transaction_isolation", "read committed"),
    ("extra_float_digits", "1"),
    ("integer_datetimes", "on"),
    ("max_identifier_length", "63"),
    ("max_index_keys", "32"),
    ("lc_collate", "C"),
    ("lc_ctype", "C"),
    ("bytea_output", "hex"),
    ("statement_timeout", "0"),
    ("application_name", ""),
    ("is_superuser", "off"),
];

fn shown(sql: &str) -> Option<(&'static str, &'static str)> {
    let text = sql.trim().trim_end_matches(';').trim();
    let name = text.get(..5).filter(|word| word.eq_ignore_ascii_case("show ")).and(text.get(5..))?;
    let name = name.trim().trim_matches('"').to_ascii_lowercase();
    SHOWN.iter().find(|(known, _)| *known == name).copied()
}
