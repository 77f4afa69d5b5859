//! What an object notes about other series: segments, regions of structure sets, groups of annotations, coded findings.
//!
//! Codes are kept with their scheme. A meaning is text that anybody may have typed: it is kept unless its scheme is
//! private. Names of regions are kept only if the operator lists them.

mod notes;
mod tree;

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray, UInt32Array, new_null_array};
use arrow::compute::take;

use super::charset::Charset;
use super::removed::Passed;
use super::unreadable::Unreadable;
use crate::Result;
use crate::landing::Landing;
use crate::values::stored_type;
pub(super) use notes::{Code, Note};
pub(super) use tree::{Growing, Tree};

/// Rows that one object may give.
const MOST_ROWS: usize = 4096;

pub(super) const TABLE: &str = "annotation";
/// The column of the series that is annotated.
pub(super) const SERIES: &str = "referencedseriesinstanceuid";

/// Kinds of objects that note something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Segmentation,
    StructureSet,
    Report,
    Microscopy,
}

/// What one object notes.
#[derive(Debug)]
pub(super) struct Noted {
    kind: Kind,
    tree: Tree,
}

/// A row of the table: of an object that is the row `object` of its chunk.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) object: usize,
    pub(super) kind: Kind,
    pub(super) note: Arc<Note>,
    pub(super) series: Option<Arc<str>>,
}

impl Kind {
    /// The kind of a SOP class (PS3.4 annex B.5).
    pub(super) fn of(class: &[u8]) -> Option<Self> {
        let class = std::str::from_utf8(super::prolog::trimmed(class)).ok()?;
        match class.strip_prefix("1.2.840.10008.5.1.4.1.1.")? {
            "66.4" | "66.5" | "66.7" | "66.8" => Some(Self::Segmentation),
            "481.3" => Some(Self::StructureSet),
            "91.1" => Some(Self::Microscopy),
            class if class.starts_with("88.") => Some(Self::Report),
            _ => None,
        }
    }

    /// As the column `kind` has it: the modality of such objects (PS3.3 section C.7.3.1.1.1).
    fn name(self) -> &'static str {
        match self {
            Self::Segmentation => "SEG",
            Self::StructureSet => "RTSTRUCT",
            Self::Report => "SR",
            Self::Microscopy => "ANN",
        }
    }
}

impl Noted {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, tree: Tree::default() }
    }

    /// Receives the items of a sequence of the object.
    pub(super) fn growing<'t>(&'t mut self, charset: Charset, passed: &'t mut Passed) -> Growing<'t> {
        self.tree.growing(charset, passed)
    }

    /// One row a note and series that the object refers to; of an object that refers to none one row a note.
    ///
    /// # Errors
    /// When there are more than an object may give.
    pub(super) fn rows(&self, object: usize) -> Result<Vec<Row>, Unreadable> {
        let kind = self.kind;
        let mut series: Vec<Option<Arc<str>>> = self.tree.series().into_iter().map(Some).collect();
        if series.is_empty() {
            series.push(None);
        }
        let notes = notes::of(kind, &self.tree);
        if notes.len().saturating_mul(series.len()) > MOST_ROWS {
            return Err(Unreadable::NotesLimit);
        }
        let row = |note: Arc<Note>| {
            let of_series = series.iter().cloned();
            of_series.map(move |series| Row { object, kind, note: Arc::clone(&note), series })
        };
        Ok(notes.into_iter().map(Arc::new).flat_map(row).collect())
    }
}

impl Row {
    /// The attribute whose value is left out because the operator does not list it.
    pub(super) fn dropped_label(&self, keeps: impl Fn(&str) -> bool) -> Option<&'static str> {
        self.note.label.as_deref().filter(|label| !keeps(label)).map(|_| match self.kind {
            Kind::Segmentation => "SegmentLabel",
            Kind::StructureSet => "ROIName",
            Kind::Microscopy => "AnnotationGroupLabel",
            Kind::Report => "ContentSequence",
        })
    }
}

/// The stored columns of annotations, without the physical ones. Columns that objects and annotations have alike are
/// taken from `objects`, the stored columns of `of_objects`.
pub(super) fn columns(
    landing: &Landing<'_>,
    of_objects: &Landing<'_>,
    objects: &[ArrayRef],
    rows: &[&Row],
    keeps: impl Fn(&str) -> bool,
) -> Result<Vec<ArrayRef>> {
    let places: UInt32Array = rows.iter().map(|row| u32::try_from(row.object).ok()).collect();
    let text = |of: &dyn Fn(&Row) -> Option<String>| -> ArrayRef {
        Arc::new(rows.iter().map(|row| of(row)).collect::<StringArray>())
    };
    let code = |of: fn(&Note) -> &Code, part: fn(&Code) -> Option<&str>| {
        text(&|row| part(of(&row.note)).map(str::to_owned))
    };
    let column = |name: &str, ty| -> Result<ArrayRef> {
        Ok(match name {
            "kind" => text(&|row| Some(row.kind.name().to_owned())),
            "number" => Arc::new(rows.iter().map(|row| row.note.number).collect::<Int64Array>()),
            SERIES => landing.ruled_uids(text(&|row| row.series.as_deref().map(str::to_owned))),
            "algorithm_type" => text(&|row| row.note.algorithm.clone()),
            "roi_type" => text(&|row| row.note.roi_type.clone()),
            "category_code" => code(|note| &note.category, Code::value),
            "category_scheme" => code(|note| &note.category, Code::scheme),
            "category_meaning" => code(|note| &note.category, Code::meaning),
            "type_code" => code(|note| &note.ty, Code::value),
            "type_scheme" => code(|note| &note.ty, Code::scheme),
            "type_meaning" => code(|note| &note.ty, Code::meaning),
            "site_code" => code(|note| &note.site, Code::value),
            "site_scheme" => code(|note| &note.site, Code::scheme),
            "site_meaning" => code(|note| &note.site, Code::meaning),
            "label" => text(&|row| row.note.label.clone().filter(|label| keeps(label))),
            shared => {
                // What is stored of objects is under the node's rules already.
                let of_object = of_objects.table.stored_columns().position(|column| column.stored == shared);
                match of_object.and_then(|position| objects.get(position)) {
                    Some(values) => take(values, &places, None).map_err(|e| landing.fault(&e))?,
                    None => new_null_array(&stored_type(ty), rows.len()),
                }
            }
        })
    };
    landing.table.stored_columns().map(|of| column(&of.stored, of.ty)).collect()
}
