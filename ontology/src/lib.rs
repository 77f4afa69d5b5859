//! What data *means*: the data models that hub, node, connectors and docs all read.
//!
//! A [`DataModel`] is one SQL schema (`dicom`, `omop`, ...): its tables, their columns, and for every column the
//! [`Role`] that says what may be asked of it. Models are TOML files; those of this crate's `models/` folder are
//! compiled in and make up [`Models::bundled`]. This crate does no IO and knows no query engine.
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

mod file;
mod model;

pub use model::{
    Bounds, Column, ColumnType, DataModel, Grid, ModelError, Models, Reference, Role, Table, TableKind,
};
