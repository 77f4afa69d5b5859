//! Headers that wait, as one source: those of one caller, named by who sent them and when.
//!
//! The name holds a hash of the content. Another day's headers are another source, and take the place of none; the same
//! headers once more, after a crash between commit and clean-up, are the same source with the same content.

use std::sync::Arc;
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use super::segment::Closed;
use crate::source::{Kind, Part, Source};

/// Hexadecimal digits of the hash in a name.
const DIGITS: usize = 8;

/// Headers of one caller, for one batch.
pub struct Received {
    source: String,
    digest: Vec<u8>,
    segments: Vec<Closed>,
}

impl Received {
    /// The files of the caller who waits longest, until they hold `most` headers.
    pub(super) fn of(waiting: &[Closed], most: usize) -> Option<Self> {
        let caller = &waiting.first()?.caller;
        let (mut segments, mut headers) = (Vec::new(), 0);
        for closed in waiting.iter().filter(|closed| closed.caller == *caller) {
            if headers >= most {
                break;
            }
            headers += closed.headers.len();
            segments.push(closed.clone());
        }
        Some(Self::new(caller, segments))
    }

    fn new(caller: &str, segments: Vec<Closed>) -> Self {
        let mut digest = Sha256::new();
        segments.iter().flat_map(|closed| &closed.headers).for_each(|stored| digest.update(stored.hash));
        let digest = digest.finalize().to_vec();
        let began = segments.iter().map(Closed::began).min().unwrap_or_else(SystemTime::now);
        let began = DateTime::<Utc>::from(began).format("%Y%m%dT%H%M%SZ");
        let hash: String = hex::encode(&digest).chars().take(DIGITS).collect();
        Self { source: format!("dicom://{}/{began}-{hash}", as_path(caller)), digest, segments }
    }

    /// The name of the batch's source: `dicom://CALLER/20260131T120000Z-5f0e1c2d`.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// How many headers there are.
    #[must_use]
    pub fn headers(&self) -> usize {
        self.segments.iter().map(|closed| closed.headers.len()).sum()
    }

    pub(super) fn segments(&self) -> &[Closed] {
        &self.segments
    }

    /// The headers as the files of a source, numbered in the order in which they came.
    pub(crate) fn gathered(&self) -> Source {
        let of_segment = |closed: &Closed| {
            let file = Arc::clone(&closed.file);
            let part = move |range: &std::ops::Range<u64>| {
                Part::new(Arc::clone(&file), range.start, range.end - range.start)
            };
            closed.headers.iter().map(|stored| part(&stored.place)).collect::<Vec<_>>()
        };
        let parts = self.segments.iter().flat_map(of_segment).enumerate();
        let parts = parts.map(|(number, part)| (format!("{:06}.dcm", number + 1), part)).collect();
        let content = vec![("headers".to_owned(), self.digest.clone())];
        Source::gathered(&self.source, Kind::Other, parts, content).passing()
    }
}

/// An AE title as part of an address.
fn as_path(title: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    title.chars().map(|c| if is_plain(c) { c } else { '_' }).collect()
}
