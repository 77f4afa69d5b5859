//! Loaders: ontologies in the forms in which others publish them, each into an
//! [`OntologySource`](crate::OntologySource). Callers open the files; nothing here does IO of its own.
//!
//! A loader takes texts as they are (stray spaces, mixed case, typed and untyped literals) and repairs no
//! structure: a parent that does not exist stays dangling, for [`lint`](crate::lint()) to find.

mod omop;
mod oncotree;
mod rdf;

#[cfg(test)]
pub(crate) mod tests;

use std::io::Read;

pub use omop::OmopVocabulary;

/// Largest RDF or JSON file, in bytes.
const MAX_BYTES: u64 = 512 << 20;

/// A file that is not in the form it was said to be in.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The reader failed.
    #[error("the {form} file cannot be read")]
    Read {
        /// The form: `OWL`, `SKOS`, `OMOP CONCEPT`, ...
        form: &'static str,
        /// Why.
        #[source]
        reason: std::io::Error,
    },
    /// The text does not follow the form.
    #[error("the {form} file is faulty: {reason}")]
    Faulty {
        /// The form.
        form: &'static str,
        /// What is wrong, with the place where the form knows places.
        reason: String,
    },
    /// More than is read.
    #[error("the {form} file is too large: {limit}")]
    TooLarge {
        /// The form.
        form: &'static str,
        /// The limit, in words.
        limit: &'static str,
    },
    /// It follows the form and has no concepts.
    #[error("the {form} file has no concepts; is it the right file?")]
    Empty {
        /// The form.
        form: &'static str,
    },
}

/// All text of a reader, bounded.
fn read_text(form: &'static str, reader: impl Read) -> Result<String, ImportError> {
    let mut bytes = Vec::new();
    reader
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|reason| ImportError::Read { form, reason })?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(ImportError::TooLarge { form, limit: "at most 512 MiB are read" });
    }
    String::from_utf8(bytes).map_err(|_| ImportError::Faulty { form, reason: "the text is not UTF-8".into() })
}

/// A text with single spaces between words.
fn tidy(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
