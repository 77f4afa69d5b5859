//! Splits an analysed plan into private queries and a remainder over what they release.
//!
//! Every aggregate (or DISTINCT) directly over rows of patients becomes a [`PrivateQuery`]; in its place the remainder
//! reads a table `released_N`. What stands above runs at the hub on released values; what stands below must fit the
//! closed form or is refused. Matches list every kind of plan node and expression: a new kind does not slip through.

mod beside;
mod bins;
mod columns;
mod compare;
mod concepts;
mod condition;
mod constant;
mod days;
mod groups;
mod joins;
mod measures;
mod patient_values;
mod per_patient;
mod probes;
mod refuse;
mod release;
mod rows;
mod scope;
mod sets;
mod split;
mod vocabulary;

use datafusion_expr::LogicalPlan;

use crate::catalogue::Catalogue;
use crate::plan::Planned;
use crate::private_query::PrivateQuery;
use crate::refusal::{Code, Refusal};

/// What a session chose of a question's parameters; `None` leaves it to the node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Noise multiplier in thousandths (4000 = 4.0): 2000 to 20000.
    pub noise_sd_milli: Option<u32>,
    /// Rows a patient may add: 1 to 1000.
    pub max_rows_per_patient: Option<u32>,
}

/// A statement split at the gate.
#[derive(Debug, Clone)]
pub struct Lowered {
    /// What the nodes are asked, each in canonical form and validated. May be empty: then nothing is charged.
    pub queries: Vec<PrivateQuery>,
    /// What the hub computes. Scans `released_0`, `released_1`, ... (bare names, columns of
    /// [`released::schema`](crate::released::schema)) and public tables (`schema.table`), nothing else.
    pub remainder: LogicalPlan,
    /// Names of the answer's columns, as the analyst wrote them.
    pub output: Vec<String>,
}

/// Splits a planned statement.
///
/// # Errors
/// The rule that is broken, from the statement and public facts alone.
pub fn lower(planned: &Planned, catalogue: &Catalogue, settings: &Settings) -> Result<Lowered, Refusal> {
    if !planned.parameters().fields().is_empty() {
        return Err(Refusal::new(Code::Invalid, "the statement has parameters without values"));
    }
    let (queries, remainder) = split::split(&planned.plan, catalogue.models(), settings)?;
    Ok(Lowered { queries, remainder, output: planned.output.clone() })
}

#[cfg(test)]
pub(crate) use joins::join_tree as joins_for_tests;

#[cfg(test)]
mod tests;
