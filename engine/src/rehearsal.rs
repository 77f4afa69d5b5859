//! Rehearsals: steps 2 to 6 of the gate without step 1, over a warehouse that the caller has opened himself.
//!
//! They measure the gate. The bounded contributions of a question are computed once; the release can then be played
//! again and again under seeds of the caller's choice, and the sums that it hides can be seen. Whoever can do that
//! holds the files of the warehouse anyway. No door uses this module: nothing is charged here, and nothing is stored.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use caim_ontology::Models;
use caim_sql::PrivateQuery;
use caim_sql::canonical::canonical;
use caim_sql::validate::validate;
use caim_warehouse::Epoch;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::runtime_env::RuntimeEnv;

use crate::accounting::{Accounting, SD_DENOMINATOR, Source, Vector};
use crate::channel::Facts;
use crate::execute::walk::Sums;
use crate::execute::{Execution, ranges};
use crate::policy::Policy;
use crate::release::{self, Seed};
use crate::reply;

/// The name of a cell: equal for equal dims, in every epoch.
pub type Label = Vec<u8>;

/// One question over one epoch, ready to be released under any seed.
pub struct Rehearsal {
    query: PrivateQuery,
    accounting: Accounting,
    policy: Policy,
    sums: Sums,
    schema: SchemaRef,
}

/// A vector before its noise.
#[derive(Clone, PartialEq)]
pub struct Unnoised {
    /// The stream (a filter and a column that must not be NULL) it belongs to.
    pub stream: usize,
    /// Whether it is the hidden patient count that the threshold of its stream rests on.
    pub hidden: bool,
    /// Standard deviation of its noise, in the vector's integers.
    pub sd: f64,
    /// What one of the vector's integers stands for.
    pub unit: f64,
    /// What is subtracted from a value before it is summed.
    pub origin: f64,
    /// The sum in every cell.
    pub sums: BTreeMap<Label, i64>,
}

/// What the gate draws for one cell under one seed.
#[derive(Clone, PartialEq, Eq)]
pub struct Drawn {
    /// For each stream, whether the cell passes the threshold.
    pub open: Vec<bool>,
    /// For each vector, its sum with noise.
    pub noised: Vec<i64>,
}

/// A rehearsal failed. The text holds no value of any patient.
#[derive(Debug, thiserror::Error)]
#[error("the rehearsal failed: {0}")]
pub struct RehearsalError(String);

fn failed(cause: &dyn std::fmt::Display) -> RehearsalError {
    RehearsalError(cause.to_string())
}

impl Rehearsal {
    /// Computes the bounded contributions of a question.
    ///
    /// # Errors
    /// When the question is not well formed, or the warehouse cannot be read.
    pub async fn new(
        epoch: &Epoch,
        models: &Models,
        policy: &Policy,
        query: &PrivateQuery,
    ) -> Result<Self, RehearsalError> {
        Self::over(ranges::of(epoch), epoch, models, policy, query).await
    }

    /// The same, with the patients taken in so many ranges at the same time, at least one.
    ///
    /// # Errors
    /// As [`Rehearsal::new`].
    pub async fn in_ranges(
        ranges: u32,
        epoch: &Epoch,
        models: &Models,
        policy: &Policy,
        query: &PrivateQuery,
    ) -> Result<Self, RehearsalError> {
        Self::over(ranges::split(epoch.patients(), ranges.max(1)), epoch, models, policy, query).await
    }

    async fn over(
        ranges: Vec<Range<u32>>,
        epoch: &Epoch,
        models: &Models,
        policy: &Policy,
        query: &PrivateQuery,
    ) -> Result<Self, RehearsalError> {
        let query = canonical(query.clone());
        validate(&query, models).map_err(|e| failed(&e))?;
        let accounting = Accounting::new(&query, models, policy).map_err(|e| failed(&e))?;
        let runtime = Arc::new(RuntimeEnv::default());
        let execution = Execution::new(epoch, models, &runtime);
        let sums = execution.contributions_in(ranges, &query, &accounting).await.map_err(|e| failed(&e))?;
        let schema = reply::schema(&query, models).map_err(|e| failed(&e))?;
        Ok(Self { query, accounting, policy: *policy, sums, schema })
    }

    /// The question, in canonical form.
    #[must_use]
    pub fn query(&self) -> &PrivateQuery {
        &self.query
    }

    /// What the question would be charged.
    #[must_use]
    pub fn accounting(&self) -> &Accounting {
        &self.accounting
    }

    /// Every vector that is noised, the hidden ones included; one that counts by bins is a vector for each bin.
    #[must_use]
    pub fn vectors(&self) -> Vec<Unnoised> {
        let slots = release::slots(&self.accounting);
        let vectors = slots.iter().filter_map(|(vector, slot)| {
            let noised = self.accounting.vectors.get(*vector)?;
            let (unit, origin) = match noised.of {
                Vector::Sum(fixed) => (fixed.unit, fixed.origin),
                Vector::Squares(squares) => (squares.unit, 0.0),
                Vector::Patients | Vector::Rows | Vector::Distinct | Vector::Bins(_) => (1.0, 0.0),
            };
            let values = self.sums.vectors.get(*vector)?.iter().skip(*slot).step_by(noised.of.slots());
            Some(Unnoised {
                stream: noised.stream,
                hidden: self.accounting.patients.contains(vector),
                sd: noised.sd_1024 as f64 / SD_DENOMINATOR as f64,
                unit,
                origin,
                sums: self.sums.labels.iter().map(|label| label.to_vec()).zip(values.copied()).collect(),
            })
        });
        vectors.collect()
    }

    /// For each measure its stream, and which of [`vectors`](Self::vectors) its columns are made of, in the order of the
    /// columns.
    #[must_use]
    pub fn measures(&self) -> Vec<(usize, Vec<usize>)> {
        let slots = release::slots(&self.accounting);
        let places = |vectors: &[usize]| -> Vec<usize> {
            let is_of = |vector: usize| slots.iter().enumerate().filter(move |(_, (v, _))| *v == vector);
            vectors.iter().flat_map(|vector| is_of(*vector).map(|(place, _)| place)).collect()
        };
        let shown = |source: &Source| match *source {
            Source::Count(vector) | Source::Sum(vector) | Source::Bins(vector) => places(&[vector]),
            Source::Mean { sum, rows } => places(&[sum, rows]),
            Source::Spread { sum, squares, rows } => places(&[sum, squares, rows]),
        };
        self.accounting.measures.iter().map(|(stream, source)| (*stream, shown(source))).collect()
    }

    /// What would leave the node under a seed.
    ///
    /// # Errors
    /// When the gate fails.
    pub fn release(&self, seed: [u8; 32]) -> Result<RecordBatch, RehearsalError> {
        let Self { query, accounting, policy, sums, schema } = self;
        let facts = Facts { epoch: 0, rho: 0.0, delta: 0.0, rho_left: None, policy: *policy };
        let released = release::release(query, accounting, policy, sums, Seed(seed), schema, facts);
        Ok(released.map_err(|e| failed(&e))?.batch().clone())
    }

    /// What the gate draws under a seed for some cells, hidden or not: more than any answer shows.
    ///
    /// # Errors
    /// When the gate fails.
    pub fn drawn(&self, seed: [u8; 32], cells: &[Label]) -> Result<BTreeMap<Label, Drawn>, RehearsalError> {
        let found =
            self.sums.labels.iter().enumerate().filter(|(_, l)| cells.iter().any(|c| c.as_slice() == &***l));
        let found: Vec<usize> = found.map(|(cell, _)| cell).collect();
        let drawn = release::drawn(&self.accounting, &self.policy, &self.sums, Seed(seed), &found);
        let drawn = drawn.map_err(|e| failed(&e))?.into_iter();
        let labels = found.iter().filter_map(|cell| self.sums.labels.get(*cell)).map(|l| l.to_vec());
        Ok(labels.zip(drawn.map(|(open, noised)| Drawn { open, noised })).collect())
    }

    /// The cells that the rows of an answer stand for.
    ///
    /// # Errors
    /// When it is no answer to this question.
    pub fn labels(&self, answer: &RecordBatch) -> Result<Vec<Label>, RehearsalError> {
        let dims = answer.columns().get(..self.query.dims.len()).ok_or_else(|| failed(&"other columns"))?;
        self.sums.labels_of(dims, answer.num_rows()).map_err(|e| failed(&e))
    }
}
