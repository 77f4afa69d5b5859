//! The integration tests: one binary, so that DataFusion is linked once.
//!
//! What spans crates is tested here; what one crate promises by itself is tested beside its code.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

mod common_model_page;
mod concepts;
mod cubes;
mod demo_codes;
mod dependency_rules;
mod documents;
mod exact;
mod gate;
mod hospitals;
mod house_style;
mod patient_values;
mod planning;
mod privacy_page;
mod questions;
mod refusal_pages;
mod series;
mod slt;
mod timelines;
