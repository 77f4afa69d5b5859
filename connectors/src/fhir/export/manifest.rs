//! The manifest of an export: which files there are, checked before any of them is fetched.

use reqwest::Url;
use serde::Deserialize;

use crate::{http, since};

/// An export of more files is cut otherwise by its server, or is no export.
const MOST_FILES: usize = 100_000;

/// A manifest (Bulk Data Access, "Bulk Data Complete Status").
#[derive(Debug)]
pub(super) struct Manifest {
    /// Files of resources.
    pub(super) output: Vec<Listed>,
    /// Files of OperationOutcomes: what could not be exported.
    pub(super) error: Vec<Listed>,
    /// Files of requests to delete: what is gone.
    pub(super) deleted: Vec<Listed>,
    /// Up to which moment the export tells, if it says an instant.
    pub(super) moment: Option<String>,
}

/// What an export was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    All,
    Changes,
}

/// A file that a manifest lists.
#[derive(Debug)]
pub(super) struct Listed {
    /// The type of its resources: letters alone.
    pub(super) ty: String,
    pub(super) url: Url,
    /// Whether the server wants the token for it.
    pub(super) token: Token,
    /// How many resources it has, if the server says so.
    pub(super) count: Option<u64>,
}

/// Whether a file is fetched with the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Wanted,
    NotWanted,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    transaction_time: String,
    requires_access_token: bool,
    output: Vec<RawFile>,
    #[serde(default)]
    error: Vec<RawFile>,
    #[serde(default)]
    deleted: Vec<RawFile>,
}

#[derive(Deserialize)]
struct RawFile {
    #[serde(rename = "type")]
    ty: String,
    url: String,
    count: Option<u64>,
}

impl Manifest {
    /// Reads a manifest that came from the address `base`.
    ///
    /// # Errors
    /// Says what is wrong with it, without its values.
    pub(super) fn read(text: &[u8], base: &Url, asked: Asked) -> Result<Self, String> {
        // An error of serde may quote what it finds.
        let raw: Raw = serde_json::from_slice(text)
            .map_err(|_| "it is no JSON with transactionTime, requiresAccessToken and output".to_owned())?;
        if asked == Asked::All && !raw.deleted.is_empty() {
            return Err("it lists deleted resources, which only an export of changes has".to_owned());
        }
        if raw.output.len() + raw.error.len() + raw.deleted.len() > MOST_FILES {
            return Err(format!("it lists more than {MOST_FILES} files"));
        }
        let token = if raw.requires_access_token { Token::Wanted } else { Token::NotWanted };
        let listed = |files: Vec<RawFile>| -> Result<Vec<Listed>, String> {
            files.into_iter().enumerate().map(|(number, file)| file.listed(number, base, token)).collect()
        };
        let moment = since::instant(&raw.transaction_time).map(|_| raw.transaction_time);
        let (error, deleted) = (listed(raw.error)?, listed(raw.deleted)?);
        Ok(Self { output: listed(raw.output)?, error, deleted, moment })
    }
}

impl RawFile {
    fn listed(self, number: usize, base: &Url, token: Token) -> Result<Listed, String> {
        if self.ty.is_empty() || self.ty.len() > 64 || !self.ty.bytes().all(|byte| byte.is_ascii_alphabetic())
        {
            return Err(format!("file {number} has no type of resource"));
        }
        let url = base.join(&self.url).map_err(|_| format!("file {number} has no address"))?;
        http::address(url.as_str()).map_err(|error| format!("file {number}: {}", error.reason()))?;
        if token == Token::Wanted && url.origin() != base.origin() {
            return Err(format!("file {number} is at another server, which must not see the token"));
        }
        Ok(Listed { ty: self.ty, url, token, count: self.count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(more: &str) -> Result<Manifest, String> {
        let text =
            format!(r#"{{"transactionTime":"2026-01-01T00:00:00Z","requiresAccessToken":true{more}}}"#);
        Manifest::read(text.as_bytes(), &Url::parse("https://h/fhir/status/1").unwrap(), Asked::All)
    }

    #[test]
    fn a_manifest_lists_files_with_their_type_and_address() {
        let manifest = read(r#","output":[{"type":"Patient","url":"/f/1.ndjson","count":3}]"#).unwrap();
        let file = &manifest.output[0];
        assert_eq!(
            (file.ty.as_str(), file.url.as_str(), file.count),
            ("Patient", "https://h/f/1.ndjson", Some(3))
        );
        assert!(manifest.error.is_empty());
        assert_eq!(manifest.moment.as_deref(), Some("2026-01-01T00:00:00Z"));
    }

    #[test]
    fn a_manifest_that_cannot_be_trusted_is_refused_with_the_reason() {
        for (more, wanted) in [
            ("", "no JSON"),
            (r#","output":[{"type":"../Patient","url":"https://h/1"}]"#, "no type"),
            (r#","output":[{"type":"Patient","url":"http://h/1"}]"#, "as they are"),
            (r#","output":[{"type":"Patient","url":"ftp://h/1"}]"#, "is not read"),
            (r#","output":[{"type":"Patient","url":"https://elsewhere/1"}]"#, "another server"),
            (r#","output":[],"deleted":[{"type":"Bundle","url":"https://h/1"}]"#, "deleted"),
        ] {
            let reason = read(more).unwrap_err();
            assert!(reason.contains(wanted), "{more}: {reason}");
        }
    }
}
