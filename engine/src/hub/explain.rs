//! `EXPLAIN`: how a statement would be answered, from the statement, the data models and the published vocabulary
//! alone. It asks no node, and its text is the same whatever any node holds.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

use caim_ontology::{ConceptId, Models, Table};
use caim_sql::canonical::to_sql;
use caim_sql::concepts::Vocabulary;
use caim_sql::lower::Lowered;
use caim_sql::private_query::{Atom, BoolTree, ColumnRef, ConceptRef, Dim, JoinTree, PrivateQuery};
use caim_sql::{Code, Refusal};
use datafusion::arrow::array::{RecordBatch, StringBuilder};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;

use super::Uses;
use crate::accounting::{cells_of_patient, rows_of_patient};

/// Codes of one concept that are named; more are counted.
const NAMED: usize = 24;
/// Bytes of one line of codes.
const LINE_BYTES: usize = 96;

/// `step` and `detail`.
pub(super) fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    Arc::new(Schema::new(vec![text("step"), text("detail")]))
}

/// The steps of the way, in order, one row a line of text: the questions that go to nodes, what their concepts become,
/// what one patient can add, and what the hub computes. A step is named on its first line.
pub(super) fn explain(lowered: &Lowered, models: &Models, uses: &Uses) -> Result<RecordBatch, Refusal> {
    let mut steps = Steps::default();
    for cube in &uses.read {
        steps.add("cube", &format!("{cube}, free of charge; no node is asked"));
    }
    for (i, query) in lowered.queries.iter().enumerate() {
        steps.add(&format!("question {i}"), &to_sql(query, models));
        let models = query.over(models)?;
        let models = models.as_ref();
        for used in concepts(query) {
            steps.add("concept", &used.meaning(models)?);
        }
        match uses.answering.get(i).and_then(Option::as_ref) {
            Some(cube) => steps.add("cube", &format!("{cube}, free of charge; no node is asked")),
            None => steps.add("gate", &gate(query, models)?),
        }
    }
    if lowered.queries.is_empty() && uses.read.is_empty() {
        steps.add("nodes", "none is asked: public tables answer");
    }
    steps.add("hub", &lowered.remainder.display_indent().to_string());
    steps.finish().map_err(|e| Refusal::new(Code::Malformed, e.to_string()))
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

    fn finish(mut self) -> Result<RecordBatch, ArrowError> {
        RecordBatch::try_new(schema(), vec![Arc::new(self.names.finish()), Arc::new(self.lines.finish())])
    }
}

fn gate(query: &PrivateQuery, models: &Models) -> Result<String, Refusal> {
    let malformed = |reason| Refusal::new(Code::Malformed, reason);
    let rows = rows_of_patient(query, models).map_err(malformed)?;
    let cells = cells_of_patient(query, models).map_err(malformed)?;
    Ok(format!(
        "every node charges the project and releases, with noise, the cells of enough patients\n\
         a patient adds at most: rows {rows}, cells {cells}\n\
         nodes of published data answer exactly, free of charge"
    ))
}

/// A concept in a question, and the column that it is about.
struct Used<'q> {
    from: &'q JoinTree,
    column: &'q ColumnRef,
    concept: &'q ConceptRef,
}

impl Used<'_> {
    /// Which codes of the column the concept covers, and which codes of sources become one of them.
    fn meaning(&self, models: &Models) -> Result<String, Refusal> {
        let table = self.table(models)?;
        let missing = || Refusal::new(Code::Malformed, "a column that is not there");
        let column = table.column(&self.column.column).ok_or_else(missing)?;
        let vocabulary = Vocabulary::of(column, &column.name, models)?;
        let ontology = vocabulary.ontology();
        let concept = vocabulary.known(self.concept)?;
        let covered: Vec<ConceptId> =
            vocabulary.concepts().into_iter().filter(|id| ontology.is_a(*id, concept)).collect();
        let mut text = format!("{} in {}.{}", ontology.suggestion(concept), table.name, column.name);
        let codes: Vec<String> = covered.iter().map(|id| ontology.curie(*id)).collect();
        let _ = write!(text, "\n  is one of {} codes:\n{}", codes.len(), shown(&codes));
        let sources = source_codes(&covered, models);
        let _ = write!(text, "\n  recorded as any of {} source codes:\n{}", sources.len(), shown(&sources));
        Ok(text)
    }

    fn table<'m>(&self, models: &'m Models) -> Result<&'m Table, Refusal> {
        let missing = || Refusal::new(Code::Malformed, "a table that is not there");
        let name = self.from.tables.get(self.column.table).ok_or_else(missing)?;
        models.table(&name.schema, &name.table).map_err(|_| missing())
    }
}

/// The codes of other vocabularies that concepts bear, and the values that published mappings give to them.
fn source_codes(concepts: &[ConceptId], models: &Models) -> Vec<String> {
    let mappings = models.mappings();
    let ontology = mappings.ontology();
    let mut codes = BTreeSet::new();
    for concept in concepts.iter().filter_map(|id| ontology.concept(*id)) {
        codes.extend(concept.cross_codes.iter().map(ToString::to_string));
    }
    let wanted: BTreeSet<ConceptId> = concepts.iter().copied().collect();
    for line in mappings.sets().iter().flat_map(|set| &set.mappings) {
        let object = line.object.as_deref().and_then(|object| ontology.find(object));
        if line.predicate.translates() && !line.negated && object.is_some_and(|id| wanted.contains(&id)) {
            codes.insert(format!("{}:{}", line.source, line.value));
        }
    }
    codes.into_iter().collect()
}

/// Codes in lines that fit a terminal.
fn shown(codes: &[String]) -> String {
    let mut lines = Vec::new();
    let mut line = String::new();
    for code in codes.iter().take(NAMED) {
        if line.len() + code.len() > LINE_BYTES {
            lines.push(std::mem::take(&mut line));
        }
        let _ = write!(line, "{}{code}", if line.is_empty() { "    " } else { ", " });
    }
    if codes.len() > NAMED {
        let _ = write!(line, " and {} more", codes.len() - NAMED);
    }
    lines.push(line);
    lines.join(",\n")
}

/// The concepts that a question names, each once for a column.
fn concepts(query: &PrivateQuery) -> Vec<Used<'_>> {
    let mut found = Vec::new();
    for table in &query.per_patient {
        in_condition(&table.cohort, &table.from, &mut found);
        table.values.iter().for_each(|value| in_condition(&value.filter, &table.from, &mut found));
    }
    let from = &query.from;
    in_condition(&query.cohort, from, &mut found);
    for dim in &query.dims {
        match dim {
            Dim::RollUp { column, to } => {
                found.extend(to.iter().map(|concept| Used { from, column, concept }));
            }
            Dim::Column(_) | Dim::DatePart { .. } | Dim::Bin { .. } | Dim::Label(_) | Dim::Recode { .. } => {}
        }
    }
    for measure in &query.measures {
        in_condition(&measure.filter, from, &mut found);
    }
    let mut known = BTreeSet::new();
    found.retain(|used| {
        let table = used.from.tables.get(used.column.table);
        known.insert((table, &used.column.column, used.concept))
    });
    found
}

fn in_condition<'q>(condition: &'q BoolTree, from: &'q JoinTree, found: &mut Vec<Used<'q>>) {
    match condition {
        BoolTree::And(parts) | BoolTree::Or(parts) => {
            parts.iter().for_each(|part| in_condition(part, from, found));
        }
        BoolTree::Not(part) => in_condition(part, from, found),
        BoolTree::Is(Atom::IsA { column, concept }) => found.push(Used { from, column, concept }),
        BoolTree::Is(Atom::Exists(exists)) => in_condition(&exists.cohort, &exists.from, found),
        BoolTree::Is(Atom::In { .. } | Atom::IsNull { .. } | Atom::Range { .. } | Atom::DateDiff { .. }) => {}
    }
}
