//! The published vocabulary as tables of schema `catalog`: concepts, their hierarchy, names and codes, and the mappings
//! of the hub. Made once, when first asked for, since none of it changes while the hub runs.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use caim_ontology::{Concept, ConceptId, Models, Ontology};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;

use super::{Cell, Contents, Definition, TEXT, batch, text};

/// Rows of one table: the closure of a large ontology could fill the memory.
const MAX_ROWS: usize = 8_000_000;

/// The tables, each with the place of its rows in [`Made`].
pub(super) const DEFINITIONS: &[Definition] = &[
    Definition {
        schema: "catalog",
        name: "concept",
        comment: "One row a concept of the hyperontology.",
        columns: &[
            ("concept_code", TEXT),
            ("label", TEXT),
            ("definition", TEXT),
            ("domain", TEXT),
            ("searchable", DataType::Boolean),
            ("deprecated", DataType::Boolean),
            ("equivalent_to", TEXT),
            ("descendants", DataType::Int64),
            ("closure_hash", TEXT),
        ],
        rows: concepts,
    },
    Definition {
        schema: "catalog",
        name: "concept_ancestor",
        comment: "One row a concept and one above it, or itself at distance 0; distance counts the fewest steps.",
        columns: &[("concept_code", TEXT), ("ancestor_code", TEXT), ("distance", DataType::Int64)],
        rows: ancestors,
    },
    Definition {
        schema: "catalog",
        name: "concept_parent",
        comment: "One row a concept and one right above it.",
        columns: &[("concept_code", TEXT), ("parent_code", TEXT)],
        rows: parents,
    },
    Definition {
        schema: "catalog",
        name: "cross_code",
        comment: "One row a concept and a code of another vocabulary that means the same.",
        columns: &[("concept_code", TEXT), ("system", TEXT), ("code", TEXT)],
        rows: cross_codes,
    },
    Definition {
        schema: "catalog",
        name: "mapping",
        comment: "One row a line of the hub's mapping sets: what values of sources mean. Nodes may have further ones.",
        columns: &[
            ("mapping_set", TEXT),
            ("line", DataType::Int64),
            ("subject_source", TEXT),
            ("subject_value", TEXT),
            ("predicate", TEXT),
            ("negated", DataType::Boolean),
            ("object_code", TEXT),
            ("concept_code", TEXT),
            ("confidence", DataType::Float64),
            ("justification", TEXT),
        ],
        rows: mappings,
    },
    Definition {
        schema: "catalog",
        name: "synonym",
        comment: "One row another name of a concept.",
        columns: &[("concept_code", TEXT), ("synonym", TEXT)],
        rows: synonyms,
    },
];

/// The rows that were asked for so far.
#[derive(Default)]
pub(in crate::hub) struct Made {
    tables: [OnceLock<RecordBatch>; DEFINITIONS.len()],
}

impl Made {
    /// The rows of a table of the vocabulary; `None` if it is none.
    pub(super) fn table(
        &self,
        contents: &Contents<'_>,
        schema: &str,
        name: &str,
    ) -> Option<Result<RecordBatch, DataFusionError>> {
        let place = DEFINITIONS.iter().position(|d| d.schema == schema && d.name == name)?;
        let (definition, cell) = (&DEFINITIONS[place], &self.tables[place]);
        if let Some(made) = cell.get() {
            return Some(Ok(made.clone()));
        }
        Some(rows(definition, contents).map(|made| cell.get_or_init(|| made).clone()))
    }
}

fn rows(definition: &Definition, contents: &Contents<'_>) -> Result<RecordBatch, DataFusionError> {
    if definition.name == "concept_ancestor" && closure_size(&contents.models.ontology()) > MAX_ROWS {
        let reason =
            format!("catalog.concept_ancestor would have more than {MAX_ROWS} rows; ask with is_a() instead");
        return Err(DataFusionError::ResourcesExhausted(reason));
    }
    batch(definition, contents)
}

fn closure_size(ontology: &Ontology) -> usize {
    ontology.iter().map(|(id, _)| ontology.descendants(id).len()).sum()
}

fn each(
    models: &Models,
    mut row: impl FnMut(&Ontology, ConceptId, &Concept, &mut Vec<Vec<Cell>>),
) -> Vec<Vec<Cell>> {
    let ontology = models.ontology();
    let mut rows = Vec::new();
    for (id, concept) in ontology.iter() {
        row(&ontology, id, concept, &mut rows);
    }
    rows
}

fn optional(value: Option<&str>) -> Cell {
    value.map_or(Cell::Null, text)
}

fn concepts(contents: &Contents<'_>) -> Vec<Vec<Cell>> {
    each(contents.models, |ontology, id, concept, rows| {
        let canonical = ontology.equivalents(id).first().filter(|canonical| **canonical != id);
        rows.push(vec![
            text(ontology.curie(id)),
            text(&*concept.label),
            optional(concept.definition.as_deref()),
            optional(concept.domain.as_deref()),
            Cell::Truth(concept.searchable),
            Cell::Truth(concept.obsolete),
            canonical.map_or(Cell::Null, |canonical| text(ontology.curie(*canonical))),
            Cell::Integer(ontology.descendants(id).len() as i64 - 1),
            text(ontology.closure_hash(id).to_string()),
        ]);
    })
}

fn parents(contents: &Contents<'_>) -> Vec<Vec<Cell>> {
    each(contents.models, |ontology, id, concept, rows| {
        let code = ontology.curie(id);
        rows.extend(concept.parents.iter().map(|parent| vec![text(&code), text(ontology.curie(*parent))]));
    })
}

fn ancestors(contents: &Contents<'_>) -> Vec<Vec<Cell>> {
    each(contents.models, |ontology, id, _, rows| {
        let code = ontology.curie(id);
        for (above, distance) in distances(ontology, id) {
            rows.push(vec![text(&code), text(ontology.curie(above)), Cell::Integer(distance)]);
        }
    })
}

/// The concept and all above it, with the fewest steps to each.
fn distances(ontology: &Ontology, concept: ConceptId) -> BTreeMap<ConceptId, i64> {
    let mut found = BTreeMap::from([(concept, 0)]);
    let mut level = vec![concept];
    let mut distance = 0;
    while !level.is_empty() {
        distance += 1;
        let above =
            level.iter().filter_map(|id| ontology.concept(*id)).flat_map(|c| c.parents.iter().copied());
        let mut next: Vec<ConceptId> = above.filter(|id| !found.contains_key(id)).collect();
        next.sort_unstable();
        next.dedup();
        found.extend(next.iter().map(|id| (*id, distance)));
        level = next;
    }
    found
}

fn cross_codes(contents: &Contents<'_>) -> Vec<Vec<Cell>> {
    each(contents.models, |ontology, id, concept, rows| {
        let code = ontology.curie(id);
        let row = |cross: &caim_ontology::CrossCode| {
            vec![text(&code), text(cross.system.name()), text(&*cross.code)]
        };
        rows.extend(concept.cross_codes.iter().map(row));
    })
}

fn synonyms(contents: &Contents<'_>) -> Vec<Vec<Cell>> {
    each(contents.models, |ontology, id, concept, rows| {
        let code = ontology.curie(id);
        rows.extend(concept.synonyms.iter().map(|synonym| vec![text(&code), text(&**synonym)]));
    })
}

fn mappings(contents: &Contents<'_>) -> Vec<Vec<Cell>> {
    let mappings = contents.models.mappings();
    let ontology = mappings.ontology();
    let mut rows = Vec::new();
    for set in mappings.sets() {
        for mapping in &set.mappings {
            let object = mapping.object.as_deref();
            let concept = object.and_then(|object| ontology.resolve(object, &[]).ok());
            rows.push(vec![
                text(&set.id),
                Cell::Integer(mapping.line as i64),
                text(&mapping.source),
                text(&mapping.value),
                text(mapping.predicate.to_string()),
                Cell::Truth(mapping.negated),
                optional(object),
                concept.map_or(Cell::Null, |concept| text(ontology.curie(concept))),
                Cell::Real(mapping.confidence.unwrap_or(1.0)),
                text(&mapping.justification),
            ]);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{Array, AsArray};
    use datafusion::arrow::datatypes::Int64Type;

    use super::*;
    use crate::channel::{NodeChannel, NodeId};
    use crate::federate::Nodes;
    use crate::hub::cubes::Cubes;

    struct Nobody;

    impl Nodes for Nobody {
        fn linked(&self) -> Vec<Arc<dyn NodeChannel>> {
            Vec::new()
        }

        fn known(&self) -> Vec<NodeId> {
            Vec::new()
        }
    }

    fn table(name: &str) -> RecordBatch {
        let (models, vocabulary) = (Arc::new(Models::bundled().unwrap()), Made::default());
        let shelf = Cubes::new(Arc::clone(&models)).shelf();
        let contents = Contents { models: &models, nodes: &Nobody, vocabulary: &vocabulary, shelf: &shelf };
        let made = contents.table("catalog", name).unwrap();
        let again = contents.table("catalog", name).unwrap();
        assert!(Arc::ptr_eq(made.column(0), again.column(0)), "the rows are made once");
        made
    }

    #[test]
    fn every_concept_name_code_and_mapping_of_the_hub_has_its_row() {
        let ontology = Ontology::bundled();
        let sum = |count: fn(&Concept) -> usize| ontology.iter().map(|(_, c)| count(c)).sum::<usize>();
        assert_eq!(table("concept").num_rows(), ontology.len());
        assert_eq!(table("concept_parent").num_rows(), sum(|c| c.parents.len()));
        assert_eq!(table("cross_code").num_rows(), sum(|c| c.cross_codes.len()));
        assert_eq!(table("synonym").num_rows(), sum(|c| c.synonyms.len()));
        assert_eq!(table("concept_ancestor").num_rows(), closure_size(&ontology));
        let mappings = Models::bundled().unwrap().mappings();
        let lines: usize = mappings.sets().iter().map(|set| set.mappings.len()).sum();
        assert_eq!(table("mapping").num_rows(), lines);
    }

    #[test]
    fn distances_count_the_fewest_steps() {
        let ontology = Ontology::bundled();
        let rows = table("concept_ancestor");
        let codes = [0, 1].map(|column| rows.column(column).as_string::<i32>().clone());
        let distance = rows.column(2).as_primitive::<Int64Type>();
        let of = |concept: &str, above: &str| {
            (0..rows.num_rows())
                .find(|row| codes[0].value(*row) == concept && codes[1].value(*row) == above)
                .map(|row| distance.value(row))
        };
        assert_eq!(of("EUCAIM:BP1000021", "EUCAIM:BP1000021"), Some(0));
        for (id, _) in ontology.iter().take(50) {
            for above in ontology.ancestors(id) {
                let steps = of(&ontology.curie(id), &ontology.curie(above)).unwrap();
                let direct = ontology.concept(id).unwrap().parents.contains(&above);
                assert_eq!((steps == 0, steps == 1), (above == id, direct), "{steps}");
            }
        }
        assert_eq!(rows.column(0).null_count(), 0);
    }
}
