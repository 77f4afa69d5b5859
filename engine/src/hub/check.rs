//! What a statement would push down, cost and protect: computed from the question and the nodes' public policies.

use std::fmt;

use caim_ontology::Models;
use caim_sql::canonical::to_sql;
use caim_sql::private_query::{Aggregate, Days, Number};
use caim_sql::{Code, PrivateQuery, Refusal};
use serde::Serialize;

use super::Uses;
use crate::accounting::Accounting;
use crate::channel::Profile;
use crate::federate::CubeUse;
use crate::policy::Policy;

/// The outcome of a check, as text or JSON. Touches no data.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Check {
    /// The published cubes that are read by name.
    #[serde(rename = "cubes")]
    read: Vec<CubeUse>,
    questions: Vec<Question>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Question {
    sql: String,
    /// The cube that answers in the place of the nodes.
    cube: Option<CubeUse>,
    nodes: Vec<NodeCost>,
}

/// What a question costs at a node.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct NodeCost {
    node: String,
    /// `None` for published data: exact and free.
    gate: Option<GateCost>,
}

/// What a question costs at a node, and what the node's policy does to the answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct GateCost {
    rho: f64,
    delta: f64,
    budget_rho: f64,
    rows_per_patient: u32,
    cells_per_patient: u32,
    noise_sd: f64,
    threshold: u32,
    rounding: u32,
    measures: Vec<Noise>,
}

/// What the gate does to a measure.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Noise {
    measure: String,
    noise_sd: f64,
    /// The count of patients from which cells are released about half of the time.
    released_from: f64,
}

impl Check {
    pub(super) fn new(
        queries: &[PrivateQuery],
        models: &Models,
        profiles: &[Profile],
        uses: &Uses,
    ) -> Result<Self, Refusal> {
        let question = |(query, cube): (&PrivateQuery, &Option<CubeUse>)| {
            let asked = if cube.is_some() { &[] } else { profiles };
            let nodes = asked.iter().map(|p| NodeCost::new(query, models, p)).collect::<Result<_, _>>()?;
            Ok(Question { sql: to_sql(query, models), cube: cube.clone(), nodes })
        };
        let questions = queries.iter().zip(&uses.answering).map(question).collect::<Result<_, Refusal>>()?;
        Ok(Self { read: uses.read.clone(), questions })
    }

    /// What the statement costs at its dearest node: 0 when nothing is asked or all data is published.
    #[must_use]
    pub fn rho(&self) -> f64 {
        let at_node = |i: usize| -> f64 {
            self.questions.iter().filter_map(|q| q.nodes.get(i)?.gate.as_ref()).map(|g| g.rho).sum()
        };
        let nodes = self.questions.iter().map(|q| q.nodes.len()).max().unwrap_or(0);
        (0..nodes).map(at_node).fold(0.0, f64::max)
    }
}

impl NodeCost {
    pub(super) fn new(query: &PrivateQuery, models: &Models, profile: &Profile) -> Result<Self, Refusal> {
        let node = profile.node.to_string();
        if profile.policy.public_data {
            return Ok(Self { node, gate: None });
        }
        let accounting = Accounting::new(query, models, &profile.policy)
            .map_err(|reason| Refusal::new(Code::Malformed, reason))?;
        let measure = |(i, m): (usize, &caim_sql::private_query::Measure)| {
            let noise = accounting.noise_of(i)?;
            // A mean is released as a centred sum over a count of rows; the noise is that of the sum.
            let vector = match m.of {
                Aggregate::Avg(_) | Aggregate::Variance { .. } => " (its centred sum)",
                Aggregate::Quantile { .. } => " (rows in each public bin)",
                Aggregate::Patients | Aggregate::Rows | Aggregate::Distinct(_) | Aggregate::Sum(_) => "",
            };
            Some(Noise {
                measure: format!("{}{vector}", describe(&m.of)),
                noise_sd: noise.sd,
                released_from: noise.effective_threshold,
            })
        };
        let measures = query.measures.iter().enumerate().filter_map(measure).collect();
        let Accounting { rho, delta, rows_per_patient, cells_per_patient, noise_sd, .. } = accounting;
        let Policy { budget_rho, threshold, rounding, .. } = profile.policy;
        let gate = GateCost {
            rho,
            delta,
            budget_rho,
            rows_per_patient,
            cells_per_patient,
            noise_sd,
            threshold,
            rounding,
            measures,
        };
        Ok(Self { node, gate: Some(gate) })
    }
}

/// A measure in words.
pub(super) fn describe(of: &Aggregate) -> String {
    match of {
        Aggregate::Patients => "patients".into(),
        Aggregate::Rows => "rows".into(),
        Aggregate::Distinct(column) => format!("distinct {}", column.column),
        Aggregate::Sum(number) => format!("sum of {}", describe_number(number)),
        Aggregate::Avg(number) => format!("mean of {}", describe_number(number)),
        Aggregate::Variance { of, .. } => format!("variance of {}", describe_number(of)),
        Aggregate::Quantile { of, share } => {
            format!("{} % percentile of {}", share.get() * 100.0, describe_number(of))
        }
    }
}

fn describe_number(number: &Number) -> String {
    match number {
        Number::Column(column) => column.column.clone(),
        Number::Days(Days { from, to }) => format!("days from {} to {}", from.column, to.column),
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for cube in &self.read {
            write!(f, "{cube}: asks no node and costs 0")?;
            writeln!(f)?;
        }
        if self.questions.is_empty() {
            return write!(f, "answered at the hub from public tables: asks no node and costs nothing");
        }
        for (i, question) in self.questions.iter().enumerate() {
            let separator = if i == 0 { "" } else { "\n\n" };
            if let Some(cube) = &question.cube {
                write!(f, "{separator}{cube}: asks no node and costs 0\n  {}", question.sql)?;
                continue;
            }
            write!(f, "{separator}pushed down to every node:\n  {}", question.sql)?;
            if question.nodes.is_empty() {
                write!(f, "\nno node is linked")?;
            }
            for node in &question.nodes {
                write!(f, "\n{node}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for NodeCost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.gate {
            None => write!(f, "{}: published data, exact and free", self.node),
            Some(gate) => write!(f, "{}: {gate}", self.node),
        }
    }
}

impl fmt::Display for GateCost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rho, delta, budget_rho, rows_per_patient, cells_per_patient, noise_sd, measures, .. } =
            self;
        write!(
            f,
            "costs rho {rho:.5} of {budget_rho} a window (delta {delta:.1e}) at noise_sd {noise_sd}; a patient adds \
             at most {rows_per_patient} rows in {cells_per_patient} cells"
        )?;
        for Noise { measure, noise_sd, released_from } in measures {
            write!(
                f,
                "\n    {measure}: noise sd {noise_sd:.4}, released from about {released_from:.0} patients"
            )?;
        }
        Ok(())
    }
}
