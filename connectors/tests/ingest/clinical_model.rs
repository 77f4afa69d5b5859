//! Procedures, treatments, laboratory, history and episodes in the common data model, against a truth made by hand.

mod fhir;
mod images;
mod medication;
mod omop;

use crate::common_model::labelled;
use crate::fixture::Node;

/// The rows of a table as its reader sees them: concepts by their labels.
fn shown(node: &Node, table: &str, columns: &[&str]) -> Vec<Vec<String>> {
    labelled(node.cells(&format!("eucaim.{table}"), columns))
}
