//! What the concepts of a question become: codes of the column, and codes of sources that are recorded as one of them.

use std::collections::BTreeSet;
use std::fmt::Write;

use caim_ontology::{ConceptId, Models, Table};
use caim_sql::concepts::Vocabulary;
use caim_sql::private_query::{Atom, BoolTree, ColumnRef, ConceptRef, Dim, JoinTree, PrivateQuery};
use caim_sql::{Code, Refusal};
use serde::Serialize;

/// Codes of one concept that are named; more are counted.
const NAMED: usize = 24;
/// Bytes of one line of codes.
const LINE_BYTES: usize = 96;

/// What a concept means in a column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Meaning {
    /// The concept's code and label.
    concept: String,
    /// Table and column.
    column: String,
    /// The codes of the column that it covers.
    codes: Vec<String>,
    /// The codes of sources that become one of them.
    source_codes: Vec<String>,
}

impl Meaning {
    /// The meanings of all concepts that a question names, each once for a column.
    pub(super) fn all(query: &PrivateQuery, models: &Models) -> Result<Vec<Self>, Refusal> {
        concepts(query).iter().map(|used| used.meaning(models)).collect()
    }

    /// In words, over a few lines that fit a terminal.
    pub(super) fn text(&self) -> String {
        let Self { concept, column, codes, source_codes } = self;
        let mut text = format!("{concept} in {column}");
        let _ = write!(text, "\n  is one of {} codes:\n{}", codes.len(), shown(codes));
        let _ = write!(
            text,
            "\n  recorded as any of {} source codes:\n{}",
            source_codes.len(),
            shown(source_codes)
        );
        text
    }
}

/// A concept in a question, and the column that it is about.
struct Used<'q> {
    from: &'q JoinTree,
    column: &'q ColumnRef,
    concept: &'q ConceptRef,
}

impl Used<'_> {
    /// Which codes of the column the concept covers, and which codes of sources become one of them.
    fn meaning(&self, models: &Models) -> Result<Meaning, Refusal> {
        let table = self.table(models)?;
        let missing = || Refusal::new(Code::Malformed, "a column that is not there");
        let column = table.column(&self.column.column).ok_or_else(missing)?;
        let vocabulary = Vocabulary::of(column, &column.name, models)?;
        let ontology = vocabulary.ontology();
        let concept = vocabulary.known(self.concept)?;
        let covered: Vec<ConceptId> =
            vocabulary.concepts().into_iter().filter(|id| ontology.is_a(*id, concept)).collect();
        Ok(Meaning {
            concept: ontology.suggestion(concept).to_string(),
            column: format!("{}.{}", table.name, column.name),
            codes: covered.iter().map(|id| ontology.curie(*id)).collect(),
            source_codes: source_codes(&covered, models),
        })
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
