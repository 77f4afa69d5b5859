//! A DICOMweb server as a source: `https://server/dicom-web/studies`, with whatever QIDO-RS lets be searched for.
//!
//! ```text
//! studies     QIDO-RS, page by page: the UIDs of the studies that fit
//! metadata    WADO-RS, a few studies at a time: the attributes of their instances, without bulk data
//! encode      each as the data set that it stands for, in one unnamed file
//! ```
//!
//! From there on they are DICOM objects like any other: the allow-list, the pseudonyms and the keys are the same.
//! Nothing but GET is sent.

mod encode;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use futures::stream::{self, StreamExt, TryStreamExt};
use reqwest::Url;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::http::{self, Http};
use crate::source::Source;
use crate::{Code, Error, Format, IngestOptions, Progress, Result};

const JSON: &str = "application/dicom+json";
const STUDY_UID: &str = "0020000D";
const INSTANCE_UID: &str = "00080018";
/// Studies on a page.
const PAGE: usize = 200;
/// Studies of one source.
const MOST_STUDIES: usize = 1_000_000;
const PAGE_BYTES: usize = 64 << 20;
/// The attributes of one study: about 20 KB an instance.
const STUDY_BYTES: usize = 512 << 20;
/// Studies that are fetched at a time.
const AT_A_TIME: usize = 4;
/// What helps where there are too many studies.
const FEWER: &str = "search for fewer: ...studies?StudyDate=20240101-20241231";

/// The source at `path`, if that is the address of a server's studies.
///
/// # Errors
/// When the server cannot be reached, refuses, or answers what is no DICOM.
pub(crate) fn open(path: &Path, options: &IngestOptions, progress: &dyn Progress) -> Result<Option<Source>> {
    let Some(text) = path.to_str().filter(|text| is_one(text)) else { return Ok(None) };
    if ![Format::Auto, Format::Dicom].contains(&options.format) {
        let reason = format!("a DICOMweb server is read as DICOM, not as {}", options.format);
        return Err(Error::new(Code::Option, "--format", reason));
    }
    let studies = http::address(text)?;
    let name = named(&studies);
    let server = Server { http: Http::new(&name, options.token_file.as_deref())?, studies, name, progress };
    // Whoever calls may have an executor already, which cannot wait for another one.
    std::thread::scope(|scope| {
        let pulled = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map_err(|e| server.http.fault(e))?.block_on(server.pull(options.sample))
        });
        pulled.join().unwrap_or_else(|_| Err(server.http.fault("its reader ended early")))
    })
    .map(Some)
}

/// `http(s)://.../studies`, perhaps with a search behind it.
fn is_one(text: &str) -> bool {
    let path = text.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    (text.starts_with("http://") || text.starts_with("https://")) && path.ends_with("/studies")
}

/// The address as reports show it: no user and no password.
fn named(studies: &Url) -> String {
    let mut shown = studies.clone();
    let _ = (shown.set_username(""), shown.set_password(None));
    shown.to_string()
}

struct Server<'s> {
    http: Http,
    studies: Url,
    name: String,
    progress: &'s dyn Progress,
}

impl Server<'_> {
    /// The instances of all studies that are found, or of as many as give the first `most` instances.
    async fn pull(&self, most: Option<u64>) -> Result<Source> {
        let found = self.found(most).await?;
        self.progress.started(&self.name, Some(found.len() as u64));
        let mut studies = stream::iter(&found).map(|study| self.study(study)).buffered(AT_A_TIME);
        let mut spool = Spool::new().map_err(|e| Error::io(&self.name, &e))?;
        while let Some((study, instances)) = studies.try_next().await? {
            for instance in &instances {
                spool
                    .add(study, instance)
                    .map_err(|reason| self.http.fault(format!("study {study}: {reason}")))?;
            }
            self.progress.advanced(1);
        }
        self.progress.finished();
        spool.source(&self.name).map_err(|e| Error::io(&self.name, &e))
    }

    /// The UIDs of the studies that the search finds, in order; at most `most`, since each has an instance.
    ///
    /// Servers cut pages as they like, and some know no pages: it ends with the first that brings nothing new, unless the
    /// server says that it has more.
    async fn found(&self, most: Option<u64>) -> Result<BTreeSet<String>> {
        let (mut found, mut offset) = (BTreeSet::new(), 0);
        let wanted = usize::try_from(most.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        while found.len() < wanted {
            let ((page, is_part), before) = (self.page(offset).await?, found.len());
            offset += page.len();
            for study in &page {
                let uid =
                    uid(study, STUDY_UID).ok_or_else(|| self.http.fault("a study comes without its UID"))?;
                found.insert(uid.to_owned());
            }
            if found.len() == before && is_part {
                return Err(self.http.fault("it finds more studies than it lists").with_fix(FEWER));
            }
            if found.len() == before {
                break;
            }
            if found.len() > MOST_STUDIES {
                let reason = format!("it finds more than {MOST_STUDIES} studies");
                return Err(self.http.fault(reason).with_fix(FEWER));
            }
        }
        Ok(found.into_iter().take(wanted).collect())
    }

    /// A page of studies, and whether the server says that it has more.
    async fn page(&self, offset: usize) -> Result<(Vec<Value>, bool)> {
        let mut url = self.studies.clone();
        url.query_pairs_mut()
            .append_pair("limit", &PAGE.to_string())
            .append_pair("offset", &offset.to_string());
        self.objects(url, PAGE_BYTES).await
    }

    async fn study<'u>(&self, uid: &'u str) -> Result<(&'u str, Vec<Value>)> {
        let mut url = self.studies.clone();
        url.set_query(None);
        url.path_segments_mut()
            .map_err(|()| self.http.fault("its address cannot be extended"))?
            .pop_if_empty()
            .extend([uid, "metadata"]);
        Ok((uid, self.objects(url, STUDY_BYTES).await?.0))
    }

    /// An answer that is a list of objects, and whether it is a part of more.
    async fn objects(&self, url: Url, most: usize) -> Result<(Vec<Value>, bool)> {
        let Some(body) = self.http.get(url, JSON, most).await? else { return Ok((Vec::new(), false)) };
        let objects = serde_json::from_slice(&body.bytes);
        objects
            .map(|objects| (objects, body.is_part))
            .map_err(|_| self.http.fault("an answer is no list of DICOM JSON"))
    }
}

/// The first value of an attribute that holds a UID.
fn uid<'v>(object: &'v Value, tag: &str) -> Option<&'v str> {
    let uid = object.get(tag)?.get("Value")?.get(0)?.as_str()?;
    let is_uid = !uid.is_empty() && uid.len() <= 64 && uid.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    is_uid.then_some(uid)
}

/// The objects one behind the other in a file without a name.
struct Spool {
    file: BufWriter<File>,
    at: u64,
    objects: Vec<(String, std::ops::Range<u64>)>,
    content: Sha256,
}

impl Spool {
    fn new() -> std::io::Result<Self> {
        let file = BufWriter::new(tempfile::tempfile()?);
        Ok(Self { file, at: 0, objects: Vec::new(), content: Sha256::new() })
    }

    /// Adds an object; its name is that of a file, made of its UIDs.
    fn add(&mut self, study: &str, instance: &Value) -> std::result::Result<(), String> {
        let bytes = encode::data_set(instance).map_err(|e| e.to_string())?;
        let name = format!(
            "{study}/{}.dcm",
            uid(instance, INSTANCE_UID).ok_or("an instance comes without its UID")?
        );
        self.file.write_all(&bytes).map_err(|e| e.to_string())?;
        self.content.update((bytes.len() as u64).to_le_bytes());
        self.content.update(&bytes);
        let end = self.at + bytes.len() as u64;
        self.objects.push((name, self.at..end));
        self.at = end;
        Ok(())
    }

    fn source(self, name: &str) -> std::io::Result<Source> {
        let file = self.file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        let content = vec![("objects".to_owned(), self.content.finalize().to_vec())];
        Ok(Source::pulled(name, file, self.objects, content))
    }
}
