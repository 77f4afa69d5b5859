//! The attacker on the real gate: he knows both truths, and computes for every released, rounded or absent cell how
//! likely it is under each of them.

use std::collections::{BTreeMap, BTreeSet};

use caim_engine::Policy;
use caim_engine::rehearsal::{Drawn, Label, Rehearsal, Unnoised};
use caim_sql::private_query::Aggregate;
use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::games::Opponent;
use crate::gaussian::Discrete;

/// Standard deviations between the hard threshold and the noised one: privacy.md, section 3.
const THRESHOLD_SDS: f64 = 5.0;

/// One question over both twins.
pub(crate) struct Attack {
    present: Rehearsal,
    absent: Rehearsal,
    /// Cells in which the twins differ: all others are equally likely.
    cells: Vec<Label>,
    /// For every vector its noise, and its sums with and without the victim.
    vectors: Vec<Known>,
    /// For every measure its stream, its vectors, and what they show of them.
    measures: Vec<(usize, Vec<usize>, Shows)>,
    /// For every stream its hidden vector.
    hidden: Vec<usize>,
    policy: Policy,
}

struct Known {
    of: Unnoised,
    noise: Discrete,
    with: BTreeMap<Label, i64>,
    without: BTreeMap<Label, i64>,
}

/// How a measure's columns are made of its vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shows {
    Count,
    Sum,
    Mean,
    /// Columns that the attacker cannot read back: he is given all that was drawn for the stream, which is more.
    Everything,
}

/// What is known of a noised integer.
#[derive(Debug, Clone, Copy, Default)]
struct Range {
    lo: Option<i64>,
    hi: Option<i64>,
}

impl Range {
    fn exactly(value: i64) -> Self {
        Self { lo: Some(value), hi: Some(value) }
    }

    fn and(self, other: Self) -> Self {
        Self { lo: self.lo.max(other.lo), hi: [self.hi, other.hi].into_iter().flatten().min() }
    }

    fn holds(self, value: i64) -> bool {
        self.lo.is_none_or(|lo| lo <= value) && self.hi.is_none_or(|hi| value <= hi)
    }
}

impl Attack {
    pub(crate) fn new(present: Rehearsal, absent: Rehearsal, policy: Policy) -> Self {
        let (with, without) = (present.vectors(), absent.vectors());
        let vectors: Vec<Known> = with
            .into_iter()
            .zip(without)
            .map(|(with, without)| Known {
                noise: Discrete::new(with.sd),
                with: with.sums.clone(),
                without: without.sums,
                of: with,
            })
            .collect();
        let labels: BTreeSet<&Label> =
            vectors.iter().flat_map(|v| v.with.keys().chain(v.without.keys())).collect();
        let differ = |label: &Label| vectors.iter().any(|v| v.truth(true, label) != v.truth(false, label));
        let cells = labels.into_iter().filter(|l| differ(l)).cloned().collect();
        let shown = present.measures().into_iter().zip(&present.query().measures);
        let measures = shown.map(|((stream, of), m)| (stream, of, shows(&m.of))).collect();
        let streams = vectors.iter().map(|v| v.of.stream + 1).max().unwrap_or(0);
        let hidden_of = |s: usize| vectors.iter().position(|v| v.of.hidden && v.of.stream == s).unwrap();
        let hidden = (0..streams).map(hidden_of).collect();
        Self { present, absent, cells, vectors, measures, hidden, policy }
    }

    /// What the answer may cost a patient, from the two truths alone: the distance of the vectors over their noise.
    pub(crate) fn brute_force_rho(&self) -> f64 {
        let distance = |v: &Known| -> f64 {
            let far = |label: &Label| (v.truth(true, label) - v.truth(false, label)) as f64;
            self.cells.iter().map(|l| far(l).powi(2)).sum::<f64>() / (2.0 * v.of.sd.powi(2))
        };
        self.vectors.iter().map(distance).sum()
    }

    /// How many numbers one answer draws.
    pub(crate) fn draws(&self) -> u64 {
        self.vectors.iter().map(|v| v.with.len() as u64).sum()
    }

    fn ratio(&self, answer: &RecordBatch, labels: &[Label], drawn: &BTreeMap<Label, Drawn>) -> f64 {
        let ratio = |cell: &Label| {
            let row = labels.iter().position(|l| l == cell);
            let seen = self.seen(answer, row, drawn.get(cell));
            self.likelihood(true, cell, &seen) - self.likelihood(false, cell, &seen)
        };
        self.cells.iter().map(ratio).sum()
    }

    /// For each stream what is known of its vectors; `None` for one that did not open.
    fn seen(
        &self,
        answer: &RecordBatch,
        row: Option<usize>,
        drawn: Option<&Drawn>,
    ) -> Vec<Option<Vec<Range>>> {
        let mut seen = vec![None; self.hidden.len()];
        let Some(row) = row else { return seen };
        if self.measures.is_empty() {
            seen[0] = Some(self.opened(0));
        }
        for (measure, (stream, vectors, shows)) in self.measures.iter().enumerate() {
            let columns = columns_of(answer, measure);
            let everything = *shows == Shows::Everything;
            let open =
                if everything { drawn.is_some_and(|d| d.open[*stream]) } else { columns[0].is_valid(row) };
            if !open {
                continue;
            }
            let known = seen[*stream].get_or_insert_with(|| self.opened(*stream));
            let mut learn = |vector: usize, range: Range| known[vector] = known[vector].and(range);
            match shows {
                Shows::Count => learn(vectors[0], self.of_count(whole(columns[0], row))),
                Shows::Sum => learn(vectors[0], self.of_sum(vectors[0], columns[0], row)),
                Shows::Mean => {
                    let count = whole(columns[1], row);
                    let sum = columns[0].as_primitive::<Float64Type>().value(row);
                    learn(vectors[0], self.of_mean(vectors[0], sum, count));
                    let floor = i64::from(self.policy.threshold);
                    learn(vectors[1], Range { lo: (count > floor).then_some(count), hi: Some(count) });
                }
                Shows::Everything => {
                    let noised = drawn.map(|d| d.noised.as_slice()).unwrap_or_default();
                    let own = (0..noised.len()).filter(|v| self.vectors[*v].of.stream == *stream);
                    own.for_each(|v| learn(v, Range::exactly(noised[v])));
                }
            }
        }
        seen
    }

    /// What is known once a stream is open: its hidden count reached the threshold.
    fn opened(&self, stream: usize) -> Vec<Range> {
        let mut known = vec![Range::default(); self.vectors.len()];
        known[self.hidden[stream]].lo = Some(self.threshold(stream));
        known
    }

    fn threshold(&self, stream: usize) -> i64 {
        let sd = self.vectors[self.hidden[stream]].of.sd;
        (f64::from(self.policy.threshold) + THRESHOLD_SDS * sd).ceil() as i64
    }

    /// The counts that are rounded to this one.
    fn of_count(&self, shown: i64) -> Range {
        let base = i64::from(self.policy.rounding);
        let lowest = (i64::from(self.policy.threshold) + base - 1) / base * base;
        let first = shown - base / 2;
        Range { lo: (shown > lowest).then_some(first), hi: Some(first + base - 1) }
    }

    fn of_sum(&self, vector: usize, column: &dyn Array, row: usize) -> Range {
        let unit = self.vectors[vector].of.unit;
        if *column.data_type() == DataType::Float64 {
            return Range::exactly((column.as_primitive::<Float64Type>().value(row) / unit).round() as i64);
        }
        let shown = whole(column, row) as f64;
        Range {
            lo: Some(((shown - 0.5) / unit).ceil() as i64),
            hi: Some(((shown + 0.5) / unit).floor() as i64),
        }
    }

    fn of_mean(&self, vector: usize, sum: f64, count: i64) -> Range {
        let of = &self.vectors[vector].of;
        Range::exactly(((sum - of.origin * count as f64) / of.unit).round() as i64)
    }

    /// The logarithm of how likely a cell looks as it does.
    fn likelihood(&self, present: bool, cell: &Label, seen: &[Option<Vec<Range>>]) -> f64 {
        let enough = i64::from(self.policy.threshold);
        let of_stream = |(stream, known): (usize, &Option<Vec<Range>>)| {
            let hidden = &self.vectors[self.hidden[stream]];
            let patients = hidden.truth(present, cell);
            let Some(known) = known else {
                let closed = Range { lo: None, hi: Some(self.threshold(stream) - 1) };
                return if patients < enough { 0.0 } else { hidden.mass(patients, closed).ln() };
            };
            if patients < enough {
                return f64::NEG_INFINITY;
            }
            let own = self.vectors.iter().zip(known).filter(|(v, _)| v.of.stream == stream);
            own.map(|(v, range)| v.mass(v.truth(present, cell), *range).ln()).sum()
        };
        seen.iter().enumerate().map(of_stream).sum()
    }

    fn release(&self, present: bool, seed: [u8; 32]) -> (RecordBatch, Vec<Label>, BTreeMap<Label, Drawn>) {
        let side = if present { &self.present } else { &self.absent };
        let answer = side.release(seed).unwrap();
        let labels = side.labels(&answer).unwrap();
        let unread = self.measures.iter().any(|(_, _, shows)| *shows == Shows::Everything);
        let drawn = if unread { side.drawn(seed, &self.cells).unwrap() } else { BTreeMap::new() };
        (answer, labels, drawn)
    }

    /// Whether the attacker reads answers aright: what was drawn lies in the ranges that he concludes.
    pub(crate) fn reads_aright(&self, seed: [u8; 32]) -> bool {
        [true, false].into_iter().all(|present| {
            let (answer, labels, _) = self.release(present, seed);
            let side = if present { &self.present } else { &self.absent };
            let drawn = side.drawn(seed, &self.cells).unwrap();
            drawn.iter().all(|(cell, drawn)| {
                let row = labels.iter().position(|l| l == cell);
                self.seen(&answer, row, Some(drawn)).iter().enumerate().all(|(stream, known)| match known {
                    None => !drawn.open[stream],
                    Some(known) => drawn.open[stream] && self.fits(stream, known, drawn),
                })
            })
        })
    }

    fn fits(&self, stream: usize, known: &[Range], drawn: &Drawn) -> bool {
        let own = known.iter().zip(&drawn.noised).zip(&self.vectors).filter(|(_, v)| v.of.stream == stream);
        own.into_iter().all(|((range, noised), v)| {
            // Means go through floating point and may be read one step off.
            let near = v.of.unit != 1.0 && (range.holds(noised - 1) || range.holds(noised + 1));
            range.holds(*noised) || near
        })
    }
}

impl Known {
    fn truth(&self, present: bool, cell: &Label) -> i64 {
        let sums = if present { &self.with } else { &self.without };
        sums.get(cell).copied().unwrap_or(0)
    }

    fn mass(&self, truth: i64, range: Range) -> f64 {
        if range.lo.is_none() && range.hi.is_none() {
            return 1.0;
        }
        self.noise.mass(range.lo.map(|lo| lo - truth), range.hi.map(|hi| hi - truth))
    }
}

impl Opponent for Attack {
    fn play(&self, present: bool, random: &mut ChaCha8Rng) -> f64 {
        let (answer, labels, drawn) = self.release(present, random.random());
        self.ratio(&answer, &labels, &drawn)
    }
}

/// Several questions: their answers are drawn independently.
impl Opponent for Vec<Attack> {
    fn play(&self, present: bool, random: &mut ChaCha8Rng) -> f64 {
        self.iter().map(|attack| attack.play(present, random)).sum()
    }
}

fn shows(of: &Aggregate) -> Shows {
    if matches!(of, Aggregate::Patients | Aggregate::Rows | Aggregate::Distinct(_)) {
        Shows::Count
    } else if matches!(of, Aggregate::Sum(_)) {
        Shows::Sum
    } else if matches!(of, Aggregate::Avg(_)) {
        Shows::Mean
    } else {
        Shows::Everything
    }
}

fn columns_of(answer: &RecordBatch, measure: usize) -> Vec<&dyn Array> {
    let (only, first) = (format!("m{measure}"), format!("m{measure}_"));
    let fields = answer.schema();
    let own =
        fields.fields().iter().enumerate().filter(|(_, f)| *f.name() == only || f.name().starts_with(&first));
    own.map(|(at, _)| answer.column(at).as_ref()).collect()
}

fn whole(column: &dyn Array, row: usize) -> i64 {
    column.as_primitive::<Int64Type>().value(row)
}
