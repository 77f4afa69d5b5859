//! Expressions over the publicly known texts of columns without concepts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::canonical::to_sql;
use crate::fixture::{bundled, catalogue, lowered, on_large_stack};
use crate::private_query::{Dim, Value};
use crate::refusal::{Code, Refusal};
use crate::validate::validate;

const MAKERS: [&str; 4] = ["GE MEDICAL SYSTEMS", "SIEMENS", "Siemens Healthineers", "1"];

/// What is asked where these manufacturers are published.
fn asked(sql: &str) -> Result<Vec<String>, Refusal> {
    on_large_stack(|| {
        let bare = bundled();
        let name = ["dicom", "series", "manufacturer"].map(ToOwned::to_owned);
        let makers: BTreeSet<String> = MAKERS.iter().map(ToString::to_string).collect();
        let models = Arc::new(bare.with_values(&BTreeMap::from([(name, makers)])));
        let lowered = lowered(sql, &catalogue(&models))?;
        // A node knows nothing of what is published, and takes the question as it is.
        lowered.queries.iter().for_each(|query| validate(query, &bare).unwrap());
        Ok(lowered.queries.iter().map(|q| to_sql(q, &bare)).collect())
    })
}

fn condition(condition: &str) -> String {
    let asked = asked(&format!("SELECT count(*) FROM dicom.series WHERE {condition}"));
    let asked = asked.unwrap_or_else(|refusal| panic!("{condition}: {refusal}")).join("\n");
    asked
        .strip_prefix("SELECT count(*) FROM dicom.series AS t0 WHERE ")
        .map_or(asked.clone(), ToOwned::to_owned)
}

#[test]
fn a_condition_becomes_the_published_texts_that_meet_it() {
    let siemens = "t0.manufacturer IN ('SIEMENS', 'Siemens Healthineers')";
    assert_eq!(condition("Manufacturer LIKE 'S%'"), siemens);
    assert_eq!(condition("upper(Manufacturer) LIKE '%SIEMENS%'"), siemens);
    assert_eq!(condition("CASE WHEN Manufacturer ILIKE 'siemens%' THEN 'S' END = 'S'"), siemens);
    // A text that is not published is neither like it nor unlike it.
    assert_eq!(condition("Manufacturer NOT LIKE 'S%'"), "t0.manufacturer IN ('1', 'GE MEDICAL SYSTEMS')");
    // Where an expression fails it is NULL.
    assert_eq!(condition("CAST(Manufacturer AS INT) = 1"), "t0.manufacturer IN ('1')");
    // The column itself is compared as ever.
    assert_eq!(condition("Manufacturer = 'Varian'"), "t0.manufacturer IN ('Varian')");
}

#[test]
fn a_group_becomes_a_table_in_which_unpublished_texts_are_null() {
    let sql = "SELECT CASE WHEN Manufacturer ILIKE 'siemens%' THEN 'Siemens' WHEN Manufacturer IS NULL THEN 'none' \
               ELSE 'other' END AS maker, count(*) FROM dicom.series GROUP BY maker";
    let groups = "CASE WHEN t0.manufacturer IS NULL THEN 'none' \
                  WHEN t0.manufacturer IN ('SIEMENS', 'Siemens Healthineers') THEN 'Siemens' \
                  WHEN t0.manufacturer IN ('1', 'GE MEDICAL SYSTEMS') THEN 'other' ELSE NULL END";
    let [asked] = &asked(sql).unwrap()[..] else { panic!("one question") };
    assert!(asked.contains(groups), "{asked}");
}

#[test]
fn texts_of_a_standard_need_no_publication() {
    let sql = "SELECT count(*) FROM dicom.series WHERE lower(PatientSex) = 'f'";
    assert_eq!(asked(sql).unwrap(), ["SELECT count(*) FROM dicom.series AS t0 WHERE t0.patientsex IN ('F')"]);
}

#[test]
fn where_nothing_is_published_the_refusal_says_so() {
    let refusal =
        asked("SELECT count(*) FROM dicom.series WHERE ManufacturerModelName LIKE 'S%'").unwrap_err();
    assert!(matches!(refusal.code, Code::ExpressionNotAllowed | Code::FunctionNotAllowed), "{refusal}");
    assert!(refusal.to_string().contains("no values are published"), "{refusal}");
}

#[test]
fn a_node_refuses_a_table_that_says_what_unknown_texts_are() {
    on_large_stack(|| {
        let models = bundled();
        let sql =
            "SELECT CASE WHEN PatientSex = 'F' THEN 'w' END AS s, count(*) FROM dicom.series GROUP BY s";
        let mut query = lowered(sql, &catalogue(&models)).unwrap().queries.remove(0);
        validate(&query, &models).unwrap();
        let [Dim::Recode { by, .. }] = query.dims.as_mut_slice() else { panic!("a table") };
        by.rest = Some(Value::Text("rest".into()));
        assert_eq!(validate(&query, &models).unwrap_err().code, Code::Malformed);
    });
}
