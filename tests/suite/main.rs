//! The integration tests: one binary, so that DataFusion is linked once.
//!
//! What spans crates is tested here; what one crate promises by itself is tested beside its code.

mod dependency_rules;
mod gate;
mod documents;
mod house_style;
mod planning;
mod privacy_page;
mod refusal_pages;
mod series;
