//! A FHIR server as a source: `https://server/fhir/$export`, `.../Patient/$export` or `.../Group/ID/$export`
//! (hl7.org/fhir/uv/bulkdata, Bulk Data Access 2.0).
//!
//! ```text
//! kick-off    asks for the types of resources that have a view, unless the address names others
//! status      asked again as Retry-After says, until the manifest is there
//! manifest    the files, checked before any is fetched
//! files       one behind the other in one unnamed file; a cut one is fetched again
//! DELETE      the server may forget the export, also when something failed
//! ```
//!
//! With `--since` the server is asked for what has changed, and its manifest may list what is gone.
//! From there on they are FHIR files like any other. The token goes to the server that was named and to no other.

mod deleted;
mod files;
mod manifest;

use std::path::Path;
use std::time::{Duration, Instant};

use caim_ontology::Models;
use reqwest::header::{CONTENT_LOCATION, HeaderName, HeaderValue};
use reqwest::{Method, Response, StatusCode, Url};

use super::bundled;
use crate::http::{self, Failed, Http};
use crate::ingest::whole_identity;
use crate::since::{Chains, Exported};
use crate::source::Source;
use crate::{Code, Error, Format, IngestOptions, Progress, Result};
use files::Files;
use manifest::{Asked, Manifest};

const JSON: &str = "application/fhir+json";
const PREFER: HeaderName = HeaderName::from_static("prefer");
/// Between two questions whether an export is done, where the server names no time; each later one is twice as long.
const POLL: Duration = Duration::from_millis(500);
const LONGEST_POLL: Duration = Duration::from_secs(60);
/// So long may a server prepare an export.
const LONGEST_EXPORT: Duration = Duration::from_secs(24 * 3600);
/// Of some 100,000 files.
const MANIFEST_BYTES: usize = 64 << 20;

/// The source at `path`, if that is the address of an export.
///
/// # Errors
/// When the server cannot be reached, refuses, or sends what is no export.
pub(crate) fn open(
    path: &Path,
    models: &Models,
    options: &IngestOptions,
    chains: &Chains<'_>,
    progress: &dyn Progress,
) -> Result<Option<Source>> {
    let Some(text) = path.to_str().filter(|text| is_one(text)) else { return Ok(None) };
    options.reads_as(Format::Fhir, "an export of a FHIR server")?;
    let url = http::address(text)?;
    let name = http::named(&url);
    if url.query_pairs().any(|(key, _)| key == "_since") {
        let reason = "_since in the address leaves out what is older, and nobody notes up to when it tells";
        return Err(Error::new(Code::Web, name, reason).with_fix("leave _since out and say --since"));
    }
    let whole = whole_identity(&name, Format::Fhir, &options.collection);
    let since = options.since.as_ref().map(|since| chains.since(since, &whole, &name)).transpose()?;
    let http = Http::new(&name, options.token_file.as_deref())?;
    let export = Export { http, url, name, types: bundled::types(models)?, since, progress };
    export.http.wait(|| export.pull()).map(Some)
}

/// `http(s)://.../$export`, perhaps with parameters.
pub(crate) fn is_one(text: &str) -> bool {
    http::path_of(text).is_some_and(|path| path.ends_with("/$export") || path.ends_with("/%24export"))
}

struct Export<'e> {
    http: Http,
    url: Url,
    name: String,
    /// The types of resources that have a table.
    types: Vec<String>,
    /// From which moment on changes are asked for.
    since: Option<String>,
    progress: &'e dyn Progress,
}

/// What a server says of an export.
enum Status {
    /// To be asked again after this time, if the server names one.
    Running(Option<Duration>),
    Done(Vec<u8>),
}

impl Export<'_> {
    async fn pull(&self) -> Result<Source> {
        let status = self.start().await?;
        let pulled = self.fetch(&status).await;
        // Whatever came of it, nobody will ask for it again; a server that keeps it all the same does no harm here.
        if let Err(Failed::Again(reason, _) | Failed::Ever(reason)) =
            http::sent(self.http.request(Method::DELETE, status, JSON)).await
        {
            tracing::debug!(reason, "the server did not delete the export");
        }
        pulled
    }

    /// Begins the export; the address of its status.
    async fn start(&self) -> Result<Url> {
        let mut url = self.url.clone();
        if !url.query_pairs().any(|(key, _)| key == "_type") {
            url.query_pairs_mut().append_pair("_type", &self.types.join(","));
        }
        if let Some(since) = &self.since {
            url.query_pairs_mut().append_pair("_since", since);
        }
        let response = self
            .http
            .tried(async || {
                let request = self.http.request(Method::GET, url.clone(), JSON);
                http::sent(request.header(PREFER, HeaderValue::from_static("respond-async"))).await
            })
            .await?;
        if response.status() != StatusCode::ACCEPTED {
            let reason = format!("it answered {} and begins no export", response.status());
            return Err(self.http.fault(reason));
        }
        let place = response.headers().get(CONTENT_LOCATION).and_then(|place| place.to_str().ok());
        let place = place.ok_or_else(|| self.http.fault("it does not say where the export is"))?;
        let place = self.url.join(place).map_err(|_| self.http.fault("it says no address of the export"))?;
        if place.origin() != self.url.origin() {
            return Err(self.http.fault("the export is at another server, which must not see the token"));
        }
        Ok(place)
    }

    /// Waits for the manifest and fetches its files.
    async fn fetch(&self, status: &Url) -> Result<Source> {
        let asked = if self.since.is_some() { Asked::Changes } else { Asked::All };
        let manifest = Manifest::read(&self.manifest(status).await?, status, asked)
            .map_err(|reason| self.http.fault(format!("its manifest: {reason}")))?;
        self.progress.started(&self.name, Some(manifest.output.len() as u64));
        let mut files = Files::new().map_err(|e| Error::io(&self.name, &e))?;
        for (number, file) in manifest.output.iter().enumerate() {
            files.add(&self.http, &self.url, file, number).await?;
            self.progress.advanced(1);
        }
        self.progress.finished();
        let mut failures = Vec::new();
        for file in &manifest.error {
            failures.extend(files.failures(&self.http, &self.url, file).await?);
        }
        let mut deleted = Vec::new();
        for file in &manifest.deleted {
            deleted.extend(files.deleted(&self.http, &self.url, file).await?);
        }
        let (since, moment) = (self.since.clone(), manifest.moment);
        let exported = Exported { since, moment, deleted, ..Exported::default() };
        Ok(files.source(&self.name, failures, exported))
    }

    async fn manifest(&self, status: &Url) -> Result<Vec<u8>> {
        self.progress.started("export of the server", None);
        let (begun, mut pause) = (Instant::now(), POLL);
        loop {
            let found = self
                .http
                .tried(async || {
                    let response = http::sent(self.http.request(Method::GET, status.clone(), JSON)).await?;
                    state(response).await
                })
                .await?;
            let wanted = match found {
                Status::Done(manifest) => {
                    self.progress.finished();
                    return Ok(manifest);
                }
                Status::Running(wanted) => until_next(wanted, pause),
            };
            if begun.elapsed().saturating_add(wanted) > LONGEST_EXPORT {
                let hours = LONGEST_EXPORT.as_secs() / 3600;
                return Err(self.http.fault(format!("the export was not done within {hours} hours")));
            }
            tokio::time::sleep(wanted).await;
            pause = (pause * 2).min(LONGEST_POLL);
        }
    }
}

/// How long to wait before the next question: as the server wishes, but never so short that it is asked without end.
fn until_next(wanted: Option<Duration>, pause: Duration) -> Duration {
    wanted.map_or(pause, |wanted| wanted.max(POLL))
}

async fn state(response: Response) -> std::result::Result<Status, Failed> {
    match response.status() {
        StatusCode::ACCEPTED => Ok(Status::Running(http::pause_of(&response))),
        StatusCode::OK => Ok(Status::Done(http::body(response, MANIFEST_BYTES).await?.bytes)),
        status => Err(Failed::Ever(format!("it answered {status} for the state of the export"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_wants_to_be_asked_at_once_is_asked_a_little_later() {
        assert_eq!(until_next(Some(Duration::ZERO), LONGEST_POLL), POLL);
        assert_eq!(until_next(Some(Duration::from_secs(120)), POLL), Duration::from_secs(120));
        assert_eq!(until_next(None, LONGEST_POLL), LONGEST_POLL);
    }

    #[test]
    fn an_address_is_an_export_by_the_last_part_of_its_path() {
        for text in
            ["https://h/fhir/$export", "http://h/Group/1/$export?_type=Patient", "https://h/%24export"]
        {
            assert!(is_one(text), "{text}");
        }
        for text in
            ["/data/$export", "https://h/fhir/studies", "https://h/$export/x", "https://h/a?b=/$export"]
        {
            assert!(!is_one(text), "{text}");
        }
    }
}
