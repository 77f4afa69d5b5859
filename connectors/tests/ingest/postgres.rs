//! OMOP databases: what comes over a connection is what the same tables bring as CSV.
//!
//! The server is Debian's, started by these tests as an ordinary user on a socket in a temporary folder.

mod server;

use std::fmt::Write;

use caim_connectors::{Code, Since};

use crate::fixture::{Node, table};
use server::Server;

/// Rows of MEASUREMENT: enough to be fetched in parts. `CAIM_OMOP_ROWS=1000000` is the full form.
const ROWS: u64 = 60_000;
const TABLES: [&str; 4] = ["person", "condition_occurrence", "measurement", "concept"];

fn rows() -> u64 {
    std::env::var("CAIM_OMOP_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(ROWS)
}

/// A CDM with the dirt of real ones: keys with gaps, NULLs, zones, infinite dates, numbers no float holds.
fn cdm(measurements: u64) -> String {
    let mut sql = String::new();
    let persons = measurements / 20 + 1;
    let _ = write!(
        sql,
        "CREATE SCHEMA cdm; SET search_path = cdm;
         CREATE TABLE person (person_id integer PRIMARY KEY, gender_concept_id integer, year_of_birth integer,
             birth_datetime timestamp, person_source_value varchar(50), hospital_note text);
         INSERT INTO person SELECT i, CASE WHEN i % 2 = 0 THEN 8507 ELSE 8532 END, 1930 + i % 70,
             timestamp '1930-01-01 06:30:00.125' + i * interval '1 day',
             CASE WHEN i % 11 = 0 THEN NULL ELSE 'MRN ' || i END, 'never read'
         FROM generate_series(1, {persons}) i;
         CREATE TABLE condition_occurrence (condition_occurrence_id bigint, person_id integer,
             condition_concept_id integer, condition_start_date date, condition_start_datetime timestamptz,
             condition_source_value text);
         INSERT INTO condition_occurrence SELECT i * 7, 1 + i % {persons}, 4000000 + i % 9,
             CASE WHEN i % 13 = 0 THEN NULL ELSE date '2001-02-03' + i % 9000 END,
             timestamptz '2001-02-03 23:30:00+02' + i * interval '1 hour', 'C' || i % 9 || E'\\n\"quoted\"; Prüfung'
         FROM generate_series(1, {persons}) i;
         UPDATE condition_occurrence SET condition_start_date = 'infinity' WHERE condition_occurrence_id = 14;
         CREATE TABLE measurement (measurement_id bigint PRIMARY KEY, person_id integer,
             measurement_concept_id integer, measurement_date date, value_as_number numeric, range_low real,
             unit_source_value char(8));
         INSERT INTO measurement SELECT i * 3, 1 + i % {persons}, 3013603, date '2010-01-01' + i % 4000,
             CASE WHEN i % 17 = 0 THEN NULL ELSE i * 0.1 END, i % 7 * 0.1, 'ng/mL'
         FROM generate_series(1, {measurements}) i;
         CREATE TABLE concept (concept_id integer, concept_name varchar(255), vocabulary_id varchar(20));
         INSERT INTO concept VALUES (8507, 'MALE', 'Gender'), (8532, 'FEMALE', 'Gender');
         CREATE TABLE results_of_somebody (x integer);
         ANALYZE;"
    );
    sql
}

#[test]
fn a_database_and_its_export_bring_the_same_rows_in_every_table() {
    let Some(server) = Server::start() else { return };
    let rows = rows();
    server.run(&cdm(rows));
    let (by_wire, by_file) = (Node::new(), Node::new());
    for table in TABLES {
        let path = by_file.write(&format!("export/{}.csv", table.to_uppercase()), "");
        server.export(
            &format!("SET TIME ZONE 'Asia/Tokyo'; COPY cdm.{table} TO STDOUT (FORMAT csv, HEADER)"),
            &path,
        );
    }
    let wire = by_wire.ingest(&server.url("cdm"));
    let file = by_file.ingest(&by_file.source("export"));
    assert_eq!(table(&wire, "omop.measurement").kept, rows);
    assert_eq!((&wire.tables, &wire.left_out), (&file.tables, &file.left_out));
    let counts = |report: &caim_connectors::Report| -> Vec<(Code, u64)> {
        report.warnings.iter().map(|warning| (warning.code, warning.count)).collect()
    };
    assert_eq!(counts(&wire), counts(&file));
    // The key of a row is a hash of its patient and of all its values.
    for table in ["omop.person", "omop.condition_occurrence", "omop.measurement"] {
        assert!(by_wire.keys(table) == by_file.keys(table), "{table} differs");
    }
    let cells = ["concept_id", "concept_name", "vocabulary_id"];
    assert_eq!(by_wire.cells("omop.concept", &cells), by_file.cells("omop.concept", &cells));
    let cells = ["condition_start_datetime", "condition_source_value", "condition_start_date"];
    let conditions = "omop.condition_occurrence";
    assert!(by_wire.cells(conditions, &cells) == by_file.cells(conditions, &cells), "{conditions} differs");
}

#[test]
fn a_database_again_changes_nothing_and_a_changed_one_takes_its_place() {
    let Some(server) = Server::start() else { return };
    server.run(&cdm(100));
    let node = Node::new();
    let first = node.ingest(&server.url("cdm"));
    // The order of rows on the disk, statistics and vacuums are not content.
    server.run("UPDATE cdm.person SET year_of_birth = year_of_birth WHERE person_id = 1; VACUUM ANALYZE;");
    let again = node.ingest(&server.url("cdm"));
    assert_eq!((again.unchanged, again.epoch), (true, first.epoch));
    server.run("UPDATE cdm.person SET year_of_birth = 1900 WHERE person_id = 1");
    let changed = node.ingest(&server.url("cdm"));
    assert!(!changed.unchanged);
    assert_eq!(node.count("omop.person"), 6);
    assert_eq!(node.warehouse.current().unwrap().batches().len(), 1, "it takes the place of the old one");
}

#[test]
fn a_sample_takes_the_first_rows_and_keeps_nothing() {
    let Some(server) = Server::start() else { return };
    server.run(&cdm(100));
    let mut node = Node::new();
    node.options.sample = Some(3);
    let report = node.ingest(&server.url("cdm"));
    assert_eq!((table(&report, "omop.measurement").read, node.epoch()), (3, 0));
}

#[test]
fn o04_a_changed_type_or_a_lost_column_stops_the_ingest_by_name_and_the_old_epoch_answers() {
    let Some(server) = Server::start() else { return };
    server.run(&cdm(100));
    let node = Node::new();
    let epoch = node.ingest(&server.url("cdm")).epoch;
    let changes = [
        (
            "ALTER TABLE cdm.measurement ALTER unit_source_value TYPE jsonb USING '1'",
            Code::ColumnType,
            "unit_source_value",
        ),
        (
            "ALTER TABLE cdm.measurement DROP unit_source_value, DROP measurement_id",
            Code::MissingColumn,
            "measurement_id",
        ),
    ];
    for (change, code, column) in changes {
        server.run(change);
        let error = node.try_ingest(&server.url("cdm")).unwrap_err();
        assert_eq!((error.code(), node.epoch()), (code, epoch));
        assert!(error.to_string().contains(column), "{error}");
    }
}

#[test]
fn what_a_database_refuses_is_said_without_the_password() {
    let Some(server) = Server::start() else { return };
    server.run(&cdm(100));
    server.run("CREATE ROLE reader LOGIN PASSWORD 'canary-1'; GRANT USAGE ON SCHEMA cdm TO reader");
    let node = Node::new();
    let cases = [
        (server.url_of("reader", "canary-1", "cdm"), Code::Database, "permission denied"),
        (server.url_of("reader", "canary-2", "cdm"), Code::Database, "password authentication failed"),
        (server.url("nowhere"), Code::NothingFound, "nowhere"),
    ];
    for (url, code, reason) in cases {
        let error = node.try_ingest(&url).unwrap_err();
        assert_eq!((error.code(), node.epoch()), (code, 0));
        let text = error.to_string();
        assert!(text.contains(reason) && !text.contains("canary"), "{text}");
    }
}

#[test]
fn a_value_that_a_view_cannot_cast_is_no_part_of_the_error() {
    let Some(server) = Server::start() else { return };
    server.run(&cdm(100));
    server.run(
        "ALTER TABLE cdm.concept RENAME TO raw; UPDATE cdm.raw SET concept_name = 'canary-3';
         CREATE VIEW cdm.concept AS SELECT concept_id, concept_name::integer::text AS concept_name FROM cdm.raw",
    );
    let node = Node::new();
    let error = node.try_ingest(&server.url("cdm")).unwrap_err();
    assert_eq!((error.code(), node.epoch()), (Code::Database, 0));
    let text = error.to_string();
    assert!(text.contains("concept") && text.contains("22P02") && !text.contains("canary"), "{text}");
}

#[test]
fn changes_of_a_database_are_rows_above_the_greatest_key_and_a_whole_ingest_mends_what_they_do_not_see() {
    let Some(server) = Server::start() else { return };
    server.run(&cdm(100));
    let mut node = Node::new();
    node.options.since = Some(Since::Last);
    assert_eq!(node.refusal(&server.url("cdm")), Code::Since);
    node.options.since = None;
    node.ingest(&server.url("cdm"));
    server.run(
        "SET search_path = cdm;
         INSERT INTO person VALUES (1000, 8507, 1999, NULL, 'MRN 1000', NULL);
         UPDATE person SET year_of_birth = 1901 WHERE person_id = 1;
         INSERT INTO measurement VALUES (9001, 1, 3013603, '2024-01-01', 4.5, NULL, 'ng/mL'), (9002, 1000, 3013603, NULL, 1, NULL, NULL);
         UPDATE measurement SET value_as_number = -1 WHERE measurement_id = 3;
         DELETE FROM measurement WHERE measurement_id = 6;",
    );
    node.options.since = Some(Since::Last);
    let report = node.ingest(&server.url("cdm"));
    assert_eq!((table(&report, "omop.measurement").read, table(&report, "omop.person").read), (2, 7));
    assert_eq!(
        (node.count("omop.measurement"), node.count("omop.person"), node.count("omop.concept")),
        (102, 7, 2)
    );
    assert_eq!(node.warehouse.current().unwrap().batches().len(), 2);
    let years = node.cells("omop.person", &["year_of_birth"]);
    assert!(years.contains(&vec!["1901".to_owned()]), "persons come whole: {years:?}");
    let changed =
        |node: &Node| node.cells("omop.measurement", &["value_as_number"]).contains(&vec!["-1.0".to_owned()]);
    assert!(!changed(&node), "a changed row is not seen");
    let again = node.ingest(&server.url("cdm"));
    assert_eq!(table(&again, "omop.measurement").read, 0);
    assert_eq!((node.count("omop.measurement"), node.count("omop.person")), (102, 7));
    node.options.since = Some("2024-01-01".parse().unwrap());
    assert_eq!(node.refusal(&server.url("cdm")), Code::Since);
    node.options.since = None;
    node.ingest(&server.url("cdm"));
    assert_eq!((node.count("omop.measurement"), changed(&node)), (101, true));
    assert_eq!(node.warehouse.current().unwrap().batches().len(), 1);
    let fresh = Node::new();
    fresh.ingest(&server.url("cdm"));
    for name in ["omop.person", "omop.measurement", "omop.condition_occurrence"] {
        assert!(node.keys(name) == fresh.keys(name), "{name} differs");
    }
}
