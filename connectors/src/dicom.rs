//! DICOM objects (PS3.10): headers read, pixels never.
//!
//! ```text
//! files -> window     their bytes through a block of fixed size
//!       -> prolog     preamble, meta group, transfer syntax
//!       -> scan       the wanted attributes: the tagged columns of `dicom.instance`, also below sequences
//!       -> annotation segments, regions and coded findings: the rows of `dicom.annotation`
//!       -> removed    what is not stored, counted by keyword
//!       -> columns    values as the warehouse stores them
//!       -> reader     chunks of files on all threads: rows, patients, keys
//!       -> here       instances that are there already, in the order of file names: left out, or a contest
//! ```
//!
//! An object that comes over the network passes the `door` first: there the header is cut from the stream.
//!
//! Nothing of an object is stored or told that is not a tagged column. File names may name patients: they are in
//! the operator's report and nowhere else.

mod annotation;
mod cells;
mod charset;
mod columns;
mod door;
mod element;
mod nested;
mod prolog;
mod reader;
mod removed;
mod scan;
mod unreadable;
mod wanted;
mod window;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::filter_record_batch;
use caim_warehouse::{BatchId, Epoch};
use rayon::prelude::*;
use std::io::Read;
use std::sync::Arc;

use crate::contest::{Arena, Claim, Contest, Fate};
use crate::ingest::Context;
use crate::landing::Landing;
use crate::moments::Moments;
use crate::seen::Seen;
use crate::source::Member;
use crate::tally::Tally;
use crate::target::{Target, Writer};
use crate::{Code, Duplicates, Error, Result};
pub(crate) use door::Door;
pub(crate) use prolog::is_readable;
use reader::{Chunk, Fault, Reader};
pub(crate) use unreadable::Unreadable;

const SCHEMA: &str = "dicom";
const INSTANCE: &str = "instance";
const INSTANCE_UID: &str = "sopinstanceuid";

/// Files that one thread reads at a time.
const CHUNK_FILES: usize = 128;
/// Files that are read while others are written: the bound of what is held in memory.
const BATCH_FILES: usize = 16 * CHUNK_FILES;

/// Names that say of a file that it is meant as an object.
const EXTENSIONS: [&str; 4] = ["dcm", "dicom", "dic", "ima"];

/// Reads the objects of a source into `dicom.instance`. `replaced` is the batch whose rows leave.
pub(crate) fn ingest(
    context: &Context<'_>,
    members: &[Member],
    target: &mut Target,
    base: &Epoch,
    replaced: Option<&BatchId>,
    tally: &mut Tally,
) -> Result<()> {
    let Some(collection) = context.collection.id() else {
        let reason = "DICOM objects have no column of collections";
        return Err(Error::new(Code::Option, "--collection-column", reason)
            .with_fix("name the collection with --collection"));
    };
    let table = context.models.table(SCHEMA, INSTANCE).map_err(|e| Error::new(Code::Model, SCHEMA, e))?;
    let landing = Landing::new(SCHEMA, table, context.secret).under(context.pseudonyms);
    let notes =
        context.models.table(SCHEMA, annotation::TABLE).map_err(|e| Error::new(Code::Model, SCHEMA, e))?;
    let notes = Landing::new(SCHEMA, notes, context.secret).under(context.pseudonyms);
    let seen = Seen::of(base, &landing.name, INSTANCE_UID, replaced, context)?;
    tally.table(&landing.name.to_string());
    let writer = target.writer(&landing.name, Arc::clone(&landing.schema))?;
    let reader = Reader::new(context, &landing, collection);
    let what = format!("{} from {} files", landing.name, members.len());
    context.progress.started(&what, Some(members.len() as u64));
    let notes = Notes { landing: &notes, writer: None };
    let contest = Contest::of_all_sources(context.duplicates);
    let moments = moments(context, &landing);
    let mut connector =
        Dicom { context, landing: &landing, seen, contest, moments, target, writer, notes, tally };
    connector.read(&reader, members)?;
    context.progress.finished();
    connector.finish()
}

/// Where the columns are that say when an instance was made, if that decides anything.
fn moments(context: &Context<'_>, landing: &Landing<'_>) -> Moments {
    let columns = landing.table.stored_columns().map(|column| column.stored.as_str());
    Moments::among(columns.filter(|_| context.duplicates == Duplicates::Newest))
}

/// Whether a file begins like a DICOM object.
pub(crate) fn is_object(member: &Member) -> Result<bool> {
    let file = member.header(None)?;
    let length = file.length().map_err(|e| Error::io(&member.name, &e))?;
    let mut head = Vec::new();
    file.take(132).read_to_end(&mut head).map_err(|e| Error::io(&member.name, &e))?;
    Ok(prolog::is_beginning(&head, length))
}

/// Files whose chunks have been read, in order.
struct Batch<'m> {
    members: &'m [Member],
    chunks: Vec<Chunk>,
}

struct Dicom<'t> {
    context: &'t Context<'t>,
    landing: &'t Landing<'t>,
    seen: Seen,
    contest: Contest,
    moments: Moments,
    target: &'t mut Target,
    writer: Writer,
    notes: Notes<'t>,
    tally: &'t mut Tally,
}

/// What objects note, on its way into a table of its own; begun with the first note.
struct Notes<'t> {
    landing: &'t Landing<'t>,
    writer: Option<Writer>,
}

impl Dicom<'_> {
    /// Reads all members, or as many as give the first rows; one batch is read while another is written.
    fn read(&mut self, reader: &Reader<'_>, members: &[Member]) -> Result<()> {
        let context = self.context;
        let (mut rest, mut limit) = (members, context.limit);
        let mut read: Option<Batch<'_>> = None;
        loop {
            let size = BATCH_FILES.min(usize::try_from(limit).unwrap_or(usize::MAX)).min(rest.len());
            let (now, later) = rest.split_at(size);
            rest = later;
            let (next, landed) = rayon::join(
                || (!now.is_empty()).then(|| Batch::read(reader, now)),
                || read.as_ref().map_or(Ok(()), |batch| self.land(batch)),
            );
            landed?;
            context.progress.advanced(read.as_ref().map_or(0, |batch| batch.members.len() as u64));
            let Some(batch) = next else { return Ok(()) };
            limit -= batch.chunks.iter().map(|chunk| chunk.rows() as u64).sum::<u64>();
            read = Some(batch);
        }
    }

    fn land(&mut self, batch: &Batch<'_>) -> Result<()> {
        for (chunk, members) in batch.chunks.iter().zip(batch.members.chunks(CHUNK_FILES)) {
            for (position, fault) in &chunk.faults {
                members.get(*position).into_iter().for_each(|member| self.leave_out(member, fault));
            }
            self.tally.read(chunk.rows() as u64);
            let fates = self.fates(chunk, members);
            let keep: Vec<bool> =
                fates.iter().map(|fate| matches!(fate, Fate::Kept | Fate::Won(_))).collect();
            let ordinals = self.ordinals(chunk, &keep)?;
            let rows = self.rows(chunk, &keep, &ordinals)?;
            self.tally.kept(rows.num_rows() as u64);
            self.warn(chunk);
            self.writer.write(&rows)?;
            self.land_notes(chunk, &fates, &ordinals)?;
            self.tally.removed(chunk.removed.counts());
        }
        Ok(())
    }

    /// Tells of a file without a row. What is named as an object, or is one, counts as a row that is missing.
    fn leave_out(&mut self, member: &Member, fault: &Fault) {
        let Fault { code, reason } = fault;
        match code {
            Code::NotDicom if !is_named_as_object(&member.name) => {
                self.tally.skip(&member.name, Code::ForeignFile, reason);
            }
            Code::Directory => self.tally.skip(&member.name, Code::Directory, reason),
            _ => {
                self.tally.read(1);
                self.tally.refuse(member, *code, reason);
            }
        }
    }

    /// What becomes of the rows of a chunk. What does not come in is named here.
    fn fates(&mut self, chunk: &Chunk, members: &[Member]) -> Vec<Fate> {
        let mut fates = Vec::with_capacity(chunk.rows());
        for (row, (uid, key)) in chunk.uids.iter().zip(chunk.keys.values()).enumerate() {
            let (fate, member) = (self.fate(chunk, row, uid, *key), chunk.files.get(row).copied());
            fates.push(fate);
            let Some(member) = member.and_then(|file| members.get(file)) else { continue };
            match fate {
                Fate::Kept | Fate::Won(_) => {}
                Fate::Superseded => self.tally.superseded(1),
                Fate::Duplicate => {
                    let reason = "its instance is there already, with the same values";
                    self.tally.skip_duplicate(&member.name, reason);
                }
                Fate::Rejected => {
                    let reason = "its SOPInstanceUID is there already, with other values";
                    self.tally.refuse(member, Code::Conflict, reason);
                }
            }
        }
        fates
    }

    fn fate(&mut self, chunk: &Chunk, row: usize, uid: Option<&str>, key: u64) -> Fate {
        let patient = chunk.patients.get(row).and_then(Option::as_ref);
        if patient.is_some_and(|patient| self.target.forgets(patient)) {
            // The writer leaves it out and counts it.
            return Fate::Kept;
        }
        let claim = Claim { time: self.moments.at(&chunk.columns, row), content: key };
        let thing = self.seen.thing(uid.unwrap_or_default());
        let sight = self.seen.look(thing, claim);
        let fate = self.contest.fate(thing, claim, sight, self.tally);
        if let Fate::Won(turn) = fate {
            self.seen.put(thing, claim);
            self.contest.row(thing, turn, 0, key);
        }
        fate
    }

    /// The stored rows of a chunk.
    fn rows(&self, chunk: &Chunk, keep: &[bool], ordinals: &UInt32Array) -> Result<RecordBatch> {
        let mut columns: Vec<ArrayRef> = chunk.columns.iter().map(Arc::clone).collect();
        columns.extend([Arc::new(ordinals.clone()) as ArrayRef, Arc::new(chunk.keys.clone())]);
        let rows = self.landing.batch(columns)?;
        if keep.iter().all(|kept| *kept) {
            return Ok(rows);
        }
        filter_record_batch(&rows, &BooleanArray::from(keep.to_vec())).map_err(|e| self.landing.fault(&e))
    }

    /// Writes what the objects that stay note.
    fn land_notes(&mut self, chunk: &Chunk, fates: &[Fate], ordinals: &UInt32Array) -> Result<()> {
        let stays =
            |note: &&annotation::Row| matches!(fates.get(note.object), Some(Fate::Kept | Fate::Won(_)));
        let notes: Vec<&annotation::Row> = chunk.notes.iter().filter(stays).collect();
        if notes.is_empty() {
            return Ok(());
        }
        let landing = self.notes.landing;
        let keeps = |label: &str| self.context.pseudonyms.keeps_label(label);
        let columns = annotation::columns(landing, self.landing, &chunk.columns, &notes, keeps)?;
        let patients: Vec<_> =
            notes.iter().map(|note| chunk.patients.get(note.object).copied().flatten()).collect();
        let keys = landing.keys(&patients, &columns);
        for (note, key) in notes.iter().zip(keys.values()) {
            if let Some(Fate::Won(turn)) = fates.get(note.object) {
                let thing = self.seen.thing(chunk.uids.value(note.object));
                self.contest.row(thing, *turn, 1, *key);
            }
        }
        let ordinals: UInt32Array = notes
            .iter()
            .map(|note| ordinals.is_valid(note.object).then(|| ordinals.value(note.object)))
            .collect();
        let rows = landing.batch([columns, vec![Arc::new(ordinals), Arc::new(keys)]].concat())?;
        if self.notes.writer.is_none() {
            self.notes.writer = Some(self.target.writer(&landing.name, Arc::clone(&landing.schema))?);
        }
        self.tally.table(&landing.name.to_string());
        self.tally.read(notes.len() as u64);
        self.tally.kept(notes.len() as u64);
        self.tally.removed(notes.iter().filter_map(|note| note.dropped_label(keeps)).map(|name| (name, 1)));
        self.tally.table(&self.landing.name.to_string());
        self.notes.writer.as_mut().map_or(Ok(()), |writer| writer.write(&rows))
    }

    /// Ends the tables, and takes out what gave way.
    fn finish(self) -> Result<()> {
        let Self { landing, seen, contest, target, writer, notes, tally, .. } = self;
        writer.finish()?;
        notes.writer.map_or(Ok(()), Writer::finish)?;
        let thing = |uid: &str| seen.thing(uid);
        let arenas = [landing, notes.landing].map(|landing| Arena {
            stored: &landing.name,
            told: landing.name.to_string(),
            identifier: INSTANCE_UID,
            thing: &thing,
        });
        contest.settle(target, &arenas, tally)
    }

    /// The patients of the rows that stay.
    fn ordinals(&mut self, chunk: &Chunk, keep: &[bool]) -> Result<UInt32Array> {
        let kept = chunk.patients.iter().zip(keep).map(|(patient, kept)| patient.as_ref().filter(|_| *kept));
        kept.map(|patient| patient.map(|patient| self.target.ordinal(patient)).transpose()).collect()
    }

    fn warn(&mut self, chunk: &Chunk) {
        let without = chunk.patients.iter().filter(|patient| patient.is_none()).count();
        self.tally.warn(Code::NoPatient, None, without as u64, &[]);
        for (column, doubts) in self.landing.table.stored_columns().zip(&chunk.doubts) {
            for (code, count) in [
                (Code::UnreadableValue, doubts.unreadable),
                (Code::SeveralValues, doubts.several),
                (Code::Encoding, doubts.guessed),
                (Code::FramesDiffer, doubts.differing),
            ] {
                self.tally.warn(code, Some(&column.name), count, &[]);
            }
        }
    }
}

impl<'m> Batch<'m> {
    /// Reads files on all threads.
    fn read(reader: &Reader<'_>, members: &'m [Member]) -> Self {
        let chunks = members.par_chunks(CHUNK_FILES).map(|members| reader.read(members)).collect();
        Self { members, chunks }
    }
}

fn is_named_as_object(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_lowercase());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}
