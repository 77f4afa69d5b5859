//! The files of an export, one behind the other in an unnamed file: a cut or mistaken one never counts as whole.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::ops::Range;

use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};
use reqwest::{Method, Response, Url};
use sha2::{Digest, Sha256};

use super::deleted;
use super::manifest::{Listed, Token};
use crate::Result;
use crate::http::{self, Failed, Http};
use crate::report::Skipped;
use crate::since::Exported;
use crate::source::{Kind, Source};

const NDJSON: &str = "application/fhir+ndjson";
/// What files of lines are called, besides nothing: stores of objects know no types.
const TYPES: [&str; 5] =
    [NDJSON, "application/ndjson", "application/x-ndjson", "application/octet-stream", "binary/octet-stream"];
/// Of all files together.
const MOST_BYTES: u64 = 1 << 40;
const MOST_ERROR_BYTES: usize = 64 << 20;
const MOST_DELETED_BYTES: usize = 256 << 20;

/// What was fetched.
pub(super) struct Files {
    file: File,
    at: u64,
    members: Vec<(String, Range<u64>)>,
    contents: Vec<(String, Vec<u8>)>,
}

/// How much of a file came.
#[derive(Default)]
struct Fetched {
    bytes: u64,
    lines: u64,
    digest: Sha256,
    /// Whether the last byte ended no line.
    is_open: bool,
}

impl Files {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self { file: tempfile::tempfile()?, at: 0, members: Vec::new(), contents: Vec::new() })
    }

    /// Fetches a file; again from its start where it breaks off.
    ///
    /// # Errors
    /// When it cannot be had whole: cut, of another type, too long, or with other than the promised resources.
    pub(super) async fn add(
        &mut self,
        http: &Http,
        server: &Url,
        listed: &Listed,
        number: usize,
    ) -> Result<()> {
        let name = format!("{}-{number}.ndjson", listed.ty);
        let http = &client(http, server, listed);
        let fetched = http
            .tried(async || {
                let response = http::sent(http.request(Method::GET, listed.url.clone(), NDJSON)).await?;
                check(&response, &name)?;
                self.keep(response, &name).await
            })
            .await?;
        let resources = fetched.lines + u64::from(fetched.is_open);
        if let Some(count) = listed.count.filter(|count| *count != resources) {
            let reason = format!("{name} has {resources} resources, and the manifest says {count}");
            return Err(http.fault(reason));
        }
        let end = self.at + fetched.bytes;
        self.members.push((name.clone(), self.at..end));
        self.contents.push((name, fetched.digest.finalize().to_vec()));
        self.at = end;
        Ok(())
    }

    /// What is gone, as a file of requests to delete says: type and id.
    ///
    /// # Errors
    /// When the file cannot be had, or says anything else.
    pub(super) async fn deleted(
        &mut self,
        http: &Http,
        server: &Url,
        listed: &Listed,
    ) -> Result<Vec<(String, String)>> {
        let body = client(http, server, listed).get(listed.url.clone(), NDJSON, MOST_DELETED_BYTES).await?;
        let bytes = body.map(|body| body.bytes).unwrap_or_default();
        self.contents.push(("deleted".to_owned(), Sha256::digest(&bytes).to_vec()));
        deleted::read(&bytes).map_err(|reason| http.fault(reason))
    }

    /// What the server could not export, as a file of OperationOutcomes says.
    ///
    /// # Errors
    /// When the file cannot be had.
    pub(super) async fn failures(
        &self,
        http: &Http,
        server: &Url,
        listed: &Listed,
    ) -> Result<Option<Skipped>> {
        let http = client(http, server, listed);
        let body = http.get(listed.url.clone(), NDJSON, MOST_ERROR_BYTES).await?;
        let bytes = body.map(|body| body.bytes).unwrap_or_default();
        let count = bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
        // Outcomes quote what they are about, so they are counted and not shown.
        let reason =
            format!("the server could not export everything: {count} outcomes in the manifest's error files");
        Ok((count > 0).then(|| Skipped { path: format!("{}.ndjson", listed.ty), reason }))
    }

    pub(super) fn source(self, name: &str, failures: Vec<Skipped>, exported: Exported) -> Source {
        let mut source = Source::pulled(name, Kind::Json, self.file, self.members, self.contents);
        (source.skipped, source.exported) = (failures, Some(exported));
        source
    }

    /// Writes a body behind what is there, in place of what an earlier try has left.
    async fn keep(&mut self, mut response: Response, name: &str) -> std::result::Result<Fetched, Failed> {
        let on_disk =
            |error: std::io::Error| Failed::Ever(format!("{name} cannot be kept in TMPDIR: {error}"));
        self.file
            .set_len(self.at)
            .and_then(|()| self.file.seek(SeekFrom::Start(self.at)))
            .map_err(on_disk)?;
        let mut fetched = Fetched::default();
        while let Some(chunk) = response.chunk().await.map_err(|e| Failed::Again(http::told(&e), None))? {
            fetched.take(&chunk);
            if self.at + fetched.bytes > MOST_BYTES {
                return Err(Failed::Ever(format!("the export is longer than {MOST_BYTES} bytes")));
            }
            self.file.write_all(&chunk).map_err(on_disk)?;
        }
        Ok(fetched)
    }
}

impl Fetched {
    fn take(&mut self, chunk: &[u8]) {
        self.bytes += chunk.len() as u64;
        self.lines += memchr::memchr_iter(b'\n', chunk).count() as u64;
        self.is_open = chunk.last().map_or(self.is_open, |last| *last != b'\n');
        self.digest.update(chunk);
    }
}

/// With the token only where the manifest wants it, and at the server that was named.
fn client(http: &Http, server: &Url, listed: &Listed) -> Http {
    let with = listed.token == Token::Wanted && listed.url.origin() == server.origin();
    if with { http.clone() } else { http.without_token() }
}

/// A page that asks for a password is no file of resources.
fn check(response: &Response, name: &str) -> std::result::Result<(), Failed> {
    let header = |key| response.headers().get(key).map(|value| value.to_str().unwrap_or("?").to_lowercase());
    if let Some(found) = header(CONTENT_TYPE) {
        let found = found.split(';').next().unwrap_or_default().trim().to_owned();
        if !TYPES.contains(&found.as_str()) {
            return Err(Failed::Ever(format!("{name} comes as another type than {NDJSON}")));
        }
    }
    match header(CONTENT_ENCODING) {
        Some(encoding) if encoding != "identity" => {
            Err(Failed::Ever(format!("{name} comes compressed, unasked")))
        }
        _ => Ok(()),
    }
}
