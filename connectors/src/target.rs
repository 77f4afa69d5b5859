//! Where rows go: into a commit, or nowhere when an operator only wants to know what would come in.

use std::collections::HashMap;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use caim_warehouse::{Commit, TableName, TableWriter};

use crate::Result;
use crate::forget::Forgotten;
use crate::identity::Pseudonym;

/// The receiver of an ingest.
pub(crate) enum Target {
    /// The next epoch, without patients who were forgotten.
    Commit(Box<Commit>, Forgotten),
    /// A dry run.
    Nowhere,
}

/// The receiver of one table.
pub(crate) enum Writer {
    /// A table of the next epoch.
    Table(TableWriter, Forgotten),
    /// A dry run.
    Nowhere,
}

impl Target {
    /// Notes the collections that rows name.
    pub(crate) fn collections(&mut self, ids: &StringArray) {
        if let Self::Commit(commit, _) = self {
            let mut last = None;
            for id in ids.iter().flatten().filter(|id| last.replace(*id) != Some(id)) {
                commit.collection(id);
            }
        }
    }

    /// The ordinal of a patient. In a dry run nobody is numbered.
    pub(crate) fn ordinal(&mut self, pseudonym: &Pseudonym) -> Result<u32> {
        match self {
            Self::Commit(commit, forgotten) => {
                let ordinal = commit.ordinals()?.ordinal(&pseudonym.0);
                forgotten.meet(pseudonym, ordinal);
                Ok(ordinal)
            }
            Self::Nowhere => Ok(0),
        }
    }

    /// The pseudonyms of all ordinals. In a dry run nobody needs them: no row is stored.
    pub(crate) fn pseudonyms(&mut self) -> Result<HashMap<u32, Pseudonym>> {
        match self {
            Self::Commit(commit, _) => {
                let all = commit.ordinals()?.pseudonyms().into_iter();
                Ok(all.map(|(ordinal, pseudonym)| (ordinal, Pseudonym(pseudonym))).collect())
            }
            Self::Nowhere => Ok(HashMap::new()),
        }
    }

    /// Whether a patient was forgotten: their rows do not come in.
    pub(crate) fn forgets(&self, pseudonym: &Pseudonym) -> bool {
        match self {
            Self::Commit(_, forgotten) => forgotten.has(pseudonym),
            Self::Nowhere => false,
        }
    }

    /// Starts a table. It is in the next epoch even if no rows follow.
    pub(crate) fn writer(&mut self, table: &TableName, schema: SchemaRef) -> Result<Writer> {
        match self {
            Self::Commit(commit, forgotten) => {
                Ok(Writer::Table(commit.writer(table.clone(), schema)?, forgotten.of_table(table)))
            }
            Self::Nowhere => Ok(Writer::Nowhere),
        }
    }
}

impl Writer {
    pub(crate) fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        match self {
            Self::Table(writer, forgotten) => Ok(writer.write(&forgotten.without(rows))?),
            Self::Nowhere => Ok(()),
        }
    }

    pub(crate) fn finish(self) -> Result<()> {
        match self {
            Self::Table(writer, _) => Ok(writer.finish().map(|_| ())?),
            Self::Nowhere => Ok(()),
        }
    }
}
