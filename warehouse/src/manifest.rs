//! The manifest: one JSON file that names everything an epoch consists of.
//!
//! It is the only thing that makes a data file count, so it proves itself: it carries a checksum of its own
//! text and of its parent, and only the very bytes that were written are accepted. It holds no value of a
//! record.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Error, Result, TableName};

/// Which commit brought a file: the number of the epoch it made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BatchId(pub u64);

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One Parquet file of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataFile {
    /// Name and content: SHA-256 of all bytes, in hex.
    pub sha256: String,
    /// Rows in it.
    pub rows: u64,
    /// Its length.
    pub bytes: u64,
    /// The commit that brought it.
    pub batch: BatchId,
}

/// What a caller says about what it is going to commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBatch {
    /// Identity of the source: a later batch with the same one replaces this.
    pub source: String,
    /// Hash of the source's content: the same content again is no change.
    pub content: String,
    /// The collection all rows belong to; `None` when a column of the source says it.
    pub collection: Option<String>,
    /// The connector: `dicom-table`, `omop`...
    pub format: String,
}

/// One ingest from one source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// The number of the epoch in which it came.
    pub id: BatchId,
    /// Identity of the source.
    pub source: String,
    /// Hash of the source's content.
    pub content: String,
    /// The collections that its rows belong to, sorted.
    pub collections: BTreeSet<String>,
    /// The connector: `dicom-table`, `omop`...
    pub format: String,
    /// When it came, in seconds since 1970.
    pub at: u64,
    /// Rows that it brought, by table.
    pub rows: BTreeMap<TableName, u64>,
}

/// The newest format that this program knows, and the one it writes.
pub(crate) const FORMAT: u64 = 1;

/// The epoch before, and what its manifest said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parent {
    pub(crate) epoch: u64,
    pub(crate) checksum: String,
}

/// Everything an epoch consists of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    pub(crate) format: u64,
    pub(crate) epoch: u64,
    /// None in epoch 0 alone.
    pub(crate) parent: Option<Parent>,
    /// Seconds since 1970.
    pub(crate) created: u64,
    pub(crate) secret_id: Option<String>,
    /// The next ordinal.
    pub(crate) patients: u32,
    pub(crate) batches: Vec<Batch>,
    pub(crate) tables: BTreeMap<TableName, Vec<DataFile>>,
    /// SHA-256 of the text without this field, in hex; only in the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checksum: Option<String>,
}

/// The one field that every format has, in the same place.
#[derive(Deserialize)]
struct Header {
    format: u64,
}

impl Manifest {
    /// The empty warehouse.
    pub(crate) fn first(created: u64) -> Self {
        Self {
            format: FORMAT,
            epoch: 0,
            parent: None,
            created,
            secret_id: None,
            patients: 0,
            batches: Vec::new(),
            tables: BTreeMap::new(),
            checksum: None,
        }
    }

    /// The epoch after, with the same content.
    pub(crate) fn next(&self, created: u64) -> Self {
        let parent = Parent { epoch: self.epoch, checksum: self.checksum() };
        Self {
            format: FORMAT,
            epoch: self.epoch + 1,
            parent: Some(parent),
            created,
            checksum: None,
            ..self.clone()
        }
    }

    /// SHA-256 of the canonical text, in hex.
    pub(crate) fn checksum(&self) -> String {
        hex::encode(Sha256::digest(Self { checksum: None, ..self.clone() }.text()))
    }

    /// The bytes of the file.
    pub(crate) fn encode(&self) -> Vec<u8> {
        Self { checksum: Some(self.checksum()), ..self.clone() }.text()
    }

    /// Reads the file `path` of epoch `epoch`. Only the very bytes that were written are accepted.
    ///
    /// # Errors
    /// Names the file and what is wrong with it.
    pub(crate) fn decode(path: &Path, epoch: u64, bytes: &[u8]) -> Result<Self> {
        let unreadable = |e: serde_json::Error| Error::damaged(path, format!("not a manifest ({e})"));
        let Header { format } = serde_json::from_slice(bytes).map_err(unreadable)?;
        if format > FORMAT {
            return Err(Error::NewerFormat { path: path.to_path_buf(), found: format, known: FORMAT });
        }
        let mut manifest: Self = serde_json::from_slice(bytes).map_err(unreadable)?;
        manifest.checksum = None;
        if manifest.encode() != bytes {
            return Err(Error::damaged(path, "its checksum does not fit its content"));
        }
        if manifest.epoch != epoch {
            return Err(Error::damaged(path, format!("it is the manifest of epoch {}", manifest.epoch)));
        }
        Ok(manifest)
    }

    /// Every file that the epoch consists of.
    pub(crate) fn files(&self) -> impl Iterator<Item = &DataFile> {
        self.tables.values().flatten()
    }

    /// Canonical: fixed order of fields, tables by name, no floating point.
    fn text(&self) -> Vec<u8> {
        // Maps have names as keys and nothing here can refuse to be written, so this never is the empty text;
        // were it so, it would not be accepted when read.
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        text.push(b'\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Manifest {
        let table = TableName::new("dicom", "series");
        let batch = BatchId(1);
        let mut next = Manifest::first(1_700_000_000).next(1_700_000_001);
        next.secret_id = Some("0a1b".into());
        next.patients = 3;
        next.tables
            .insert(table.clone(), vec![DataFile { sha256: "ab".repeat(32), rows: 5, bytes: 77, batch }]);
        next.batches.push(Batch {
            id: batch,
            source: "folder".into(),
            content: "hash".into(),
            collections: ["nlst".into()].into(),
            format: "dicom-table".into(),
            at: 1_700_000_001,
            rows: BTreeMap::from([(table, 5)]),
        });
        next
    }

    fn decode(bytes: &[u8]) -> Result<Manifest> {
        Manifest::decode(Path::new("manifests/1.json"), 1, bytes)
    }

    #[test]
    fn a_manifest_reads_back_as_it_was_written() {
        assert_eq!(decode(&sample().encode()).unwrap(), sample());
    }

    #[test]
    fn a_manifest_cut_at_any_length_is_refused_by_name() {
        let bytes = sample().encode();
        for length in 0..bytes.len() {
            let refused = decode(&bytes[..length]).unwrap_err();
            assert!(refused.to_string().contains("manifests/1.json"), "{length}: {refused}");
        }
    }

    #[test]
    fn c05_a_manifest_with_any_bit_of_any_byte_flipped_is_refused_by_name() {
        let bytes = sample().encode();
        for position in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[position] ^= 1 << bit;
                let refused = decode(&flipped).unwrap_err();
                assert!(refused.to_string().contains("manifests/1.json"), "{position}.{bit}: {refused}");
            }
        }
    }

    #[test]
    fn a_manifest_under_the_number_of_another_epoch_is_refused() {
        let refused = Manifest::decode(Path::new("manifests/2.json"), 2, &sample().encode()).unwrap_err();
        assert!(refused.to_string().contains("manifest of epoch 1"), "{refused}");
    }

    #[test]
    fn c11_a_newer_format_is_refused_by_its_number_even_with_unknown_fields() {
        let refused = decode(br#"{"format": 7, "novelty": true}"#).unwrap_err();
        assert!(matches!(refused, Error::NewerFormat { found: 7, known: FORMAT, .. }), "{refused}");
        assert!(refused.to_string().contains("newer version of Caim"));
    }

    #[test]
    fn the_next_epoch_names_its_parents_checksum() {
        let first = Manifest::first(5);
        let parent = first.next(6).parent.unwrap();
        assert_eq!((parent.epoch, parent.checksum), (0, first.checksum()));
    }
}
