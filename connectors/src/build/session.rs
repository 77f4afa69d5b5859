//! The query engine over the tables of a commit: what stays of the last epoch and what has come in since.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use caim_ontology::{Models, TableKind};
use caim_warehouse::{Commit, Epoch, TableName, layout};
use datafusion::catalog::{MemorySchemaProvider, TableProvider};
use datafusion::common::TableReference;
use datafusion::dataframe::DataFrame;
use datafusion::datasource::MemTable;
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext, ident};

use super::concepts::Translator;
use super::mappings::COMMON;
use super::{Builder, LANDING, SHEETS, functions, is_derived, levels};
use crate::landing::stored_schema;
use crate::row_key::NameKey;
use crate::{Code, Error, Result};

/// Memory of a build; what needs more is sorted and grouped on disk.
const MEMORY_BYTES: usize = 2 << 30;

/// The schema of what mappings make, before it is finished.
pub(super) const STAGED: &str = "staged";

const ONE_ROW_A_CONCEPT: &str = "
    SELECT concept_id, first_value(vocabulary_id ORDER BY concept_code, vocabulary_id) AS vocabulary_id,
           first_value(concept_code ORDER BY concept_code, vocabulary_id) AS concept_code,
           first_value(concept_class_id ORDER BY concept_code, vocabulary_id) AS concept_class_id
    FROM omop.concept
    WHERE concept_id IN (SELECT concept_id FROM landing.used_concept)
    GROUP BY concept_id";

/// What is above the drugs that patients got: mappings look there where a drug itself says nothing.
const ABOVE_DRUGS: &str = "SELECT ancestor_concept_id AS concept_id FROM omop.concept_ancestor
    WHERE descendant_concept_id IN (SELECT drug_concept_id FROM omop.drug_exposure)";

/// The schema of the landing tables of OMOP.
const OMOP: &str = "omop";

/// The end of the names of columns that refer to concepts.
const CONCEPT_ID: &str = "concept_id";

/// The tables that a build can read, by schema and name.
pub(super) struct Session {
    context: SessionContext,
    /// Tables that have files.
    filled: BTreeSet<TableName>,
}

impl Session {
    /// A session without tables, with the functions of mappings.
    pub(super) fn new(builder: Builder<'_>) -> Result<Self> {
        let context = context()?;
        let translator = Translator::new(builder.models)?;
        functions::register(&context, Arc::new(translator), NameKey::new(builder.secret));
        Ok(Self { context, filled: BTreeSet::new() })
    }

    /// A session without tables and functions, to read what was stored.
    pub(super) fn plain() -> Result<Self> {
        Ok(Self { context: context()?, filled: BTreeSet::new() })
    }

    /// Makes every landing table of the models readable, also those that no source has filled: they are empty.
    pub(super) fn register_landing(&mut self, builder: Builder<'_>, commit: &Commit) -> Result<()> {
        for model in builder.models.iter() {
            for table in &model.tables {
                let name = TableName::new(&model.schema, &table.stored);
                if model.schema == COMMON {
                    self.register(&TableName::new(SHEETS, &table.name), stored_schema(table), commit)?;
                }
                if !is_derived(&name) {
                    self.register(&name, stored_schema(table), commit)?;
                }
            }
        }
        if let Ok(series) = builder.table(levels::SCHEMA, levels::SERIES) {
            self.register(&TableName::new(LANDING, levels::SERIES), stored_schema(series), commit)?;
        }
        self.register_collections(commit)
    }

    /// Makes every table of the models readable as it is in an epoch.
    pub(super) fn register_epoch(&mut self, epoch: &Epoch, models: &Models) -> Result<()> {
        for model in models.iter() {
            for table in &model.tables {
                let files = epoch.files(&TableName::new(&model.schema, &table.stored)).iter();
                let paths = files.map(|file| epoch.path(file)).collect::<std::result::Result<_, _>>()?;
                let name = TableName::new(&model.schema, &table.name);
                self.register_files(&name, stored_schema(table), paths)?;
            }
        }
        Ok(())
    }

    /// Makes what the vocabularies of all OMOP sources say of the concepts of records readable as `landing.concept`,
    /// each concept once. Vocabularies have millions of concepts, records thousands.
    pub(super) async fn register_concepts(&mut self, models: &Models) -> Result<()> {
        let used = TableName::new(LANDING, "used_concept");
        let rows = self.select(&self.used_concepts(models)).await?;
        self.hold(&used, rows).await?;
        let concepts = self.select(ONE_ROW_A_CONCEPT).await?;
        self.hold(&TableName::new(LANDING, "concept"), concepts).await
    }

    /// The statement that gives the concepts of all columns of records of patients, and those above their drugs.
    fn used_concepts(&self, models: &Models) -> String {
        let filled = |table: &str| self.filled.contains(&TableName::new(OMOP, table));
        if !filled("concept") {
            return format!("SELECT concept_id FROM {OMOP}.concept");
        }
        let tables = models.model(OMOP).into_iter().flat_map(|model| &model.tables);
        let records = tables.filter(|table| table.kind == TableKind::Patient && filled(&table.name));
        let columns = records.flat_map(|table| {
            let columns = table.stored_columns().filter(|column| column.stored.ends_with(CONCEPT_ID));
            columns.map(|column| format!("SELECT {} AS concept_id FROM {OMOP}.{}", column.stored, table.name))
        });
        columns.chain([ABOVE_DRUGS.to_owned()]).collect::<Vec<_>>().join(" UNION ")
    }

    /// Gives the rows that a query has now a name, and holds them in memory.
    pub(super) async fn hold(&mut self, name: &TableName, query: DataFrame) -> Result<()> {
        let schema = Arc::clone(query.schema().inner());
        let rows = query.collect_partitioned().await.map_err(fault)?;
        let table = MemTable::try_new(schema, rows).map_err(fault)?;
        self.add(name, Arc::new(table))
    }

    /// Makes a table of the commit readable as it is now.
    pub(super) fn register(&mut self, name: &TableName, schema: SchemaRef, commit: &Commit) -> Result<()> {
        self.register_files(name, schema, commit.paths(name)?)
    }

    /// Makes files readable as a table; without files it is empty.
    pub(super) fn register_files(
        &mut self,
        name: &TableName,
        schema: SchemaRef,
        files_of: Vec<PathBuf>,
    ) -> Result<()> {
        let mut paths = Vec::new();
        for path in files_of {
            paths.push(ListingTableUrl::parse(path.to_string_lossy()).map_err(fault)?);
        }
        if !paths.is_empty() {
            self.filled.insert(name.clone());
        }
        let provider: Arc<dyn TableProvider> =
            if paths.is_empty() { Arc::new(EmptyTable::new(schema)) } else { files(paths, schema)? };
        self.add(name, provider)
    }

    /// Whether a world can give rows: one of its tables has files. The common model itself always can.
    pub(super) fn has_rows(&self, world: &str) -> bool {
        world == COMMON || self.filled.iter().any(|table| table.schema == world)
    }

    /// Gives a query the name of a table of schema `staged`.
    pub(super) fn stage(&mut self, table: &str, query: DataFrame) -> Result<()> {
        self.add(&TableName::new(STAGED, table), query.into_view())
    }

    /// The rows of a statement; it can only read.
    pub(super) async fn select(&self, statement: &str) -> Result<DataFrame> {
        let read_only = datafusion::execution::context::SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false);
        self.context.sql_with_options(statement, read_only).await.map_err(fault)
    }

    /// All rows of a table.
    pub(super) async fn all(&self, name: &TableName) -> Result<DataFrame> {
        self.context.table(reference(name)).await.map_err(fault)
    }

    /// The collections that any batch names, as `landing.collection(collection_id)`.
    fn register_collections(&mut self, commit: &Commit) -> Result<()> {
        let schema = Arc::new(Schema::new(vec![Field::new("collection_id", DataType::Utf8, false)]));
        let ids = arrow::array::StringArray::from_iter_values(commit.collections());
        let rows = arrow::array::RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(ids)])
            .map_err(|e| Error::new(Code::Build, LANDING, e))?;
        let table = MemTable::try_new(schema, vec![vec![rows]]).map_err(fault)?;
        self.add(&TableName::new(LANDING, "collection"), Arc::new(table))
    }

    fn add(&mut self, name: &TableName, provider: Arc<dyn TableProvider>) -> Result<()> {
        let catalog = self.context.catalog("datafusion");
        let catalog = catalog.ok_or_else(|| Error::new(Code::Build, name, "the session has no catalog"))?;
        if catalog.schema(&name.schema).is_none() {
            catalog.register_schema(&name.schema, Arc::new(MemorySchemaProvider::new())).map_err(fault)?;
        }
        self.context.register_table(reference(name), provider).map(drop).map_err(fault)
    }
}

fn context() -> Result<SessionContext> {
    let pool = Arc::new(FairSpillPool::new(MEMORY_BYTES));
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(pool).build_arc().map_err(fault)?;
    let mut config = SessionConfig::new().with_information_schema(false);
    config.options_mut().execution.parquet.pushdown_filters = true;
    Ok(SessionContext::new_with_config_rt(config, runtime))
}

fn reference(name: &TableName) -> TableReference {
    TableReference::partial(name.schema.as_str(), name.table.as_str())
}

fn files(paths: Vec<ListingTableUrl>, schema: SchemaRef) -> Result<Arc<dyn TableProvider>> {
    let mut options = ListingOptions::new(Arc::new(ParquetFormat::default()));
    if schema.column_with_name(layout::PATIENT).is_some() {
        let order = vec![ident(layout::PATIENT).sort(true, false), ident(layout::ROW).sort(true, false)];
        options = options.with_file_sort_order(vec![order]);
    }
    let config =
        ListingTableConfig::new_with_multi_paths(paths).with_listing_options(options).with_schema(schema);
    Ok(Arc::new(ListingTable::try_new(config).map_err(fault)?))
}

/// A failure of the query engine. Its text may quote values, so only its first line's kind is told.
pub(super) fn fault(source: DataFusionError) -> Error {
    let reason = match source.find_root() {
        DataFusionError::SQL(..) | DataFusionError::Plan(_) | DataFusionError::SchemaError(..) => {
            source.to_string()
        }
        DataFusionError::ResourcesExhausted(_) => "it needs more memory than a build may take".to_owned(),
        DataFusionError::IoError(e) => e.to_string(),
        _ => "the query engine could not carry out a mapping".to_owned(),
    };
    Error::new(Code::Build, "derived tables", reason)
}
