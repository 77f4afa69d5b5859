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
use datafusion::arrow::array::{RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::accounting::{cells_of_patient, rows_of_patient};

/// Codes of one concept that are named; more are counted.
const NAMED: usize = 24;

/// `step` and `detail`.
pub(super) fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    Arc::new(Schema::new(vec![text("step"), text("detail")]))
}

/// One row a step of the way, in order: the questions that go to nodes, what their concepts become, what one patient can
/// add, and what the hub computes.
pub(super) fn explain(lowered: &Lowered, models: &Models) -> Result<RecordBatch, Refusal> {
    let mut steps: Vec<(String, String)> = Vec::new();
    for (i, query) in lowered.queries.iter().enumerate() {
        steps.push((format!("question {i}"), to_sql(query, models)));
        for used in concepts(query) {
            steps.push(("concept".to_owned(), used.meaning(models)?));
        }
        steps.push(("gate".to_owned(), gate(query, models)?));
    }
    if lowered.queries.is_empty() {
        steps.push(("nodes".to_owned(), "none is asked: public tables answer".to_owned()));
    }
    steps.push(("hub".to_owned(), lowered.remainder.display_indent().to_string()));
    let column = |of: fn(&(String, String)) -> &str| {
        let texts = steps.iter().map(of).map(Some).collect::<StringArray>();
        Arc::new(texts) as _
    };
    RecordBatch::try_new(schema(), vec![column(|s| &s.0), column(|s| &s.1)])
        .map_err(|e| Refusal::new(Code::Malformed, e.to_string()))
}

fn gate(query: &PrivateQuery, models: &Models) -> Result<String, Refusal> {
    let malformed = |reason| Refusal::new(Code::Malformed, reason);
    let rows = rows_of_patient(query, models).map_err(malformed)?;
    let cells = cells_of_patient(query, models).map_err(malformed)?;
    Ok(format!(
        "every node charges the project, bounds each patient to {rows} rows and {cells} cells, adds noise, and releases \
         cells of enough patients; nodes of published data answer exactly"
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
        let _ = write!(text, "\n  is one of {} codes: {}", codes.len(), shown(&codes));
        let sources = source_codes(&covered, models);
        let _ = write!(text, "\n  recorded as any of {} source codes: {}", sources.len(), shown(&sources));
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

fn shown(codes: &[String]) -> String {
    let mut text = codes.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    if codes.len() > NAMED {
        let _ = write!(text, " and {} more", codes.len() - NAMED);
    }
    text
}

/// The concepts that a question names, each once for a column.
fn concepts(query: &PrivateQuery) -> Vec<Used<'_>> {
    let mut found = Vec::new();
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
