//! Ingest from end to end, into warehouses on disk: one binary, so that the engine of tests links once.

mod bad_input;
mod dicom_table;
mod fixture;
mod omop;
mod real_sources;
mod repeats;
