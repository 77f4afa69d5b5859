//! Concepts in questions: terms, branches of the hierarchy, labels, and expressions over a vocabulary.

use crate::canonical::to_sql;
use crate::fixture::{bundled, catalogue, lowered, on_large_stack};
use crate::private_query::{Dim, PrivateQuery, Value};
use crate::refusal::{Code, Refusal};

const PROSTATE: &str = "'EUCAIM:CLIN1000075'";

fn lower(sql: &str) -> Result<(Vec<PrivateQuery>, Vec<String>), Refusal> {
    on_large_stack(|| {
        let models = bundled();
        let lowered = lowered(sql, &catalogue(&models))?;
        let asked = lowered.queries.iter().map(|q| to_sql(q, &models)).collect();
        Ok((lowered.queries, asked))
    })
}

fn asked(sql: &str) -> String {
    match lower(sql) {
        Ok((_, asked)) => asked.join("\n"),
        Err(refusal) => panic!("{sql}\nwas refused: {refusal}"),
    }
}

fn condition(condition: &str) -> String {
    let sql = asked(&format!("SELECT count(*) FROM cancer_condition WHERE {condition}"));
    let before = "SELECT count(*) FROM eucaim.cancer_condition AS t0 WHERE ";
    sql.strip_prefix(before).unwrap_or_else(|| panic!("{sql}")).to_owned()
}

fn refusal(sql: &str) -> Refusal {
    lower(sql).expect_err(sql)
}

#[test]
fn a_term_in_any_spelling_is_one_concept() {
    for term in ["SNOMEDCT:399068003", "EUCAIM:CLIN1000075", "CLIN1000075", "snomedct:399068003"] {
        let is_a = format!("is_a(t0.cancer_condition_code, {PROSTATE})");
        assert_eq!(condition(&format!("is_a(cancer_condition_code, '{term}')")), is_a);
        assert_eq!(condition(&format!("NOT is_a(cancer_condition_code, '{term}')")), format!("NOT {is_a}"));
        let equal = format!("t0.cancer_condition_code IN ({PROSTATE})");
        assert_eq!(condition(&format!("cancer_condition_code = '{term}'")), equal);
        assert_eq!(condition(&format!("cancer_condition_code IN ('{term}', '{term}')")), equal);
    }
}

#[test]
fn terms_that_are_unknown_elsewhere_or_of_no_column_are_refused_by_name() {
    let of = |condition: &str| refusal(&format!("SELECT count(*) FROM image_series WHERE {condition}"));
    let unknown = of("is_a(series_modality, 'Magnetic resonance imagin')");
    assert_eq!(unknown.code, Code::UnknownConcept);
    assert!(unknown.reason.contains("Magnetic resonance imaging"), "{unknown}");
    assert_eq!(of("series_modality = 'MR'").code, Code::UnknownConcept);
    assert_eq!(of("label(series_modality) LIKE 'C%' AND series_modality <> 'no'").code, Code::UnknownConcept);
    assert_eq!(of("is_a(series_modality, 'SNOMEDCT:399068003')").code, Code::OutsideVocabulary);
    let original = of("is_a(series_modality_original, 'SNOMEDCT:399068003')");
    assert_eq!(original.code, Code::NotCoded);
    assert!(original.rewrite.contains("series_modality:"), "{original}");
    assert_eq!(of("is_a(patient_id, 'SNOMEDCT:399068003')").code, Code::NotCoded);
    assert_eq!(of("is_a(series_modality, series_modality_original)").code, Code::Invalid);
}

#[test]
fn codes_are_grouped_by_label_and_by_more_general_concepts() {
    let labels = asked("SELECT label(series_modality), count(*) FROM image_series GROUP BY 1");
    assert_eq!(
        labels,
        "SELECT label(t0.series_modality), count(*) FROM eucaim.image_series AS t0 GROUP BY label(t0.series_modality)"
    );
    let (queries, children) = lower(
        "SELECT roll_up(cancer_condition_code, 'CLIN1000092') AS site, count(DISTINCT patient_id) \
               FROM cancer_condition GROUP BY site",
    )
    .unwrap();
    assert!(children[0].contains("roll_up_to(t0.cancer_condition_code, 'EUCAIM:"), "{children:?}");
    let [Dim::RollUp { to, .. }] = queries[0].dims.as_slice() else { panic!("{queries:?}") };
    assert_eq!(to.last().map(|c| c.code.as_str()), Some("EUCAIM:CLIN1000092"));
    // What is rendered is the same question, and so is the explicit spelling.
    assert_eq!(lower(&children[0]).unwrap().0, queries);
    let level = "SELECT label(roll_up(cancer_condition_code, 1)), count(*) FROM cancer_condition GROUP BY roll_up(cancer_condition_code, 1)";
    assert_eq!(lower(level).unwrap().0.len(), 1);
}

#[test]
fn expressions_become_sets_of_codes() {
    let like = condition("label(cancer_condition_code) ILIKE '%neoplasm of prostate'");
    assert!(like.starts_with("t0.cancer_condition_code IN (") && like.contains(PROSTATE), "{like}");
    let upper = condition("upper(label(cancer_condition_code)) = 'MALIGNANT NEOPLASM OF PROSTATE'");
    assert_eq!(upper, format!("t0.cancer_condition_code IN ({PROSTATE})"));
    let unknown = condition("coalesce(label(cancer_condition_code), 'none') = 'none'");
    assert_eq!(unknown, "t0.cancer_condition_code IS NULL");
    // No code can have it: nobody is asked.
    let never =
        "SELECT count(*) FROM cancer_condition WHERE substr(label(cancer_condition_code), 1, 3) = 'no such'";
    assert_eq!(lower(never).unwrap().0, []);
}

#[test]
fn a_case_over_codes_is_a_table_of_values() {
    let sql = "SELECT CASE WHEN is_a(cancer_condition_code, 'SNOMEDCT:399068003') THEN 'prostate' ELSE 'other' END AS site, \
               count(*) FROM cancer_condition GROUP BY site";
    let (queries, asked) = lower(sql).unwrap();
    let [Dim::Recode { by, .. }] = queries[0].dims.as_slice() else { panic!("{queries:?}") };
    let other = Some(Value::Text("other".to_owned()));
    assert_eq!((&by.rest, &by.null), (&other, &other));
    assert_eq!(by.values.len(), 1);
    assert!(by.values[0].1.contains(&"EUCAIM:CLIN1000075".to_owned()));
    assert_eq!(lower(&asked[0]).unwrap().0, queries, "{asked:?}");
    let simple = "SELECT CASE cancer_condition_code WHEN 'SNOMEDCT:399068003' THEN 1 END AS n, count(*) FROM cancer_condition GROUP BY n";
    let (queries, _) = lower(simple).unwrap();
    let [Dim::Recode { by, .. }] = queries[0].dims.as_slice() else { panic!("{queries:?}") };
    assert_eq!((by.rest.clone(), by.values[0].1.as_slice()), (None, &["EUCAIM:CLIN1000075".to_owned()][..]));
}

#[test]
fn columns_without_a_vocabulary_are_not_computed_with() {
    for (expression, code) in [
        ("upper(series_modality_original)", Code::FunctionNotAllowed),
        ("upper(series_modality_original || label(series_modality))", Code::FunctionNotAllowed),
        ("repeat(series_modality, 100000)", Code::FunctionNotAllowed),
        ("replace(label(series_modality), 'a', 'aaaaaaaa')", Code::FunctionNotAllowed),
    ] {
        let sql = format!("SELECT {expression} AS x, count(*) FROM image_series GROUP BY x");
        assert_eq!(refusal(&sql).code, code, "{sql}");
    }
}

#[test]
fn no_expression_over_a_vocabulary_grows_without_bounds() {
    let text = format!("'{}'", "x".repeat(256));
    let all = vec![text.as_str(); 200].join(", ");
    let mut from = format!("(SELECT concat({all}, label(series_modality)) AS x FROM image_series) t0");
    for i in 0..4 {
        from = format!("(SELECT concat(x, x, x) AS x FROM {from}) t{}", i + 1);
    }
    let refusal = refusal(&format!("SELECT x, count(*) FROM {from} GROUP BY x"));
    assert_eq!(refusal.code, Code::TooComplex, "{refusal}");
    let deep =
        "SELECT roll_up(series_modality, 9223372036854775807) AS x, count(*) FROM image_series GROUP BY x";
    assert_eq!(lower(deep).unwrap().0.len(), 1);
}
