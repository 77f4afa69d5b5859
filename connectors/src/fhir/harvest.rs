//! What becomes of pieces of text on worker threads: rows of views, each with the resource that it comes from.

use std::collections::BTreeMap;

use arrow::array::ArrayRef;
use rayon::prelude::*;

use super::bundled::Views;
use super::json::Tape;
use super::patients::{Candidate, PATIENT, Patients, Whose};
use super::reader::Piece;
use super::texts::{self, Resource};
use super::view::{Doubts, Sheet};
use crate::identity::FhirRule;
use crate::row_key::NameKey;
use crate::tally::Fault;
use crate::values::{self, Reading};
use crate::{Code, Duplicates};

/// Parts of a piece for each thread: some are done earlier than others.
const PARTS_PER_THREAD: usize = 2;

/// The owner of rows that are not used.
pub(super) const NOBODY: usize = usize::MAX;

/// Some resources and their rows.
#[derive(Default)]
pub(super) struct Harvest {
    pub(super) resources: Vec<Reaped>,
    /// By table, its rows, if there are any.
    pub(super) rows: Vec<Option<Rows>>,
    /// What is no resource.
    pub(super) faults: Vec<Fault>,
    /// Resources without rows in one of the operator's own tables, by table, and why.
    pub(super) unfit: Vec<(usize, Fault)>,
    /// Types of resources that have no view, with the number of each.
    pub(super) without_view: BTreeMap<String, u64>,
}

/// A resource that has a view.
pub(super) struct Reaped {
    /// Its first table.
    pub(super) table: usize,
    pub(super) line: u64,
    /// A hash of its id.
    pub(super) id: u64,
    /// When it was updated, in microseconds since 1970, if that decides anything.
    pub(super) updated: Option<i64>,
    pub(super) whose: Whose,
    /// Why its rows do not come in.
    pub(super) fault: Option<Fault>,
}

/// Rows of one table.
pub(super) struct Rows {
    pub(super) columns: Vec<ArrayRef>,
    pub(super) doubts: Vec<Doubts>,
    /// For every row the position of its resource in the harvest; [`NOBODY`]'s rows do not come in.
    pub(super) owners: Vec<usize>,
}

/// What workers share.
pub(super) struct Field<'f> {
    pub(super) views: &'f Views<'f>,
    pub(super) patients: &'f Patients<'f>,
    pub(super) name: &'f NameKey,
    pub(super) rule: Duplicates,
}

/// The rows of a piece of file number `member`, in parts that are in order.
pub(super) fn reap(piece: &Piece, member: usize, field: &Field<'_>) -> Vec<Harvest> {
    match piece {
        Piece::Lines { first, text } => {
            let reaped = split(text, *first).into_par_iter().map(|(first, part)| {
                let (mut reaper, mut tape) = (Reaper::new(field, member), Tape::default());
                texts::lines(part, first).for_each(|(line, text)| reaper.text(text, line, &mut tape));
                reaper.finish()
            });
            reaped.collect()
        }
        Piece::Document(text) => {
            let mut reaper = Reaper::new(field, member);
            reaper.text(text, 1, &mut Tape::default());
            vec![reaper.finish()]
        }
        Piece::Skipped(fault) => vec![Harvest { faults: vec![fault.clone()], ..Harvest::default() }],
    }
}

/// The patients of a piece. Lines that do not name the type are not even parsed.
pub(super) fn scan(piece: &Piece, rule: FhirRule<'_>) -> Vec<Candidate> {
    let word = memchr::memmem::Finder::new(b"\"Patient\"");
    let read = |text: &[u8], line: u64, tape: &mut Tape, found: &mut Vec<Candidate>| {
        if word.find(text).is_some() {
            let mut take = |resource: &Resource<'_>| {
                if resource.ty == PATIENT {
                    found.push(Candidate::of(resource, rule));
                }
            };
            // What is no resource is reported when all of them are read.
            texts::resources(text, line, tape, &mut take, &mut |_| {});
        }
    };
    match piece {
        Piece::Lines { first, text } => {
            let found = split(text, *first).into_par_iter().flat_map_iter(|(first, part)| {
                let (mut found, mut tape) = (Vec::new(), Tape::default());
                if word.find(part).is_some() {
                    texts::lines(part, first)
                        .for_each(|(line, text)| read(text, line, &mut tape, &mut found));
                }
                found
            });
            found.collect()
        }
        Piece::Document(text) => {
            let mut found = Vec::new();
            read(text, 1, &mut Tape::default(), &mut found);
            found
        }
        Piece::Skipped(_) => Vec::new(),
    }
}

/// When a resource was last updated: `Meta.lastUpdated` (hl7.org/fhir/R4/resource.html#Meta).
fn updated(resource: &Resource<'_>) -> Option<i64> {
    let text = resource.value.get("meta")?.text_of("lastUpdated")?;
    match values::timestamp(text.as_bytes(), &(1..=9999)) {
        Reading::Value(at) => Some(at),
        Reading::Missing | Reading::Unreadable => None,
    }
}

fn split(text: &[u8], first: u64) -> Vec<(u64, &[u8])> {
    texts::parts(text, first, rayon::current_num_threads() * PARTS_PER_THREAD)
}

/// Makes a harvest.
struct Reaper<'f> {
    field: &'f Field<'f>,
    member: usize,
    harvest: Harvest,
    sheets: Vec<Option<(Sheet<'f>, Vec<usize>)>>,
}

impl<'f> Reaper<'f> {
    fn new(field: &'f Field<'f>, member: usize) -> Self {
        let sheets = field.views.tables.iter().map(|_| None).collect();
        Self { field, member, harvest: Harvest::default(), sheets }
    }

    fn text(&mut self, text: &[u8], line: u64, tape: &mut Tape) {
        let mut faults = Vec::new();
        texts::resources(text, line, tape, &mut |resource| self.resource(resource), &mut |fault| {
            faults.push(fault)
        });
        self.harvest.faults.append(&mut faults);
    }

    fn resource(&mut self, resource: &Resource<'_>) {
        let tables = self.field.views.of_type(&resource.ty);
        let Some(first) = tables.first() else {
            match self.harvest.without_view.get_mut(resource.ty.as_ref()) {
                Some(count) => *count += 1,
                None => drop(self.harvest.without_view.insert(resource.ty.to_string(), 1)),
            }
            return;
        };
        let key = resource.id();
        let fault = match &key {
            Some(key) => self.rows(tables, resource, key),
            None => Some((Code::BadKey, "it has no id".to_owned())),
        };
        self.harvest.resources.push(Reaped {
            table: *first,
            line: resource.line,
            id: key.map_or(0, |key| self.field.name.hash_short(&key)),
            updated: (self.field.rule == Duplicates::Newest).then(|| updated(resource)).flatten(),
            whose: self.field.patients.of(self.member, resource),
            fault: fault.map(|(code, reason)| Fault { line: resource.line, code, reason }),
        });
    }

    /// Adds the rows of a resource; what is wrong with it.
    fn rows(&mut self, tables: &[usize], resource: &Resource<'_>, key: &str) -> Option<(Code, String)> {
        let owner = self.harvest.resources.len();
        for table in tables {
            let (Some(place), Some(known)) =
                (self.sheets.get_mut(*table), self.field.views.tables.get(*table))
            else {
                continue;
            };
            let (sheet, owners) = place.get_or_insert_with(|| (Sheet::new(&known.view), Vec::new()));
            let (before, added) = (sheet.len(), sheet.add(resource.value, Some(key)));
            // Rows of a resource that fails halfway are there as well, and are dropped with their resource.
            owners.resize(sheet.len(), owner);
            let Err(error) = added else { continue };
            let reason = format!("view {}: {error}", known.view.name);
            if !known.is_own() {
                return Some((Code::ViewMismatch, reason));
            }
            owners.iter_mut().skip(before).for_each(|owner| *owner = NOBODY);
            let fault = Fault { line: resource.line, code: Code::ViewMismatch, reason };
            self.harvest.unfit.push((*table, fault));
        }
        None
    }

    fn finish(mut self) -> Harvest {
        let rows = self.sheets.into_iter().map(|sheet| {
            let (sheet, owners) = sheet?;
            let (columns, doubts) = sheet.finish();
            Some(Rows { columns, doubts, owners })
        });
        self.harvest.rows = rows.collect();
        self.harvest
    }
}
