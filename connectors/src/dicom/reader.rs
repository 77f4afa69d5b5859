//! From files to columns: a chunk of files at a time, on any thread.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, UInt64Array, new_null_array};
use arrow::datatypes::DataType;
use bytes::Bytes;
use caim_ontology::{Role, Tag};

use super::INSTANCE_UID;
use super::annotation;
use super::cells::{Cells, Form, Raw};
use super::columns::{self, Doubts, Filler, Repertoire};
use super::removed::{Passed, Removed};
use super::scan::{Sheet, scan};
use super::unreadable::Unreadable;
use super::wanted::{ISSUER, PATIENT, SOP_INSTANCE, Wanted};
use super::window::BLOCK_BYTES;
use crate::identity::Pseudonym;
use crate::ingest::Context;
use crate::landing::{COLLECTION, Landing, repeated};
use crate::source::{self, Member};
use crate::values::{Reading, Rules, stored_type};
use crate::{Code, Error};

/// Reads files into the columns of one table.
pub(super) struct Reader<'c> {
    context: &'c Context<'c>,
    landing: &'c Landing<'c>,
    collection: &'c str,
    wanted: Wanted,
    /// For every stored column.
    sources: Vec<Source>,
    rules: Rules,
}

/// Where a stored column comes from.
enum Source {
    Collection,
    Attribute(Filler),
    Nowhere(DataType),
}

/// What is in some files.
pub(super) struct Chunk {
    /// For every row, its file: a position in the chunk.
    pub(super) files: Vec<usize>,
    /// For every row, its SOPInstanceUID.
    pub(super) uids: StringArray,
    /// The stored columns of the model.
    pub(super) columns: Vec<ArrayRef>,
    pub(super) patients: Vec<Option<Pseudonym>>,
    /// The keys of the rows.
    pub(super) keys: UInt64Array,
    /// For every column of the model, in the order of those stored.
    pub(super) doubts: Vec<Doubts>,
    /// Files that gave no row, by their positions in the chunk.
    pub(super) faults: Vec<(usize, Fault)>,
    /// What the objects note, in the order of rows.
    pub(super) notes: Vec<annotation::Row>,
    /// What of the objects is not stored.
    pub(super) removed: Removed,
}

/// What is being read.
struct Page {
    cells: Cells,
    passed: Passed,
    removed: Removed,
    notes: Vec<annotation::Row>,
}

/// Why a file gave no row.
pub(super) struct Fault {
    pub(super) code: Code,
    pub(super) reason: String,
}

impl<'c> Reader<'c> {
    pub(super) fn new(context: &'c Context<'c>, landing: &'c Landing<'c>, collection: &'c str) -> Self {
        let wanted = Wanted::of(landing.table);
        let source = |column: &caim_ontology::Column| match wanted.slots(column) {
            slots if !slots.is_empty() => Source::Attribute(Filler::of(column, slots)),
            _ if column.stored == COLLECTION => Source::Collection,
            _ => Source::Nowhere(stored_type(column.ty)),
        };
        let sources = landing.table.columns.iter().filter(|column| column.role != Role::UnitId).map(source);
        let sources = sources.collect();
        Self { context, landing, collection, wanted, sources, rules: Rules::dicom() }
    }

    /// Reads files. What goes wrong with one of them is told and harms no other.
    pub(super) fn read(&self, members: &[Member]) -> Chunk {
        let mut block = [0; BLOCK_BYTES];
        let cells = Cells::new(self.wanted.len());
        let (passed, removed, notes) = (Passed::default(), Removed::default(), Vec::new());
        let mut page = Page { cells, passed, removed, notes };
        let (mut files, mut faults) = (Vec::with_capacity(members.len()), Vec::new());
        let heads = source::heads(members);
        for (position, (member, head)) in members.iter().zip(heads).enumerate() {
            match self.object(member, head, &mut block, &mut page) {
                Ok(()) => files.push(position),
                Err(fault) => faults.push((position, fault)),
            }
        }
        let Page { cells, removed, notes, .. } = page;
        let patients = self.patients(&cells);
        let (columns, doubts): (Vec<_>, Vec<_>) =
            self.sources.iter().map(|source| self.column(source, &cells)).unzip();
        let columns = self.landing.ruled(columns);
        let keys = self.landing.keys(&patients, &columns);
        let uids = self.uids(&columns);
        Chunk { files, uids, columns, patients, keys, doubts, faults, notes, removed }
    }

    /// The SOPInstanceUIDs as they are stored; every object has one.
    fn uids(&self, columns: &[ArrayRef]) -> StringArray {
        let position = self.landing.table.stored_columns().position(|column| column.stored == INSTANCE_UID);
        let uids = position.and_then(|position| columns.get(position)).and_then(|uids| uids.as_string_opt());
        uids.cloned().unwrap_or_else(|| StringArray::new_null(columns.first().map_or(0, |first| first.len())))
    }

    /// Reads a file as one more row.
    fn object(
        &self,
        member: &Member,
        head: Option<Bytes>,
        block: &mut [u8],
        page: &mut Page,
    ) -> Result<(), Fault> {
        let file = member.header(head)?;
        let length = file.length().map_err(Unreadable::from)?;
        let Page { cells, passed, removed, notes } = page;
        let noted = scan(file, length, block, &mut Sheet { wanted: &self.wanted, cells, passed })?;
        let notes_of = noted.map(|noted| noted.rows(cells.rows() - 1)).transpose();
        let uid = columns::text(self.last(cells, SOP_INSTANCE), Repertoire::Uid);
        let read = match (uid, notes_of) {
            (Reading::Missing | Reading::Unreadable, _) => Err(Unreadable::NoInstanceUid),
            (Reading::Value(_), read) => read,
        };
        match read {
            Ok(rows) => notes.extend(rows.into_iter().flatten()),
            Err(reason) => {
                cells.drop_row();
                return Err(reason.into());
            }
        }
        removed.add(passed);
        Ok(())
    }

    fn last<'a>(&self, cells: &'a Cells, tag: Tag) -> Raw<'a> {
        cells.last(self.wanted.slot(tag))
    }

    /// The patient of every row: by PatientID, and who issued it where the object says so.
    fn patients(&self, cells: &Cells) -> Vec<Option<Pseudonym>> {
        let (patient, issuer) = (self.wanted.slot(PATIENT), self.wanted.slot(ISSUER));
        let mut known: HashMap<(&str, &str), Option<Pseudonym>> = HashMap::new();
        let identifiers =
            (0..cells.rows()).map(|row| (plain(cells.get(row, issuer)), plain(cells.get(row, patient))));
        let identifiers: Vec<(&str, &str)> = identifiers.collect();
        identifiers
            .into_iter()
            .map(|(issuer, id)| *known.entry((issuer, id)).or_insert_with(|| self.pseudonym(issuer, id)))
            .collect()
    }

    fn pseudonym(&self, issuer: &str, id: &str) -> Option<Pseudonym> {
        match issuer {
            "" => self.context.pseudonyms.of_default_issuer(id),
            issuer => self.context.pseudonyms.of(issuer, id),
        }
    }

    fn column(&self, source: &Source, cells: &Cells) -> (ArrayRef, Doubts) {
        match source {
            Source::Attribute(filler) => {
                let filled = filler.fill(cells, &self.rules);
                (filled.array, filled.doubts)
            }
            Source::Collection => (repeated(self.collection, cells.rows()), Doubts::default()),
            Source::Nowhere(ty) => (new_null_array(ty, cells.rows()), Doubts::default()),
        }
    }
}

impl Chunk {
    /// How many objects had a row.
    pub(super) fn rows(&self) -> usize {
        self.files.len()
    }
}

/// A text without padding; nothing where it cannot be read.
fn plain(raw: Raw<'_>) -> &str {
    match raw.form {
        Form::Text | Form::Guessed => std::str::from_utf8(raw.bytes)
            .unwrap_or_default()
            .trim_matches(|c: char| c.is_whitespace() || c == '\0'),
        Form::Absent | Form::Broken | Form::Differing | Form::Binary(_) => "",
    }
}

impl From<Unreadable> for Fault {
    fn from(source: Unreadable) -> Self {
        Self { code: source.code(), reason: source.to_string() }
    }
}

impl From<Error> for Fault {
    fn from(source: Error) -> Self {
        Self { code: source.code(), reason: source.reason().to_owned() }
    }
}
