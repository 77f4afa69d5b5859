//! One table of what nodes released of a cube: its columns as the author named them, bounds beside every measure, and
//! how many nodes released the cell.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use caim_ontology::Models;
use caim_sql::PrivateQuery;
use caim_sql::catalogue::{CUBES, PublicTable};
use caim_sql::private_query::Dim;
use caim_sql::validate::MAX_TEXT_BYTES;
use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::row::{RowConverter, SortField};

use super::Editions;
use crate::channel::{NodeId, Reply};
use crate::cube::{Cube, CubeColumn, CubePart, CubeReply, NODES};
use crate::federate::CubeUse;
use crate::hub::TableListing;
use crate::hub::check::describe;
use crate::merge::merge;
use crate::policy::Policy;

/// A cube as the hub shows it.
pub(in crate::hub) struct Shown {
    cube: Cube,
    definition: String,
    /// The cube's question, whatever the noise.
    pub(super) question: PrivateQuery,
    /// The merged cells, in the schema of [`caim_sql::released::schema`].
    pub(super) merged: RecordBatch,
    /// The rows of `cube.<name>`, columns in lower case as plans name them.
    table: RecordBatch,
    /// The largest noise multiplier of its nodes.
    pub(super) noise_sd: f64,
    sources: Vec<Source>,
}

/// A node whose cells are in the table.
pub(in crate::hub) struct Source {
    pub(in crate::hub) node: NodeId,
    pub(in crate::hub) epoch: u64,
    pub(in crate::hub) policy: Policy,
}

/// A column of the table: its name, its comment, whether it is a group.
pub(in crate::hub) struct ShownColumn {
    pub(in crate::hub) name: String,
    pub(in crate::hub) comment: String,
    pub(in crate::hub) role: &'static str,
}

/// The table of the definition that most nodes have; of the node that comes first where several are as many.
pub(super) fn shown(models: &Models, editions: Editions) -> Option<Shown> {
    let first = |of: &[(NodeId, Arc<CubeReply>)]| Reverse(of.iter().map(|(node, _)| node.clone()).min());
    let (definition, replies) = editions.into_iter().max_by_key(|(_, of)| (of.len(), first(of)))?;
    let cube = replies.first()?.1.cube().clone();
    match made(models, definition, &cube, &replies) {
        Ok(shown) => Some(shown),
        Err(error) => {
            tracing::error!(cube = %cube.name, %error, "a cube cannot be put together");
            None
        }
    }
}

fn made(
    models: &Models,
    definition: String,
    cube: &Cube,
    replies: &[(NodeId, Arc<CubeReply>)],
) -> Result<Shown, String> {
    let question = cube.question();
    let of_nodes: Vec<(NodeId, Reply)> =
        replies.iter().map(|(node, reply)| (node.clone(), reply.reply().clone())).collect();
    let merged = merge(&question, models, &of_nodes).map_err(|e| e.to_string())?;
    let nodes = releasing(question.dims.len(), &merged, &of_nodes).map_err(|e| e.to_string())?;
    let source = |(node, reply): &(NodeId, Reply)| Source {
        node: node.clone(),
        epoch: reply.facts().epoch,
        policy: reply.facts().policy,
    };
    Ok(Shown {
        table: table(cube, &merged, nodes)?,
        cube: cube.clone(),
        definition,
        question,
        noise_sd: of_nodes.iter().map(|(_, reply)| reply.facts().policy.noise_sd).fold(0.0, f64::max),
        sources: of_nodes.iter().map(source).collect(),
        merged,
    })
}

/// How many nodes released each merged cell.
fn releasing(dims: usize, merged: &RecordBatch, replies: &[(NodeId, Reply)]) -> Result<ArrayRef, ArrowError> {
    let schema = merged.schema();
    let sorts = schema.fields().iter().take(dims).map(|f| SortField::new(f.data_type().clone()));
    let converter = RowConverter::new(sorts.collect())?;
    let cells =
        |batch: &RecordBatch| converter.convert_columns(batch.columns().get(..dims).unwrap_or_default());
    let mut counts: HashMap<Box<[u8]>, i64> = HashMap::new();
    for (_, reply) in replies {
        for cell in &cells(reply.batch())? {
            *counts.entry(cell.as_ref().into()).or_default() += 1;
        }
    }
    let counted =
        cells(merged)?.iter().map(|cell| counts.get(cell.as_ref()).copied()).collect::<Int64Array>();
    Ok(Arc::new(counted))
}

fn table(cube: &Cube, merged: &RecordBatch, nodes: ArrayRef) -> Result<RecordBatch, String> {
    let mut columns = Vec::new();
    for column in &cube.columns {
        for (name, of) in column.names().iter().zip(released(column)) {
            let found = merged.column_by_name(&of).ok_or_else(|| format!("there is no {of}"))?;
            columns.push((name.to_lowercase(), Arc::clone(found), true));
        }
    }
    columns.push((NODES.to_owned(), nodes, true));
    RecordBatch::try_from_iter_with_nullable(columns).map_err(|e| e.to_string())
}

/// The released columns that a column of the cube shows, in the order of [`CubeColumn::names`].
fn released(column: &CubeColumn) -> Vec<String> {
    match column.of {
        CubePart::Dim(i) => vec![format!("d{i}")],
        CubePart::Measure(i) => vec![format!("m{i}"), format!("m{i}_lower"), format!("m{i}_upper")],
    }
}

/// The texts that cubes show of columns without concepts, by schema, table and column: expressions run over them.
pub(super) fn published(cubes: &[Shown], models: &Models) -> BTreeMap<[String; 3], BTreeSet<String>> {
    let mut published = BTreeMap::<_, BTreeSet<String>>::new();
    for shown in cubes {
        for (dim, cells) in shown.question.dims.iter().zip(shown.merged.columns()) {
            let Dim::Column(column) = dim else { continue };
            let Some(table) = shown.question.from.tables.get(column.table) else { continue };
            let known = models.table(&table.schema, &table.table).ok().and_then(|t| t.column(&column.column));
            let Some(texts) = known.filter(|c| c.roots.is_empty()).and(cells.as_string_opt::<i32>()) else {
                continue;
            };
            let name = [table.schema.clone(), table.table.clone(), column.column.clone()];
            let texts = texts.iter().flatten().filter(|text| text.len() <= MAX_TEXT_BYTES);
            published.entry(name).or_default().extend(texts.map(ToOwned::to_owned));
        }
    }
    published
}

impl Shown {
    pub(in crate::hub) fn name(&self) -> &str {
        &self.cube.name
    }

    pub(in crate::hub) fn definition(&self) -> &str {
        &self.definition
    }

    pub(in crate::hub) fn description(&self) -> &str {
        &self.cube.description
    }

    pub(in crate::hub) fn table(&self) -> &RecordBatch {
        &self.table
    }

    /// The nodes whose cells are in the table.
    pub(in crate::hub) fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Its name and the epochs of its nodes.
    pub(in crate::hub) fn usage(&self) -> CubeUse {
        let epochs = || self.sources.iter().map(|source| source.epoch);
        let (oldest, newest) = (epochs().min().unwrap_or(0), epochs().max().unwrap_or(0));
        CubeUse { name: self.cube.name.clone(), oldest_epoch: oldest, newest_epoch: newest }
    }

    /// The columns of the table, in order.
    pub(in crate::hub) fn columns(&self, models: &Models) -> Vec<ShownColumn> {
        let mut columns = Vec::new();
        for column in &self.cube.columns {
            let (role, words) = match column.of {
                CubePart::Dim(i) => ("dimension", [self.of_dim(i, models), String::new(), String::new()]),
                CubePart::Measure(i) => ("measure", self.of_measure(i)),
            };
            let named = column.names().into_iter().zip(words);
            columns.extend(named.map(|(name, comment)| ShownColumn { name, comment, role }));
        }
        let comment = "How many nodes released the cell.".to_owned();
        columns.push(ShownColumn { name: NODES.to_owned(), comment, role: "measure" });
        columns
    }

    fn of_dim(&self, dim: usize, models: &Models) -> String {
        let Some(Dim::Column(column)) = self.question.dims.get(dim) else { return "A group.".into() };
        let table = self.question.from.tables.get(column.table);
        let table = table.and_then(|table| models.table(&table.schema, &table.table).ok());
        let column = table.and_then(|table| table.column(&column.column));
        column.map_or_else(String::new, |column| column.comment.clone())
    }

    fn of_measure(&self, measure: usize) -> [String; 3] {
        let what = self.question.measures.get(measure).map_or_else(String::new, |m| describe(&m.of));
        let bound = |word: &str| format!("The {word} bound that holds for at least 95 % of all cells.");
        [format!("Released count or number: {what}."), bound("lower"), bound("upper")]
    }

    /// Columns as answers spell them.
    fn spelled(&self) -> Vec<Field> {
        let names = self.cube.columns.iter().flat_map(CubeColumn::names).chain([NODES.to_owned()]);
        let schema = self.table.schema();
        names.zip(schema.fields()).map(|(name, field)| field.as_ref().clone().with_name(name)).collect()
    }

    /// The table as the planner sees it.
    pub(super) fn public_table(&self) -> PublicTable {
        PublicTable {
            schema: CUBES.to_owned(),
            name: self.cube.name.clone(),
            comment: self.cube.description.clone(),
            arrow: Arc::new(Schema::new(self.spelled())),
        }
    }

    /// The table as clients list it.
    pub(super) fn listing(&self, models: &Models) -> TableListing {
        let commented = self.spelled().into_iter().zip(self.columns(models));
        let commented = commented
            .map(|(field, column)| field.with_metadata([("comment".to_owned(), column.comment)].into()));
        let arrow: SchemaRef = Arc::new(Schema::new(commented.collect::<Vec<_>>()));
        let (schema, name, comment) =
            (CUBES.to_owned(), self.cube.name.clone(), self.cube.description.clone());
        TableListing { schema, name, kind: "TABLE", comment, arrow }
    }
}
