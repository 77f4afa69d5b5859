//! What stands in coded columns: OMOP concepts against the vocabulary of the sources, those of the common model against the
//! hyperontology. Each column is read once, and its different values are looked up together.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use caim_ontology::{Column, ConceptId, Ontology, TableKind};
use caim_warehouse::TableName;

use super::rules::{About, Place};
use super::scan::{number, quoted, relation, rows};
use super::tables::CONCEPT;
use super::{Checked, Look};
use crate::build::session::Session;
use crate::{Code, Error, Result};

pub(super) const BELOW_ROOTS: &str = "concept_below_roots";
const IN_VOCABULARY: &str = "concept_in_vocabulary";
const IN_DOMAIN: &str = "concept_in_domain";
const STANDARD: &str = "concept_is_standard";

/// What the columns have, and what the vocabulary says of it. One row a concept, whatever the collections.
const LOOKED_UP: &str = "
    WITH used AS ({used}),
         known AS (SELECT concept_id, min(domain_id) AS domain_id, bool_or(standard_concept = 'S') AS standard
                   FROM omop.concept WHERE concept_id IN (SELECT concept FROM used) GROUP BY concept_id)
    SELECT used.place, sum(used.n) AS n, known.concept_id IS NOT NULL AS known, known.domain_id, known.standard
    FROM used LEFT JOIN known ON known.concept_id = used.concept
    GROUP BY used.place, known.concept_id IS NOT NULL, known.domain_id, known.standard";

/// A coded column of a table.
struct Coded<'m> {
    table: TableName,
    column: &'m Column,
    /// Rows that have a concept; of those that the vocabulary has; of those in another domain; of those not standard.
    counts: [u64; 4],
}

impl Coded<'_> {
    fn is_source(&self) -> bool {
        self.column.stored.ends_with("_source_concept_id")
    }

    /// The rows of each different value, under the number of this column.
    fn used(&self, place: usize, value: &str, condition: &str) -> String {
        let (table, column) = (relation(&self.table), quoted(&self.column.stored));
        format!(
            "SELECT {place} AS place, {column} AS {value}, count(*) AS n FROM {table} WHERE {column} {condition} GROUP BY {column}"
        )
    }

    fn about(&self, look: Look<'_>, class: &str, target: &str) -> Result<About> {
        let title = self.table.to_string();
        Ok(look.rules.class(class)?.about(&Place::column(&title, &self.column.stored).with(target)))
    }
}

/// The columns of patients' tables for which something holds.
fn coded<'m>(look: Look<'m>, is_coded: impl Fn(&Column) -> bool) -> Vec<Coded<'m>> {
    let mut all = Vec::new();
    for model in look.models.iter() {
        for table in model.tables.iter().filter(|table| table.kind == TableKind::Patient) {
            for column in table.stored_columns().filter(|column| is_coded(column)) {
                all.push(Coded { table: TableName::new(&model.schema, &table.name), column, counts: [0; 4] });
            }
        }
    }
    all
}

/// The values of all columns whose tables have rows; `None` where none has.
fn used(look: Look<'_>, columns: &[Coded<'_>], value: &str, condition: &str) -> Option<String> {
    let filled = columns.iter().enumerate().filter(|(_, coded)| look.rows(&coded.table) > 0);
    let parts: Vec<String> = filled.map(|(place, coded)| coded.used(place, value, condition)).collect();
    (!parts.is_empty()).then(|| parts.join(" UNION ALL "))
}

fn domain<'l>(look: Look<'l>, column: &Column) -> Option<&'l str> {
    let by_name = look.rules.domains.get(&column.stored).map(String::as_str);
    by_name.or_else(|| column.stored.ends_with("_type_concept_id").then_some("Type Concept"))
}

/// Whether OMOP concepts are in the vocabulary, of the column's domain, and standard. Without a vocabulary nothing is said.
pub(super) async fn in_vocabulary(
    look: Look<'_>,
    session: &Session,
    wanted: &impl Fn(&str) -> bool,
) -> Result<Vec<Checked>> {
    let concept = TableName::new("omop", "concept");
    let is_concept = |column: &Column| column.references.as_ref().is_some_and(|to| to.table == concept.table);
    let mut columns = coded(look, is_concept);
    let asked = [IN_VOCABULARY, IN_DOMAIN, STANDARD].into_iter().any(wanted) && look.rows(&concept) > 0;
    if let Some(used) = asked.then(|| used(look, &columns, "concept", "> 0")).flatten() {
        for batch in rows(session, &LOOKED_UP.replace("{used}", &used)).await? {
            count(look, &mut columns, &batch)?;
        }
    }
    let mut done = Vec::new();
    for coded in columns {
        let [used, known, elsewhere, odd] = coded.counts;
        done.push(coded.about(look, IN_VOCABULARY, "")?.counted(used, used - known));
        if let Some(domain) = domain(look, coded.column).filter(|_| !coded.is_source()) {
            done.push(coded.about(look, IN_DOMAIN, domain)?.counted(known, elsewhere));
        }
        if coded.column.stored.ends_with(CONCEPT) && !coded.is_source() {
            done.push(coded.about(look, STANDARD, "")?.counted(known, odd));
        }
    }
    done.retain(|check| wanted(&check.class));
    Ok(done)
}

/// Adds up rows of `place, n, known, domain_id, standard`.
fn count(look: Look<'_>, columns: &mut [Coded<'_>], batch: &RecordBatch) -> Result<()> {
    let (known, standard) = (batch.column(2).as_boolean(), batch.column(4).as_boolean());
    let domains = texts(batch, 3)?;
    let domains = domains.as_string::<i32>();
    for row in 0..batch.num_rows() {
        let place = usize::try_from(number(batch, 0, row)).unwrap_or(usize::MAX);
        let Some(coded) = columns.get_mut(place) else { continue };
        let n = number(batch, 1, row);
        coded.counts[0] += n;
        if !known.value(row) {
            continue;
        }
        coded.counts[1] += n;
        // Older vocabularies have domains of two names: Condition/Meas.
        let fits = |wanted: &str| domains.value(row).split('/').any(|name| name.eq_ignore_ascii_case(wanted));
        if domain(look, coded.column).is_some_and(|wanted| !fits(wanted)) {
            coded.counts[2] += n;
        }
        if standard.is_null(row) || !standard.value(row) {
            coded.counts[3] += n;
        }
    }
    Ok(())
}

fn texts(batch: &RecordBatch, column: usize) -> Result<arrow::array::ArrayRef> {
    cast(batch.column(column), &DataType::Utf8)
        .map_err(|e| Error::new(Code::Build, "the checks of quality", e))
}

/// Whether the concepts of columns with roots are known to the ontology, and below those roots.
pub(super) async fn below_roots(look: Look<'_>, session: &Session) -> Result<Vec<Checked>> {
    let ontology = look.models.ontology();
    let columns = coded(look, |column| !column.roots.is_empty());
    let mut counts = vec![(0, 0); columns.len()];
    let mut roots: HashMap<usize, Vec<ConceptId>> = HashMap::new();
    let Some(used) = used(look, &columns, "code", "IS NOT NULL") else {
        return named(look, &columns, &counts);
    };
    for batch in rows(session, &used).await? {
        let codes = texts(&batch, 1)?;
        let codes = codes.as_string::<i32>();
        for row in 0..batch.num_rows() {
            let place = usize::try_from(number(&batch, 0, row)).unwrap_or(usize::MAX);
            let (Some(coded), Some(count)) = (columns.get(place), counts.get_mut(place)) else { continue };
            let under = match roots.entry(place) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    let found = coded.column.root_concepts(&ontology);
                    new.insert(found.map_err(|e| Error::new(Code::Model, &coded.table, e))?)
                }
            };
            let n = number(&batch, 2, row);
            count.0 += n;
            count.1 += if is_below(&ontology, codes.value(row), under) { 0 } else { n };
        }
    }
    named(look, &columns, &counts)
}

fn is_below(ontology: &Ontology, code: &str, roots: &[ConceptId]) -> bool {
    ontology.find(code).is_some_and(|concept| roots.iter().any(|root| ontology.is_a(concept, *root)))
}

fn named(look: Look<'_>, columns: &[Coded<'_>], counts: &[(u64, u64)]) -> Result<Vec<Checked>> {
    let named = |(coded, (checked, failed)): (&Coded<'_>, &(u64, u64))| {
        Ok(coded.about(look, BELOW_ROOTS, "")?.counted(*checked, *failed))
    };
    columns.iter().zip(counts).map(named).collect()
}
