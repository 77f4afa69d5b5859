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
mod list;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::Path;

use futures::stream::{self, StreamExt, TryStreamExt};
use reqwest::Url;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::http::{self, Http};
use crate::source::{Kind, Source};
use crate::{Error, Format, IngestOptions, Progress, Result};

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
    options.reads_as(Format::Dicom, "a DICOMweb server")?;
    let studies = http::address(text)?;
    let name = http::named(&studies);
    let server = Server { http: Http::new(&name, options.token_file.as_deref())?, studies, name, progress };
    server.http.wait(|| server.pull(options.sample)).map(Some)
}

/// `http(s)://.../studies`, perhaps with a search behind it.
fn is_one(text: &str) -> bool {
    http::path_of(text).is_some_and(|path| path.trim_end_matches('/').ends_with("/studies"))
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
        while let Some(objects) = studies.try_next().await? {
            for object in objects {
                spool.add(object).map_err(|e| Error::io(&self.name, &e))?;
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
            found.extend(page);
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

    /// The UIDs of a page of studies, and whether the server says that it has more.
    async fn page(&self, offset: usize) -> Result<(Vec<String>, bool)> {
        let mut url = self.studies.clone();
        url.query_pairs_mut()
            .append_pair("limit", &PAGE.to_string())
            .append_pair("offset", &offset.to_string());
        self.objects(url, PAGE_BYTES, |study| {
            uid(study, STUDY_UID).map(str::to_owned).ok_or_else(|| "a study comes without its UID".to_owned())
        })
        .await
    }

    /// The objects of a study.
    async fn study(&self, uid: &str) -> Result<Vec<Object>> {
        let mut url = self.studies.clone();
        url.set_query(None);
        url.path_segments_mut()
            .map_err(|()| self.http.fault("its address cannot be extended"))?
            .pop_if_empty()
            .extend([uid, "metadata"]);
        Ok(self.objects(url, STUDY_BYTES, |instance| Object::of(uid, instance)).await?.0)
    }

    /// What becomes of each object of an answer, and whether the answer is a part of more. One object is held at a time.
    async fn objects<T>(
        &self,
        url: Url,
        most: usize,
        each: impl FnMut(&Value) -> std::result::Result<T, String>,
    ) -> Result<(Vec<T>, bool)> {
        let Some(body) = self.http.get(url, JSON, most).await? else { return Ok((Vec::new(), false)) };
        let made = list::each(&body.bytes, each).map_err(|reason| self.http.fault(reason))?;
        Ok((made, body.is_part))
    }
}

/// The first value of an attribute that holds a UID.
fn uid<'v>(object: &'v Value, tag: &str) -> Option<&'v str> {
    let uid = object.get(tag)?.get("Value")?.get(0)?.as_str()?;
    let is_uid = !uid.is_empty() && uid.len() <= 64 && uid.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    is_uid.then_some(uid)
}

/// An object as a file holds it.
struct Object {
    /// That of a file, made of its UIDs.
    name: String,
    bytes: Vec<u8>,
}

impl Object {
    fn of(study: &str, instance: &Value) -> std::result::Result<Self, String> {
        let bytes = encode::data_set(instance).map_err(|e| e.to_string())?;
        let uid = uid(instance, INSTANCE_UID).ok_or("an instance comes without its UID")?;
        Ok(Self { name: format!("{study}/{uid}.dcm"), bytes })
    }
}

/// The objects one behind the other in a file without a name.
struct Spool {
    file: BufWriter<File>,
    at: u64,
    objects: Vec<(String, Range<u64>)>,
    content: Sha256,
}

impl Spool {
    fn new() -> std::io::Result<Self> {
        let file = BufWriter::new(tempfile::tempfile()?);
        Ok(Self { file, at: 0, objects: Vec::new(), content: Sha256::new() })
    }

    fn add(&mut self, Object { name, bytes }: Object) -> std::io::Result<()> {
        self.file.write_all(&bytes)?;
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
        Ok(Source::pulled(name, Kind::Other, file, self.objects, content))
    }
}
