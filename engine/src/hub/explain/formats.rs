//! An explanation as text, as a tree of characters, as JSON, or as a graph for Graphviz.

use std::sync::Arc;

use caim_sql::text::ExplainFormat;
use datafusion::arrow::array::{RecordBatch, StringArray, StringBuilder};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::logical_expr::LogicalPlan;

use super::{Answered, Explanation, Question, question_read};

pub(super) fn shown(explanation: &Explanation, format: ExplainFormat) -> Result<RecordBatch, ArrowError> {
    let branches = || Branch::of(explanation);
    let plan = match format {
        ExplainFormat::Text => return steps(explanation),
        ExplainFormat::Tree => tree(&branches()),
        ExplainFormat::Dot => dot(&branches()),
        ExplainFormat::Json => {
            vec![serde_json::to_string(explanation).map_err(|e| ArrowError::JsonError(e.to_string()))?]
        }
    };
    RecordBatch::try_new(columns(["plan"]), vec![Arc::new(StringArray::from(plan))])
}

fn columns<const N: usize>(names: [&str; N]) -> SchemaRef {
    Arc::new(Schema::new(names.map(|name| Field::new(name, DataType::Utf8, true)).to_vec()))
}

/// One row a line; a step is named on its first line.
fn steps(explanation: &Explanation) -> Result<RecordBatch, ArrowError> {
    let Explanation { cubes, questions, hub } = explanation;
    let mut steps = Steps::default();
    cubes.iter().for_each(|cube| steps.add("cube", &cube.text));
    for (number, question) in questions.iter().enumerate() {
        steps.add(&format!("question {number}"), &question.sql);
        question.parts().iter().for_each(|(step, text)| steps.add(step, text));
    }
    if questions.is_empty() && cubes.is_empty() {
        steps.add("nodes", "none is asked: public tables answer");
    }
    steps.add("hub", &hub.display_indent().to_string());
    RecordBatch::try_new(
        columns(["step", "detail"]),
        vec![Arc::new(steps.names.finish()), Arc::new(steps.lines.finish())],
    )
}

/// The rows of the answer as they come.
#[derive(Default)]
struct Steps {
    names: StringBuilder,
    lines: StringBuilder,
}

impl Steps {
    fn add(&mut self, step: &str, text: &str) {
        let mut name = Some(step);
        for line in text.lines() {
            self.names.append_option(name.take());
            self.lines.append_value(line);
        }
    }
}

impl Question {
    /// What is said of a question beside its text.
    fn parts(&self) -> Vec<(&'static str, String)> {
        let mut parts: Vec<_> = self.concepts.iter().map(|meaning| ("concept", meaning.text())).collect();
        match &self.answered {
            Answered::Cube(cube) => parts.push(("cube", cube.text.clone())),
            Answered::Nodes(asked) => parts.extend([("gate", asked.gate()), ("nodes", asked.nodes())]),
        }
        parts
    }
}

/// A step, above the steps that it reads from.
struct Branch {
    title: String,
    text: String,
    below: Vec<Branch>,
}

impl Branch {
    /// The hub's steps, each question below the step that reads its cells; cubes that are read by name below the root.
    fn of(explanation: &Explanation) -> Self {
        let mut hung = vec![false; explanation.questions.len()];
        let mut root = Self::step(&explanation.hub, &explanation.questions, &mut hung);
        let elsewhere = explanation.questions.iter().enumerate().filter(|(number, _)| !hung[*number]);
        root.below.extend(elsewhere.map(|(number, question)| Self::question(number, question)));
        root.below.extend(explanation.cubes.iter().map(|cube| Self::leaf("cube", &cube.text)));
        root
    }

    fn step(plan: &LogicalPlan, questions: &[Question], hung: &mut [bool]) -> Self {
        let mut below: Vec<Self> =
            plan.inputs().into_iter().map(|input| Self::step(input, questions, hung)).collect();
        if let Some(number) = question_read(plan, questions.len())
            && let Some(question) = questions.get(number)
        {
            hung[number] = true;
            below.push(Self::question(number, question));
        }
        Self { title: "hub".to_owned(), text: plan.display().to_string(), below }
    }

    fn question(number: usize, question: &Question) -> Self {
        let below = question.parts().iter().map(|(step, text)| Self::leaf(step, text)).collect();
        Self { title: format!("question {number}"), text: question.sql.clone(), below }
    }

    fn leaf(title: &str, text: &str) -> Self {
        Self { title: title.to_owned(), text: text.to_owned(), below: Vec::new() }
    }
}

/// The tree as lines, each branch below its parent.
fn tree(root: &Branch) -> Vec<String> {
    fn draw(branch: &Branch, first: &str, rest: &str, lines: &mut Vec<String>) {
        let bar = if branch.below.is_empty() { "    " } else { "│   " };
        for (i, line) in format!("{}: {}", branch.title, branch.text).lines().enumerate() {
            lines.push(if i == 0 { format!("{first}{line}") } else { format!("{rest}{bar}{line}") });
        }
        let last = branch.below.len().saturating_sub(1);
        for (i, below) in branch.below.iter().enumerate() {
            let (first, bar) = if i == last { ("└── ", "    ") } else { ("├── ", "│   ") };
            draw(below, &format!("{rest}{first}"), &format!("{rest}{bar}"), lines);
        }
    }
    let mut lines = Vec::new();
    draw(root, "", "", &mut lines);
    lines
}

/// The tree as a graph; arrows go the way of the values, from the nodes up to the answer.
fn dot(root: &Branch) -> Vec<String> {
    fn draw(branch: &Branch, count: &mut usize, graph: &mut Vec<String>) -> usize {
        let id = *count;
        *count += 1;
        let label = quoted(&format!("{}: {}", branch.title, branch.text));
        graph.push(format!("  n{id} [label={label}]"));
        for below in &branch.below {
            let from = draw(below, count, graph);
            graph.push(format!("  n{from} -> n{id}"));
        }
        id
    }
    let head = ["digraph plan {", "  node [shape=box fontname=monospace]", "  rankdir=BT"];
    let mut graph: Vec<String> = head.map(str::to_owned).to_vec();
    draw(root, &mut 0, &mut graph);
    graph.push("}".to_owned());
    graph
}

/// A text as Graphviz reads it: `\l` ends a line that stands left.
fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\\l\"", escaped.replace('\n', "\\l"))
}
