//! Which statements the catalogue answers, what it refuses, and that what tools ask is answered.

use std::sync::Arc;
use std::time::Duration;

use caim_engine::hub::Hub;
use pgwire::api::Type;
use pgwire::api::portal::Format;

use super::{Catalogue, Query, dialect};
use crate::testing::{Here, models};

fn catalogue() -> Catalogue {
    Catalogue::new(Arc::new(Hub::new(models(), Arc::new(Here::new(&[])), Duration::from_secs(60))))
}

async fn read(catalogue: &Catalogue, sql: &str) -> Query {
    match catalogue.read(sql, "ana").await {
        Ok(Some(query)) => query,
        Ok(None) => panic!("{sql} is not about the catalogue"),
        Err(why) => panic!("{sql}: {why}"),
    }
}

#[test]
fn only_questions_about_the_catalogue_are_taken() {
    for sql in [
        "SELECT relname FROM pg_class",
        "SELECT n.nspname FROM pg_catalog.pg_namespace AS n",
        "SELECT version()",
        "SELECT current_schema(), 1",
        "SELECT pg_catalog.set_config('search_path', '', false)",
        "SELECT c.relname FROM pg_class c JOIN information_schema.tables t ON t.table_name = c.relname",
    ] {
        assert!(dialect::read(sql).is_some(), "{sql}");
    }
    for sql in [
        "SELECT 1",
        "SELECT count(*) FROM dicom.series",
        "SELECT version() FROM dicom.series",
        "SELECT * FROM information_schema.tables",
        "INSERT INTO pg_class VALUES (1)",
        "DELETE FROM pg_catalog.pg_class",
        "SELEC",
    ] {
        assert!(dialect::read(sql).is_none(), "{sql}");
    }
}

#[tokio::test]
async fn functions_that_are_not_listed_are_refused() {
    let catalogue = catalogue();
    for sql in [
        "SELECT pg_catalog.pg_read_file('/etc/passwd')",
        "SELECT load_extension('x') FROM pg_class",
        "SELECT zeroblob(1000000000) FROM pg_class",
        "SELECT randomblob(5) FROM pg_class",
        "SELECT * FROM pg_class, dicom.series",
    ] {
        assert!(catalogue.read(sql, "ana").await.is_err(), "{sql}");
    }
}

#[tokio::test]
async fn columns_have_the_names_and_types_that_postgresql_gives_them() {
    let catalogue = catalogue();
    let query = read(
        &catalogue,
        "SELECT c.oid, c.relname, c.relkind = 'r' AS is_table, c.oid::regclass, count(*) OVER (), 1, \
         (SELECT true), CASE WHEN c.relhasindex THEN 1 END FROM pg_class c",
    )
    .await;
    let names: Vec<&str> = query.columns.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["oid", "relname", "is_table", "oid", "count", "?column?", "?column?", "case"]);
    let types: Vec<Type> = query.columns.iter().map(|(_, ty)| ty.clone()).collect();
    let expected =
        [Type::OID, Type::NAME, Type::BOOL, Type::TEXT, Type::INT8, Type::INT4, Type::BOOL, Type::INT4];
    assert_eq!(types, expected);
}

#[tokio::test]
async fn what_tools_ask_is_answered() {
    let catalogue = catalogue();
    for sql in [
        // The shapes of psql's, JDBC's and SQLAlchemy's questions.
        "SELECT n.nspname FROM pg_catalog.pg_namespace n WHERE n.nspname OPERATOR(pg_catalog.~) '^(dicom)$' COLLATE pg_catalog.default",
        "SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid, true) \
         FROM pg_catalog.pg_attrdef d WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef) \
         FROM pg_catalog.pg_attribute a WHERE a.attrelid = 'dicom.series'::regclass AND a.attnum > 0 AND NOT a.attisdropped",
        "SELECT c.relname FROM pg_class c WHERE c.relkind = ANY (ARRAY['r', 'v']) AND pg_table_is_visible(c.oid)",
        "SELECT a.attname FROM pg_constraint con, pg_attribute a, pg_catalog.generate_series(1, 32) pos(n) \
         WHERE a.attrelid = con.conrelid AND a.attnum = con.conkey[pos.n]",
        "SELECT conname, array_agg(attname ORDER BY ord) FROM (SELECT con.conname, con.conrelid, unnest(con.conkey) AS attnum, \
         generate_subscripts(con.conkey, 1) AS ord FROM pg_constraint con) AS keys \
         JOIN pg_attribute a ON a.attrelid = keys.conrelid AND a.attnum = keys.attnum GROUP BY conname",
        "SELECT t.tgname FROM pg_trigger t, pg_catalog.pg_partition_ancestors(t.tgrelid) WITH ORDINALITY AS a(relid, depth) WHERE a.depth = 1",
    ] {
        let query = read(&catalogue, sql).await;
        assert!(catalogue.run(&query, Vec::new(), &Format::UnifiedText).await.is_ok(), "{sql}");
    }
}

#[tokio::test]
async fn the_columns_of_a_primary_key_are_found_by_its_index() {
    let catalogue = catalogue();
    let sql = "SELECT count(*) FROM (SELECT unnest(i.indkey) AS attnum, unnest(i.indclass) AS class, \
               generate_subscripts(i.indkey, 1) AS ord, i.indrelid FROM pg_constraint con JOIN pg_index i \
               ON con.conindid = i.indexrelid WHERE con.contype = 'p') AS keys JOIN pg_attribute a \
               ON a.attrelid = keys.indrelid AND a.attnum = keys.attnum WHERE keys.class = '0'";
    let query = read(&catalogue, sql).await;
    let mut answer = catalogue.run(&query, Vec::new(), &Format::UnifiedText).await.unwrap();
    let row = futures::StreamExt::next(answer.data_rows()).await.unwrap().unwrap();
    assert_ne!(&row.data[..], b"\0\0\0\x010", "no key has a column");
}

#[tokio::test]
async fn parameters_are_bound_by_their_numbers() {
    let catalogue = catalogue();
    let sql = "SELECT $2::text || $1::text, generate_subscripts(con.conkey, $3) AS n FROM pg_constraint con LIMIT 1";
    let query = read(&catalogue, sql).await;
    assert_eq!(query.parameters, 3);
    let values = ["a", "b", "1"].map(datafusion::common::ScalarValue::from).to_vec();
    let mut answer = catalogue.run(&query, values, &Format::UnifiedText).await.unwrap();
    let row = futures::StreamExt::next(answer.data_rows()).await.unwrap().unwrap();
    assert_eq!(&row.data[..], b"\0\0\0\x02ba\0\0\0\x011");
}
