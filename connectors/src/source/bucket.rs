//! Buckets of S3 and stores that speak like it: `s3://bucket/prefix`.
//!
//! Where the store is and who asks is said by the environment (`AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_ACCESS_KEY_ID`,
//! `AWS_SECRET_ACCESS_KEY`, ...), as for other tools. Of objects only headers are read, by ranges; an object that changes
//! meanwhile is refused by its entity tag.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::aws::AmazonS3Builder;
use object_store::path::Path as Key;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, RetryConfig};
use tokio::runtime::Runtime;

use super::header::target;
use super::{Member, Place, Source, Stamp, classify};
use crate::report::Skipped;
use crate::{Code, Error, Result};

/// How the URL of a bucket begins.
const SCHEME: &str = "s3://";
/// Bytes that are fetched at a time: most headers come with the first.
const BLOCK_BYTES: u64 = 64 << 10;
/// Of a file that is read as a whole so many bytes are fetched at a time.
const LARGE_BLOCK_BYTES: u64 = 8 << 20;
/// Objects below one prefix.
const MOST_OBJECTS: usize = 1_000_000;
/// Requests at a time.
const AT_A_TIME: usize = 32;
const RETRIES: usize = 4;
const RETRY_S: u64 = 60;

/// A bucket, and the threads that wait for it.
pub(crate) struct Bucket {
    name: String,
    store: Arc<dyn ObjectStore>,
    runtime: Option<Runtime>,
}

/// An object in a bucket as it was listed.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    bucket: Arc<Bucket>,
    key: Key,
    length: u64,
    tag: Option<String>,
}

/// An object that is read block by block.
pub(crate) struct Remote {
    object: Object,
    at: u64,
    block: Bytes,
    block_at: u64,
}

/// The bucket and prefix of a path that is the URL of one.
pub(super) fn parse(path: &Path) -> Option<(&str, &str)> {
    let rest = path.to_str()?.strip_prefix(SCHEME)?;
    Some(rest.split_once('/').unwrap_or((rest, "")))
}

/// The objects below a prefix of a bucket.
pub(super) fn open(bucket: &str, prefix: &str) -> Result<Source> {
    let retry = RetryConfig {
        max_retries: RETRIES,
        retry_timeout: Duration::from_secs(RETRY_S),
        ..RetryConfig::default()
    };
    let builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(retry);
    let store = builder.build().map_err(|e| refused(bucket, &e))?;
    list(bucket, prefix, Arc::new(store))
}

fn list(name: &str, prefix: &str, store: Arc<dyn ObjectStore>) -> Result<Source> {
    let bucket = Arc::new(Bucket::new(name, store)?);
    let prefix = prefix.trim_matches('/');
    let path = PathBuf::from(format!("{SCHEME}{name}/{prefix}"));
    let found = bucket.objects(prefix)?;
    if found.len() > MOST_OBJECTS {
        let reason = format!("it holds more than {MOST_OBJECTS} objects there");
        return Err(Error::new(Code::Bucket, path.display(), reason).with_fix("name a longer prefix"));
    }
    let mut source = Source::named(path);
    for ObjectMeta { location: key, size: length, e_tag: tag, last_modified, .. } in found {
        let name =
            key.as_ref().strip_prefix(prefix).unwrap_or(key.as_ref()).trim_start_matches('/').to_owned();
        // An object that is named by the whole URL has the last part of it as its name.
        let name = if name.is_empty() { key.filename().unwrap_or_default().to_owned() } else { name };
        match classify(&name) {
            Ok(kind) => {
                source.stamps.push(Stamp::of_object(&name, length, last_modified.into(), tag.as_deref()));
                let place = Place::Remote(Object { bucket: Arc::clone(&bucket), key, length, tag });
                source.members.push(Member { name, kind, place });
            }
            Err(reason) => source.skipped.push(Skipped { path: name, reason: reason.to_owned() }),
        }
    }
    Ok(source)
}

/// What the store said. Its answers are documents of XML; they are not shown.
fn refused(name: &str, source: &object_store::Error) -> Error {
    let text = source.to_string();
    let reason = text.split(['<', '\n']).next().unwrap_or_default().trim().to_owned();
    let code =
        if matches!(source, object_store::Error::Precondition { .. }) { Code::Changed } else { Code::Bucket };
    Error::new(code, format!("{SCHEME}{name}"), reason.chars().take(300).collect::<String>())
}

impl Bucket {
    fn new(name: &str, store: Arc<dyn ObjectStore>) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|e| Error::new(Code::Bucket, name, e))?;
        Ok(Self { name: name.to_owned(), store, runtime: Some(runtime) })
    }

    /// The objects below a prefix by their keys, up to one more than may be; or the one that it names.
    fn objects(&self, prefix: &str) -> Result<Vec<ObjectMeta>> {
        let (store, below) = (Arc::clone(&self.store), Key::from(prefix));
        let mut found = self.wait(async move {
            let found: Vec<ObjectMeta> =
                store.list(Some(&below)).take(MOST_OBJECTS + 1).try_collect().await?;
            let is_object = found.is_empty() && !below.as_ref().is_empty();
            if is_object { Ok(store.head(&below).await.into_iter().collect()) } else { Ok(found) }
        })?;
        found.sort_by(|a, b| a.location.cmp(&b.location));
        Ok(found)
    }

    /// Waits for the store, on any thread.
    fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = object_store::Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = sync_channel(1);
        if let Some(runtime) = &self.runtime {
            runtime.spawn(async move { sender.send(work.await) });
        }
        match receiver.recv() {
            Ok(done) => done.map_err(|e| refused(&self.name, &e)),
            Err(_) => Err(Error::new(Code::Bucket, &self.name, "the request ended early")),
        }
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Object {
    pub(super) fn header(&self) -> Remote {
        Remote { object: self.clone(), at: 0, block: Bytes::new(), block_at: 0 }
    }

    /// The whole object in a temporary file without a name.
    pub(super) fn fetch(&self, name: &str) -> Result<File> {
        let fault = |e: io::Error| Error::io(name, &e);
        let mut file = tempfile::tempfile().map_err(fault)?;
        let mut at = 0;
        while at < self.length {
            let bytes = self.bucket.wait(self.range(at, LARGE_BLOCK_BYTES))?;
            if bytes.is_empty() {
                return Err(Error::new(Code::Bucket, name, "it is shorter than it was listed"));
            }
            at += bytes.len() as u64;
            file.write_all(&bytes).map_err(fault)?;
        }
        file.rewind().map_err(fault)?;
        Ok(file)
    }

    /// Some bytes, if the object is the one that was listed.
    fn range(
        &self,
        at: u64,
        bytes: u64,
    ) -> impl Future<Output = object_store::Result<Bytes>> + Send + 'static + use<> {
        let (store, key) = (Arc::clone(&self.bucket.store), self.key.clone());
        let range = Some(GetRange::Bounded(at..self.length.min(at.saturating_add(bytes))));
        let options = GetOptions { range, if_match: self.tag.clone(), ..GetOptions::default() };
        async move { store.get_opts(&key, options).await?.bytes().await }
    }
}

/// The first block of each object, many at a time; nothing of one that cannot be had: it is asked for again.
pub(super) fn heads(objects: Vec<Object>) -> Vec<Option<Bytes>> {
    let Some(bucket) = objects.first().map(|object| Arc::clone(&object.bucket)) else { return Vec::new() };
    let count = objects.len();
    let requests = objects.into_iter().map(|object| async move {
        if object.length == 0 { None } else { object.range(0, BLOCK_BYTES).await.ok() }
    });
    let requests: Vec<_> = requests.collect();
    let fetched = bucket.wait(async move {
        Ok(futures::stream::iter(requests).buffered(AT_A_TIME).collect::<Vec<Option<Bytes>>>().await)
    });
    fetched.unwrap_or_else(|_| vec![None; count])
}

impl Remote {
    pub(super) fn length(&self) -> u64 {
        self.object.length
    }

    pub(super) fn beginning_with(self, head: Bytes) -> Self {
        Self { block: head, block_at: 0, ..self }
    }
}

impl Read for Remote {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.object.length || room.is_empty() {
            return Ok(0);
        }
        let within = |remote: &Self| {
            let place = usize::try_from(remote.at.checked_sub(remote.block_at)?).ok()?;
            remote.block.get(place..).filter(|rest| !rest.is_empty()).map(<[u8]>::len)
        };
        if within(self).is_none() {
            let fetched = self.object.bucket.wait(self.object.range(self.at, BLOCK_BYTES));
            (self.block, self.block_at) = (fetched.map_err(io::Error::other)?, self.at);
        }
        let Some(rest) = within(self) else { return Ok(0) };
        let (from, bytes) = (self.block.len() - rest, rest.min(room.len()));
        if let (Some(to), Some(read)) = (room.get_mut(..bytes), self.block.get(from..from + bytes)) {
            to.copy_from_slice(read);
        }
        self.at += bytes as u64;
        Ok(bytes)
    }
}

impl Seek for Remote {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = target(to, self.at, self.object.length)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;
    use crate::source::Kind;

    fn bucket(objects: &[(&str, Vec<u8>)]) -> Arc<InMemory> {
        let store = Arc::new(InMemory::new());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for (key, bytes) in objects {
            runtime.block_on(store.put(&Key::from(*key), bytes.clone().into())).unwrap();
        }
        store
    }

    #[test]
    fn a_prefix_is_listed_and_its_objects_are_read_in_part_and_as_a_whole() {
        let large: Vec<u8> = (0..60_000_u32).flat_map(u32::to_le_bytes).collect();
        let store =
            bucket(&[("a/1.dcm", large.clone()), ("a/b/t.csv", b"x\n1\n".to_vec()), ("z/2.dcm", vec![1])]);
        let source = list("images", "/a/", store).unwrap();
        let names: Vec<_> = source.members.iter().map(|member| (member.name.as_str(), member.kind)).collect();
        assert_eq!(names, [("1.dcm", Kind::Other), ("b/t.csv", Kind::Text)]);
        assert_eq!(source.path, Path::new("s3://images/a"));
        let mut whole = Vec::new();
        source.members[0].open().unwrap().read_to_end(&mut whole).unwrap();
        assert_eq!(whole, large);
        for head in [None, Some(Bytes::copy_from_slice(&large[..65_536]))] {
            let mut header = source.members[0].header(head).unwrap();
            for place in [0, 200_000, 65_530, 239_990] {
                header.seek(SeekFrom::Start(place as u64)).unwrap();
                let mut found = [0; 10];
                header.read_exact(&mut found).unwrap();
                assert_eq!(found, large[place..place + 10], "{place}");
            }
        }
    }

    #[test]
    fn an_object_that_was_replaced_meanwhile_is_not_read() {
        let store = bucket(&[("a/1.csv", b"x\n1\n".to_vec())]);
        let source = list("images", "a", Arc::clone(&store) as Arc<dyn ObjectStore>).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(store.put(&Key::from("a/1.csv"), Bytes::from_static(b"x\n2\n").into())).unwrap();
        assert_eq!(source.members[0].open().unwrap_err().code(), Code::Changed);
    }

    #[test]
    fn what_is_no_url_of_a_bucket_is_a_path() {
        assert_eq!(parse(Path::new("s3://images/a/b")), Some(("images", "a/b")));
        assert_eq!(parse(Path::new("s3://images")), Some(("images", "")));
        assert_eq!(parse(Path::new("/s3/images")), None);
    }
}
