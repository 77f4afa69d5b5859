//! Questions that speak concepts, from SQL to the answers of nodes: branches of the hierarchy over hospitals that code
//! differently, labels of what has no concept, expressions over a vocabulary against plain DataFusion, and nodes of
//! another version of the ontology.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use caim_engine::merge::merge;
use caim_engine::{AskError, Node, NodeChannel, NodeId, Nodes, Policy};
use caim_ontology::{
    ConceptId, Lookup, MappingSet, Mappings, Models, Ontology, OntologySource, SourceConcept,
};
use caim_sql::Code;
use datafusion::arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};
use datafusion::prelude::SessionContext;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::hospitals::{Hospital, coded};
use crate::questions::{ask, drawn, lowered, number, question};
use crate::series::{ingested, node};

const MALE_GENITAL: &str = "EUCAIM:CLIN1000092";
const PROSTATE: &str = "EUCAIM:CLIN1000075";
const CT: &str = "EUCAIM:IMG1000042";

/// What a column of an answer says of each cell of another.
type Cells = BTreeMap<Option<String>, i64>;

fn cells(batch: &RecordBatch) -> Cells {
    let shown = |row| {
        let cell = batch.column(0);
        (!cell.is_null(row)).then(|| array_value_to_string(cell, row).unwrap())
    };
    (0..batch.num_rows()).map(|row| (shown(row), number(batch.column(1), row).unwrap() as i64)).collect()
}

fn merged(
    node: &str,
    query: &caim_sql::PrivateQuery,
    models: &Models,
    reply: caim_engine::Reply,
) -> RecordBatch {
    merge(query, models, &[(NodeId::new(node).unwrap(), reply)]).unwrap()
}

async fn answer(node: &Arc<Node>, models: &Arc<Models>, sql: &str) -> RecordBatch {
    let query = lowered(models, sql);
    merged("a", &query, models, ask(node, &query, models).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn hospitals_that_code_differently_give_one_group_and_a_branch_counts_its_descendants() {
    let ontology = Ontology::bundled();
    let (male, models) = (ontology.find(MALE_GENITAL).unwrap(), Arc::new(Models::bundled().unwrap()));
    let (mut replies, mut prostate) = (Vec::new(), 0);
    let by_code = lowered(
        &models,
        &format!(
            "SELECT cancer_condition_code, count(DISTINCT patient_id) FROM cancer_condition \
             WHERE is_a(cancer_condition_code, '{MALE_GENITAL}') GROUP BY cancer_condition_code"
        ),
    );
    for position in 0..2 {
        let hospital = Hospital::at(position);
        let concept = |of: &caim::demo::truth::Facts| {
            ontology.resolve(&format!("SNOMEDCT:{}", of.diagnosis.snomed), &[]).ok().filter(|_| coded(of))
        };
        let concepts: Vec<ConceptId> = hospital.facts.iter().filter_map(concept).collect();
        let truth = concepts.iter().filter(|c| ontology.is_a(**c, male)).count();
        let itself = concepts.iter().filter(|c| **c == male).count();
        let count = "SELECT count(DISTINCT patient_id) FROM cancer_condition WHERE";
        let branch = hospital.count(&format!("{count} is_a(cancer_condition_code, '{MALE_GENITAL}')")).await;
        let equal = hospital.count(&format!("{count} cancer_condition_code = '{MALE_GENITAL}'")).await;
        assert_eq!((branch, equal), (truth, itself), "hospital {position}");
        assert!(branch > equal + 10, "the branch has patients that the concept itself has not");
        prostate += concepts.iter().filter(|c| ontology.curie(**c) == PROSTATE).count();
        let name = NodeId::new(["a", "b"][position]).unwrap();
        replies.push((name, ask(&hospital.node, &by_code, &models).await));
    }
    let groups = cells(&merge(&by_code, &models, &replies).unwrap());
    assert_eq!(groups.get(&Some(PROSTATE.to_owned())), Some(&(prostate as i64)), "{groups:?}");
}

/// Series of a few modalities: with concepts, without, and none.
fn imaging() -> (tempfile::TempDir, Arc<Node>, Vec<&'static str>) {
    let values = ["CT", "CT", "MR", "PT", "MG", "US", "SEG", "SR", "XYZ", ""];
    let mut random = ChaCha8Rng::seed_from_u64(4);
    let mut table = "PatientID,StudyInstanceUID,SeriesInstanceUID,Modality\n".to_owned();
    let drawn: Vec<&str> = (0..400).map(|_| values[random.random_range(0..values.len())]).collect();
    for (i, modality) in drawn.iter().enumerate() {
        let _ = writeln!(table, "P{},1.2.{},1.2.{}.1,{modality}", i / 3, i / 2, i);
    }
    let dir = tempfile::tempdir().unwrap();
    let published = Policy { public_data: true, ..Policy::default() };
    let node = node("a", ingested(dir.path(), &table), published);
    (dir, node, drawn)
}

/// The concept of a value of Modality.
fn concept(models: &Models, value: &str) -> Option<ConceptId> {
    let column = models.table("eucaim", "image_series").unwrap().column("series_modality").unwrap();
    let roots = column.root_concepts(&models.ontology()).unwrap();
    match Mappings::bundled().concept("DICOM.Modality", value, &roots) {
        Lookup::Mapped(mapped) => Some(mapped.concept),
        Lookup::Unmapped(_) => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_concept_is_grouped_under_its_own_value() {
    let (_dir, node, drawn) = imaging();
    let (models, ontology) = (Arc::new(Models::bundled().unwrap()), Ontology::bundled());
    let mut truth = Cells::new();
    for value in drawn {
        let label = match concept(&models, value) {
            Some(concept) => Some(ontology.label(concept).to_owned()),
            None => Some(value.to_owned()).filter(|value| !value.is_empty()),
        };
        *truth.entry(label).or_default() += 1;
    }
    assert!(truth.contains_key(&Some("XYZ".to_owned())) && truth.contains_key(&None));
    let sql = "SELECT label(series_modality), count(*) FROM image_series GROUP BY 1";
    assert_eq!(cells(&answer(&node, &models, sql).await), truth);
}

/// Texts and conditions over `series_modality`.
struct Draw(ChaCha8Rng);

impl Draw {
    fn text(&mut self, depth: u32) -> String {
        let n = self.0.random_range(1..12);
        match self.0.random_range(0..if depth == 0 { 2 } else { 10 }) {
            0 | 1 => "label(series_modality)".to_owned(),
            2 => format!("upper({})", self.text(depth - 1)),
            3 => format!("substr({}, {n}, 4)", self.text(depth - 1)),
            4 => format!("left({}, {n})", self.text(depth - 1)),
            5 => format!("coalesce({}, 'none')", self.text(depth - 1)),
            6 => format!("({} || '!')", self.text(depth - 1)),
            7 => format!("replace({}, 'o', '0')", self.text(depth - 1)),
            8 => format!("nullif({}, {})", self.text(depth - 1), self.text(depth - 1)),
            _ => {
                let (when, then, other) = (self.truth(depth - 1), self.text(depth - 1), self.text(depth - 1));
                format!(
                    "CASE WHEN {when} THEN {then} WHEN {} THEN 'some' ELSE {other} END",
                    self.truth(depth - 1)
                )
            }
        }
    }

    fn truth(&mut self, depth: u32) -> String {
        let text = self.text(depth.saturating_sub(1));
        let pattern = ["%o%", "C%", "%imaging", "_a%", "%"][self.0.random_range(0..5)];
        match self.0.random_range(0..if depth == 0 { 9 } else { 12 }) {
            0 => format!("{text} LIKE '{pattern}'"),
            1 => format!("{text} NOT ILIKE '{pattern}'"),
            2 => format!("{text} IN ('Computed tomography', 'COMPUTED TOMOGRAPHY', 'Ultrasound')"),
            3 => format!("{text} NOT IN ('Ultrasound', 'none')"),
            4 => format!("series_modality = '{CT}'"),
            5 => format!("is_a(series_modality, '{CT}')"),
            6 => format!("character_length({text}) > {}", self.0.random_range(0..40)),
            7 => format!("{text} BETWEEN 'A' AND 'M'"),
            8 => format!("{text} IS NULL"),
            9 => format!("({} AND {})", self.truth(depth - 1), self.truth(depth - 1)),
            10 => format!("({} OR {})", self.truth(depth - 1), self.truth(depth - 1)),
            _ => format!("NOT ({})", self.truth(depth - 1)),
        }
    }
}

/// The same rows in plain DataFusion, with functions that look each row up by itself.
fn plain(models: &Models, drawn: &[&str]) -> SessionContext {
    let context = SessionContext::new();
    let ontology = models.ontology();
    let codes = drawn.iter().map(|value| concept(models, value).map(|c| ontology.curie(c)));
    let codes: ArrayRef = Arc::new(codes.collect::<StringArray>());
    let schema = Arc::new(Schema::new(vec![Field::new("series_modality", DataType::Utf8, true)]));
    context.register_batch("image_series", RecordBatch::try_new(schema, vec![codes]).unwrap()).unwrap();
    let text = || DataType::Utf8;
    let (labels, hierarchy) = (Arc::clone(&ontology), ontology);
    let label = move |arguments: &[ColumnarValue]| {
        let codes = ColumnarValue::values_to_arrays(arguments)?.remove(0);
        let label = |code: &str| labels.label(labels.find(code).unwrap()).to_owned();
        let found = codes.as_string::<i32>().iter().map(|code| code.map(label));
        Ok(ColumnarValue::Array(Arc::new(found.collect::<StringArray>())))
    };
    let is_a = move |arguments: &[ColumnarValue]| {
        let arguments = ColumnarValue::values_to_arrays(arguments)?;
        let [codes, of] = arguments.as_slice() else { panic!("two arguments") };
        let under = |(code, of): (Option<&str>, Option<&str>)| {
            Some(hierarchy.is_a(hierarchy.find(code?).unwrap(), hierarchy.find(of?).unwrap()))
        };
        let found = codes.as_string::<i32>().iter().zip(of.as_string::<i32>()).map(under);
        Ok(ColumnarValue::Array(Arc::new(found.collect::<BooleanArray>())))
    };
    context.register_udf(create_udf("label", vec![text()], text(), Volatility::Immutable, Arc::new(label)));
    let types = vec![text(), text()];
    context.register_udf(create_udf("is_a", types, DataType::Boolean, Volatility::Immutable, Arc::new(is_a)));
    context
}

async fn plain_rows(context: &SessionContext, sql: &str) -> RecordBatch {
    let frame = context.sql(sql).await.unwrap();
    let schema = Arc::new(frame.schema().as_arrow().clone());
    datafusion::arrow::compute::concat_batches(&schema, &frame.collect().await.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expression_over_the_vocabulary_equals_the_same_expression_row_by_row() {
    let (_dir, node, rows) = imaging();
    let models = Arc::new(Models::bundled().unwrap());
    let context = plain(&models, &rows);
    let mut draw = Draw(ChaCha8Rng::seed_from_u64(17));
    let mut compared = 0;
    for _ in 0..60 {
        let condition = draw.truth(2);
        let sql = format!("SELECT count(*) FROM image_series WHERE {condition}");
        let truth = plain_rows(&context, &sql)
            .await
            .column(0)
            .as_primitive::<datafusion::arrow::datatypes::Int64Type>()
            .value(0);
        let found = match drawn(&models, &sql) {
            Some(query) => {
                number(merged("a", &query, &models, ask(&node, &query, &models).await).column(0), 0)
            }
            None => Some(0.0),
        };
        assert_eq!(found, Some(truth as f64), "{sql}");
        let sql = format!("SELECT upper({}) AS x, count(*) FROM image_series GROUP BY x", draw.text(2));
        let truth = cells(&plain_rows(&context, &sql).await);
        if let Ok(Some(query)) = crate::questions::lowering(&models, &sql) {
            compared += 1;
            assert_eq!(
                cells(&merged("a", &query, &models, ask(&node, &query, &models).await)),
                truth,
                "{sql}"
            );
        }
    }
    assert!(compared > 40, "{compared} groups were compared");
}

/// The bundled ontology without one concept.
fn without(code: &str) -> Models {
    let bundled = Ontology::bundled();
    let left_out = bundled.find(code).unwrap();
    let concepts = bundled.iter().filter(|(id, _)| *id != left_out).map(|(_, concept)| SourceConcept {
        code: concept.code.to_string(),
        label: concept.label.to_string(),
        parents: concept
            .parents
            .iter()
            .filter(|p| **p != left_out)
            .map(|p| bundled.code(*p).to_owned())
            .collect(),
        ..SourceConcept::default()
    });
    let source = OntologySource {
        version: "older".to_owned(),
        concepts: concepts.collect(),
        ..OntologySource::eucaim()
    };
    let ontology = Arc::new(Ontology::build(source).unwrap());
    let mappings = Mappings::new(ontology, MappingSet::bundled().unwrap());
    Models::bundled().unwrap().with_mappings(Arc::new(mappings))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_another_version_refuses_the_terms_that_changed_and_answers_the_rest() {
    let models = Arc::new(Models::bundled().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let table = "PatientID,StudyInstanceUID,SeriesInstanceUID,Modality\nA,1.2,1.2.3,CT\n";
    let policy = Policy { public_data: true, answer_grid_ms: 0, ..Policy::default() };
    let older = Arc::new(without("IMG1000035"));
    let node = Node::open(NodeId::new("a").unwrap(), ingested(dir.path(), table), older, policy).unwrap();
    let node = Arc::new(node);
    let count = "SELECT count(*) FROM image_series WHERE";
    let unchanged = lowered(&models, &format!("{count} is_a(series_modality, '{CT}')"));
    let counted = merged("a", &unchanged, &models, ask(&node, &unchanged, &models).await);
    assert_eq!(number(counted.column(0), 0), Some(1.0));
    for changed in [
        format!("{count} is_a(series_modality, 'IMG1000035')"),
        format!("{count} is_a(series_modality, 'IMG1000009')"),
        "SELECT substr(label(series_modality), 1, 3) AS x, count(*) FROM image_series GROUP BY x".to_owned(),
    ] {
        let asked = question(&lowered(&models, &changed), &models);
        match node.answer(asked).await {
            Err(AskError::Refused(refusal)) => assert_eq!(refusal.code, Code::OntologyVersion, "{changed}"),
            other => panic!("{changed}: {other:?}"),
        }
    }
}

/// A federation without nodes.
struct Nobody;

impl Nodes for Nobody {
    fn linked(&self) -> Vec<Arc<dyn NodeChannel>> {
        Vec::new()
    }

    fn known(&self) -> Vec<NodeId> {
        Vec::new()
    }
}

/// The rows of an explanation, each as text.
fn explained(sql: &str) -> Vec<String> {
    use caim_engine::hub::Hub;
    let models = Arc::new(Models::bundled().unwrap());
    let hub = Hub::new(models, Arc::new(Nobody), std::time::Duration::from_secs(5));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let prepared = hub.prepare(sql, &caim_sql::lower::Settings::default()).unwrap();
    let asker = caim_engine::Asker { user: "u".into(), project: "p".into(), purpose: String::new() };
    let answer = runtime.block_on(hub.answer(&prepared, &asker)).unwrap();
    let batch = answer.batches.first().unwrap();
    let last = batch.columns().last().unwrap().as_string::<i32>();
    last.iter().flatten().map(str::to_owned).collect()
}

#[test]
fn explain_names_the_codes_that_a_concept_becomes() {
    let sql =
        format!("SELECT count(*) FROM cancer_condition WHERE is_a(cancer_condition_code, '{PROSTATE}')");
    for format in ["text", "tree", "json", "dot"] {
        let text = explained(&format!("EXPLAIN (FORMAT {format}) {sql}")).join("\n");
        for wanted in [
            "is_a(t0.cancer_condition_code",
            "Malignant neoplasm of prostate",
            "SNOMEDCT:399068003",
            "ICD10:C61",
        ] {
            assert!(text.contains(wanted), "{wanted} is missing:\n{text}");
        }
    }
}

#[test]
fn explain_draws_each_question_below_the_step_that_reads_it() {
    let sql = "SELECT a.n * 100.0 / b.n FROM (SELECT count(*) AS n FROM dicom.series WHERE Modality = 'MR') AS a \
               CROSS JOIN (SELECT count(*) AS n FROM dicom.series) AS b";
    let tree = explained(&format!("EXPLAIN FORMAT tree {sql}"));
    let at = |what: &str| {
        tree.iter().position(|line| line.contains(what)).unwrap_or_else(|| panic!("{what}: {tree:#?}"))
    };
    for number in 0..2 {
        assert!(
            tree[at(&format!("question {number}")) - 1].contains(&format!("TableScan: released_{number}")),
            "{tree:#?}"
        );
    }
    let dot = explained(&format!("EXPLAIN FORMAT dot {sql}"));
    let (boxes, arrows) = (
        dot.iter().filter(|l| l.contains("[label=")).count(),
        dot.iter().filter(|l| l.contains("->")).count(),
    );
    assert_eq!(boxes, arrows + 1, "a tree: {dot:#?}");
    let json: serde_json::Value =
        serde_json::from_str(&explained(&format!("EXPLAIN FORMAT json {sql}"))[0]).unwrap();
    assert_eq!(json["questions"].as_array().unwrap().len(), 2);
    assert_eq!(json["questions"][0]["answered_by"], "nodes");
}
