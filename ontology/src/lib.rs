//! What data *means*: the data models that hub, node, connectors and docs all read, and the hyperontology
//! whose concepts stand in their coded columns.
//!
//! # Data models
//! A [`DataModel`] is one SQL schema (`dicom`, `omop`, ...): its tables, their columns, and for every column
//! the [`Role`] that says what may be asked of it. Models are TOML files; those of this crate's `models/`
//! folder are compiled in and make up [`Models::bundled`].
//!
//! ```
//! use caim_ontology::{Models, Role};
//! let models = Models::bundled()?;
//! let series = models.table("dicom", "series")?;
//! let modality = series.column("MODALITY").expect("names are found in any case");
//! assert_eq!(modality.name, "Modality");
//! assert!(matches!(modality.role, Role::Dimension { .. }));
//! # Ok::<(), caim_ontology::ModelError>(())
//! ```
//!
//! # The hyperontology
//! An [`Ontology`] holds concepts in an is-a hierarchy, with their codes in other vocabularies. It takes a
//! term as an analyst writes it to the one concept meant, or says why it cannot ([`Unresolved`]).
//! [`Mappings`] take the values of sources to concepts by SSSOM files.
//!
//! ```
//! use caim_ontology::{Lookup, Mappings, Ontology};
//! let ontology = Ontology::bundled();
//! let prostate_cancer = ontology.resolve("SNOMEDCT:399068003", &[])?;
//! assert_eq!(ontology.curie(prostate_cancer), "EUCAIM:CLIN1000075");
//! let male_genital = ontology.resolve("EUCAIM:CLIN1000092", &[])?;
//! assert!(ontology.is_a(prostate_cancer, male_genital));
//!
//! let modalities = ontology.resolve("EUCAIM:IMG1000009", &[])?;
//! let Lookup::Mapped(mr) = Mappings::bundled().concept("DICOM.Modality", "MR", &[modalities]) else {
//!     panic!("MR is a modality");
//! };
//! assert_eq!(ontology.label(mr.concept), "Magnetic resonance imaging");
//! # Ok::<(), caim_ontology::Unresolved>(())
//! ```
//!
//! This crate does no IO and knows no query engine: files come in as text or readers, from its callers.

mod file;
mod model;

mod carried;
mod code;
mod concept;
mod equivalence;
mod hierarchy;
mod import;
mod lint;
mod mappings;
mod ontology;
mod resolve;
mod search;
mod source;
mod sssom;
mod text;
mod vocabulary;

#[cfg(test)]
mod laws;

pub use code::{CodeSystem, CrossCode};
pub use concept::{Concept, ConceptId};
pub use equivalence::{Equivalence, Sameness};
pub use hierarchy::ConceptSet;
pub use import::{ImportError, OmopVocabulary};
pub use lint::{Finding, Rule, Severity, lint};
pub use mappings::{Lookup, Mapped, MappedBy, Mappings, UnknownObject, Unmapped};
pub use model::{
    Action, Bounds, Column, ColumnType, DataModel, Grid, ModelError, Models, Place, Reference, Role, Table,
    TableKind, Tag,
};
pub use ontology::{BuildError, ClosureHash, Ontology};
pub use resolve::{Icd10Match, Icd10Relation, Suggestion, Unresolved};
pub use search::{Fit, Hit};
pub use source::{OntologySource, SourceConcept};
pub use sssom::{Mapping, MappingSet, Predicate, SssomError, Subject};
pub use vocabulary::VocabularyError;
