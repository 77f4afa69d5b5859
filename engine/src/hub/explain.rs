//! `EXPLAIN`: how a statement would be answered, from the statement, the data models, the published vocabulary and what
//! nodes say of themselves when they link. It asks no node, and its text is the same whatever any node holds.

mod formats;
mod meaning;

use caim_ontology::Models;
use caim_sql::canonical::to_sql;
use caim_sql::lower::Lowered;
use caim_sql::text::ExplainFormat;
use caim_sql::{Code, PrivateQuery, Refusal, released};
use datafusion::arrow::array::RecordBatch;
use datafusion::logical_expr::LogicalPlan;
use serde::{Serialize, Serializer};

use super::Uses;
use super::check::NodeCost;
use crate::accounting::{cells_of_patient, rows_of_patient};
use crate::channel::NodeId;
use crate::federate::{CubeUse, Nodes};
use meaning::Meaning;

/// The way of a statement, in order: the questions that go to nodes, what their concepts become, what one patient can
/// add, and what the hub computes.
#[derive(Debug, Serialize)]
struct Explanation {
    /// The published cubes that are read by name.
    cubes: Vec<Cube>,
    questions: Vec<Question>,
    /// What the hub runs over the released values.
    #[serde(serialize_with = "text")]
    hub: LogicalPlan,
}

/// A question in closed form, and who answers it.
#[derive(Debug, Serialize)]
struct Question {
    sql: String,
    concepts: Vec<Meaning>,
    #[serde(flatten)]
    answered: Answered,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "answered_by")]
enum Answered {
    /// A published cube, in the place of the nodes.
    Cube(Cube),
    /// The nodes, through their gates.
    Nodes(Asked),
}

#[derive(Debug, Serialize)]
struct Cube {
    #[serde(rename = "cube")]
    name: String,
    #[serde(skip)]
    text: String,
}

/// The nodes that are asked, with what the question costs there, and what one patient can add.
#[derive(Debug, Serialize)]
struct Asked {
    rows_per_patient: u32,
    cells_per_patient: u32,
    nodes: Vec<NodeCost>,
    skipped: Vec<Skipped>,
}

/// A node that is known and will not be asked.
#[derive(Debug, Serialize)]
struct Skipped {
    node: String,
    reason: &'static str,
}

/// The explanation of a statement: rows of `step` and `detail`, one row a line of text; a tree or graph is one column
/// `plan`, one row a line; JSON is one row of it.
pub(super) fn explain(
    lowered: &Lowered,
    models: &Models,
    uses: &Uses,
    nodes: &dyn Nodes,
    format: ExplainFormat,
) -> Result<RecordBatch, Refusal> {
    let question =
        |(query, cube): (&PrivateQuery, &Option<CubeUse>)| Question::new(query, models, cube, nodes);
    let explanation = Explanation {
        cubes: uses.read.iter().map(Cube::new).collect(),
        questions: lowered.queries.iter().zip(&uses.answering).map(question).collect::<Result<_, _>>()?,
        hub: lowered.remainder.clone(),
    };
    formats::shown(&explanation, format).map_err(|e| Refusal::new(Code::Malformed, e.to_string()))
}

impl Question {
    fn new(
        query: &PrivateQuery,
        models: &Models,
        cube: &Option<CubeUse>,
        nodes: &dyn Nodes,
    ) -> Result<Self, Refusal> {
        let sql = to_sql(query, models);
        let models = query.over(models)?;
        let answered = match cube {
            Some(cube) => Answered::Cube(Cube::new(cube)),
            None => Answered::Nodes(Asked::new(query, &models, nodes)?),
        };
        Ok(Self { sql, concepts: Meaning::all(query, &models)?, answered })
    }
}

impl Cube {
    fn new(used: &CubeUse) -> Self {
        Self { name: used.name.clone(), text: format!("{used}, free of charge; no node is asked") }
    }
}

impl Asked {
    fn new(query: &PrivateQuery, models: &Models, nodes: &dyn Nodes) -> Result<Self, Refusal> {
        let malformed = |reason| Refusal::new(Code::Malformed, reason);
        let linked = nodes.linked();
        let is_linked = |node: &NodeId| linked.iter().any(|channel| channel.profile().node == *node);
        let away = nodes.known().into_iter().filter(|node| !is_linked(node));
        let costs = linked.iter().map(|channel| NodeCost::new(query, models, channel.profile()));
        Ok(Self {
            rows_per_patient: rows_of_patient(query, models).map_err(malformed)?,
            cells_per_patient: cells_of_patient(query, models).map_err(malformed)?,
            skipped: away.map(|node| Skipped { node: node.to_string(), reason: "not linked" }).collect(),
            nodes: costs.collect::<Result<_, _>>()?,
        })
    }

    /// What every node that is asked does before it releases anything.
    fn gate(&self) -> String {
        format!(
            "every node charges the project and releases, with noise, the cells of enough patients\n\
             a patient adds at most: rows {}, cells {}\n\
             nodes of published data answer exactly, free of charge",
            self.rows_per_patient, self.cells_per_patient
        )
    }

    /// Who is asked, at what cost, and who is not.
    fn nodes(&self) -> String {
        let asked = self.nodes.iter().map(ToString::to_string);
        let skipped = self.skipped.iter().map(|s| format!("{}: skipped, {}", s.node, s.reason));
        let lines: Vec<String> = asked.chain(skipped).collect();
        if lines.is_empty() { "none is linked".to_owned() } else { lines.join("\n") }
    }
}

/// The number of the question whose released cells a step of the hub reads.
fn question_read(step: &LogicalPlan, questions: usize) -> Option<usize> {
    let LogicalPlan::TableScan(scan) = step else { return None };
    let named = |number: &usize| {
        [false, true].iter().any(|apart| scan.table_name.table() == released::table(*number, *apart))
    };
    (0..questions).find(|number| scan.table_name.schema().is_none() && named(number))
}

fn text<S: Serializer>(plan: &LogicalPlan, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(plan.display_indent().to_string().lines())
}
