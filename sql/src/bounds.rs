//! Public bounds of the numbers in a question: from the data models and from the question itself, never from data.
//!
//! What is clamped, which bins there are, and how far one patient can move a sum all follow from here, at hub and node
//! alike.

use caim_ontology::{Bounds, ColumnType, Models};

use crate::private_query::{Atom, BoolTree, DateOf, Days, Endpoint, Number, PrivateQuery, Value};
use crate::refusal::{Code, Refusal};
use crate::validate::{MAX_BINS, Tables, number_name};

/// Days in either direction that count where a question says nothing narrower: about ten years.
pub const DEFAULT_DAYS: i64 = 3_650;
/// Days in either direction that a question may speak of: about a hundred years.
pub const MAX_DAYS: i64 = 36_525;

/// The first and the last bin of one width; bin `i` begins at `i` widths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The bin of everything up to its end.
    pub first: i64,
    /// The bin of everything from its beginning on.
    pub last: i64,
}

/// Most bins that a percentile is looked for in.
pub const QUANTILE_BINS: u32 = 32;

/// Bins of one width, side by side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EvenBins {
    /// Where the first begins.
    pub lo: f64,
    /// How wide each is.
    pub width: f64,
    /// How many there are.
    pub count: u32,
}

impl Eq for EvenBins {}

impl EvenBins {
    /// The bin of a value; those beyond the ends count in the first and the last bin.
    #[must_use]
    pub fn bin(&self, value: f64) -> usize {
        // Saturates; NaN does not come here.
        let bin = ((value - self.lo) / self.width).floor().max(0.0) as usize;
        bin.min(self.count.saturating_sub(1) as usize)
    }

    /// Where a bin begins; that of the number of bins is where the last ends.
    #[must_use]
    pub fn edge(&self, bin: usize) -> f64 {
        self.lo + self.width * bin as f64
    }
}

/// The bounds that a number is clamped to under a filter. A column's stand in its model; those of days are what the
/// cohort or the filter says of the same two dates, and [`DEFAULT_DAYS`] where they leave an end open; those of a count of
/// one patient's rows what they say of it, and the rows that a patient may add.
///
/// # Errors
/// `Malformed` when the column is not there or has no bounds, which validation excludes.
pub fn of(
    number: &Number,
    query: &PrivateQuery,
    filter: &BoolTree,
    models: &Models,
) -> Result<Bounds, Refusal> {
    let models = query.over(models)?;
    let models = models.as_ref();
    let own = match number {
        Number::Column(column) => match query.reach(column, models) {
            Some(reach) => {
                let mut said = Said::default();
                said.add(&query.cohort, number);
                said.add(filter, number);
                Some(said.count(reach))
            }
            None => Tables::unchecked(&query.from, models)?.column(column)?.bounds(),
        },
        Number::Days(_) => {
            let mut said = Said::default();
            said.add(&query.cohort, number);
            said.add(filter, number);
            Some(said.days())
        }
    };
    own.ok_or_else(|| Refusal::new(Code::Malformed, "a number without public bounds"))
}

/// The type of a number: integer or float.
///
/// # Errors
/// `Malformed` when the column is not there.
pub fn column_type(number: &Number, query: &PrivateQuery, models: &Models) -> Result<ColumnType, Refusal> {
    let models = query.over(models)?;
    match number {
        Number::Column(column) => Ok(Tables::unchecked(&query.from, &models)?.column(column)?.ty),
        Number::Days(_) => Ok(ColumnType::Integer),
    }
}

/// The bins of one width between the bounds of a number and what the cohort says of it. Where the cohort leaves an end
/// of days open, the [`MAX_BINS`] nearest to the other end, or to 0, are kept.
///
/// # Errors
/// `TooComplex` for more than [`MAX_BINS`] bins; `Malformed` when the column is not there.
pub fn bins(number: &Number, width: &Value, query: &PrivateQuery, models: &Models) -> Result<Span, Refusal> {
    let mut said = Said::default();
    said.add(&query.cohort, number);
    let bounds = match number {
        Number::Column(_) => said.within(of(number, query, &BoolTree::always(), models)?),
        Number::Days(_) => said.days(),
    };
    let width = real(width).filter(|w| *w > 0.0);
    let width = width.ok_or_else(|| Refusal::new(Code::Malformed, "bins without a width"))?;
    // Saturates; the bounds are finite.
    let index = |x: f64| (x / width).floor() as i64;
    let (first, last) = (index(bounds.lo), index(bounds.hi));
    let most = MAX_BINS as i64;
    if last.saturating_sub(first) < most {
        return Ok(Span { first, last });
    }
    match (number, said.lo, said.hi) {
        (Number::Days(_), None, None) => Ok(Span { first: -most / 2, last: most / 2 - 1 }),
        (Number::Days(_), Some(_), None) => Ok(Span { first, last: first.saturating_add(most - 1) }),
        (Number::Days(_), None, Some(_)) => Ok(Span { first: last.saturating_sub(most - 1), last }),
        (Number::Days(_), Some(_), Some(_)) | (Number::Column(_), _, _) => {
            let count = last.saturating_sub(first).saturating_add(1);
            let models = query.over(models)?;
            let tables = Tables::unchecked(&query.from, &models)?;
            let name = number_name(number, &tables)?;
            let reason = format!("{name} has {count} bins of width {width}; {MAX_BINS} are offered");
            let upto = (first as f64 + MAX_BINS as f64) * width;
            Err(Refusal::new(Code::TooComplex, reason).with_rewrite(format!(
                "use wider bins, or keep to a range in WHERE: from {} to below {upto}",
                first as f64 * width
            )))
        }
    }
}

/// The bins between which a percentile is looked for: at most [`QUANTILE_BINS`] of one width, from the public bounds of
/// the number and what cohort and filter say of it. A narrower range in the question makes finer bins.
///
/// # Errors
/// `Malformed` when the column is not there or has no bounds, which validation excludes.
pub fn quantile_bins(
    number: &Number,
    query: &PrivateQuery,
    filter: &BoolTree,
    models: &Models,
) -> Result<EvenBins, Refusal> {
    let mut said = Said::default();
    said.add(&query.cohort, number);
    said.add(filter, number);
    let Bounds { lo, hi, grid } = said.within(of(number, query, filter, models)?);
    let steps = ((hi - lo) / f64::from(QUANTILE_BINS) / grid).ceil().max(1.0);
    let width = steps * grid;
    // At most QUANTILE_BINS by the width; at least one.
    let count = ((hi - lo) / width).ceil().clamp(1.0, f64::from(QUANTILE_BINS)) as u32;
    Ok(EvenBins { lo, width, count })
}

/// Whether a number cannot be below 0, by its public bounds or by conditions that all rows meet.
pub(crate) fn never_negative(number: &Number, cohort: &[BoolTree], bounds: Option<Bounds>) -> bool {
    let mut said = Said::default();
    cohort.iter().for_each(|tree| said.add(tree, number));
    said.lo.is_some_and(|lo| lo >= 0.0) || bounds.is_some_and(|b| b.lo >= 0.0)
}

/// The number of a value of the closed form, if it is one. Values of questions are far below 2^52.
pub(crate) fn real(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(n) => Some(*n as f64),
        Value::Float(x) => Some(x.get()),
        Value::Text(_) | Value::Boolean(_) | Value::Date(_) => None,
    }
}

/// What conditions that always hold say of a number: its least and greatest value.
#[derive(Default)]
struct Said {
    lo: Option<f64>,
    hi: Option<f64>,
}

impl Said {
    fn add(&mut self, tree: &BoolTree, number: &Number) {
        match tree {
            BoolTree::And(parts) => parts.iter().for_each(|part| self.add(part, number)),
            BoolTree::Is(atom) => self.add_atom(atom, number),
            BoolTree::Or(_) | BoolTree::Not(_) => {}
        }
    }

    fn add_atom(&mut self, atom: &Atom, number: &Number) {
        match (atom, number) {
            (Atom::Range { column, lo, hi }, Number::Column(own)) if column == own => {
                self.from(lo.as_ref().and_then(|end| real(&end.value)));
                self.up_to(hi.as_ref().and_then(greatest));
            }
            (
                Atom::DateDiff { from: DateOf::Own(a), to: DateOf::Own(b), lo, hi },
                Number::Days(Days { from, to }),
            ) => {
                let (least, most) = (lo.map(|n| n as f64), hi.map(|n| n as f64 - 1.0));
                if (a, b) == (from, to) {
                    self.from(least);
                    self.up_to(most);
                } else if (a, b) == (to, from) {
                    self.from(most.map(|n| -n));
                    self.up_to(least.map(|n| -n));
                }
            }
            (
                Atom::In { .. }
                | Atom::IsNull { .. }
                | Atom::IsA { .. }
                | Atom::Range { .. }
                | Atom::DateDiff { .. }
                | Atom::Exists(_),
                Number::Column(_) | Number::Days(_),
            ) => {}
        }
    }

    fn from(&mut self, lo: Option<f64>) {
        self.lo = [self.lo, lo].into_iter().flatten().reduce(f64::max);
    }

    fn up_to(&mut self, hi: Option<f64>) {
        self.hi = [self.hi, hi].into_iter().flatten().reduce(f64::min);
    }

    /// The bounds of days. Never empty, so that a step of fixed point is more than nothing.
    fn days(&self) -> Bounds {
        let default = DEFAULT_DAYS as f64;
        let (lo, hi) = match (self.lo, self.hi) {
            (None, None) => (-default, default),
            (Some(lo), None) => (lo, default.max(lo + default)),
            (None, Some(hi)) => ((-default).min(hi - default), hi),
            (Some(lo), Some(hi)) => (lo, hi),
        };
        Bounds { lo, hi: hi.max(lo + 1.0), grid: 1.0 }
    }

    /// The bounds of a count of rows: what is said of it, and its reach where nothing is.
    fn count(&self, reach: f64) -> Bounds {
        let lo = self.lo.unwrap_or(0.0).max(0.0);
        Bounds { lo, hi: self.hi.unwrap_or(reach).max(lo + 1.0), grid: 1.0 }
    }

    /// The part of public bounds that is left, or all where nothing is.
    fn within(&self, bounds: Bounds) -> Bounds {
        let lo = self.lo.map_or(bounds.lo, |lo| lo.max(bounds.lo));
        let hi = self.hi.map_or(bounds.hi, |hi| hi.min(bounds.hi));
        if lo <= hi { Bounds { lo, hi, ..bounds } } else { bounds }
    }
}

/// The greatest value below an upper end.
fn greatest(end: &Endpoint) -> Option<f64> {
    let value = real(&end.value)?;
    Some(match (&end.value, end.inclusive) {
        (_, true) => value,
        (Value::Integer(_), false) => value - 1.0,
        (_, false) => value.next_down(),
    })
}

#[cfg(test)]
mod tests {
    use caim_ontology::Bounds;

    use super::{Span, bins, of};
    use crate::fixture::world;
    use crate::private_query::{
        Atom, BoolTree, ColumnRef, DateOf, Days, Endpoint, JoinTree, Number, PrivateQuery, Real, TableRef,
        VERSION, Value,
    };
    use crate::refusal::Code;

    fn query(table: &str, cohort: BoolTree) -> PrivateQuery {
        PrivateQuery {
            version: VERSION,
            per_patient: Vec::new(),
            from: JoinTree { tables: vec![TableRef::new("world", table)], edges: Vec::new() },
            cohort,
            dims: Vec::new(),
            measures: Vec::new(),
            noise_sd_milli: None,
            max_rows_per_patient: None,
        }
    }

    fn column(name: &str) -> ColumnRef {
        ColumnRef::new(0, name)
    }

    fn days() -> Number {
        Number::Days(Days { from: column("diagnosis_date"), to: column("resolved_date") })
    }

    /// A condition on the days, in canonical direction or in the other.
    fn between(lo: Option<i64>, hi: Option<i64>, turned: bool) -> BoolTree {
        let (a, b) = (DateOf::Own(column("diagnosis_date")), DateOf::Own(column("resolved_date")));
        let (from, to) = if turned { (b, a) } else { (a, b) };
        BoolTree::And(vec![BoolTree::Is(Atom::DateDiff { from, to, lo, hi })])
    }

    #[test]
    fn days_are_bounded_by_what_the_question_says_of_them_else_by_ten_years() {
        for (said, lo, hi) in [
            (BoolTree::always(), -3_650.0, 3_650.0),
            (between(Some(0), Some(91), false), 0.0, 90.0),
            (between(Some(0), Some(91), true), -90.0, 0.0),
            (between(Some(0), None, false), 0.0, 3_650.0),
            (between(Some(5_000), None, false), 5_000.0, 8_650.0),
            (between(None, Some(-4_999), false), -8_650.0, -5_000.0),
            (between(Some(7), Some(8), false), 7.0, 8.0),
            (BoolTree::Not(Box::new(between(Some(0), Some(91), false))), -3_650.0, 3_650.0),
        ] {
            let wanted = Bounds { lo, hi, grid: 1.0 };
            let by_filter = of(&days(), &query("condition", BoolTree::always()), &said, &world()).unwrap();
            let by_cohort = of(&days(), &query("condition", said), &BoolTree::always(), &world()).unwrap();
            assert_eq!((by_filter, by_cohort), (wanted, wanted));
        }
    }

    #[test]
    fn bins_lie_between_public_bounds_and_what_the_cohort_says() {
        let whole = |w: i64| Value::Integer(w);
        for (cohort, width, expected) in [
            (BoolTree::always(), 365, Ok((-10, 10))),
            (BoolTree::always(), 30, Ok((-32, 31))),
            (between(Some(0), None, false), 30, Ok((0, 63))),
            (between(None, Some(0), false), 30, Ok((-64, -1))),
            (between(Some(0), Some(1_920), false), 30, Ok((0, 63))),
            (between(Some(0), Some(1_921), false), 30, Err(Code::TooComplex)),
        ] {
            let found = bins(&days(), &whole(width), &query("condition", cohort), &world());
            assert_eq!(found.map(|Span { first, last }| (first, last)).map_err(|r| r.code), expected);
        }
        let weight = Number::Column(column("weight_kg"));
        let width = Value::Float(Real::new(5.0).unwrap());
        let all = bins(&weight, &width, &query("patient", BoolTree::always()), &world()).unwrap();
        assert_eq!(all, Span { first: 0, last: 60 });
        let end = |x, inclusive| Some(Endpoint { value: Value::Float(Real::new(x).unwrap()), inclusive });
        let some = Atom::Range { column: column("weight_kg"), lo: end(50.0, true), hi: end(70.0, false) };
        let some = bins(&weight, &width, &query("patient", BoolTree::Is(some)), &world()).unwrap();
        assert_eq!(some, Span { first: 10, last: 13 });
    }
}
