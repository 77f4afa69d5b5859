//! Asks a hub over Flight SQL.

use std::collections::BTreeMap;

use anyhow::Result;
use caim_engine::Answer;
use caim_flight_server::client::{self, Client, Credentials};
use caim_sql::text::{self, Statement};

use super::Whom;
use crate::exit::Unreachable;

/// A connection to a hub, with the options that were set on it.
pub struct Remote {
    client: Client,
    url: String,
    credentials: Credentials,
    options: BTreeMap<String, String>,
}

impl Remote {
    pub(super) async fn connect(whom: &Whom) -> Result<Self> {
        let credentials = match (&whom.user, &whom.password) {
            (Some(user), Some(password)) => {
                Credentials::Password { user: user.clone(), password: password.clone() }
            }
            (Some(_) | None, _) => Credentials::Anonymous,
        };
        let project = whom.project.iter().map(|project| ("caim.project".to_owned(), project.clone()));
        let options = project.collect();
        let client = Client::connect(&whom.hub, &credentials, &options).await.map_err(failure)?;
        Ok(Self { client, url: whom.hub.clone(), credentials, options })
    }

    pub(super) async fn ask(&mut self, sql: &str) -> Result<Answer> {
        if let (Credentials::Anonymous, Ok(Statement::Set { key, value })) =
            (&self.credentials, text::read(sql))
        {
            self.options.insert(key, value);
            // A caller without credentials has no session at the hub: its options go with every call.
            self.client =
                Client::connect(&self.url, &self.credentials, &self.options).await.map_err(failure)?;
            return Ok(super::nothing());
        }
        let client::Answer { schema, batches, summary } = self.client.query(sql).await.map_err(failure)?;
        Ok(Answer { schema, batches, summary })
    }

    pub(super) async fn check(&mut self, sql: &str) -> Result<String> {
        self.client.check(sql).await.map_err(failure)
    }
}

/// The client's errors in the program's terms: exit codes hang on them.
fn failure(error: client::Error) -> anyhow::Error {
    match error {
        client::Error::Refused(refusal) => refusal.into(),
        unreachable @ client::Error::Unreachable { .. } => Unreachable(unreachable.to_string()).into(),
        client::Error::Failed(reason) => anyhow::Error::msg(reason),
    }
}
