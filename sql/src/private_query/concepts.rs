//! What a question says about concepts: codes, with a proof that asker and node mean the same by them.

use serde::{Deserialize, Serialize};

use super::Value;

/// A concept of the hyperontology, and what the asker takes it to cover.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConceptRef {
    /// Its code as columns hold it: `EUCAIM:CLIN1000075`.
    pub code: String,
    /// The hash of all codes that it covers, in hexadecimal. A node whose ontology gives another one refuses the
    /// question: it would count other patients.
    pub closure: String,
}

/// A value for every text of a column's vocabulary: its codes, or the texts that are publicly known of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recode {
    /// The hash of all codes of the column that the asker knows, in hexadecimal. A node that knows others refuses the
    /// question: it could not tell which of them are the rest. `None` for a column without concepts, whose
    /// [`rest`](Self::rest) is NULL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocabulary: Option<String>,
    /// The texts that get each value; `None` is NULL. Canonical: sorted, no value twice, texts sorted, each once, none
    /// that gets [`rest`](Self::rest).
    pub values: Vec<(Option<Value>, Vec<String>)>,
    /// What all other texts get.
    pub rest: Option<Value>,
    /// What a row without a text gets.
    pub null: Option<Value>,
}

impl Recode {
    /// All values, those of the rest and of NULL included.
    pub fn all_values(&self) -> impl Iterator<Item = &Option<Value>> {
        self.values.iter().map(|(value, _)| value).chain([&self.rest, &self.null])
    }

    /// The type of the values, by one that is not NULL; `None` when all are.
    #[must_use]
    pub fn example(&self) -> Option<&Value> {
        self.all_values().flatten().next()
    }
}
