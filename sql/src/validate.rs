//! The one place that holds a question against the data models: which tables, columns, joins and values it may have.
//!
//! Lowering builds a [`PrivateQuery`] and has it validated; a node validates what came over the wire by the same rules,
//! whoever sent it. Every column is checked in the position where it stands.

mod bins;
mod concepts;
mod per_patient;
mod roles;
mod tree;

use caim_ontology::{Column, Models};

use crate::bounds;
use crate::private_query::{
    Atom, Bins, BoolTree, ColumnRef, DateOf, Dim, Exists, JoinTree, PrivateQuery, VERSION,
};
use crate::refusal::{Code, Refusal};

pub(crate) use bins::{number_name, too_far as days_too_far};
pub(crate) use roles::{Comparison, comparison, full_name, off_grid_number};
pub(crate) use tree::{Components, Declared, Side, Tables, declared, undeclared};

/// Atoms of cohort and filters together, those inside `Exists` included.
pub const MAX_ATOMS: usize = 32;
/// Dimensions.
pub const MAX_DIMS: usize = 4;
/// Measures.
pub const MAX_MEASURES: usize = 16;
/// Values of one `In`, where the column has no codes.
pub const MAX_VALUES: usize = 1_000;
/// Codes of a column over which an expression is computed: as many may one `In` or one recoded dimension list.
pub const MAX_CODES: usize = 8_192;
/// Concepts that one dimension is rolled up to.
pub const MAX_TARGETS: usize = 1_000;
/// Bins of one dimension.
pub const MAX_BINS: usize = 64;
/// Bytes of one text value.
pub const MAX_TEXT_BYTES: usize = 256;
/// Tables of one join tree.
pub const MAX_TABLES: usize = 8;
/// `Exists` inside `Exists`.
pub const MAX_EXISTS_DEPTH: usize = 4;
/// Nesting of conditions.
const MAX_CONDITION_DEPTH: usize = 64;
/// Noise multipliers that may be asked for, in thousandths.
pub const NOISE_SD_MILLI: std::ops::RangeInclusive<u32> = 2_000..=20_000;
/// Rows a patient may add that may be asked for.
pub const MAX_ROWS_PER_PATIENT: std::ops::RangeInclusive<u32> = 1..=1_000;

/// Says no to a question that the models do not allow.
///
/// # Errors
/// `Malformed` for what no lowering builds, else the code of the rule that is broken, naming the column and its role.
pub fn validate(query: &PrivateQuery, models: &Models) -> Result<(), Refusal> {
    check(query, models, MAX_ATOMS)?;
    check_bins(query, models)
}

/// The same for a question that is not yet canonical: conditions that will be merged are not counted.
pub(crate) fn validate_parts(query: &PrivateQuery, models: &Models) -> Result<(), Refusal> {
    check(query, models, usize::MAX)
}

fn check(query: &PrivateQuery, models: &Models, max_atoms: usize) -> Result<(), Refusal> {
    settings(query)?;
    if query.dims.len() > MAX_DIMS {
        return Err(too_many("dimensions", query.dims.len(), MAX_DIMS));
    }
    if query.measures.len() > MAX_MEASURES {
        return Err(too_many("measures", query.measures.len(), MAX_MEASURES));
    }
    if query.dims.is_empty() && query.measures.is_empty() {
        return Err(Refusal::new(Code::Malformed, "the question has neither dimensions nor measures"));
    }
    let mut check = Check { atoms: 0, max_atoms };
    let models = per_patient::checked(&query.per_patient, &mut check, models)?;
    let models = models.as_ref();
    let tables = Tables::checked(&query.from, models)?;
    let around = Around { own: &tables, outer: None };
    check.condition(&query.cohort, around, Depth::default(), models)?;
    for dim in &query.dims {
        roles::dim(dim, &tables, models)?;
    }
    for measure in &query.measures {
        roles::measure(&measure.of, &tables)?;
        if looks_elsewhere(&measure.filter) {
            return Err(Refusal::new(Code::Unsupported, "EXISTS in a FILTER or CASE of an aggregate")
                .with_rewrite("ask it by itself, with EXISTS in WHERE, and join the two answers"));
        }
        check.condition(&measure.filter, around, Depth::default(), models)?;
    }
    Ok(())
}

/// Says no to more bins than are offered, which is known once the cohort is canonical.
fn check_bins(query: &PrivateQuery, models: &Models) -> Result<(), Refusal> {
    for dim in &query.dims {
        match dim {
            Dim::Bin { of, by: Bins::Width(width) } => bounds::bins(of, width, query, models)?,
            Dim::Bin { by: Bins::Labels(_), .. }
            | Dim::Column(_)
            | Dim::DatePart { .. }
            | Dim::Label(_)
            | Dim::RollUp { .. }
            | Dim::Recode { .. } => continue,
        };
    }
    Ok(())
}

/// The column that a reference names.
///
/// # Errors
/// `Malformed` when there is no such table or column.
pub(crate) fn column<'a>(
    from: &JoinTree,
    column: &ColumnRef,
    models: &'a Models,
) -> Result<&'a Column, Refusal> {
    Tables::unchecked(from, models)?.column(column)
}

fn settings(query: &PrivateQuery) -> Result<(), Refusal> {
    if query.version != VERSION {
        let reason = format!("the question has version {}; this is {VERSION}", query.version);
        return Err(Refusal::new(Code::Malformed, reason));
    }
    if let Some(noise) = query.noise_sd_milli.filter(|n| !NOISE_SD_MILLI.contains(n)) {
        return Err(Refusal::new(
            Code::NoiseOutOfRange,
            format!("caim.noise_sd is {}", f64::from(noise) / 1000.0),
        ));
    }
    if let Some(rows) = query.max_rows_per_patient.filter(|n| !MAX_ROWS_PER_PATIENT.contains(n)) {
        let reason = format!("caim.max_rows_per_patient is {rows}; it lies between 1 and 1000");
        return Err(Refusal::new(Code::Setting, reason).with_rewrite("SET caim.max_rows_per_patient = 5"));
    }
    Ok(())
}

fn too_many(what: &str, found: usize, most: usize) -> Refusal {
    Refusal::new(Code::TooComplex, format!("the question has {found} {what}; {most} are answered"))
}

/// Whether a condition asks for rows of other tables.
fn looks_elsewhere(condition: &BoolTree) -> bool {
    match condition {
        BoolTree::And(parts) | BoolTree::Or(parts) => parts.iter().any(looks_elsewhere),
        BoolTree::Not(part) => looks_elsewhere(part),
        BoolTree::Is(Atom::Exists(_)) => true,
        BoolTree::Is(
            Atom::In { .. }
            | Atom::IsNull { .. }
            | Atom::Range { .. }
            | Atom::DateDiff { .. }
            | Atom::IsA { .. },
        ) => false,
    }
}

/// How deep a condition stands.
#[derive(Clone, Copy, Default)]
struct Depth {
    exists: usize,
    nesting: usize,
}

/// The tables that a condition may speak of.
#[derive(Clone, Copy)]
struct Around<'t, 'a> {
    own: &'t Tables<'a>,
    /// Those of the row outside, inside `EXISTS`.
    outer: Option<&'t Tables<'a>>,
}

impl<'a> Around<'_, 'a> {
    fn date(self, date: &DateOf) -> Result<Side<'a>, Refusal> {
        let missing = || Refusal::new(Code::Malformed, "a date of a row outside that is not there");
        match date {
            DateOf::Own(column) => self.own.named(column),
            DateOf::Outer(column) => self.outer.ok_or_else(missing)?.named(column),
        }
    }
}

struct Check {
    atoms: usize,
    max_atoms: usize,
}

impl Check {
    fn condition(
        &mut self,
        tree: &BoolTree,
        around: Around<'_, '_>,
        depth: Depth,
        models: &Models,
    ) -> Result<(), Refusal> {
        if depth.nesting > MAX_CONDITION_DEPTH {
            return Err(too_many("nested conditions", depth.nesting, MAX_CONDITION_DEPTH));
        }
        let inner = Depth { nesting: depth.nesting + 1, ..depth };
        match tree {
            BoolTree::And(parts) | BoolTree::Or(parts) => {
                parts.iter().try_for_each(|part| self.condition(part, around, inner, models))
            }
            BoolTree::Not(part) => self.condition(part, around, inner, models),
            BoolTree::Is(atom) => self.atom(atom, around, depth, models),
        }
    }

    fn atom(
        &mut self,
        atom: &Atom,
        around: Around<'_, '_>,
        depth: Depth,
        models: &Models,
    ) -> Result<(), Refusal> {
        let tables = around.own;
        self.atoms += 1;
        if self.atoms > self.max_atoms {
            return Err(Refusal::new(Code::TooComplex, format!("more than {} conditions", self.max_atoms)));
        }
        match atom {
            Atom::In { column, values } => roles::in_values(tables.named(column)?, values),
            Atom::IsNull { column } => roles::is_null(tables.named(column)?),
            Atom::Range { column, lo, hi } => roles::range(tables.named(column)?, lo.as_ref(), hi.as_ref()),
            Atom::DateDiff { from, to, lo, hi } => {
                let both_outside = matches!((from, to), (DateOf::Outer(_), DateOf::Outer(_)));
                bins::days(around.date(from)?, around.date(to)?)?;
                bins::date_diff(*lo, *hi, both_outside)
            }
            Atom::IsA { column, concept } => concepts::is_a(tables.named(column)?, concept, models),
            Atom::Exists(exists) => self.exists(exists, tables, depth, models),
        }
    }

    fn exists(
        &mut self,
        exists: &Exists,
        outer: &Tables<'_>,
        depth: Depth,
        models: &Models,
    ) -> Result<(), Refusal> {
        let deeper = Depth { exists: depth.exists + 1, nesting: depth.nesting + 1 };
        if deeper.exists > MAX_EXISTS_DEPTH {
            return Err(too_many("nested EXISTS", deeper.exists, MAX_EXISTS_DEPTH));
        }
        let inner = Tables::checked(&exists.from, models)?;
        tree::link(&exists.link, outer, &inner)?;
        self.condition(&exists.cohort, Around { own: &inner, outer: Some(outer) }, deeper, models)
    }
}

#[cfg(test)]
mod tests;
