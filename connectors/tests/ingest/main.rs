//! Ingest from end to end, into warehouses on disk: one binary, so that the libraries link once.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "these are tests"
)]

mod bad_input;
mod clinical_model;
mod common_model;
mod dicom;
mod dicom_table;
mod duplicates;
mod export;
mod fhir;
mod fhir_faults;
mod fixture;
mod forget;
mod listener;
mod omop;
mod own_mappings;
mod own_views;
mod postgres;
mod quality;
mod real_sources;
mod rejects;
mod repeats;
mod table;
