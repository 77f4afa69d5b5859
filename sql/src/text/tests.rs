//! Limits, statements, settings, parameters and names.

use super::{Statement, read};
use crate::fixture::on_large_stack;
use crate::refusal::Code;

fn code(sql: &str) -> Option<Code> {
    on_large_stack(|| read(sql).err().map(|refusal| refusal.code))
}

fn repeated(head: &str, part: &str, times: usize, tail: &str) -> String {
    format!("{head}{}{tail}", part.repeat(times))
}

#[test]
fn no_statement_is_long_or_deep_enough_to_overflow_a_stack() {
    let list: Vec<String> = (0..10_000).map(|n| n.to_string()).collect();
    let doubling: String =
        (1..40).map(|i| format!(", c{i} AS (SELECT * FROM c{0} x, c{0} y)", i - 1)).collect();
    let chain = format!("WITH c AS (SELECT 1{} AS a) SELECT 1 FROM c", "+1".repeat(900));
    let tables: Vec<String> = (0..200).map(|i| format!("dicom.series s{i}")).collect();
    for sql in [
        repeated("SELECT 1", "+1", 2_000, ""),
        repeated("SELECT 1", "+1", 20_000, ""),
        repeated("SELECT 1", "+1", 200_000, ""),
        repeated("SELECT 1 FROM t WHERE c=0", " OR c=1", 50_000, ""),
        repeated("SELECT 1 FROM t WHERE c=0", " OR c=1", 5_000, ""),
        repeated("SELECT 1", " UNION ALL SELECT 1", 5_000, ""),
        repeated("SELECT 1", " UNION ALL SELECT 1", 2_500, ""),
        format!("SELECT 1 FROM t WHERE c IN ({})", list.join(",")),
        format!("SELECT {} FROM t", "a".repeat(1 << 20)),
        repeated("SELECT ", "(", 500, &format!("1{}", ")".repeat(500))),
        repeated("", "SELECT * FROM (", 500, &format!("SELECT 1{}", ")".repeat(500))),
        repeated("SELECT ", "CASE WHEN ", 400, &format!("1{}", " THEN 1 END".repeat(400))),
        repeated("SELECT x", "::INT", 2_500, ""),
        repeated("SELECT x", "[1]", 3_000, ""),
        repeated("SELECT 1 FROM t WHERE x", " IS NULL", 1_500, ""),
        format!("WITH c0 AS (SELECT 1 AS a){doubling} SELECT 1 FROM c39"),
        format!("SELECT 1 FROM {}", tables.join(", ")),
        repeated(&chain, ", c", 60, ""),
        repeated("SELECT 1 WHERE ", "EXISTS (SELECT 1 WHERE ", 60, &format!("TRUE{}", ")".repeat(60))),
    ] {
        assert_eq!(code(&sql), Some(Code::TooComplex), "{}...", &sql[..60]);
    }
    // The parser gives these up in its own words.
    for sql in [repeated("SELECT ", "NOT ", 1_500, "TRUE"), repeated("SELECT ", "- ", 1_500, "1")] {
        assert!(code(&sql).is_some(), "{}...", &sql[..60]);
    }
}

#[test]
fn what_people_and_tools_write_is_within_the_limits() {
    let list: Vec<String> = (0..1_000).map(|n| format!("'value {n}'")).collect();
    for sql in [
        format!("SELECT count(*) FROM t WHERE c IN ({})", list.join(", ")),
        repeated("SELECT 1", "+1", 500, ""),
        repeated("", "SELECT * FROM (", 30, &format!("SELECT 1 AS a{}", ") t".repeat(30))),
        "SELECT 1;".to_owned(),
        "(SELECT 1) UNION ALL (SELECT 2)".to_owned(),
        "-- a comment\nSELECT 1 /* and another */".to_owned(),
    ] {
        assert_eq!(code(&sql), None, "{}", &sql[..sql.len().min(80)]);
    }
}

#[test]
fn statements_other_than_queries_are_refused_and_bad_sql_names_its_position() {
    for (sql, expected) in [
        ("", Code::Syntax),
        ("SELEC 1", Code::Syntax),
        ("SELECT a FROM", Code::Syntax),
        ("SELECT 'unterminated", Code::Syntax),
        ("SELECT 1 /* unterminated", Code::Syntax),
        ("SELECT 1 1 1", Code::Syntax),
        ("SELECT $x", Code::Syntax),
        ("SELECT ? + $2", Code::Syntax),
        ("SELECT 1; SELECT 2", Code::Statement),
        ("DELETE FROM t", Code::Statement),
        ("WITH a AS (DELETE FROM t RETURNING *) SELECT * FROM a", Code::Statement),
        ("WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a", Code::Statement),
        ("DROP TABLE t", Code::Statement),
        ("SHOW server_version", Code::Statement),
        ("BEGIN", Code::Statement),
        ("SELECT * FROM t PREWHERE a = 1 WHERE b = 2", Code::Unsupported),
        ("SELECT * FROM t |> WHERE a = 1", Code::Unsupported),
        ("SELECT a FROM t GROUP BY a WITH ROLLUP", Code::Unsupported),
        ("SELECT * EXCLUDE (a) FROM t", Code::Unsupported),
        ("SELECT a FROM t CONNECT BY a = 1", Code::Unsupported),
        ("SELECT TOP 3 PERCENT a FROM t", Code::Unsupported),
        ("SELECT TOP 3 WITH TIES a FROM t ORDER BY a", Code::Unsupported),
        ("SELECT TOP 3 a FROM t LIMIT 2", Code::Unsupported),
        ("SELECT a FROM t ORDER BY a FETCH FIRST 3 ROWS WITH TIES", Code::Unsupported),
        ("SELECT a FROM t SETTINGS x = 1", Code::Unsupported),
        ("SELECT a FROM t TABLESAMPLE SYSTEM (3)", Code::VolatileFunction),
        ("FROM t SELECT a", Code::Unsupported),
        ("SELECT * FROM t, LATERAL (SELECT 1) u", Code::Unsupported),
        ("SELECT a FROM t FOR UPDATE", Code::Unsupported),
    ] {
        assert_eq!(code(sql), Some(expected), "{sql}");
    }
    let refusal = read("SELECT a b c FROM t").unwrap_err();
    assert!(refusal.reason.contains("Line: 1, Column: 12"), "{refusal}");
    let statistics = read("EXPLAIN ANALYZE SELECT 1").unwrap_err();
    assert!(statistics.rewrite.contains("caim check"), "{statistics}");
    assert!(matches!(read("explain SELECT 1"), Ok(Statement::Explain { .. })));
    assert_eq!(code("EXPLAIN"), Some(Code::Statement));
    assert_eq!(code("EXPLAIN EXPLAIN SELECT 1"), Some(Code::Statement));
    assert_eq!(code("EXPLAIN DELETE FROM t"), Some(Code::Statement));
}

#[test]
fn set_knows_the_options_of_caim_alone() {
    let set = |key: &str, value: &str| Ok(Statement::Set { key: key.into(), value: value.into() });
    assert_eq!(read("SET caim.noise_sd = 20"), set("caim.noise_sd", "20"));
    assert_eq!(read("set CAIM.Project TO 'Liver MRI';"), set("caim.project", "Liver MRI"));
    assert_eq!(read("SET caim.purpose = \"Review\""), set("caim.purpose", "Review"));
    assert_eq!(read("SET caim.max_rows_per_patient = DEFAULT"), set("caim.max_rows_per_patient", "DEFAULT"));
    for (sql, expected) in [
        ("SET caim.threshold = 1", Code::Setting),
        ("SET caim.noise_sd", Code::Setting),
        ("SET caim.noise_sd = 1 + 1", Code::Setting),
        ("SET datafusion.explain.show_statistics = true", Code::Statement),
        ("SET TIME ZONE 'UTC'", Code::Statement),
        ("SET", Code::Statement),
    ] {
        assert_eq!(code(sql), Some(expected), "{sql}");
    }
}

#[test]
fn question_marks_become_numbered_parameters_but_not_inside_strings() {
    let Ok(Statement::Query(query)) = read("SELECT '?' FROM t WHERE a = ? AND b = ? -- ?") else { panic!() };
    assert_eq!(query.ast.to_string(), "SELECT '?' FROM t WHERE a = $1 AND b = $2");
}

#[test]
fn tables_and_columns_are_shown_from_the_catalogue() {
    for (sql, asks) in [
        ("SHOW TABLES;", "information_schema.tables"),
        ("show columns from dicom.\"Series\"", "WHERE table_schema = 'dicom' AND table_name = 'series'"),
        ("SHOW COLUMNS IN \"o'x\"", "WHERE table_name = 'o''x'"),
    ] {
        let Ok(Statement::Query(query)) = read(sql) else { panic!("{sql}") };
        assert!(query.ast.to_string().contains(asks), "{sql}: {}", query.ast);
    }
}

#[test]
fn the_first_rows_are_a_limit_in_the_words_of_every_system() {
    let text = |sql: &str| match read(sql) {
        Ok(Statement::Query(query)) => query.ast.to_string(),
        other => panic!("{sql}: {other:?}"),
    };
    for sql in [
        "SELECT TOP 3 a FROM t ORDER BY a",
        "SELECT TOP (3) a FROM t ORDER BY a",
        "SELECT a FROM t ORDER BY a FETCH FIRST 3 ROWS ONLY",
        "SELECT a FROM t ORDER BY a FETCH NEXT 3 ROWS ONLY",
    ] {
        assert_eq!(text(sql), "SELECT a FROM t ORDER BY a LIMIT 3", "{sql}");
    }
    assert_eq!(
        text("SELECT a FROM t ORDER BY a OFFSET 2 ROWS FETCH NEXT ROW ONLY"),
        "SELECT a FROM t ORDER BY a LIMIT 1 OFFSET 2 ROWS"
    );
    assert_eq!(
        text("SELECT a FROM (SELECT TOP 2 a FROM t) AS s"),
        "SELECT a FROM (SELECT a FROM t LIMIT 2) AS s"
    );
}

#[test]
fn words_are_folded_quoted_or_not_and_strings_are_not() {
    let Ok(Statement::Query(query)) = read("SELECT T.\"Modality\" FROM Dicom.Series T WHERE MODALITY = 'CT'")
    else {
        panic!()
    };
    assert_eq!(query.ast.to_string(), "SELECT t.\"modality\" FROM dicom.series t WHERE modality = 'CT'");
}

#[test]
fn answers_are_named_as_the_analyst_wrote() {
    let names = |sql: &str, planned: &[&str]| {
        let Ok(Statement::Query(query)) = read(sql) else { panic!("{sql}") };
        let planned: Vec<String> = planned.iter().map(|n| (*n).to_owned()).collect();
        let standard = |name: &str| (name == "studyinstanceuid").then(|| "StudyInstanceUID".to_owned());
        query.names.resolve(&planned, standard)
    };
    assert_eq!(
        names(
            "SELECT s.Modality, COUNT(DISTINCT PatientID), count(*) AS Total, 'x' FROM s",
            &["a", "b", "c", "d"]
        ),
        ["Modality", "COUNT(DISTINCT PatientID)", "Total", "'x'"]
    );
    assert_eq!(names("SELECT * FROM s", &["studyinstanceuid", "n"]), ["StudyInstanceUID", "n"]);
    assert_eq!(
        names("WITH c AS (SELECT 1 AS TheN) SELECT *, 2 AS Two FROM c", &["thenx", "then", "two"]),
        ["thenx", "TheN", "Two"]
    );
    assert_eq!(
        names("SELECT a.*, X AS Mid, b.* FROM a, b", &["p", "mid", "studyinstanceuid", "q"]),
        ["p", "Mid", "StudyInstanceUID", "q"]
    );
    assert_eq!(names("SELECT A AS First FROM t UNION ALL SELECT b FROM t", &["first"]), ["First"]);
    assert_eq!(names("VALUES (1, 2)", &["column1", "column2"]), ["column1", "column2"]);
}
